"""Call quality over time, and the bar of an account: SVG by hand, the data in one path a chart.

Windows are drawn one by one up to POINTS_MAX of them; past that each point is the median of a bucket, with a line from
its best to its worst. What is not known is a cross on the floor of the chart and breaks no line, because there is no
line: a dot is a window, and where there is no dot nothing was measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from linewitness.model import SIDE_OF, Account, QualityWindow, Segment, Settlement, Side
from linewitness.report import times, words
from linewitness.report.drawing import Scale, bar, tick
from linewitness.report.html import Markup, el, join, number
from linewitness.report.times import Zone
from linewitness.settle.intervals import Interval

POINTS_MAX = 300
HEIGHT = 60
MOS_TOP_MILLI = 4500  # MOS-CQE ends at 4.5 (G.107 Annex B)
MOS_FLOOR_MILLI = 1000
UNKNOWN = "Unknown: not measured, or between the bounds"


@dataclass(frozen=True, slots=True)
class QualityKey:
    """Windows that may be compared with each other: one target, one codec, one jitter buffer."""

    target: str
    segment: Segment
    control: bool
    codec: str
    buffer_ms: int | None

    @property
    def label(self) -> str:
        buffer = "jitter buffer not stated" if self.buffer_ms is None else f"jitter buffer {self.buffer_ms} ms"
        return f"codec {self.codec}, {buffer}"


Point = tuple[int, int | None]  # middle of the window, value or None: not known
Bucket = tuple[int, list[int], int]  # middle, values, how many were not known


def by_target(windows: Iterable[QualityWindow], site: str) -> dict[QualityKey, list[QualityWindow]]:
    """Return a site's windows, those that may be compared together, in the order of time."""
    groups: dict[QualityKey, list[QualityWindow]] = defaultdict(list)
    for w in windows:
        if w.site == site:
            groups[QualityKey(w.target, w.segment, w.control, w.codec, w.buffer_ms)].append(w)
    keys = sorted(
        groups, key=lambda k: (k.control, list(Segment).index(k.segment), k.target, k.codec, k.buffer_ms or 0)
    )
    return {k: sorted(groups[k], key=lambda w: (w.start, w.witness, w.seq)) for k in keys}


def lost(window: QualityWindow) -> int:
    """Return the packets lost to the call: never answered, or later than the jitter buffer waits."""
    return window.sent - window.answered + window.late


def loss_centi(window: QualityWindow) -> int | None:
    """Return the loss in hundredths of a percent, None where nothing was sent."""
    return 10_000 * lost(window) // window.sent if window.sent else None


def middle_us(window: QualityWindow) -> int:
    return (window.start.earliest_us + window.end.latest_us) // 2


@dataclass(frozen=True, slots=True)
class Quantity:
    """One row of charts: its name with unit, the value of a window, the least top of its scale, how values print."""

    name: str
    of: Callable[[QualityWindow], int | None]
    floor: int
    top: int
    text: Callable[[int], str]
    worst: Callable[[Iterable[int]], int]


QUANTITIES = (
    Quantity("MOS-CQE", lambda w: w.mos_milli, MOS_FLOOR_MILLI, MOS_TOP_MILLI, lambda v: f"{v / 1000:.2f}", min),
    Quantity("Loss", loss_centi, 0, 500, lambda v: f"{v / 100:g} %", max),
    Quantity("Round trip", lambda w: w.rtt_us[1] if w.rtt_us else None, 0, 20_000, lambda v: f"{v / 1000:.1f} ms", max),
)


def quality(
    key: QualityKey, windows: Sequence[QualityWindow], settlement: Settlement, period: Interval, zone: Zone, site: str
) -> Markup:
    """Return the charts of one target: MOS-CQE, loss and round trip over the period."""
    role = "control" if key.control else words.SIDE_SHORT[SIDE_OF[key.segment]]
    parts = [
        _chart(q, windows, settlement, period, zone, f"{site}, {key.target}, {q.name}", site, key.label)
        for q in QUANTITIES
    ]
    heading = el("h4", key.target, " ", el("small", f"{role} · {key.label} · {len(windows)} windows"))
    return el("section", heading, *parts, cls=f"s-{SIDE_OF[key.segment]} quality")


def _chart(
    q: Quantity,
    windows: Sequence[QualityWindow],
    settlement: Settlement,
    period: Interval,
    zone: Zone,
    title: str,
    site: str,
    conditions: str,
) -> Markup:
    points = [(middle_us(w), q.of(w)) for w in windows]
    known = [v for _, v in points if v is not None]
    missing = len(points) - len(known)
    top = max([q.top, *known])
    buckets = _buckets(points, period)
    told = _summary(q, known, missing)
    name = f"MOS-CQE ({conditions})" if q.name == "MOS-CQE" else q.name
    scale = Scale(*period)
    bands = [
        bar(scale, v.start.earliest_us, v.end.latest_us, 4, HEIGHT, cls=f"s-{v.side} band")
        for v in settlement.verdicts
        if v.site == site and scale.shows(v.start.earliest_us, v.end.latest_us)
    ]
    plot = el(
        "svg",
        *_paths(buckets, period, q.floor, top),
        viewBox="0 0 1000 100",
        preserveAspectRatio="none",
        width="100%",
        height=HEIGHT,
        y=4,
    )
    frame = [el("line", x1=0, x2="100%", y1=y, y2=y, cls="grid") for y in (4, 4 + HEIGHT)]
    drawing = el(
        "svg",
        el("title", title),
        el("desc", f"{name}: {told}"),
        *bands,
        *frame,
        _ticks(scale, zone),
        plot,
        role="img",
        width="100%",
        height=HEIGHT + 24,
    )
    ends = el("div", el("b", q.name), el("span", q.text(top)), el("span", q.text(q.floor)), cls="scale")
    return el("figure", ends, el("div", drawing, el("figcaption", told), cls="draw"), cls="chart")


