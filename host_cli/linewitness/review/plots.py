"""The pictures of a review: bars by month, drawn as the report draws, each with its numbers in words beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from linewitness.model import Side
from linewitness.report.html import Markup, el, join, number
from linewitness.report.words import SIDE_SHORT
from linewitness.review.advice import minutes
from linewitness.review.figures import Kept, MonthFigures

HEIGHT = 150
SHOWN = (Side.CUSTOMER, Side.ISP, Side.TRANSIT, Side.PROVIDER, Side.CARRIER, Side.UNDETERMINED)


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a bar: how high it is, its class, its name."""

    size: int
    cls: str
    name: str


def bars(
    title: str, months: Sequence[str], columns: Sequence[Sequence[Piece]], unit: str, limits: Sequence[int | None] = ()
) -> Markup:
    """Return stacked bars over the months; limits are lines across them. unit names what sizes count (seconds)."""
    tops = [sum(p.size for p in column) for column in columns]
    top = nice(max([1, *tops, *(limit for limit in limits if limit is not None)]))
    wide = 100 / max(1, len(months))
    drawn: list[Markup] = []
    for i, column in enumerate(columns):
        at = 0
        for piece in column:
            if piece.size:
                high = HEIGHT * piece.size / top
                y = HEIGHT - HEIGHT * at / top - high
                name = el("title", f"{months[i]}: {piece.name} {minutes(piece.size)}")
                box = el("rect", x=f"{number(i * wide + wide * 0.18)}%", width=f"{number(wide * 0.64)}%",
                         y=number(y + 4), height=number(max(high, 1.5)), cls=f"{piece.cls} part")  # fmt: skip
                drawn.append(el("g", name, box))
            at += piece.size
        limit = limits[i] if i < len(limits) else None
        if limit is not None:
            height = number(HEIGHT - HEIGHT * limit / top + 4)
            name = el("title", f"{months[i]}: the target leaves {minutes(limit)}")
            line = el("line", x1=f"{number(i * wide + wide * 0.06)}%", x2=f"{number((i + 1) * wide - wide * 0.06)}%",
                      y1=height, y2=height, cls="post")  # fmt: skip
            drawn.append(el("g", name, line))
    frame = [el("line", x1=0, x2="100%", y1=y, y2=y, cls="grid") for y in (4, 4 + HEIGHT // 2, 4 + HEIGHT)]
    every = -(-len(months) // 12)
    shown = [
        el("text", month, x=f"{number(i * wide + wide / 2)}%", y=HEIGHT + 20)
        for i, month in enumerate(months)
        if i % every == 0
    ]
    some = [label for k, label in enumerate(shown) if k % 4 == 0]  # what a narrow page has room for
    rest = [label for k, label in enumerate(shown) if k % 4]
    labels = join(el("g", *some, cls="tick"), el("g", *rest, cls="tick odd"))
    told = "; ".join(f"{m} {minutes(t)}" for m, t in zip(months, tops, strict=True))
    drawing = el("svg", el("title", title), el("desc", f"{unit}: {told}"), *frame, *drawn, labels,
                 role="img", width="100%", height=HEIGHT + 26)  # fmt: skip
    scale = el("div", el("b", unit), el("span", minutes(top).removesuffix(" 00 s")), el("span", "0"), cls="scale high")
    return el("figure", scale, el("div", drawing, cls="draw"), cls="chart")


def lost_by_side(months: Sequence[MonthFigures]) -> Markup:
    """Return the seconds lost each month, stacked by side, with a legend of the sides."""
    columns = [[Piece(m.lost_s(side), f"s-{side} c", SIDE_SHORT[side]) for side in SHOWN] for m in months]
    swatches = [
        el("li", el("svg", el("rect", width=14, height=14, cls=f"s-{side} c"), width=14, height=14, aria_hidden="true",
                    focusable="false"), SIDE_SHORT[side])
        for side in SHOWN
    ]  # fmt: skip
    return join(
        bars("Time lost by side", [m.month for m in months], columns, "lost"), el("ul", *swatches, cls="legend")
    )


def against_target(name: str, months: Sequence[MonthFigures]) -> Markup | None:
    """Return the claimed downtime of the worst site each month against what the target leaves, None where none is."""
    columns, limits = [], list[int | None]()
    for m in months:
        rows = [k for k in m.kept if k.commitment == name and k.down_s is not None and k.achieved is not None]
        worst: Kept | None = max(rows, key=lambda k: k.down_s or (0, 0), default=None)
        low, high = (0, 0) if worst is None or worst.down_s is None else worst.down_s
        columns.append([Piece(low, "s-provider c", "claimed"), Piece(high - low, "claimed", "within the bounds")])
        limits.append(None if worst is None else worst.allowed_s)
    if not any(limit is not None for limit in limits):
        return None
    return bars(f"{name}: downtime of the worst site against the target", [m.month for m in months], columns,
                "downtime", limits)  # fmt: skip


def nice(top: int) -> int:
    """Return a round number of seconds, at least top."""
    for step in (10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 86_400):
        if top <= step:
            return step
    return -(-top // 86_400) * 86_400
