"""The clock's promises: no wrap, a bound that holds, steps told, stalls seen."""

from __future__ import annotations

import asyncio
import random
import struct

import pytest

from linewitness_wire import codes
from witness import sync
from witness.clock import DRIFT_PPM, Clock, Utc
from witness.resolver import Unresolved
from witness.sync import Answer, agree, read_reply, request

PERIOD = 1 << 30
EPOCH_1900_S = 2_208_988_800


class Ticks:
    """A tick counter that wraps as the boards' do, moved by hand."""

    def __init__(self, at_us: int = 0) -> None:
        self.at_us = at_us

    def ticks_us(self) -> int:
        return self.at_us % PERIOD

    @staticmethod
    def ticks_diff(end: int, start: int) -> int:
        return (end - start + PERIOD // 2) % PERIOD - PERIOD // 2

    async def sleep_ms(self, duration_ms: int) -> None:
        self.at_us += duration_ms * 1000
        await asyncio.sleep(0)

    def clock(self) -> Clock:
        return Clock(self.ticks_us, self.ticks_diff, self.sleep_ms)


def test_the_time_does_not_wrap_with_the_ticks() -> None:
    ticks = Ticks(PERIOD - 5)
    clock = ticks.clock()
    for step in range(1, 4000):
        ticks.at_us += 1_000_003
        assert clock.now_us() == step * 1_000_003


def test_the_time_never_goes_back() -> None:
    ticks = Ticks(1000)
    clock = ticks.clock()
    ticks.at_us += 500
    assert clock.now_us() == 500
    ticks.at_us -= 200
    assert clock.now_us() == 500


def test_before_the_first_synchronisation_there_is_no_utc() -> None:
    clock = Ticks().clock()
    assert clock.utc(5) == (None, None, codes.CLOCK_NONE, None)
    assert clock.utc_at(5) is None


def test_the_bound_grows_with_the_age() -> None:
    clock = Ticks().clock()
    clock.set_utc(Utc(1_000_000_000, 700, 0, codes.CLOCK_SNTP))
    stamp = clock.utc(3_600_000_000)
    assert stamp.utc_us == 1_000_000_000 + 3_600_000_000
    assert stamp.bound_us == 700 + 3600 * DRIFT_PPM + 1
    assert stamp.age_s == 3600


def test_a_better_answer_is_taken_and_a_worse_one_that_agrees_is_not() -> None:
    clock = Ticks().clock()
    assert clock.set_utc(Utc(1_000_000, 5000, 0, codes.CLOCK_SNTP)) is None
    assert clock.set_utc(Utc(1_000_100, 90_000, 1000, codes.CLOCK_SNTP)) is None
    assert clock.utc_at(0) == 1_000_000
    assert clock.set_utc(Utc(1_000_100, 300, 2000, codes.CLOCK_SNTP)) is None
    assert clock.utc_at(0) == 1_000_100


def test_a_contradiction_is_a_step_and_is_told() -> None:
    clock = Ticks().clock()
    clock.set_utc(Utc(1_000_000, 500, 0, codes.CLOCK_SNTP))
    assert clock.set_utc(Utc(3_000_000, 900, 1000, codes.CLOCK_SNTP)) == 2_000_000
    assert clock.utc_at(0) == 3_000_000


# --- stalls ---


def watch(clock: Clock, ticks: Ticks, stalls_us: list[int]) -> None:
    """Run the watching task over sleeps each of which is late by the given microseconds."""

    async def late_sleep_ms(duration_ms: int) -> None:
        ticks.at_us += duration_ms * 1000 + (stalls_us.pop(0) if stalls_us else 0)
        if not stalls_us:
            clock.unwatch()
        await asyncio.sleep(0)

    async def main() -> None:
        clock._sleep_ms = late_sleep_ms
        clock.watch()
        task = asyncio.create_task(clock.run(lambda: None))
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())


def test_a_stall_is_seen_by_those_in_flight_and_not_by_those_after() -> None:
    ticks = Ticks()
    clock = ticks.clock()
    watch(clock, ticks, [300, 20_000, 0, 0])
    assert 18_000 <= clock.stall_us_since(0) <= 20_000
    assert clock.stall_us_since(clock.now_us()) == 0
    assert 18_000 <= clock.take_longest_stall_us() <= 20_000
    assert clock.take_longest_stall_us() == 0


def test_a_stall_that_has_just_ended_is_seen_before_its_own_task_ran() -> None:
    ticks = Ticks()
    clock = ticks.clock()

    async def main() -> None:
        started = asyncio.Event()

        async def sleep_ms(_: int) -> None:
            started.set()
            await asyncio.Event().wait()

        clock._sleep_ms = sleep_ms
        clock.watch()
        task = asyncio.create_task(clock.run(lambda: None))
        await started.wait()
        ticks.at_us += 40_000
        assert 33_000 <= clock.stall_us_since(0) <= 35_000
        task.cancel()

    asyncio.run(main())


# --- SNTP ---


