"""What one site's witness saw, round by round: the values that attribution works on, whoever feeds them.

A round is `step_s` seconds of true time. Every column is a float array over the rounds, NaN where it was not measured;
a column that is absent was never measured. Losses and shares are 0..1, times ms unless the name says _s.

    link                         1 the witness's link is up, 0 it is not
    address                      1 the witness has an address, 0 it has none and sees nothing
    gateway_loss _rtt _jitter    ICMP echo to the gateway; gateway_tcp: share of connects
    resolver_ok, public_dns_ok   share of queries answered by the router's resolver, by a public one
    provider_name                the provider's name resolved: 1 right, 0 not, -1 to a wrong address
    router_uptime_s, router_wan_up, router_use_up, router_use_down   the router's own word; uses are shares of the line
    hop_loss                     ICMP echo to the ISP's first hop
    anchor1_loss _rtt _tcp ...   anchors 1 to 3, each in another network
    edge_loss _rtt _tcp _sip _code   the provider's edge; sip: share of OPTIONS answered, code: what was answered
    media_loss_up _loss_down _rtt _jitter _mos   a call's packets to the provider
    edge2_sip _loss              another edge of the same provider
    second_sip _loss _rtt _jitter _mos   a second provider
    reflector_loss_up _loss_down _rtt _jitter   our own session-reflector
    inside_call_ok, carrier_call_ok, carrier_call_mos   test calls, sparse
    boot, uptime_s, reset        boot count, uptime at the round, reset cause (1 power, 2 other; first round of a boot)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]

POSTED_ROUND_S, POSTED_LATE_S = 300.0, 6 * 3600.0
ANCHORS = ("anchor1", "anchor2", "anchor3")
# Sources of evidence that a benchmark takes away one by one, and the columns that are theirs.
SOURCES: dict[str, tuple[str, ...]] = {
    "anchors": tuple(f"{a}_{part}" for a in ANCHORS for part in ("loss", "rtt", "tcp")),
    "reflector": ("reflector_loss_up", "reflector_loss_down", "reflector_rtt", "reflector_jitter"),
    "second": ("second_sip", "second_loss", "second_rtt", "second_jitter", "second_mos"),
    "calls": ("inside_call_ok", "carrier_call_ok", "carrier_call_mos"),
    "gateway": ("gateway_loss", "gateway_rtt", "gateway_jitter", "gateway_tcp"),
    "dns": ("resolver_ok", "public_dns_ok", "provider_name"),
}


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What the host was told of a site; None = not told. path: {target: "peer" or a transit network's name}, where
    target is anchor1..3, reflector, edge, edge2 or second."""

    site: str
    isp: str | None
    region: str | None
    provider: str | None
    edge: str | None = None
    second: str | None = None
    carrier: str | None = None
    technology: str | None = None
    witness_on_wifi: bool | None = None
    phones_on_wifi: bool | None = None
    path: Mapping[str, str] | None = None


@dataclass(slots=True)
class Rounds:
    """One site on the grid of rounds. measured: the rounds that have a reading at all."""

    facts: SiteFacts
    t0_s: float
    step_s: float
    measured: Flags
    columns: dict[str, Column] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.measured)

    def column(self, name: str) -> Column:
        """Return a column, all NaN where it was never measured."""
        found = self.columns.get(name)
        return np.full(len(self.measured), np.nan) if found is None else found

    def without(self, sources: frozenset[str]) -> Rounds:
        """Return the same rounds as if those sources had never been in the plan. KeyError names an unknown one."""
        gone = {name for source in sources for name in SOURCES[source]}
        kept = {name: values for name, values in self.columns.items() if name not in gone}
        return Rounds(self.facts, self.t0_s, self.step_s, self.measured, kept)


@dataclass(frozen=True, slots=True)
class Post:
    """A provider's own word: provider and edge (None: all) in [start_s, end_s), posted at posted_s."""

    provider: str
    edge: str | None
    start_s: float
    end_s: float
    posted_s: float
    maintenance: bool


def confirmed(posts: Iterable[Post], provider: str | None, start_s: float, end_s: float) -> bool:
    """Return whether a post of the provider, made while or soon after, speaks of a time that meets [start_s, end_s).

    A post confirms only what readings found: one that was made before, or half a day later, says nothing of it.
    """
    return any(
        post.provider == provider
        and post.start_s < end_s + POSTED_ROUND_S
        and post.end_s > start_s - POSTED_ROUND_S
        and (post.maintenance or start_s - POSTED_ROUND_S <= post.posted_s <= end_s + POSTED_LATE_S)
        for post in posts
    )