def _summary(q: Quantity, known: Sequence[int], missing: int) -> str:
    if not known:
        return f"not known in any of {missing} windows"
    median = sorted(known)[len(known) // 2]
    text = f"median {q.text(median)}, worst {q.text(q.worst(known))}"
    return text + (f"; not known in {missing} window{'s' * (missing > 1)} (cross)" if missing else "")


def _buckets(points: Sequence[Point], period: Interval) -> list[Bucket]:
    if len(points) <= POINTS_MAX:
        return [(us, [] if v is None else [v], int(v is None)) for us, v in points]
    width = max(1, (period[1] - period[0]) // POINTS_MAX)
    found: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for us, v in points:
        found[(us - period[0]) // width][v is None].append(0 if v is None else v)
    return [(period[0] + i * width + width // 2, sorted(found[i][0]), len(found[i][1])) for i in sorted(found)]


def _paths(buckets: Sequence[Bucket], period: Interval, floor: int, top: int) -> list[Markup]:
    def x(us: int) -> str:
        return str(round(1000 * (us - period[0]) / max(1, period[1] - period[0])))

    def y(v: int) -> str:
        return str(round(100 - 100 * (min(v, top) - floor) / max(1, top - floor)))

    inside = [b for b in buckets if period[0] <= b[0] <= period[1]]
    dots = "".join(f"M{x(us)} {y(v[len(v) // 2])}h0" for us, v, _ in inside if v)
    whiskers = "".join(f"M{x(us)} {y(v[0])}V{y(v[-1])}" for us, v, _ in inside if len(v) > 1 and v[0] != v[-1])
    crosses = "".join(f"M{x(us)} 92l4 8m0 -8l-4 8" for us, _, missing in inside if missing)
    drawn = ((whiskers, "whisker"), (dots, "dot"), (crosses, "cross"))
    return [el("path", d=d, cls=cls) for d, cls in drawn if d]


def _ticks(scale: Scale, zone: Zone) -> Markup:
    made = [(scale.at(us), text) for us, text in times.ticks(scale.start_us, scale.end_us, zone)]
    groups = ((made[::2], "tick"), (made[1::2], "tick odd"))
    return join(*[el("g", *[tick(x, text, HEIGHT + 20) for x, text in some], cls=cls) for some, cls in groups])


# --- accounts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """One line of an account: what it is, how many seconds, and the class and hatching that it is drawn with."""

    name: str
    seconds: int
    cls: str
    fill: str | None = None


def parts_of(account: Account) -> list[Part]:
    """Return the parts of a month in the order of the sum; they add up to total_s."""
    parts = [Part("Up", account.up_s, "up"), Part("Claimed", account.claimed_s, "s-provider c")]
    parts += [Part(f"Excluded: {clause}", s, "claimed") for clause, s in account.excluded_s]
    for key, s in account.not_claimable_s:
        side = Side(key) if key in set(Side) else Side.UNDETERMINED
        name = words.SIDE_NAMES[side] if key in set(Side) else key
        parts.append(Part(f"Not claimable: {name}", s, f"s-{side} hatched", f"url(#degraded-{side})"))
    return [*parts, Part(UNKNOWN, account.unknown_s, "unmeasured", "url(#unmeasured)")]


def account_bar(account: Account, title: str) -> Markup:
    """Return two bars: the whole month, and below it all that was not up at a scale of its own."""
    parts = parts_of(account)
    rest = [p for p in parts if p.name != "Up" and p.seconds]
    bars = [_stack(parts, account.total_s, 0)]
    height = 16
    if rest:
        bars.append(_stack(rest, sum(p.seconds for p in rest), 24))
        height = 40
    told = "; ".join(f"{p.name} {times.seconds(p.seconds)}" for p in parts if p.seconds)
    drawing = el("svg", el("title", title), el("desc", told), *bars, role="img", width="100%", height=height)
    legend = el("p", "Above: the whole month. Below: only what was not up.", cls="note") if rest else None
    return join(drawing, legend)


def _stack(parts: Sequence[Part], total_s: int, y: int) -> Markup:
    drawn, at = [], 0
    for p in parts:
        if p.seconds:
            x, width = (f"{number(100 * s / max(1, total_s))}%" for s in (at, p.seconds))
            name = el("title", f"{p.name}: {times.seconds(p.seconds)}")
            drawn.append(el("g", name, el("rect", x=x, width=width, y=y, height=16, cls=f"{p.cls} part", fill=p.fill)))
        at += p.seconds
    return join(*drawn)
