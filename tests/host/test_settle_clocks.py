"""Clocks from an event: a ticket's answer, updates and restore in the hours of its priority, and failovers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terms import credit, terms

from linewitness.model import Bounds, Segment, SegmentSpan, Side, State, Ticket, TicketAct, TicketEvent, Verdict
from linewitness.settle.account import SiteEvidence
from linewitness.settle.calendar import ServiceHours, months_in, utc_us, window_interval, windows_between
from linewitness.settle.clocks import clocks, tally_failovers, tally_tickets
from linewitness.settle.contract import Priority
from linewitness.settle.intervals import length

SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
MONTH = "2026-04"
START, END = window_interval(MONTH, "UTC")
P1 = Priority("P1", 15, 60, 240, None, "", False, "")
OFFICE = ServiceHours((0, 1, 2, 3, 4), 8 * 60, 18 * 60, (date(2026, 4, 6),), "UTC")


def ticket(opened_min: float, *events: tuple[float, TicketAct], number: str = "T1") -> Ticket:
    at = [(opened_min, TicketAct.OPENED), *events]
    told = tuple(TicketEvent(START + int(m * MINUTE), act, "", START) for m, act in at)
    return Ticket("acme", number, (), "P1", told)


def states(t: Ticket, now_min: float, priority: Priority = P1) -> list[tuple[str, int, int, bool]]:
    """Return (name, minutes elapsed, minutes late, running) of each clock."""
    return [
        (c.name, c.elapsed_us // MINUTE, c.late_us // MINUTE, c.running)
        for c in clocks(t, priority, START + int(now_min * MINUTE))
    ]


A, U, R, C, O = TicketAct.ANSWERED, TicketAct.UPDATED, TicketAct.RESTORED, TicketAct.CLOSED, TicketAct.REOPENED  # noqa: E741


def test_a_ticket_that_was_handled_in_time() -> None:
    t = ticket(0, (10, A), (60, U), (110, R), (200, C))
    assert states(t, 1000) == [
        ("response", 10, 0, False), ("update", 10, 0, False), ("update", 50, 0, False), ("update", 50, 0, False),
        ("restore", 110, 0, False),
    ]  # fmt: skip


def test_late_clocks_and_those_that_still_run() -> None:
    t = ticket(0, (20, A), (100, U))
    assert states(t, 300) == [
        ("response", 20, 5, False), ("update", 20, 0, False), ("update", 80, 20, False), ("update", 200, 140, True),
        ("restore", 300, 60, True),
    ]  # fmt: skip
    assert states(t, 10) == [("response", 10, 0, True), ("update", 10, 0, True), ("restore", 10, 0, True)]


def test_a_ticket_opened_again_begins_its_clocks_anew() -> None:
    t = ticket(0, (5, A), (100, R), (120, O), (150, A), (200, R))
    assert states(t, 1000) == [
        ("response", 5, 0, False), ("update", 5, 0, False), ("update", 95, 35, False), ("restore", 100, 0, False),
        ("response", 30, 15, False), ("update", 30, 0, False), ("update", 50, 0, False), ("restore", 80, 0, False),
    ]  # fmt: skip


def test_a_restore_without_a_word_before_it_answers_too() -> None:
    assert states(ticket(0, (12, R)), 1000)[0] == ("response", 12, 0, False)


def test_clocks_in_business_hours_stand_still_at_night_and_on_holidays() -> None:
    # Friday 3 April 17:30; Monday 6 April is a holiday.
    t = ticket(2 * 1440 + 17 * 60 + 30, (6 * 1440 + 9 * 60, A))
    (response, *_) = clocks(t, replace(P1, hours=OFFICE), END)
    assert response.elapsed_us == 90 * MINUTE  # half an hour on Friday, an hour on Tuesday
    restore = clocks(t, replace(P1, hours=OFFICE), START)
    assert restore == []  # not opened yet
    due = clocks(t, replace(P1, hours=OFFICE), END)[-1].due_us
    assert due == utc_us(datetime(2026, 4, 7, 11, 30, tzinfo=UTC))


RESPONSE = """
[[commitment]]
name = "answers"
metric = "response"
priority = "P1"
window = "month"
scope = "account"
[[priority]]
name = "P1"
response_min = 15
hours = "24x7"
"""
PENALTY = credit("per_failure", "percent = 2", "answers")


def test_tickets_of_the_month_are_tallied_and_pay() -> None:
    contract = terms(RESPONSE, PENALTY)
    handed = [
        ticket(0, (10, A)), ticket(100, (130, A), number="T2"), ticket(-10, (60, A), number="last month"),
        replace(ticket(0, (600, A), number="other"), priority="P2"),
    ]  # fmt: skip
    t = tally_tickets(contract, contract.commitments[0], "*", handed, MONTH, END)
    assert (t.judged, t.failed, t.standing, t.credit_percent_milli) == (2, 1, "breach", 2000)
    assert (t.achieved, t.limit) == (30 * MINUTE, 15 * MINUTE)
    within = terms(RESPONSE.replace('priority = "P1"', 'priority = "P1"\nwithin_percent = 50'), PENALTY)
    half = tally_tickets(within, within.commitments[0], "*", handed, MONTH, END)
    assert (half.standing, half.credit_percent_milli) == ("met", 0)


def test_a_clock_that_still_runs_in_time_says_nothing_yet() -> None:
    contract = terms(RESPONSE, PENALTY)
    waiting = [ticket(0)]
    early = tally_tickets(contract, contract.commitments[0], "*", waiting, MONTH, START + 14 * MINUTE)
    assert (early.judged, early.standing) == (0, "unmeasured")
    late = tally_tickets(contract, contract.commitments[0], "*", waiting, MONTH, START + 16 * MINUTE)
    assert (late.judged, late.failed, late.standing) == (1, 1, "breach")


# --- failover -------------------------------------------------------------------------------------------------------

FAILOVER = """
[[commitment]]
name = "backup"
metric = "failover"
within_s = 30
to = "TO"
window = "month"
"""
UP = (SegmentSpan("leeds", Segment.PROVIDER, State.UP, Bounds(START, START), Bounds(END, END)),)


def interrupted(start_s: int, seconds: int, side: Side = Side.PROVIDER, slack_s: int = 1) -> Verdict:
    start, end, slack = START + start_s * SECOND, START + (start_s + seconds) * SECOND, slack_s * SECOND
    bounds = (Bounds(start - slack, start), Bounds(end, end + slack))
    return Verdict("leeds", None, side, *bounds, 98, (), (), (), (), side is Side.PROVIDER)


@pytest.mark.parametrize(
    ("seconds", "standing", "failed"), [(31, "breach", 1), (30, "possible", 0), (29, "possible", 0), (27, "met", 0)]
)
def test_a_failover_is_late_by_the_shortest_reading_only(seconds: int, standing: str, failed: int) -> None:
    contract = terms(FAILOVER.replace("TO", "backup"), credit("per_failure", "percent = 5", "backup"))
    evidence = SiteEvidence("leeds", [interrupted(100, seconds)], UP)
    t = tally_failovers(contract, contract.commitments[0], "leeds", [evidence], MONTH, ())
    assert (t.standing, t.failed, t.credit_percent_milli) == (standing, failed, failed * 5000)
    assert (t.achieved, t.worst) == (seconds * SECOND, (seconds + 2) * SECOND)


def test_an_alternate_carrier_is_asked_of_the_carriers_failures_alone() -> None:
    contract = terms(FAILOVER.replace("TO", "alternate_carrier"))
    found = [interrupted(100, 500), interrupted(2000, 40, Side.CARRIER), interrupted(3000, 90, Side.CUSTOMER)]
    t = tally_failovers(contract, contract.commitments[0], "leeds", [SiteEvidence("leeds", found, UP)], MONTH, ())
    assert (t.judged, t.failed, t.achieved) == (1, 1, 40 * SECOND)


# --- the calendar ---------------------------------------------------------------------------------------------------


def test_hours_are_those_of_the_clock_on_the_wall_when_it_is_moved() -> None:
    night = ServiceHours(tuple(range(7)), 22 * 60, 6 * 60, (), "Europe/Berlin")
    spring = window_interval("2026-03", "Europe/Berlin")
    autumn = window_interval("2026-10", "Europe/Berlin")
    assert length(night.intervals(*spring)) == (31 * 8 - 1) * HOUR  # the first six hours are those of February's last
    assert length(night.intervals(*autumn)) == (31 * 8 + 1) * HOUR


@settings(max_examples=50)
@given(st.integers(START, END), st.integers(1, 100 * HOUR))
def test_so_much_of_the_hours_has_passed_after_what_after_says(start_us: int, counted_us: int) -> None:
    end_us = OFFICE.after(start_us, counted_us)
    assert OFFICE.counted_us(start_us, end_us) == counted_us
    assert OFFICE.counted_us(start_us, end_us - 1) == counted_us - 1


@pytest.mark.parametrize("kind", ["month", "quarter", "year"])
def test_windows_meet_without_a_gap(kind: str) -> None:
    start, end = window_interval("2026-01", "Europe/London")[0], window_interval("2028-12", "Europe/London")[1]
    windows = windows_between(kind, start, end, "Europe/London")
    edges = [window_interval(w, "Europe/London") for w in windows]
    assert (edges[0][0], edges[-1][1]) == (start, end)
    assert all(a[1] == b[0] for a, b in pairwise(edges))
    assert {months_in(w) for w in windows} == {{"month": 1, "quarter": 3, "year": 12}[kind]}


def test_any_two_consecutive_months_are_a_window() -> None:
    assert windows_between("two_months", START, END, "UTC") == ["2026-03+2", "2026-04+2"]
    assert window_interval("2026-12+2", "UTC")[1] == window_interval("2027-01", "UTC")[1]


@pytest.mark.parametrize("text", ["2026-13", "2026-Q5", "26-01", "2026-1", "2026-03-01", ""])
def test_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"window|month"):
        window_interval(text, "UTC")
