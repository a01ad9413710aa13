"""A site's segments over time, drawn by hand as SVG: states, verdicts over them, the provider's own statements.

One row a segment. Shape says the state and colour only repeats whose side the row is on: a thin line is up, a half-high
hatched bar is degraded, a full solid bar is down, a grey hatched bar is not measured. Where an end is known within
bounds the bar fades over them.
"""

from __future__ import annotations

from collections.abc import Sequence

from linewitness.model import SIDE_OF, OutagePost, Segment, SegmentSpan, Settlement, Side, State, Verdict
from linewitness.report import times, words
from linewitness.report.drawing import Scale, axis, bar, soft
from linewitness.report.html import Markup, el, join, number, table
from linewitness.report.times import Zone
from linewitness.settle.intervals import Interval, subtract, union

ROW = 22  # height of a row in CSS pixels; the labels beside the drawing use the same
BAR = {State.UP: 4, State.DEGRADED: 10, State.DOWN: 16, State.UNMEASURED: 12}
ORDER = (State.UP, State.UNMEASURED, State.DEGRADED, State.DOWN)  # what matters more is drawn later
CROWDED = 6.0  # percent of the width that a verdict's name may need
POST_WIDTH = 42.0  # percent of the width that one post's words may need, to either side
PAD_US = 20 * times.SECOND_US
TOLD_MAX = 12  # stretches told in words in a drawing's description


def rows_of(site: str, settlement: Settlement) -> list[Segment]:
    """Return the segments of which the site has any span, in the order of the path."""
    measured = {s.segment for s in settlement.spans if s.site == site}
    return [segment for segment in Segment if segment in measured]


