"""`linewitness review`: are the promises right, and what to ask for at the renewal."""

from __future__ import annotations

import datetime
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from linewitness.cli import command, table
from linewitness.errors import UsageProblem

if TYPE_CHECKING:
    from linewitness.fleet import Fleet
    from linewitness.settle.contract import Contract


def _render(value: dict[str, Any]) -> str:
    from linewitness.review.advice import minutes

    months = [m["month"] for m in value["figures"]["months"]]
    span = months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"
    lines = [f"contract {value['contract']}, {span}: {minutes(value['measured_s'])} measured at its sites"]
    headings = ["side", "failures", "lost at least", "at most"] + (["calls lost"] if value["calls_per_hour"] else [])
    rows = [
        [o["side"], o["failures"], minutes(o["min_s"]), minutes(o["max_s"])]
        + ([o["calls_lost"]] if value["calls_per_hour"] else [])
        for o in value["lost"]
    ]
    lines += ["", table(headings, rows), ""]
    lines += [f"{a['kind'].replace('_', ' ')}: {a['text']}\n  -> {a['ask']}" for a in value["advice"]]
    if value["html"]:
        lines += ["", f"wrote {value['html']}"]
    return "\n".join(lines)


def _term(text: str, zone: str) -> tuple[int, int]:
    """Return [start_us, end_us) of START..END, days of a zone, END not included. Raises UsageProblem."""
    from linewitness.settle.calendar import utc_us

    first, _, last = text.partition("..")
    try:
        days = [datetime.date.fromisoformat(day) for day in (first, last)]
    except ValueError as e:
        raise UsageProblem(f"wanted START..END, got '{text}'", "--term", "2026-01-01..2027-01-01") from e
    if days[0] >= days[1]:
        raise UsageProblem("the term ends before it begins", "--term", f"{last}..{first}")
    start, end = (utc_us(datetime.datetime(d.year, d.month, d.day, tzinfo=ZoneInfo(zone))) for d in days)
    return start, end


def _contract(fleet: Fleet, name: str | None) -> Contract:
    from linewitness.settling import read_contracts

    known = read_contracts(fleet)
    if not known:
        raise UsageProblem("no contract here", str(fleet.contracts), "linewitness contract new NAME")
    found = [c for c in known if name in (None, c.name)]
    if len(found) != 1:
        what = "which contract?" if found else f"no contract '{name}'"
        raise UsageProblem(what, "--contract", ", ".join(c.name for c in known))
    return found[0]


@command(render=_render)
@click.option(
    "--term",
    "term_text",
    required=True,
    metavar="START..END",
    help="Days, END not included; every month of it counts whole.",
)
@click.option("--contract", "contract_name", help="Its name, where there is more than one.")
@click.option("--calls-per-hour", type=click.FloatRange(min=0, min_open=True), help="Of one site: reckon calls lost.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write it as one HTML file, with plots.")
def review(
    fleet: Fleet, term_text: str, contract_name: str | None, calls_per_hour: float | None, html: Path | None
) -> object:
    """How provider, ISP and the own side did over a term against what was promised, and what to ask for.

    \b
    The term's months are settled one after the other, each forgotten before the next.
    Example: linewitness review --term 2026-01-01..2027-01-01 --html review.html
    """
    from linewitness.config import write_octets
    from linewitness.report.gather import software
    from linewitness.review.advice import advice
    from linewitness.review.gather import review_term
    from linewitness.review.page import calls, render

    contract = _contract(fleet, contract_name)
    period = _term(term_text, contract.time_zone)
    term = review_term(fleet, contract, period, lambda month: click.echo(f"settling {month}", err=True))
    found = advice(term, contract)
    if html is not None:
        write_octets(html, render(term, found, calls_per_hour, software()).encode())
    lost = []
    for one in term.lost().values():
        row = asdict(one) | {"calls_lost": None if calls_per_hour is None else int(calls(one.min_s, calls_per_hour))}
        lost.append(row)
    return {
        "contract": term.contract, "provider": term.provider, "term": term_text, "measured_s": term.measured_s,
        "calls_per_hour": calls_per_hour, "lost": lost, "advice": [asdict(a) for a in found],
        "figures": asdict(term), "html": html,
    }  # fmt: skip
