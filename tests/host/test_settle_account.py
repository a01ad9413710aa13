"""The contract's arithmetic: every second of the month in one class, overlaps once, the least that the bounds allow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linewitness.model import (
    Account,
    OutagePost,
    Side,
    State,
    Ticket,
    TicketAct,
    Verdict,
)
from linewitness.settle.account import SiteEvidence, account
from linewitness.settle.calendar import window_interval
from linewitness.settle.contract import Contract, load
from linewitness.settle.posts import as_noticed
from tests.host.months_account import (
    CLAIM,
    END,
    HOUR,
    MINUTE,
    MONTH,
    SECOND,
    START,
    TEXT,
    WHOLE,
    ZONE,
    contract,
    maintenance,
    reckon,
    span,
    ticket,
    total,
    verdict,
)


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


def test_notice_counts_from_when_a_post_was_there_whatever_it_says_of_itself() -> None:
    run, post = verdict(60 * MINUTE, 90 * MINUTE), maintenance(60 * MINUTE, 90 * MINUTE)
    seen_us, start_us = START - 60 * HOUR, START + 60 * MINUTE
    first = replace(post, created_at_us=None, fetched_at_us=seen_us)
    last = replace(first, fetched_at_us=END)

    def excluded_s(current: OutagePost, absent_us: int | None = None) -> int:
        absent = {} if absent_us is None else {("acme", "m1"): absent_us}
        (noticed,) = as_noticed([current], [last, first], absent)
        return sum(seconds for _, seconds in reckon(run, posts=(noticed,)).excluded_s)

    assert excluded_s(last) == 30 * 60  # no time stated: first fetched 61 h before
    assert excluded_s(replace(last, fetched_at_us=START), absent_us=start_us - 47 * HOUR) == 0
    assert excluded_s(post) == excluded_s(post, absent_us=START - 100 * HOUR) == 30 * 60
    assert excluded_s(post, absent_us=start_us - 47 * HOUR) == 0  # dated back: a fetch after that did not have it
    (outage,) = as_noticed([replace(post, maintenance=False)], [post], {("acme", "m1"): END})
    assert outage.created_at_us == post.created_at_us


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


# --- the hand-made cases --------------------------------------------------------------------------------------------


def test_the_own_link_cut_for_ten_minutes_is_no_minute_of_the_providers() -> None:
    a = reckon(verdict(HOUR, HOUR + 10 * MINUTE, Side.ISP, slack_us=SECOND))
    assert (a.claimed_s, a.claimed_max_s, a.standing) == (0, 0, "met")
    assert a.not_claimable_s == (("isp", 602),)


@pytest.mark.parametrize(
    ("true_s", "standing", "credit"), [(40, "breach", 10_000), (28, "possible", 0), (24, "met", 0)]
)
def test_an_outage_seen_to_about_a_second_at_each_end(true_s: int, standing: str, credit: int) -> None:
    """Bounds of a second on either side of each true end: the claim counts two seconds less, the most two more."""
    true = verdict(HOUR + SECOND, HOUR + (true_s - 1) * SECOND, slack_us=2 * SECOND)
    a = reckon(true)
    assert (a.claimed_s, a.claimed_max_s) == (true_s - 2, true_s + 2)
    assert (a.standing, a.credit_percent_milli) == (standing, credit)


def test_one_dead_member_of_a_set_is_no_minute_of_downtime() -> None:
    dead = replace(verdict(HOUR, 3 * HOUR), kind="provider.edge_degraded")
    a = reckon(dead, verdict(2 * HOUR, 2 * HOUR + MINUTE))
    assert (a.claimed_s, a.claimed_max_s) == (60, 60)
    assert a.up_s == a.total_s - 60


def test_maintenance_beyond_the_months_allowance_or_its_days_is_not_excluded() -> None:
    text = TEXT.replace("STARTS", "failure").replace("MINIMUM", "0").replace("ROUNDING", "none")
    run = verdict(0, 10 * HOUR)  # 2026-03-01 is a Sunday
    post = maintenance(HOUR, 9 * HOUR)
    four = load(text.replace("notice_h = 48", "notice_h = 48\nmax_h_month = 4"), "t")
    assert reckon(run, terms=four, posts=(post,)).excluded_s == (("4.2", 4 * 3600),)
    night = load(text.replace("notice_h = 48", 'notice_h = 48\nopens = "00:00"\ncloses = "02:00"'), "t")
    assert reckon(run, terms=night, posts=(post,)).excluded_s == (("4.2", 3600),)
    monday = load(text.replace("notice_h = 48", 'notice_h = 48\ndays = ["mon"]'), "t")
    assert reckon(run, terms=monday, posts=(post,)).excluded_s == ()
    short = load(text.replace("notice_h = 48", "max_min_each = 10"), "t")
    assert reckon(run, terms=short, posts=(post,)).excluded_s == ()
    assert reckon(run, terms=short, posts=(maintenance(HOUR, HOUR + 10 * MINUTE),)).excluded_s == (("4.2", 600),)


def test_each_month_of_a_longer_window_has_its_own_allowance() -> None:
    text = TEXT.replace("STARTS", "failure").replace("MINIMUM", "0").replace("ROUNDING", "none")
    terms = load(text.replace("notice_h = 48", "notice_h = 48\nmax_h_month = 4"), "t")
    start, end = window_interval("2026-Q1", ZONE)
    runs, posts = [], []
    for at in (start - START, -28 * 24 * HOUR, 0):  # January, February, March
        runs.append(verdict(at, at + 6 * HOUR))
        posts.append(maintenance(at, at + 6 * HOUR, notice_us=start - 72 * HOUR))
    whole = (span(State.UP, start, end),)
    a = account(terms, terms.commitments[0], SiteEvidence("leeds", runs, whole), "2026-Q1", posts)
    assert (a.excluded_s, a.claimed_s) == ((("4.2", 12 * 3600),), 6 * 3600)
    assert total(a) == a.total_s


def test_what_both_sides_agree_on_is_excluded_where_the_provider_failed() -> None:
    text = TEXT.replace("STARTS", "failure").replace("MINIMUM", "0").replace("ROUNDING", "none")
    flood = """
