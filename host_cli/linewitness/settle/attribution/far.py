"""The way to the provider failed while the near side was whole: peering, transit, provider - or can't be told?

Method one, rules. An episode at one site is held against every other healthy witness of the same edge in the same
rounds. The provider is named only if all holds: witnesses behind at least two ISPs saw the same, beginning or ending
together; the site's own controls (reflector, second provider, anchors) were clean; no transit network or customer's
rule explains it; and where signalling alone fell silent, a test call or an error code says that it was signalling and
not our asking.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from linewitness.settle.attribution.episode import DEAD_MEDIA, OUTSIDE, PARTED, Episode, second_fails
from linewitness.settle.attribution.fleet import Fleet
from linewitness.settle.attribution.found import ACCESS, PROVIDER, ROUTER, TRANSIT, UNDETERMINED
from linewitness.settle.attribution.likelihood import Likelihood
from linewitness.settle.attribution.pool import (
    BAD_SHARE,
    GOOD_SHARE,
    LEAST_USABLE,
    Pool,
    caller_fits,
    callers_agree,
    calls_work,
    dips_spared,
    edge_suffers,
    made_calls,
    media_calls,
    sharing,
    throughout,
)
from linewitness.settle.attribution.rules import pushed

# target: (what shows its way, the most of it that is clean)
CONTROLS = {
    "anchor1": ("anchor1_dead", 0.1), "anchor2": ("anchor2_dead", 0.1), "anchor3": ("anchor3_dead", 0.1),
    "reflector": ("i_reflector", 12.0), "second": ("i_second", 12.0),
}  # fmt: skip
MANY_CLEAN = 8
LEAST_SHARE = 0.15
MOSTLY = 0.5
HALF, SILENT, SERVED = 0.5, 0.3, 0.8
LEAST_WITNESSES = 3  # where no call tells
ALL_EDGES = "all_edges"  # stands only where a block by the customer is excluded, or told beside it


def judge(fleet: Fleet, found: list[Episode]) -> None:
    """Give every episode its side by the rules."""
    if not found:
        return
    pool = Pool(fleet)
    for e in found:
        pool.fill(e)
    for e in found:
        _judge(fleet, pool, e)
    pushed(pool, found)
    _one_cause(pool, found)
    _confirm(fleet, found)
    for e in found:
        if e.side == PROVIDER and e.kind != "media" and e.error <= 0.5 and _all_edges(fleet, pool, e):
            e.rule = ALL_EDGES


def _judge(fleet: Fleet, pool: Pool, e: Episode) -> None:
    isp, region = pool.isp[e.index], pool.region[e.index]
    bad_isps = {pool.isp[i] for i in e.bad} | {isp}
    good_isps = {pool.isp[i] for i in e.good}
    dirty = [d for d in e.dirty if not _own_outage(fleet, pool, e, d)]
    if e.kind == "sip" and "second_sip" in dirty:
        _sip_filter(fleet, pool, e)
        return
    e.certain_dirty = tuple(d for d in dirty if d != "second_sip") if e.kind != "sip" else ()
    if _shared_way(e):
        e.side, e.rule = "none", "shared_way"
        return
    if e.certain_dirty:
        e.side, e.rule = TRANSIT, "transit_shared"
        if (not e.bad and not e.good) or len(e.known) == len(e.certain_dirty):
            e.side, e.candidates = UNDETERMINED, ("customer", ACCESS, *OUTSIDE)  # no target was seen to be clean
        return
    if len(bad_isps) >= 2 and e.bad:
        regional = _one_region(pool, e)
        peers = [i for i in e.good if not regional or pool.region[i] == region]
        if not _spread(pool, e, peers):
            e.rule = "few_of_many"
        elif e.kind != "sip" and _split_by_isp(pool, e, peers):
            e.rule = "some_isps_only"
        elif e.kind == "media" and (transit := _one_transit(fleet, pool, e))[0]:
            e.side, e.rule = TRANSIT if transit[1] else UNDETERMINED, "one_transit"
        elif e.kind != "sip" and not _transits_cleared(fleet, pool, e):
            e.rule = "transit_not_cleared"
            if _one_region(pool, e) or _one_transit(fleet, pool, e)[1]:
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
        elif e.bad and e.kind != "sip" and not any(pool.region[i] == region for i in same):
            e.side, e.rule = TRANSIT, "region_of_an_isp"  # its way from there to the provider, and no other's
        else:
            e.rule, e.candidates = "this_site_only", ("customer", *OUTSIDE)
        return
    e.rule = "no_other_isp"


def _shared_way(e: Episode) -> bool:
    """Return whether every stream of the site suffered: then it is the way that they share, judged elsewhere."""
    streams = {"second", "reflector"} & set(e.known)
    anchors = {name for name in e.known if name not in streams}
    everything = streams | anchors
    return (
        bool(streams)
        and streams <= set(e.certain_dirty)
        and (len(streams) == 2 or (len(anchors) >= 2 and everything <= set(e.certain_dirty)))
    )


def _spread(pool: Pool, e: Episode, good: list[int]) -> bool:
    """Return whether enough of the sites failed, and of those that the ISP with the most of them does not serve: where
    one ISP's did, and a few others by chance, it is that ISP's way."""
    bad = [e.index, *e.bad]
    per_isp = Counter(pool.isp[i] for i in bad)
    most = max(per_isp, key=lambda name: (per_isp[name], str(name)))
    rest = [sum(pool.isp[i] != most for i in sites) for sites in (bad, good)]
    least = HALF if _may_be_banned(pool, e) else LEAST_SHARE
    return len(bad) >= least * (len(bad) + len(good)) and rest[0] >= LEAST_SHARE * sum(rest)


def _may_be_banned(pool: Pool, e: Episode) -> bool:
    """Return whether the edge may have banned the addresses of the sites that failed: nothing of theirs is served, and
    by no other edge of the provider's either."""
    if e.error > 0.5 or (e.sip >= SILENT if e.kind == "sip" else e.media_loss < DEAD_MEDIA):
        return False
    served = [pool.mean(i, "edge2_sip", e.first, e.last) for i in [e.index, *e.bad]]
    known = [share for share in served if share == share]
    return len(known) < 2 or sum(share > SERVED for share in known) < HALF * len(known)


