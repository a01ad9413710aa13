"""`linewitness remind`: tell people what they have not been told, by mail or webhook."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linewitness.cli import command
from linewitness.errors import CannotDo

if TYPE_CHECKING:
    from linewitness.fleet import Fleet
    from linewitness.reminders.messages import Message
    from linewitness.reminders.settings import Settings


def _render(value: dict[str, Any]) -> str:
    verb = "would tell" if value["dry_run"] else "told"
    lines = [f"{verb} by {t['channel']}: {t['subject']}" for t in value["told"]]
    return "\n".join(lines) or "nothing new to tell"


@command(render=_render)
@click.option("--dry-run", is_flag=True, help="Show what would be told; tell nobody, remember nothing.")
@click.option("--days", type=click.IntRange(1, 3660), default=120, show_default=True, help="How far back to look.")
@click.option("--since-days", type=click.IntRange(1, 366), default=2, show_default=True,
              help="Tell of failures that ended so long ago at most.")  # fmt: skip
@click.option(
    "--settlement",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    help="What `settle --out` wrote, instead of settling again.",
)
def remind(fleet: Fleet, dry_run: bool, days: int, since_days: int, settlement: Path | None) -> object:
    """Tell of failures and their repair, of deadlines and clocks that ran out; each once. For cron or systemd.

    \b
    Whom and how is in fleet.toml, [reminders]. Exit code 1: a channel could not be
    reached; what it did not take is told by the next run.
    Example: linewitness remind --dry-run
    """
    from linewitness.lock import only_one
    from linewitness.reminders.settings import settings

    chosen = settings(fleet)
    with only_one(fleet.root, "reminder"):
        return _remind(fleet, chosen, dry_run, days, since_days, settlement)


def _remind(
    fleet: Fleet, chosen: Settings, dry_run: bool, days: int, since_days: int, settlement: Path | None
) -> object:
    from linewitness.reminders.telling import tell

    now_us = time.time_ns() // 1000
    messages = _messages(fleet, chosen, now_us, days, since_days, settlement)
    with fleet.ledger() as book:
        told = tell(book, chosen.channels, messages, fleet.name, lambda: time.time_ns() // 1000, dry_run=dry_run)
    failed = [t for t in told if t.problem]
    if failed:
        first = failed[0]
        raise CannotDo(f"{len(failed)} of {len(told)} not told by {first.channel}: {first.problem}", "", "")
    return {
        "dry_run": dry_run,
        "told": [{"channel": t.channel, "kind": t.message.kind, "key": t.message.key, "subject": t.message.subject,
                  "body": t.message.body} for t in told],
    }  # fmt: skip


def _messages(
    fleet: Fleet, chosen: Settings, now_us: int, days: int, since_days: int, settlement: Path | None
) -> list[Message]:
    from linewitness.reminders.messages import DAY_US, deadlines, failures
    from linewitness.settling import read_contracts
    from linewitness.tickets import claims, events
    from linewitness.tickets.due import due
    from linewitness.tickets.incidents import incidents
    from linewitness.tickets.recent import months_settled, recent

    sites = fleet.sites()
    provider_of, isp_of = {s.name: s.provider for s in sites}, {s.name: s.isp for s in sites}
    settled = recent(fleet, now_us, file=settlement, days=since_days)
    months = settled if settlement is not None else months_settled(fleet, now_us, days)
    with fleet.ledger() as book:
        tickets, filed = events.tickets(book), claims.claims(book)
    found = [] if settled is None else incidents(settled, provider_of, isp_of)
    fresh = [
        i
        for i in found
        if i.side in chosen.sides and i.max_us >= chosen.least_us
        and i.end.latest_us >= now_us - since_days * DAY_US
    ]  # fmt: skip
    dues = due(months, read_contracts(fleet), tickets, filed, now_us, provider_of, settled)
    return [*failures(fresh, tickets, provider_of), *deadlines(dues, now_us, chosen.days_before)]
