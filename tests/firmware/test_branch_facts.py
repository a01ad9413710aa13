"""What the whole witness learns of a branch: devices by hash, authenticated windows, public address, roaming, manners.

One story on one board, told in the order of the tests; the last on another board with another key.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from virtual_office import EDGE, REFLECTOR, TIME, VirtualOffice, make_plan, target

from linewitness.reflector import Reflector
from linewitness_wire import bodies, codes, plan, record

PHONE, STUN, KEY, SALT = "192.168.1.30", "192.0.2.34", bytes(range(16, 48)), b"salt of leeds"
USUAL, BACKUP = (203, 0, 113, 7), (198, 18, 7, 9)
PRIVATE = plan.private_host(SALT, PHONE)
SECOND_US = 1_000_000
WINDOW = {plan.OPTION_PACKETS: 50, plan.OPTION_INTERVAL_MS: 20, plan.OPTION_PAYLOAD: 172, plan.OPTION_SECRET: "stamp"}
GAP = {plan.OPTION_GAP_MS: 1000}
SECOND = {"period_ms": 1_000, "fast_period_ms": 1_000, "timeout_ms": 500}
TARGETS = [
    target("link", codes.SEGMENT_LAN, codes.METHOD_LINK, ""),
    target("phone", codes.SEGMENT_ENDPOINT, codes.METHOD_ICMP, PRIVATE),
    target("phone-sip", codes.SEGMENT_ENDPOINT, codes.METHOD_SIP_UDP, PRIVATE),
    target("public", codes.SEGMENT_ACCESS, codes.METHOD_STUN, STUN, period_ms=10_000,
           options={plan.OPTION_USUAL: "203.0.113.0/24"}),
    target("ntp", codes.SEGMENT_TRANSIT, codes.METHOD_NTP, TIME[0]),
    target("edge", codes.SEGMENT_PROVIDER, codes.METHOD_ICMP, EDGE, options=GAP, **SECOND),
    target("edge-sip", codes.SEGMENT_PROVIDER, codes.METHOD_SIP_UDP, EDGE, 5060, options=GAP, **SECOND),
    target("edge-tcp", codes.SEGMENT_PROVIDER, codes.METHOD_TCP, EDGE, 5060, options=GAP, **SECOND),
    target("reflector", codes.SEGMENT_TRANSIT, codes.METHOD_STAMP, REFLECTOR, 862, period_ms=15_000,
           fast_period_ms=15_000, options=WINDOW),
]  # fmt: skip


class StunServer:
    """RFC 8489 Binding: says from which public address it was asked."""

    def __init__(self) -> None:
        self.address = USUAL

    def datagram(self, data: bytes, source: Any, now_us: int) -> list[tuple[int, bytes]]:
        masked = bytes(a ^ b for a, b in zip(self.address, data[4:8], strict=True))
        return [(0, b"\x01\x01\x00\x0c" + data[4:20] + b"\x00\x20\x00\x08\x00\x01\x12\x34" + masked)]


class AuthenticatedReflector:
    """Our own session-reflector with a key."""

    def __init__(self, key: bytes) -> None:
        self.ours = Reflector(key=key)

    def datagram(self, data: bytes, source: Any, now_us: int) -> list[tuple[int, bytes]]:
        at_ns = 1_800_000_000_000_000_000 + now_us * 1000
        answer = self.ours.answer(data, ("192.168.1.50", 4000), 64, at_ns, lambda: at_ns, now_us / 1e6)
        return [] if answer is None else [(0, answer)]


class Branch(VirtualOffice):
    """The office with a phone, a STUN server and a reflector that answers only who knows its key."""

    def _network(self) -> dict[str, Any]:
        network = super()._network()
        network["nodes"]["phone"] = {"address": PHONE, "via": ["lan"], "udp": {"5060": "python:phone"}}
        network["nodes"]["stun"] = {"address": STUN, "via": ["lan", "access"], "udp": {"3478": "python:stun"}}
        return network

    def _make_peers(self, tls: bool) -> None:
        super()._make_peers(tls)
        self.stun, self.authenticated = StunServer(), AuthenticatedReflector(KEY)
        self.network.peers.put("stun", self.stun)
        self.network.peers.put("phone", self.sip)
        self.network.peers.put("stamp", self.authenticated)

    def events(self, kind: int) -> list[list[Any]]:
        return [event[2:] for batch in self.batches for event in batch.events(kind)]

    def readings(self, name: str) -> list[dict[int, Any]]:
        return [reading for batch in self.batches for reading in batch.readings(name, TARGETS)]

    def packets(self, node: str, since_us: int) -> list[int]:
        """When each packet to a node was sent; a TCP connect counts once."""
        sent = [p for p in self.network.crossing.log._packets if p.direction == "up" and p.node == node]
        times = sorted(p.t_in_us for p in sent if p.t_in_us >= since_us)
        return [at for before, at in itertools.pairwise([-SECOND_US, *times]) if at - before > 200_000]


def branch(folder: Path, profile: str, key: str = KEY.hex()) -> Branch:
    config = {"secrets": {"stamp": key}, "hosts": {PRIVATE: PHONE}}
    return Branch(folder, make_plan(TARGETS, batch_s=30), profile, tls=False, config=config)


pytestmark = pytest.mark.xdist_group("branch facts")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Branch]:
    with branch(tmp_path_factory.mktemp("branch"), "pico-w") as office:
        office.run_s(100)
        yield office


def test_everything_of_the_branch_is_measured(office: Branch) -> None:
    for name in ("phone", "phone-sip", "public", "ntp", "edge", "reflector"):
        answered = sum(reading[record.ANSWERED] for reading in office.readings(name))
        sent = sum(reading[record.SENT] - reading.get(record.SELF_DELAYED, 0) for reading in office.readings(name))
        assert (name, answered) == (name, sent) != (name, 0)
    synchronised = [r for r in office.readings("ntp") if record.OFFSET_US in r]
    assert synchronised
    assert all(abs(r[record.OFFSET_US]) <= r[record.ROOT_DISTANCE_US] + 50_000 for r in synchronised)


def test_no_batch_holds_a_device_s_address(office: Branch) -> None:
    octets = bytes(map(int, PHONE.split(".")))
    for batch in office.batches:
        assert PHONE.encode() not in batch.sign1.payload
        assert octets not in batch.sign1.payload + bodies.encode(batch.body, 0)
        assert not any(record.PEER in reading for reading in batch.body.readings)  # the plan has the others' addresses


def test_an_authenticated_reflector_takes_every_packet(office: Branch) -> None:
    counters = office.authenticated.ours.counters
    assert (counters.refused_packet, counters.refused_source) == (0, 0)
    assert counters.reflected >= 150
    assert not any(record.DUPLICATE in reading for reading in office.readings("reflector"))


def test_the_provider_is_asked_at_most_once_a_second_by_all_methods_together(office: Branch) -> None:
    times = office.packets("edge", 20 * SECOND_US)
    assert min(after - before for before, after in itertools.pairwise(times)) >= 0.9 * SECOND_US
    assert len(times) > 60


def test_a_change_of_channel_without_a_loss_of_the_link_is_told(office: Branch) -> None:
    office.device.nic.values["channel"] = 11
    office.run_s(35)
    assert office.events(codes.EVENT_ROAMED) == [[6, 11]]
    assert office.events(codes.EVENT_LINK_DOWN) == []


def test_on_backup_access_the_windows_stop_until_the_usual_line_is_back(office: Branch) -> None:
    office.stun.address = BACKUP
    office.run_s(30)
    begun = office.authenticated.ours.counters.reflected
    office.run_s(40)
    assert office.authenticated.ours.counters.reflected == begun > 0
    office.stun.address = USUAL
    office.run_s(70)
    assert office.authenticated.ours.counters.reflected > begun
    addresses = [octets for _, octets in office.events(codes.EVENT_PUBLIC_ADDRESS)]
    assert addresses == [bytes(USUAL), bytes(BACKUP), bytes(USUAL)]
    assert office.events(codes.EVENT_BACKUP) == [[1], [0]]


def test_a_failing_provider_is_asked_ever_more_rarely_and_at_once_again(office: Branch) -> None:
    office.link("provider", down=True)
    failed_us = office.now_us
    office.run_s(160)
    office.link("provider", down=False)
    back_us = office.now_us
    office.run_s(50)
    times = office.packets("edge", failed_us + 75 * SECOND_US)
    failing = [at for at in times if at < back_us]
    assert len(failing) >= 6
    assert min(after - before for before, after in itertools.pairwise(failing)) >= 9.5 * SECOND_US
    assert len([at for at in times if at > back_us + 12 * SECOND_US]) > 30
    assert {5, 6, 7} <= {target_ for target_, state in office.events(codes.EVENT_STATE) if state == 1}


def test_a_reflector_with_another_key_never_answers(tmp_path: Path) -> None:
    with branch(tmp_path, "esp32-devkitc", key=bytes(32).hex()) as office:
        office.run_s(65)
        assert sum(reading[record.ANSWERED] for reading in office.readings("reflector")) == 0
        assert sum(reading[record.ANSWERED] for reading in office.readings("phone-sip")) > 0
        assert office.authenticated.ours.counters.refused_packet >= 50
        assert office.authenticated.ours.counters.reflected == 0