def focus(site: str, settlement: Settlement) -> list[tuple[Interval, list[int]]]:
    """Return the stretches worth a drawing of their own, with the verdicts in each: verdicts that are near together."""
    found: list[tuple[Interval, list[int]]] = []
    mine = [(v.start.earliest_us, i) for i, v in enumerate(settlement.verdicts) if v.site == site]
    for start_us, i in sorted(mine):
        verdict = settlement.verdicts[i]
        pad_us = max(PAD_US, verdict.max_us * 6 // 10)
        end_us = verdict.end.latest_us + pad_us
        start_us = max(settlement.start_us, start_us - pad_us)
        end_us = max(start_us + 1, min(settlement.end_us, _reach(i, end_us, pad_us, settlement)))
        if found and start_us < found[-1][0][1]:
            found[-1] = ((found[-1][0][0], max(found[-1][0][1], end_us)), [*found[-1][1], i])
        else:
            found.append(((start_us, end_us), [i]))
    return found


def _reach(verdict: int, end_us: int, pad_us: int, settlement: Settlement) -> int:
    """Include the provider's first post where the drawing stays readable with it."""
    first = [p.posted_at_us for p in settlement.outages if p.posted_at_us and words.about(p, settlement) == verdict]
    near = [us for us in first if us < end_us + 8 * pad_us]
    return max([end_us, *[us + pad_us for us in near]])


def timeline(site: str, settlement: Settlement, window: Interval, zone: Zone, title: str) -> Markup:
    """Return the drawing of one site in window [start_us, end_us), with its labels."""
    scale = Scale(*window)
    segments = rows_of(site, settlement)
    top = 20 if zone.is_utc else 36
    bottom = top + ROW * (len(segments) + 2)
    verdicts = [
        (i, v)
        for i, v in enumerate(settlement.verdicts)
        if v.site == site and scale.shows(v.start.earliest_us, max(v.end.latest_us, v.start.earliest_us + 1))
    ]
    spans = [s for s in settlement.spans if s.site == site and scale.shows(s.start.earliest_us, s.end.latest_us)]
    drawn = [axis(scale, zone, bottom), *[_band(scale, v, top, bottom) for _, v in verdicts]]
    drawn.append(_verdict_row(scale, verdicts, top))
    for i, segment in enumerate(segments):
        own = [s for s in spans if s.segment is segment]
        drawn.append(_segment_row(scale, segment, own, top + ROW * (i + 1), zone))
    drawn.append(_posts_row(scale, settlement, site, bottom - ROW, zone))
    name = f"{title}, {times.stamp(window[0], zone)} to {times.stamp(window[1], zone)} {zone.label}"
    drawing = el(
        "svg",
        el("title", name),
        el("desc", _told(spans, verdicts, zone)),
        *drawn,
        role="img",
        width="100%",
        height=bottom + 4,
    )
    return el("div", _labels(segments, zone), el("div", drawing, cls="draw"), cls="timeline")


def _labels(segments: Sequence[Segment], zone: Zone) -> Markup:
    zones = [el("li", zone.label, cls="zone"), None if zone.is_utc else el("li", "UTC", cls="zone")]
    rows = [
        el("li", words.SEGMENT_NAMES[s], " ", el("small", words.SIDE_SHORT[SIDE_OF[s]]), cls=f"s-{SIDE_OF[s]} mark")
        for s in segments
    ]
    return el("ul", *zones, el("li", "Verdicts"), *rows, el("li", "Provider says"), cls="labels")


def _told(spans: Sequence[SegmentSpan], verdicts: Sequence[tuple[int, Verdict]], zone: Zone) -> str:
    """The drawing in words, for those who do not see it."""
    told = [
        f"Verdict {words.label(i)}: {words.SIDE_NAMES[v.side]}, began {times.between(v.start, zone)}, ended "
        f"{times.between(v.end, zone)}."
        for i, v in verdicts
    ]
    troubled = [s for s in spans if s.state is not State.UP]
    told += [
        f"{words.SEGMENT_NAMES[s.segment]} {words.STATE_NAMES[s.state]} from {times.clock(s.start.earliest_us, zone)}"
        f" to {times.clock(s.end.latest_us, zone)}."
        for s in troubled[:TOLD_MAX]
    ]
    if len(troubled) > TOLD_MAX:
        told.append(f"And {len(troubled) - TOLD_MAX} more stretches, listed in the table of the site.")
    return " ".join(told) or "Every row is up or not measured throughout."


def _band(scale: Scale, verdict: Verdict, top: int, bottom: int) -> Markup:
    """The verdict's bounds as a tint over all rows."""
    return bar(scale, verdict.start.earliest_us, verdict.end.latest_us, top, bottom - top, cls=f"s-{verdict.side} band")


def _verdict_row(scale: Scale, verdicts: Sequence[tuple[int, Verdict]], y: int) -> Markup:
    """A bar a verdict; where several crowd together one label names the first and counts the others."""
    bars = [
        soft(scale, v.side, v.start, v.end, y + 3, 16, f"s-{v.side} c", f"{words.label(i)}: {words.SIDE_NAMES[v.side]}")
        for i, v in verdicts
    ]
    crowds: list[list[tuple[int, Verdict]]] = []
    for i, v in sorted(verdicts, key=lambda n: n[1].start):
        if crowds and scale.at(v.start.earliest_us) - scale.at(crowds[-1][0][1].start.earliest_us) < CROWDED:
            crowds[-1].append((i, v))
        else:
            crowds.append([(i, v)])
    names = []
    taken = 0.0  # percent of the width that names have used so far
    for crowd in crowds:
        name, first, last = _name(scale, crowd, y)
        if first >= taken:
            names.append(name)
            taken = last
    return join(*bars, *names)


def _name(scale: Scale, crowd: Sequence[tuple[int, Verdict]], y: int) -> tuple[Markup, float, float]:
    """The name of a crowd of verdicts in its bar, right of it, or left of it where the page ends; and from where to
    where it reaches."""
    number_, v = crowd[0]
    text = words.label(number_) + (f" +{len(crowd) - 1}" if len(crowd) > 1 else "")
    left, right = scale.at(v.start.earliest_us), max(scale.at(w.end.latest_us) for _, w in crowd)
    if len(crowd) == 1 and scale.at(v.end.earliest_us) - scale.at(v.start.latest_us) > CROWDED:
        return (
            el("text", text, x=f"{number((left + right) / 2)}%", y=y + 15, text_anchor="middle", cls="name on"),
            left,
            right,
        )
    if right > 100 - CROWDED:
        return (
            el("text", text, x=f"{number(left - 0.5)}%", y=y + 15, text_anchor="end", cls="name"),
            left - CROWDED,
            100.0,
        )
    return el("text", text, x=f"{number(right + 0.5)}%", y=y + 15, cls="name"), left, right + CROWDED


def _segment_row(scale: Scale, segment: Segment, spans: Sequence[SegmentSpan], y: int, zone: Zone) -> Markup:
    side = SIDE_OF[segment]
    window = (scale.start_us, scale.end_us)
    known = union([(s.start.earliest_us, s.end.latest_us) for s in spans if s.state is not State.UNMEASURED])
    bars = [_plain(scale, State.UNMEASURED, side, gap, y) for gap in _coarse(scale, subtract([window], known))]
    up = union([(s.start.earliest_us, s.end.latest_us) for s in spans if s.state is State.UP])
    bars += [_plain(scale, State.UP, side, stretch, y) for stretch in _coarse(scale, up)]
    for state in ORDER[2:]:
        cls = f"s-{side} c" if state is State.DOWN else f"s-{side} hatched"
        for s in (s for s in spans if s.state is state):
            began, ended = times.between(s.start, zone), times.between(s.end, zone)
            name = f"{words.SEGMENT_NAMES[segment]} {words.STATE_NAMES[state]}: began {began}, ended {ended}"
            height = BAR[state]
            bars.append(
                soft(
                    scale,
                    side,
                    s.start,
                    s.end,
                    y + (ROW - height) / 2,
                    height,
                    cls,
                    name,
                    None if state is State.DOWN else f"url(#degraded-{side})",
                )
            )
    return join(*bars)


def _plain(scale: Scale, state: State, side: Side, stretch: Interval, y: int) -> Markup:
    fill = "url(#unmeasured)" if state is State.UNMEASURED else None
    return bar(scale, *stretch, y + (ROW - BAR[state]) / 2, BAR[state], cls=state.value, fill=fill)


def _coarse(scale: Scale, stretches: Sequence[Interval]) -> list[Interval]:
    """Join stretches that are nearer together than the drawing can show."""
    least_us = (scale.end_us - scale.start_us) // 2000
    result: list[Interval] = []
    for start_us, end_us in stretches:
        if result and start_us - result[-1][1] < least_us:
            result[-1] = (result[-1][0], end_us)
        else:
            result.append((start_us, end_us))
    return result


def _posts_row(scale: Scale, settlement: Settlement, site: str, y: int, zone: Zone) -> Markup:
    """What the provider says: the time it claims as an outline, its first post as a flag, the minutes between."""
    parts: list[Markup | None] = []
    said_at = -POST_WIDTH
    for post in sorted(settlement.outages, key=_posted_us):
        start_us = post.scheduled_for_us if post.maintenance else post.started_at_us
        end_us = post.scheduled_until_us if post.maintenance else post.resolved_at_us
        posted_us = post.posted_at_us if post.posted_at_us is not None else post.created_at_us
        if start_us is not None and scale.shows(start_us, end_us or scale.end_us):
            until_us = max(start_us, scale.end_us if end_us is None else end_us)
            name = f"{post.name}: claimed {times.stamp(start_us, zone)} to {times.stamp(end_us, zone)}"
            parts.append(el("g", el("title", name), bar(scale, start_us, until_us, y + 5, 12, cls="claimed")))
        if posted_us is not None and not post.maintenance:
            apart = scale.at(posted_us) - said_at >= POST_WIDTH
            parts.append(_posting(scale, settlement, post, posted_us, y, zone, in_words=apart))
            said_at = scale.at(posted_us) if apart else said_at
    return join(*parts)


def _posted_us(post: OutagePost) -> int:
    return next((us for us in (post.posted_at_us, post.created_at_us) if us is not None), post.fetched_at_us)


def _posting(
    scale: Scale, settlement: Settlement, post: OutagePost, posted_us: int, y: int, zone: Zone, in_words: bool
) -> Markup | None:
    number_ = words.about(post, settlement)
    failed = None if number_ is None else settlement.verdicts[number_].start
    since_us = posted_us if failed is None else failed.earliest_us
    if not scale.shows(since_us, posted_us + 1):
        return None
    parts = []
    late = "" if failed is None else f", at least {lateness(post, settlement)} after our first failing reading"
    parts.append(el("title", f"First post {times.clock(posted_us, zone)}{late}"))
    x = scale.at(posted_us)
    if failed is not None and posted_us > failed.latest_us:
        parts.append(
            el("line", x1=f"{number(scale.at(since_us))}%", x2=f"{number(x)}%", y1=y + 11, y2=y + 11, cls="late")
        )
    beyond = posted_us > scale.end_us
    text = f"posted {times.clock(posted_us, zone)}" + (f", +{lateness(post, settlement)}" if failed is not None else "")
    side = "end" if x > 60 else "start"
    shift = -1 if side == "end" else 1
    if not beyond:
        parts.append(el("line", x1=f"{number(x)}%", x2=f"{number(x)}%", y1=y + 2, y2=y + 20, cls="post"))
    if in_words:
        parts.append(
            el(
                "text",
                text + (" →" if beyond else ""),
                x=f"{number(x + shift * (0 if beyond else 0.8))}%",
                y=y + 33,
                text_anchor=side,
                cls="said",
            )
        )
    return el("g", *parts)


def lateness(post: OutagePost, settlement: Settlement) -> str:
    """Return how long after our first failing reading the provider's first post came, at least; '' if about none."""
    i = words.about(post, settlement)
    posted_us = post.posted_at_us if post.posted_at_us is not None else post.created_at_us
    if i is None or posted_us is None:
        return ""
    since_us = max(0, posted_us - settlement.verdicts[i].start.latest_us)
    return times.seconds(since_us // times.SECOND_US)


def stretches(site: str, settlement: Settlement, zone: Zone) -> Markup | None:
    """Return all that was not up at a site as a table, folded; None where everything was."""
    troubled = [s for s in settlement.spans if s.site == site and s.state is not State.UP]
    if not troubled:
        return None
    rows = [
        (
            words.SEGMENT_NAMES[s.segment],
            words.STATE_NAMES[s.state],
            times.day(s.start.earliest_us, zone),
            times.between(s.start, zone),
            times.between(s.end, zone),
            times.lasting(max(0, s.end.earliest_us - s.start.latest_us), s.end.latest_us - s.start.earliest_us),
        )
        for s in troubled
    ]
    made = table(
        ("Segment", "State", "Day", "Began", "Ended", "Lasted"), rows, f"{site}: what was not up, {zone.label}"
    )
    return el(
        "details", el("summary", f"The drawing of {site} as a table ({len(rows)} stretches that were not up)"), made
    )
