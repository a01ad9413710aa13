"""All sites side by side: evidence by site, states by track, and the hard and soft faults of each site's near side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from linewitness.settle.attribution import near, soft
from linewitness.settle.attribution.found import Found
from linewitness.settle.attribution.rounds import Flags, Rounds
from linewitness.settle.attribution.seen import Seen, Small, see
from linewitness.settle.attribution.tracks import bridged, runs, sticky

SIP_STAY = 3.5
DIPPED_TOGETHER = 8.0
NEAR_ENOUGH_S = 300.0  # episodes of one kind that are closer are one


@dataclass(slots=True)
class Fleet:
    """Evidence and states of all sites. Matrices are [sites, rounds].

    usable: the near side was whole, so that what lies beyond could be judged; hard, soft: it was cut, or bad.
    sip, media, edge2: the way to the provider's edge failed by signalling, by media; the second edge by signalling.
    """

    seen: list[Seen]
    hard: Flags
    soft: Flags
    usable: Flags
    sip: Flags
    media: Flags
    edge2: Flags
    second: Flags
    found: list[Found] = field(default_factory=list)

    @property
    def step_s(self) -> float:
        return self.seen[0].step_s if self.seen else 60.0


def gather(sites: Iterable[Rounds], without: frozenset[str] = frozenset()) -> Fleet:
    """Read all sites, one in memory at a time, and find what is wrong on each one's near side."""
    seen = [see(rounds.without(without) if without else rounds) for rounds in sites]
    if not seen:
        empty = np.zeros((0, 0), bool)
        return Fleet([], empty, empty, empty, empty, empty, empty, empty)
    hard = sticky(np.stack([near.dead_evidence(s) for s in seen]), near.DEAD_STAY)
    grazed = np.stack([np.nan_to_num(s["dead"], nan=0.0) > 0.08 for s in seen])
    soft_state = sticky(np.stack([soft.soft_evidence(s, h) for s, h in zip(seen, hard, strict=True)]), soft.SOFT_STAY)
    measured = np.stack([s.measured for s in seen])
    usable = measured & ~hard & ~grazed
    clear = usable & ~soft_state
    sip = np.stack([_sip(s, u) for s, u in zip(seen, usable, strict=True)])
    media = np.stack([_media(s, u) for s, u in zip(seen, clear, strict=True)])
    for evidence in (sip, media):
        _together(seen, clear, evidence)
    fleet = Fleet(
        seen, hard, soft_state, clear, sticky(sip, SIP_STAY), sticky(media, soft.SOFT_STAY),
        sticky(np.stack([_share(s, u, "edge2_sip") for s, u in zip(seen, usable, strict=True)]), SIP_STAY),
        sticky(np.stack([_share(s, u, "second_sip") for s, u in zip(seen, usable, strict=True)]), SIP_STAY),
    )  # fmt: skip
    for index, one in enumerate(seen):
        fleet.found += near.power_cuts(one) + near.cuts(one, hard[index])
    return fleet


def _together(seen: list[Seen], usable: Flags, evidence: Small) -> None:
    """Let rounds count for more in which most witnesses of one edge, behind several ISPs, saw the same: short dips."""
    groups: dict[tuple[str | None, str | None], list[int]] = {}
    for index, one in enumerate(seen):
        groups.setdefault((one.facts.provider, one.facts.edge), []).append(index)
    for members in groups.values():
        rows = np.array(members)
        bad = (evidence[rows] >= 2.0) & usable[rows]
        isps = sorted({str(seen[i].facts.isp) for i in members})
        if len(isps) < 2:
            continue
        of_isp = [
            bad[[row for row, i in enumerate(members) if str(seen[i].facts.isp) == isp]].any(axis=0) for isp in isps
        ]
        enough = (
            (np.sum(of_isp, axis=0) >= 2) & (bad.sum(axis=0) >= 0.5 * usable[rows].sum(axis=0)) & (bad.sum(axis=0) >= 3)
        )
        evidence[rows] = np.where(bad & enough, DIPPED_TOGETHER, evidence[rows])


def _sip(seen: Seen, usable: Flags) -> Small:
    """Return evidence that signalling failed; an answered error says more than a silence."""
    evidence = _share(seen, usable, "sip")
    told = usable & (seen["sip_error"] == 1) & (seen["sip"] < 0.9)
    return np.where(told, np.maximum(evidence, 2.5), evidence)


def _share(seen: Seen, usable: Flags, name: str) -> Small:
    """Return evidence from a share of requests that were served: a call is kept from being set up below 0.7."""
    evidence = np.clip((0.7 - seen[name]) * 5.0, -1.5, 3.5)
    return np.where(usable & ~np.isnan(evidence), evidence, 0.0).astype(np.float32)


def _media(seen: Seen, usable: Flags) -> Small:
    """Return evidence that the media to the provider was too bad for calls while the shared way was not."""
    level, shared = seen["i_media"], soft.near_impairment(seen)
    shared = np.where(np.isnan(shared), 0.0, shared)
    mild = np.minimum((level - soft.BAD_AT) / soft.SPREAD, (level - shared - 8.0) / 6.0)
    gone = seen["media_loss"] >= 0.9
    hopeless = (level > soft.HOPELESS) & (level - shared > 0.5 * soft.HOPELESS)
    evidence = np.clip(mild, -soft.STRONGEST, soft.STRONGEST)
    evidence = np.where(gone, 3.5, np.where(hopeless, soft.DIPPED, evidence))
    return np.where(usable & ~np.isnan(evidence), evidence, 0.0).astype(np.float32)


def episodes(states: Flags, step_s: float) -> NDArray[np.int64]:
    """Return [n, 2] of one site's episodes: stretches closer than NEAR_ENOUGH_S are one."""
    return runs(bridged(states, round(NEAR_ENOUGH_S / step_s)))
