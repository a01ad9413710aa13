"""Each verdict in full: why it is this side, why it is none of the others, and the readings that it rests on."""

from __future__ import annotations

from collections.abc import Sequence

from linewitness.model import Citation, Reason, Settlement, Side, Verdict
from linewitness.report import times, words
from linewitness.report.html import Markup, el, join, table
from linewitness.report.times import Zone


def argument(number: int, verdict: Verdict, settlement: Settlement, zone: Zone) -> Markup:
    """Return the article of one verdict; number is its index in the settlement."""
    v = verdict
    segment = "undecided" if v.segment is None else words.SEGMENT_NAMES[v.segment]
    breaches = [b.commitment for b in settlement.breaches if b.verdict == number]
    what, why = words.claim(v)
    facts = [
        ("Began", f"{times.day(v.start.earliest_us, zone)}, {times.between(v.start, zone)} {zone.label}"),
        ("Ended", f"{times.day(v.end.earliest_us, zone)}, {times.between(v.end, zone)} {zone.label}"),
        ("In UTC", f"{times.stamp(v.start.earliest_us, times.UTC)} to {times.stamp(v.end.latest_us, times.UTC)}"),
        ("Lasted", times.lasting(v.min_us, v.max_us)),
        ("Segment", segment),
        ("Confidence", f"{v.confidence} %"),
        (what, f"{why}: {times.duration(v.min_us)}." if v.claimable else f"{why}."),
        ("Candidates", ", ".join(words.SIDE_SHORT[c] for c in v.candidates) or "no other"),
        ("Breach of", ", ".join(dict.fromkeys(breaches)) or "no commitment"),
    ]
    name = f"{words.label(number)}, {v.site}: {words.SIDE_NAMES[v.side]}"
    reasons = [el("li", _reason(r)) for r in v.reasons]
    excluded = [
        el(
            "li",
            el("b", "Not transit" if e.side is Side.TRANSIT else f"Not the {words.SIDE_SHORT[e.side]}"),
            ": ",
            _reason(e.reason),
        )
        for e in v.excluded
    ]
    caveats = [el("li", c) for c in v.caveats]
    cited = [c for r in (*v.reasons, *(e.reason for e in v.excluded)) for c in r.readings]
    return el(
        "article",
        el("h3", name),
        el("dl", *[join(el("dt", term), el("dd", text)) for term, text in facts], cls="facts pairs"),
        _part("Why this side", reasons, "reasons", "No reason was given."),
        _part("Why none of the others", excluded, "reasons", "No other side was excluded."),
        _part("What weakens it", caveats, "caveats", "Nothing that the rules know of."),
        _readings(cited, name),
        id=f"v{number + 1}",
        cls=f"s-{v.side}",
    )


def _part(heading: str, items: Sequence[Markup], cls: str, none: str) -> Markup:
    return join(el("h4", heading), el("ul", *items, cls=cls) if items else el("p", none, cls="note"))


def _reason(reason: Reason) -> Markup:
    """The words, and in brackets which targets' readings say so."""
    targets = list(dict.fromkeys(f"{c.target} {c.answered}/{c.sent}" for c in reason.readings))
    return join(reason.text, el("span", f" [{', '.join(targets)} answered]", cls="note") if targets else None)


def _readings(cited: Sequence[Citation], name: str) -> Markup:
    """Every reading cited, once."""
    rows = [
        (
            c.target,
            words.SEGMENT_NAMES[c.segment],
            c.witness,
            c.first_seq if c.first_seq == c.last_seq else f"{c.first_seq}–{c.last_seq}",
            c.sent,
            c.answered,
            c.sent - c.answered - c.wrong - c.void,
            c.wrong,
            c.void,
        )
        for c in dict.fromkeys(cited)
    ]
    if not rows:
        return el("p", "No readings are cited.", cls="note")
    headings = ("Target", "Segment", "Witness", "Batches", "Sent", "Answered", "Lost", "Wrong answer", "Void")
    return table(headings, rows, cls="readings", caption=f"Readings that {name.split(',')[0]} rests on")
