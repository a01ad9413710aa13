"""The tally's promise: every sample is in exactly one batch, that of the time when it was sent."""

from __future__ import annotations

import random
from array import array

from linewitness_wire import bodies, codes, record
from linewitness_wire.record import Body
from witness.sample import Sample
from witness.tally import BODY_GOAL_OCTETS, EVENTS_MAX, SAMPLES_MAX, Batch, Tally, spread


class Time:
    def __init__(self) -> None:
        self.now = 0

    def now_us(self) -> int:
        return self.now


def answered(sent_us: int, rtt_us: int = 1000) -> Sample:
    return Sample(codes.FATE_ANSWERED, sent_us, rtt_us, None)


def make(targets: int = 2) -> tuple[Tally, Time]:
    time = Time()
    return Tally(time.now_us, targets, 0), time


def test_a_batch_ends_where_the_oldest_undecided_sample_was_sent() -> None:
    tally, time = make()
    time.now = 1_000_000
    tally.sending(0)
    time.now = 1_500_000
    tally.add(1, answered(1_200_000))
    batch = tally.close()
    assert batch is not None
    assert (batch.start_us, batch.end_us) == (0, 1_000_000)
    assert batch.body.readings == []  # the other target's was sent later: it waits
    tally.add(0, Sample(codes.FATE_LOST, 1_000_000, None, None))
    time.now = 3_000_000
    after = tally.close()
    assert after is not None
    assert (after.start_us, after.end_us) == (1_000_000, 3_000_000)
    assert [reading[record.SENT] for reading in after.body.readings] == [1, 1]
    assert record.samples(after.body.readings[1][record.SAMPLES]) == [(codes.FATE_ANSWERED, 200_000)]


def test_while_nothing_is_decided_there_is_no_batch() -> None:
    tally, time = make()
    tally.sending(0)
    time.now = 9_000_000
    assert tally.close() is None
    tally.given_up(0)
    assert tally.close() is not None


def test_each_sample_of_a_random_run_is_told_once_at_its_time_or_as_one_of_many_alike() -> None:
    source = random.Random(3)
    tally, time = make(3)
    batches: list[Batch] = []
    sent: list[tuple[int, int, int]] = []
    flying: dict[int, tuple[int, int]] = {}
    fates = (codes.FATE_ANSWERED,)
    for _ in range(8000):
        time.now += source.randint(1, 60_000)
        target = source.randrange(3)
        if source.random() < 0.02:
            fates = source.choice([(0, 1, 2, 3), (1,), (1, 3), (0,), (0, 3), (2,), (3,)])
        if target in flying:
            sent_us, fate = flying.pop(target)
            rtt_us = 5 if fate in (codes.FATE_ANSWERED, codes.FATE_WRONG) else None
            tally.add(target, Sample(fate, sent_us, rtt_us, 503 if fate == codes.FATE_WRONG else None))
            sent.append((target, sent_us, fate))
        else:
            tally.sending(target)
            flying[target] = (time.now, source.choice(fates))
        if source.random() < 0.02 and (batch := tally.close()) is not None:
            bodies.encode(batch.body, batch.end_us - batch.start_us)
            assert batch.start_us == (batches[-1].end_us if batches else 0)
            batches.append(batch)
    assert check_told(batches, sent) > 50


def check_told(batches: list[Batch], sent: list[tuple[int, int, int]]) -> int:
    """Hold the batches' readings against what was sent: (target, time, fate); return how many have counts alone."""
    before: dict[int, int] = {}
    counted = 0
    for batch in batches:
        readings = {reading[record.TARGET]: reading for reading in batch.body.readings}
        for target in range(3):
            ours = [(at_us, fate) for who, at_us, fate in sent if who == target]
            mine = [pair for pair in ours if batch.start_us <= pair[0] < batch.end_us]
            if not mine:
                assert target not in readings
                continue
            reading = readings[target]
            fates = [fate for _, fate in mine]
            void = fates.count(codes.FATE_VOID)
            assert reading[record.SENT] == len(mine)
            assert reading.get(record.SELF_DELAYED, 0) == void
            assert reading[record.ANSWERED] == len(mine) - void - fates.count(codes.FATE_LOST)
            if record.SAMPLES in reading:
                told = record.samples(reading[record.SAMPLES])
                assert [fate for fate, _ in told] == fates
                # A sample's place has steps of 10 ms, rounded down.
                assert all(0 <= b - batch.start_us - a < 10_000 for (_, a), (b, _) in zip(told, mine, strict=True))
            else:
                counted += 1
                assert {fate for fate in fates if fate != codes.FATE_VOID} <= {before.get(target)}
                assert codes.FATE_WRONG not in fates
            before[target] = next((fate for fate in reversed(fates) if fate != codes.FATE_VOID), before.get(target, -1))
    return counted


def test_a_reading_counts_fates_codes_and_round_trips() -> None:
    tally, time = make()
    for i, fate in enumerate((1, 1, 2, 2, 0, 3)):
        rtt_us = (i + 1) * 100 if fate in (1, 2) else None
        tally.add(0, Sample(fate, i * 1000, rtt_us, 503 if fate == 2 else -101 if fate == 0 else None))
    time.now = 10_000
    batch = tally.close()
    assert batch is not None
    (reading,) = batch.body.readings
    assert reading[record.SENT] == 6
    assert reading[record.ANSWERED] == 4
    assert reading[record.SELF_DELAYED] == 1
    assert reading[record.CODES] == [[-101, 1], [503, 2]]
    assert reading[record.RTT_US] == [100, 250, 400, 400]
    assert not batch.quiet


