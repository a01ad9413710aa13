"""`linewitness due`: what has to be done by when, as a list or a calendar."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linewitness.cli import Answer, command, table
from linewitness.errors import UsageProblem

if TYPE_CHECKING:
    from linewitness.fleet import Fleet

DAY_US = 86_400_000_000


def _render(value: dict[str, Any]) -> str:
    from linewitness.settle.calendar import iso

    def left(us: int | None) -> str | None:
        if us is None:
            return None
        minutes = (us - value["now_us"]) // 60_000_000
        text = (
            f"{abs(minutes) // 1440} d" if abs(minutes) >= 2880 else f"{abs(minutes) // 60} h {abs(minutes) % 60} min"
        )
        return f"{text} ago" if minutes < 0 else text

    rows = [
        (None if d["at_us"] is None else iso(d["at_us"])[:16] + "Z", left(d["at_us"]), d["kind"], d["whose"], d["text"])
        for d in value["due"]
    ]
    text = table(("by (UTC)", "left", "what", "whose", ""), rows) if rows else "nothing is due"
    return text + (f"\nwrote {value['ics']}" if value["ics"] else "")


@command(render=_render)
@click.option("--within", "within_days", type=click.IntRange(0, 3660), default=7, show_default=True,
              help="Exit code 4 where anything of ours is due within so many days, or late.")  # fmt: skip
@click.option("--days", type=click.IntRange(1, 3660), default=120, show_default=True, help="How far back to look.")
@click.option(
    "--settlement",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    help="What `settle --out` wrote, instead of settling again.",
)
@click.option("--site", "sites", multiple=True, help="What concerns this site only; repeatable.")
@click.option("--ics", type=click.Path(path_type=Path, dir_okay=False), help="Write a calendar (RFC 5545).")
def due(
    fleet: Fleet, within_days: int, days: int, settlement: Path | None, sites: tuple[str, ...], ics: Path | None
) -> object:
    """List claim deadlines, tickets that are needed, clocks that run, decisions, reviews and renewals, by time.

    \b
    Exit code 0: nothing of ours is pressing. 4: something is due within --within days, or late.
    Example: linewitness due --within 14 --ics deadlines.ics
    """
    from linewitness.config import write_octets
    from linewitness.settling import only, read_contracts
    from linewitness.tickets import claims, events
    from linewitness.tickets.due import due as listed
    from linewitness.tickets.ics import calendar
    from linewitness.tickets.recent import recent

    now_us = time.time_ns() // 1000
    provider_of = {s.name: s.provider for s in fleet.sites()}
    for site in sites:
        if site not in provider_of:
            raise UsageProblem(f"no site '{site}'", "--site", "linewitness site list")
    settled = recent(fleet, now_us, file=settlement, days=days)
    if settled is not None and sites:
        settled = only(settled, set(sites))
    with fleet.ledger() as book:
        tickets = [t for t in events.tickets(book) if not sites or any(t.concerns(s) for s in sites)]
        filed = claims.claims(book)
    contracts = read_contracts(fleet)
    found = listed(settled, contracts, tickets, filed, now_us, provider_of)
    if ics is not None:
        write_octets(ics, calendar(found, fleet.name, now_us))
    pressing = any(d.whose == "customer" and d.at_us is not None and d.at_us < now_us + within_days * DAY_US
                   for d in found)  # fmt: skip
    value = {"now_us": now_us, "due": [asdict(d) | {"late": d.late(now_us)} for d in found], "ics": ics}
    return Answer(value, 4 if pressing else 0)
