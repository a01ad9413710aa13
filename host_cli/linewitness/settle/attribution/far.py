"""The way to the provider failed while the near side was whole: peering, transit, provider - or can't be told?

Method one, rules. An episode at one site is held against every other healthy witness of the same edge in the same
rounds. The provider is named only if all holds: witnesses behind at least two ISPs saw the same, beginning or ending
together; the site's own controls (reflector, second provider, anchors) were clean; no transit network or customer's
rule explains it; and where signalling alone fell silent, a test call or an error code says that it was signalling and
not our asking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from linewitness.settle.attribution.fleet import Fleet, episodes
from linewitness.settle.attribution.found import ACCESS, PROVIDER, ROUTER, TRANSIT, UNDETERMINED
from linewitness.settle.attribution.likelihood import Likelihood
from linewitness.settle.attribution.rounds import ANCHORS, Flags, Post, confirmed
from linewitness.settle.attribution.seen import Small
from linewitness.settle.attribution.tracks import bridged, runs

OUTSIDE = (TRANSIT, PROVIDER)
# target: (what shows its way, the most of it that is clean)
CONTROLS = {
    "anchor1": ("anchor1_dead", 0.1), "anchor2": ("anchor2_dead", 0.1), "anchor3": ("anchor3_dead", 0.1),
    "reflector": ("i_reflector", 12.0), "second": ("i_second", 12.0),
}  # fmt: skip
MANY_CLEAN = 8
BESIDE = 90  # rounds
LEAST_SHARE = 0.15
LEAST_USABLE = 0.4
BAD_SHARE, GOOD_SHARE = 0.5, 0.15
TOGETHER_ROUNDS = 3
ECHOES = 12  # a round, at the least
DEAD_MEDIA = 0.9
PARTED = 5  # rounds of one kind that are more than a lag of one probe behind another


@dataclass(slots=True)
class Episode:
    """A stretch [first, last) of one site's rounds in which the way to the provider failed.

    kind: sip (signalling only), media (media only), whole (both). began, ended: the rounds of the whole failure that it
    is a part of."""

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
    dirty: tuple[str, ...] = ()
    bad: list[int] = field(default_factory=list)
    good: list[int] = field(default_factory=list)
    certain_dirty: tuple[str, ...] = ()
    side: str = UNDETERMINED
    rule: str = ""
    candidates: tuple[str, ...] = OUTSIDE

    @property
    def rounds(self) -> int:
        return self.last - self.first


def mean(values: Small, where: Flags) -> float:
    chosen = values[where]
    known = chosen[~np.isnan(chosen)]
    return float(known.mean()) if len(known) else float("nan")


def far_episodes(fleet: Fleet) -> list[Episode]:
    """Return the episodes of all sites, in the order of site, track and time."""
    found = []
    for index, seen in enumerate(fleet.seen):
        for track, states in (("sip", fleet.sip[index]), ("media", fleet.media[index])):
            other = fleet.media[index] if track == "sip" else fleet.sip[index]
            # A state that is only held, because nothing could be judged, is claimed from nobody.
            for began, ended in episodes(states & fleet.usable[index], fleet.step_s):
                dead = seen["media_loss"] >= DEAD_MEDIA
                for first, last in _parts(other if track == "sip" else dead, began, ended, track):
                    inside = np.zeros(len(seen), bool)
                    inside[first:last] = states[first:last]
                    core = inside & fleet.usable[index]
                    if core.sum() < max(2, 0.3 * (last - first)):
                        core = inside & seen.measured
                    if not core.any():
                        continue
                    both = float(other[core].mean())
                    found.append(Episode(
                        index, track, int(first), int(last), int(began), int(ended), "whole" if both > 0.6 else track,
                        mean(seen["sip"], core), mean(seen["sip_error"], core), mean(seen["sip_refused"], core),
                        mean(seen["edge_tcp"], core), mean(seen["media_loss"], core),
                        _dirty(fleet, index, track, core),
                    ))  # fmt: skip
    return found


def _parts(marked: Flags, first: int, last: int, track: str) -> list[tuple[int, int]]:
    """Return the parts of an episode that differ in kind: a failure may follow upon another without a break.

    track sip, marked where media failed beside it: what remains is a silence to our asking alone, and is judged as that;
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


