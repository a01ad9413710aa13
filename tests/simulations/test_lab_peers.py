"""Each peer does its protocol right before an independent client, and misbehaves only as told."""

import contextlib
import datetime
import json
import random
import shutil
import socket
import ssl
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dnslib
import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from simulations.lab.certificates import Authority
from simulations.lab.peers.dns import DnsServer, Zone
from simulations.lab.peers.peer import PeerError
from simulations.lab.peers.sntp import NTP_EPOCH_S, SntpServer
from simulations.lab.peers.status_board import StatusBoard, UnknownEntry
from simulations.lab.peers.status_page import StatusPage
from simulations.lab.peers.tcp import TcpEcho
from simulations.lab.peers.tsa import POLICY, TimestampAuthority

REJECTION = 2  # PKIStatus, RFC 3161 section 2.4.2

ZONE: Zone = {
    "sbc.lab": {"A": ["198.51.100.10"], "AAAA": ["2001:db8::10"]},
    "_sip._udp.lab": {"SRV": ["10 60 5060 sbc.lab.", "20 0 5060 backup.lab."]},
    "*.anchor.lab": {"A": ["192.0.2.1"]},
    "broken.lab": "SERVFAIL",
    "quiet.lab": "SILENT",
}


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer(ZONE) as dns:
        yield dns


def resolve(dns: DnsServer, name: str, kind: str = "A", *, tcp: bool = False) -> dnslib.DNSRecord:
    question = dnslib.DNSRecord.question(name, kind)
    answer = dnslib.DNSRecord.parse(question.send(*dns.address, tcp=tcp, timeout=1))
    assert answer.header.id == question.header.id
    return answer


@pytest.mark.parametrize("tcp", [False, True])
def test_dns_answers_a_and_srv_with_the_target_beside(dns: DnsServer, tcp: bool) -> None:
    answer = resolve(dns, "sbc.lab", tcp=tcp)
    assert [(str(rr.rdata), rr.ttl) for rr in answer.rr] == [("198.51.100.10", 60)]
    assert (answer.header.qr, answer.header.ra, answer.header.aa, answer.header.rcode) == (1, 1, 0, 0)
    srv = resolve(dns, "_sip._udp.lab", "SRV", tcp=tcp)
    assert [str(rr.rdata) for rr in srv.rr] == ["10 60 5060 sbc.lab.", "20 0 5060 backup.lab."]
    assert [(str(rr.rname), str(rr.rdata)) for rr in srv.ar] == [("sbc.lab.", "198.51.100.10")]


def test_dns_tells_no_such_name_from_no_such_type(dns: DnsServer) -> None:
    gone, empty = resolve(dns, "nobody.lab"), resolve(dns, "sbc.lab", "TXT")
    assert (gone.header.rcode, len(gone.rr), len(gone.auth)) == (dnslib.RCODE.NXDOMAIN, 0, 1)
    assert (empty.header.rcode, len(empty.rr), len(empty.auth)) == (dnslib.RCODE.NOERROR, 0, 1)
    assert dnslib.QTYPE[empty.auth[0].rtype] == "SOA"


def test_dns_fails_as_told_by_name_and_as_a_whole(dns: DnsServer) -> None:
    assert resolve(dns, "broken.lab").header.rcode == dnslib.RCODE.SERVFAIL
    with pytest.raises(TimeoutError):
        resolve(dns, "quiet.lab")
    dns.set(rcode="REFUSED")
    assert resolve(dns, "sbc.lab").header.rcode == dnslib.RCODE.REFUSED
    assert [request.answer for request in dns.requests] == ["SERVFAIL", "silent", "REFUSED"]


def test_dns_answers_any_unique_name_under_a_star_in_the_askers_letters(dns: DnsServer) -> None:
    answer = resolve(dns, "U7q2.AnChor.lab")
    assert (str(answer.rr[0].rname), str(answer.rr[0].rdata)) == ("U7q2.AnChor.lab.", "192.0.2.1")
    assert str(answer.q.qname) == "U7q2.AnChor.lab."


