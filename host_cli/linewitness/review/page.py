"""The review as one HTML file that needs nothing else, in the report's own dress."""

from __future__ import annotations

from collections.abc import Sequence

from linewitness.report.html import Markup, el, join, table
from linewitness.report.page import head
from linewitness.report.words import SIDE_NAMES
from linewitness.review.advice import Advice, minutes, money, value
from linewitness.review.figures import Term
from linewitness.review.plots import SHOWN, against_target, lost_by_side


def render(term: Term, found: Sequence[Advice], calls_per_hour: float | None, software: str) -> str:
    """Return the page. calls_per_hour: of one site while people work; None: calls lost are not reckoned."""
    first, last = term.months[0].month, term.months[-1].month
    title = f"Are the promises right? {term.contract}, {first} to {last}"
    sections = (
        ("What the term teaches", _advice(found)),
        ("Time lost, by side", _sides(term, calls_per_hour)),
        ("What was promised, and what was kept", _promises(term)),
        ("Support’s clocks", _clocks(term)),
        ("Credits", _credits(term)),
    )
    lead = el(
        "p",
        f"{term.provider} under contract {term.contract}, {len(term.months)} months, "
        f"sites: {max(m.sites for m in term.months)}; {minutes(term.measured_s)} measured in all.",
        cls="lead",
    )
    bodies = [el("section", el("h2", f"{i}. {name}"), body) for i, (name, body) in enumerate(sections, 1)]
    main = el("main", el("p", software, cls="eyebrow"), el("h1", title), lead, *bodies)
    return f"<!DOCTYPE html>\n{el('html', head(title), el('body', main), lang='en')}\n"


def _advice(found: Sequence[Advice]) -> Markup:
    if not found:
        return el("p", "Nothing in it asks for a change.")
    rows = [(one.kind.replace("_", " "), one.text, one.ask) for one in found]
    return table(("", "What was found", "What to do, or to ask for"), rows, "Findings of the term")


def _sides(term: Term, calls_per_hour: float | None) -> Markup:
    lost = term.lost()
    headings = ["Side", "Failures", "At least", "At most", "Share of the time measured"]
    rows = []
    for side in SHOWN:
        one = lost[side]
        share = f"{100 * one.min_s / term.measured_s:.4f} %" if term.measured_s else "–"
        row = [SIDE_NAMES[side], str(one.failures), minutes(one.min_s), minutes(one.max_s), share]
        rows.append([*row, calls(one.min_s, calls_per_hour)] if calls_per_hour else row)
    if calls_per_hour:
        headings.append(f"Calls lost, at {calls_per_hour:g} an hour")
    note = el(
        "p",
        "Time in which calls could not be made, added over the sites. What lies between least and most is what the "
        "bounds of the measurement leave open. The bars show the least.",
        cls="note",
    )
    return join(lost_by_side(term.months), note, table(headings, rows, "Time lost over the term", "numbers"))


def _promises(term: Term) -> Markup:
    names = list(dict.fromkeys(k.commitment for k in term.kept()))
    parts: list[Markup] = []
    for name in names:
        rows = [k for k in term.kept() if k.commitment == name]
        promised = value(rows[0].target, rows[0].unit)
        parts.append(el("h3", f"{name}, promised {promised}"))
        plot = against_target(name, term.months)
        if plot is not None:
            note = (
                "Bars: what was claimed at the worst site of the month; dashed: what its bounds allow. Line: what the "
            )
            parts += [plot, el("p", note + "target leaves.", cls="note")]
        cells = [(k.window, k.site, value(k.achieved, k.unit), k.standing) for k in rows if k.standing != "met"]
        met = sum(k.standing == "met" for k in rows)
        parts.append(el("p", f"Kept in {met} of {len(rows)} site-windows."))
        if cells:
            parts.append(table(("Window", "Site", "Achieved", ""), cells, f"{name}: where it was not simply kept"))
    return join(*parts) if parts else el("p", "The contract’s commitments are not reckoned by the month.")


def _clocks(term: Term) -> Markup:
    if not term.clocks:
        return el("p", "No ticket of the term was under a priority of the contract.")
    rows = [
        (f"{c.priority}, {c.clock}", f"{c.promised_min} min", str(c.kept), str(c.missed),
         "–" if c.median_min is None else f"{c.median_min} min", "–" if c.worst_min is None else f"{c.worst_min} min")
        for c in term.clocks
    ]  # fmt: skip
    return table(("Clock", "Promised", "Kept", "Missed", "Median", "Worst"), rows, "Clocks of the tickets", "numbers")


def _credits(term: Term) -> Markup:
    rows = []
    for m in term.months:
        for o in m.owed:
            if o.percent_milli:
                amount = "not known" if o.amount_minor is None else money(o.amount_minor, term.currency)
                rows.append(
                    (o.window, "all sites" if o.site == "*" else o.site, f"{o.percent_milli / 1000:g} %", amount)
                )
    claimed = el(
        "p",
        f"Filed: {term.claimed[0]} claims ({money(term.claimed[1], term.currency)} where an amount is on record); "
        f"granted: {term.granted[0]} ({money(term.granted[1], term.currency)}); refused: {term.refused}.",
    )
    if not rows:
        return join(el("p", "No credit was due."), claimed)
    return join(table(("Month", "Site", "Of the base", "Amount"), rows, "Credits due", "numbers"), claimed)


def calls(seconds: int, calls_per_hour: float) -> str:
    """Return how many calls such a time would have had."""
    return f"{seconds * calls_per_hour / 3600:.0f}"
