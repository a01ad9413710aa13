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

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from linewitness.model import Bounds, Fate
from linewitness.settle.intervals import Interval, core, hull
from linewitness.settle.series import Point, Series

LIVE_US = 600_000_000  # a target that has not replied for so long before a failure is no witness of it
LIVE_PERIODS = 20


@dataclass(frozen=True, slots=True)
class Failure:
    """No reply between the last and the first good probe; counts: failed probes by series. last_good_us: when the
    last probe that was answered was sent, nominally; None where there is none in the period."""

    start: Bounds
    end: Bounds
    last_good_us: int | None
    bad: tuple[Point, ...]
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
) -> list[Failure]:
    """Return every stretch without a sign of life in which something failed, whatever its length, in order of time.

    What lies in a barrier (sorted, disjoint) is not looked at, and no failure goes on across one. walls are those
    barriers that belong to somebody else's fault: a failure's bounds do not even reach into them.
    """
    starts = [b[0] for b in barriers]
    bad = sorted(
        (p for s in failing if s.ever_replied for f in bad_fates for p in s.points(f, *period)),
        key=lambda p: (p.at_us, p.series.key),
    )
    clusters: list[list[Point]] = []
    until_us: int | None = None
    barrier: int | None = None
    for point in bad:
        i = bisect_right(starts, point.at_us)
        if i and point.at_us < barriers[i - 1][1]:
            continue
        if not clusters or i != barrier or (until_us is not None and point.at_us > until_us):
            clusters.append([])
            following = _first_after(alive, alive_fates, point.at_us)
            until_us, barrier = (following.at_us if following else None), i
        clusters[-1].append(point)
    return [_failure(cluster, alive, alive_fates, period, walls) for cluster in clusters]


def _failure(
    bad: list[Point],
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
    counts = Counter(p.series for p in bad)
    return Failure(
        Bounds(min(start_us, begins_us), begins_us),
        Bounds(min(closing.earliest_us, ends_us), ends_us),
        last_good.at_us if last_good else None,
        tuple(bad),
        tuple(sorted(counts.items(), key=lambda item: item[0].key)),
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
