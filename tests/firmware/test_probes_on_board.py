"""Every probe on the virtual board: the firmware's own source on each machine, packets over emulated links."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import pytest
from on_board import PRELUDE
from peers import Reflector, dns_record, dns_response, sip_response, udp_peer

from linewitness_wire import codes
from simulations.board.harness import available_vms, package_files, run_on_board

MAIN = (
    PRELUDE
    + """
from witness.probes.dns import Dns
from witness.probes.icmp import Icmp
from witness.probes.sip import Sip
from witness.probes.stamp import Stamp
from witness.probes.tcp import Tcp
from witness.resolver import Resolver

def target(method, port=0, options={}):
    return plan.Target("t", 7, method, 0, "edge", port, 1000, 1000, 400, options)

async def main():
    link, clock = await begin()
    quiet = sockets.Quiet()
    control = sockets.Datagram(socket, clock, link, 1500, quiet)
    media = sockets.Datagram(socket, clock, link, 600)
    raw = sockets.Icmp(socket, clock, link)
    run(control, media, raw)
    icmp, dns = Icmp(raw, clock, os.urandom), Dns(control, clock, os.urandom)
    tcp, sip = Tcp(socket, clock, link), Sip(control, clock, os.urandom, "noc@example.com", {})
    stamp = Stamp(media, quiet, clock, os.urandom, {})
    resolver = Resolver(control, clock, os.urandom, ["192.168.1.1"])
    edge, hole = "198.51.100.10", "198.51.100.66"
    name = {plan.OPTION_NAME: "edge.example.net"}
    told = {"address": list(await resolver.address("edge.example.net"))}
    for what, probe, target_, address in (
        ("icmp", icmp, target(codes.METHOD_ICMP), edge),
        ("icmp hole", icmp, target(codes.METHOD_ICMP), hole),
        ("dns", dns, target(codes.METHOD_DNS, 0, name), "192.168.1.1"),
        ("tcp", tcp, target(codes.METHOD_TCP, 5061), edge),
        ("tcp refused", tcp, target(codes.METHOD_TCP, 81), edge),
        ("tcp hole", tcp, target(codes.METHOD_TCP, 81), hole),
        ("sip", sip, target(codes.METHOD_SIP_UDP, 0, name), edge),
    ):
        told[what] = []
        counted = 0
        while counted < 3 and len(told[what]) < 60:  # a busy computer's stalls make samples void
            told[what].append(list(await probe.run(target_, address)))
            counted += told[what][-1][0] != codes.FATE_VOID
    for windows in range(1, 6):
        window = await stamp.run(target(codes.METHOD_STAMP, 0, {plan.OPTION_PACKETS: 50}), edge)
        if window[record.SELF_DELAYED] <= 23:  # two may be lost besides
            break
    told["windows"] = windows
    window[record.TARGET] = 0
    record.check_reading(window)
    told["window"] = {record.reading_name(key): value for key, value in window.items()}
    print(json.dumps(told))

asyncio.run(main())
"""
)


def office(**ports: int) -> dict[str, Any]:
    """A gateway with DNS one link away, and a provider's edge three links away: 2 ms each way on each link."""
    here = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    return {
        "mode": "emulated",
        "address": "192.168.1.50",
        "links": {name: {"delay_ms": 2} for name in ("lan", "router", "access")},
        "nodes": {
            "gateway": {"address": "192.168.1.1", "via": ["lan"], "udp": {"53": here["dns"]}},
            "edge": {
                "address": "198.51.100.10",
                "via": ["lan", "router", "access"],
                "udp": {"5060": here["sip"], "862": here["stamp"]},
                "tcp_peers": {"5061": here["tcp"]},
            },
            "hole": {"address": "198.51.100.66", "via": ["lan"], "tcp": "drop", "icmp": False},
        },
    }


def usual(samples: list[Any], fate: int, code: int | None, least_us: int) -> bool:
    """Return whether three samples that count are of one fate, none too fast; the computer's stalls make more void."""
    counted = [s for s in samples if s[0] != codes.FATE_VOID]
    fast = [s for s in counted if s[2] is not None and s[2] < least_us]
    return len(counted) == 3 and not fast and {(s[0], s[3]) for s in counted} == {(fate, code)}


@pytest.mark.parametrize("vm", available_vms())
def test_every_probe_measures_over_the_emulated_links(vm: str) -> None:
    records = (dns_record(1, 60, bytes([198, 51, 100, 10])),)
    with (
        udp_peer(lambda query, n: [dns_response(query, records=records)]) as (dns, _),
        udp_peer(lambda request, n: [sip_response(request, 200)]) as (sip, _),
        udp_peer(Reflector(drop_in=(10, 11))) as (stamp, received),
        socket.create_server(("127.0.0.1", 0)) as tcp,
    ):
        network = office(dns=dns, sip=sip, stamp=stamp, tcp=tcp.getsockname()[1])
        files = {**package_files("firmware/linewitness_wire"), **package_files("firmware/witness")}
        told = json.loads(run_on_board(vm, files, MAIN, network=network, timeout_s=60).splitlines()[-1])
    assert told["address"] == ["198.51.100.10", False]
    assert usual(told["icmp"], codes.FATE_ANSWERED, None, 12_000)
    assert usual(told["icmp hole"], codes.FATE_LOST, None, 0)
    assert usual(told["dns"], codes.FATE_ANSWERED, None, 4_000)
    assert usual(told["tcp"], codes.FATE_ANSWERED, None, 12_000)
    assert usual(told["tcp refused"], codes.FATE_WRONG, -111, 12_000)
    assert usual(told["tcp hole"], codes.FATE_LOST, None, 0)
    assert usual(told["sip"], codes.FATE_ANSWERED, None, 12_000)
    window = told["window"]
    assert [struct.unpack(">I", packet[:4])[0] for packet in received] == list(range(50)) * told["windows"]
    assert window["sent"] == 50
    assert window["answered"] + window["self_delayed"] in (48, 49, 50)
    assert window["answered"] >= 25
    assert window["rtt_us"][0] >= 12_000
    assert window["duplicate"] == window["malformed"] == 0
