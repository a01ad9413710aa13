"""Are the promises right: a year's figures from its months, what they teach, and the page with its plots."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from branch_story import MINUTE, SECOND, T0, Branch, Fault
from click.testing import CliRunner
from test_contract import GOOD
from test_settle_command import OUT, fleet, store
from test_tickets import contract, entry, settlement, verdict

from linewitness import cli
from linewitness.fleet import Fleet
from linewitness.model import Finding, Side, Ticket, TicketEvent
from linewitness.review.advice import Advice, advice
from linewitness.review.figures import MonthFigures, Part, Term, longer, month_figures, term
from linewitness.review.page import render
from linewitness.review.plots import nice
from linewitness.settle.calendar import month_interval
from linewitness.tickets.claims import ClaimAct, ClaimEvent

__all__ = ["fleet"]  # the fixture
MONTHS = [f"2026-{i:02d}" for i in range(1, 13)]


def month(name: str, *, down_s: int = 0, own_s: int = 0, untold_s: int = 0, target_ppm: int = 999_900) -> MonthFigures:
    """Figures of a month with so much lost to the provider (claimed), to the own side, to nobody known."""
    start_us, end_us = month_interval(name, "Europe/London")
    failures = [(Side.PROVIDER, down_s), (Side.CUSTOMER, own_s), (Side.UNDETERMINED, untold_s)]
    at_s = (start_us - T0) // SECOND + 3600
    verdicts = []
    for side, seconds in failures:
        if seconds:
            verdicts.append(verdict("leeds", at_s, at_s + seconds, side))
        at_s += 100_000
    whole = settlement(*verdicts, end_us=end_us, claimed_s=down_s)
    total_s = (end_us - start_us) // SECOND
    achieved = 1_000_000 - down_s * 1_000_000 // total_s
    account = replace(
        whole.accounts[0], month=name, start_us=start_us, end_us=end_us, total_s=total_s, counted_s=total_s,
        up_s=total_s - down_s, achieved_ppm=achieved, target_ppm=target_ppm, met=achieved >= target_ppm,
    )  # fmt: skip
    whole = replace(whole, start_us=start_us, accounts=(account,))
    return month_figures(whole, contract(), name, ["leeds"])


def year(*months: MonthFigures, tickets: list[Ticket] | None = None, **claims: Any) -> Term:
    whole = (months[0].start_us, months[-1].end_us)
    return term(contract(), months, tickets or [], claims.get("claims", {}), whole)


def kinds(one: Term) -> dict[str, Advice]:
    return {a.kind: a for a in advice(one, contract())}


def test_a_month_comes_down_to_its_seconds_by_side() -> None:
    figures = month("2026-03", down_s=600, own_s=1800)
    assert {(o.side, o.min_s, o.max_s, o.failures) for o in figures.lost} == {
        (Side.PROVIDER, 599, 601, 1),
        (Side.CUSTOMER, 1799, 1801, 1),
    }
    (kept,) = figures.kept
    assert (kept.standing, kept.allowed_s, kept.down_s) == ("breach", 267, (600, 600))


def test_what_overlaps_at_a_site_counts_once_and_at_two_sites_twice() -> None:
    whole = settlement(verdict("leeds", 100, 400), verdict("leeds", 200, 500), verdict("york", 100, 400))
    figures = month_figures(whole, contract(), "2026-03", ["leeds", "york"])
    assert [(o.min_s, o.failures) for o in figures.lost] == [(399 + 299, 3)]
    assert month_figures(whole, contract(), "2026-03", ["york"]).lost[0].min_s == 299


def test_the_own_side_that_cost_more_than_the_provider_is_named_with_its_ratio() -> None:
    found = kinds(year(month("2026-01", down_s=100, own_s=600), month("2026-02", own_s=600)))
    assert (
        found["own_side"].text
        == "the own side (LAN, router, power) cost 19 min 58 s, 12.1 times as much as the provider"
    )
    assert "mend that before" in found["own_side"].ask


def test_a_target_that_is_missed_names_months_and_the_worst() -> None:
    found = kinds(year(month("2026-01"), month("2026-02", down_s=3000), month("2026-03", down_s=600)))
    said = found["target_missed"].text
    assert said == ("availability: promised 99.9900 %, missed in 2 of 3 site-windows, worst 99.8760 % (leeds, 2026-02)")
    assert "a price" in found["target_missed"].ask
    assert "provider" in found


def test_a_target_far_below_what_was_done_is_too_low() -> None:
    found = kinds(year(*(month(m, down_s=2, target_ppm=999_000) for m in MONTHS)))
    assert "the worst lost 2 s of the 2678 s" in found["target_low"].text
    assert found["target_low"].ask == "the target could be 99.9999 % and would have been kept"


def test_a_year_that_was_hardly_measured_praises_nobody() -> None:
    thin = [replace(m, kept=tuple(replace(k, unknown_ppm=400_000) for k in m.kept)) for m in map(month, MONTHS)]
    found = kinds(year(*thin))
    assert "target_low" not in found
    assert "12 of them measured for less than 90 % of the time" in found["target_kept"].text
    unmeasured = [replace(m, kept=tuple(replace(k, achieved=None) for k in m.kept)) for m in map(month, MONTHS)]
    assert kinds(year(*unmeasured))["target_missed"].text == "availability: nothing was measured"


def test_what_can_not_be_laid_to_anybody_asks_for_better_evidence() -> None:
    found = kinds(year(month("2026-01", down_s=100, untold_s=300)))
    assert found["undetermined"].text == "of 6 min 38 s lost, 4 min 59 s can't be laid to anybody"


def test_rules_clocks_posts_and_claims_are_told_with_their_numbers() -> None:
    missed = replace(month("2026-03", down_s=600), not_claimable=(("before the ticket", 240),))
    missed = replace(missed, posts=(("post_late", 2), ("maintenance_overrun", 1)))
    events = (entry("opened", 0), entry("answered", 40), entry("restored", 100))
    ticket = Ticket("acme", "1", (), "P1", tuple(TicketEvent(e.at_us, e.act, "", e.at_us) for e in events))
    filed = ClaimEvent("acme", "2026-03", ClaimAct.FILED, T0, "", "", 12_000)
    granted = replace(filed, act=ClaimAct.GRANTED, amount_minor=6_000)
    one = year(missed, tickets=[ticket], claims={("acme", "2026-03"): [filed, granted]})
    found = kinds(one)
    assert "4 min 00 s of the provider's failures could not be claimed: before the ticket" in found["rule"].text
    assert found["clock"].text == "P1, response within 15 min: missed 1 of 1 times, median 40 min, worst 40 min"
    assert "2 posted later than our first failing reading, 1 maintenance that ran past" in found["posts"].text
    assert (one.claimed, one.granted, one.refused) == ((1, 12_000), (1, 6_000), 0)


def test_broken_promises_without_a_right_to_leave_ask_for_one() -> None:
    assert "chronic" in kinds(year(*(month(m, down_s=600) for m in MONTHS[:3])))
    assert "chronic" not in kinds(year(*(month(m, down_s=600) for m in MONTHS[:2])))


def test_findings_count_in_their_own_month_and_provider() -> None:
    whole = settlement(verdict())
    late = Finding("post_late", "acme", T0 + 5, "x")
    others = (replace(late, subject="other"), replace(late, at_us=T0 - 5), replace(late, at_us=None))
    figures = month_figures(replace(whole, findings=(late, *others)), contract(), "2026-03", ["leeds"])
    assert figures.posts == (("post_late", 1),)


def test_the_page_shows_every_month_in_both_plots_and_loads_nothing() -> None:
    one = year(*(month(m, down_s=600 * (i % 3), own_s=1000) for i, m in enumerate(MONTHS)))
    page = render(one, advice(one, contract()), 30, "linewitness x")
    assert page.count("<svg") >= 8
    for name in MONTHS:
        assert page.count(f"{name}: ") >= 2, name
    assert "Calls lost, at 30 an hour" in page
    assert "script" not in page
    assert re.search(r"(src|href)=", page) is None
    assert "default-src &#39;none&#39;" in page
    assert page == render(one, advice(one, contract()), 30, "linewitness x")


def test_hostile_names_stay_text() -> None:
    one = replace(year(month("2026-01", down_s=600)), provider="<img src=x onerror=alert(1)>")
    assert "<img" not in render(one, [Advice("rule", "<b>", "</table>")], None, "x")


def test_scales_are_round() -> None:
    assert [nice(s) for s in (1, 10, 11, 61, 86_400, 86_401)] == [10, 10, 30, 120, 86_400, 172_800]


# --- the command ----------------------------------------------------------------------------------------------------


def run(fleet: Fleet, *arguments: str) -> Any:
    return CliRunner().invoke(cli.main, ["review", *arguments, "--fleet", str(fleet.root)])


def test_a_term_out_of_a_ledger(fleet: Fleet, tmp_path: Path) -> None:
    for site in ("leeds", "york"):
        store(fleet, Branch(site, (OUT, Fault("router", 200 * SECOND, 260 * SECOND))))
    html = tmp_path / "review.html"
    given = ("--term", "2026-02-01..2026-05-01", "--calls-per-hour", "60", "--html", str(html))
    result = run(fleet, *given)
    assert result.exit_code == 0, result.output
    assert "settling 2026-03" in result.stderr
    assert html.read_text().startswith("<!DOCTYPE html>")
    value = json.loads(run(fleet, *given, "--json").stdout)
    lost = {row["side"]: row for row in value["lost"]}
    assert 2 * 36 <= lost["provider"]["min_s"] <= 2 * 41 <= lost["provider"]["max_s"] + 2
    assert 2 * 55 <= lost["customer"]["min_s"] <= 120
    assert lost["provider"]["calls_lost"] == lost["provider"]["min_s"] * 60 // 3600
    assert [m["month"] for m in value["figures"]["months"]] == ["2026-02", "2026-03", "2026-04"]
    assert [m["measured_s"] > 0 for m in value["figures"]["months"]] == [False, True, False]
    kept = value["figures"]["months"][1]["kept"]
    assert {k["site"] for k in kept} == {"leeds", "york"}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--term", "2026"), 2, "wanted START..END"),
        (("--term", "2026-03-01..2026-02-01"), 2, "ends before it begins"),
        (("--term", "2026-03-01..2026-04-01", "--contract", "x"), 2, "no contract 'x'"),
        (("--term", "2025-03-01..2025-04-01"), 4, "nothing was measured in this term"),
    ],
)
def test_bad_input_is_one_line(fleet: Fleet, arguments: tuple[str, ...], code: int, text: str) -> None:
    store(fleet, Branch("leeds", (), duration_us=MINUTE))
    result = run(fleet, *arguments)
    assert (result.exit_code, text in result.stderr) == (code, True), result.output


def test_a_year_s_promise_is_reckoned_from_its_months() -> None:
    year_s = 365 * 86_400
    parts = [Part("leeds", "a", "2026", 999_950, year_s, year_s, 0, year_s // 12, 120, 130) for _ in range(12)]
    (kept,) = longer(replace(month(m), kept=(), parts=(p,)) for m, p in zip(MONTHS, parts, strict=True))
    assert (kept.standing, kept.achieved, kept.down_s, kept.allowed_s) == ("met", 999_955, (1440, 1560), 1576)
    assert kept.unknown_ppm == 0
    more = [replace(p, downtime_s=130, claimed_max_s=140) for p in parts]
    assert longer(replace(month(m), parts=(p,)) for m, p in zip(MONTHS, more, strict=True))[0].standing == "possible"
    (half,) = longer(replace(month(m), parts=(p,)) for m, p in zip(MONTHS[:6], parts, strict=False))
    assert half.unknown_ppm == 500_000


def test_a_quarter_s_promise_is_in_the_review_of_its_months(fleet: Fleet) -> None:
    (fleet.contracts / "acme.toml").write_text(GOOD.replace('window = "month"', 'window = "quarter"'))
    for site in ("leeds", "york"):
        store(fleet, Branch(site, (OUT,)))
    value = json.loads(run(fleet, "--term", "2026-01-01..2026-04-01", "--json").stdout)
    rows = value["figures"]["longer"]
    assert {(k["site"], k["window"], k["metric"]) for k in rows} == {
        ("leeds", "2026-Q1", "availability"),
        ("york", "2026-Q1", "availability"),
    }
    assert all(k["unknown_ppm"] > 990_000 for k in rows)