@given(at=st.integers(0, 40), octets=st.binary(max_size=20), cut=st.integers(0, 20))
def test_a_dns_question_damaged_anywhere_never_stops_the_server(at: int, octets: bytes, cut: int) -> None:
    server = DnsServer(ZONE)
    whole = dnslib.DNSRecord.question("_sip._udp.lab", "SRV").pack()
    answer = server.answer(whole[:at] + octets + whole[at + cut :], ("127.0.0.1", 53), "udp")
    assert (answer is None) == (server.requests[0].answer in ("malformed", "silent"))


def test_dns_answers_with_its_own_code_whatever_code_the_question_carried(dns: DnsServer) -> None:
    question = bytearray(dnslib.DNSRecord.question("sbc.lab").pack())
    question[3] |= 15
    reply = dns.answer(bytes(question), ("127.0.0.1", 53), "udp")
    assert reply is not None
    assert dnslib.DNSRecord.parse(reply).header.rcode == dnslib.RCODE.NOERROR
    question[2] |= 2 << 3  # opcode STATUS
    reply = dns.answer(bytes(question), ("127.0.0.1", 53), "udp")
    assert reply is not None
    assert dnslib.DNSRecord.parse(reply).header.rcode == dnslib.RCODE.NOTIMP


def test_dns_survives_rubbish_and_notes_it(dns: DnsServer) -> None:
    shuffle = random.Random(1)
    question = dnslib.DNSRecord.question("sbc.lab").pack()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for length in range(40):
            client.sendto(shuffle.randbytes(length), dns.address)
            client.sendto(question[:length], dns.address)
    assert resolve(dns, "sbc.lab").header.rcode == 0
    assert sum(request.answer == "malformed" for request in dns.requests) > 40


@pytest.mark.parametrize(
    ("zone", "complaint"),
    [
        ({"a.lab": {"A": ["300.1.1.1"]}}, r"bad record in zone entry 'a.lab': A '300.1.1.1'"),
        ({"a.lab": "SERVFALI"}, r"unknown code 'SERVFALI' in zone entry 'a.lab'"),
    ],
)
def test_dns_refuses_a_wrong_zone_by_name(zone: dict[str, object], complaint: str) -> None:
    with pytest.raises(PeerError, match=complaint):
        DnsServer(zone)  # type: ignore[arg-type]


@pytest.mark.skipif(shutil.which("dig") is None, reason="dig is not installed (package dnsutils)")
def test_dns_satisfies_dig(dns: DnsServer) -> None:
    host, port = dns.address
    arguments = ["dig", f"@{host}", "-p", str(port), "+short", "+tries=1", "SRV", "_sip._udp.lab"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["10 60 5060 sbc.lab.", "20 0 5060 backup.lab."]


def sntp_exchange(server: SntpServer, version: int = 4) -> tuple[bytes, bytes, float]:
    """The transmit timestamp that was sent, the reply, and the offset in ms by RFC 5905 section 8."""
    token = random.Random(2).randbytes(8)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        t1 = time.time()
        client.sendto(bytes([version << 3 | 3]) + bytes(39) + token, server.address)
        reply = client.recv(1024)
        t4 = time.time()
    t2, t3 = (
        seconds - NTP_EPOCH_S + fraction / 2**32
        for seconds, fraction in (struct.unpack_from("!II", reply, at) for at in (32, 40))
    )
    return token, reply, ((t2 - t1) + (t3 - t4)) / 2 * 1000


def test_sntp_tells_the_time_with_the_askers_own_token() -> None:
    with SntpServer() as server:
        token, reply, offset_ms = sntp_exchange(server)
    assert len(reply) == 48
    assert (reply[0] >> 6, reply[0] >> 3 & 7, reply[0] & 7, reply[1]) == (0, 4, 4, 2)
    assert reply[24:32] == token
    assert abs(offset_ms) < 20
    assert server.requests[0].answer == "0 ms"


def test_sntp_is_wrong_unsynchronised_kissing_or_silent_as_told() -> None:
    with SntpServer() as server:
        server.set(offset_ms=-90_500, stratum=3, leap=3)
        _, reply, offset_ms = sntp_exchange(server, version=3)
        assert abs(offset_ms + 90_500) < 20
        assert (reply[0] >> 6, reply[0] >> 3 & 7, reply[1]) == (3, 3, 3)
        server.set(kiss="RATE")
        _, reply, _ = sntp_exchange(server)
        assert (reply[0] >> 6, reply[1], reply[12:16]) == (3, 0, b"RATE")
        server.set(kiss=None, silent=True)
        with pytest.raises(TimeoutError):
            sntp_exchange(server)


@pytest.mark.parametrize("request_octets", [b"", b"\x23" * 47, b"\x24" + bytes(47), b"\x0b" + bytes(47)])
def test_sntp_does_not_answer_what_is_no_client_request(request_octets: bytes) -> None:
    with SntpServer() as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.1)
        client.sendto(request_octets, server.address)
        with pytest.raises(TimeoutError):
            client.recv(100)
        assert server.requests[0].answer == "malformed"


