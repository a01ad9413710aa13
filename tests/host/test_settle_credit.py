"""Every kind of credit, reckoned by hand in the test and exactly by the code; caps; money rounded down."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terms import AVAILABLE, HEAD, credit, terms

from linewitness.model import Tally
from linewitness.settle.account import SiteEvidence, account
from linewitness.settle.contract import check
from linewitness.settle.credit import Achieved, charge_minor, credit_percent_milli, due_milli, dues

MONTH_S = 30 * 86_400
BANDS = """
[[credit.band]]
from_percent = 99
below_percent = 99.9
percent = 10
[[credit.band]]
from_percent = 0
below_percent = 99
days = 15
"""
MINUTES = """
[[credit.band]]
from_min = 0
below_min = 240
days = 1
[[credit.band]]
from_min = 240
days = 3
"""


def down(downtime_s: int, failures: int = 1) -> Achieved:
    """Return availability in a month of 30 days, promised 99.9 % (43.2 minutes)."""
    value = (1 - Fraction(downtime_s, MONTH_S)) * 1_000_000
    met = value >= 999_000
    return Achieved(value, Fraction(999_000), met, failures, downtime_s, MONTH_S, 1, MONTH_S)


@pytest.mark.parametrize(
    ("made", "downtime_s", "percent"),
    [
        (credit("bands", BANDS), 2592, 0),  # 99.9 % exactly: kept
        (credit("bands", BANDS), 2593, 10),
        (credit("bands", BANDS), 25_920, 10),  # 99 % exactly belongs to the upper band
        (credit("bands", BANDS), 25_921, 50),  # 15 of 30 days
        (credit("bands", MINUTES), 2593, 3.333),
        (credit("bands", MINUTES), 240 * 60, 10),
        (credit("flat", "percent = 10"), 2593, 10),
        (credit("flat", "days = 3"), 2593, 10),
        (credit("per_step", "step_percent = 1\npercent = 10"), 40_000, 10),  # 1.44 points short of the target
        (credit("per_step", "step_percent = 1\npercent = 10\nbegun = true"), 40_000, 20),
        (credit("per_step", "step_min = 30\npercent = 5"), 3600, 10),
        (credit("per_step", "step_min = 30\npercent = 5\nbegun = true"), 3601, 15),
        (credit("per_step", 'step_min = 1\npercent = 1\ncounts = "beyond_target"'), 2592 + 119, 1),
        (credit("per_failure", "percent = 2"), 3000, 6),
        (credit("pro_rata", "multiple = 10"), 25_920, 10),
        (credit("flat", "percent = 60", cap=50), 2593, 50),
    ],
)
def test_each_kind_of_credit_pays_what_the_paper_says(made: str, downtime_s: int, percent: float) -> None:
    contract = terms(AVAILABLE, made)
    achieved = down(downtime_s, failures=3)
    assert credit_percent_milli(contract, contract.commitments[0], achieved) == int(percent * 1000)


LATE = """
[[commitment]]
name = "answers"
metric = "response"
priority = "P1"
window = "month"
[[priority]]
name = "P1"
response_min = 60
hours = "24x7"
"""


def late(*minutes: int) -> Achieved:
    us = [m * 60_000_000 for m in minutes]
    return Achieved(Fraction(0), Fraction(0), False, len(us), 0, 0, 1, MONTH_S, us)


@pytest.mark.parametrize(
    ("made", "minutes", "percent"),
    [
        (credit("per_step", "step_min = 60\npercent = 5", "answers"), (59, 61, 185), 20),
        (credit("per_step", "step_min = 60\npercent = 5\nbegun = true", "answers"), (59, 61), 15),
        (credit("per_failure", "percent = 2", "answers"), (1, 1, 1), 6),
        (credit("bands", "[[credit.band]]\nfrom_min = 0\nbelow_min = 60\npercent = 1\n[[credit.band]]\nfrom_min = 60\n"
                "percent = 4", "answers"), (59, 60), 5),
    ],
)  # fmt: skip
def test_late_answers_pay_each_for_itself(made: str, minutes: tuple[int, ...], percent: int) -> None:
    contract = terms(AVAILABLE, LATE, made)
    assert credit_percent_milli(contract, contract.commitments[1], late(*minutes)) == percent * 1000


MOS = """
[[commitment]]
name = "mos"
metric = "mos"
statistic = "mean"
limit_mos = 4.0
window = "month"
"""


@pytest.mark.parametrize(("mos_milli", "percent"), [(4000, 0), (3950, 0), (3900, 10), (3799, 20)])
def test_each_tenth_of_mos_pays(mos_milli: int, percent: int) -> None:
    contract = terms(AVAILABLE, MOS, credit("per_step", "step_mos = 0.1\npercent = 10", "mos"))
    achieved = Achieved(Fraction(mos_milli), Fraction(4000), mos_milli >= 4000, 1, 0, 0, 1, MONTH_S)
    assert credit_percent_milli(contract, contract.commitments[1], achieved) == percent * 1000


CHARGES = """
[[charge]]
base = "mrc"
amount = 99.99
[[charge]]
base = "mrc"
site = "leeds"
amount = 200
[[charge]]
base = "user"
site = "leeds"
users = 12
amount = 19.5
"""


def tally(site: str, commitment: str, percent: int) -> Tally:
    return Tally(
        site, "acme", commitment, "mos", "2026-04", "UTC", 0, 1, "milli_mos", 4000, 3000, 3000, 9, 9, (), (),
        False, False, percent * 1000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cap", "percent_milli", "amount_minor"),
    [("", 55_000, 11_000), ('[cap]\npercent = 30\ncombine = "sum"', 30_000, 6000),
     ('[cap]\npercent = 90\ncombine = "highest"', 35_000, 7000)],
)  # fmt: skip
def test_credits_of_a_site_are_summed_under_the_contracts_cap(cap: str, percent_milli: int, amount_minor: int) -> None:
    flats = [credit("flat", "percent = 20", "uptime"), credit("flat", "percent = 35", "mos")]
    contract = terms(AVAILABLE, MOS, *flats, CHARGES, cap)
    (due,) = dues(contract, [], [tally("leeds", "uptime", 20), tally("leeds", "mos", 35)])
    assert (due.percent_milli, due.amount_minor, due.currency) == (percent_milli, amount_minor, "GBP")
    assert due.parts == (("mos", 35_000), ("uptime", 20_000))


def test_money_is_rounded_down_and_a_charge_that_is_not_told_is_not_guessed() -> None:
    contract = terms(AVAILABLE, credit("flat", "percent = 33"), CHARGES)
    (due,) = dues(contract, [], [tally("york", "uptime", 33)])
    assert due.amount_minor == 3299  # of 99.99
    assert charge_minor(contract, "user", "leeds") == 12 * 1950
    assert charge_minor(contract, "user", "york") is None
    assert charge_minor(contract, "usage", "leeds") is None
    assert dues(contract, [], [tally("york", "uptime", 0)]) == []


def test_in_a_quarter_the_base_is_still_a_months_charge() -> None:
    contract = terms(AVAILABLE, credit("pro_rata", "multiple = 1"))
    total_s = 90 * 86_400
    value = (1 - Fraction(9 * 86_400, total_s)) * 1_000_000
    achieved = Achieved(value, Fraction(999_000), False, 1, 9 * 86_400, total_s, 3, total_s)
    assert due_milli(contract.credits[0], contract.commitments[0], achieved) == 30_000


def test_a_day_of_the_charge_is_one_of_the_windows_days_also_in_a_quarter() -> None:
    contract = terms(AVAILABLE, credit("flat", "days = 3"))
    achieved = Achieved(Fraction(0), Fraction(999_000), False, 1, 1, 1, 3, 90 * 86_400)
    assert due_milli(contract.credits[0], contract.commitments[0], achieved) == 10_000  # 3 of 30 days of a month


def test_an_account_of_all_sites_is_charged_what_all_sites_are_charged() -> None:
    contract = terms(AVAILABLE, CHARGES, '[[charge]]\nbase = "mrc"\nsite = "york"\namount = 50\n')
    assert charge_minor(contract, "mrc", "*") == 25_000
    assert charge_minor(terms(AVAILABLE, '[[charge]]\nbase = "mrc"\namount = 9\n'), "mrc", "*") == 900
    assert charge_minor(contract, "mrc", "bath") == 9999


@given(st.integers(0, MONTH_S), st.integers(0, MONTH_S))
def test_more_downtime_never_pays_less(a: int, b: int) -> None:
    made = [
        credit("bands", BANDS), credit("bands", MINUTES), credit("pro_rata", "multiple = 3"),
        credit("per_step", "step_min = 7\npercent = 1\nbegun = true"),
        credit("per_step", "step_percent = 0.1\ndays = 2"),
    ]  # fmt: skip
    for one in made:
        contract = terms(AVAILABLE, one)
        low, high = (due_milli(contract.credits[0], contract.commitments[0], down(s)) for s in sorted((a, b)))
        assert low <= high


def test_a_month_without_evidence_owes_nothing() -> None:
    contract = terms(AVAILABLE, credit("flat", "percent = 10"))
    a = account(contract, contract.commitments[0], SiteEvidence("leeds", (), ()), "2026-04", ())
    assert (a.credit_percent_milli, a.standing) == (0, "unmeasured")


def bands(*edges: str) -> str:
    return credit("bands", "".join(f"[[credit.band]]\n{edge}\npercent = 5\n" for edge in edges))


@pytest.mark.parametrize(
    ("made", "key", "text"),
    [
        (credit("flat", ""), "credit[0]", "pays percent or days"),
        (credit("flat", "percent = 1\ndays = 1"), "credit[0]", "pays percent or days"),
        (credit("flat", "multiple = 1"), "credit[0].multiple", "belongs to kind pro_rata, not flat"),
        (credit("per_step", "percent = 1"), "credit[0]", "wanted one of step_percent, step_min"),
        (credit("per_step", "percent = 1\nstep_mos = 0.1"), "credit[0].step_mos", "is reckoned in percent or min"),
        (credit("per_step", "percent = 1\nstep_min = 0"), "credit[0].step_min", "a step of nothing"),
        (credit("flat", "percent = 1", "uptme"), "credit[0].commitment", "no commitment 'uptme'"),
        (bands("from_mos = 0\nbelow_mos = 4"), "credit[0].band[0]", "not mos"),
        (bands("from_percent = 0"), "credit[0].band[0].below_percent", "is missing"),
        (bands("from_min = 240"), "credit[0].band[0].from_min", "hole: 40.32 to 240"),
        (bands("from_min = 0\nbelow_min = 9"), "credit[0].band[0].below_min", "hole: 9 and more"),
        (bands("from_min = 0", "from_min = 60"), "credit[0].band[1].from_min", "overlap: from 60"),
        (bands("from_percent = 0\nbelow_percent = 95.9"), "credit[0].band[0].below_percent", "hole: 95.9 to 99.9"),
        (credit("flat", "percent = 1") + credit("flat", "percent = 1", base="usage"), "credit[1].base", "one base"),
        (credit("flat", "percent = 0.12345"), "credit[0].percent", "more than 4 decimal places"),
    ],
)  # fmt: skip
def test_a_credit_that_can_not_be_reckoned_is_refused_by_name(made: str, key: str, text: str) -> None:
    found, problems = check(HEAD + AVAILABLE + made)
    assert found is None
    assert any(p.key == key and text in p.text and not p.warning for p in problems), problems
