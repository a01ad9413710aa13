"""The provider's name led to a wrong address: the resolver that the phones use lies. Whose resolver it is, others tell."""

from __future__ import annotations

import numpy as np

from linewitness.settle.attribution.fleet import Fleet, episodes
from linewitness.settle.attribution.found import ACCESS, ROUTER, UNDETERMINED, Found
from linewitness.settle.attribution.tracks import sticky

WRONG = -1
STAY = 3.0


def lies(fleet: Fleet) -> list[Found]:
    """Return the stretches in which a site's resolver gave a wrong address for the provider's name."""
    evidence = np.stack([
        np.where(np.isnan(seen["provider_name"]), 0.0, np.where(seen["provider_name"] == WRONG, 2.5, -2.5))
        for seen in fleet.seen
    ]) if fleet.seen else np.zeros((0, 0))  # fmt: skip
    states = sticky(evidence.astype(np.float32), STAY)
    found = []
    for index, seen in enumerate(fleet.seen):
        for first, last in episodes(states[index], fleet.step_s):
            window = slice(first, last)
            same = [i for i, s in enumerate(fleet.seen) if i != index and s.facts.isp == seen.facts.isp]
            lied = [i for i in same if states[i, window].mean() > 0.5]
            elsewhere = [
                i for i, s in enumerate(fleet.seen)
                if s.facts.isp != seen.facts.isp and states[i, window].mean() > 0.5
            ]  # fmt: skip
            side, rule = ROUTER, "resolver_lies"
            if elsewhere:
                side, rule = UNDETERMINED, "names_lie_everywhere"
            elif len(lied) >= 2 and len(lied) > 0.3 * len(same):
                side, rule = ACCESS, "isp_resolver_lies"
            start_s, end_s = (seen.t0_s + at * seen.step_s for at in (first, last))
            found.append(Found(seen.facts.site, start_s, end_s, int(first), int(last), side, rule))
    return found
