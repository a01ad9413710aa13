"""The sites beside: bad quality at one site alone, at all of an ISP's sites in a region, or behind several ISPs."""

from __future__ import annotations

import numpy as np

from linewitness.settle.attribution.fleet import Fleet
from linewitness.settle.attribution.found import ACCESS, ROUTER, UNDETERMINED, Found
from linewitness.settle.attribution.quality import BAD_IMPAIRMENT, impairment_of_mos
from linewitness.settle.attribution.soft import QUEUE, UDP

BAD, GOOD = 0.5, 0.2
FAR_MORE = 3  # so many times the share that suffers behind other ISPs: else it is all offices' own doing


def settled(fleet: Fleet, found: list[Found]) -> list[Found]:
    """Return what was found with the sides that were open: where only UDP suffered, or a long queue, the sites beside
    tell. Nothing is left of it where test calls came about all the while: then it was the probes' own trouble."""
    index_of = {seen.facts.site: index for index, seen in enumerate(fleet.seen)}
    left = [f for f in found if f.side != UDP or not _calls_came_about(fleet, index_of[f.site], f.first, f.last)]
    for f in left:
        if f.side == QUEUE:
            mine, bad, good = neighbours(fleet, index_of[f.site], f.first, f.last)
            if mine[0] and mine[0] >= mine[1] and mine[0] * (bad + good) >= FAR_MORE * bad * sum(mine):
                f.side, f.rule = ACCESS, "line_quality"
            else:
                f.side, f.candidates = UNDETERMINED, ("customer", ACCESS)
        elif f.side == UDP:
            mine, others_bad, _ = neighbours(fleet, index_of[f.site], f.first, f.last)
            if others_bad >= 2:
                f.side, f.rule = ROUTER, "rules_of_the_fleet"
            elif mine[0] and mine[0] >= mine[1]:
                f.side, f.rule = ACCESS, "isp_polices_udp"
            else:
                f.side, f.rule, f.candidates = UNDETERMINED, "udp_only", ("customer", ACCESS)
    return left


def _calls_came_about(fleet: Fleet, index: int, first: int, last: int) -> bool:
    """Return whether the site's test calls were good meanwhile, or if it makes none those of the sites in like case."""
    window = slice(first, last)
    alike = [i for i, soft in enumerate(fleet.soft[:, window]) if soft.mean() >= BAD]
    for sites, least in (([index], 2), (alike, 4)):
        calls = np.stack([fleet.seen[i]["outside"][window] for i in sites]) if sites else np.zeros((0, 0))
        lost = np.stack([impairment_of_mos(fleet.seen[i]["outside_mos"][window]) for i in sites]) if sites else calls
        made = int((~np.isnan(calls)).sum())
        if made >= least:
            return int(((calls == 0) | (lost > BAD_IMPAIRMENT)).sum()) <= 0.2 * made
    return False


def neighbours(fleet: Fleet, index: int, first: int, last: int) -> tuple[tuple[int, int], int, int]:
    """Return ((bad, good) sites of the same ISP and region, bad, good sites of other ISPs) in [first, last)."""
    me = fleet.seen[index].facts
    window = slice(first, last)
    measured = np.stack([s.measured[window] for s in fleet.seen]) & ~fleet.hard[:, window]
    counted = measured.sum(axis=1)
    share = (fleet.soft[:, window] & measured).sum(axis=1) / np.maximum(counted, 1)
    mine, bad, good = [0, 0], 0, 0
    for other, seen in enumerate(fleet.seen):
        if other == index or counted[other] < 0.5 * (last - first):
            continue
        together = _began_together(fleet, other, first)
        if (seen.facts.isp, seen.facts.region) == (me.isp, me.region):
            mine[0] += share[other] >= BAD
            mine[1] += share[other] <= GOOD
        elif seen.facts.isp != me.isp:
            bad += share[other] >= BAD and together
            good += share[other] <= GOOD
    return (mine[0], mine[1]), int(bad), int(good)


def _began_together(fleet: Fleet, other: int, first: int) -> bool:
    states = fleet.soft[other]
    low, high = max(first - 2, 0), min(first + 3, len(states))
    return bool(states[low:high].any()) and not states[max(low - 1, 0)]
