"""Carriers: calls over one failed while those that do not cross it, and those over others, did not.

Calls of the sites of one carrier are laid on one time line, region by region and all of them; failures of all calls
are looked for before those of a part. The callee must be cleared (it may be each provider's own), and the provider, by
calls inside its network or its calls over other carriers.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from linewitness.settle.attribution.calls import (
    LEAST_FAILED,
    LEAST_SITES,
    PARTIAL,
    REACH,
    Calls,
    by_chance,
    caution,
    differ,
    ends,
    enough,
    likely,
    together,
    told,
    windows,
)
from linewitness.settle.attribution.fleet import Fleet
from linewitness.settle.attribution.found import CARRIER, UNDETERMINED, Found

ALONE_FAILED = 5
# Who is laid on one time line, and how much a failed and a good call say there.
PASSES: tuple[tuple[tuple[str, ...], tuple[float, float]], ...] = (
    (("carrier", "region"), (3.7, 3.0)), (("carrier",), (3.7, 3.0)),
    (("carrier", "region"), (3.7, 0.7)), (("carrier",), (3.7, 0.7)),
)  # fmt: skip
GROUP_STAY = 5.5
STRAYS = 1e-6
OPEN = (UNDETERMINED, "carrier_or_callee")
GOOD_CALLS = 3
INSIDE_FAILS = 0.1
SINGLE = 0.6


def found_carriers(fleet: Fleet, made: Calls, everything: Calls, inside: Calls) -> list[Found]:
    """Return the failures of carriers. made: calls over carriers, without those that failed for all of them at once;
    everything: with those; inside: calls inside the providers' networks."""
    found: list[Found] = []
    left: list[tuple[int, int, int, Found]] = []
    taken: list[list[tuple[int, int]]] = [[] for _ in fleet.seen]
    for names, (bad, good) in PASSES:
        groups = list(together(fleet, names).values())
        lines = [made.of(members) for members in groups]
        for members, line, stretches in zip(
            groups, lines, windows(lines, len(fleet.seen[0]), bad, good, GROUP_STAY), strict=True
        ):
            for first, last in stretches:
                here = line.within(first, last)
                if by_chance(here, line.share_beside(first, last)) >= STRAYS:
                    continue  # of all the stretches that a year has, some hold so many strays
                verdict = _verdict(fleet, members, here, (first, last), everything, inside)
                if verdict is None:
                    continue
                start_s, end_s = ends(fleet, line, here)
                beside = line.within(first - REACH, last + REACH)
                sharing = [index for index in members if shares(fleet, index, here, beside)]
                if len(sharing) < LEAST_SITES <= len(np.unique(here.site)) - 1:
                    continue  # one site's calls alone, beside others' of the same carrier: its own affair
                for index in sharing:
                    if any(a < last and first < b for a, b in taken[index]):
                        continue
                    span = _own_ends(fleet, line, index, here, start_s, end_s)
                    if verdict[0] == CARRIER:
                        taken[index].append((first, last))
                        found.append(told(fleet, index, *span, *verdict, ()))
                    else:
                        left.append((index, first, last, told(fleet, index, *span, *verdict, ("none", CARRIER))))
    return found + [f for index, first, last, f in left if not any(a < last and first < b for a, b in taken[index])]


def _verdict(
    fleet: Fleet, members: list[int], here: Calls, span: tuple[int, int], everything: Calls, inside: Calls
) -> tuple[str, str] | None:
    """Return (side, rule) of a stretch in which calls of a group failed; None where it was not the carrier."""
    carriers = [s.facts.carrier for s in fleet.seen]
    providers = [s.facts.provider for s in fleet.seen]
    carrier = carriers[members[0]]
    others = everything.of([i for i, c in enumerate(carriers) if c != carrier and c is not None])
    hit = [int(i) for i in np.unique(here.site[here.failed])]
    if int(here.failed.sum()) < (LEAST_FAILED if len(hit) >= LEAST_SITES else ALONE_FAILED):
        return None
    control = enough(others, *span)
    if len(control.failed) >= 3 and not differ(here, control):
        return None
    beside = inside.of(hit).within(*span)
    elsewhere = inside.of([i for i, c in enumerate(carriers) if c != carrier]).within(*span)
    if len(beside.failed) < 2 or (len(elsewhere.failed) >= 2 and elsewhere.failed.mean() > 0.5):
        # Nothing inside to go by, or its callee is down: the same providers' calls over other carriers tell.
        beside = enough(others.of([i for i, p in enumerate(providers) if p in {providers[h] for h in hit}]), *span)
    if len(beside.failed) < 2 or beside.failed.mean() > INSIDE_FAILS:
        return None  # the calls that do not cross the carrier fail too: it is not the carrier
    if _isps(fleet, here) >= 2 and _callee_cleared(fleet, members, here, span, everything):
        return CARRIER, "carrier"
    return OPEN


