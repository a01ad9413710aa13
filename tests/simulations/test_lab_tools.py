"""Other people's programs agree with the lab's own ends, and peers run as a process of their own."""

import shutil
import socket
import ssl
import subprocess
import urllib.request
from pathlib import Path

import dnslib
import pytest

from simulations.lab import tools
from simulations.lab.baselines import BaselineError, fping, irtt, parse_fping
from simulations.lab.daemons import DaemonError, IrttServer, Mosquitto, SippOptions
from simulations.lab.netns import Namespaces, cannot_make
from simulations.lab.peers.peer import PeerError
from simulations.lab.peers.process import PeersProcess
from simulations.lab.peers.sip import SipResponder
from simulations.lab.wire_handle import WireHandle

UAC_OPTIONS = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="OPTIONS UAC">
  <send retrans="500"><![CDATA[
OPTIONS sip:[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch]
From: <sip:probe@[local_ip]>;tag=[pid]SIPpTag[call_number]
To: <sip:[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 OPTIONS
Contact: <sip:probe@[local_ip]:[local_port]>
Max-Forwards: 70
Accept: application/sdp
Content-Length: 0

]]></send>
  <recv response="200" rtd="true"/>
</scenario>
"""


def needs(*commands: str) -> pytest.MarkDecorator:
    reason = tools.reason_without(*commands)
    return pytest.mark.skipif(reason is not None, reason=str(reason))


@needs("sipp")
@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_sipp_gets_an_answer_to_each_of_its_options(tmp_path: Path, transport: str) -> None:
    scenario = tmp_path / "uac.xml"
    scenario.write_text(UAC_OPTIONS)
    with SipResponder() as sip:
        host, port = sip.address
        options = ["-t", transport, "-i", host, "-m", "50", "-r", "200", "-nostdin", "-timeout", "10s"]
        command = ["sipp", "-sf", str(scenario), *options, f"{host}:{port}"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=30)
        assert done.returncode == 0, done.stdout[-800:]
        assert [request.answer for request in sip.requests] == ["200"] * 50


@needs("sipp")
def test_sipp_as_a_server_answers_a_plain_options() -> None:
    request = (
        "OPTIONS sip:pbx SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n"
        "From: <sip:a@b>;tag=1\r\nTo: <sip:pbx>\r\nCall-ID: x@y\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    with SippOptions() as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.settimeout(3)
        client.sendto(request.format(port=client.getsockname()[1]).encode(), server.address)
        assert client.recv(4096).startswith(b"SIP/2.0 200 OK\r\n")


@needs("mosquitto", "mosquitto_passwd", "mosquitto_pub")
def test_mosquitto_takes_the_right_password_over_tls_and_no_other() -> None:
    with Mosquitto({"branch1": "s3cret"}) as broker:
        host, port = broker.address
        base = [
            "mosquitto_pub",
            "-h",
            host,
            "-p",
            str(port),
            "--cafile",
            str(broker.ca),
            "-t",
            "x",
            "-m",
            "1",
            "-q",
            "1",
        ]
        outcomes = [
            subprocess.run([*base, "-u", "branch1", "-P", password], capture_output=True, check=False).returncode
            for password in ("s3cret", "wrong")
        ]
        assert outcomes == [0, 5]
        with socket.create_connection(broker.address, timeout=2) as connection:
            stranger = ssl.create_default_context()
            with pytest.raises(ssl.SSLCertVerificationError):
                stranger.wrap_socket(connection, server_hostname=host)


@needs("mosquitto")
def test_a_daemon_whose_port_is_taken_says_so_with_its_own_words() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(DaemonError, match=r"mosquitto did not start on 127\.0\.0\.1:\d+: .*in use"):
            Mosquitto({"a": "b"}, holder.getsockname()).start()


NO_LAB = cannot_make("tap") or tools.reason_without("fping", "irtt", "ping")


@pytest.mark.skipif(NO_LAB is not None, reason=str(NO_LAB))
def test_fping_and_irtt_see_on_the_wire_the_losses_that_it_logged() -> None:
    with Namespaces(access="tap") as lab, WireHandle(lab, "both:delay=5") as wire:
        lab.run("branch-probe", "ping", "-n", "-c1", "-W2", "192.0.2.1")
        probe = lab.command("branch-probe")
        wire.set("ab:every=1/10")
        icmp_us = fping("192.0.2.1", count=50, prefix=probe)
        assert [sequence for sequence, rtt in enumerate(icmp_us) if rtt is None] == [0, 10, 20, 30, 40]
        answered = [rtt for rtt in icmp_us if rtt is not None]
        assert 10_000 < sorted(answered)[len(answered) // 2] < 12_000
        wire.set("both:clear both:delay=5")
        with IrttServer(("192.0.2.1", 2112), lab.command("anchors")):
            mark = wire.counters()["ba"]["packets_in"]
            wire.set("ba:loss=20")
            udp_us = irtt(("192.0.2.1", 2112), duration_s=1, wait_s=0.5, prefix=probe)
            crossings = wire.log("ba", mark)
    echoes = [crossing for crossing in crossings if crossing.size_octets == 102]  # 60 of payload; openings are shorter
    assert [rtt is None for rtt in udp_us] == [crossing.written_us is None for crossing in echoes]
    assert 0 < udp_us.count(None) < len(udp_us)


def test_a_failing_baseline_says_why() -> None:
    with pytest.raises(BaselineError):
        fping("no.such.host.invalid", count=1)


def test_lost_echoes_are_none_never_0() -> None:
    printed = (
        "192.0.2.1 : [0], 64 bytes, 20.1 ms (20.1 avg, 0% loss)\n192.0.2.1 : [1], timed out (20.1 avg, 50% loss)\n"
    )
    assert parse_fping(printed, 3) == [20_100, None, None]


def test_missing_names_packages_and_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda command: None if command in ("irtt", "dig") else found("sh"))
    assert [tool.package for tool in tools.missing()] == ["dnsutils", "irtt"]
    assert tools.reason_without("dig", "irtt") == "dig and irtt not found; try apt-get install dnsutils irtt"
    assert tools.reason_without("sipp") is None
    assert tools.main() == 4


def test_peers_run_as_a_process_and_are_steered_from_outside() -> None:
    with PeersProcess("sip", "dns", "status", "echo=tcp") as peers:
        peers.set("dns", zone={"sbc.lab": {"A": ["198.51.100.10"]}})
        answer = dnslib.DNSRecord.parse(dnslib.DNSRecord.question("sbc.lab").send(*peers.addresses["dns"], timeout=2))
        assert str(answer.rr[0].rdata) == "198.51.100.10"
        (request,) = peers.requests("dns")
        assert (request.what, request.answer) == ("udp A sbc.lab.", "NOERROR")
        incident = peers.change_status("post_incident", name="Calls fail")
        host, port = peers.addresses["status"]
        with urllib.request.urlopen(f"http://{host}:{port}/api/v2/summary.json", timeout=2) as response:
            assert incident in response.read().decode()
        peers.stop_peer("echo")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(peers.addresses["echo"], timeout=1)
        peers.start_peer("echo")
        socket.create_connection(peers.addresses["echo"], timeout=1).close()


def test_peers_refuse_what_they_cannot_do_in_one_line() -> None:
    with PeersProcess("sip") as peers:
        with pytest.raises(PeerError, match="sip has no setting 'cod'"):
            peers.set("sip", cod=503)
        with pytest.raises(PeerError, match="no peer 'dns'; try one of sip"):
            peers.set("dns", rcode="REFUSED")
        with pytest.raises(PeerError, match="sip cannot do"):
            peers.change_status("post_incident", peer="sip")
    with pytest.raises(PeerError, match="bad peer 'smtp'"):
        PeersProcess("smtp").start()


@pytest.mark.skipif(tools.reason_without("openssl") is not None, reason="openssl is not installed")
def test_the_process_tells_the_timestamp_authoritys_root() -> None:
    with PeersProcess("tsa") as peers:
        assert Path(peers.timestamp_root()).read_text().startswith("-----BEGIN CERTIFICATE-----")
