"""Test calls: sparse, but the only readings of what lies behind the provider's edge.

A call inside the provider's network beside one over its carrier tells which of the two fails. Calls are judged only in
rounds in which the site's near side and the way to the edge were whole. Those of sites that share a carrier and region
(or a provider) are laid on one time line, since each site alone calls only every ten minutes. A callee that is down
fails calls over every carrier (or inside every provider): the other groups are the control.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log

import numpy as np
from numpy.typing import NDArray

from linewitness.settle.attribution.fleet import Fleet
from linewitness.settle.attribution.found import Found
from linewitness.settle.attribution.quality import BAD_IMPAIRMENT, impairment_of_mos
from linewitness.settle.attribution.tracks import runs, sticky

END_STAY = 2.0
MARGIN = 60  # rounds looked at beside a stretch for its ends
CAUTION = 0.75  # how far from the last good call towards the first failed one an end is set
REACH = 5  # rounds: about how often a site calls
COMMON = 0.4
CLEAN_MEDIA = 15.0
HEALTHY_FAILS = 0.02
LEAST_SITES, LEAST_FAILED = 2, 4
ENOUGH_FAILED = 6
PARTING = 4  # so many good calls in a row are no part of a failure
PARTIAL = 0.85  # a smaller share of failures: calls fail now and then
BY_LOT, RARER = 5e-3, 0.35


@dataclass(frozen=True, slots=True)
class Calls:
    """Test calls in the order of time: site index, round, and whether each failed."""

    site: NDArray[np.int64]
    round: NDArray[np.int64]
    failed: NDArray[np.bool_]

    def of(self, sites: Sequence[int]) -> Calls:
        mine = np.isin(self.site, np.array(sites, np.int64))
        return Calls(self.site[mine], self.round[mine], self.failed[mine])

    def share_beside(self, first: int, last: int) -> float:
        """Return which share failed of the calls outside [first, last), 0 where there are none."""
        beside = self.failed[(self.round < first) | (self.round >= last)]
        return float(beside.mean()) if len(beside) else 0.0

    def within(self, first: int, last: int) -> Calls:
        mine = (self.round >= first) & (self.round < last)
        return Calls(self.site[mine], self.round[mine], self.failed[mine])


def calls(fleet: Fleet) -> tuple[Calls, Calls, Calls]:
    """Return (outside: over the carrier, inside: the provider's network, whole: both in one round) of all sites."""
    parts: list[list[tuple[int, int, bool]]] = [[], [], []]
    for index, seen in enumerate(fleet.seen):
        fit = fleet.usable[index] & ~fleet.sip[index] & ~fleet.media[index] & (seen["i_media"] < CLEAN_MEDIA)
        inside, outside = seen["inside"], seen["outside"]
        # A call inside that came about in the same round says that the way to the edge serves calls, whatever else is
        # silent; how good a call was is judged where the way was clean.
        served = fleet.usable[index] & (inside == 1) & ~(seen["i_media"] >= CLEAN_MEDIA)
        poor = (outside == 0) | (impairment_of_mos(seen["outside_mos"]) > BAD_IMPAIRMENT)
        for part, failed in zip(
            parts,
            (np.where(np.isnan(outside), np.nan, poor), 1 - inside, np.where(np.isnan(inside), np.nan, 1 - outside)),
            strict=True,
        ):
            for at in np.flatnonzero((fit | served) & ~np.isnan(failed)):
                part.append((int(at), index, bool(failed[at] > 0)))
    whole = parts[2]
    lost = {(at, index) for at, index, failed in parts[1] if failed}
    parts[2] = [(at, index, failed and (at, index) in lost) for at, index, failed in whole]
    outside_calls, inside_calls, both = map(_sorted, parts)
    return outside_calls, inside_calls, both


def _sorted(found: list[tuple[int, int, bool]]) -> Calls:
    found.sort()
    return Calls(
        np.array([site for _, site, _ in found], np.int64), np.array([at for at, _, _ in found], np.int64),
        np.array([failed for _, _, failed in found], bool),
    )  # fmt: skip


def enough(made: Calls, first: int, last: int) -> Calls:
    """Return the calls of a stretch, or those of a little longer one where it holds fewer than three."""
    within = made.within(first, last)
    return within if len(within.failed) >= 3 else made.within(first - REACH, last + REACH)


def but_common(made: Calls, groups: Sequence[str | None], rounds: int) -> Calls:
    """Return the calls less those made while they failed in two or more groups at once: the callee was down."""
    names = sorted({g for g in groups if g is not None})
    if len(names) < 2:
        return made
    failing = np.zeros(rounds)
    for name in names:
        mine = made.of([i for i, g in enumerate(groups) if g == name])
        bad, good = (
            np.convolve(np.bincount(mine.round[mine.failed == state], minlength=rounds), np.ones(2 * REACH + 1), "same")
            for state in (True, False)
        )
        failing += (bad >= 1) & (bad > COMMON * (bad + good))
    kept = failing[made.round] < 2
    return Calls(made.site[kept], made.round[kept], made.failed[kept])


def windows(groups: Sequence[Calls], rounds: int, bad: float, good: float, stay: float) -> list[list[tuple[int, int]]]:
    """Return, for each group, the stretches [first, last) of rounds in which its calls failed."""
    if not groups:
        return []
    evidence = np.zeros((len(groups), rounds), np.float32)
    for row, made in enumerate(groups):
        np.add.at(evidence[row], made.round, np.where(made.failed, bad, -good).astype(np.float32))
    return [[(int(a), int(b)) for a, b in runs(states)] for states in sticky(evidence, stay)]


def together(fleet: Fleet, names: tuple[str, ...]) -> dict[Hashable, list[int]]:
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, seen in enumerate(fleet.seen):
        key = tuple(getattr(seen.facts, name) for name in names)
        if None not in key:
            members[key].append(index)
    return members


def differ(here: Calls, control: Calls) -> bool:
    """Return whether the control's calls came about where these failed, beyond chance: both few failures there, and
    more here than fall to this part of all failed calls by lot (Fisher's exact test)."""
    return _rarer(control, here) and by_lot(here, control) < BY_LOT


def _rarer(control: Calls, here: Calls) -> bool:
    return bool(control.failed.mean() <= RARER * here.failed.mean())


def by_lot(here: Calls, control: Calls) -> float:
    """Return the chance that of all failed calls of both so many, or more, fall to the one part (hypergeometric)."""
    made, failed = len(here.failed), int(here.failed.sum())
    others, lost = len(control.failed), int(control.failed.sum())

    def ways(n: int, k: int) -> float:
        return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)

    whole = ways(made + others, failed + lost)
    most = min(made, failed + lost)
    return sum(exp(ways(made, n) + ways(others, failed + lost - n) - whole) for n in range(failed, most + 1))


