"""Joining quiet batches: what both said is said by the one, and a change is never joined."""

from __future__ import annotations

from typing import Any

import pytest

from linewitness_wire import codes, record
from witness.tally import Batch
from witness.wide import WINDOWS_APART_US, join

MINUTE_US = 60_000_000
START_US, SPAN_US, SENT, ANSWERED, RTT_US = (
    record.START_US, record.SPAN_US, record.SENT, record.ANSWERED, record.RTT_US,
)  # fmt: skip


def shots(target: int, sent: int, answered: int, rtt_us: int = 5_000, **more: Any) -> dict[int, Any]:
    """A single-shot target's reading of a minute."""
    reading = {record.TARGET: target, START_US: 0, SPAN_US: MINUTE_US, SENT: sent, ANSWERED: answered}
    if answered:
        reading[RTT_US] = [rtt_us, rtt_us + 10, rtt_us + 20, rtt_us + 30]
    return reading | {getattr(record, name): value for name, value in more.items()}


def window(at_us: int, lost: int = 0, mos_milli: int = 4200, **more: Any) -> dict[int, Any]:
    """A call-quality window's reading."""
    reading = {
        record.TARGET: 9, START_US: at_us, SPAN_US: 5_000_000, SENT: 250, ANSWERED: 250 - lost, record.STALL_US: 700,
        record.BURST: [0, 0, 0, 5000, 0], record.BURST_R_MILLI: 1000, RTT_US: [1, 2, 3, 4], record.PDV_US: [5, 9],
        record.JITTER_US: 30, record.R_CENTI: 9000, record.MOS_MILLI: mos_milli,
    }  # fmt: skip
    return reading | {getattr(record, name): value for name, value in more.items()}


def batch(minute: int, *readings: dict[int, Any], events: tuple[list[Any], ...] = (), minutes: int = 1) -> Batch:
    start_us = minute * MINUTE_US
    return Batch(start_us, start_us + minutes * MINUTE_US, record.Body(list(readings), list(events)), True)


def test_counts_are_added_and_round_trips_stand_between_their_extremes() -> None:
    joined = join(batch(3, shots(2, 6, 6, 5_000)), batch(4, shots(2, 12, 12, 2_000)))
    assert joined is not None
    assert (joined.start_us, joined.end_us) == (3 * MINUTE_US, 5 * MINUTE_US)
    (reading,) = joined.body.readings
    record.check_reading(reading)
    assert reading == {
        record.TARGET: 2, START_US: 0, SPAN_US: 2 * MINUTE_US, SENT: 18, ANSWERED: 18,
        RTT_US: [2_000, (6 * 5_010 + 12 * 2_010) // 18, 5_020, 5_030],
    }  # fmt: skip


def test_an_outage_that_goes_on_is_joined_with_its_codes_and_what_the_witness_spoilt() -> None:
    first = shots(2, 60, 0, SELF_DELAYED=2, CODES=[[-113, 58]])
    joined = join(batch(0, first), batch(1, shots(2, 60, 0, SELF_DELAYED=1, CODES=[[-113, 59]])))
    assert joined is not None
    (reading,) = joined.body.readings
    record.check_reading(reading)
    assert (reading[SENT], reading[record.SELF_DELAYED], reading[record.CODES]) == (120, 3, [[-113, 117]])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (shots(2, 6, 6), shots(2, 6, 0)),
        (shots(2, 6, 0), shots(2, 6, 6)),
        (shots(2, 6, 6), shots(2, 6, 5)),
        (shots(2, 6, 6), shots(2, 1, 1, SAMPLES=b"\x40\x00")),
        (shots(2, 6, 6, CODES=[[404, 6]]), shots(2, 6, 6, CODES=[[486, 6]])),
        (shots(2, 6, 6, DUPLICATE=1), shots(2, 6, 6)),
        (window(0), window(0, lost=1)),
        (window(0, LATE=1), window(0)),
        (window(0, REORDERED=1), window(0)),
    ],
)
def test_a_change_is_never_joined(first: dict[int, Any], second: dict[int, Any]) -> None:
    assert join(batch(0, first), batch(1, second)) is None
    assert join(batch(0, second), batch(1, first)) is None


def test_events_and_holes_are_never_joined() -> None:
    event = [codes.EVENT_STATE, 5, 2, 1]
    assert join(batch(0, shots(2, 6, 6)), batch(1, shots(2, 6, 6), events=(event,))) is None
    assert join(batch(0, shots(2, 6, 6), events=(event,)), batch(1, shots(2, 6, 6))) is None
    assert join(batch(0, shots(2, 6, 6)), batch(2, shots(2, 6, 6))) is None


def test_windows_stay_apart_for_five_minutes_and_the_worst_of_each_figure_stands_in_longer_batches() -> None:
    first, second = batch(0, window(7_000_000)), batch(1, window(9_000_000, mos_milli=4100, JITTER_US=80))
    two = join(first, second)
    assert two is not None
    assert two.end_us - two.start_us <= WINDOWS_APART_US
    assert [reading[START_US] for reading in two.body.readings] == [7_000_000, MINUTE_US + 9_000_000]
    long = join(two, batch(2, window(8_000_000), minutes=5))
    assert long is not None
    (reading,) = long.body.readings
    record.check_reading(reading)
    assert reading[SENT] == reading[ANSWERED] == 750
    assert (reading[record.MOS_MILLI], reading[record.JITTER_US]) == (4100, 80)
    assert reading[START_US] + reading[SPAN_US] == 2 * MINUTE_US + 13_000_000


def test_what_was_joined_is_not_changed_by_it() -> None:
    readings = [shots(2, 6, 6), window(7_000_000)]
    before = [dict(reading) for reading in readings]
    join(batch(0, *readings), batch(1, shots(2, 6, 6), window(0)))
    assert readings == before
