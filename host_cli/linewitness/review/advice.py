"""Are the promises right, and what to ask for at the renewal: rules over a Term, each with the numbers behind it.

A rule speaks only where the term shows it; none of them looks at one month alone. What is said of the provider counts
what its side lost, not what was claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from linewitness.model import Side
from linewitness.review.figures import Kept, Term
from linewitness.settle.contract import Contract

LADDER_PPM = (950_000, 980_000, 990_000, 995_000, 997_000, 999_000, 999_500, 999_900, 999_950, 999_990, 999_999)
MORE_THAN = 2  # one side's minutes against another's, before it is called the greater trouble
SOME_S = 60  # below a minute a term there is nothing to compare
UNTOLD_SHARE = 0.2
THIN_PPM = 100_000  # of a window that was not measured, from which on it says little
POSTS = {
    "post_late": "posted later than our first failing reading",
    "post_back_dated": "dated back",
    "post_edited": "edited afterwards",
    "post_withdrawn": "taken away",
    "maintenance_after_the_fact": "maintenance announced after it had begun",
    "maintenance_overrun": "maintenance that ran past its window",
    "maintenance_early": "maintenance that began before its window",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """kind: target_kept, target_missed, target_low, target_high, own_side, isp, undetermined, credits, rule, clock,
    posts, chronic. text: what was found; ask: what to do, or to ask for at the renewal."""

    kind: str
    text: str
    ask: str


def advice(term: Term, contract: Contract) -> list[Advice]:
    """Return what the term teaches, promises first."""
    return [
        *_targets(term),
        *_sides(term),
        *_credits(term, contract),
        *_rules(term),
        *_clocks(term),
        *_posts(term),
    ]


def _targets(term: Term) -> Iterator[Advice]:
    by_name: dict[str, list[Kept]] = {}
    for kept in term.kept():
        by_name.setdefault(kept.commitment, []).append(kept)
    for name, rows in by_name.items():
        judged = [k for k in rows if k.achieved is not None]
        if not judged:
            yield Advice("target_missed", f"{name}: nothing was measured", "measure it before it is promised again")
            continue
        missed = [k for k in judged if k.standing == "breach"]
        possible = sum(k.standing == "possible" for k in judged)
        said = f"{name}: promised {value(judged[0].target, judged[0].unit)}"
        if missed:
            worst = _worst(missed)
            text = (
                f"{said}, missed in {len(missed)} of {len(judged)} site-windows, worst "
                f"{value(worst.achieved, worst.unit)} ({worst.site}, {worst.window})"
            )
            yield Advice("target_missed", text, _ask_for_missed(judged, missed))
        else:
            text = f"{said}, kept in all {len(judged)} site-windows"
            yield from _kept(text, judged)
        if possible:
            yield Advice(
                "target_high",
                f"{name}: {possible} site-windows can't be told: the bounds are wider than what the target leaves",
                "a finer cadence while it fails, or a target that can be measured",
            )


def _worst(rows: Sequence[Kept]) -> Kept:
    """Return the row that is farthest on the wrong side: low for availability and MOS, high for all else."""
    low = rows[0].metric in ("availability", "mos")
    return (min if low else max)(rows, key=lambda k: k.achieved or 0)


def _ask_for_missed(judged: Sequence[Kept], missed: Sequence[Kept]) -> str:
    if len(missed) * 2 >= len(judged):
        return (
            "a promise that is broken most of the time is a price: a credit that grows with the shortfall, or to leave"
        )
    return "the causes of these months, in writing, before the promise is renewed"


def _kept(text: str, judged: Sequence[Kept]) -> Iterator[Advice]:
    worst = _worst(judged)
    if worst.metric != "availability":
        yield Advice("target_kept", f"{text}, worst {value(worst.achieved, worst.unit)}", "the same again")
        return
    thin = sum(k.unknown_ppm > THIN_PPM for k in judged)
    if thin:
        text += f", {thin} of them measured for less than {100 - THIN_PPM // 10_000} % of the time"
    down_s = max(k.down_s[1] for k in judged if k.down_s is not None)
    higher = [p for p in LADDER_PPM if p > worst.target and all((k.achieved or 0) >= p for k in judged)]
    if higher and not thin and worst.allowed_s is not None and down_s * 4 <= worst.allowed_s:
        text = f"{text}: the worst lost {down_s} s of the {worst.allowed_s} s that the target leaves"
        yield Advice("target_low", text, f"the target could be {value(higher[-1], 'ppm')} and would have been kept")
    else:
        yield Advice("target_kept", f"{text}, worst {value(worst.achieved, 'ppm')}", "the same again")


def _sides(term: Term) -> Iterator[Advice]:
    lost = {side: one.min_s for side, one in term.lost().items()}
    theirs = lost[Side.PROVIDER] + lost[Side.CARRIER]
    for side, kind, who, ask in (
        (Side.CUSTOMER, "own_side", "the own side (LAN, router, power)", "mend that before a better promise is bought"),
        (Side.ISP, "isp", "the ISP", "a second line, or an ISP whose contract promises the repair"),
        (Side.TRANSIT, "transit", "the internet between", "a path that is not the open internet, or a second ISP"),
    ):
        if lost[side] >= SOME_S and lost[side] >= MORE_THAN * theirs:
            ratio = f"{lost[side] / theirs:.1f} times as much as the provider" if theirs else "the provider none"
            yield Advice(kind, f"{who} cost {minutes(lost[side])}, {ratio}", ask)
    if theirs >= SOME_S and theirs >= MORE_THAN * (lost[Side.CUSTOMER] + lost[Side.ISP] + lost[Side.TRANSIT]):
        others = lost[Side.CUSTOMER] + lost[Side.ISP] + lost[Side.TRANSIT]
        text = f"the provider and its carrier cost {minutes(theirs)}, all others {minutes(others)}"
        yield Advice("provider", text, "a second provider for failover, or a failover that is promised and tested")
    total = sum(lost.values())
    untold = lost[Side.UNDETERMINED]
    if untold >= SOME_S and untold >= UNTOLD_SHARE * total:
        text = f"of {minutes(total)} lost, {minutes(untold)} can't be laid to anybody"
        yield Advice(
            "undetermined", text, "what tells sides apart: our reflector, a second method to the edge, anchors"
        )


def _credits(term: Term, contract: Contract) -> Iterator[Advice]:
    owed = [o for m in term.months for o in m.owed if o.percent_milli]
    if owed:
        amounts = [o.amount_minor for o in owed]
        known = sum(a for a in amounts if a is not None)
        due = f"{len(owed)} credits were due" + (f", {money(known, term.currency)}" if known else "")
        text = f"{due}; {term.claimed[0]} claims were filed, {term.granted[0]} granted, {term.refused} refused"
        ask = "claim in time (linewitness due)" if term.claimed[0] < len({o.window for o in owed}) else "as claimed"
        if contract.credits and not any(c.automatic for c in contract.credits):
            ask += "; ask for credits that are granted without a claim"
        yield Advice("credits", text, ask)
    missed = {k.window for k in term.kept() if k.standing == "breach"}
    if len(missed) >= 3 and contract.chronic is None:
        text = f"promises were broken in {len(missed)} months and nothing but credits follows"
        yield Advice("chronic", text, "a right to leave after so many broken months (chronic breach)")


def _rules(term: Term) -> Iterator[Advice]:
    rules: dict[str, int] = {}
    for month in term.months:
        for rule, seconds in month.not_claimable:
            rules[rule] = rules.get(rule, 0) + seconds
    for rule, seconds in sorted(rules.items(), key=lambda pair: -pair[1]):
        if seconds >= SOME_S:
            text = f"{minutes(seconds)} of the provider's failures could not be claimed: {rule}"
            yield Advice("rule", text, "to change that clause, or to measure and report so that it is met")


def _clocks(term: Term) -> Iterator[Advice]:
    for c in term.clocks:
        if c.missed:
            text = (
                f"{c.priority}, {c.clock} within {c.promised_min} min: missed {c.missed} of {c.kept + c.missed} times, "
                f"median {c.median_min} min, worst {c.worst_min} min"
            )
            yield Advice("clock", text, "a credit for a clock that is missed")


def _posts(term: Term) -> Iterator[Advice]:
    counts: dict[str, int] = {}
    for month in term.months:
        for kind, count in month.posts:
            counts[kind] = counts.get(kind, 0) + count
    said = [f"{counts[kind]} {words}" for kind, words in POSTS.items() if counts.get(kind)]
    if said:
        ask = "their status page as a duty: first post within minutes, times that are not edited, notice of maintenance"
        yield Advice("posts", f"their status page: {', '.join(said)}", ask)


def value(achieved: int | None, unit: str) -> str:
    """Return a figure in the words of its unit."""
    if achieved is None:
        return "not measured"
    if unit == "milli_mos":
        return f"MOS {achieved / 1000:.2f}"
    if unit == "us":
        return f"{achieved / 1000:.1f} ms" if achieved < 60_000_000 else f"{achieved / 60_000_000:.0f} min"
    return f"{achieved // 10_000}.{achieved % 10_000:04d} %"


def minutes(seconds: int) -> str:
    """Return seconds as minutes and seconds."""
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min {seconds % 60:02d} s"


def money(minor: int, currency: str) -> str:
    """Return hundredths of a currency."""
    return f"{minor // 100}.{minor % 100:02d} {currency}".rstrip()
