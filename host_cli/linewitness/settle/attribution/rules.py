"""Rules of the customer's, pushed to sites of several providers: SIP or media fails to all of them in one moment.

No provider takes another's service down, and no network tells SIP from media by its customers' providers; a rule in the
routers of one administration does. Test calls tell it from a fault of the witnesses' own, which the phones don't feel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from linewitness.settle.attribution.episode import DEAD_MEDIA, Episode
from linewitness.settle.attribution.found import PROVIDER, ROUTER, UNDETERMINED
from linewitness.settle.attribution.pool import Pool, made_calls

PUSHED_ROUNDS = 6  # a push takes minutes to reach all sites
LEAST_OF_EACH, LEAST_CALLS = 2, 3
ALIKE = 0.3  # a push asks nobody's provider: it reaches a like share of each one's sites


def pushed(pool: Pool, found: Sequence[Episode]) -> None:
    """Give the episodes that sites of several providers share their side."""
    open_yet = [e for e in found if e.side in (PROVIDER, UNDETERMINED) and (e.kind == "sip" or _media_dead(e))]
    starts: dict[tuple[str, int], list[Episode]] = {}
    for e in open_yet:
        for at in range(e.began - PUSHED_ROUNDS, e.began + PUSHED_ROUNDS + 1):
            starts.setdefault((e.kind, at), []).append(e)
    settled = [(e, _whose(pool, e, starts[e.kind, e.began])) for e in open_yet]
    for e, whose in settled:
        if whose is not None:
            e.side, e.rule, e.candidates = *whose, ("customer", "none")


def _media_dead(e: Episode) -> bool:
    return e.kind == "media" and e.media_loss >= DEAD_MEDIA


def _whose(pool: Pool, e: Episode, together: Sequence[Episode]) -> tuple[str, str] | None:
    """Return (side, rule), None where one provider's sites alone are concerned."""
    sites = sorted({o.index for o in together if o.first < e.last and e.first < o.last})
    of_each = Counter(pool.provider[i] for i in sites)
    there = Counter(pool.provider)
    shares = {name: count / there[name] for name, count in of_each.items() if count >= LEAST_OF_EACH}
    mine = shares.get(pool.provider[e.index], 0.0)
    several = [name for name, share in shares.items() if min(share, mine) >= ALIKE * max(share, mine)]
    if pool.provider[e.index] not in several or len(several) < 2 or len({pool.isp[i] for i in sites}) < 2:
        return None
    made, failed, _ = made_calls(pool, sites, slice(*e.inner))
    if made >= LEAST_CALLS and failed >= 0.5 * (1 - e.sip if e.kind == "sip" else 1.0) * made:
        return ROUTER, "rules_of_the_fleet"
    if made > LEAST_CALLS and failed <= 0.1 * made:
        return "none", "probes_of_the_fleet"
    return UNDETERMINED, "several_providers"
