"""Episodes in which one site's way to the provider failed while its near side was whole: what kind, beside what."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from linewitness.settle.attribution.fleet import Fleet
from linewitness.settle.attribution.found import PROVIDER, TRANSIT, UNDETERMINED
from linewitness.settle.attribution.rounds import ANCHORS, Flags
from linewitness.settle.attribution.seen import Seen, Small
from linewitness.settle.attribution.tracks import bridged, episodes, runs

OUTSIDE = (TRANSIT, PROVIDER)
CONTROL_COLUMNS = {"second": "i_second", "reflector": "i_reflector"} | {name: f"{name}_dead" for name in ANCHORS}
BESIDE = 90  # rounds
ECHOES = 12  # a round, at the least
DEAD_MEDIA = 0.9
DIP_LOSS, LEAST_DIPS, MOST_DIPPED = 0.2, 3, 0.8
PARTED = 5  # rounds of one kind that are more than a lag of one probe behind another


@dataclass(slots=True)
class Episode:
    """A stretch [first, last) of one site's rounds in which the way to the provider failed.

    kind: sip (signalling only), media (media only), whole (both). dipped: where both failed now and then, in what share
    of its rounds, else 0. began, ended: the rounds of the whole failure that it is a part of. dirty, known: the site's
    controls that failed with it, and those that were measured."""

    index: int
    track: str
    first: int
    last: int
    began: int
    ended: int
    kind: str
    sip: float
    error: float
    refused: float
    tcp: float
    media_loss: float
    dipped: float = 0.0
    dirty: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    bad: list[int] = field(default_factory=list)
    good: list[int] = field(default_factory=list)
    certain_dirty: tuple[str, ...] = ()
    side: str = UNDETERMINED
    rule: str = ""
    candidates: tuple[str, ...] = OUTSIDE

    @property
    def rounds(self) -> int:
        return self.last - self.first

    @property
    def inner(self) -> tuple[int, int]:
        """The rounds that the failure fills: a call in its first or last one may have been made beside it."""
        return (self.first + 1, self.last - 1) if self.rounds >= 5 else (self.first, self.last)


def mean(values: Small, where: Flags) -> float:
    chosen = values[where]
    known = chosen[~np.isnan(chosen)]
    # As known.mean(), without what that does besides: this is asked of every site for every other one's episode.
    return float(known.dtype.type(float(np.add.reduce(known)) / len(known))) if len(known) else float("nan")


def far_episodes(fleet: Fleet) -> list[Episode]:
    """Return the episodes of all sites, in the order of site, track and time."""
    found = []
    for index, seen in enumerate(fleet.seen):
        for track, states in (("sip", fleet.sip[index]), ("media", fleet.media[index])):
            other = fleet.media[index] if track == "sip" else fleet.sip[index]
            # A state that is only held, because nothing could be judged, is claimed from nobody.
            for began, ended in episodes(states & fleet.usable[index], fleet.step_s):
                dead = seen["media_loss"] >= DEAD_MEDIA
                parts = _parts(other if track == "sip" else dead, began, ended, track)
                if track == "sip":
                    parts = [piece for part in parts for piece in _by_answer(seen, *part)]
                for first, last in parts:
                    inside = np.zeros(len(seen), bool)
                    inside[first:last] = states[first:last]
                    core = inside & fleet.usable[index]
                    if core.sum() < max(2, 0.3 * (last - first)):
                        core = inside & seen.measured
                    if not core.any():
                        continue
                    both = float(other[core].mean())
                    dipped = _dipped(seen, core)
                    kind = "whole" if both > 0.6 or dipped else track
                    found.append(Episode(
                        index, track, int(first), int(last), int(began), int(ended), kind,
                        mean(seen["sip"], core), mean(seen["sip_error"], core), mean(seen["sip_refused"], core),
                        mean(seen["edge_tcp"], core), mean(seen["media_loss"], core), dipped,
                        *_dirty(fleet, index, track, core),
                    ))  # fmt: skip
    return found


def _dipped(seen: Seen, core: Flags) -> float:
    """Return the share of rounds that were bad where media failed now and then, and OPTIONS in the same rounds and in
    no others; else 0."""
    lost = core & (seen["media_loss"] > DIP_LOSS)
    share = float(lost.sum() / core.sum())
    if lost.sum() < LEAST_DIPS or share > MOST_DIPPED:
        return 0.0
    beside, within = mean(seen["sip"], core & ~lost), 1 - mean(seen["sip"], lost)
    return share if beside > 0.9 and within > 0.5 * mean(seen["media_loss"], lost) else 0.0


def _parts(marked: Flags, first: int, last: int, track: str) -> list[tuple[int, int]]:
    """Return the parts of an episode that differ in kind: a failure may follow upon another without a break.

    track sip, marked where media failed beside it: what remains is a silence to our asking alone, and judged as such;
    the media's own episode speaks for the other part. track media, marked where it was dead: dead and poor are judged
    apart.
    """
    whole = bridged(marked[first:last], PARTED)
    apart = [(first + int(a), first + int(b)) for a, b in runs(~whole) if b - a > PARTED]
    if not apart or apart == [(first, last)]:
        return [(first, last)]
    if track == "sip":
        return apart
    cuts = sorted({first, last, *(end for part in apart for end in part)})
    return [(a, b) for a, b in pairwise(cuts) if b > a]


def _by_answer(seen: Seen, first: int, last: int) -> list[tuple[int, int]]:
    """Return the parts of a failure of signalling that was mostly answered with errors: with them, and without."""
    error = seen["sip_error"][first:last]
    if not mean(error, seen.measured[first:last]) > 0.5:
        return [(first, last)]
    told = bridged(error == 1, PARTED)
    silent = [(a, b) for a, b in runs(~told) if b - a > PARTED]
    return sorted((first + int(a), first + int(b)) for a, b in [*runs(told), *silent])


def _dirty(fleet: Fleet, index: int, track: str, core: Flags) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (dirty, known): the controls of the site that failed in the same rounds, as far as the way to the provider
    did, and those that were measured then."""
    seen = fleet.seen[index]
    dirty = []
    known = [
        name for name, column in CONTROL_COLUMNS.items() if not np.isnan(seen[column][core]).all()
    ]  # fmt: skip
    if track == "sip" and second_fails(fleet, index, core):
        dirty.append("second_sip")
    inside = np.flatnonzero(core)
    near = slice(max(inside[0] - BESIDE, 0), inside[-1] + BESIDE)  # the hours about it know the time of day
    usual = (fleet.usable[index] & ~fleet.media[index])[near]
    if usual.sum() < 20:
        near = slice(0, len(core))
        usual = fleet.usable[index] & ~fleet.media[index]
    core = core[near]
    lost = max(_above(seen["i_media"][near], core, usual), 8.0)
    for name in ("second", "reflector"):
        if _above(seen[f"i_{name}"][near], core, usual) > max(0.3 * lost, 4.0):
            dirty.append(name)
    loss = _above(seen["media_loss_both"][near], core, usual)
    delay = _above(seen["media_delay"][near], core, usual)
    for name in ANCHORS:
        excess = _above(seen[f"{name}_echo"][near], core, usual)
        noise = 3.0 * np.sqrt(0.02 / (ECHOES * max(int(core.sum()), 1)))
        lossy = loss > 0.02 and excess > max(0.3 * loss, noise)
        slow = delay > 8.0 and _above(seen[f"{name}_delay"][near], core, usual) > 0.5 * delay
        if _above(seen[f"{name}_dead"][near], core, usual) > 0.3 or (track == "media" and (lossy or slow)):
            dirty.append(name)
    return tuple(dirty), tuple(known)


def second_fails(fleet: Fleet, index: int, core: Flags) -> bool:
    """Return whether the second provider's signalling failed too, at least half as much as the provider's."""
    failing, second = 1 - mean(fleet.seen[index]["sip"], core), 1 - mean(fleet.seen[index]["second_sip"], core)
    return second > max(0.5 * failing, 0.12)


def _above(values: Small, core: Flags, usual: Flags) -> float:
    """Return how far the mean in the core lies above the usual one; -inf where not measured."""
    here, there = mean(values, core), mean(values, usual)
    if here != here:
        return -np.inf
    return here - (there if there == there else 0.0)
