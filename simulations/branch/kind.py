"""A kind of fault as data: where it sits, what it changes and by how much, how long, how often.

A kind never names a reading. It changes the path's parts, and observe.py measures the parts as a witness would; so
truth and readings can't disagree. An effect is `part.change=amount`, amount a number or a range `low~high` (one draw a
fault, log-uniform when low > 0):

    part    radio (the witness's radio and, where they have one, the phones'), witness_radio, phones_radio, witness_ip
            (its own port and address), lan, router,
            line (access line to the first hop), isp (beyond it), udp (whatever handles UDP media on the way), dns (the
            path to the public resolver), a1 a2 a3 x (paths to the anchors and to the reflector), and by scope:
            far (what the scope's entity is at this site: the path to the provider's edge, over that transit, over that
            peering ...), far_media (beyond it: the media servers only)
    change  down, loss, loss_u, loss_d (shares of packets), delay, jitter (ms, added)
    others  NAME=share of attempts that fail: icmp_gw icmp_h1 icmp_any icmp_anchor far_icmp gw_tcp tcp_any new_flows
            dns_r dns_a far_tcp far_sip far_options far_register call_any carrier callee carrier_callee sip_any phones
            snmp v6 far_v6 first_member (calls go by another of the edge's members, RFC 3263); NAME=value: far_code
            pdns pdd (s) carrier_loss util_u util_d cpu wan witness_off (1 power, 2 crash) clock_s unsynced dropped
            held reboot_router

Scopes (who shares one occurrence): site, isp (one ISP in one region), isp_all, dns_isp, transit (one transit network in
one region), peering (one ISP and one provider), isp_provider (all ways of one ISP to one provider), edge (one edge of
one provider), edge_region (that, seen from one region), isp_edge (that, seen from one ISP), provider (all its edges),
customers (the sites that it is the first provider of), member (an edge, but the phones fail over), carrier (one carrier
in one region), carrier_all, anchor, anchor_pair, anchors, reflector, anchor_reflector, region (every site there), all
(every site), tenant (the customer's own doing), banned (a few sites of one edge).

Sides are those of the world format. Shapes over time: flat, noisy, ramp (slow brown-out), bell (up and down again),
flap (on and off), dips (mostly well). when: evening (bells, unless they say otherwise), night, office: local hours in
which it starts. looks_like names the sides that readings can't tell apart from the true one unless the site has the
tie-breaker: snmp, testcall, pooled (another site on another ISP with the same provider), neighbour (another site of the
same ISP and region), None (never); `a+b`
asks for both.
"""

from __future__ import annotations

from dataclasses import dataclass

POWER, LAN, ROUTER = "customer_power", "customer_lan", "customer_router"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault. rate: occurrences in 200 sites x 14 days. minutes: log-uniform. reach: share of
    the scope's sites that one occurrence touches. phones: False = they don't feel it."""

    name: str
    side: str
    scope: str
    minutes: tuple[float, float]
    rate: float
    effects: tuple[str, ...]
    shape: str = "flat"
    looks_like: tuple[str, ...] = ()
    tie_breaker: str | None = None
    tech: tuple[str, ...] = ()
    needs: str = ""
    reach: tuple[float, float] = (1.0, 1.0)
    phones: bool = True
    when: str = ""
    post: str = ""


def k(name: str, side: str, scope: str, low: float, high: float, rate: float, effects: str, **more: object) -> Kind:
    """Return a Kind from one line of the table."""
    return Kind(name, side, scope, (low, high), rate, tuple(effects.split()), **more)  # type: ignore[arg-type]


def amount_range(text: str) -> tuple[float, float]:
    """Return (low, high) of `1`, `.02~.3` or `80~400`; a single number is both."""
    low, tilde, high = text.partition("~")
    return float(low), float(high if tilde else low)
