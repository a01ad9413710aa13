"""Method two, likelihoods: which single cause explains best what all sites saw of all their targets in one stretch?

It knows nothing of the rules. For a stretch in which an edge is accused, every (site, target) gets a score 0..1 for how
bad it was, and each hypothesis predicts which of them fail:

    edge        this edge, at a share of the sites that use it, everywhere or in one region
    peering     one ISP's ways to this provider
    transit     one transit network, in one region or in all: every target beyond it, whatever provider
    isp         one ISP: all targets of its sites
    rule        a rule of the customer's: several providers' edges at a share of all sites

Sites that keep this provider as their second see it fail too, on whichever of its edges.

What a hypothesis predicts and is bad speaks for it, what it predicts and is whole or does not predict and is bad speaks
against. The edge is confirmed when it beats every other by LEAD (natural logarithm).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linewitness.settle.attribution.fleet import Fleet
from linewitness.settle.attribution.rounds import ANCHORS, Flags

LEAD = 4.0  # fifty to one
TARGETS = ("edge", "edge2", "second", "reflector", *ANCHORS)
PRIOR = {"edge": 0.0, "peering": 0.0, "transit": 0.0, "isp": 0.0, "rule": -3.0}
SHARES = (0.3, 0.6, 0.95)
STEEP, MIDDLE, MOST = 10.0, 0.4, 5.0
LEAST_USABLE = 0.4
NEAR_ROUNDS, AT_ONCE = 3, 3.0  # one moment, and how much that says
MOST_ROUNDS = 60  # a long stretch is judged by so many of its rounds

Matrix = NDArray[np.floating[Any]]


class Likelihood:
    """The evidence of a fleet, stacked; `confirms` answers for one accused stretch."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        facts = [s.facts for s in fleet.seen]
        self.isp = np.array([str(f.isp) for f in facts])
        self.region = np.array([str(f.region) for f in facts])
        self.provider = np.array([str(f.provider) for f in facts])
        self.edge = np.array([str(f.edge) for f in facts])
        self.second = np.array([str(f.second) for f in facts])
        self.ways = self._ways()
        names: tuple[str, ...] = ("i_media", "i_second", "i_reflector", "edge2_dead", "edge2_sip", "second_sip")
        names += tuple(f"{a}_dead" for a in ANCHORS)
        self.stack = {name: np.stack([s[name] for s in fleet.seen]) for name in names}
        quiet = fleet.usable & ~fleet.media & ~fleet.sip
        self.usual = {name: _means(values, quiet) for name, values in self.stack.items()}

    def _ways(self) -> NDArray[np.str_]:
        """Return [sites, targets]: the transit network on the way; "" where not told, by this site or its ISP's others.

        One ISP reaches one network in one way, so what one of its sites was told holds for the others.
        """
        told: dict[tuple[str, str], str] = {}
        keys = []
        for seen in self.fleet.seen:
            f = seen.facts
            named = {"edge": f"{f.provider}/{f.edge}", "edge2": f"{f.provider}/not {f.edge}", "second": f"{f.second}"}
            keys.append([(str(f.isp), named.get(t, t)) for t in TARGETS])
            for target, key in zip(TARGETS, keys[-1], strict=True):
                if f.path and f.path.get(target):
                    told.setdefault(key, f.path[target])
        return np.array([[told.get(key, "") for key in row] for row in keys])

    def score(self, track: str, index: int, first: int, last: int) -> Matrix:
        """Return [sites, targets]: log likelihood ratio of bad over whole in [first, last), NaN where not measured."""
        window = np.unique(np.linspace(first, last - 1, min(last - first, MOST_ROUNDS)).astype(int))
        usable = self.fleet.usable[:, window]
        enough = usable.sum(axis=1) >= LEAST_USABLE * len(window)
        states = self.fleet.sip if track == "sip" else self.fleet.media
        out = np.full((len(usable), len(TARGETS)), np.nan)
        out[:, 0] = _means(states[:, window].astype(np.float32), usable)
        here = {name: _means(self.stack[name][:, window], usable) for name in self.stack}
        if track == "sip":
            out[:, 1], out[:, 2] = 1 - here["edge2_sip"], 1 - here["second_sip"]
        else:
            excess = here["i_media"] - self.usual["i_media"]
            bad = out[:, 0] > 0.5
            size = max(float(np.nanmedian(excess[bad])) if bad.any() else 10.0, 8.0)
            out[:, 1] = here["edge2_dead"]
            for column, name in ((2, "i_second"), (3, "i_reflector")):
                out[:, column] = np.clip((here[name] - self.usual[name]) / (0.6 * size), 0, 1)
            for column, name in enumerate(ANCHORS, start=4):
                out[:, column] = np.clip((here[f"{name}_dead"] - self.usual[f"{name}_dead"]) / 0.8, 0, 1)
        llr = np.clip(STEEP * (out - MIDDLE), -MOST, MOST)
        self._timing(llr, states, index, first, last)
        llr[~enough] = np.nan
        return llr

    def _timing(self, llr: Matrix, states: Flags, index: int, first: int, last: int) -> None:
        """Edges that failed with this one or came back with it say more; other providers' that did neither, nothing."""
        slack = max(NEAR_ROUNDS, (last - first) // 8)
        bad = np.flatnonzero(llr[:, 0] > 0)
        for other in bad:
            row = states[other]
            together = False
            for at in (first, last):
                low, high = max(at - slack, 0), min(at + slack, len(row) - 1)
                together = together or bool(row[low : high + 1].any() and not row[low : high + 1].all())
            if together:
                llr[other, 0] += AT_ONCE
            elif self.provider[other] != self.provider[index]:
                llr[other, 0] = np.nan

    def confirms(self, index: int, track: str, first: int, last: int, regional: bool) -> bool:
        """Return whether the accused site's edge explains the stretch better than everything else by LEAD.

        regional: that the edge failed for one region alone is an explanation too. For media alone it is not, since a
        transit network that no trace names looks the same.
        """
        llr = self._without_own_outages(self.score(track, index, first, last), index)
        mine, best = -np.inf, -np.inf
        for name, predicted, shares in self._hypotheses(index, regional):
            value = PRIOR[name] + max(_fit(llr, predicted, share) for share in shares)
            if name == "edge":
                mine = max(mine, value)
            else:
                best = max(best, value)
        return mine - best >= LEAD

    def _without_own_outages(self, llr: Matrix, index: int) -> Matrix:
        """Forget targets that are bad wherever they are measured, whatever the ISP: their own outage is no evidence."""
        for column in range(3, len(TARGETS)):
            known = ~np.isnan(llr[:, column])
            bad_isps = {self.isp[i] for i in np.flatnonzero(known & (llr[:, column] > 0))}
            if known.sum() >= 4 and len(bad_isps) >= 3 and (llr[known, column] > 0).mean() > 0.7:
                llr[:, column] = np.nan
        # The second provider's own outage shows at all sites that have the same second, and no others.
        for second in sorted(set(self.second)):
            mine = (self.second == second) & ~np.isnan(llr[:, 2])
            if mine.sum() >= 3 and len(set(self.isp[mine & (llr[:, 2] > 0)])) >= 2 and (llr[mine, 2] > 0).mean() > 0.7:
                llr[mine, 2] = np.nan
        return llr

    def _hypotheses(self, index: int, regional: bool) -> Iterator[tuple[str, Flags, tuple[float, ...]]]:
        shape = (len(self.isp), len(TARGETS))

        def only(sites: Flags, targets: tuple[int, ...]) -> Flags:
            predicted = np.zeros(shape, bool)
            predicted[np.ix_(np.flatnonzero(sites), np.array(targets))] = True
            return predicted

        own = (self.provider == self.provider[index]) & (self.edge == self.edge[index])
        other_edge = (self.provider == self.provider[index]) & ~own
        # Sites of other providers that keep this one as their second see it too; which edge of it is not told.
        seconds = only(self.second == self.provider[index], (2,))
        here = (self.region == self.region[index])[:, None]
        for predicted in (
            only(own, (0,)) | only(other_edge, (1,)), only(own, (0,)), only(own | other_edge, (0, 1)),
        ):  # fmt: skip
            for whole in (predicted, predicted | seconds):
                yield "edge", whole, SHARES
                if regional:
                    yield "edge", whole & here, SHARES
        for isp in sorted(set(self.isp)):
            at = self.isp == isp
            for predicted in (only(at & own, (0,)), only(at & (own | other_edge), (0, 1))):
                yield "peering", predicted, (0.95,)
                yield "peering", predicted | (seconds & at[:, None]), (0.95,)
            yield "isp", only(at, tuple(range(len(TARGETS)))), (0.6, 0.95)
            yield "isp", only(at, (0, 1, 2)), (0.6, 0.95)
        everyone = np.ones(len(self.isp), bool)
        if len(set(self.provider)) > 1 or not self.fleet.blocks_told:  # else no reading could tell such a rule apart
            yield "rule", only(everyone, (0, 1)), SHARES
        yield "rule", only(everyone, (0, 1, 2)), SHARES
        for way in sorted({w for w in self.ways[:, 0] if w not in ("", "peer")}):
            beyond = self.ways == way
            yield "transit", beyond, (0.95,)
            for region in sorted(set(self.region)):
                yield "transit", beyond & (self.region == region)[:, None], (0.95,)


def _fit(llr: Matrix, predicted: Flags, share: float) -> float:
    """Return a hypothesis's log likelihood against `nothing failed`: predicted cells fail with this share."""
    inside = llr[predicted]
    inside = inside[~np.isnan(inside)]
    return float(np.log(share * np.exp(inside) + 1 - share).sum())


def _means(values: Matrix, where: Flags) -> Matrix:
    """Return the mean of each row over the rounds given, NaN where none was measured."""
    known = where & ~np.isnan(values)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)