def _isps(fleet: Fleet, here: Calls) -> int:
    """Return behind how many ISPs calls failed in the way that most of them did: not set up, or of poor quality. What
    one ISP's sites share may be its line's, and another site that is poor in another way has its own trouble."""
    failed = [(int(i), int(at)) for i, at in zip(here.site[here.failed], here.round[here.failed], strict=True)]
    dead = [i for i, at in failed if fleet.seen[i]["outside"][at] == 0]
    poor = [i for i, at in failed if fleet.seen[i]["outside"][at] != 0]
    return len({fleet.seen[i].facts.isp for i in (dead if len(dead) >= len(poor) else poor)})


def _callee_cleared(fleet: Fleet, members: list[int], here: Calls, span: tuple[int, int], everything: Calls) -> bool:
    """Return whether the callee of the failed calls is seen to answer. Each provider's calls may have one of their own.

    It is where calls of the same providers' sites were good over another carrier, or over the same one from elsewhere;
    where sites of two providers failed and none over other carriers; or where, while all of some sites' calls failed,
    all of others' in the group came about.
    """
    carriers = [s.facts.carrier for s in fleet.seen]
    providers = [s.facts.provider for s in fleet.seen]
    carrier = carriers[members[0]]
    hit = [int(i) for i in np.unique(here.site[here.failed])]
    theirs = {providers[i] for i in hit}
    others = [i for i, c in enumerate(carriers) if c != carrier and c is not None]
    elsewhere = [i for i, c in enumerate(carriers) if c == carrier and i not in members and providers[i] in theirs]
    for control in ([i for i in others if providers[i] in theirs], elsewhere, others if len(theirs) > 1 else []):
        made = enough(everything.of(control), *span)
        if len(made.failed) >= 3 and differ(here, made):
            return True
    by_site = [here.of([i]).failed for i in members if providers[i] in theirs]
    whole = sum(len(failed) >= GOOD_CALLS and not failed.any() for failed in by_site)
    gone = sum(len(failed) >= GOOD_CALLS and bool(failed.all()) for failed in by_site)
    return whole >= 2 and gone >= 2


def shares(fleet: Fleet, index: int, here: Calls, beside: Calls) -> bool:
    """Return whether a site's calls fail rather as its group's do than as those of a healthy site.

    One failed call is enough only where the calls of the site's region nearly all failed. beside: the group's calls of
    a little longer time.
    """
    own = here.of([index])
    failing, passing = likely(here)
    bad, good = int(own.failed.sum()), int((~own.failed).sum())
    if bad < 2:
        region = fleet.seen[index].facts.region
        around = [i for i, s in enumerate(fleet.seen) if s.facts.region == region and i != index]
        near = here.of(around)
        near = near if len(near.failed) >= 2 else beside.of(around)
        if good or not bad or len(near.failed) < 2 or near.failed.mean() <= SINGLE:
            return False
    return bool(bad * failing - good * passing > 2.0)


def _own_ends(fleet: Fleet, line: Calls, index: int, here: Calls, start_s: float, end_s: float) -> tuple[float, float]:
    """Return a group's ends, drawn in to where the site's own calls were good: two in a row where calls fail in part.

    An end lies a quarter of the way from the site's failed call to the good one.
    """
    seen = fleet.seen[0]
    needed = 2 if here.failed.mean() < PARTIAL else 1
    made = line.of([index])
    good = np.sort(made.round[~made.failed])
    failed = _main(np.sort(here.of([index]).round[here.of([index]).failed]), good, needed, here)
    first, last = int(failed[0]), int(failed[-1]) + 1
    before, after = good[good < first], good[good >= last]
    low = (start_s - seen.t0_s) / seen.step_s
    high = (end_s - seen.t0_s) / seen.step_s
    if len(before) and before[-1] >= low and int((before >= low - 2 * REACH).sum()) >= needed:
        low = max(low, caution(float(before[-1]) + 1, float(first)))
    if len(after) and after[0] < high and int((after < high + 2 * REACH).sum()) >= needed:
        high = min(high, caution(float(after[0]), float(last)))
    return seen.t0_s + low * seen.step_s, seen.t0_s + high * seen.step_s


def _main(failed: NDArray[np.int64], good: NDArray[np.int64], parting: int, here: Calls) -> NDArray[np.int64]:
    """Return those of a site's failed calls that belong together, where its good calls part them: the part in which
    the whole group's calls say most that they failed."""
    cuts = [
        at + 1 for at, (a, b) in enumerate(pairwise(failed))
        if int(((good > a) & (good < b)).sum()) >= parting
    ]  # fmt: skip
    failing, passing = likely(here)

    def speaks(part: NDArray[np.int64]) -> float:
        group = here.within(int(part[0]), int(part[-1]) + 1)
        return float(group.failed.sum() * failing - (~group.failed).sum() * passing)

    return max(np.split(failed, cuts), key=speaks)
