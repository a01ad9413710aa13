"""The grid of rounds that a site's samples are counted on: columns of shares, delays and codes, NaN where not measured.

Rounds of STEP_US from the period's start. A round holds the samples sent in it (nominally); void samples say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from linewitness.model import Fate
from linewitness.settle.attribution.rounds import Column
from linewitness.settle.intervals import Interval
from linewitness.settle.series import Series
from linewitness.settle.suspicions import refused

STEP_US = 60_000_000
DAY_ROUNDS = 1440
SERVED_CODE, NO_CODE = 200.0, 0.0
MOSTLY = 0.5
Counts = NDArray[np.int64]


class Grid:
    """The rounds of a period, the last one perhaps shorter than the others."""

    def __init__(self, period: Interval) -> None:
        self.start_us = period[0]
        self.count = -(-(period[1] - period[0]) // STEP_US)
        self.end_us = self.start_us + self.count * STEP_US

    def days(self) -> Iterator[Grid]:
        """Yield the same rounds in grids of a day each."""
        for start_us in range(self.start_us, self.end_us, DAY_ROUNDS * STEP_US):
            yield Grid((start_us, min(start_us + DAY_ROUNDS * STEP_US, self.end_us)))

    def rounds(self, at_us: Counts) -> Counts:
        """Return the round of each instant; below 0, or the count and above, it lies outside of the period."""
        return np.asarray((at_us - self.start_us) // STEP_US)

    def mean(self, at_us: Counts, values: Column) -> Column:
        """Return the mean of values at instants for each round, of those that are known."""
        at = self.rounds(at_us)
        there = ~np.isnan(values) & (at >= 0) & (at < self.count)
        total = np.bincount(at[there], values[there], self.count)
        count = np.bincount(at[there], minlength=self.count)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def empty(self) -> Column:
        return np.full(self.count, np.nan)

    def shares(self, intervals: Iterable[Interval]) -> Column:
        """Return which share of each round intervals cover."""
        covered = np.zeros(self.count)
        for start_us, end_us in intervals:
            first, last = (start_us - self.start_us) // STEP_US, (end_us - 1 - self.start_us) // STEP_US
            covered[max(first, 0) : last + 1] += 1.0
            for at, outside_us in (
                (first, start_us - self.start_us - first * STEP_US),
                (last, self.start_us + (last + 1) * STEP_US - end_us),
            ):
                if 0 <= at < self.count:
                    covered[at] -= outside_us / STEP_US
        return np.clip(covered, 0.0, 1.0)


def placed(grid: Grid, series: Series, *fates: Fate) -> tuple[Counts, Counts]:
    """Return (instants, their rows) of the samples of those fates."""
    times, rows = zip(*(series.columns[f].placed(grid.start_us, grid.end_us) for f in fates), strict=True)
    return np.concatenate(times), np.concatenate(rows)


def counted(grid: Grid, group: Sequence[Series], *fates: Fate) -> Counts:
    result = np.zeros(grid.count, np.int64)
    for series in group:
        result += np.bincount(grid.rounds(placed(grid, series, *fates)[0]), minlength=grid.count)
    return result


def share(part: Counts, whole: Counts) -> Column:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def loss(grid: Grid, group: Sequence[Series]) -> Column:
    """Return the share that nothing answered."""
    lost = counted(grid, group, Fate.LOST)
    return share(lost, lost + counted(grid, group, Fate.ANSWERED, Fate.WRONG))


def served(grid: Grid, group: Sequence[Series]) -> Column:
    """Return the share that was answered as it should be."""
    served = counted(grid, group, Fate.ANSWERED)
    return share(served, served + counted(grid, group, Fate.LOST, Fate.WRONG))


def best(grid: Grid, group: Sequence[Series], value: Callable[[Grid, list[Series]], Column]) -> Column:
    """Return the best of the series in each round, of what was measured."""
    result = grid.empty()
    for series in group:
        result = np.fmax(result, value(grid, [series]))
    return result


def calls(grid: Grid, series: Series) -> Column:
    """Return 1 where a call came about, 0 where it failed; those refused for the asking are not there."""
    result = grid.empty()
    for fate in (Fate.LOST, Fate.WRONG, Fate.ANSWERED):  # the good one of a round is written last
        at_us, rows = placed(grid, series, fate)
        counts = np.array([fate is Fate.ANSWERED or not refused(series.rows[row].code) for row in rows.tolist()], bool)
        result[grid.rounds(at_us[counts])] = float(fate is Fate.ANSWERED)
    return result


def codes(grid: Grid, group: Sequence[Series]) -> Column:
    """Return the SIP status of each round: 200 where most requests were served, else the highest that was answered; 0
    where nothing was."""
    result = np.where(counted(grid, group, Fate.LOST) > 0, NO_CODE, np.nan)
    for series in group:
        at_us, rows = placed(grid, series, Fate.ANSWERED, Fate.WRONG)
        said = series.rows.values("code", rows)
        np.fmax.at(result, grid.rounds(at_us), np.where(said >= 0, said, SERVED_CODE))
    return np.where(best(grid, group, served) > MOSTLY, SERVED_CODE, result)


def round_trip(grid: Grid, group: Sequence[Series], *, least: bool = False) -> Column:
    """Return the mean (or least) of the readings' round trips in ms, weighed by what was answered."""
    at_us, values = [np.zeros(0, np.int64)], [np.zeros(0)]
    for series in group:
        times, rows = placed(grid, series, Fate.ANSWERED, Fate.WRONG)
        at_us.append(times)
        values.append(series.rows.values("rtt_min_us" if least else "rtt_mean_us", rows) / 1000)
    return grid.mean(np.concatenate(at_us), np.concatenate(values))


def spread(grid: Grid, group: Sequence[Series]) -> Column:
    """Return the mean delay above the least in ms, which is RFC 3550's jitter where delays are spread exponentially."""
    return np.asarray(round_trip(grid, group) - round_trip(grid, group, least=True))
