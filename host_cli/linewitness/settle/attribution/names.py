"""The provider's name led nowhere or to a wrong address: whose resolver, or the provider's own zone? Others tell."""

from __future__ import annotations

import numpy as np

from linewitness.settle.attribution.fleet import Fleet
from linewitness.settle.attribution.found import ACCESS, PROVIDER, ROUTER, UNDETERMINED, Found
from linewitness.settle.attribution.tracks import episodes

TOGETHER = 3
AROUND = 60  # rounds
MOST = 0.7
LEAST_CALLS = 4


def lies(fleet: Fleet) -> list[Found]:
    """Return the stretches in which a site could not get the provider's right address."""
    found = []
    for index, seen in enumerate(fleet.seen):
        for first, last in episodes(fleet.names[index], fleet.step_s):
            side, rule = _whose(fleet, index, int(first), int(last))
            if side == "none":
                continue
            start_s, end_s = (seen.t0_s + at * seen.step_s for at in (first, last))
            found.append(Found(seen.facts.site, start_s, end_s, int(first), int(last), side, rule))
    return found


def _as_calls_say(fleet: Fleet, index: int, first: int, last: int) -> tuple[str, str]:
    """Return (side, rule) where the name fails at the provider's sites alone: a filter on our resolvers' side looks the
    same, and is no fault where calls come about."""
    window = slice(first + 1, max(last - 1, first + 2))
    provider = fleet.seen[index].facts.provider
    calls = np.concatenate([
        seen[name][window] for at, seen in enumerate(fleet.seen)
        if seen.facts.provider == provider and fleet.names[at, window].any() for name in ("inside", "outside")
    ])  # fmt: skip
    made = calls[~np.isnan(calls)]
    if len(made) < LEAST_CALLS:
        return UNDETERMINED, "names_fail"
    failed = float((made == 0).mean())
    if failed >= 0.5:
        return PROVIDER, "names_gone"
    return ("none", "names_filtered") if failed <= 0.1 else (UNDETERMINED, "names_fail")


def _whose(fleet: Fleet, index: int, first: int, last: int) -> tuple[str, str]:
    """Return (side, rule): the provider only where its name fails at most of its sites, behind several ISPs, and no
    other provider's does anywhere in these hours."""
    me, states = fleet.seen[index].facts, fleet.names
    bad: dict[tuple[bool, bool], list[str | None]] = {}
    good: dict[tuple[bool, bool], int] = {}
    troubled = False
    for other, seen in enumerate(fleet.seen):
        if other == index:
            continue
        usable = seen.measured[first:last] & ~fleet.hard[other, first:last]
        if usable.sum() < 0.4 * (last - first):
            continue
        key = (seen.facts.provider == me.provider, seen.facts.isp == me.isp)
        share = float(states[other, first:last][usable].mean())
        troubled |= not key[0] and bool(states[other, max(first - AROUND, 0) : last + AROUND].any())
        began = states[other, max(first - TOGETHER, 0) : first + TOGETHER].any()
        if share > 0.5 and began and not states[other, max(first - TOGETHER - 1, 0)]:
            bad.setdefault(key, []).append(seen.facts.isp)
        elif share < 0.15:
            good[key] = good.get(key, 0) + 1
    far_same, near_other = bad.get((True, False), []), bad.get((False, True), [])
    near_same, far_other = bad.get((True, True), []), bad.get((False, False), [])
    if far_other or (near_other and far_same):
        return UNDETERMINED, "names_fail_everywhere"
    if far_same:
        others_fine = good.get((False, True), 0) + good.get((False, False), 0)
        same_fine = good.get((True, True), 0) + good.get((True, False), 0)
        most = len(far_same) + len(near_same) + 1 >= MOST * (len(far_same) + len(near_same) + 1 + same_fine)
        if len({*far_same, me.isp}) >= 2 and others_fine >= 2 and most and not troubled:
            return _as_calls_say(fleet, index, first, last)
        return UNDETERMINED, "names_fail"
    if near_other or (near_same and good.get((True, False), 0)):
        return ACCESS, "isp_resolver"
    if good.get((True, True), 0) or good.get((False, True), 0):
        return ROUTER, "own_resolver"
    return (ROUTER, "own_resolver") if good else (UNDETERMINED, "names_fail")