def fetch(url: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=2) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, dict(problem.headers), problem.read()


def documents(page: StatusPage, name: str) -> dict[str, Any]:
    status, _, body = fetch(f"{page.url}/api/v2/{name}")
    assert status == 200
    document: dict[str, Any] = json.loads(body)
    return document


def test_the_status_page_tells_an_incident_from_its_post_to_its_end() -> None:
    with StatusPage() as page:
        assert documents(page, "summary.json")["status"] == {
            "indicator": "none",
            "description": "All Systems Operational",
        }
        incident = page.change("post_incident", name="Calls fail", impact="critical")
        summary = documents(page, "summary.json")
        assert summary["status"]["indicator"] == "critical"
        assert [each["id"] for each in summary["incidents"]] == [incident]
        page.change("post_update", entry_id=incident, status="monitoring")
        page.change("resolve", entry_id=incident)
        assert documents(page, "incidents/unresolved.json")["incidents"] == []
        (told,) = documents(page, "incidents.json")["incidents"]
    assert [update["status"] for update in told["incident_updates"]] == ["resolved", "monitoring", "investigating"]
    assert told["resolved_at"] >= told["monitoring_at"] >= told["created_at"]
    affected = [(change["old_status"], change["new_status"]) for change in _affected(told)]
    assert affected == [("operational", "major_outage"), ("major_outage", "operational")]


def _affected(incident: dict[str, list[dict[str, list[dict[str, str]]]]]) -> list[dict[str, str]]:
    updates = reversed(incident["incident_updates"])
    return [change for update in updates for change in update["affected_components"] or ()]


def test_the_status_page_posts_late_dates_back_edits_and_deletes_without_a_trace() -> None:
    with StatusPage() as page:
        incident = page.change(
            "post_incident",
            name="Calls fail",
            created_at="2026-03-02T10:40:00+00:00",
            started_at="2026-03-02T10:02:00+00:00",
        )
        (before,) = documents(page, "incidents.json")["incidents"]
        assert (before["created_at"], before["started_at"]) == ("2026-03-02T10:40:00.000Z", "2026-03-02T10:02:00.000Z")
        page.change("edit", entry_id=incident, impact="minor", started_at="2026-03-02T10:30:00+00:00")
        page.change("edit_update", entry_id=incident, number=0, body="Some calls may be affected.")
        (after,) = documents(page, "incidents.json")["incidents"]
        assert (after["impact"], after["started_at"]) == ("minor", "2026-03-02T10:30:00.000Z")
        assert after["updated_at"] == before["updated_at"]
        assert after["incident_updates"][0]["body"] == "Some calls may be affected."
        page.change("delete", entry_id=incident)
        assert documents(page, "incidents.json")["incidents"] == []


def test_the_status_page_announces_maintenance_apart_from_incidents() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=-8))
    with StatusPage(StatusBoard(zone=zone)) as page:
        when = {"scheduled_for": "2026-03-02T09:00:00Z", "scheduled_until": "2026-03-02T09:30:00Z"}
        work = page.change("schedule_maintenance", name="SBC upgrade", **when)
        page.change("post_update", entry_id=work, status="in_progress", component_status="under_maintenance")
        (told,) = documents(page, "scheduled-maintenances.json")["scheduled_maintenances"]
        assert told["scheduled_for"] == "2026-03-02T01:00:00.000-08:00"
        assert documents(page, "incidents.json")["incidents"] == []
        assert documents(page, "components.json")["components"][0]["status"] == "under_maintenance"
        page.change("post_update", entry_id=work, status="completed")
        assert documents(page, "summary.json")["scheduled_maintenances"] == []


