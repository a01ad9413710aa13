"""The whole attribution: sites' rounds and posts in, what was found out, in the order of site and time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from linewitness.settle.attribution import beside, calls, episode, far, names, near
from linewitness.settle.attribution.confidence import confidence
from linewitness.settle.attribution.fleet import Fleet, gather
from linewitness.settle.attribution.found import Found
from linewitness.settle.attribution.rounds import Post, Rounds, confirmed


def attribute(
    sites: Iterable[Rounds], posts: Sequence[Post] = (), *, pooling: bool = True, without: frozenset[str] = frozenset()
) -> list[Found]:
    """Return whose side every disturbance was. Deterministic; sites are read one at a time, in any order.

    A provider's post accuses nobody and clears nobody: it makes a verdict on the provider or its carrier surer.
    """
    fleets = [gather(sites, without)] if pooling else (gather([one], without) for one in sites)
    found: list[Found] = []
    provider_of: dict[str, str | None] = {}
    for fleet in fleets:
        beside.settle(fleet, fleet.found_soft)
        found += fleet.found + fleet.found_soft + names.lies(fleet)
        found += _far(fleet) + calls.found_by_calls(fleet)
        provider_of |= {seen.facts.site: seen.facts.provider for seen in fleet.seen}
    found = [f for f in found if f.end_s > f.start_s]
    for f in found:
        f.confidence = confidence(f, confirmed(posts, provider_of[f.site], f.start_s, f.end_s))
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