def _split_by_isp(pool: Pool, e: Episode, good: list[int]) -> bool:
    """Return whether all witnesses of some ISPs failed and none of the others': a network that those ISPs share, which
    no trace need name, fails so, while a provider's own failure does not ask who its customers' ISP is."""
    bad_isps, good_isps = ({pool.isp[i] for i in sites} for sites in ([e.index, *e.bad], good))
    return len(good) >= 2 and len(good_isps) >= 1 and not bad_isps & good_isps


def _all_edges(fleet: Fleet, pool: Pool, e: Episode) -> bool:
    """Return whether all edges of the provider were out of reach for the sites that failed, or for others with them.

    A rule of the customer's, pushed to its sites, looks so; no reading excludes it.
    """
    window = slice(e.first, e.last)
    silent = e.kind == "sip"  # only our asking: of the second edge, too, only what it answered to that
    name = "edge2_sip" if silent else "edge2_dead"
    edges = [pool.mean(i, name, e.first, e.last) for i in [e.index, *e.bad]]
    known = [1 - value if silent else value for value in edges if value == value]
    # Where media failed as well, what was only not answered at the other edge says nothing.
    states = fleet.sip if silent else pool.both
    failing = 0
    for i, other in enumerate(pool.provider):
        usable = fleet.usable[i, window]
        if other == pool.provider[e.index] and pool.edge[i] != pool.edge[e.index]:
            enough = usable.sum() >= LEAST_USABLE * e.rounds
            failing += enough and float(states[i, window][usable].mean()) >= BAD_SHARE
    return sum(dead > 0.5 for dead in known) >= max(2.0, 0.7 * len(known)) or failing >= 2


