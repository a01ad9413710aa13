"""The contract's arithmetic: every second of the month in one class, overlaps once, the least that the bounds allow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linewitness.model import (
    SIDE_OF,
    Account,
    Bounds,
    OutagePost,
    Segment,
    SegmentSpan,
    Side,
    State,
    Ticket,
    TicketAct,
    TicketEvent,
    Verdict,
)
from linewitness.settle.account import SiteEvidence, account
from linewitness.settle.calendar import month_interval
from linewitness.settle.contract import Contract, load
from linewitness.settle.intervals import intersect, length, subtract, union

MONTH = "2026-03"
ZONE = "Europe/Berlin"
START, END = month_interval(MONTH, ZONE)
SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000

TEXT = """
[contract]
name = "acme"
provider = "acme"
time_zone = "Europe/Berlin"
effective_from = 2026-01-01
[[commitment]]
metric = "availability"
target_percent = 99.999
window = "month"
scope = "site"
[downtime]
starts_at = "STARTS"
min_continuous_s = MINIMUM
rounding = "ROUNDING"
[[exclusion]]
kind = "maintenance"
clause = "4.2"
notice_h = 48
[credit]
base = "mrc"
cap_percent = 20
[[credit.band]]
from_percent = 99
below_percent = 99.999
percent = 10
[[credit.band]]
from_percent = 0
below_percent = 99
percent = 50
"""


def contract(starts: str = "failure", minimum: int = 0, rounding: str = "none") -> Contract:
    text = TEXT.replace("STARTS", starts).replace("MINIMUM", str(minimum)).replace("ROUNDING", rounding)
    return load(text, "acme.toml")


def verdict(
    start_us: int, end_us: int, side: Side = Side.PROVIDER, slack_us: int = 0, claimable: bool = True
) -> Verdict:
    segment = next((s for s, owner in SIDE_OF.items() if owner is side and s is not Segment.WITNESS), None)
    return Verdict(
        "leeds", segment, side, Bounds(START + start_us - slack_us, START + start_us),
        Bounds(START + end_us, START + end_us + slack_us), 98, (), (), (), (), claimable and side is Side.PROVIDER,
    )  # fmt: skip


def span(state: State, start_us: int, end_us: int) -> SegmentSpan:
    return SegmentSpan("leeds", Segment.PROVIDER, state, Bounds(start_us, start_us), Bounds(end_us, end_us))


WHOLE = (span(State.UP, START, END),)


def reckon(
    *verdicts: Verdict,
    terms: Contract | None = None,
    spans: tuple[SegmentSpan, ...] = WHOLE,
    posts: tuple[OutagePost, ...] = (),
    tickets_us: tuple[int, ...] = (),
) -> Account:
    terms = terms or contract()
    tickets = tuple(ticket(at_us) for at_us in tickets_us)
    return account(terms, terms.commitments[0], SiteEvidence("leeds", verdicts, spans, tickets), MONTH, posts)


def ticket(opened_us: int, *later: tuple[int, TicketAct], priority: str = "P1") -> Ticket:
    events = [(opened_us, TicketAct.OPENED), *later]
    return Ticket("acme", f"T{opened_us}", (), priority, tuple(TicketEvent(at, act, "", at) for at, act in events))


def total(a: Account) -> int:
    return a.up_s + a.claimed_s + sum(s for _, s in a.excluded_s) + sum(s for _, s in a.not_claimable_s) + a.unknown_s


def test_a_good_month_is_up_to_the_last_second_and_has_its_hour_of_daylight_saving() -> None:
    a = reckon()
    assert (a.up_s, a.total_s, a.achieved_ppm, a.met) == (44_580 * 60, 44_580 * 60, 1_000_000, True)


@pytest.mark.parametrize(
    ("seconds", "slack_s", "standing"), [(40, 1, "breach"), (24, 1, "met"), (26, 1, "possible"), (28, 0, "breach")]
)
def test_five_nines_of_a_month_are_twenty_six_seconds(seconds: int, slack_s: int, standing: str) -> None:
    a = reckon(verdict(HOUR, HOUR + seconds * SECOND, slack_us=slack_s * SECOND))
    assert a.standing == standing
    assert a.claimed_s == seconds
    assert a.claimed_max_s == seconds + 2 * slack_s
    assert total(a) == a.total_s


def test_overlapping_outages_count_once() -> None:
    a = reckon(verdict(0, 10 * MINUTE), verdict(5 * MINUTE, 20 * MINUTE))
    assert a.claimed_s == 1200


def test_what_may_be_the_customers_is_not_claimed() -> None:
    a = reckon(verdict(0, 10 * MINUTE), verdict(5 * MINUTE, 20 * MINUTE, Side.CUSTOMER))
    assert a.claimed_s == 300
    assert a.not_claimable_s == (("customer", 900),)


def test_maintenance_announced_in_time_is_excluded_as_announced_and_the_overrun_counts() -> None:
    run = verdict(55 * MINUTE, 145 * MINUTE)
    post = OutagePost(
        "acme", "m1", "Works", "maintenance", "completed", (), True, START - 72 * HOUR, None, None, None,
        START + 60 * MINUTE, START + 90 * MINUTE, None, END, "",
    )  # fmt: skip
    a = reckon(run, posts=(post,))
    assert a.excluded_s == (("4.2", 30 * 60),)
    assert a.claimed_s == 60 * 60
    late = replace(post, created_at_us=START - 1)
    assert reckon(run, posts=(late,)).claimed_s == 90 * 60


def test_downtime_below_the_contracts_minimum_is_not_claimed() -> None:
    a = reckon(verdict(0, 9 * MINUTE), verdict(HOUR, HOUR + 11 * MINUTE), terms=contract(minimum=600))
    assert a.claimed_s == 11 * 60
    assert a.not_claimable_s == (("shorter than 600 s", 540),)


def test_downtime_from_the_ticket_counts_from_the_ticket() -> None:
    terms = contract("ticket")
    assert reckon(verdict(0, 20 * MINUTE), terms=terms).claimed_s == 0
    a = reckon(verdict(0, 20 * MINUTE), terms=terms, tickets_us=(START + 5 * MINUTE,))
    assert (a.claimed_s, a.not_claimable_s) == (900, (("before the ticket", 300),))


@pytest.mark.parametrize(("rounding", "downtime_s"), [("none", 119), ("minute_down", 60), ("minute_up", 120)])
def test_rounding_is_the_contracts(rounding: str, downtime_s: int) -> None:
    a = reckon(verdict(0, 119 * SECOND), terms=contract(rounding=rounding))
    assert (a.claimed_s, a.downtime_s) == (119, downtime_s)


def test_credit_is_that_of_the_band_up_to_the_cap() -> None:
    assert reckon(verdict(0, 5 * SECOND)).credit_percent_milli == 0
    assert reckon(verdict(0, HOUR)).credit_percent_milli == 10_000
    assert reckon(verdict(0, 100 * HOUR)).credit_percent_milli == 20_000


def test_what_was_not_measured_is_unknown_and_never_up() -> None:
    spans = (span(State.UP, START, START + HOUR), span(State.UNMEASURED, START + HOUR, END))
    a = reckon(spans=spans)
    assert (a.up_s, a.unknown_s) == (3600, a.total_s - 3600)


MOMENTS = st.integers(-HOUR, END - START + HOUR)
VERDICTS = st.builds(
    lambda a, b, side, slack, claimable: verdict(min(a, b), max(a, b), side, slack, claimable),
    MOMENTS, MOMENTS, st.sampled_from(list(Side)), st.integers(0, 5 * SECOND), st.booleans(),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(VERDICTS, max_size=6),
    st.lists(st.tuples(MOMENTS, MOMENTS), max_size=4),
    st.sampled_from([contract(), contract("ticket"), contract(minimum=600, rounding="minute_up")]),
    st.randoms(),
)
def test_the_sum_is_always_the_month_whatever_the_order(verdicts, holes, terms, rng) -> None:
    gaps = union((START + min(h), START + max(h)) for h in holes)
    spans = [span(State.UNMEASURED, *g) for g in gaps] + [span(State.UP, *g) for g in subtract([(START, END)], gaps)]
    a = reckon(*verdicts, terms=terms, spans=tuple(spans))
    assert total(a) == a.total_s == 44_580 * 60
    assert min(a.up_s, a.claimed_s, a.unknown_s, *(s for _, s in a.not_claimable_s), 0) == 0
    cores = union((v.start.latest_us, v.end.earliest_us) for v in verdicts if v.claimable)
    assert a.claimed_s * SECOND <= length(intersect(cores, [(START, END)]))
    rng.shuffle(spans)
    assert reckon(*verdicts, terms=terms, spans=tuple(spans)) == a
    rng.shuffle(verdicts)
    shuffled = reckon(*verdicts, terms=terms, spans=tuple(spans))
    assert total(shuffled) == shuffled.total_s


INTERVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6)


@given(INTERVALS, INTERVALS)
def test_interval_arithmetic_is_that_of_sets(a, b) -> None:
    def points(intervals: list[tuple[int, int]]) -> set[int]:
        return {i for start, end in intervals for i in range(start, end)}

    assert points(union(a)) == points(a)
    assert points(intersect(a, b)) == points(a) & points(b)
    assert points(subtract(a, b)) == points(a) - points(b)
    assert length(a) == len(points(a))
