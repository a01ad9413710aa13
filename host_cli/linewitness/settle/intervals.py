"""Half-open intervals [start_us, end_us) of integers: unions, differences, lengths. Lists are sorted and disjoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from linewitness.model import Bounds

Interval = tuple[int, int]


class Bounded(Protocol):
    """What began and ended somewhere within bounds: a failure, a suspicion, a verdict."""

    @property
    def start(self) -> Bounds: ...
    @property
    def end(self) -> Bounds: ...


def hull(what: Bounded) -> Interval:
    """Return the longest that it can have lasted: all that it may have touched."""
    return (what.start.earliest_us, what.end.latest_us)


def core(what: Bounded) -> Interval:
    """Return the shortest that it can have lasted, what it touched for certain; it may be empty."""
    return (what.start.latest_us, max(what.start.latest_us, what.end.earliest_us))


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the same instants as sorted, disjoint, non-empty intervals; those that touch become one."""
    result: list[Interval] = []
    for start, end in sorted(i for i in intervals if i[0] < i[1]):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def intersect(a: Iterable[Interval], b: Iterable[Interval]) -> list[Interval]:
    """Return the instants that are in both."""
    left, right, result = union(a), union(b), []
    i = j = 0
    while i < len(left) and j < len(right):
        start, end = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if start < end:
            result.append((start, end))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return result


def subtract(a: Iterable[Interval], b: Iterable[Interval]) -> list[Interval]:
    """Return the instants of a that are not in b."""
    cuts, result, i = union(b), [], 0
    for start, end in union(a):
        while i < len(cuts) and cuts[i][1] <= start:
            i += 1
        j = i
        while j < len(cuts) and cuts[j][0] < end:
            if cuts[j][0] > start:
                result.append((start, cuts[j][0]))
            start = max(start, cuts[j][1])
            j += 1
        if start < end:
            result.append((start, end))
    return result


def length(intervals: Iterable[Interval]) -> int:
    """Return how much the intervals cover, overlaps once."""
    return sum(end - start for start, end in union(intervals))


def overlaps(a: Interval, b: Interval) -> bool:
    return a[0] < b[1] and b[0] < a[1]
