"""The contract's month: every second in one line of a sum that the reader can add up."""

from __future__ import annotations

from linewitness.model import Account, Settlement
from linewitness.report import times
from linewitness.report.charts import UNKNOWN, Part, account_bar, parts_of
from linewitness.report.facts import Context, Deadline
from linewitness.report.html import Child, Markup, el, join, table
from linewitness.report.promises import promises
from linewitness.report.times import Zone

STANDINGS = {
    "met": "met, as far as measured",
    "unmeasured": "not measured",
    "possible": "met by the shortest, missed by the longest bounds",
    "breach": "not met",
}


def accounts(settlement: Settlement, context: Context) -> Markup:
    """Return the overview and the sum of each account."""
    if not settlement.accounts and not settlement.tallies:
        return el("p", "No contract was given, so nothing is reckoned.")
    return join(_overview(settlement, context), promises(settlement), *[_account(a) for a in settlement.accounts])


def _overview(settlement: Settlement, context: Context) -> Markup:
    rows = []
    for a in settlement.accounts:
        due = [d for d in context.deadlines if (d.contract, d.month) == (a.contract, a.month)]
        zone = Zone.named(a.time_zone)
        deadline = "; ".join(_claim_by(d, zone) for d in due) or "–"
        rows.append(
            (
                _site(a),
                a.commitment,
                a.month,
                percent(a.target_ppm),
                percent(a.achieved_ppm),
                STANDINGS[a.standing],
                _claimed(a),
                f"{a.credit_percent_milli / 1000:g} %",
                deadline,
            )
        )
    headings = ("Site", "Commitment", "Month", "Target", "Achieved", "Standing", "Claimed", "Credit", "Claim by")
    return table(headings, rows, "The month at a glance; credit in percent of the contract’s base", "glance")


def _claim_by(deadline: Deadline, zone: Zone) -> str:
    when = "" if deadline.due_us is None else f"before {times.stamp(deadline.due_us, zone)}: "
    return when + deadline.basis


def _site(account: Account) -> str:
    return "all sites" if account.site == "*" else account.site


def _claimed(account: Account) -> str:
    low, high = account.claimed_s, account.claimed_max_s
    return times.seconds(low) if low == high else f"{times.seconds(low)} (bounds allow {times.seconds(high)})"


def percent(ppm: int) -> str:
    """Return parts per million as percent with four decimals, exactly."""
    return f"{ppm // 10_000}.{ppm % 10_000:04d}\u00a0%"


def _account(account: Account) -> Markup:
    a = account
    name = f"{_site(a)}, {a.commitment}, {a.month}, contract {a.contract}"
    parts = [p for p in parts_of(a) if p.seconds or p.name in ("Up", "Claimed", UNKNOWN)]
    rows: list[tuple[Child, ...]] = [_line(p, a) for p in parts]
    total_s = sum(p.seconds for p in parts)
    rows.append(("Sum", grouped(total_s), times.seconds(total_s), "100 %" if a.total_s else "–"))
    agrees = total_s == a.total_s
    check = (
        f"The lines add up to the month: {grouped(a.total_s)} s."
        if agrees
        else f"THE LINES DO NOT ADD UP: the month has {grouped(a.total_s)} s."
    )
    zone = Zone.named(a.time_zone)
    span = f"{times.stamp(a.start_us, zone)} to {times.stamp(a.end_us, zone)} {zone.label}"
    reckoned = (
        f"Downtime as the contract counts it: {times.seconds(a.downtime_s)}; availability {percent(a.achieved_ppm)} "
        f"against {percent(a.target_ppm)}: {STANDINGS[a.standing]}."
    )
    return el(
        "section",
        el("h3", name),
        el("p", f"{span}. {reckoned}", cls="note"),
        account_bar(a, name),
        table(("Where each second went", "Seconds", "", "Share"), rows, f"{name}: the sum", "numbers sum"),
        el("p", check),
        cls="sumup",
    )


def _line(part: Part, account: Account) -> tuple[Child, ...]:
    swatch = el(
        "svg",
        el("rect", width=14, height=14, cls=part.cls, fill=part.fill),
        width=14,
        height=14,
        aria_hidden="true",
        focusable="false",
        cls="swatch",
    )
    share = f"{100 * part.seconds / account.total_s:.4f} %" if account.total_s else "–"
    return (join(swatch, part.name), grouped(part.seconds), times.seconds(part.seconds), share)


def grouped(n: int) -> str:
    """Return a whole number with a thin space between its thousands."""
    return f"{n:,}".replace(",", "\u202f")
