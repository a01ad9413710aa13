"""Faults on the near side of the internet, as one site's own readings show them: power, LAN, router, access line.

Hard ones first: rounds in which nothing beyond the gateway answered. Whose they are is told by what answered nearer in
the same rounds: the witness's own link, the gateway, the router's services, the router's word on its WAN port.
Missing rounds are nobody's fault unless the boot that follows says that power was lost.
"""

from __future__ import annotations

import numpy as np

from linewitness.settle.attribution.found import ACCESS, LAN, POWER, ROUTER, Found
from linewitness.settle.attribution.rounds import Flags
from linewitness.settle.attribution.seen import Seen, Small
from linewitness.settle.attribution.tracks import runs

DEAD_STAY = 2.5
DEAD_AT = 0.25
LINGERS = 0.06  # less than this share of a round dead beside an outage is loss like any other
RESET_POWER = 1
BEGAN = 0.8  # of one of the first two rounds: a router that starts again answers on the LAN long before its line is up
REFUSING = 0.7  # a smaller share of connects that the gateway takes, less what echoes to it lose


def dead_evidence(seen: Seen) -> Small:
    """Return log likelihood ratios, by round, that the way shared by all targets was cut."""
    return np.nan_to_num(np.clip((seen["dead"] - DEAD_AT) * 16.0, -4.0, 8.0), nan=0.0)


def power_cuts(seen: Seen) -> list[Found]:
    """Return the stretches without a row that end in a boot by loss of power, unless the router's own uptime says that
    it had power all the while: then it was the witness's plug."""
    found = []
    for first, last in runs(~seen.measured):
        if first == 0 or last >= len(seen):
            continue
        rebooted = seen["boot"][last] > seen["boot"][first - 1] if not np.isnan(seen["boot"][last]) else False
        if not rebooted or seen["reset"][last] != RESET_POWER or _router_stayed_up(seen, first, last):
            continue
        start_s = seen.t0_s + (first + 0.5) * seen.step_s
        up_s = float(seen["uptime_s"][last])
        end_s = seen.t0_s + last * seen.step_s - (up_s if 0 <= up_s < seen.step_s else 0.0)
        found.append(Found(seen.facts.site, start_s, end_s, int(first), int(last), POWER, "power"))
    return found


def _router_stayed_up(seen: Seen, first: int, last: int) -> bool:
    """Return whether the router's uptime went on from before the rounds [first, last) to after them."""
    uptime = seen["router_uptime_s"]
    before, after = uptime[max(first - 5, 0) : first], uptime[last : last + 3]
    before, after = before[~np.isnan(before)], after[~np.isnan(after)]
    return bool(len(before) and len(after) and after[0] > before[-1])


def cuts(seen: Seen, dead: Flags) -> list[Found]:
    """Return the hard outages of the shared way. dead: the rounds that are, by the state machine."""
    found = []
    for first, last in runs(dead & seen.measured):
        start_s, end_s = ends(seen, first, last, seen["dead_streams"])
        side, rule = _where(seen, first, last)
        if side:
            found.append(Found(seen.facts.site, start_s, end_s, int(first), int(last), side, rule))
    return found


def ends(seen: Seen, first: int, last: int, share: Small) -> tuple[float, float]:
    """Return an outage's ends in s: whole rounds, or as much of the rounds at its ends as was lost."""
    lost = np.nan_to_num(share[max(first - 1, 0) : last + 1], nan=0.0)
    before = float(lost[0]) if first > 0 else 0.0
    after = float(lost[-1]) if last < len(seen) else 0.0
    inside = share[first:last]
    known = inside[~np.isnan(inside)]
    start, end = float(first), float(last)
    head = float(inside[0]) if len(inside) and not np.isnan(inside[0]) else 1.0
    tail = float(inside[-1]) if len(inside) and not np.isnan(inside[-1]) else 1.0
    level = float(np.median(known)) if len(known) else 1.0
    if last - first == 1:
        if before >= LINGERS and before > after:
            start, end = first - before, first + head
        elif after >= LINGERS:
            start, end = last - head, last + after
        else:
            middle = first + 0.5
            start, end = middle - head / 2, middle + head / 2
        return seen.t0_s + start * seen.step_s, seen.t0_s + end * seen.step_s
    level = max(level, 0.5)
    start = first + max(0.0, 1 - head / level)
    end = last - max(0.0, 1 - tail / level)
    if head >= 0.9 * level and before >= LINGERS:
        start = first - min(before / level, 1.0)
    if tail >= 0.9 * level and after >= LINGERS:
        end = last + min(after / level, 1.0)
    return seen.t0_s + start * seen.step_s, seen.t0_s + end * seen.step_s


def _where(seen: Seen, first: int, last: int) -> tuple[str, str]:
    """Return (side, rule) of a cut in [first, last); an empty side where it was the witness's own affair."""
    inside = slice(first, last)
    dead = np.nan_to_num(seen["dead"][inside], nan=0.0)
    weight = dead.sum() or 1.0

    def beside(name: str) -> float:
        """Return what share of the cut a nearer thing was dead too, NaN where not measured."""
        values = seen[name][inside]
        known = ~np.isnan(values)
        return float((values * dead)[known].sum() / max(dead[known].sum(), 1e-6)) if known.any() else float("nan")

    unlinked = 1 - beside("link")
    gateway = float(np.nansum(seen["gateway_dead"][inside]) / weight)
    gateway_known = not np.isnan(seen["gateway_dead"][inside]).all()
    own_radio = seen.facts.witness_on_wifi is True and seen.facts.phones_on_wifi is False
    if unlinked > 0.5:
        return ("", "") if own_radio else (LAN, "link")
    rebooted = _router_rebooted(seen, first, last)
    began = seen["gateway_dead"][inside][:2]
    if gateway_known and (gateway > 0.5 or (began > BEGAN).any()):
        if rebooted:
            return ROUTER, "router_rebooted"
        return ROUTER, "gateway_dead"
    if rebooted:
        return ROUTER, "router_rebooted"
    silent = [beside("gateway_tcp"), beside("resolver")]
    if beside("wan_up") < 0.5:
        return ACCESS, "wan_down"
    refused = gateway_known and silent[0] < REFUSING - gateway
    if refused or (silent[0] < 0.2 and not silent[1] > 0.2):
        return ROUTER, "router_sick"
    if not gateway_known:
        return ACCESS, "beyond_unwatched"
    return ACCESS, "beyond"


def _router_rebooted(seen: Seen, first: int, last: int) -> bool:
    """Return whether the router's own uptime says that it came back within or right after [first, last)."""
    uptime = seen["router_uptime_s"]
    before = uptime[max(first - 10, 0) : first + 1]
    after = uptime[last : last + 5]
    known = ~np.isnan(before)
    if not known.any() or np.isnan(after).all():
        return False
    index = int(np.flatnonzero(~np.isnan(after))[0])
    since_s = (last - first + 2 + index) * seen.step_s
    return bool(after[index] < before[known][-1] and after[index] < since_s + 5 * seen.step_s)