def reply(nonce: bytes, receive: tuple[int, int], transmit: tuple[int, int], **change: int) -> bytes:
    first = change.get("leap", 0) << 6 | 4 << 3 | change.get("mode", 4)
    head = struct.pack(">BBbbII4s", first, change.get("stratum", 2), 6, -20, 0x8000, 0x4000, b"LAB\0")
    return head + bytes(8) + nonce + struct.pack(">IIII", *receive, *transmit)


NONCE = b"12345678"


def test_a_request_tells_no_time_but_a_nonce() -> None:
    assert request(NONCE) == b"\x23" + bytes(39) + NONCE


def test_a_reply_is_read_with_its_fractions_and_root_distance() -> None:
    octets = reply(NONCE, (EPOCH_1900_S + 100, 1 << 31), (EPOCH_1900_S + 101, 1 << 30))
    # Root delay 0.5 s counts half, root dispersion 0.25 s whole.
    assert read_reply(octets, NONCE) == (100_500_000, 101_250_000, 500_000)


def test_the_second_era_begins_in_2036() -> None:
    octets = reply(NONCE, (0, 0), (1, 0))
    assert read_reply(octets, NONCE) == (2_085_978_496_000_000, 2_085_978_497_000_000, 500_000)


@pytest.mark.parametrize(
    ("what", "octets"),
    [
        ("another nonce", reply(b"87654321", (1, 0), (1, 0))),
        ("unsynchronised", reply(NONCE, (1, 0), (1, 0), leap=3)),
        ("a client's packet", reply(NONCE, (1, 0), (1, 0), mode=3)),
        ("a kiss of death", reply(NONCE, (1, 0), (1, 0), stratum=0)),
        ("stratum 16", reply(NONCE, (1, 0), (1, 0), stratum=16)),
        ("sent before it was received", reply(NONCE, (2, 0), (1, 0))),
        ("too short", reply(NONCE, (1, 0), (1, 0))[:47]),
    ],
)
def test_what_is_no_usable_reply_is_none(what: str, octets: bytes) -> None:
    assert read_reply(octets, NONCE) is None, what


def test_a_majority_must_agree() -> None:
    apart = [Answer(0, 0, 10), Answer(1, 100, 10), Answer(2, 200, 10)]
    assert agree(apart, 3) is None
    assert agree(apart[:1], 3) is None
    assert agree(apart[:1], 1) == (0, 11)
    assert agree([], 3) is None
    assert agree([Answer(0, 0, 10), Answer(2, 12, 10)], 3) is not None


def test_whatever_one_of_three_says_the_bound_holds_the_truth() -> None:
    source = random.Random(7)
    for _ in range(5000):
        bounds = [source.randint(1, 5000) for _ in range(2)]
        answers = [Answer(i, source.randint(-bound, bound), bound) for i, bound in enumerate(bounds)]
        answers.append(Answer(2, source.randint(-20_000, 20_000), source.randint(1, 8000)))
        agreed = agree(answers, 3)
        assert agreed is not None
        assert abs(agreed[0]) <= agreed[1], answers


def test_whatever_one_of_any_number_says_and_whoever_is_silent_the_bound_holds_the_truth() -> None:
    source = random.Random(8)
    agreements = 0
    for _ in range(20_000):
        servers = source.randint(3, 6)
        bounds = [source.randint(1, 5000) for _ in range(servers - 1)]
        answers = [Answer(i, source.randint(-bound, bound), bound) for i, bound in enumerate(bounds)]
        answers.append(Answer(servers - 1, source.randint(-9000, 9000), source.randint(1, 8000)))
        answers = source.sample(answers, source.randint(1, servers))
        agreed = agree(answers, servers)
        if agreed is not None:
            agreements += 1
            assert abs(agreed[0]) <= agreed[1], answers
    assert agreements > 8000


def test_a_lying_server_is_refused_and_named_once() -> None:
    clock = Ticks().clock()
    events: list[tuple[int, ...]] = []
    times: list[int] = []
    keeper = sync.Sync(clock, None, None, None, lambda *event: events.append(event), times.append, print)
    answers = [Answer(0, 1_000_000, 50), Answer(1, 9_000_000, 50), Answer(2, 1_000_020, 50)]
    for _ in range(2):
        agreed = agree(answers, 3)
        assert agreed is not None
        keeper._take(answers, *agreed)
    assert events == [(codes.EVENT_CLOCK_SET, 0, agreed[1], codes.CLOCK_SNTP),
                      (codes.EVENT_CLOCK_REFUSED, 1, 9_000_000 - agreed[0])]  # fmt: skip
    assert times == [agreed[0]]


def test_a_witness_without_time_servers_says_so_once_and_goes_on() -> None:
    class Nobody:
        async def address(self, server: str) -> object:
            raise Unresolved(server, 2)

    clock, said, rounds = Ticks().clock(), [], []
    keeper = sync.Sync(clock, None, Nobody(), None, lambda *event: None, lambda utc_us: None, said.append)

    class Enough(Exception):
        pass

    def progress() -> None:
        rounds.append(clock.synchronised)
        if len(rounds) == 12:
            raise Enough

    with pytest.raises(Enough):
        asyncio.run(keeper.run(["192.0.2.1", "time.example"], progress))
    assert rounds == [False] * 12
    assert len(said) == 1
    assert "192.0.2.1, time.example" in said[0]
    assert "; try: " in said[0]
