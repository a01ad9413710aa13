"""Promises other than availability, and what is owed in all: quality, clocks of tickets, failovers, credits."""

from __future__ import annotations

from linewitness.model import Due, Settlement, Tally
from linewitness.report.html import Markup, join, table

TALLIES = ("Site", "Commitment", "Month", "Limit", "Achieved", "Judged", "Failed", "Not counted", "Standing")
DUES = ("Site", "Contract", "Month", "For", "Due", "Of", "Money")
STANDINGS = {
    "met": "kept, as far as measured",
    "unmeasured": "nothing to judge",
    "possible": "kept by what may be claimed, missed by the rest",
    "breach": "missed",
}


def promises(settlement: Settlement) -> Markup:
    """Return the tables of tallies and of what is due; nothing where a settlement has neither."""
    parts = []
    if settlement.tallies:
        caption = "Quality, clocks and failovers: what was judged, and what was not counted and why"
        parts.append(table(TALLIES, [_tally(t) for t in settlement.tallies], caption, "numbers"))
    if settlement.dues:
        parts.append(table(DUES, [_due(d) for d in settlement.dues], "What is due under the contract’s cap"))
    return join(*parts)


def _tally(t: Tally) -> tuple[str | int, ...]:
    left_out = [f"{n} {why}" for why, n in (*t.excluded, *t.not_claimable)]
    return (
        _site(t.site), t.commitment, t.month, measure(t.limit, t.unit), measure(t.achieved, t.unit) or "–", t.judged,
        t.failed, "; ".join(left_out) or "–", STANDINGS[t.standing],
    )  # fmt: skip


def _due(d: Due) -> tuple[str, ...]:
    parts = "; ".join(f"{commitment} {milli / 1000:g} %" for commitment, milli in d.parts)
    return _site(d.site), d.contract, d.month, parts, f"{d.percent_milli / 1000:g} %", d.base, money(d) or "not told"


def _site(name: str) -> str:
    return "all sites" if name == "*" else name


def measure(value: int | None, unit: str) -> str:
    """Return a tally's number as people read it: 3.95, 2.5 %, 30.5 ms, 2:05:00; empty for None."""
    if value is None:
        return ""
    if unit == "milli_mos":
        return f"{value / 1000:.2f}"
    if unit == "ppm":
        return f"{value / 10_000:g} %"
    if value < 10_000_000:
        return f"{value / 1000:g} ms"
    minutes, seconds = divmod(value // 1_000_000, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def money(due: Due) -> str:
    """Return an amount with its currency; empty where the charge is not known."""
    if due.amount_minor is None:
        return ""
    return f"{due.amount_minor // 100}.{due.amount_minor % 100:02} {due.currency}"
