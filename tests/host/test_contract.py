"""A contract is checked key by key, and what is wrong is named with its line."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from linewitness import cli
from linewitness.errors import Refused
from linewitness.settle.calendar import month_interval, months_between
from linewitness.settle.contract import check, load

GOOD = """[contract]
name = "acme"
provider = "acme"
time_zone = "Europe/London"
effective_from = 2026-01-01
[[commitment]]
metric = "availability"
target_percent = 99.99
window = "month"
scope = "site"
[downtime]
starts_at = "failure"
min_continuous_s = 0
rounding = "none"
[[exclusion]]
kind = "maintenance"
clause = "4.2"
notice_h = 48
[[credit]]
base = "mrc"
cap_percent = 50
[[credit.band]]
from_percent = 99
below_percent = 99.99
percent = 10
[[credit.band]]
from_percent = 0
below_percent = 99
percent = 25.5
[claim]
deadline = 30
unit = "day"
basis = "month_end"
[[priority]]
name = "P1"
response_min = 15
update_min = 60
restore_min = 240
hours = "24x7"
[source]
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""


def test_a_good_contract_holds() -> None:
    contract, problems = check(GOOD)
    assert problems == []
    assert contract is not None
    assert contract.commitments[0].target_ppm == 999_900
    assert contract.exclusions[0].notice_h == Decimal(48)
    assert [b.pay.percent_milli for b in contract.credits[0].bands] == [10_000, 25_500]
    assert contract.priorities[0].restore_min == 240


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "text"),
    [
        ('name = "acme"\nprovider', 'nome = "acme"\nprovider', 2, "contract.nome", "unknown"),
        ('provider = "acme"\n', "", 1, "contract.provider", "is missing"),
        ("[downtime]", "[down]", 11, "down", "unknown"),
        ("target_percent = 99.99", 'target_percent = "99.99"', 8, "commitment[0].target_percent", "wanted"),
        ("target_percent = 99.99", "target_percent = 101", 8, "commitment[0].target_percent", "at most 100"),
        ('starts_at = "failure"', 'starts_at = "sometime"', 12, "downtime.starts_at", "wanted one of failure"),
        ("Europe/London", "Europe/Leeds", 4, "contract.time_zone", "no IANA time zone"),
        ("below_percent = 99\n", "below_percent = 98\n", 28, "credit[0].band[1].below_percent", "hole: 98 to 99"),
        ("below_percent = 99\n", "below_percent = 99.5\n", 28, "credit[0].band[1].below_percent", "overlap: 99 to"),
        ("below_percent = 99.99\n", "below_percent = 99.9\n", 24, "credit[0].band[0].below_percent", "hole: 99.9 to"),
        ("from_percent = 0\n", "from_percent = 90\n", 27, "credit[0].band[1].from_percent", "hole: 0 to 90"),
        ("restore_min = 240", "restore_min = 5", 38, "priority[0].restore_min", "before response"),
        ('kind = "maintenance"', 'kind = "capacity"', 18, "exclusion[0].notice_h", "belongs to kind maintenance"),
        ("name = \"P1\"", "name = P1", 35, "toml", "Invalid value"),
        ("[[priority]]", "[priority]", 34, "priority", "wanted [[priority]]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_key_and_line(old: str, new: str, line: int, key: str, text: str) -> None:
    assert GOOD.count(old) >= 1
    contract, problems = check(GOOD.replace(old, new, 1))
    assert contract is None
    assert any(p.line == line and p.key == key and text in p.text for p in problems), problems
    with pytest.raises(Refused, match=r"acme.toml:\d+"):
        load(GOOD.replace(old, new, 1), "acme.toml")


SECOND = """[[commitment]]
name = "answers"
metric = "response"
priority = "P1"
window = "month"
"""
CREDITED = GOOD.replace("[[credit]]", '[[credit]]\ncommitment = "availability"', 1)


@pytest.mark.parametrize(
    ("added", "key", "text"),
    [
        (SECOND.replace("P1", "P9"), "commitment[1].priority", "no priority 'P9'; there are P1"),
        (SECOND.replace("answers", "availability"), "commitment[1].name", "two commitments are called 'availability'"),
        (SECOND + 'hours = "business"\n', "commitment[1].hours", "belongs to metric"),
        (SECOND + "limit_mos = 4\n", "commitment[1].limit_mos", "belongs to metric mos or call_quality, not response"),
        ('[[commitment]]\nmetric = "mos"\nwindow = "month"\n', "commitment[1].limit_mos", "is missing"),
        ('[[commitment]]\nmetric = "mos"\nwindow = "month"\nstatistic = "mean"\nlimit_mos = 4\nmax_share_percent = 1\n',
         "commitment[1].max_share_percent", 'belongs to statistic "share"'),
        ('[[commitment]]\nmetric = "call_quality"\nwindow = "month"\nstatistic = "share"\nmax_share_percent = 1\n',
         "commitment[1].metric", "no limit"),
        ('[[priority]]\nname = "P1"\nresponse_min = 5\nhours = "24x7"\n', "priority[1].name", "a second priority 'P1'"),
        ('[[priority]]\nname = "P2"\nresponse_min = 5\nhours = "business"\n', "priority[1].hours",
         "business hours are not told"),
        ('[business_hours]\ndays = ["mon"]\nopens = "08:00"\ncloses = "08:00"\n', "business_hours.closes",
         "no time at all"),
        ('[business_hours]\ndays = ["mon"]\nopens = "8"\ncloses = "18:00"\n', "business_hours.opens", "wanted HH:MM"),
        ('[[charge]]\nbase = "mrc"\namount = 5\n', "contract.currency", "is missing: charges are given"),
        ('[[charge]]\nbase = "user"\namount = 5\n', "charge[0].users", "is missing"),
        ('[chronic]\nmissed = 4\nwithin = 3\nright = "leave"\n', "chronic.missed", "4 of 3 can't be missed"),
        ('[[exclusion]]\nkind = "force_majeure"\nclause = "9"\nduring = [["yesterday", "today"]]\n',
         "exclusion[1].during", "wanted [from, until]"),
        ('[[exclusion]]\nkind = "maintenance"\nclause = "9"\nnotice_h = 1\nopens = "22:00"\n', "exclusion[1].closes",
         "opens and closes belong together"),
        ("[cap]\npercent = 10\n", "cap.combine", "is missing"),
    ],
)  # fmt: skip
def test_what_can_not_be_reckoned_with_is_refused(added: str, key: str, text: str) -> None:
    found, problems = check(CREDITED + added)
    assert found is None
    assert any(p.key == key and text in p.text and not p.warning for p in problems), problems


@pytest.mark.parametrize(
    ("old", "new", "key", "text", "warning"),
    [
        ("deadline = 30", "deadline = 0", "claim.deadline", "no claim could be in time", False),
        ('"day"', '"billing_cycle"', "contract.billing_day", "is missing", True),
        ('"day"', '"business_day"', "claim.unit", "public holidays are not told", True),
        ('basis = "month_end"', 'basis = "incident"\nneeds_ticket_within_h = 800', "claim.needs_ticket_within_h",
         "800 h for the ticket are more than the 30 days", False),
        ('window = "month"', 'window = "year"', "claim.basis", "the window's last is taken", True),
        ("min_continuous_s = 0", "min_continuous_s = 600", "downtime.min_continuous_s", "allows only 259.2 s", True),
        ("update_min = 60", "update_min = 300", "priority[0].update_min", "comes after the restore", True),
        ("percent = 25.5", "percent = 5", "credit[0].band[1].percent", "worse service pays less", True),
        ("percent = 25.5", "percent = 60", "credit[0].band[1].percent", "above the cap of 50", True),
        ("target_percent = 99.99\n", "target_percent = 99.99999\n", "commitment[0].target_percent", "decimal places",
         False),
        ('provider = "acme"', 'provider = "fill-in"', "contract.provider", "still 'fill-in'", True),
    ],
)  # fmt: skip
def test_a_clock_or_deadline_that_can_not_be_kept_is_named_with_its_line(
    old: str, new: str, key: str, text: str, warning: bool
) -> None:
    assert old in GOOD
    changed = GOOD.replace(old, new, 1)
    found, problems = check(changed)
    assert (found is not None) == warning
    (problem,) = [p for p in problems if p.key == key and text in p.text]
    assert problem.warning == warning
    line = changed.splitlines()[problem.line - 1]
    assert key.rpartition(".")[2] in line or line.startswith("[")


def test_a_slower_priority_comes_after_a_faster_one_or_is_a_warning() -> None:
    slow = '[[priority]]\nname = "P2"\nresponse_min = 5\nhours = "24x7"\n'
    found, problems = check(GOOD + slow)
    assert found is not None
    assert [p.text for p in problems] == ["'P2' is faster than 'P1' (5 < 15 min)"]


def test_a_contract_with_one_credit_may_write_it_as_a_table() -> None:
    one = GOOD.replace("[[credit]]", "[credit]", 1)
    assert check(one)[0] == check(GOOD)[0]
    _, problems = check(one.replace("below_percent = 99\n", "below_percent = 98\n"))
    assert [(p.line, p.key) for p in problems] == [(28, "credit[0].band[1].below_percent")]


NONSENSE = (
    '""', "-1", "0", "1e400", "nan", "inf", "true", "[]", "{}", '"x"', "1979-05-27T07:32:00Z", "1979-05-27", "07:32:00",
    "[[1]]", "99999999999999999999", '["x"]', "[{a = 1}]", "0.00000001", "[[1979-05-27T07:32:00, 1979-05-27T07:32:00]]",
)  # fmt: skip


def documented() -> str:
    return (Path(__file__).parents[2] / "docs" / "contract.md").read_text().split("```toml\n")[1].split("```")[0]


def test_nonsense_at_any_place_is_refused_or_read_and_never_an_accident() -> None:
    lines = documented().splitlines()
    refused = 0
    for i, line in enumerate(lines):
        key = line.partition(" ")[0]
        changes = [f"{key} = {value}" for value in NONSENSE[i % 4 :: 4]] if line[:1].isalpha() else []
        for change in [*changes, "", f"{line}x", line.strip("[]").join("[]")]:
            contract, problems = check("\n".join([*lines[:i], change, *lines[i + 1 :]]))
            assert (contract is None) == any(not p.warning for p in problems)
            refused += contract is None
    assert refused > 400


def test_lines_are_found_past_texts_of_several_lines() -> None:
    long = GOOD.replace('name = "acme"', 'name = """\n[downtime]\nacme = 1\n"""', 1)
    _, problems = check(long.replace("min_continuous_s = 0", "min_continuous_s = -1"))
    assert [(p.line, p.key) for p in problems] == [(16, "downtime.min_continuous_s")]


def test_maintenance_without_notice_is_a_warning_only() -> None:
    contract, problems = check(GOOD.replace("notice_h = 48\n", ""))
    assert contract is not None
    assert [(p.key, p.warning) for p in problems] == [("exclusion[0].notice_h", True)]


@pytest.mark.parametrize(
    ("month", "zone", "minutes"),
    [
        ("2026-03", "Europe/Berlin", 44_580),
        ("2026-03", "America/New_York", 44_580),
        ("2026-10", "Europe/Berlin", 44_700),
        ("2026-11", "America/New_York", 43_260),
        ("2026-04", "Europe/Berlin", 43_200),
        ("2026-02", "UTC", 28 * 1440),
        ("2028-02", "UTC", 29 * 1440),
        ("2026-12", "Asia/Kolkata", 31 * 1440),
    ],
)
def test_months_have_the_minutes_of_their_time_zone(month: str, zone: str, minutes: int) -> None:
    start_us, end_us = month_interval(month, zone)
    assert (end_us - start_us) == minutes * 60_000_000


def test_months_meet_without_a_gap() -> None:
    start, end = month_interval("2026-03", "Europe/London")[0], month_interval("2027-01", "Europe/London")[1]
    months = months_between(start, end, "Europe/London")
    assert months == [f"2026-{m:02d}" for m in range(3, 13)] + ["2027-01"]
    edges = [month_interval(m, "Europe/London") for m in months]
    assert all(a[1] == b[0] for a, b in pairwise(edges))


def test_contract_check_prints_each_problem_and_exits_with_3(tmp_path: Path) -> None:
    path = tmp_path / "acme.toml"
    path.write_text(GOOD.replace("below_percent = 99\n", "below_percent = 98\n"))
    result = CliRunner().invoke(cli.main, ["contract", "check", str(path)])
    assert result.exit_code == 3
    assert f"{path}:28: refused: credit[0].band[1].below_percent: hole: 98 to 99" in result.stdout
    path.write_text(GOOD)
    result = CliRunner().invoke(cli.main, ["contract", "check", str(path), "--json"])
    assert (result.exit_code, json.loads(result.stdout)["result"]) == (0, "holds")


def test_a_template_is_printed_and_written_once(tmp_path: Path) -> None:
    names = CliRunner().invoke(cli.main, ["contract", "template"]).stdout.split()
    assert "availability-four-nines" in names
    shown = CliRunner().invoke(cli.main, ["contract", "template", names[0]])
    out = tmp_path / "acme.toml"
    for code in (0, 1):
        assert CliRunner().invoke(cli.main, ["contract", "template", names[0], "--out", str(out)]).exit_code == code
    assert out.read_text() == shown.stdout
    assert CliRunner().invoke(cli.main, ["contract", "template", "nobody"]).exit_code == 2


def test_the_contract_in_the_documentation_holds() -> None:
    assert check(documented())[1] == []