def by_chance(here: Calls, rate: float) -> float:
    """Return the chance of so many failures, or more, were this the rate of failing, but at least that of healthy calls
    (binomial)."""
    rate = min(max(rate, HEALTHY_FAILS), 0.999)
    made, failed = len(here.failed), int(here.failed.sum())
    # By logarithms: the number of ways to choose among a large fleet's calls is no float.
    ways = lgamma(made + 1)
    return sum(
        exp(ways - lgamma(n + 1) - lgamma(made - n + 1) + n * log(rate) + (made - n) * log(1 - rate))
        for n in range(failed, made + 1)
    )


def likely(here: Calls) -> tuple[float, float]:
    """Return how much a failed and a good call say (logarithms of odds) where calls fail at this stretch's rate."""
    rate = float(np.clip(here.failed.mean(), 0.35, 0.95))
    return float(np.log(rate / HEALTHY_FAILS)), float(-np.log((1 - rate) / (1 - HEALTHY_FAILS)))


def caution(good: float, failed: float) -> float:
    """Return where an end is set between a good call's round and a failed one's: nearer the failed one."""
    return good + CAUTION * (failed - good)


def ends(fleet: Fleet, made: Calls, here: Calls) -> tuple[float, float]:
    """Return ends in s: halfway between a group's last good call and its first failed one, and back."""
    seen = fleet.seen[0]
    # Within the stretch, what fails at the stretch's own rate: a stray failure beside it moves no end.
    speaks = likely(here)
    low, high = int(here.round.min()), int(here.round.max())
    base = max(low - MARGIN, 0)
    beside = made.within(base, high + MARGIN)
    moved = Calls(beside.site, beside.round - base, beside.failed)
    cores = [(a + base, b + base) for a, b in windows([moved], high + MARGIN - base, *speaks, END_STAY)[0]]
    inner = [(a, b) for a, b in cores if a <= high and b > low]
    trimmed = here.within(min(a for a, _ in inner), max(b for _, b in inner)) if inner else here
    here = trimmed if trimmed.failed.any() else here
    partial = here.failed.mean() < PARTIAL
    failed = np.sort(here.round[here.failed])
    if partial and len(failed) >= ENOUGH_FAILED:
        failed = failed[1:-1]  # the outermost of calls that fail now and then may be strays
    good = np.sort(here.round[~here.failed])
    failed = _dense(_dense(failed, good)[::-1], good)[::-1]
    first, last = int(failed[0]), int(failed[-1]) + 1
    before = made.round[(made.round < first) & ~made.failed]
    after = made.round[(made.round >= last) & ~made.failed]
    sooner = float(before.max() + 1) if len(before) else float(first)
    later = float(after.min()) if len(after) else float(last)
    start = float(first) if partial else caution(sooner, float(first))
    end = float(last) if partial else caution(later, float(last))
    return seen.t0_s + start * seen.step_s, seen.t0_s + end * seen.step_s


def _dense(failed: NDArray[np.int64], good: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return rounds of failed calls without those at the far end that a row of good calls parts from the others."""
    while len(failed) > 1:
        low, high = sorted((int(failed[-2]), int(failed[-1])))
        if int(((good > low) & (good < high)).sum()) < PARTING:
            break
        failed = failed[:-1]
    return failed


def told(
    fleet: Fleet, index: int, start_s: float, end_s: float, side: str, rule: str, candidates: tuple[str, ...]
) -> Found:
    seen = fleet.seen[index]
    first = int((start_s - seen.t0_s) // seen.step_s)
    last = int(-((seen.t0_s - end_s) // seen.step_s))
    return Found(seen.facts.site, start_s, end_s, first, last, side, rule, candidates=candidates)
