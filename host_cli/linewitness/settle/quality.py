"""Promises about quality, kept or not: MOS, loss, jitter and latency of call-quality windows towards the provider.

A window beside its limit is held against the provider only where the window to our own reflector nearest in time, from
the same witness over the same radio, kept the limit: then the way there was no worse than promised. One without such a
control, or with a bad one, is not claimable. Windows within anybody else's failure are not claimable either, and those
within the provider's own downtime are counted there. Late packets are lost ones; of a window in which nothing was
answered the loss is 100 %, the MOS 1, and delay and jitter are not known.

Each window stands for one call of the site's, or windows are pooled in intervals; their mean is a sample's mean. Values
are whole numbers (milli-MOS, ppm, us), rounded in the provider's favour; work is linear in the windows.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from linewitness.model import OutagePost, QualityWindow, Segment, Side, Tally
from linewitness.settle.account import (
    ELSEWHERE,
    NO_DOWNTIME,
    NOT_IN_FORCE,
    OUTSIDE_HOURS,
    QUALITY,
    SiteEvidence,
    in_force,
)
from linewitness.settle.calendar import SECOND_US, months_in, window_interval
from linewitness.settle.contract import Commitment, Contract
from linewitness.settle.credit import Achieved, credit_percent_milli
from linewitness.settle.exclusions import excluded
from linewitness.settle.intervals import Interval, hull, subtract, union

CONTROL_WITHIN_US = 90 * SECOND_US
COUNTED = "within downtime, counted there"
NO_CONTROL = "no window to the own reflector within 90 s"
BAD_CONTROL = "the own reflector was beyond the limit too"
NOT_WIRED = "not from a wired witness"
NOT_CERTIFIED = "a witness is no certified phone"
NOT_MANAGED = "not known to be on a network that the provider manages"
OPEN = (
    NO_CONTROL,
    BAD_CONTROL,
    NOT_WIRED,
    NOT_CERTIFIED,
    NOT_MANAGED,
)  # what only better evidence would have made claimable
Named = list[tuple[str, list[Interval]]]
Control = tuple[int, int, str, list[tuple[str, int, int]]]  # start in us, seq, target, what _values says
UNITS = {"mos": "milli_mos", "loss": "ppm", "jitter": "us", "latency": "us"}


@dataclass(frozen=True, slots=True)
class Judged:
    """One window to the provider: its value, whether it is beyond a limit, why it may not count (empty: it may)."""

    at_us: int
    value: int
    beyond: bool
    excluded: str
    refused: str


def tally_quality(
    contract: Contract, commitment: Commitment, site: str, sites: Sequence[SiteEvidence], window: str,
    posts: Sequence[OutagePost],
) -> Tally:  # fmt: skip
    """Return the tally of a quality commitment over the windows of one site, or of several (site "*")."""
    whole = window_interval(window, contract.time_zone)
    judged = [j for evidence in sites for j in judge(contract, commitment, evidence, whole, posts)]
    eligible = [j for j in judged if not j.excluded and not j.refused]
    open_too = [j for j in judged if not j.excluded and (not j.refused or j.refused in OPEN)]
    limit, unit = _limit(commitment)
    achieved, failed, counted = _statistic(commitment, eligible, whole[0])
    worst, _, _ = _statistic(commitment, open_too, whole[0])
    met = achieved is None or not _misses(commitment, achieved, limit)
    result = Achieved(
        achieved if achieved is not None else Fraction(limit), Fraction(limit), met, failed, 0, 0, months_in(window),
        (whole[1] - whole[0]) // SECOND_US,
    )  # fmt: skip
    return Tally(
        site, contract.name, commitment.name, commitment.metric, window, contract.time_zone, *whole, unit, limit,
        _whole(achieved, commitment), _whole(worst, commitment), counted, failed, _counts(j.excluded for j in judged),
        _counts(j.refused for j in judged if not j.excluded), met,
        met and worst is not None and _misses(commitment, worst, limit),
        credit_percent_milli(contract, commitment, result),
    )  # fmt: skip


def judge(
    contract: Contract, commitment: Commitment, evidence: SiteEvidence, whole: Interval, posts: Sequence[OutagePost]
) -> list[Judged]:
    """Return the windows of a site to its provider within [start_us, end_us), each with why it may not count."""
    by_clause, by_side = _outside(contract, commitment, evidence, whole, posts)
    near = (whole[0] - CONTROL_WITHIN_US, whole[1] + CONTROL_WITHIN_US)
    controls = _controls(commitment, evidence.windows.begun(*near))
    result = []
    for w in evidence.windows.within(*whole):
        span = (w.start.earliest_us, w.end.latest_us)
        if w.control or w.segment is not Segment.PROVIDER:
            continue
        found = _values(commitment, w)
        if not found:
            continue
        beyond = any(_misses_limit(metric, value, limit) for metric, value, limit in found)
        excluded_by = next((name for name, parts in by_clause if _touches(parts, span)), "")
        refused = next((name for name, parts in by_side if _touches(parts, span)), "")
        refused = refused or _not_eligible(commitment, evidence)
        if not refused and beyond:
            refused = _uncontrolled(w, controls.get(w.witness, ()))
        value = found[0][1] if len(found) == 1 else int(beyond)
        result.append(Judged(span[0], value, beyond, excluded_by, refused))
    return result


def _not_eligible(commitment: Commitment, evidence: SiteEvidence) -> str:
    """Return what the contract asks of an endpoint that this site's witnesses are not; the windows still say which
    calls to ask the provider's own records for."""
    if commitment.wired_only and not evidence.wired:
        return NOT_WIRED
    if commitment.certified_phone:
        return NOT_CERTIFIED
    return NOT_MANAGED if commitment.managed_network_only else ""


