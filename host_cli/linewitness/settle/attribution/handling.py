"""A provider's call handling: both calls, inside and over the carrier, failed though the way to the edge was whole."""

from __future__ import annotations

import numpy as np

from linewitness.settle.attribution.calls import (
    LEAST_FAILED,
    LEAST_SITES,
    Calls,
    ends,
    together,
    told,
    windows,
)
from linewitness.settle.attribution.fleet import Fleet
from linewitness.settle.attribution.found import ACCESS, PROVIDER, ROUTER, UNDETERMINED, Found

GROUP_STAY, SITE_STAY = 5.5, 4.0
LEAST_ISPS = 2
BESIDE_FAILS = 0.4
ELSEWHERE = 0.08  # a larger share of failures in the other groups means that it isn't this group's


def found_handling(fleet: Fleet, made: Calls) -> list[Found]:
    """Both calls failed though the way to the edge was whole: the provider's call handling, or this site's own."""
    found: list[Found] = []
    providers = [s.facts.provider for s in fleet.seen]
    groups = list(together(fleet, ("provider",)).values())
    mines = [made.of(members) for members in groups]
    taken: set[tuple[int, int, int]] = set()
    for members, mine, stretches in zip(
        groups, mines, windows(mines, len(fleet.seen[0]), 3.5, 0.4, GROUP_STAY), strict=True
    ):
        others = made.of([i for i, p in enumerate(providers) if p != providers[members[0]]])
        for first, last in stretches:
            here = mine.within(first, last)
            hit = [int(i) for i in np.unique(here.site[here.failed]) if here.of([int(i)]).failed.mean() >= 0.45]
            if len(hit) < LEAST_SITES or len({fleet.seen[i].facts.isp for i in hit}) < LEAST_ISPS:
                continue
            control = others.within(first, last)
            if len(control.failed) >= 3 and control.failed.mean() > ELSEWHERE and control.failed.sum() >= 2:
                continue
            start_s, end_s = ends(fleet, mine.of(hit), here.of(hit))
            # Calls alone can't tell the provider from a rule of the customer's own on all its sites there, and a post
            # that happens to speak of that time makes no accusation that would not stand without it.
            for index in hit:
                taken.add((index, first, last))
                candidates = ("customer", "none", PROVIDER)
                found.append(told(fleet, index, start_s, end_s, UNDETERMINED, "calls_or_rule", candidates))
    sites = [made.of([index]) for index in range(len(fleet.seen))]
    for index, stretches in enumerate(windows(sites, len(fleet.seen[0]), 3.0, 2.0, SITE_STAY)):
        for first, last in stretches:
            if any(i == index and a < last and first < b for i, a, b in taken):
                continue
            here = sites[index].within(first, last)
            if int(here.failed.sum()) < LEAST_FAILED:
                continue
            beside = _beside(fleet, index)
            elsewhere = [i for i, p in enumerate(providers) if p == providers[index] and i not in (index, *beside)]
            peers = made.of(elsewhere).within(first, last)
            side, rule = UNDETERMINED, "calls_fail"
            left: tuple[str, ...] = ("customer", ACCESS, PROVIDER)
            if len(peers.failed) >= 3 and peers.failed.mean() < 0.2:
                side, rule = _of_its_isp(made.within(first, last), beside)
                left = ("customer", ACCESS)
            start_s, end_s = ends(fleet, sites[index], here)
            found.append(told(fleet, index, start_s, end_s, side, rule, left))
    return found


def _beside(fleet: Fleet, index: int) -> list[int]:
    """Return the other sites of a site's ISP and region."""
    me = fleet.seen[index].facts
    alike = [(s.facts.isp, s.facts.region) == (me.isp, me.region) for s in fleet.seen]
    return [i for i, same in enumerate(alike) if same and i != index]


def _of_its_isp(made: Calls, beside: list[int]) -> tuple[str, str]:
    """Return (side, rule) of calls that fail at a site and not at its provider's others: its own router's doing, or its
    line's, which lets small packets pass and large ones not (RFC 2923). The sites beside it tell."""
    failed = [calls.failed.mean() for i in beside if len((calls := made.of([i])).failed) >= 2]
    bad, good = sum(share >= BESIDE_FAILS for share in failed), sum(share < ELSEWHERE for share in failed)
    if bad and bad >= good:
        return ACCESS, "calls_of_this_isp"
    return (ROUTER, "calls_of_this_site") if good and not bad else (UNDETERMINED, "calls_of_this_line")
