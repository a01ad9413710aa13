"""The slope of a quantity that begins anew with each boot, with the interval that holds it 95 times in 100.

Ordinary least squares with an intercept for each boot: what differs between boots is no slope, what grows within them
is. The interval takes the samples for independent, and t for 1.96 (there are dozens).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from math import sqrt
from typing import NamedTuple


class Sample(NamedTuple):
    """A value measured so many hours into a boot."""

    boot: int
    hours: float
    value: float


class Slope(NamedTuple):
    """Per hour; the interval is slope +- half_width. None where there are too few samples."""

    per_hour: float | None
    half_width: float | None
    samples: int


def slope(samples: Iterable[Sample]) -> Slope:
    """Fit it."""
    by_boot: dict[int, list[Sample]] = defaultdict(list)
    for each in samples:
        by_boot[each.boot].append(each)
    x: list[float] = []
    y: list[float] = []
    boots = 0
    for group in by_boot.values():
        if len(group) < 2:
            continue
        boots += 1
        mean_x = sum(each.hours for each in group) / len(group)
        mean_y = sum(each.value for each in group) / len(group)
        x += [each.hours - mean_x for each in group]
        y += [each.value - mean_y for each in group]
    spread = sum(value * value for value in x)
    if not spread:
        return Slope(None, None, len(x))
    found = sum(a * b for a, b in zip(x, y, strict=True)) / spread
    free = len(x) - boots - 1
    if free < 1:
        return Slope(found, None, len(x))
    residual = sum((b - found * a) ** 2 for a, b in zip(x, y, strict=True))
    return Slope(found, 1.96 * sqrt(residual / free / spread), len(x))