def _outside(
    contract: Contract, commitment: Commitment, evidence: SiteEvidence, whole: Interval, posts: Sequence[OutagePost]
) -> tuple[Named, Named]:
    """Return what excludes windows, by clause, and what makes them not claimable, by side."""
    by_clause: dict[str, list[Interval]] = {NOT_IN_FORCE: subtract([whole], in_force(contract))}
    if commitment.hours is not None:
        by_clause[OUTSIDE_HOURS] = subtract([whole], commitment.hours.intervals(*whole))
    by_clause |= excluded(contract, posts, whole)
    by_side: dict[str, list[Interval]] = {}
    for v in evidence.verdicts:
        if v.kind not in NO_DOWNTIME or (v.kind == QUALITY and v.side in ELSEWHERE):
            name = COUNTED if v.side is Side.PROVIDER else str(v.side)
            by_side.setdefault(name, []).append(hull(v))
    return _named(by_clause), _named(by_side)


def _named(found: dict[str, list[Interval]]) -> Named:
    return [(name, parts) for name, intervals in sorted(found.items()) if (parts := union(intervals))]


def _touches(parts: Sequence[Interval], span: Interval) -> bool:
    """Return whether a span meets any of sorted, disjoint intervals."""
    i = bisect.bisect_right(parts, span[0], key=lambda part: part[1])
    return i < len(parts) and parts[i][0] < span[1]


def _controls(commitment: Commitment, windows: Iterable[QualityWindow]) -> Mapping[str, list[Control]]:
    """Return what each witness's windows to the own reflector know, by time."""
    result: defaultdict[str, list[Control]] = defaultdict(list)
    for w in windows:
        if w.control and w.segment is not Segment.PROVIDER:
            result[w.witness].append((w.start.earliest_us, w.seq, w.target, _values(commitment, w)))
    for found in result.values():
        found.sort()
    return result


def _uncontrolled(w: QualityWindow, controls: Sequence[Control]) -> str:
    """Return why a window beyond the limit is not held against the provider; empty where it is."""
    at_us = w.start.earliest_us
    i = bisect.bisect_left(controls, at_us, key=lambda item: item[0])
    near = sorted(controls[max(0, i - 1) : i + 1], key=lambda item: abs(item[0] - at_us))
    if not near or abs(near[0][0] - at_us) > CONTROL_WITHIN_US:
        return NO_CONTROL
    found = near[0][3]
    if not found:
        return NO_CONTROL
    return BAD_CONTROL if any(_misses_limit(metric, value, limit) for metric, value, limit in found) else ""


def _values(commitment: Commitment, w: QualityWindow) -> list[tuple[str, int, int]]:
    """Return (metric, value, limit) for each limit of which the window knows a value."""
    counted = w.sent - w.self_delayed
    if counted <= 0:
        return []
    heard = max(0, w.answered - w.late)
    values = {
        "mos": 1000 if heard == 0 else w.mos_milli,
        "loss": max(0, counted - heard) * 1_000_000 // counted,
        "jitter": w.jitter_us,
        "latency": None if w.rtt_us is None else w.rtt_us[1] // (2 if commitment.one_way else 1),
    }
    known = [(metric, values[metric], limit) for metric, limit in commitment.limits]
    return [(metric, value, limit) for metric, value, limit in known if value is not None]


def _misses_limit(metric: str, value: int | Fraction, limit: int) -> bool:
    return value < limit if metric == "mos" else value > limit


def _limit(commitment: Commitment) -> tuple[int, str]:
    """Return what the statistic is held against, and its unit."""
    if commitment.max_share_ppm is not None:
        return commitment.max_share_ppm, "ppm"
    metric, limit = commitment.limits[0]
    return limit, UNITS[metric]


def _misses(commitment: Commitment, achieved: Fraction, limit: int) -> bool:
    metric = "loss" if commitment.max_share_ppm is not None else commitment.limits[0][0]
    return _misses_limit(metric, achieved, limit)


def _statistic(commitment: Commitment, judged: Sequence[Judged], start_us: int) -> tuple[Fraction | None, int, int]:
    """Return (mean or share beyond in ppm, None without a window; how many were beyond; of how many)."""
    beyond = [j.beyond for j in judged]
    if commitment.interval_s is not None:
        beyond = _pooled(commitment, judged, start_us, commitment.interval_s * SECOND_US)
    if not beyond:
        return None, 0, 0
    if commitment.max_share_ppm is not None:
        return Fraction(sum(beyond) * 1_000_000, len(beyond)), sum(beyond), len(beyond)
    return Fraction(sum(j.value for j in judged), len(judged)), sum(beyond), len(beyond)


def _pooled(commitment: Commitment, judged: Sequence[Judged], start_us: int, interval_us: int) -> list[bool]:
    """Return for each interval that has windows whether it is beyond: the mean is, or of several limits most are."""
    pools: defaultdict[int, list[Judged]] = defaultdict(list)
    for j in judged:
        pools[(j.at_us - start_us) // interval_us].append(j)
    if len(commitment.limits) > 1:
        return [2 * sum(j.beyond for j in pool) > len(pool) for _, pool in sorted(pools.items())]
    metric, limit = commitment.limits[0]
    means = [Fraction(sum(j.value for j in pool), len(pool)) for _, pool in sorted(pools.items())]
    return [_misses_limit(metric, mean, limit) for mean in means]


def _whole(value: Fraction | None, commitment: Commitment) -> int | None:
    """Return a whole number that makes the provider look no worse than measured: MOS up, all else down."""
    if value is None:
        return None
    return -int(-value // 1) if _limit(commitment)[1] == "milli_mos" else int(value // 1)


def _counts(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    found: defaultdict[str, int] = defaultdict(int)
    for name in names:
        if name:
            found[name] += 1
    return tuple(sorted(found.items()))
