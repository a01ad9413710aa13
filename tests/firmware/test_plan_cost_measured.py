"""What `linewitness plan cost` says of a plan is what a board then sends, within a tenth: windows, the rest, and what
a batch of a minute takes; and that ten quiet minutes in one take hardly more than half of what they took apart."""

from __future__ import annotations

from pathlib import Path

from collector import Batch
from virtual_office import BROKER, TIME, VirtualOffice, default_targets, make_plan

from linewitness.cost import HEADER_OCTETS, Cost, cost
from linewitness_wire import bodies, plan
from simulations.board.packets import Packet
from witness import tally, wide

WARM_UP_S, MEASURED_S = 110, 240
ACK_OCTETS = 40  # the emulation carries TCP's octets without bare acknowledgements
STAMP_PORT = 862
KINDS = {"udp": ("dns", "sip_udp", "ntp"), "icmp": ("icmp",), "tcp": ("tcp", "mqtt")}  # beside windows


def octets(packets: list[Packet], direction: str) -> int:
    """Octets of packets in a direction, and of the acknowledgements of TCP's in the other."""
    sizes = (p.size_octets if p.direction == direction else ACK_OCTETS if p.protocol == "tcp" else 0 for p in packets)
    return sum(sizes)


def said(found: Cost, methods: tuple[str, ...], direction: str) -> float:
    hourly = sum(getattr(line.hourly, f"octets_{direction}") for line in found.lines if line.method in methods)
    return float(hourly) * MEASURED_S / 3600


def test_what_a_plan_costs_is_what_a_board_sends(tmp_path: Path) -> None:
    octets_of_plan = make_plan(default_targets())
    found = cost(plan.decode_plan(octets_of_plan))
    with VirtualOffice(tmp_path, octets_of_plan, "pico-w") as office:
        office.run_s(WARM_UP_S)
        log = office.network.crossing.log
        first = log.count
        office.run_s(MEASURED_S)
        packets = log.since(first)
        minutes = [batch for batch in office.batches[2:] if not batch.body.events]
    assert {p.verdict for p in packets} <= {"delivered", "on its way"}
    assert {BROKER, *TIME} <= {node.address for node in office.network.topology.nodes.values()}
    for direction in ("up", "down"):
        windows = [p for p in packets if p.protocol == "udp" and p.port == STAMP_PORT and p.direction == direction]
        expected = said(found, ("stamp",), direction)
        # Whole windows, one more or less at the ends of the time measured.
        assert abs(sum(p.size_octets for p in windows) - expected) <= 1.1 * 250 * 200
        assert {p.size_octets for p in windows} == {200}
        rest = [p for p in packets if p.protocol != "udp" or p.port != STAMP_PORT]
        everything = sum(said(found, methods, direction) for methods in KINDS.values())
        assert abs(everything / octets(rest, direction) - 1) < 0.1
        if direction == "up":  # how long a reply is, is the peer's choice
            for protocol in ("udp", "icmp"):
                measured = octets([p for p in rest if p.protocol == protocol], direction)
                assert abs(said(found, KINDS[protocol], direction) / measured - 1) < 0.1, protocol
    assert len(minutes) >= 3
    for batch in minutes:
        assert batch.octets <= 1_000
        assert abs((found.batch_octets - HEADER_OCTETS) / batch.header.counts[2] - 1) < 0.1
    assert octets_of_ten(minutes) <= 600


def octets_of_ten(minutes: list[Batch]) -> int:
    """Octets of the batch that ten quiet minutes are joined into, the last of these over and over."""
    header, body = minutes[-1].header, minutes[-1].body
    long_us = header.end_us - header.start_us
    joined = tally.Batch(0, long_us, body, True)
    for i in range(1, 10):
        joined = wide.join(joined, tally.Batch(i * long_us, (i + 1) * long_us, body, True))
        assert joined is not None
    around = minutes[-1].octets - header.counts[2]
    return around + len(bodies.encode(joined.body, joined.end_us - joined.start_us))
