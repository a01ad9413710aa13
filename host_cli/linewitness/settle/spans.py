"""What state was each segment of a site in, and when: the partition of the period that reports draw.

A segment beyond a cut of the trunk is unmeasured, not down. `down` is left after clear_rounds good rounds. One target
of several that fails makes its segment degraded. Where no sample of a segment lies, it is unmeasured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from linewitness.model import Bounds, Fate, Segment, SegmentSpan, State
from linewitness.settle.groups import cite
from linewitness.settle.intervals import Interval, subtract, union
from linewitness.settle.local import Cut, Diagnosis
from linewitness.settle.series import LOST, REPLIED, Series
from linewitness.settle.states import find_failures, settled
from linewitness.settle.suspicions import CALL_KINDS, SILENT_KINDS

TRUNK = (Segment.LAN, Segment.ROUTER, Segment.ACCESS, Segment.TRANSIT, Segment.PROVIDER)
REACH_US = 2_000_000  # a sample speaks for its surroundings: its period, and at least so much


class Mark(NamedTuple):
    """A stretch in a state; the mark of the highest rank wins."""

    rank: int
    state: State
    start: Bounds
    end: Bounds

    @property
    def nominal(self) -> Interval:
        return (_middle(self.start), _middle(self.end))


HOLE, DOWN, BEHIND, DEGRADED = 4, 3, 2, 1


def site_spans(diagnosis: Diagnosis, period: Interval) -> list[SegmentSpan]:
    """Return the spans of a site, by segment and time: they tile the period for each segment that has a target."""
    record, groups = diagnosis.record, diagnosis.groups
    holes = subtract([period], record.measured_by_any())
    barriers = union([*holes, *(c.dark for c in diagnosis.cuts)])
    everything = groups.lan + groups.router + groups.hop + groups.beyond
    members: dict[Segment, Sequence[Series]] = {
        Segment.WITNESS: (),
        Segment.ENDPOINT: [s for s in groups.lan if s.segment is Segment.ENDPOINT],
        Segment.LAN: [s for s in groups.lan if s.segment is Segment.LAN],
        Segment.ROUTER: groups.router,
        Segment.ACCESS: groups.hop,
        Segment.TRANSIT: groups.anchors,
        Segment.PROVIDER: groups.provider,
    }
    seen = {s.key: _seen(s) for s in record.series}
    result = []
    for segment, series in members.items():
        if not series and segment not in (Segment.WITNESS, Segment.LAN, Segment.ACCESS):
            continue
        # The LAN and the access line are seen by whatever is answered through them.
        seen_by = everything if segment in (Segment.LAN, Segment.ACCESS) else series
        marks = [Mark(HOLE, State.UNMEASURED, Bounds(a, a), Bounds(b, b)) for a, b in holes]
        if segment is not Segment.WITNESS:
            blind = subtract([period], union(i for s in seen_by for i in seen[s.key]))
            marks += [Mark(BEHIND, State.UNMEASURED, Bounds(a, a), Bounds(b, b)) for a, b in blind]
            marks += _cut_marks(segment, diagnosis.cuts)
            clear_us = record.clear_rounds * min((s.period_us for s in series), default=1_000_000)
            marks += _own_marks(diagnosis, segment, series, barriers, period, clear_us)
        for state, start, end in _tile(marks, period):
            evidence = cite(record, series, _middle(start), _middle(end)) if state is not State.UNMEASURED else ()
            result.append(SegmentSpan(record.site, segment, state, start, end, evidence))
    return result


def _cut_marks(segment: Segment, cuts: Iterable[Cut]) -> list[Mark]:
    marks = []
    for cut in cuts:
        if cut.segment is segment and not cut.unsure:
            marks.append(Mark(DOWN, State.DOWN, cut.start, cut.end))
        elif _behind(segment, cut):
            marks.append(Mark(BEHIND, State.UNMEASURED, cut.start, cut.end))
    return marks


def _behind(segment: Segment, cut: Cut) -> bool:
    if cut.unsure and segment is Segment.ROUTER:
        return True
    return segment in TRUNK and TRUNK.index(segment) >= TRUNK.index(cut.segment)


def _own_marks(
    diagnosis: Diagnosis,
    segment: Segment,
    series: Sequence[Series],
    barriers: Sequence[Interval],
    period: Interval,
    clear_us: int,
) -> list[Mark]:
    record = diagnosis.record
    down = []
    marks = []
    if segment is Segment.PROVIDER:
        theirs = [s for s in diagnosis.suspicions if s.kind not in CALL_KINDS]
        down = [(s.start, s.end) for s in theirs if s.kind in SILENT_KINDS]
        marks = [Mark(DEGRADED, State.DEGRADED, s.start, s.end) for s in theirs if s.kind not in SILENT_KINDS]
    elif segment in (Segment.TRANSIT, Segment.ENDPOINT):
        failures = find_failures(series, REPLIED, series, LOST, barriers, period, (), record.fail_rounds)
        down = [(f.start, f.end) for f in failures if f.rounds(series) >= record.fail_rounds]
    marks += [Mark(DOWN, State.DOWN, start, end) for start, end in settled(down, clear_us)]
    for one in series:
        for failure in find_failures([one], REPLIED, [one], LOST, barriers, period, (), record.fail_rounds):
            if failure.rounds([one]) >= record.fail_rounds:
                marks.append(Mark(DEGRADED, State.DEGRADED, failure.start, failure.end))
    return marks


def _seen(one: Series) -> list[Interval]:
    """Return where samples that say something lie, each with its surroundings."""
    reach_us = max(REACH_US, 2 * one.period_us)
    spans: list[Interval] = []
    for fate in (Fate.ANSWERED, Fate.WRONG, Fate.LOST):
        for times in one.columns[fate].each_page():
            holes = np.flatnonzero(np.diff(times) > 2 * reach_us)
            begins, ends = times[np.append(0, holes + 1)], times[np.append(holes, len(times) - 1)]
            spans += zip((begins - reach_us).tolist(), (ends + reach_us).tolist(), strict=True)
    return union(spans)


def _tile(marks: Sequence[Mark], period: Interval) -> list[tuple[State, Bounds, Bounds]]:
    """Return the states that tile the period, each with the bounds of its ends."""
    ends: dict[int, Bounds] = {}
    for mark in marks:
        for at_us, bounds in zip(mark.nominal, (mark.start, mark.end), strict=True):
            at_us = min(max(at_us, period[0]), period[1])
            if at_us not in ends or bounds.width_us > ends[at_us].width_us:
                ends[at_us] = bounds
    edges = sorted({*ends, *period})
    ends |= {at: Bounds(at, at) for at in period}
    opening: dict[int, list[Mark]] = {}
    closing: dict[int, list[Mark]] = {}
    for mark in marks:
        a, b = (min(max(t, period[0]), period[1]) for t in mark.nominal)
        if a < b:
            opening.setdefault(a, []).append(mark)
            closing.setdefault(b, []).append(mark)
    active: list[Mark] = []
    result: list[tuple[State, Bounds, Bounds]] = []
    for at_us, next_us in pairwise(edges):
        for mark in closing.get(at_us, ()):
            active.remove(mark)
        active += opening.get(at_us, ())
        state = max(active).state if active else State.UP
        if result and result[-1][0] is state:
            result[-1] = (state, result[-1][1], ends[next_us])
        else:
            result.append((state, ends[at_us], ends[next_us]))
    return result


def _middle(at: Bounds) -> int:
    return (at.earliest_us + at.latest_us) // 2
