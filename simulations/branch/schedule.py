"""When and where the faults of a world happen: occurrences drawn from the kinds' rates, some on top of one another."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simulations.branch.kind import Kind, amount_range
from simulations.branch.style import Style
from simulations.branch.topology import ANCHORS, Site

STANDARD_SITE_DAYS = 200 * 14
STANDARD_DAYS = 14
# Scopes around the controls: how many anchors, and the reflector.
AROUND: dict[str, tuple[int, tuple[str, ...]]] = {
    "anchor": (1, ()), "anchor_pair": (2, ()), "anchors": (3, ()), "reflector": (0, ("x",)),
    "anchor_reflector": (1, ("x",)),
}  # fmt: skip
LOCAL_HOURS = {"evening": (17.5, 20.5), "night": (0.5, 4.5), "office": (8.5, 15.5)}
# Seconds bad and well of what comes and goes: (low, high) of each.
ON_AND_OFF = {"flap": ((40, 200), (30, 150)), "dips": ((15, 75), (60, 420))}
# Severities scaled by the style; a share that means "all of them fail" stays what it is.
SOFT = ("loss", "loss_u", "loss_d", "delay", "jitter")


@dataclass(slots=True)
class Occurrence:
    """One fault in time. hits: {site id: targets that `far` means there}; amounts follow kind.effects."""

    id: str
    kind: Kind
    start: float
    end: float
    hits: dict[str, tuple[str, ...]]
    amounts: tuple[float, ...]
    entity: dict[str, int] = field(default_factory=dict)
    pieces: tuple[tuple[float, float], ...] = ()
    texture_seed: int = 0


def draw_occurrences(
    rng: np.random.Generator, style: Style, kinds: tuple[Kind, ...], sites: list[Site], t0: float, days: float
) -> list[Occurrence]:
    """Return the world's faults ordered by kind; each lies wholly in [t0, t0 + days)."""
    found: list[Occurrence] = []
    touching: dict[str, list[int]] = {site.id: [] for site in sites}  # which of them touch a site
    span_s = days * 86400
    for kind in kinds:
        often = style.rate * float(np.exp(rng.normal(0, style.rate_spread)))
        whole = len(sites) * days / STANDARD_SITE_DAYS if kind.scope == "site" else days / STANDARD_DAYS
        for _ in range(rng.poisson(kind.rate * often * whole)):
            hits, entity = place(rng, style, kind, sites)
            hits = reached(
                rng, kind, {site.id: hits[site.id] for site in sites if site.id in hits and suits(kind, site)}
            )
            if not hits:
                continue
            low, high = kind.minutes
            length_s = min(np.exp(rng.uniform(np.log(low), np.log(high))) * 60 * style.length, span_s / 3)
            length_s = max(length_s, 60.0)
            start = t0 + rng.uniform(0, span_s - length_s)
            if kind.when or kind.shape == "bell":
                start = at_local_hour(rng, kind.when or "evening", start, t0, span_s - length_s, sites, hits)
            below = sorted({index for hit in hits for index in touching[hit]})
            if below and rng.random() < style.overlap:
                under = found[below[rng.integers(len(below))]]
                start = float(np.clip(rng.uniform(under.start - length_s / 2, under.end), t0, t0 + span_s - length_s))
            start, end = round(start, 1), round(start + length_s, 1)
            amounts = tuple(draw_amount(rng, style, effect) for effect in kind.effects)
            for hit in hits:
                touching[hit].append(len(found))
            found.append(
                Occurrence(
                    f"f{len(found):05d}", kind, start, end, hits, amounts, entity,
                    pieces(rng, kind.shape, start, end), int(rng.integers(2**32)),
                )
            )  # fmt: skip
    return found


