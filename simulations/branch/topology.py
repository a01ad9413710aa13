"""Who shares what: sites with their ISP, region, provider, edges, carrier, and the path from each to every target.

Routing is by network: one ISP reaches one destination network in one way ("peer", or the number of a transit network),
so that all its sites share the fate of that way. What the host is told (`told`) is less than what is true.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simulations.branch.style import Style

ANCHORS = ("a1", "a2", "a3", "x")
TARGETS = (*ANCHORS, "p", "e2", "q")
ZONES_MIN = (-300, 0, 60, 60, 60, 120)
Via = str | int


@dataclass(frozen=True, slots=True)
class Site:
    """One branch office as it is. edge is 0 or 1 of its provider; e2 is the other; q is edge 0 of `second`."""

    id: str
    isp: int
    region: int
    tech: str
    provider: int
    edge: int
    second: int
    carrier: int
    wifi_witness: bool
    wifi_phones: bool
    told_phones: bool
    snmp: bool
    testcall: bool
    traced: bool
    tz_min: int
    router_limits_icmp: bool
    silent_hop1: bool
    silent_edge: bool
    path: dict[str, Via]
    told_witness: bool = True
    reflector: bool = True
    second_leg: bool = True
    gateway_tcp: bool = True
    edge_tcp: bool = True
    v6: bool = True
    silent_gateway: bool = False

    def told(self) -> dict[str, Any]:
        """Return the site's line of sites.json."""
        return {
            "id": self.id, "isp": self.isp, "region": self.region, "tech": self.tech, "provider": self.provider,
            "edge": self.edge, "second": self.second, "carrier": self.carrier,
            "probe_link": self.witness_link if self.told_witness else None, "snmp": self.snmp, "tz": self.tz_min,
            "testcall": self.testcall, "phones_link": self.phones_link if self.told_phones else None,
            "path": dict(self.path) if self.traced else None,
        }  # fmt: skip

    @property
    def witness_link(self) -> str:
        return "wifi" if self.wifi_witness else "eth"

    @property
    def phones_link(self) -> str:
        return "wifi" if self.wifi_phones else "eth"

    @property
    def way(self) -> tuple[Via, int | None]:
        """What carries its packets to the provider's edge: a transit network, or its own ISP's peering."""
        via = self.path["p"]
        return via, self.isp if via == "peer" else None

    def roles(self, provider: int, edge: int) -> list[str]:
        """Return which targets of this site are that edge of that provider."""
        return [
            target
            for target, (its_provider, its_edge) in (
                ("p", (self.provider, self.edge)),
                ("e2", (self.provider, 1 - self.edge)),
                ("q", (self.second, 0)),
            )
            if (its_provider, its_edge) == (provider, edge)
        ]


def make_sites(rng: np.random.Generator, style: Style, count: int) -> list[Site]:
    """Return `count` sites; the larger an ISP or provider, the more sites it has."""
    networks = [*ANCHORS, *[(p, e) for p in range(style.providers) for e in range(style.edges)]]
    ways: dict[tuple[int, object], Via] = {}
    for isp in range(style.isps):
        for network in networks:
            peers = rng.random() < style.peered
            ways[isp, network] = "peer" if peers else int(rng.integers(style.transits))
    silent = {p: bool(rng.random() < style.silent_edge) for p in range(style.providers)}
    edge_tcp = {p: bool(rng.random() < style.provider_tcp) for p in range(style.providers)}
    carrier = {p: int(rng.integers(style.carriers)) for p in range(style.providers)}
    isp_share = rng.dirichlet(np.full(style.isps, style.isp_evenness))
    provider_share = rng.dirichlet(np.full(style.providers, style.provider_evenness))
    techs = ("lte", "fibre", "cable", "dsl")
    tech_share = np.array([style.tech_lte, style.tech_fibre, style.tech_cable, 0.0])
    tech_share[3] = 1.0 - tech_share.sum()
    sites = []
    for number in range(count):
        isp = int(rng.choice(style.isps, p=isp_share))
        provider = int(rng.choice(style.providers, p=provider_share))
        second = int((provider + rng.integers(1, style.providers)) % style.providers)
        edge = int(rng.random() < 0.4)
        path = {anchor: ways[isp, anchor] for anchor in ANCHORS}
        path |= {"p": ways[isp, (provider, edge)], "e2": ways[isp, (provider, 1 - edge)], "q": ways[isp, (second, 0)]}
        odds = rng.random(14)
        sites.append(
            Site(
                f"s{number:03d}", isp, int(rng.integers(style.regions)), str(rng.choice(techs, p=tech_share)),
                provider, edge, second, carrier[provider],
                wifi_witness=bool(odds[0] < style.wifi_witness), wifi_phones=bool(odds[1] < style.wifi_phones),
                told_phones=bool(odds[2] < style.told_phones), snmp=bool(odds[3] < style.snmp),
                testcall=bool(odds[4] < style.testcalls), traced=bool(odds[5] < style.traces),
                tz_min=int(rng.choice(ZONES_MIN)), router_limits_icmp=bool(odds[6] < style.router_limits_icmp),
                silent_hop1=bool(odds[7] < style.silent_hop1), silent_edge=silent[provider], path=path,
                told_witness=bool(odds[8] < style.told_witness), reflector=bool(odds[9] < style.reflectors),
                second_leg=bool(odds[10] < style.second_legs), gateway_tcp=bool(odds[11] < style.gateway_tcp),
                edge_tcp=edge_tcp[provider], v6=bool(odds[12] < style.v6),
                silent_gateway=bool(odds[13] < style.silent_gateway),
            )
        )  # fmt: skip
    return sites
