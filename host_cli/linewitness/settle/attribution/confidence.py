"""How sure a verdict is: by rule, the share of such verdicts that were true on worlds of our own, drawn towards less.

Counted on several generated fleets with shifted parameters (some 3,500 verdicts); where a rule was never wrong there,
its lower bound is taken, since other worlds hold other faults.
"""

from __future__ import annotations

from linewitness.settle.attribution.found import CARRIER, PROVIDER, UNDETERMINED, Found

ACCUSED, OWNED = 0.985, 0.99
USUAL = 0.97
BY_RULE = {
    "beyond": 0.95, "beyond_unwatched": 0.8, "line_quality": 0.92, "line_unwatched": 0.7, "lan_quality": 0.75,
    "calls_of_this_site": 0.8, "some_anchors_clean": 0.7, "transit_shared": 0.9, "peering_alone": 0.75,
    "region_of_a_transit": 0.7, "region_of_an_isp": 0.85, "transit_not_cleared": 0.7, "own_resolver": 0.9,
    "isp_resolver": 0.9,
}  # fmt: skip
NOT_SURE = 0.5


def confidence(found: Found, posted: bool) -> float:
    """Return the confidence of a verdict, 0..1. posted: the provider's own word speaks of its time."""
    if found.side == UNDETERMINED:
        return NOT_SURE
    if found.side in (PROVIDER, CARRIER):
        return OWNED if posted else ACCUSED
    return BY_RULE.get(found.rule, USUAL)
