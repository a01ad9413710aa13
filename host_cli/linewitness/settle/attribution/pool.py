"""The witnesses of one edge side by side: who saw an episode too, who did not, and what their test calls tell of it."""

from __future__ import annotations

from itertools import pairwise
from math import comb

import numpy as np
from numpy.typing import NDArray

from linewitness.settle.attribution.episode import DEAD_MEDIA, Episode, mean
from linewitness.settle.attribution.fleet import Fleet
from linewitness.settle.attribution.quality import impairment_of_mos
from linewitness.settle.attribution.rounds import Flags
from linewitness.settle.attribution.seen import Seen

LEAST_USABLE = 0.4
BAD_SHARE, GOOD_SHARE = 0.5, 0.15
TOGETHER_ROUNDS = 3
TOO_FEW = 0.02
FITTING, CALLS_NEAR = 3, 25  # calls, rounds
MEDIA_SHARE = 0.35  # of what the media probe lost
DIP_TAKES = 40.0  # impairment of a call that falls into a dip

Counts = NDArray[np.int64]


class Pool:
    """Who shares what: for an episode, which other healthy witnesses of the same edge saw the same, and which not.

    A failure that many sites share is many episodes in the same few windows of rounds: what a window shows is kept.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.both = fleet.sip & fleet.media
        self.isp = [s.facts.isp for s in fleet.seen]
        self.region = [s.facts.region for s in fleet.seen]
        self.provider = [s.facts.provider for s in fleet.seen]
        self.edge = [s.facts.edge for s in fleet.seen]
        self._calls = {name: np.stack([s[name] for s in fleet.seen]) for name in ("inside", "outside")}
        self._counts: dict[tuple[str, int, int], tuple[Counts, Counts]] = {}
        self._others: dict[frozenset[str | None], Flags] = {}
        self._means: dict[tuple[int, str, int, int], float] = {}
        members: dict[tuple[str | None, str | None], list[int]] = {}
        for i in range(len(fleet.seen)):
            members.setdefault((self.provider[i], self.edge[i]), []).append(i)
        self.members = {key: np.array(value) for key, value in members.items()}

    def fill(self, e: Episode) -> None:
        """Fill an episode's bad and good peers: whole is what failed by both tracks at a peer too."""
        key = (self.provider[e.index], self.edge[e.index])
        others = self.members[key]
        others = others[others != e.index]
        if not len(others) or key[0] is None:
            return
        window = slice(e.first, e.last)
        tracks, rest = self.fleet.sip, self.fleet.media
        if e.track != "sip":
            tracks, rest = rest, tracks
        if e.kind == "whole" and not e.dipped:
            tracks = self.both
        usable = self.fleet.usable[others, window]
        counted = usable.sum(axis=1)
        share, more = (
            (states[others, window] & usable).sum(axis=1) / np.maximum(counted, 1) for states in (tracks, rest)
        )
        enough = counted >= LEAST_USABLE * e.rounds
        for other, ok, part, beside in zip(others, enough, share, more, strict=True):
            if ok and part >= BAD_SHARE and self._together(e, int(other), tracks):
                # Where more failed than here, it is something else that did.
                if e.kind == "whole" or beside < BAD_SHARE:
                    e.bad.append(int(other))
            elif ok and part <= GOOD_SHARE:
                e.good.append(int(other))

    def mean(self, site: int, name: str, first: int, last: int) -> float:
        """Return what a site's usable rounds in [first, last) showed in the mean; NaN if nothing."""
        key = (site, name, first, last)
        if key not in self._means:
            window = slice(first, last)
            self._means[key] = mean(self.fleet.seen[site][name][window], self.fleet.usable[site, window])
        return self._means[key]

    def failing(self, first: int, last: int) -> tuple[Counts, Counts]:
        """Return each site's usable rounds in [first, last), and in how many of them signalling failed."""
        key = ("sip", first, last)
        if key not in self._counts:
            usable = self.fleet.usable[:, first:last]
            self._counts[key] = usable.sum(axis=1), (usable & self.fleet.sip[:, first:last]).sum(axis=1)
        return self._counts[key]

    def called(self, name: str, first: int, last: int) -> tuple[Counts, Counts]:
        """Return each site's (made, failed) test calls of a kind in [first, last)."""
        key = (name, first, last)
        if key not in self._counts:
            values = self._calls[name][:, first:last]
            self._counts[key] = (~np.isnan(values)).sum(axis=1), (values == 0).sum(axis=1)
        return self._counts[key]

    def others(self, providers: frozenset[str | None]) -> Flags:
        """Return which sites are of none of those providers."""
        if providers not in self._others:
            self._others[providers] = np.array([provider not in providers for provider in self.provider])
        return self._others[providers]

    def _together(self, e: Episode, other: int, tracks: Flags) -> bool:
        """Return whether another site's failure began or ended with this one."""
        slack = TOGETHER_ROUNDS if e.kind != "media" or e.media_loss > 0.9 else max(10, e.rounds // 6)
        states = tracks[other]
        low, high = max(e.began - slack, 0), min(e.began + slack, len(states))
        began = not states[max(low - 1, 0)] and bool(states[low:high].any())
        low, high = max(e.ended - slack, 0), min(e.ended + slack, len(states))
        ended = bool(states[low:high].any()) and not states[min(high, len(states) - 1)]
        return began or ended


def calls_work(pool: Pool, e: Episode) -> bool:
    """Return whether this site's own calls, or if it makes none those of its region, came about although OPTIONS did
    not: then others' failing calls have another cause than this silence."""
    region = [i for i in e.bad if pool.region[i] == pool.region[e.index]]
    for sites in ([e.index], region):
        made, failed, _ = made_calls(pool, sites, slice(*e.inner))
        if made >= 2:
            return at_most(failed, made, 0.9 * (1 - e.sip)) < TOO_FEW
    return False


def at_most(failed: int, made: int, rate: float) -> float:
    """Return the chance of so few failures, or fewer, were this the rate of failing (binomial)."""
    return sum(comb(made, n) * rate**n * (1 - rate) ** (made - n) for n in range(failed + 1))


def sharing(pool: Pool, e: Episode) -> list[int]:
    """Return the episode's sites without those whose own calls came about, where those whose calls failed are as many
    and behind two ISPs: the silence of the former has another cause. Else all of the episode's sites."""
    sites, failing = [], []
    for i in [e.index, *e.bad]:
        made, failed, _ = made_calls(pool, [i], slice(*e.inner))
        if made < 2 or failed > 0.2 * made:
            sites.append(i)
            failing += [i] if failed else []
    left_out = 1 + len(e.bad) - len(sites)
    if len(failing) >= max(2, left_out) and len({pool.isp[i] for i in failing}) >= 2:
        return sites
    return [e.index, *e.bad]


def callers_agree(pool: Pool, e: Episode, sites: list[int]) -> bool:
    """Return whether calls failed at sites behind two ISPs: one site's may have failed for a reason of its own."""
    return len({pool.isp[i] for i in sites if made_calls(pool, [i], slice(*e.inner))[1]}) >= 2


def caller_fits(pool: Pool, e: Episode, sites: list[int]) -> bool:
    """Return whether one site's calls failed with the silence and with it alone: those before it and after it came
    about, all made within it failed. Two causes do not begin and end together."""
    begin, end = e.inner
    for i in sites:
        made, failed, both = made_calls(pool, [i], slice(begin, end))
        if made < (2 if both else FITTING) or failed < made:
            continue
        before, after = (made_calls(pool, [i], window)[:2] for window in _near(e))
        if before[0] >= 2 and after[0] >= 2 and not before[1] and not after[1]:
            return True
    return False


def _near(e: Episode) -> tuple[slice, slice]:
    """Return the rounds shortly before and shortly after the whole failure."""
    return slice(max(e.began - CALLS_NEAR, 0), e.began), slice(e.ended, e.ended + CALLS_NEAR)


def throughout(pool: Pool, e: Episode, sites: list[int]) -> bool:
    """Return whether those sites' calls failed in every third of the episode in which some were made: where they
    failed for a part of a longer silence to our asking only, they are not its cause."""
    begin, end = e.inner
    marks = [begin + (end - begin) * third // 3 for third in range(4)]
    for first, last in pairwise(marks):
        made, failed, _ = made_calls(pool, sites, slice(first, last))
        if made >= 2 and failed < 0.5 * (1 - e.sip) * made:
            return False
    return True


def made_calls(pool: Pool, sites: list[int], window: slice) -> tuple[int, int, bool]:
    """Return (made, failed) test calls of those sites, of the kind (inside, or over the carrier) that failed less, and
    whether both kinds were made and failed.

    A callee that is down fails one kind only, and fails it for other providers' sites too.
    """
    best = (0, 0)
    kinds = 0
    others = pool.others(frozenset(pool.provider[i] for i in sites))
    for name in ("inside", "outside"):
        counts = pool.called(name, window.start, window.stop)
        made, failed = (int(count[sites].sum()) for count in counts)
        there, lost = (int(count[others].sum()) for count in counts)
        if there >= 3 and lost > 0.5 * there:
            continue
        kinds += failed > 0
        if made and (not best[0] or failed * best[0] < best[1] * made):
            best = (made, failed)
    return (*best, kinds == 2)


def media_calls(pool: Pool, e: Episode) -> tuple[int, int, bool]:
    """Return (made, poor, whether that convinces) of the test calls that tell of media, where it failed.

    Poor are calls over the carrier that lost a fair part of the quality that the media probe lost, and where it was
    dead, rounds in which both calls failed. A call over the carrier that failed beside one inside that did not may have
    failed for a reason of its own. They convince where half were poor, behind two ISPs, or at one site all that were
    made meanwhile and none of those before and after.
    """
    made = poor = 0
    isps = set()
    fits = False
    begin, end = e.inner
    for i in [e.index, *e.bad]:
        usual = pool.fleet.seen[i].usual("i_media")
        window = slice(begin, end)
        lost = max(mean(pool.fleet.seen[i]["i_media"][window], pool.fleet.seen[i].measured[window]) - usual, 8.0)
        here = _poor_calls(pool, e, i, lost, window)
        made, poor = made + here[0], poor + here[1]
        isps |= {pool.isp[i]} if here[1] else set()
        if here[0] >= FITTING and here[1] == here[0]:
            fits = fits or all(n >= 2 and not bad for n, bad in (_poor_calls(pool, e, i, lost, w) for w in _near(e)))
    return made, poor, poor >= 0.5 * made and (len(isps) >= 2 or fits)


def _poor_calls(pool: Pool, e: Episode, index: int, probe_lost: float, window: slice) -> tuple[int, int]:
    """Return (made, poor) of one site's calls."""
    seen = pool.fleet.seen[index]
    lost = impairment_of_mos(seen["outside_mos"][window]) - impairment_of_mos(np.array(seen.usual("outside_mos")))
    silent = (seen["inside"][window] == 0) & (seen["outside"][window] == 0) & (e.media_loss >= DEAD_MEDIA)
    return int((~np.isnan(lost)).sum() + silent.sum()), int((lost > MEDIA_SHARE * probe_lost).sum() + silent.sum())


def edge_suffers(pool: Pool, e: Episode) -> bool:
    """Return whether echoes to the provider's edge, at the sites whose media failed, lost packets or time like it."""
    window = slice(*e.inner)
    shares = []
    for i in [e.index, *e.bad]:
        seen, measured = pool.fleet.seen[i], pool.fleet.seen[i].measured[window]

        def above(name: str, seen: Seen = seen, measured: Flags = measured) -> float:
            return mean(seen[name][window], measured) - seen.usual(name)

        loss, delay = above("media_loss_both"), above("media_delay")
        echo, late = above("edge_echo"), above("edge_delay")
        shares += [echo / loss] if loss > 0.01 and echo == echo else []
        shares += [late / delay] if delay > 8.0 and late == late else []
    return len(shares) >= 2 and float(np.median(shares)) > MEDIA_SHARE


def dips_spared(pool: Pool, e: Episode) -> bool:
    """Return whether far fewer test calls failed, or were poor, than fell into the dips: calls went another way."""
    made = poor = 0
    for i in [e.index, *e.bad]:
        here = _poor_calls(pool, e, i, DIP_TAKES, slice(*e.inner))
        lost = pool.fleet.seen[i]["outside"][slice(*e.inner)] == 0
        made, poor = made + here[0] + int(lost.sum()), poor + here[1] + int(lost.sum())
    return at_most(poor, made, 0.7 * e.dipped) < TOO_FEW
