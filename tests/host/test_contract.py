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
    text = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()
    example = text.split("```toml\n")[1].split("```")[0]
    assert check(example)[1] == []
