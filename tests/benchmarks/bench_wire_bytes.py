"""Octets on the wire per hour of the plan that `linewitness site add` makes, each way, beside one phone call.

    python tests/benchmarks/bench_wire_bytes.py [--minutes 4]

A flashed and enrolled board runs the default plan (with the provider's edge and reflector, our reflector, a second
provider and the ISP's first hop named; without UPnP, which the emulated gateway has not) in an emulated branch without
faults. Beside it stands what `linewitness plan cost` says; the sum has to be within a tenth.

Every packet of some whole minutes, counted from the emulation's own log after the connection to the broker stands, is
extrapolated to an hour. Octets are those of IP packets with headers, the framing of Ethernet or Wi-Fi left out. The
emulation carries TCP's octets without bare acknowledgements, so one of 40 octets is added for each TCP packet: more
than a real stack sends.

The baseline is one G.711 call, 50 packets a second of 200 octets each way (80 kbit/s); ratio is ours, both ways, over
the call's. Prints a table and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from machine import machine
from one_branch import SITE, WITNESS, one_branch

from linewitness.config import Table
from linewitness.cost import cost
from linewitness.fleet import Fleet
from linewitness.plan import compile_plan
from linewitness_wire import plan as wire

EDGE, REFLECTOR, ISP_HOP, BROKER = "198.51.100.10", "203.0.113.50", "100.64.10.1", "203.0.113.5"
ANCHORS = ("1.1.1.1", "8.8.8.8", "9.9.9.9")
TIME_SERVERS = {
    "time.cloudflare.com": "192.0.2.123",
    "time.google.com": "203.0.113.123",
    "ptbtime1.ptb.de": "198.18.0.123",
}
ZONE = {name: {"A": [address]} for name, address in TIME_SERVERS.items()} | {"example.com": {"A": ["192.0.2.80"]}}
MEDIA, SECOND = "198.51.100.20", "198.51.100.200"
AROUND = (
    *("--edge", EDGE, "--reflector", REFLECTOR, "--isp-hop", ISP_HOP),
    *("--media", MEDIA, "--second-edge", SECOND),
)
TOLERANCE = 0.1
CALL_OCTETS_A_SECOND = 50 * 200
ACK_OCTETS = 40
DIRECTIONS = ("up", "down")
OPPOSITE = {"up": "down", "down": "up"}
OTHERWISE = {"icmp": "ICMP echo", "tcp": "TCP connects"}
WHAT = {53: "DNS", 123: "SNTP", 862: "STAMP windows", 5060: "SIP OPTIONS"}  # UDP ports
KINDS = {"icmp": "ICMP echo", "tcp": "TCP connects", "dns": "DNS", "ntp": "SNTP", "stamp": "STAMP windows",
         "sip_udp": "SIP OPTIONS", "mqtt": "MQTT"}  # fmt: skip


def network(ports: dict[str, int]) -> dict[str, Any]:
    """Return a branch in which everything of the default plan answers."""

    def peer(name: str) -> str:
        return f"127.0.0.1:{ports[name]}"

    near = ["lan", "access"]
    nodes: dict[str, Any] = {
        "gateway": {"address": "192.168.10.1", "via": ["lan"], "udp": {"53": peer("dns")}},
        "isp-hop": {"address": ISP_HOP, "via": near},
        "edge": {
            "address": EDGE,
            "via": near,
            "udp": {"5060": peer("sip")},
            "tcp_peers": {"5060": peer("sip")},
        },
        "reflector": {"address": REFLECTOR, "via": near, "udp": {"862": peer("reflector")}},
        "media": {"address": MEDIA, "via": near, "udp": {"862": peer("media")}},
        "second": {"address": SECOND, "via": near, "udp": {"5060": peer("second_sip")}},
        "broker": {"address": BROKER, "via": near, "tcp_peers": {str(ports["broker"]): peer("broker")}},
    }
    for address in ANCHORS:
        anchor = {"address": address, "via": near, "udp": {"53": peer("dns")}, "tcp_peers": {"443": peer("tcp")}}
        nodes[f"anchor-{address}"] = anchor
    for i, address in enumerate(TIME_SERVERS.values(), 1):
        nodes[f"time-{i}"] = {"address": address, "via": near, "udp": {"123": peer(f"sntp{i}")}}
    return {
        "mode": "emulated", "address": "192.168.10.50", "gateway": "192.168.10.1", "dns": "192.168.10.1", "seed": 1,
        "links": {"lan": {"delay_ms": 0.5}, "access": {"delay_ms": 8, "jitter_ms": 1}}, "nodes": nodes,
    }  # fmt: skip


def kind(packet: dict[str, Any]) -> str:
    """Return what a packet of the log is part of."""
    if packet["node"] == "broker":
        return "MQTT"
    if packet["protocol"] in OTHERWISE:
        return OTHERWISE[packet["protocol"]]
    return WHAT[packet["port"]]


def octets_by_kind(packets: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return kind -> direction -> octets, TCP's bare acknowledgements added."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(DIRECTIONS, 0))
    for packet in packets:
        sums[kind(packet)][packet["direction"]] += packet["size_octets"]
        if packet["protocol"] == "tcp":
            sums[kind(packet)][OPPOSITE[packet["direction"]]] += ACK_OCTETS
    return dict(sums)


def without_upnp(table: Table) -> None:
    """Leave out of a site what the emulated gateway can't answer."""
    table["target"] = [target for target in table["target"] if target["method"] != "igd"]


