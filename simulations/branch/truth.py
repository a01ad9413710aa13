"""Truth lines: whose side each fault was on at each site it touched, and what the phones lived through because of it.

Impact is judged by one fault alone on an otherwise healthy path, from the same state the readings come from, so a
truth line can't claim what its fault doesn't do. A fault affects calls when at least half of the time between its first
and last bad round was bad and that lasted 30 s or more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulations.branch.fields import Readings
from simulations.branch.kind import Kind
from simulations.branch.phones import live
from simulations.branch.schedule import Occurrence
from simulations.branch.state import Column, State, apply, overlap
from simulations.branch.topology import Site
from simulations.branch.world import Line

PROVIDER_SIDES = ("provider", "carrier")
CREDITS = ((0.9999, 0), (0.999, 5), (0.995, 10), (0.99, 25), (-1.0, 50))  # availability at least -> percent
# What only test calls show, only the router tells, and nothing shows.
BY_CALLS = ("carrier", "carrier_loss", "pdd", "far_register", "call_any", "callee", "carrier_callee")
BY_ROUTER = ("wan", "cpu", "util_u", "util_d", "snmp", "reboot_router")
BY_NOBODY = ("phones", "phones_radio")
LEAST_IMPACT_S = 30.0
# A part's whole fault; one of these at full strength is bad whatever the round, so its impact has no rounding.
MARGIN_S = 1.0


def truth_line(
    site: Site, occurrence: Occurrence, t0: float, step_s: float, rounds: int, told_by: set[str]
) -> Line | None:
    """Return one fault's line at one site, None where the fault is the provider's but not at this site's own edge.

    told_by: names of the tie-breakers that this site has for this fault.
    """
    kind = occurrence.kind
    if kind.side == "provider" and "p" not in occurrence.hits[site.id]:
        return None
    first, covered = overlap(occurrence, t0, step_s, rounds)
    state = State(len(covered), first)
    apply(state, site, occurrence, t0, step_s, rounds)
    lived = live(state, site)
    felt = lived.bad & (covered > 0) if kind.phones and kind.side != "none" else np.zeros(len(covered), bool)
    start, end, share = impact(occurrence, felt, covered, t0 + first * step_s, step_s)
    affects = share >= 0.5 and end - start >= LEAST_IMPACT_S
    if not affects:
        start, end, share = occurrence.start, occurrence.end, 0.0
    full = covered >= 0.999
    return {
        "fault": occurrence.id, "kind": kind.name, "site": site.id, "side": kind.side,
        "start": occurrence.start, "end": occurrence.end,
        "impact_start": round(start, 1), "impact_end": round(end, 1), "affects_calls": bool(affects),
        "hard": bool(affects and lived.setup_failing[full].min(initial=1.0) > 0.9), "bad_frac": round(share, 3),
        "mos": round(float(lived.mos.mean()), 2), "shared": len(occurrence.hits),
        "ambiguous": list(kind.looks_like) if not told_apart(kind, told_by) else [],
        "observable": shows(kind, site), "sla_excluded": kind.name == "provider_maintenance",
    }  # fmt: skip


def impact(
    occurrence: Occurrence, felt: NDArray[np.bool_], covered: Column, begin: float, step_s: float
) -> tuple[float, float, float]:
    """Return (start, end, share of bad rounds between) of the impact."""
    at = np.flatnonzero(felt)
    # A round that the fault only grazes may not show it: what counts is whether its neighbour inside does.
    if not len(at):
        return occurrence.start, occurrence.start, 0.0
    low, high = at[0], at[-1]
    start = occurrence.start if (low <= 1 and covered[0] < 1) or low == 0 else begin + low * step_s
    last = len(felt) - 1
    end = occurrence.end if (high >= last - 1 and covered[last] < 1) or high == last else begin + (high + 1) * step_s
    inside = covered[low : high + 1] > 0.5
    share = float(felt[low : high + 1][inside].mean()) if inside.any() else 1.0
    return float(max(start, occurrence.start)), float(min(end, occurrence.end)), share


def told_apart(kind: Kind, told_by: set[str]) -> bool:
    """Return whether a site has all that tells a kind's look-alikes apart."""
    return kind.tie_breaker is not None and set(kind.tie_breaker.split("+")) <= told_by


def tie_breakers(site: Site, sites: list[Site], occurrence: Occurrence) -> set[str]:
    """Return which means a site has to tell one fault's look-alikes apart (see faults.py).

    Another site tells the provider's fault apart by failing too though its packets go another way, anybody else's by
    not failing; and the ISP's from one in the office the same way.
    """
    found = set()
    if site.snmp:
        found.add("snmp")
    if site.testcall:
        found.add("testcall")
    side, hits = occurrence.kind.side, occurrence.hits
    others = [s for s in sites if s.id != site.id]
    edge = [s for s in others if (s.provider, s.edge) == (site.provider, site.edge) and s.isp != site.isp]
    if side == "provider":
        edge = [s for s in edge if s.id in hits and s.way != site.way]
    else:
        edge = [s for s in edge if s.id not in hits]
    if edge:
        found.add("pooled")
    line = [s for s in others if (s.isp, s.region) == (site.isp, site.region)]
    if any((s.id in hits) == (side == "access") for s in line):
        found.add("neighbour")
    return found


def shows(kind: Kind, site: Site) -> bool:
    """Return whether any effect of a kind reaches something that this site's witness reads."""
    return any(reads(effect.partition("=")[0], site) for effect in kind.effects)


def reads(effect: str, site: Site) -> bool:
    """Return whether an effect can show in a site's readings, by the part that it changes."""
    part = effect.partition(".")[0]
    if part in BY_CALLS:
        return site.testcall
    if part in BY_ROUTER:
        return site.snmp
    if part in ("radio", "witness_radio"):
        return site.wifi_witness
    return part not in BY_NOBODY


def mark_unobservable(lines: list[Line], rows: Readings, step_s: float) -> None:
    """Mark one site's call-affecting lines without rows for half of the impact; a power cut shows by missing rows."""
    begins = np.sort(rows[:, 0])
    for line in lines:
        if line["side"] == "customer_power" or not line["affects_calls"]:
            continue
        wanted = (line["impact_end"] - line["impact_start"]) / step_s
        first = np.searchsorted(begins, line["impact_start"] - step_s, "right")
        there = np.searchsorted(begins, line["impact_end"]) - first
        line["observable"] = line["observable"] and bool(there >= 0.5 * wanted)


def sla_line(lines: list[Line], span_s: float) -> Line:
    """Return a site's downtime: the union of call-affecting provider and carrier impacts, less maintenance."""
    down = sorted(
        (line["impact_start"], line["impact_end"])
        for line in lines
        if line["side"] in PROVIDER_SIDES and line["affects_calls"] and not line["sla_excluded"]
    )
    total, reached = 0.0, -np.inf
    for start, end in down:
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    availability = 1 - total / span_s
    credit = next(percent for least, percent in CREDITS if availability >= least)
    return {"downtime_s": round(total, 1), "availability": availability, "credit": credit}