def _dirty(fleet: Fleet, index: int, track: str, core: Flags) -> tuple[str, ...]:
    """Return which controls of the site failed in the same rounds, as far as the way to the provider did."""
    seen = fleet.seen[index]
    dirty = []
    if track == "sip" and _second_fails(fleet, index, core):
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
    return tuple(dirty)


def _second_fails(fleet: Fleet, index: int, core: Flags) -> bool:
    """Return whether the second provider's signalling failed too, at least half as much as the provider's."""
    failing, second = 1 - mean(fleet.seen[index]["sip"], core), 1 - mean(fleet.seen[index]["second_sip"], core)
    return second > max(0.5 * failing, 0.12)


def _above(values: Small, core: Flags, usual: Flags) -> float:
    """Return how far the mean in the core lies above the usual one; -inf where not measured."""
    here, there = mean(values, core), mean(values, usual)
    if here != here:
        return -np.inf
    return here - (there if there == there else 0.0)


class Pool:
    """Who shares what: for an episode, which other healthy witnesses of the same edge saw the same, and which not."""

    def __init__(self, fleet: Fleet, posts: Sequence[Post] = ()) -> None:
        self.fleet = fleet
        self.posts = posts
        self.isp = [s.facts.isp for s in fleet.seen]
        self.region = [s.facts.region for s in fleet.seen]
        self.provider = [s.facts.provider for s in fleet.seen]
        self.edge = [s.facts.edge for s in fleet.seen]
        self.calls = {name: np.stack([s[name] for s in fleet.seen]) for name in ("inside", "outside")}
        members: dict[tuple[str | None, str | None], list[int]] = {}
        for i in range(len(fleet.seen)):
            members.setdefault((self.provider[i], self.edge[i]), []).append(i)
        self.members = {key: np.array(value) for key, value in members.items()}

    def posted(self, e: Episode) -> bool:
        """Return whether the provider's own word speaks of this time: it confirms what was found without it."""
        seen = self.fleet.seen[e.index]
        start_s, end_s = (seen.t0_s + at * seen.step_s for at in (e.first, e.last))
        return confirmed(self.posts, self.provider[e.index], start_s, end_s)

    def fill(self, e: Episode) -> None:
        """Fill an episode's bad and good peers."""
        key = (self.provider[e.index], self.edge[e.index])
        others = self.members[key]
        others = others[others != e.index]
        if not len(others) or key[0] is None:
            return
        window = slice(e.first, e.last)
        tracks = self.fleet.sip if e.track == "sip" else self.fleet.media
        failed = tracks[others, window]
        usable = self.fleet.usable[others, window]
        counted = usable.sum(axis=1)
        share = (failed & usable).sum(axis=1) / np.maximum(counted, 1)
        enough = counted >= LEAST_USABLE * e.rounds
        for other, ok, part in zip(others, enough, share, strict=True):
            if ok and part >= BAD_SHARE and self._together(e, int(other), tracks):
                e.bad.append(int(other))
            elif ok and part <= GOOD_SHARE:
                e.good.append(int(other))

    def _together(self, e: Episode, other: int, tracks: Flags) -> bool:
        """Return whether another site's failure began or ended with this one."""
        slack = TOGETHER_ROUNDS if e.kind != "media" or e.media_loss > 0.9 else max(10, e.rounds // 6)
        states = tracks[other]
        low, high = max(e.began - slack, 0), min(e.began + slack, len(states))
        began = not states[max(low - 1, 0)] and bool(states[low:high].any())
        low, high = max(e.ended - slack, 0), min(e.ended + slack, len(states))
        ended = bool(states[low:high].any()) and not states[min(high, len(states) - 1)]
        return began or ended


def judge(fleet: Fleet, found: list[Episode], posts: Sequence[Post] = ()) -> None:
    """Give every episode its side by the rules."""
    if not found:
        return
    pool = Pool(fleet, posts)
    for e in found:
        pool.fill(e)
    for e in found:
        _judge(fleet, pool, e)
    _one_cause(pool, found)
    _confirm(fleet, found)


def _judge(fleet: Fleet, pool: Pool, e: Episode) -> None:
    isp, region = pool.isp[e.index], pool.region[e.index]
    bad_isps = {pool.isp[i] for i in e.bad} | {isp}
    good_isps = {pool.isp[i] for i in e.good}
    dirty = [d for d in e.dirty if not _own_outage(fleet, e, d)]
    if e.kind == "sip" and "second_sip" in dirty:
        _sip_filter(fleet, pool, e)
        return
    e.certain_dirty = tuple(d for d in dirty if d != "second_sip") if e.kind != "sip" else ()
    if e.certain_dirty:
        e.side, e.rule = TRANSIT, "transit_shared"
        if not e.bad and not e.good:
            e.side = UNDETERMINED
        return
    if len(bad_isps) >= 2 and e.bad:
        regional = _one_region(pool, e)
        peers = [i for i in e.good if not regional or pool.region[i] == region]
        if len(e.bad) + 1 < LEAST_SHARE * (len(e.bad) + 1 + len(peers)):
            e.rule = "few_of_many"
        elif e.kind != "sip" and not _transits_cleared(fleet, pool, e):
            e.rule = "transit_not_cleared"
            if _one_region(pool, e) or _one_transit(fleet, pool, e):
                e.side = TRANSIT
        else:
            _provider(fleet, pool, e)
        return
    if e.kind == "sip" and e.error > 0.5:
        e.side, e.rule = PROVIDER, "code"
        return
    if e.kind == "sip":
        e.rule, e.candidates = "sip_behind_one_isp", ("customer", ACCESS, PROVIDER)
        return
    if good_isps - {isp}:
        same = [i for i in e.good if pool.isp[i] == isp]
        here = [i for i in e.good if pool.region[i] == region]
        if not same:
            e.side, e.rule = TRANSIT, "peering" if e.bad else "peering_alone"
        elif e.bad and not here and e.kind != "sip":
            e.side, e.rule = TRANSIT, "region_of_a_transit"
        else:
            e.rule, e.candidates = "this_site_only", ("customer", *OUTSIDE)
        return
    e.rule = "no_other_isp"


def _transits_cleared(fleet: Fleet, pool: Pool, e: Episode) -> bool:
    """Return whether the ways of those that failed are seen whole by other targets on them.

    Where the trace is known, a clean target beyond the same transit network clears it; where it is not, many clean
    targets behind several ISPs do.
    """
    ways: set[str] = set()
    cleared: set[str] = set()
    clean: set[tuple[str | None, str]] = set()
    window = slice(e.first, e.last)
    for i in [e.index, *e.bad]:
        path = fleet.seen[i].facts.path or {}
        ways.add(path.get("edge", "unknown"))
        core = fleet.usable[i, window]
        for target, (name, most) in CONTROLS.items():
            value = mean(fleet.seen[i][name][window], core)
            if value == value and value < most:
                clean.add((pool.isp[i], target))
                cleared.add(path.get(target, "unknown"))
    if len(ways) > 1 or ways & {"peer"}:
        return True  # two networks don't fail in one moment; a peer has none between
    return bool(ways <= cleared - {"unknown"}) or len(clean) >= MANY_CLEAN


def _one_region(pool: Pool, e: Episode) -> bool:
    """Return whether all that failed lies in one region, and other regions' witnesses of the edge are whole."""
    regions = {pool.region[i] for i in [e.index, *e.bad]}
    return len(regions) == 1 and None not in regions and any(pool.region[i] not in regions for i in e.good)


def _provider(fleet: Fleet, pool: Pool, e: Episode) -> None:
    """Several ISPs' witnesses agree: the provider, unless only our asking was refused."""
    made, failed, both = _calls(pool, [e.index, *e.bad], slice(e.first, e.last))
    if e.kind != "sip":
        if e.kind == "whole" and made >= 3 and failed <= 0.2 * made:
            e.side, e.rule = "none", "edge_degraded"
            return
        e.side, e.rule = PROVIDER, f"pooled_{e.kind}"
        return
    if e.refused > 0.2:
        e.rule = "asking_refused"
        e.side = "none"
        return
    if (made >= 4 and failed <= 0.1 * made) or _calls_work(pool, e):
        e.side, e.rule = "none", "asking_limited"
        return
    if e.error > 0.5:
        e.side, e.rule = PROVIDER, "pooled_code"
        return
    expected = 0.5 * (1 - e.sip) * made
    enough = failed == made or failed >= max(2.0 if e.sip < 0.2 else 3.0, expected)
    if (both and enough) or (made >= 5 and failed >= 0.8 * made):
        if _throughout(pool, e):
            e.side, e.rule = PROVIDER, "pooled_sip_calls"
        else:
            e.rule, e.candidates = "calls_only_partly", ("none", PROVIDER)
    elif made >= 2 and failed <= 0.1 * made:
        e.side, e.rule = "none", "asking_limited"
    elif e.tcp < 0.3:
        e.side, e.rule = PROVIDER, "pooled_sip_tcp"
    elif pool.posted(e):
        e.side, e.rule = PROVIDER, "pooled_sip_posted"
    else:
        e.rule, e.candidates = "asking_or_service", ("none", PROVIDER)


def _calls_work(pool: Pool, e: Episode) -> bool:
    """Return whether this site's own calls, or if it makes none those of its region, came about although OPTIONS did
    not: then others' failing calls have another cause than this silence."""
    region = [i for i in e.bad if pool.region[i] == pool.region[e.index]]
    for sites in ([e.index], region):
        made, failed, _ = _calls(pool, sites, slice(e.first, e.last))
        if made >= 2:
            return failed < 0.5 * (1 - e.sip) * made
    return False


def _throughout(pool: Pool, e: Episode) -> bool:
    """Return whether calls failed in every third of the episode in which some were made: a shorter failure of calls
    within a longer silence to our asking is not that silence's cause."""
    marks = [e.first + (e.last - e.first) * third // 3 for third in range(4)]
    for first, last in pairwise(marks):
        made, failed, _ = _calls(pool, [e.index, *e.bad], slice(first, last))
        if made >= 2 and failed < 0.5 * (1 - e.sip) * made:
            return False
    return True


def _calls(pool: Pool, sites: list[int], window: slice) -> tuple[int, int, bool]:
    """Return (made, failed) test calls of those sites, of the kind (inside, or over the carrier) that failed less, and
    whether both kinds were made and failed.

    A callee that is down fails one kind only, and fails it for other providers' sites too.
    """
    best = (0, 0)
    kinds = 0
    providers = {pool.provider[i] for i in sites}
    for name in ("inside", "outside"):
        made, failed = _count(pool, sites, name, window)
        others = [i for i in range(len(pool.provider)) if pool.provider[i] not in providers]
        there, lost = _count(pool, others, name, window)
        if there >= 3 and lost > 0.5 * there:
            continue
        kinds += failed > 0
        if made and (not best[0] or failed * best[0] < best[1] * made):
            best = (made, failed)
    return (*best, kinds == 2)


def _count(pool: Pool, sites: list[int], name: str, window: slice) -> tuple[int, int]:
    values = pool.calls[name][sites, window]
    return int((~np.isnan(values)).sum()), int((values == 0).sum())


def _own_outage(fleet: Fleet, e: Episode, control: str) -> bool:
    """Return whether a control failed at most sites that have the same one, behind other ISPs: then it is its own
    outage and no evidence."""
    names = {"second": "i_second", "reflector": "i_reflector"}
    name = names.get(control, control if control == "second_sip" else f"{control}_dead")
    me = fleet.seen[e.index].facts
    window = slice(e.first, e.last)
    if e.kind == "whole" and control != "second_sip":
        values, most = fleet.seen[e.index][name], 18 if name.startswith("i_") else 0.5
        before, begin = values[max(e.first - 8, 0) : max(e.first - 1, 0)], values[e.first : e.first + 3]
        if len(before) and not (before > most).any() and np.mean(begin > most) > 0.6:
            return False  # it fell with the provider: one cause, not two
    bad = known = 0
    for i, one in enumerate(fleet.seen):
        if i == e.index or one.facts.isp == me.isp:
            continue
        if control.startswith("second") and one.facts.second != me.second:
            continue
        value = mean(one[name][window], fleet.usable[i, window])
        if value != value:
            continue
        known += 1
        bad += value < 0.6 if control == "second_sip" else value > (18 if name.startswith("i_") else 0.3)
    return known >= 2 and bad > 0.5 * known


def _one_transit(fleet: Fleet, pool: Pool, e: Episode) -> bool:
    """Return whether one transit network lies on the way of all that failed and of none that did not."""
    if e.kind == "sip":
        return False
    ways = {_way(fleet, pool, i) for i in [e.index, *e.bad]}
    if len(ways) != 1 or None in ways or "peer" in ways:
        return False
    (way,) = ways
    return way not in {_way(fleet, pool, i) for i in e.good}


def _way(fleet: Fleet, pool: Pool, index: int) -> str | None:
    path = fleet.seen[index].facts.path
    return None if path is None else path.get("edge")


def _sip_filter(fleet: Fleet, pool: Pool, e: Episode) -> None:
    """Signalling to two providers fell silent together: something on the near side takes SIP, or new flows, away."""
    isp, region = pool.isp[e.index], pool.region[e.index]
    window = slice(e.first, e.last)
    counts = {key: [0, 0] for key in ("beside", "isp", "elsewhere")}
    for i in range(len(fleet.seen)):
        if i == e.index:
            continue
        usable = fleet.usable[i, window]
        if usable.sum() < LEAST_USABLE * e.rounds:
            continue
        share = float(fleet.sip[i, window][usable].mean())
        core = np.zeros(len(fleet.seen[i]), bool)
        core[window] = fleet.sip[i, window] & fleet.usable[i, window]
        if share > BAD_SHARE and not _second_fails(fleet, i, core):
            continue
        key = "elsewhere" if pool.isp[i] != isp else "beside" if pool.region[i] == region else "isp"
        if share > BAD_SHARE:
            counts[key][0] += 1
        elif share < GOOD_SHARE:
            counts[key][1] += 1
    beside, of_isp, elsewhere = counts["beside"], counts["isp"], counts["elsewhere"]
    if elsewhere[0] >= 2:
        e.side, e.rule = ROUTER, "rules_of_the_fleet"
    elif elsewhere[0]:
        e.rule, e.candidates = "sip_filtered", ("customer", ACCESS)
    elif beside[0] + of_isp[0] >= 1 and (beside[0] >= beside[1]):
        e.side, e.rule = ACCESS, "isp_filters_sip"
    elif beside[0] + of_isp[0] == 0 and beside[1] + of_isp[1] >= 1:
        e.side, e.rule = ROUTER, "site_filters_sip"
    else:
        e.rule, e.candidates = "sip_filtered", ("customer", ACCESS)


def _one_cause(pool: Pool, found: list[Episode]) -> None:
    """Take back the provider where something else fails in the same moment that no single provider could do.

    Two providers' edges at once: a transit network (where controls failed too) or a rule of the customer's. Controls
    that failed at some of those who agree: a transit network that the others only don't show.
    """
    starts: dict[int, list[Episode]] = {}
    for e in found:
        if e.side != "none":
            for at in range(e.first - 2, e.first + 3):
                starts.setdefault(at, []).append(e)
    taken = []
    for e in found:
        if e.side != PROVIDER or e.rule == "code":
            continue
        together = [o for o in starts.get(e.first, ()) if o.kind == e.kind or e.kind != "sip" != o.kind]
        agreeing = [o for o in together if o.index in e.bad]
        others = [o for o in together if pool.provider[o.index] != pool.provider[e.index] and o.kind != "sip"]
        rivals = [o for o in together if pool.provider[o.index] != pool.provider[e.index] and o.side == PROVIDER]
        dirty = sum(bool(o.certain_dirty) for o in agreeing)
        if e.kind != "sip" and (len(others) >= 2 or dirty > 0.2 * max(len(agreeing), 1)):
            taken.append((e, TRANSIT if dirty > 0.5 * len(agreeing) else UNDETERMINED))
        elif rivals:
            taken.append((e, UNDETERMINED))
    for e, side in taken:
        e.side, e.rule, e.candidates = side, "not_one_provider", ("customer", *OUTSIDE)


def _confirm(fleet: Fleet, found: list[Episode]) -> None:
    """Leave undetermined what method two does not confirm."""
    accused = [e for e in found if e.side == PROVIDER and e.rule not in ("code", "pooled_code")]
    if not accused:
        return
    second = Likelihood(fleet)
    answers: dict[tuple[object, ...], bool] = {}
    for e in accused:
        facts = fleet.seen[e.index].facts
        key = (facts.provider, facts.edge, e.track, e.first // 4, e.last // 4)
        if key not in answers:
            answers[key] = second.confirms(e.index, e.track, e.first, e.last)
        if not answers[key]:
            e.side, e.rule, e.candidates = UNDETERMINED, f"unconfirmed_{e.rule}", OUTSIDE