def predicted(folder: Path) -> dict[str, dict[str, float]]:
    """Return kind -> direction -> octets an hour as `linewitness plan cost` has them."""
    site = Fleet.open(folder).site(SITE)
    sums: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(DIRECTIONS, 0.0))
    for line in cost(wire.decode_plan(compile_plan(site, WITNESS, 0))).lines:
        if line.method in KINDS:
            sums[KINDS[line.method]]["up"] += line.hourly.octets_up
            sums[KINDS[line.method]]["down"] += line.hourly.octets_down
    return dict(sums)


def measure(folder: Path, minutes: int) -> tuple[list[dict[str, Any]], int, dict[str, dict[str, float]]]:
    """Return (packets of so many minutes, octets with the broker from boot to the first batch, the plan's cost)."""
    with one_branch(folder, network, BROKER, site=AROUND, zone=ZONE, change=without_upnp) as branch:
        expected = predicted(branch.stage.fleet)
        before = branch.board.client.packets()
        time.sleep(minutes * 60)
        packets = branch.board.client.packets(since=before[-1]["number"] + 1)
        made = branch.batches()
    first_us = packets[0]["t_in_us"]
    lost = [packet for packet in packets if packet["verdict"] not in ("delivered", "on its way")]
    assert not lost, f"a network without faults lost {len(lost)} packets, the first: {lost[0]}"
    assert made >= minutes, f"{made} batches of {SITE}/{WITNESS} in {minutes} minutes"
    within = [packet for packet in packets if packet["t_in_us"] < first_us + minutes * 60_000_000]
    return within, sum(packet["size_octets"] for packet in before if packet["node"] == "broker"), expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=4)
    options = parser.parse_args()
    here = machine()
    print(here)
    with tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder:
        packets, connecting, expected = measure(Path(folder) / "branch", options.minutes)
    hours = options.minutes / 60
    sums = octets_by_kind(packets)
    total = {direction: sum(row[direction] for row in sums.values()) for direction in DIRECTIONS}
    print(f"default plan, {len(packets)} packets in {options.minutes} minutes, extrapolated to an hour (octets):")
    print(f"{'':16}{'up':>12}{'down':>12}{'share':>8}{'plan cost up':>14}{'down':>12}")
    for name, row in sorted(sums.items(), key=lambda item: -sum(item[1].values())):
        share = sum(row.values()) / sum(total.values())
        said = expected[name]
        print(
            f"{name:16}{row['up'] / hours:12.0f}{row['down'] / hours:12.0f}{share:8.1%}"
            f"{said['up']:14.0f}{said['down']:12.0f}"
        )
    hourly = {direction: round(octets / hours) for direction, octets in total.items()}
    call = CALL_OCTETS_A_SECOND * 3600
    said_all = {direction: sum(row[direction] for row in expected.values()) for direction in DIRECTIONS}
    off = {direction: said_all[direction] / hourly[direction] - 1 for direction in DIRECTIONS}
    print(f"{'all':16}{hourly['up']:12}{hourly['down']:12}{'':8}{said_all['up']:14.0f}{said_all['down']:12.0f}")
    print(f"plan cost is off by {off['up']:+.1%} up and {off['down']:+.1%} down")
    print(f"{'a G.711 call':16}{call:12}{call:12}")
    for direction, octets in hourly.items():
        print(f"{direction}: {octets * 8 / 3600 / 1000:.1f} kbit/s on average; a call has 80")
    print(f"besides, once a boot: {connecting} octets both ways with the broker until the second batch is stored")
    figures = {
        "minutes": options.minutes,
        "up_octets_per_hour": hourly["up"],
        "down_octets_per_hour": hourly["down"],
        "mqtt_up_octets_per_hour": round(sums["MQTT"]["up"] / hours),
        "mqtt_down_octets_per_hour": round(sums["MQTT"]["down"] / hours),
        "plan_cost_off_up": round(off["up"], 4),
        "plan_cost_off_down": round(off["down"], 4),
        "mqtt_share": round(sum(sums["MQTT"].values()) / sum(total.values()), 4),
    }
    result = {
        "benchmark": "wire_bytes", "machine": here, "figures": figures, "baseline": 2 * call,
        "ratio": round(sum(hourly.values()) / (2 * call), 4),
    }  # fmt: skip
    print(json.dumps(result))
    assert max(abs(value) for value in off.values()) < TOLERANCE, f"plan cost is off by {off}"


if __name__ == "__main__":
    main()
