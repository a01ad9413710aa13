"""When things happen: slots, rounds and fast periods, windows that never meet, extra batches within their limits."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import pytest
from fast_clock import FastClock

from linewitness_wire import codes, plan, record
from witness.batches import EXTRA_DELAY_US, EXTRA_GAP_US, EXTRAS_AN_HOUR, Batcher
from witness.sample import Sample, unresolved
from witness.schedule import Rounds, Schedule, Slots, window_us
from witness.tally import Tally

SECOND = 1_000_000


def test_slots_are_the_last_ten_seconds_of_a_minute_and_the_last_quarter_of_a_shorter_batch() -> None:
    clock = FastClock()
    minute, ten = Slots(clock, 60), Slots(clock, 10)
    for at_s, in_minute, in_ten in ((0, 0, 0), (49, 0, 1), (50, 10, 0), (59, 1, 1), (60, 0, 0), (117, 3, 0)):
        clock.now = at_s * SECOND
        assert minute.left_us() == in_minute * SECOND, at_s
        assert (ten.left_us() > 0) == (in_ten > 0), at_s
    clock.now = 7 * SECOND
    assert ten.until_us() == SECOND // 2


def test_a_batch_is_due_at_the_slot_that_ends_its_time() -> None:
    clock = FastClock()
    assert Slots(clock, 60).next_batch_us() == 50 * SECOND
    assert Slots(clock, 600).next_batch_us() == 590 * SECOND
    assert Slots(clock, 10).next_batch_us() == 7_500_000
    clock.now = 50 * SECOND
    assert Slots(clock, 60).next_batch_us() == 110 * SECOND


def test_a_window_begins_only_where_it_ends_before_the_slot() -> None:
    clock = FastClock()
    slots = Slots(clock, 60)
    clock.now = 44 * SECOND
    assert slots.fits(6 * SECOND)
    assert not slots.fits(6 * SECOND + 1)
    clock.now = 55 * SECOND
    assert not slots.fits(SECOND)


METHODS = (codes.METHOD_ICMP, codes.METHOD_STAMP, codes.METHOD_TCP)


def make_plan(*targets: plan.Target, batch_s: int = 60) -> plan.Plan:
    return plan.Plan("s", "w", 1, batch_s, list(targets), 3, 2, [], [])


def target(name: str, segment: int, method: int = codes.METHOD_ICMP, **fields: Any) -> plan.Target:
    return plan.Target(
        name, segment, method, 0, fields.get("host", "10.0.0.1"), 0, fields.get("period_ms", 10_000), 1_000, 500,
        fields.get("options", {}),
    )  # fmt: skip


def test_a_state_changes_after_its_rounds_in_a_row_and_not_before() -> None:
    changes: list[tuple[int, bool]] = []
    rounds = Rounds(make_plan(target("a", 7)), lambda *change: changes.append(change))
    for good in (False, False, True, False, False):
        rounds.note(0, good)
    assert changes == []
    rounds.note(0, False)
    assert changes == [(0, True)]
    for good in (True, False, True):
        rounds.note(0, good)
    assert changes == [(0, True)]
    rounds.note(0, True)
    assert changes == [(0, True), (0, False)]


class Probe:
    """Answers, or not, as `up` says, after rtt_us; windows take their whole length."""

    def __init__(self, clock: FastClock) -> None:
        self.clock = clock
        self.up = True
        self.void = False
        self.sent: list[tuple[str, int]] = []
        self.windows: list[tuple[int, int]] = []
        self.retry_us = 0

    async def run(self, target: plan.Target, address: str) -> Any:
        sent_us = self.clock.now
        self.sent.append((target.name, sent_us))
        if target.method == codes.METHOD_STAMP:
            await self.clock.sleep_until(sent_us + 5 * SECOND)
            self.windows.append((sent_us, self.clock.now))
            return {record.START_US: sent_us, record.SPAN_US: 5 * SECOND, record.SENT: 250, record.ANSWERED: 250,
                    record.RTT_US: [1, 1, 1, 1]}  # fmt: skip
        if self.void:
            return Sample(codes.FATE_VOID, sent_us, None, None)
        if self.up:
            await self.clock.sleep_until(sent_us + 20_000)
            return Sample(codes.FATE_ANSWERED, sent_us, 20_000, None)
        await self.clock.sleep_until(sent_us + target.timeout_ms * 1000)
        return Sample(codes.FATE_LOST, sent_us, None, None)

    def extras(self, target: plan.Target) -> dict[int, int]:
        return {record.DUPLICATE: 2}

    def retry_at_us(self, target: plan.Target) -> int:
        return self.retry_us


class LinkUp:
    def is_up(self) -> bool:
        return True

    def gateway(self) -> str:
        return "192.168.1.1"


class Resolver:
    asked = 0

    async def address(self, host: str) -> Any:
        return type("Address", (), {"address": host})


class Bench:
    """A schedule with a probe for every method."""

    def __init__(self, the_plan: plan.Plan) -> None:
        self.clock = FastClock()
        self.probe = Probe(self.clock)
        self.changes: list[tuple[int, bool]] = []
        self.metered = False
        self.tally = Tally(self.clock.now_us, len(the_plan.targets), 0)
        source = random.Random(1)
        self.schedule = Schedule(
            self.clock, LinkUp(), the_plan, dict.fromkeys(METHODS, self.probe), Resolver(),
            self.tally, Slots(self.clock, the_plan.batch_s), lambda n: source.randrange(n) if n else 0,
            lambda *change: self.changes.append(change), lambda: self.metered, self.send, 2,
        )  # fmt: skip
        self.rounds: set[asyncio.Task[None]] = set()

    def send(self, index: int, coroutine: Any, limit_s: int) -> None:
        task = asyncio.create_task(coroutine(index))
        self.rounds.add(task)
        task.add_done_callback(self.rounds.discard)

    def run(self, script: Any) -> None:
        async def main() -> None:
            task = asyncio.create_task(self.schedule.run(lambda: None))
            await script(self)
            tasks = [task, *self.rounds]
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(main())

    def times(self, name: str, begin_us: int, end_us: int) -> list[int]:
        return [at for who, at in self.probe.sent if who == name and begin_us <= at < end_us]


def test_the_period_holds_with_a_jitter_of_an_eighth() -> None:
    async def script(bench: Bench) -> None:
        await bench.clock.run_to(600 * SECOND)

    bench = Bench(make_plan(target("edge", codes.SEGMENT_PROVIDER)))
    bench.run(script)
    times = bench.times("edge", 0, 600 * SECOND)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert min(gaps) >= 8.7 * SECOND
    assert max(gaps) <= 11.3 * SECOND
    assert len(set(gaps)) > len(gaps) // 2


def test_while_a_target_fails_its_segment_is_probed_fast_and_others_are_not() -> None:
    async def script(bench: Bench) -> None:
        await bench.clock.run_to(100 * SECOND)
        bench.probe.up = False
        await bench.clock.run_to(200 * SECOND)

    bench = Bench(make_plan(target("edge", codes.SEGMENT_PROVIDER), target("second", codes.SEGMENT_PROVIDER)))
    bench.run(script)
    assert (0, True) in bench.changes
    fast = bench.times("edge", 140 * SECOND, 200 * SECOND)
    assert 45 <= len(fast) <= 75


def test_what_never_answered_is_no_reason_to_probe_fast() -> None:
    async def script(bench: Bench) -> None:
        bench.probe.up = False
        await bench.clock.run_to(300 * SECOND)

    bench = Bench(make_plan(target("upnp", codes.SEGMENT_ROUTER)))
    bench.run(script)
    assert bench.changes == [(0, True)]
    assert len(bench.times("upnp", 100 * SECOND, 300 * SECOND)) <= 24


def test_a_void_round_says_nothing() -> None:
    async def script(bench: Bench) -> None:
        bench.probe.void = True
        await bench.clock.run_to(200 * SECOND)

    bench = Bench(make_plan(target("edge", codes.SEGMENT_PROVIDER)))
    bench.run(script)
    assert bench.changes == []
    batch = bench.tally.close()
    assert batch is not None
    assert batch.body.readings[0][record.ANSWERED] == 0


def test_windows_never_overlap_and_never_reach_into_a_slot() -> None:
    async def script(bench: Bench) -> None:
        await bench.clock.run_to(1800 * SECOND)

    windows = [target(f"w{i}", codes.SEGMENT_PROVIDER, codes.METHOD_STAMP, period_ms=20_000) for i in range(3)]
    bench = Bench(make_plan(*windows))
    bench.run(script)
    spans = sorted(bench.probe.windows)
    assert len(spans) > 100
    for (_, before_end), (after, _) in itertools.pairwise(spans):
        assert after >= before_end
    for begin, end in spans:
        assert end % (60 * SECOND) <= 50 * SECOND
        assert begin // (60 * SECOND) == end // (60 * SECOND)


def test_on_metered_access_no_window_runs_and_all_else_goes_on() -> None:
    async def script(bench: Bench) -> None:
        await bench.clock.run_to(300 * SECOND)
        bench.metered = True
        await bench.clock.run_to(600 * SECOND)
        bench.metered = False
        await bench.clock.run_to(900 * SECOND)

    windows = target("w", codes.SEGMENT_PROVIDER, codes.METHOD_STAMP, period_ms=20_000)
    bench = Bench(make_plan(windows, target("edge", codes.SEGMENT_PROVIDER)))
    bench.run(script)
    begun = [begin // (300 * SECOND) for begin, _ in bench.probe.windows]
    assert begun.count(0) > 5
    assert begun.count(1) <= 1  # one that was waiting for its turn
    assert begun.count(2) > 5
    assert len(bench.times("edge", 300 * SECOND, 600 * SECOND)) > 25


def test_requests_to_the_provider_keep_their_distance_while_it_fails_too() -> None:
    async def script(bench: Bench) -> None:
        await bench.clock.run_to(30 * SECOND)
        bench.probe.up = False
        await bench.clock.run_to(230 * SECOND)

    options = {plan.OPTION_GAP_MS: 1000}
    targets = [target(f"edge-{i}", codes.SEGMENT_PROVIDER, options=options) for i in range(3)]
    bench = Bench(make_plan(*targets))
    bench.run(script)
    times = sorted(at for _, at in bench.probe.sent)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert min(gaps) >= SECOND
    assert min(gap for gap, at in zip(gaps, times, strict=False) if at > 105 * SECOND) >= 10 * SECOND
    assert len([at for at in times if 30 * SECOND < at < 90 * SECOND]) >= 35


def test_a_server_that_asked_to_be_left_alone_is() -> None:
    async def script(bench: Bench) -> None:
        await bench.clock.run_to(30 * SECOND)
        bench.probe.retry_us = 300 * SECOND
        await bench.clock.run_to(400 * SECOND)

    bench = Bench(make_plan(target("edge", codes.SEGMENT_PROVIDER)))
    bench.run(script)
    assert bench.times("edge", 45 * SECOND, 299 * SECOND) == []
    assert bench.times("edge", 300 * SECOND, 400 * SECOND)


def test_what_the_probes_counted_beside_goes_into_the_reading() -> None:
    bench = Bench(make_plan(target("edge", codes.SEGMENT_PROVIDER)))
    readings = [{record.TARGET: 0}]
    bench.schedule.finish(readings)
    assert readings[0][record.DUPLICATE] == 2


def test_a_target_that_never_resolved_is_void() -> None:
    assert unresolved(5) == Sample(codes.FATE_VOID, 5, None, -2)


@pytest.mark.parametrize(("packets", "interval_ms"), [(250, 20), (100, 20), (50, 40)])
def test_a_window_is_given_the_time_that_it_takes(packets: int, interval_ms: int) -> None:
    options = {plan.OPTION_PACKETS: packets, plan.OPTION_INTERVAL_MS: interval_ms}
    window = target("w", 7, codes.METHOD_STAMP, options=options)
    assert window_us(window) >= (packets * interval_ms + window.timeout_ms) * 1000


# --- extra batches ---


def test_extra_batches_keep_their_distance_and_their_number_an_hour() -> None:
    clock = FastClock()
    source = random.Random(2)
    batcher = Batcher(
        clock, None, Tally(clock.now_us, 1, 0), Slots(clock, 3600), None, None, None, None, None, source.randrange
    )
    batcher.begin_plan(None, b"", None)
    made: list[int] = []
    for second in range(3500):
        clock.now = second * SECOND
        batcher.hurry()
        if batcher._extra_us is not None and clock.now >= batcher._extra_us:
            made.append(batcher._extra_us)
            batcher._extra_us = None
    assert len(made) == EXTRAS_AN_HOUR
    assert made[0] <= EXTRA_DELAY_US
    assert min(after - before for before, after in itertools.pairwise(made)) >= EXTRA_GAP_US


def test_connects_that_hang_keep_to_the_board_s_places_and_each_gets_its_turn() -> None:
    targets = [target(f"t{i}", 6, codes.METHOD_TCP, period_ms=2_000)._replace(timeout_ms=4_000) for i in range(5)]
    bench = Bench(make_plan(*targets, target("echo", 5)))
    bench.probe.up = False
    most = 0

    async def script(bench: Bench) -> None:
        nonlocal most
        for _ in range(600):
            await bench.clock.run_to(bench.clock.now + SECOND // 10)
            most = max(most, sum(bench.schedule._busy[:5]))

    bench.run(script)
    assert most == 2
    rounds = [sum(name == f"t{i}" for name, _ in bench.probe.sent) for i in range(5)]
    # A minute of two places, four seconds a round: thirty, shared by five.
    assert 26 <= sum(rounds) <= 30
    assert max(rounds) - min(rounds) <= 1
    assert sum(name == "echo" for name, _ in bench.probe.sent) >= 5
