"""All sites side by side: evidence by site, states by track, and the hard and soft faults of each site's near side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from linewitness.settle.attribution import soft
from linewitness.settle.attribution.alone import SIP_STAY, Alone, alone
from linewitness.settle.attribution.found import Found
from linewitness.settle.attribution.rounds import Flags, Rounds
from linewitness.settle.attribution.seen import Seen, Small
from linewitness.settle.attribution.tracks import add_dips, sticky

DIPPED_TOGETHER = 8.0
DIP, DIPPED, WHOLE = 1.4, 3.5, -0.5  # the least that says of a dip, and what it and a good round say where dips are


@dataclass(slots=True)
class Fleet:
    """Evidence and states of all sites. Matrices are [sites, rounds].

    usable: the near side was whole, so that what lies beyond could be judged; hard, soft: it was cut, or bad.
    blocks_told: whoever reads the verdicts is told that a block of one provider at the customer's side isn't excluded.
    sip, media, edge2: the way to the provider's edge failed by signalling, by media; the second edge by signalling.
    names: the provider's name led nowhere or astray. found: hard faults; found_soft: bad quality, some sides open yet.
    """

    seen: list[Seen]
    hard: Flags
    soft: Flags
    usable: Flags
    sip: Flags
    media: Flags
    edge2: Flags
    second: Flags
    names: Flags
    found: list[Found] = field(default_factory=list)
    found_soft: list[Found] = field(default_factory=list)
    blocks_told: bool = False

    @property
    def step_s(self) -> float:
        return self.seen[0].step_s if self.seen else 60.0


def gather(sites: Iterable[Rounds], without: frozenset[str] = frozenset()) -> Fleet:
    """Read all sites, one in memory at a time, and find what is wrong on each one's near side."""
    read = [alone(rounds.without(without) if without else rounds) for rounds in sites]
    if not read:
        none = np.zeros((0, 0), bool)
        return Fleet([], none, none, none, none, none, none, none, none)
    seen = [one.seen for one in read]
    usable = np.stack([one.usable for one in read])
    sip, media = _together(read, usable, "sip"), _together(read, usable, "media")
    return Fleet(
        seen, np.stack([one.hard for one in read]), np.stack([one.soft for one in read]), usable,
        _failing(sip, SIP_STAY), _failing(media, soft.SOFT_STAY),
        np.stack([one.edge2 for one in read]), np.stack([one.second for one in read]),
        np.stack([one.names for one in read]),
        [found for one in read for found in one.found], [found for one in read for found in one.found_soft],
    )  # fmt: skip


def _failing(evidence: Small, stay: float) -> Flags:
    """Return the rounds in which a track failed, throughout or now and then: where it dips, good rounds say little."""
    states = sticky(evidence, stay)
    speaks = np.where(evidence >= DIP, DIPPED, np.where(evidence < 0, WHOLE, 0.0))
    for row, dipping in zip(states, sticky(speaks.astype(np.float32), soft.DIPS_STAY), strict=True):
        add_dips(row, row, dipping)
    return states


def _together(read: list[Alone], usable: Flags, track: str) -> Small:
    """Return a track's evidence, where rounds count for more in which most witnesses of one edge, behind several ISPs,
    saw the same: short dips."""
    evidence = np.stack([one.evidence.pop(track) for one in read])
    seen = [one.seen for one in read]
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
    return evidence
