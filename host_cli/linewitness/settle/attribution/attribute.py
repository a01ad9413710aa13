"""The whole attribution: sites' rounds and posts in, what was found out, in the order of site and time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from linewitness.settle.attribution import beside, calls, carriers, episode, far, handling, names, near
from linewitness.settle.attribution.confidence import confidence
from linewitness.settle.attribution.fleet import Fleet, gather
from linewitness.settle.attribution.found import PROVIDER, UNDETERMINED, Found
from linewitness.settle.attribution.rounds import Post, Rounds, confirmed


def attribute(
    sites: Iterable[Rounds],
    posts: Sequence[Post] = (),
    *,
    pooling: bool = True,
    without: frozenset[str] = frozenset(),
    blocks_told: bool = False,
) -> list[Found]:
    """Return whose side every disturbance was. Deterministic; sites are read one at a time, in any order.

    blocks_told: the caller says beside each verdict that a block of the only provider at the customer's side is not
    excluded; else such verdicts are left undetermined, as far as no other provider's sites exclude it.
    A provider's post accuses nobody by itself: it makes a verdict on the provider or its carrier surer, and where all
    of the provider's edges were out of reach, it is the word from outside that a block by the customer isn't the cause.
    """
    fleets = [gather(sites, without)] if pooling else (gather([one], without) for one in sites)
    found: list[Found] = []
    provider_of: dict[str, str | None] = {}
    for fleet in fleets:
        fleet.blocks_told = blocks_told
        found += fleet.found + beside.settled(fleet, fleet.found_soft) + names.lies(fleet)
        found += _far(fleet) + _calls(fleet)
        provider_of |= {seen.facts.site: seen.facts.provider for seen in fleet.seen}
    found = [f for f in found if f.end_s > f.start_s]
    for f in found:
        posted = confirmed(posts, provider_of[f.site], f.start_s, f.end_s)
        if f.rule == far.ALL_EDGES and not (posted or blocks_told):
            f.side, f.candidates = UNDETERMINED, ("customer", PROVIDER)
        f.confidence = confidence(f, posted)
    return sorted(found, key=lambda f: (f.site, f.start_s, f.end_s, f.side))


def _far(fleet: Fleet) -> list[Found]:
    found = episode.far_episodes(fleet)
    far.judge(fleet, found)
    result = []
    for e in found:
        if e.side == "none":
            continue
        seen = fleet.seen[e.index]
        start_s, end_s = (seen.t0_s + at * seen.step_s for at in (e.first, e.last))
        if e.kind == "whole" or e.media_loss > 0.9:
            start_s, end_s = near.ends(seen, e.first, e.last, seen["media_loss"])
        elif e.sip < 0.2 and e.track == "sip":
            start_s, end_s = near.ends(seen, e.first, e.last, 1 - seen["sip"])
        result.append(Found(seen.facts.site, start_s, end_s, e.first, e.last, e.side, e.rule, candidates=e.candidates))
    return result


def _calls(fleet: Fleet) -> list[Found]:
    """Return what the test calls of all sites tell of carriers, providers and single sites."""
    if not fleet.seen:
        return []
    rounds = len(fleet.seen[0])
    by_carrier, by_provider = [s.facts.carrier for s in fleet.seen], [s.facts.provider for s in fleet.seen]
    everything, inside, whole = calls.calls(fleet)
    outside = calls.but_common(everything, by_carrier, rounds)
    inside, whole = (calls.but_common(made, by_provider, rounds) for made in (inside, whole))
    return carriers.found_carriers(fleet, outside, everything, inside) + handling.found_handling(fleet, whole)