def test_a_window_goes_whole_into_the_batch_in_which_it_ends() -> None:
    tally, time = make()
    time.now = 1_000_000
    tally.sending(1)
    time.now = 6_000_000
    window = {record.START_US: 1_100_000, record.SPAN_US: 4_000_000, record.SENT: 250, record.ANSWERED: 250,
              record.RTT_US: [1, 1, 1, 1]}  # fmt: skip
    first = tally.close()
    assert first is not None
    assert first.end_us == 1_000_000
    tally.add_window(1, window)
    second = tally.close()
    assert second is not None
    (reading,) = second.body.readings
    assert reading[record.START_US] == 100_000
    assert reading[record.TARGET] == 1
    bodies.encode(second.body, second.end_us - second.start_us)


def test_no_batch_ends_inside_a_window_that_is_done() -> None:
    tally, time = make(3)
    window = {record.SPAN_US: 4_000_000, record.SENT: 250, record.ANSWERED: 250, record.RTT_US: [1, 1, 1, 1]}
    tally.add_window(1, window | {record.START_US: 1_100_000})
    tally.add_window(2, window | {record.START_US: 200_000})
    time.now = 4_700_000
    tally.sending(0)  # still in flight when a batch is wanted, its sending inside both windows
    time.now = 6_000_000
    first = tally.close()
    assert first is not None
    assert (first.end_us, first.body.readings) == (200_000, [])
    assert tally.close() is None
    tally.given_up(0)
    second = tally.close()
    assert second is not None
    assert [reading[record.START_US] for reading in second.body.readings] == [900_000, 0]
    bodies.encode(second.body, second.end_us - second.start_us)


def test_a_quiet_batch_has_neither_events_nor_losses() -> None:
    tally, time = make()
    tally.add(0, answered(0))
    time.now = 5000
    assert tally.close().quiet  # type: ignore[union-attr]
    tally.event(codes.EVENT_STATE, 0, 1)
    time.now = 9000
    assert not tally.close().quiet  # type: ignore[union-attr]


def test_an_event_is_told_at_its_time_in_its_batch() -> None:
    tally, time = make()
    time.now = 4_000
    tally.event(codes.EVENT_STATE, 0, 1)
    tally.sending(0)
    time.now = 9_000
    tally.event(codes.EVENT_STATE, 0, 0)
    first = tally.close()
    assert first is not None
    assert first.body.events == []
    tally.given_up(0)
    time.now = 20_000
    second = tally.close()
    assert second is not None
    assert second.body.events == [[codes.EVENT_STATE, 0, 0, 1], [codes.EVENT_STATE, 5_000, 0, 0]]


def test_a_long_stretch_is_cut_so_that_each_body_fits() -> None:
    tally, time = make(40)
    for at_s in range(300):
        time.now = at_s * 1_000_000
        for target in range(40):
            tally.add(target, answered(time.now))
    assert tally.is_full
    told = 0
    end = 0
    while (batch := tally.close()) is not None:
        assert batch.start_us == end
        end = batch.end_us
        octets = bodies.encode(batch.body, batch.end_us - batch.start_us)
        assert len(octets) < BODY_GOAL_OCTETS * 4 // 3
        told += sum(reading[record.SENT] for reading in batch.body.readings)
        if time.now - end < 1000:
            break
    assert told >= 40 * 299


def test_events_past_the_limit_are_counted() -> None:
    tally, time = make()
    for _ in range(EVENTS_MAX + 5):
        tally.event(codes.EVENT_LINK_DOWN, 0)
    time.now = 5_000
    batch = tally.close()
    assert batch is not None
    assert batch.body.events[-1] == [codes.EVENT_FAULT, 4_999, codes.FAULT_MEMORY, 5]
    bodies.encode(batch.body, batch.end_us - batch.start_us)


def test_without_batches_the_oldest_samples_go_and_are_counted() -> None:
    tally, time = make()
    for i in range(SAMPLES_MAX + 500):
        time.now = i * 10_000
        tally.add(0, answered(time.now))
    tally.thin()
    assert tally.samples <= SAMPLES_MAX
    kept = tally.samples
    batch = tally.close()
    assert batch is not None
    (event,) = batch.body.events
    assert event[2:] == [codes.FAULT_MEMORY, SAMPLES_MAX + 500 - kept]


def test_spread_is_min_mean_p95_by_nearest_rank_and_max() -> None:
    assert spread(array("I", [7])) == [7, 7, 7, 7]
    assert spread(array("I", range(1, 101))) == [1, 50, 95, 100]
    assert spread(array("I", range(1, 21))) == [1, 10, 19, 20]


def test_an_empty_body_is_a_batch_too() -> None:
    tally, time = make()
    time.now = 5_000
    batch = tally.close()
    assert batch is not None
    assert batch.body == Body([], [])