def place(
    rng: np.random.Generator, style: Style, kind: Kind, sites: list[Site]
) -> tuple[dict[str, tuple[str, ...]], dict[str, int]]:
    """Return which sites one occurrence touches, what `far` means at each, and the entity that failed."""
    chosen = sites[rng.integers(len(sites))]
    scope = kind.scope
    if scope == "site":
        fit = [s for s in sites if suits(kind, s)]
        return ({fit[rng.integers(len(fit))].id: ()} if fit else {}), {}
    if scope in ("all", "tenant"):
        return {s.id: ("p", "e2", "q") for s in sites}, {}
    if scope in ("isp", "dns_isp"):
        return {s.id: () for s in sites if (s.isp, s.region) == (chosen.isp, chosen.region)}, {"isp": chosen.isp}
    if scope == "region":
        return {s.id: () for s in sites if s.region == chosen.region}, {}
    if scope == "isp_all":
        return {s.id: () for s in sites if s.isp == chosen.isp}, {"isp": chosen.isp}
    if scope in AROUND:
        anchors, reflector = AROUND[scope]
        picked = tuple(map(str, rng.choice(ANCHORS[:3], anchors, replace=False)))
        return {s.id: picked + reflector for s in sites}, {}
    if scope == "carrier":
        there = [s for s in sites if (s.carrier, s.region) == (chosen.carrier, chosen.region)]
        return {s.id: () for s in there}, {"carrier": chosen.carrier}
    if scope == "carrier_all":
        return {s.id: () for s in sites if s.carrier == chosen.carrier}, {"carrier": chosen.carrier}
    if scope == "transit":
        number = int(rng.integers(style.transits))
        near = [s for s in sites if s.region == chosen.region]
        ways = {s.id: tuple(t for t, via in s.path.items() if via == number) for s in near}
        return {site: targets for site, targets in ways.items() if targets}, {"transit": number}
    if scope == "peering":
        return peering(rng, sites), {}
    edge = {"provider": chosen.provider, "edge": chosen.edge}
    if scope == "banned":
        same = [s for s in sites if (s.provider, s.edge) == (chosen.provider, chosen.edge)]
        count = min(len(same), int(rng.integers(1, 4)))
        return {same[i].id: ("p", "e2") for i in rng.choice(len(same), count, replace=False)}, edge
    if scope == "customers":
        return {s.id: ("p", "e2") for s in sites if s.provider == chosen.provider}, edge
    return edges(style, scope, chosen, sites), edge


def edges(style: Style, scope: str, chosen: Site, sites: list[Site]) -> dict[str, tuple[str, ...]]:
    """Return which targets of each site are the edges of the chosen site's provider that the scope means."""
    numbers = range(style.edges) if scope in ("provider", "isp_provider") else (chosen.edge,)
    roles = {}
    for s in sites:
        if scope == "edge_region" and s.region != chosen.region:
            continue
        if scope in ("isp_edge", "isp_provider") and s.isp != chosen.isp:
            continue
        roles[s.id] = tuple(role for number in numbers for role in s.roles(chosen.provider, number))
    return {site: targets for site, targets in roles.items() if targets}


def reached(rng: np.random.Generator, kind: Kind, hits: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the part of the sites that this occurrence touches: at least one where there is any."""
    if kind.reach[0] == 1.0 or not hits:
        return hits
    share = rng.uniform(*kind.reach)
    chosen = {site: targets for site, targets in hits.items() if rng.random() < share}
    return chosen or dict([next(iter(hits.items()))])


def suits(kind: Kind, site: Site) -> bool:
    """Return whether a kind can happen at a site."""
    if kind.tech and site.tech not in kind.tech:
        return False
    if kind.needs == "witness_radio":
        return site.wifi_witness
    return kind.needs != "radio" or site.wifi_witness or site.wifi_phones


def peering(rng: np.random.Generator, sites: list[Site]) -> dict[str, tuple[str, ...]]:
    """Return what hangs on one direct interconnection of an ISP and a provider, that some site's calls cross."""
    crossing = [s for s in sites if s.path["p"] == "peer"]
    if not crossing:
        return {}
    chosen = crossing[rng.integers(len(crossing))]
    hits = {}
    for s in sites:
        if s.isp != chosen.isp:
            continue
        edges = [role for number in (0, 1) for role in s.roles(chosen.provider, number)]
        targets = tuple(role for role in edges if s.path[role] == "peer")
        if targets:
            hits[s.id] = targets
    return hits


def draw_amount(rng: np.random.Generator, style: Style, effect: str) -> float:
    """Return one effect's amount, log-uniform where its range stays above 0."""
    name, _, text = effect.partition("=")
    low, high = amount_range(text)
    amount = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if 0 < low < high else float(rng.uniform(low, high))
    soft = name.rpartition(".")[2] in SOFT and low < high
    return amount * style.severity if soft else amount


def pieces(rng: np.random.Generator, shape: str, start: float, end: float) -> tuple[tuple[float, float], ...]:
    """Return the bad pieces [start, end) of a fault; of one that comes and goes the first starts and the last ends with
    it."""
    if shape not in ON_AND_OFF:
        return ((start, end),)
    bad, well = ON_AND_OFF[shape]
    found, now = [], start
    while now < end:
        stop = min(end, now + rng.uniform(*bad))
        found.append((now, stop))
        now = stop + rng.uniform(*well)
    if found[-1][1] < end:
        found.append((max(found[-1][1], end - 60), end))
    return tuple(found)


def at_local_hour(
    rng: np.random.Generator,
    hours: str,
    start: float,
    t0: float,
    last_s: float,
    sites: list[Site],
    hits: dict[str, tuple[str, ...]],
) -> float:
    """Return a start within those local hours of the fault's first site, on the same day."""
    zone = next(s.tz_min for s in sites if s.id in hits)
    midnight = (start + zone * 60) // 86400 * 86400 - zone * 60
    return float(np.clip(midnight + rng.uniform(*LOCAL_HOURS[hours]) * 3600, t0, t0 + last_s))
