"""`linewitness settle`: whose side it was, until when, and what may be claimed."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linewitness.cli import Answer, command, table
from linewitness.errors import cannot_access

if TYPE_CHECKING:
    from linewitness.fleet import Fleet
    from linewitness.model import Bounds


ACCOUNTS = ("site", "contract", "commitment", "month", "up s", "claimed s", "at most s", "excluded s",
            "not claimable s", "unknown s", "")  # fmt: skip
TALLIES = ("site", "contract", "commitment", "month", "limit", "achieved", "judged", "failed", "")
DUES = ("site", "contract", "month", "due", "of", "money")


class Instant(click.ParamType):
    """An ISO 8601 date or time; without an offset it is UTC. The value is microseconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from linewitness.settle.calendar import utc_us

        if isinstance(value, int):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"wanted a time such as 2026-03-01T10:02:00Z, got {value!r}", param, ctx)
        return utc_us(at if at.tzinfo is not None else at.replace(tzinfo=UTC))


def _instant(at: Bounds) -> str:
    from linewitness.settle.calendar import iso

    return f"{iso(at.earliest_us)[11:-1]}..{iso(at.latest_us)[17:-1]}"


def _render(value: dict[str, Any]) -> str:
    """Return the summary: verdicts, accounts, findings."""
    from linewitness.model import Settlement
    from linewitness.report.promises import measure, money
    from linewitness.settle.calendar import iso

    settlement = Settlement.from_plain(value)
    parts = [f"{settlement.method}, {iso(settlement.start_us)} to {iso(settlement.end_us)}"]
    rows = [
        (
            v.site, iso(v.start.earliest_us)[:10], _instant(v.start), _instant(v.end),
            f"{v.min_us / 1e6:.1f}..{v.max_us / 1e6:.1f}", v.side, v.segment or "/".join(v.candidates),
            f"{v.confidence} %", "yes" if v.claimable else "no",
        )
        for v in settlement.verdicts
    ]  # fmt: skip
    headings = ("site", "date", "start (UTC)", "end (UTC)", "seconds", "side", "segment", "sure", "claimable")
    measured = any(c.measured_s for c in settlement.coverage)
    nothing = "no failure seen" if measured else "nothing was measured in this period"
    parts.append(table(headings, rows) if rows else nothing)
    caveats = sorted({c for v in settlement.verdicts for c in v.caveats})
    parts += [f"caveat: {c}" for c in caveats]
    accounts = [
        (a.site, a.contract, a.commitment, a.month, a.up_s, a.claimed_s, a.claimed_max_s,
         sum(s for _, s in a.excluded_s), sum(s for _, s in a.not_claimable_s), a.unknown_s, a.standing)
        for a in settlement.accounts
    ]  # fmt: skip
    tallies = [
        (t.site, t.contract, t.commitment, t.month, measure(t.limit, t.unit), measure(t.achieved, t.unit) or None,
         t.judged, t.failed, t.standing)
        for t in settlement.tallies
    ]  # fmt: skip
    dues = [
        (d.site, d.contract, d.month, f"{d.percent_milli / 1000:g} %", d.base, money(d) or None)
        for d in settlement.dues
    ]  # fmt: skip
    parts += [table(*t) for t in ((ACCOUNTS, accounts), (TALLIES, tallies), (DUES, dues)) if t[1]]
    parts += [f"{f.kind}: {f.subject}: {f.text}" for f in settlement.findings]
    return "\n".join(parts)


@command(render=_render)
@click.option("--from", "from_us", type=Instant(), help="Start (default: the first reading).")
@click.option("--to", "to_us", type=Instant(), help="End, not included (default: the last reading).")
@click.option("--site", "sites", multiple=True, help="Show this site only; repeatable. All are pooled all the same.")
@click.option("--claim-unconfirmed", is_flag=True, help="Claim also what no evidence from outside confirms.")
@click.option("--no-record", is_flag=True, help="Keep nothing in the ledger of what this run says.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the settlement as JSON.")
def settle(
    fleet: Fleet,
    from_us: int | None,
    to_us: int | None,
    sites: tuple[str, ...],
    claim_unconfirmed: bool,
    no_record: bool,
    out: Path | None,
) -> object:
    """Settle whose side each failure was on, and the contract's arithmetic (exit code 4: nothing was measured).

    What it says is kept in the ledger; where late readings change it, the finding `reopened` says so for good.

    Example: linewitness settle --from 2026-03-01 --to 2026-04-01 --out march.json
    """
    from linewitness.settling import settle_fleet

    with fleet.ledger() as ledger:
        read_only = not os.access(ledger.path, os.W_OK)
    if read_only and not no_record:
        click.echo("the ledger can't be written: what this run says is not kept there", err=True)
    settlement = settle_fleet(
        fleet, from_us, to_us, sites, claim_unconfirmed=claim_unconfirmed,
        record_at_us=None if no_record or read_only else time.time_ns() // 1000,
    )  # fmt: skip
    if out is not None:
        try:
            out.write_text(settlement.to_json(), encoding="utf-8")
        except OSError as e:
            raise cannot_access(e, out) from e
    measured = any(c.measured_s for c in settlement.coverage)
    return Answer(settlement.to_plain(), 0 if measured else 4)