def _transits_cleared(fleet: Fleet, pool: Pool, e: Episode) -> bool:
    """Return whether the ways of those that failed are seen whole by other targets on them.

    Where the trace is known, a clean target beyond the same transit network clears it; where it is not, many clean
    targets behind several ISPs do.
    """
    ways: set[str] = set()
    cleared: set[str] = set()
    clean: set[tuple[str | None, str]] = set()
    for i in [e.index, *e.bad]:
        path = fleet.seen[i].facts.path or {}
        ways.add(path.get("edge", "unknown"))
        for target, (name, most) in CONTROLS.items():
            value = pool.mean(i, name, e.first, e.last)
            if value == value and value < most:
                clean.add((pool.isp[i], target))
                cleared.add(path.get(target, "unknown"))
    if len(ways - {"unknown"}) > 1 or ways & {"peer"}:
        return True  # two networks don't fail in one moment; a peer has none between
    return bool(ways <= cleared - {"unknown"}) or len(clean) >= MANY_CLEAN


def _one_region(pool: Pool, e: Episode) -> bool:
    """Return whether all that failed lies in one region, and other regions' witnesses of the edge are whole."""
    regions = {pool.region[i] for i in [e.index, *e.bad]}
    return len(regions) == 1 and None not in regions and any(pool.region[i] not in regions for i in e.good)


def _provider(fleet: Fleet, pool: Pool, e: Episode) -> None:
    """Several ISPs' witnesses agree: the provider, unless only our asking was refused."""
    made, failed, both = made_calls(pool, [e.index, *e.bad], slice(*e.inner))
    if e.kind != "sip":
        set_up = made >= 3 and failed <= 0.2 * made
        if e.kind == "whole" and set_up and e.media_loss >= DEAD_MEDIA:
            e.side, e.rule = "none", "edge_degraded"
        elif e.refused > MOSTLY:
            e.rule, e.candidates = "asking_refused", ("none", PROVIDER)  # who bans us bans our calls as well
        elif e.dipped and len(e.bad) + 1 >= LEAST_WITNESSES:
            e.side, e.rule = ("none", "edge_degraded") if dips_spared(pool, e) else (PROVIDER, "pooled_dips")
        elif _long_silent(fleet, e):
            _media_alone(pool, e, echoes=False)  # who does not answer one of our requests may not answer the other
        elif e.kind == "media" or set_up:
            _media_alone(pool, e)
        elif e.refused > 0.1 and e.sip > 0.2:
            e.rule, e.candidates = "asking_refused", ("none", PROVIDER)
        elif not failed and len(e.bad) + 1 < LEAST_WITNESSES and not fleet.blocks_told:
            e.rule, e.candidates = "two_sites_without_calls", (ACCESS, *OUTSIDE)
        else:
            e.side, e.rule = PROVIDER, "pooled_whole"
        return
    if e.refused > 0.2:
        e.rule = "asking_refused"
        e.side = "none"
        return
    if (made >= 4 and failed <= 0.1 * made) or calls_work(pool, e):
        e.side, e.rule = "none", "asking_limited"
        return
    if e.error > 0.5:
        e.side, e.rule = PROVIDER, "pooled_code"
        return
    sites = sharing(pool, e)
    made, failed, both = made_calls(pool, sites, slice(*e.inner))
    expected = 0.5 * (1 - e.sip) * made
    enough = failed == made or failed >= max(2.0 if e.sip < 0.2 else 3.0, expected)
    if (both and enough) or (made >= 5 and failed >= 0.8 * made):
        mine, lost, _ = made_calls(pool, [e.index], slice(*e.inner))
        own_fit = mine < 2 or lost >= 0.5 * (1 - e.sip) * mine
        agree = callers_agree(pool, e, sites) or caller_fits(pool, e, sites)
        if own_fit and agree and throughout(pool, e, sites):
            e.side, e.rule = PROVIDER, "pooled_sip_calls"
        else:
            e.rule, e.candidates = "calls_only_partly", ("none", PROVIDER)
    elif made >= 2 and failed <= 0.1 * made:
        e.side, e.rule = "none", "asking_limited"
    elif e.tcp < 0.3:
        e.side, e.rule = PROVIDER, "pooled_sip_tcp"
    else:
        e.rule, e.candidates = "asking_or_service", ("none", PROVIDER)


