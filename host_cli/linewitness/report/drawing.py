"""What drawings share: instants to positions, axes, bars, ends that fade over their bounds, hatchings.

Positions are percentages of the width, so that one drawing fits paper and telephone alike and its text never shrinks.
"""

from __future__ import annotations

from dataclasses import dataclass

from linewitness.model import Bounds, Side
from linewitness.report import times
from linewitness.report.html import Markup, el, join, number
from linewitness.report.times import Zone

SOFT = 0.25  # percent of the width from which on bounds are drawn as a fading edge


@dataclass(frozen=True, slots=True)
class Scale:
    """Instants to percent of the width."""

    start_us: int
    end_us: int

    def at(self, us: int) -> float:
        inside = min(max(us, self.start_us), self.end_us)
        return 100 * (inside - self.start_us) / max(1, self.end_us - self.start_us)

    def shows(self, start_us: int, end_us: int) -> bool:
        return start_us < self.end_us and end_us > self.start_us


def definitions() -> Markup:
    """Return the hatchings and fades that all drawings of the page refer to."""
    made = [_pattern("unmeasured", "unmeasured", 45, 5, 1)]
    for side in Side:
        made.append(_pattern(f"degraded-{side}", f"s-{side} c", 135, 6, 3))
        made.append(_fade(f"in-{side}", side, 0, 1))
        made.append(_fade(f"out-{side}", side, 1, 0))
    return el("svg", el("defs", *made), width=0, height=0, cls="defs", aria_hidden="true", focusable="false")


def _pattern(name: str, cls: str, angle: int, pitch: int, width: int) -> Markup:
    ground = el("rect", width=pitch, height=pitch, cls=cls, opacity="0.16")
    stripe = el("rect", width=width, height=pitch, cls=cls)
    return el(
        "pattern",
        ground,
        stripe,
        id=name,
        width=pitch,
        height=pitch,
        patternUnits="userSpaceOnUse",
        patternTransform=f"rotate({angle})",
    )


def _fade(name: str, side: Side, first: int, last: int) -> Markup:
    stops = [el("stop", offset=i, stop_opacity=o, cls=f"s-{side} stop") for i, o in ((0, first), (1, last))]
    return el("linearGradient", *stops, id=name)


def axis(scale: Scale, zone: Zone, bottom: int) -> Markup:
    """Round times of the zone and the same in UTC below; every second one gives way where the page is narrow."""
    made = times.ticks(scale.start_us, scale.end_us, zone)
    lines = "".join(f"M{number(scale.at(us))} 0v1" for us, _ in made)
    grid = el(
        "svg",
        el("path", d=lines, cls="grid"),
        viewBox="0 0 100 1",
        preserveAspectRatio="none",
        y=14,
        width="100%",
        height=bottom - 14,
    )
    even = [tick(scale.at(us), text, 10) for us, text in made[::2]]
    odd = [tick(scale.at(us), text, 10) for us, text in made[1::2]]
    if not zone.is_utc:
        fine = any(text.count(":") == 2 for _, text in made)
        in_utc = [(scale.at(us), times.clock(us, times.UTC)[: None if fine else 5]) for us, _ in made]
        even += [tick(x, text, 25) for x, text in in_utc[::2]]
        odd += [tick(x, text, 25) for x, text in in_utc[1::2]]
    return join(grid if made else None, el("g", *even, cls="tick"), el("g", *odd, cls="tick odd"))


def tick(x: float, text: str, y: int) -> Markup:
    """A label of an axis at x percent, kept inside the drawing at both ends."""
    return el("text", text, x=f"{number(x)}%", y=y, cls="first" if x < 3 else "last" if x > 97 else None)


def bar(scale: Scale, start_us: int, end_us: int, y: float, height: float, **attributes: object) -> Markup:
    first, last = scale.at(start_us), scale.at(end_us)
    return el(
        "rect",
        x=f"{number(first)}%",
        width=f"{number(max(0.0, last - first))}%",
        y=number(y),
        height=number(height),
        **attributes,
    )


def soft(
    scale: Scale,
    side: Side,
    start: Bounds,
    end: Bounds,
    y: float,
    height: float,
    cls: str,
    name: str,
    fill: str | None = None,
) -> Markup:
    """A bar whose ends fade over their bounds where these are wide enough to be seen."""
    first_us, last_us = start.latest_us, end.earliest_us
    parts = []
    if first_us > last_us:  # the bounds overlap: it may have been no more than an instant
        first_us = last_us = (start.earliest_us + end.latest_us) // 2
    if scale.at(first_us) - scale.at(start.earliest_us) >= SOFT:
        parts.append(bar(scale, start.earliest_us, first_us, y, height, fill=f"url(#in-{side})"))
    else:
        first_us = start.earliest_us
    if scale.at(end.latest_us) - scale.at(last_us) >= SOFT:
        parts.append(bar(scale, last_us, end.latest_us, y, height, fill=f"url(#out-{side})"))
    else:
        last_us = end.latest_us
    narrow = scale.at(last_us) - scale.at(first_us) < SOFT  # then a stroke keeps it visible
    parts.append(
        bar(scale, first_us, max(first_us, last_us), y, height, cls=f"{cls} thin" if narrow else cls, fill=fill)
    )
    return el("g", el("title", name), *parts)