def test_incidents_json_holds_the_50_newest_only() -> None:
    board = StatusBoard()
    ids = [board.post_incident(f"incident {number}") for number in range(53)]
    assert [each["id"] for each in board.documents()["incidents.json"]["incidents"]] == ids[:2:-1]


def test_a_conditional_get_is_304_until_something_changes() -> None:
    with StatusPage() as page:
        url = f"{page.url}/api/v2/incidents.json"
        _, headers, _ = fetch(url)
        assert headers["ETag"].startswith('W/"')
        assert fetch(url, {"If-None-Match": headers["ETag"]})[::2] == (304, b"")
        page.change("post_incident", name="Calls fail")
        assert fetch(url, {"If-None-Match": headers["ETag"]})[0] == 200
        assert [request.answer for request in page.requests] == ["200", "304", "200"]


def test_the_status_page_fails_as_told() -> None:
    with StatusPage() as page:
        page.set(code=429, retry_after_s=30)
        status, headers, _ = fetch(f"{page.url}/api/v2/summary.json")
        assert (status, headers["Retry-After"]) == (429, "30")
        page.set(code=None, silent=True)
        with socket.create_connection(page.address, timeout=0.2) as client:
            client.sendall(b"GET /api/v2/summary.json HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(TimeoutError):
                client.recv(1)
        page.set(silent=False)
        assert fetch(f"{page.url}/api/v2/nothing.json")[0] == 404


def test_a_wrong_change_of_the_status_page_is_refused_by_name() -> None:
    board = StatusBoard()
    with pytest.raises(UnknownEntry, match="no component 'Fax'"):
        board.post_incident("x", components=["Fax"])
    with pytest.raises(UnknownEntry, match="no entry 'lab9'"):
        board.resolve("lab9")
    with pytest.raises(UnknownEntry, match="no field 'color'"):
        board.edit(board.post_incident("x"), color="red")
    with pytest.raises(PeerError, match="cannot 'explode'"):
        StatusPage(board).change("explode")


def stamp(authority: TimestampAuthority, query: bytes) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/timestamp-query"}
    request = urllib.request.Request(authority.url, data=query, headers=headers)
    with urllib.request.urlopen(request, timeout=5) as response:
        return response.status, response.read()


def test_a_timestamp_verifies_with_rfc3161_client_and_not_for_other_data() -> None:
    with TimestampAuthority() as authority:
        request = TimestampRequestBuilder().data(b"root of Monday").hash_algorithm(HashAlgorithm.SHA256).build()
        status, reply = stamp(authority, request.as_bytes())
        _, _, root = fetch(f"{authority.url}/ca.pem")
    assert status == 200
    response = decode_timestamp_response(reply)
    assert response.tst_info.policy.dotted_string == POLICY
    assert abs((response.tst_info.gen_time - datetime.datetime.now(datetime.UTC)).total_seconds()) < 5
    verifier = VerifierBuilder.from_request(request).add_root_certificate(x509.load_pem_x509_certificate(root)).build()
    assert verifier.verify_message(response, b"root of Monday")
    with pytest.raises(VerificationError, match="Mismatch between messages"):
        verifier.verify_message(response, b"root of Tuesday")


def test_a_timestamp_verifies_with_openssl_and_serial_numbers_rise(tmp_path: Path) -> None:
    data, query, reply = tmp_path / "data", tmp_path / "q.tsq", tmp_path / "r.tsr"
    data.write_bytes(b"root of Monday")
    make = ["openssl", "ts", "-query", "-data", str(data), "-sha512", "-cert", "-out", str(query)]
    subprocess.run(make, check=True, capture_output=True)
    with TimestampAuthority(tmp_path / "tsa") as authority:
        replies = [stamp(authority, query.read_bytes())[1] for _ in range(2)]
    serials = [decode_timestamp_response(each).tst_info.serial_number for each in replies]
    assert serials[1] == serials[0] + 1
    reply.write_bytes(replies[0])
    verify = ["openssl", "ts", "-verify", "-in", str(reply), "-CAfile", str(authority.root), "-data", str(data)]
    assert "Verification: OK" in subprocess.run(verify, capture_output=True, text=True, check=False).stdout
    data.write_bytes(b"root of Tuesday")
    assert subprocess.run(verify, capture_output=True, check=False).returncode != 0


def test_the_timestamp_authority_refuses_rubbish_and_fails_as_told() -> None:
    with TimestampAuthority() as authority:
        with pytest.raises(urllib.error.HTTPError, match="415"):
            urllib.request.urlopen(authority.url, data=b"x", timeout=5).close()
        assert decode_timestamp_response(stamp(authority, b"no request")[1]).status == REJECTION
        authority.set(code=503)
        with pytest.raises(urllib.error.HTTPError, match="503"):
            stamp(authority, b"")


def test_tcp_echoes_stays_silent_closes_and_refuses_as_told() -> None:
    with TcpEcho() as echo:
        with socket.create_connection(echo.address, timeout=0.3) as client:
            client.sendall(b"ping")
            assert client.recv(10) == b"ping"
            echo.set(silent=True)
            client.sendall(b"ping")
            with pytest.raises(TimeoutError):
                client.recv(10)
        echo.set(close=True)
        with socket.create_connection(echo.address, timeout=1) as client:
            assert client.recv(10) == b""
        echo.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(echo.address, timeout=1)


@pytest.mark.parametrize("tls", [False, True])
def test_stopping_ends_open_connections_as_a_dead_process_would(tmp_path: Path, tls: bool) -> None:
    authority = Authority(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue_server("edge", ("127.0.0.1",)))
    with TcpEcho(tls=server if tls else None) as echo:
        client = socket.create_connection(echo.address, timeout=2)
        if tls:
            trust = ssl.create_default_context(cafile=str(authority.path))
            client = trust.wrap_socket(client, server_hostname="127.0.0.1")
        with client:
            client.sendall(b"ping")
            assert client.recv(10) == b"ping"
            echo.stop()
            with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
                assert client.recv(10) == b""


def test_tls_is_checked_against_the_labs_own_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue_server("edge", ("127.0.0.1", "sbc.lab"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    assert key.stat().st_mode & 0o777 == 0o600
    with TcpEcho(tls=server) as echo:
        for trusted, name in ((True, "sbc.lab"), (True, "127.0.0.1"), (True, "evil.lab"), (False, "sbc.lab")):
            client = ssl.create_default_context(cafile=str(authority.path) if trusted else None)
            with socket.create_connection(echo.address, timeout=2) as connection:
                if trusted and name != "evil.lab":
                    with client.wrap_socket(connection, server_hostname=name) as secure:
                        secure.sendall(b"ping")
                        assert secure.recv(10) == b"ping"
                else:
                    with pytest.raises(ssl.SSLCertVerificationError):
                        client.wrap_socket(connection, server_hostname=name)


def test_a_taken_port_and_a_wrong_setting_are_refused_in_one_line() -> None:
    with TcpEcho() as echo:
        with pytest.raises(PeerError, match=r"tcp cannot listen on 127\.0\.0\.1:\d+: .*in use; try another port"):
            TcpEcho(port=echo.address[1]).start()
        with pytest.raises(PeerError, match="tcp has no setting 'slow'; try one of silent, delay_ms, close"):
            echo.set(slow=1)
        with pytest.raises(PeerError, match="runs already"):
            echo.start()


def test_the_request_log_carries_both_clocks() -> None:
    with TcpEcho() as echo:
        before = time.monotonic_ns() // 1000, time.time_ns() // 1000
        socket.create_connection(echo.address, timeout=1).close()
        deadline = time.monotonic() + 2
        while not echo.requests and time.monotonic() < deadline:
            time.sleep(0.01)
    (request,) = echo.requests
    assert 0 <= request.at_us - before[0] < 1_000_000
    assert 0 <= request.at_unix_us - before[1] < 1_000_000
