"""When did a part of the path fail, and within which bounds do both ends lie?

A *failure* is a stretch without a single reply from a set of series, in which at least `fail_rounds` probes of one
series failed. Its ends:

    start: not before the last probe that was answered was sent (its packets still got through), not after the first
           lost probe would have come back: sent + the longest round trip seen before;
    end:   not before the last lost probe was sent, not after the first answered one came back.

One lost packet proves little, since any line loses some: it is the second failing probe from either end that bounds, so
that a stray loss beside the failure makes nobody's downtime longer. Both ends widen by the clock's bound and the
resolution of the record.

A segment's state leaves `down` only after `clear_rounds` good rounds: `settled()` joins failures that are closer. The
failures themselves stay apart, so that nobody is charged for the good rounds between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from linewitness.model import Bounds, Fate
from linewitness.settle.intervals import Interval, core, hull
from linewitness.settle.pages import Numbers
from linewitness.settle.series import Point, Series

LIVE_US = 600_000_000  # a target that has not replied for so long before a failure is no witness of it
LIVE_PERIODS = 20
FOREVER_US = 1 << 62


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """Failed probes in order of time, each found when it is asked for: which of known, with which of fates, by number
    in that column."""

    known: Sequence[Series]
    fates: Sequence[Fate]
    which: Numbers
    fate: Numbers
    place: Numbers

    def __len__(self) -> int:
        return len(self.which)

    def __getitem__(self, at: int) -> Point:
        return self.known[int(self.which[at])].point(self.fates[int(self.fate[at])], int(self.place[at]))

    def __iter__(self) -> Iterator[Point]:
        return (self[at] for at in range(len(self)))

    def counts(self) -> tuple[tuple[Series, int], ...]:
        """Return how many are of each series, in the order of known."""
        found = np.bincount(self.which).tolist()
        return tuple((self.known[i], count) for i, count in enumerate(found) if count)


@dataclass(frozen=True, slots=True)
class Failure:
    """No reply between the last and the first good probe; counts: failed probes by series. last_good_us: when the
    last probe that was answered was sent, nominally; None where there is none in the period."""

    start: Bounds
    end: Bounds
    last_good_us: int | None
    bad: Failed
    counts: tuple[tuple[Series, int], ...]

    @property
    def hull(self) -> Interval:
        """All that it may have touched."""
        return hull(self)

    @property
    def core(self) -> Interval:
        """What it touched for certain; may be empty."""
        return core(self)

    def rounds(self, series: Sequence[Series]) -> int:
        """Return the failed probes of that one of the series that has most."""
        return max((n for s, n in self.counts if s in series), default=0)


def find_failures(
    alive: Sequence[Series],
    alive_fates: tuple[Fate, ...],
    failing: Sequence[Series],
    bad_fates: tuple[Fate, ...],
    barriers: Sequence[Interval],
    period: Interval,
    walls: Sequence[Interval] = (),
    least: int = 1,
) -> list[Failure]:
    """Return every stretch without a sign of life in which something failed, whatever its length, in order of time.

    What lies in a barrier (sorted, disjoint) is not looked at, and no failure goes on across one. walls are those
    barriers that belong to somebody else's fault: a failure's bounds do not even reach into them. least: leave out
    those in which no series has so many failed probes.
    """
    known = sorted((s for s in failing if s.ever_replied), key=lambda s: s.key)
    parts = [(i, f, *s.columns[f].between(*period)) for i, s in enumerate(known) for f in bad_fates]
    at_us, which, fate, place = (
        np.concatenate([np.zeros(0, np.int64), *found])
        for found in (
            [known[i].columns[f].times(low, high) for i, f, low, high in parts],
            [np.full(high - low, i) for i, _, low, high in parts],
            [np.full(high - low, bad_fates.index(f)) for _, f, low, high in parts],
            [np.arange(low, high) for _, _, low, high in parts],
        )
    )
    order = np.lexsort((which, at_us))
    at_us, which, fate, place = at_us[order], which[order], fate[order], place[order]
    starts, ends = (np.array([b[i] for b in barriers], np.int64) for i in (0, 1))
    barrier = np.searchsorted(starts, at_us, "right")
    open_ = (barrier == 0) | (at_us >= np.concatenate(([0], ends))[barrier])
    at_us, which, fate, place, barrier = at_us[open_], which[open_], fate[open_], place[open_], barrier[open_]
    following = np.full(len(at_us), FOREVER_US, np.int64)
    for column in (s.columns[f] for s in alive for f in alive_fates):
        following = np.minimum(following, column.following(at_us, FOREVER_US))
    result = []
    for first, last in _clusters(at_us, barrier, following):
        if np.bincount(which[first:last]).max() < least:
            continue
        bad = Failed(known, bad_fates, which[first:last], fate[first:last], place[first:last])
        result.append(_failure(bad, alive, alive_fates, period, walls))
    return result


def _clusters(at_us: Numbers, barrier: Numbers, following: Numbers) -> Iterator[tuple[int, int]]:
    """Yield [first, last) of the failed probes between two signs of life, and between two barriers."""
    first = 0
    times, fences, until = at_us.tolist(), barrier.tolist(), following.tolist()
    for at in range(1, len(times) + 1):
        if at == len(times) or fences[at] != fences[first] or times[at] > until[first]:
            yield first, at
            first = at


def _failure(
    bad: Failed,
    alive: Sequence[Series],
    fates: tuple[Fate, ...],
    period: Interval,
    walls: Sequence[Interval],
) -> Failure:
    last_good = max((p for s in alive if (p := s.last_before(fates, bad[0].at_us)) is not None), key=_at, default=None)
    first_good = _first_after(alive, fates, bad[-1].at_us)
    opening, closing = (bad[1], bad[-2]) if len(bad) > 1 else (bad[0], bad[0])
    begins_us = opening.latest_us + opening.series.longest_rtt_us(opening.at_us)
    start_us = last_good.earliest_us if last_good else period[0]
    ends_us = first_good.latest_us + (first_good.row.rtt_max_us or 0) if first_good else period[1]
    start_us = max([start_us, *(w[1] for w in walls if w[1] <= bad[0].at_us)])
    ends_us = min([ends_us, *(w[0] for w in walls if w[0] >= bad[-1].at_us)])
    return Failure(
        Bounds(min(start_us, begins_us), begins_us),
        Bounds(min(closing.earliest_us, ends_us), ends_us),
        last_good.at_us if last_good else None,
        bad,
        bad.counts(),
    )


def _first_after(alive: Sequence[Series], fates: tuple[Fate, ...], at_us: int) -> Point | None:
    return min((p for s in alive if (p := s.first_after(fates, at_us)) is not None), key=_at, default=None)


def _at(point: Point) -> int:
    return point.at_us


def is_live(series: Series, fates: tuple[Fate, ...], failure: Failure) -> bool:
    """Return whether the series replied shortly before the failure, or shortly after one that has no before."""
    reach_us = max(LIVE_US, LIVE_PERIODS * series.period_us)
    before = series.last_before(fates, failure.bad[0].at_us)
    if before is not None:
        return before.at_us >= failure.bad[0].at_us - reach_us
    after = series.first_after(fates, failure.bad[-1].at_us)
    return after is not None and after.at_us <= failure.bad[-1].at_us + reach_us


def died_with(series: Series, fates: tuple[Fate, ...], last_good_us: int | None) -> bool:
    """Return whether the series' last reply until then lies within three rounds of last_good_us: they fell together."""
    if last_good_us is None:
        return True
    last = series.last_before(fates, last_good_us)
    return last is not None and last.at_us >= last_good_us - 3 * series.period_us - series.timeout_us


def settled(ends: Sequence[tuple[Bounds, Bounds]], clear_us: int) -> list[tuple[Bounds, Bounds]]:
    """Return (start, end) pairs with those joined that are closer than clear_us: the state machine's way out."""
    result: list[tuple[Bounds, Bounds]] = []
    for start, end in sorted(ends):
        if result and start.earliest_us - result[-1][1].latest_us < clear_us:
            last = result[-1]
            result[-1] = (last[0], max(last[1], end, key=lambda b: b.latest_us))
        else:
            result.append((start, end))
    return result
