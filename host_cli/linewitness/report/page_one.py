"""Page one: what a person needs, our own failures as prominent as the provider's, and all that weakens the case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from linewitness.model import Settlement, Side, Verdict
from linewitness.report import times, words
from linewitness.report.facts import Context, report_zone, zones
from linewitness.report.html import Child, Markup, el, join, table
from linewitness.report.times import Zone
from linewitness.report.words import Incident
from linewitness.settle.intervals import intersect, length, union

FEW = 8
"""With more failures than these the caveats go before the list, so that they stay on the first sheet."""


def page_one(settlement: Settlement, context: Context) -> Markup:
    """Return the header and all of page one."""
    zone = report_zone(settlement, context)
    found = words.incidents(settlement)
    own = [i for i in found if i.side is Side.CUSTOMER]
    others = [i for i in found if i.side is not Side.CUSTOMER]
    lists = [
        el("h3", "Failures beyond our own network", id="beyond"),
        _list(others, settlement, zone, "None was found in this period."),
        el("h3", "Our own fault", id="own"),
        el(
            "p",
            "Volunteered: what failed on the customer’s own side, by the same measure. None of it is claimed.",
            cls="note",
        ),
        _list(own, settlement, zone, "None was found in this period."),
    ]
    caveats = _caveats(settlement, context, zone)
    return join(
        el("p", "linewitness report" + (f" · {context.fleet}" if context.fleet else ""), cls="eyebrow"),
        el("h1", "Whose side was it?"),
        el("p", _answer(settlement, found), cls="lead"),
        _facts(settlement, context, zone),
        _sums(settlement),
        *([*lists, caveats] if len(found) <= FEW else [caveats, *lists]),
    )


def _answer(settlement: Settlement, found: Sequence[Incident]) -> str:
    """The whole in two sentences."""
    if not found:
        return "No failure of the telephony was found in what was measured of this period."
    counts = {side: sum(i.side is side for i in found) for side in Side}
    said = [
        f"{n} on the {words.SIDE_SHORT[side]}’s side"
        for side, n in counts.items()
        if n and side not in (Side.UNDETERMINED, Side.TRANSIT, Side.CUSTOMER)
    ]
    if counts[Side.CUSTOMER]:
        said.insert(0, f"{counts[Side.CUSTOMER]} on the customer’s own side")
    if counts[Side.TRANSIT]:
        said.append(f"{counts[Side.TRANSIT]} in the internet beyond")
    if counts[Side.UNDETERMINED]:
        said.append(f"{counts[Side.UNDETERMINED]} whose side cannot be told")
    claimable = sum(any(v.claimable for v in i.verdicts) for i in found)
    total = f"{len(found)} failures were" if len(found) > 1 else "One failure was"
    rest = f"{claimable} can be claimed." if claimable else "None can be claimed."
    return f"{total} found: {', '.join(said)}. {rest}"


def _facts(settlement: Settlement, context: Context, zone: Zone) -> Markup:
    start, end = (times.stamp(us, zone) for us in (settlement.start_us, settlement.end_us))
    of_site = zones(settlement, context)
    known = {s.name: s for s in context.sites}
    sites: list[Child] = []
    for name in settlement.sites:
        s = known.get(name)
        who = (
            ""
            if s is None
            else f": line of {s.isp}, telephony of {s.provider}" + (f" over {s.carrier}" if s.carrier else "")
        )
        sites.append(el("div", el("b", name), f"{who} ({of_site[name].label})"))
    rows: list[tuple[str, Child]] = [
        ("Period", f"{start} to {end} {zone.label}"),
        *([] if zone.is_utc else [("In UTC", _utc(settlement))]),
        ("Sites", join(*sites) if sites else "none"),
        ("Method", settlement.method),
    ]
    return el("dl", *[join(el("dt", name), el("dd", value)) for name, value in rows], cls="facts")


def _utc(settlement: Settlement) -> str:
    return " to ".join(times.stamp(us, times.UTC) for us in (settlement.start_us, settlement.end_us))


def _list(found: Sequence[Incident], settlement: Settlement, zone: Zone, none: str) -> Markup:
    return el("ol", *[_item(i, settlement, zone) for i in found], cls="incidents") if found else el("p", none)


def _item(incident: Incident, settlement: Settlement, zone: Zone) -> Markup:
    segment = "more than one could be it" if incident.segment is None else words.SEGMENT_NAMES[incident.segment]
    low = min(v.confidence for v in incident.verdicts)
    high = max(v.confidence for v in incident.verdicts)
    confidence = f"{low} %" if low == high else f"{low} to {high} %"
    links = [join(" " if k else "", el("a", words.label(n), href=f"#v{n + 1}")) for k, n in enumerate(incident.numbers)]
    claims: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for v in incident.verdicts:
        claims[words.claim(v)].append(v)
    lines = [
        el("p", _tag(what, incident.side), f" {why}{_counted(some, len(claims) > 1)}.")
        for (what, why), some in claims.items()
    ]
    return el(
        "li",
        el("p", words.headline(incident, settlement, zone), cls="headline"),
        *lines,
        el(
            "p",
            f"Began {times.day(incident.start.earliest_us, zone)} {times.between(incident.start, zone)}, ended "
            f"{times.between(incident.end, zone)} ({zone.label}). Segment: {segment}. Confidence {confidence}. ",
            *links,
            cls="note",
        ),
        cls=f"s-{incident.side}",
    )


def _counted(verdicts: Sequence[Verdict], named: bool) -> str:
    """Return ': 24.1 s' of what can be claimed, by site where there are several, else the sites where they differ."""
    if all(v.claimable for v in verdicts):
        each = [f"{v.site} {times.duration(v.min_us)}" for v in verdicts]
        return f": {', '.join(each)}" if len(each) > 1 or named else f": {times.duration(verdicts[0].min_us)}"
    return f" ({', '.join(v.site for v in verdicts)})" if named else ""


def _tag(what: str, side: Side) -> Markup:
    return el("span", what, cls=f"tag full s-{side}" if what == "Claimable" else "tag")


# --- what weakens the case ------------------------------------------------------------------------------------------


def _caveats(settlement: Settlement, context: Context, zone: Zone) -> Markup:
    lines = [
        *_of_verdicts(settlement),
        *_during(settlement, zone),
        *_of_coverage(settlement),
        *_of_time(settlement, context),
    ]
    return el(
        "section", el("h3", "Read this with it", id="caveats"), el("ul", *[el("li", line) for line in lines]), cls="box"
    )


def _of_verdicts(settlement: Settlement) -> list[Child]:
    found: dict[str, list[int]] = defaultdict(list)
    for i, v in enumerate(settlement.verdicts):
        for caveat in v.caveats:
            found[caveat].append(i)
    return [join(el("b", words.labels(numbers)), ": ", caveat) for caveat, numbers in found.items()]


def _during(settlement: Settlement, zone: Zone) -> list[Child]:
    """Findings whose instant lies inside a verdict: a changed plan or a stepped clock during a failure."""
    lines: list[Child] = []
    for f in settlement.findings:
        inside = [
            i
            for i, v in enumerate(settlement.verdicts)
            if f.at_us is not None
            and v.start.earliest_us <= f.at_us <= v.end.latest_us
            and (f.subject == v.site or f.subject.startswith(f"{v.site}/"))
        ]
        if inside:
            lines.append(
                join(
                    el("b", f"During {words.labels(inside)}"), f": {f.subject}, {f.text} ({times.stamp(f.at_us, zone)})"
                )
            )
    return lines


def _of_coverage(settlement: Settlement) -> list[Child]:
    lines: list[Child] = []
    for c in settlement.coverage:
        said = []
        if c.gaps:
            said.append("batches missing: " + ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in c.gaps))
        if c.trimmed:
            said.append(f"{c.trimmed} batches kept their signed header while their readings were trimmed")
        if c.unmeasured_s:
            said.append(f"{times.seconds(c.unmeasured_s)} of the period not measured")
        if len(c.plans) > 1:
            said.append(f"measured under {len(c.plans)} plans, one after the other (section 7)")
        if said:
            lines.append(join(el("b", f"{c.site}/{c.witness}"), ": ", "; ".join(said)))
    silent = [s for s in settlement.sites if s not in {c.site for c in settlement.coverage}]
    lines += [join(el("b", s), ": no witness covered this site") for s in silent]
    return lines


def _of_time(settlement: Settlement, context: Context) -> list[Child]:
    lines: list[Child] = []
    stamped = [c for c in context.checkpoints if c.stamped_us is not None]
    if not stamped:
        lines.append(
            "No timestamp by a third party is shown here: the times rest on the witnesses’ and the host’s clocks."
        )
    elif all(c.is_test for c in stamped):
        lines.append("The timestamps come from a test authority of our own: they prove nothing to anyone else.")
    unknown = sorted({z.name for z in zones(settlement, context).values() if not z.known})
    lines += [f"The time zone “{name}” is not known here: its times are in UTC." for name in unknown]
    lines.append(
        "A signature shows that nobody changed a reading after it was signed. It does not show that the "
        "customer, who holds the board, did not make it (section 7 says what bounds that)."
    )
    return lines


# --- sums -----------------------------------------------------------------------------------------------------------


def _sums(settlement: Settlement) -> Markup:
    """Seconds by side: site-seconds, overlaps of one site counted once."""
    rows = []
    for side in Side:
        mine = [v for v in settlement.verdicts if v.side is side]
        if mine or side in (Side.PROVIDER, Side.CUSTOMER):
            claimed = _length([v for v in mine if v.claimable], settlement, longest=False)
            rows.append(
                (
                    words.SIDE_NAMES[side],
                    len(mine),
                    times.duration(_length(mine, settlement, longest=False)),
                    times.duration(_length(mine, settlement, longest=True), up=True),
                    times.duration(claimed),
                )
            )
    made = table(
        ("Side", "Verdicts", "At least", "At most", "Of it claimable"),
        rows,
        "Sums by side, each site’s time added; what overlaps at one site counts once. What the contract lets claim "
        "of it is reckoned in section 5.",
        "numbers",
    )
    return el("section", made, id="sums")


def _length(verdicts: Sequence[Verdict], settlement: Settlement, longest: bool) -> int:
    period = [(settlement.start_us, settlement.end_us)]
    total = 0
    for site in settlement.sites:
        hulls = [
            (v.start.earliest_us, v.end.latest_us) if longest else (v.start.latest_us, v.end.earliest_us)
            for v in verdicts
            if v.site == site
        ]
        total += length(intersect(union(hulls), period))
    return total