[[exclusion]]
kind = "force_majeure"
clause = "9"
during = [[2026-03-01T00:00:00+01:00, 2026-03-01T01:00:00+01:00]]
[[credit]]"""
    a = reckon(verdict(30 * MINUTE, 2 * HOUR), terms=load(text.replace("[[credit]]", flood), "t"))
    assert (a.excluded_s, a.claimed_s) == ((("9", 1800),), 3600)


def test_outside_the_service_hours_and_the_term_nothing_counts() -> None:
    text = TEXT.replace("STARTS", "failure").replace("MINIMUM", "0").replace("ROUNDING", "none")
    hours = 'hours = "business"\nscope = "site"'
    text = (
        text.replace('scope = "site"', hours)
        + """
[business_hours]
days = ["mon", "tue", "wed", "thu", "fri"]
opens = "08:00"
closes = "18:00"
holidays = [2026-03-02]
"""
    )
    a = reckon(verdict(0, 60 * HOUR), terms=load(text, "t"))  # Sunday 0:00 to Tuesday 12:00
    assert a.claimed_s == 4 * 3600
    assert a.counted_s == 21 * 10 * 3600  # 22 weekdays, one of them a holiday
    assert total(a) == a.total_s == 44_580 * 60
    later = load(text.replace("effective_from = 2026-01-01", "effective_from = 2026-03-31"), "t")
    assert reckon(terms=later).counted_s == 10 * 3600


def test_one_downtime_of_two_verdicts_is_long_enough_together() -> None:
    a = reckon(verdict(0, 9 * MINUTE), verdict(5 * MINUTE, 14 * MINUTE), terms=contract(minimum=600))
    assert (a.claimed_s, a.not_claimable_s) == (14 * 60, ())
    assert a.claims == ((START, START + 14 * MINUTE),)


def test_the_minimum_is_asked_of_what_is_left_without_maintenance_and_holes() -> None:
    terms = contract(minimum=600)
    assert reckon(verdict(0, 10 * MINUTE), terms=terms).claimed_s == 600  # the minimum itself is enough
    assert reckon(verdict(0, 10 * MINUTE - 1), terms=terms).claimed_s == 0
    run = verdict(0, 30 * MINUTE)
    a = reckon(run, terms=terms, posts=(maintenance(5 * MINUTE, 10 * MINUTE),))
    assert (a.claimed_s, a.excluded_s, a.not_claimable_s) == (1200, (("4.2", 300),), (("shorter than 600 s", 300),))
    spans = (span(State.UP, START, START + 21 * MINUTE), span(State.UP, START + 22 * MINUTE, END))
    a = reckon(run, terms=terms, spans=spans)
    assert (a.claimed_s, a.unknown_s, a.not_claimable_s) == (21 * 60, 60, (("shorter than 600 s", 480),))


def test_a_claim_is_rounded_down_whatever_is_left_over() -> None:
    a = reckon(verdict(HOUR, HOUR + 1_999_999))
    assert (a.claimed_s, a.claimed_max_s, a.up_s) == (1, 2, a.total_s - 1)


def test_a_downtime_over_midnight_of_the_month_is_long_enough_as_a_whole() -> None:
    over = verdict(-6 * MINUTE, 6 * MINUTE)
    spans = (span(State.UP, START - HOUR, END),)
    assert reckon(over, terms=contract(minimum=600), spans=spans).claimed_s == 360
    assert reckon(over, terms=contract(minimum=600), spans=spans).claims == ((START, START + 6 * MINUTE),)
    assert reckon(over, terms=contract(minimum=721), spans=spans).claimed_s == 0


def test_a_ticket_of_last_month_that_is_closed_starts_no_clock() -> None:
    terms = contract("ticket")
    outage = verdict(HOUR, 2 * HOUR)
    closed = ticket(START - HOUR, (START - MINUTE, TicketAct.CLOSED))
    assert with_tickets(terms, outage, closed).claimed_s == 0
    still_open = ticket(START - HOUR, (START - MINUTE, TicketAct.ANSWERED))
    assert with_tickets(terms, outage, still_open).claimed_s == 3600
    reopened = ticket(START - HOUR, (START - MINUTE, TicketAct.CLOSED), (START + HOUR, TicketAct.REOPENED))
    assert with_tickets(terms, outage, reopened).claimed_s == 3600


def with_tickets(terms: Contract, outage: Verdict, *tickets: Ticket) -> Account:
    evidence = SiteEvidence("leeds", (outage,), WHOLE, tickets)
    return account(terms, terms.commitments[0], evidence, MONTH, ())


def test_without_a_ticket_in_time_nothing_is_due() -> None:
    text = TEXT.replace("STARTS", "failure").replace("MINIMUM", "0").replace("ROUNDING", "none")
    terms = load(text + CLAIM, "t")
    outage = verdict(HOUR, 2 * HOUR)
    a = reckon(outage, terms=terms)
    assert (a.claimed_s, a.claimed_max_s, a.not_claimable_s) == (0, 0, (("no ticket within 24 h", 3600),))
    assert reckon(outage, terms=terms, tickets_us=(START + 25 * HOUR,)).claimed_s == 3600
    assert reckon(outage, terms=terms, tickets_us=(START + 26 * HOUR,)).claimed_s == 0


@pytest.mark.parametrize(("record", "claimed_s"), [("customer", 3600), ("provider", 1800)])
def test_detection_is_ours_or_theirs_by_whose_records_govern(record: str, claimed_s: int) -> None:
    text = TEXT.replace("STARTS", "detection").replace("MINIMUM", "0").replace("ROUNDING", "none")
    terms = load(text.replace("effective_from", f'measure_of_record = "{record}"\neffective_from'), "t")
    post = OutagePost(
        "acme", "i1", "No calls", "major", "resolved", (), False, START + 90 * MINUTE, None, START, None, None, None,
        None, END, "",
    )  # fmt: skip
    assert reckon(verdict(HOUR, 2 * HOUR), terms=terms, posts=(post,)).claimed_s == claimed_s


@pytest.mark.parametrize(
    ("window", "days"), [("2026-Q1", 90), ("2026", 365), ("2028", 366), ("2026-02+2", 59), ("2026-12+2", 62)]
)
def test_longer_windows_have_their_own_seconds(window: str, days: int) -> None:
    terms = contract()
    a = account(terms, terms.commitments[0], SiteEvidence("leeds", (), ()), window, ())
    start, end = window_interval(window, ZONE)
    assert a.total_s == a.unknown_s == (end - start) // SECOND
    assert abs(a.total_s - days * 86_400) in (0, 3600)
    assert a.standing == "unmeasured"