def _long_silent(fleet: Fleet, e: Episode) -> bool:
    """Return whether signalling was silent already before and still after: then it is no part of this failure."""
    states = fleet.sip[e.index]
    before, after = states[max(e.began - PARTED - 1, 0) : e.began], states[e.ended : e.ended + PARTED + 1]
    return len(before) > 0 < len(after) and bool(before.all() and after.all())


def _media_alone(pool: Pool, e: Episode, *, echoes: bool = True) -> None:
    """The media probe alone failed: its far end may be what is down. Test calls tell, or echoes to the same edge."""
    made, poor, convinces = media_calls(pool, e)
    if convinces:
        e.side, e.rule = PROVIDER, "pooled_media_calls"
    elif made >= 3 and poor <= 0.15 * made:
        e.side, e.rule = "none", "echo_service"
    elif echoes and edge_suffers(pool, e) and (len(e.bad) + 1 >= LEAST_WITNESSES or pool.fleet.blocks_told):
        e.side, e.rule = PROVIDER, "pooled_media_echo"
    else:
        e.rule, e.candidates = "media_probe_alone", ("none", PROVIDER)


def _own_outage(fleet: Fleet, pool: Pool, e: Episode, control: str) -> bool:
    """Return whether a control failed at most sites that have the same one, behind other ISPs: then it is its own
    outage and no evidence."""
    names = {"second": "i_second", "reflector": "i_reflector"}
    name = names.get(control, control if control == "second_sip" else f"{control}_dead")
    me = fleet.seen[e.index].facts
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
        value = pool.mean(i, name, e.first, e.last)
        if value != value:
            continue
        known += 1
        bad += value < 0.6 if control == "second_sip" else value > (18 if name.startswith("i_") else 0.3)
    return known >= 2 and bad > 0.5 * known


def _one_transit(fleet: Fleet, pool: Pool, e: Episode) -> tuple[bool, bool]:
    """Return (maybe, surely): whether one transit network lies on the known ways of all that failed and of none that
    did not; surely where at least two ways of either are known."""
    bad = [way for i in [e.index, *e.bad] if (way := _way(fleet, pool, i)) is not None]
    good = [way for i in e.good if (way := _way(fleet, pool, i)) is not None]
    maybe = len(set(bad)) == 1 and "peer" not in bad and bad[0] not in good
    return maybe, maybe and len(bad) >= 2 <= len(good)


def _way(fleet: Fleet, pool: Pool, index: int) -> str | None:
    path = fleet.seen[index].facts.path
    return None if path is None else path.get("edge")


def _second_fails_too(fleet: Fleet, e: Episode, index: int) -> bool:
    """Return whether at another site the second provider's signalling failed where, in the episode, the first's did."""
    core = np.zeros(len(fleet.seen[index]), bool)
    window = slice(e.first, e.last)
    core[window] = fleet.sip[index, window] & fleet.usable[index, window]
    return second_fails(fleet, index, core)


def _sip_filter(fleet: Fleet, pool: Pool, e: Episode) -> None:
    """Signalling to two providers fell silent together: something on the near side takes SIP, or new flows, away."""
    isp, region = pool.isp[e.index], pool.region[e.index]
    counts = {key: [0, 0] for key in ("beside", "isp", "elsewhere")}
    usable, failing = pool.failing(e.first, e.last)
    shares = failing / np.maximum(usable, 1)
    for i in np.flatnonzero(usable >= LEAST_USABLE * e.rounds).tolist():
        share = float(shares[i])
        if i == e.index or (share > BAD_SHARE and not _second_fails_too(fleet, e, i)):
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
        regional = e.kind != "media"
        key = (facts.provider, facts.edge, facts.region if regional else None, e.track, e.first // 4, e.last // 4)
        if key not in answers:
            answers[key] = second.confirms(e.index, e.track, e.first, e.last, regional)
        if not answers[key]:
            e.side, e.rule, e.candidates = UNDETERMINED, f"unconfirmed_{e.rule}", OUTSIDE
