"""The kinds of fault, as a table: where each sits, what it changes and by how much, how long, how often.

A kind never names a reading. It changes the path's parts, and observe.py measures the parts as a witness would; so
truth and readings can't disagree. An effect is `part.change=amount`, amount a number or a range `low~high` (one draw a
fault, log-uniform when low > 0):

    part    radio (the witness's radio and, where they have one, the phones'), witness_radio, phones_radio, lan, router,
            line (access line to the first hop), isp (beyond it), udp (whatever handles UDP media on the way), dns (the
            path to the public resolver), a1 a2 a3 x (paths to the anchors and to the reflector), and by scope:
            far (what the scope's entity is at this site: the path to the provider's edge, over that transit, over that
            peering ...), far_media (beyond it: the media servers only)
    change  down, loss, loss_u, loss_d (shares of packets), delay, jitter (ms, added)
    others  NAME=share of attempts that fail: icmp_gw icmp_h1 icmp_any icmp_anchor far_icmp gw_tcp tcp_any new_flows
            dns_r dns_a far_tcp far_sip far_options far_register call_any carrier callee carrier_callee sip_any phones
            snmp v6 far_v6; NAME=value: far_code pdns pdd (s) carrier_loss util_u util_d cpu wan witness_off
            (1 power, 2 crash) clock_s unsynced dropped held reboot_router

Scopes (who shares one occurrence): site, isp (one ISP in one region), isp_all, dns_isp, transit (one transit network in
one region), peering (one ISP and one provider), edge (one edge of one provider), provider (all its edges), member (an
edge, but the phones fail over), carrier (one carrier in one region), carrier_all, anchor, anchor_pair, reflector, all
(every site), tenant (the customer's own rules), banned (a few sites of one edge).

Sides are those of the world format. Shapes over time: flat, noisy, ramp (slow brown-out), bell (an evening),
flap (on and off). looks_like names the sides that readings can't tell apart from the true one unless the site has the
tie-breaker: snmp, testcall, pooled (another site on another ISP with the same provider), neighbour (another site of the
same ISP and region), None (never).
"""

from __future__ import annotations

from dataclasses import dataclass


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
    post: str = ""
    abroad: bool = False


def k(name: str, side: str, scope: str, low: float, high: float, rate: float, effects: str, **more: object) -> Kind:
    """Return a Kind from one line of the table."""
    return Kind(name, side, scope, (low, high), rate, tuple(effects.split()), **more)  # type: ignore[arg-type]


POWER, LAN, ROUTER = "customer_power", "customer_lan", "customer_router"

# fmt: off
HOME = (
    # customer: power, Wi-Fi and switches
    k("power_cut", POWER, "site", 2, 90, 70, "witness_off=1 phones=1 reboot_router=1"),
    k("power_dips", POWER, "site", 8, 40, 12, "witness_off=1 phones=1 reboot_router=1", shape="flap"),
    k("ap_reboot", LAN, "site", 1.2, 4, 75, "radio.down=1", needs="radio"),
    k("wifi_interference", LAN, "site", 5, 90, 110,
      "radio.loss=.02~.25 radio.delay=20~200 radio.jitter=8~90", shape="noisy", needs="radio"),
    k("wifi_full", LAN, "site", 30, 240, 45,
      "radio.loss=.01~.08 radio.delay=10~90 radio.jitter=6~35", shape="bell", needs="radio"),
    k("wifi_of_witness", "none", "site", 5, 240, 60,
      "witness_radio.loss=.02~.3 witness_radio.delay=10~150 witness_radio.jitter=6~70", shape="noisy",
      needs="witness_radio"),
    k("switch_reboot", LAN, "site", 1, 4, 25, "lan.down=1"),
    k("switch_loop", LAN, "site", 4, 60, 18,
      "lan.loss=.1~.6 lan.delay=20~300 lan.jitter=10~120 cpu=.3~.9", shape="noisy"),
    k("uplink_saturation", LAN, "site", 10, 200, 70,
      "line.delay=80~500 line.jitter=15~70 line.loss_u=.01~.12 util_u=.9~1", shape="noisy", looks_like=("access",),
      tie_breaker="snmp"),
    k("downlink_saturation", LAN, "site", 10, 200, 45,
      "line.delay=40~250 line.jitter=12~50 line.loss_d=.01~.1 util_d=.9~1", shape="noisy", looks_like=("access",),
      tie_breaker="snmp"),
    k("phones_dead", LAN, "site", 10, 200, 15, "phones=1", looks_like=("provider",)),
    # customer: router, NAT, SIP helper, rules, resolvers
    k("router_reboot", ROUTER, "site", 1.5, 6, 50, "router.down=1 gw_tcp=1 icmp_gw=1 dns_r=1 reboot_router=1 snmp=1"),
    k("router_hang", ROUTER, "site", 5, 120, 25, "router.down=1 gw_tcp=.8~1 dns_r=1 snmp=1 icmp_gw=0~.6"),
    k("router_overload", ROUTER, "site", 10, 180, 35,
      "router.loss=.01~.15 router.delay=10~120 router.jitter=8~60 gw_tcp=.2~.6 dns_r=.2~.7 cpu=.4~.85",
      shape="noisy"),
    k("router_dns_broken", ROUTER, "site", 10, 400, 25, "dns_r=1"),
    k("resolver_lies", ROUTER, "site", 30, 600, 8,
      "pdns=-1 phones=.4~1", looks_like=("provider",), tie_breaker="pooled"),
    k("nat_exhausted", ROUTER, "site", 10, 150, 18,
      "new_flows=.3~.9", shape="noisy", looks_like=("access",), tie_breaker="neighbour"),
    k("sip_helper", ROUTER, "site", 30, 900, 14, "call_any=.5~1", looks_like=("provider",), tie_breaker="testcall"),
    k("rules_pushed", ROUTER, "tenant", 10, 90, 1,
      "sip_any=1 udp.loss=1", looks_like=("provider",), reach=(0.1, 0.5)),
    k("gw_icmp_limited", "none", "site", 60, 2000, 45, "icmp_gw=.3~1"),
    # access: the line and the ISP
    k("line_cut", "access", "site", 15, 900, 30, "line.down=1 wan=1"),
    k("dsl_retrain", "access", "site", 1, 4, 70, "line.down=1 wan=1", tech=("dsl",)),
    k("line_errors", "access", "site", 20, 400, 50,
      "line.loss=.01~.12 line.jitter=3~25", shape="noisy", tech=("dsl", "cable")),
    k("lte_cell_full", "access", "site", 30, 240, 40,
      "line.delay=30~250 line.jitter=15~60 line.loss=.01~.08", shape="bell", tech=("lte",)),
    k("hop1_blackhole", "access", "site", 5, 120, 30, "isp.down=1"),
    k("isp_evening", "access", "isp", 60, 240, 12, "isp.delay=8~60 isp.jitter=4~25 isp.loss=.01~.08", shape="bell"),
    k("isp_region_down", "access", "isp", 4, 120, 7, "isp.down=1"),
    k("isp_dns_outage", "access", "dns_isp", 8, 200, 6, "dns_r=1"),
    k("cgnat_throttled", "access", "isp", 20, 200, 4,
      "new_flows=.2~.8", shape="noisy", looks_like=("customer",), tie_breaker="neighbour"),
    k("h1_icmp_limited", "none", "isp", 60, 1500, 8, "icmp_h1=.3~1"),
    # transit and peering
    k("peering_congestion", "transit", "peering", 45, 220, 12,
      "far.delay=10~80 far.jitter=4~25 far.loss=.01~.1", shape="bell", looks_like=("provider",),
      tie_breaker="pooled"),
    k("peering_down", "transit", "peering", 4, 90, 6, "far.down=1", looks_like=("provider",), tie_breaker="pooled"),
    k("transit_loss", "transit", "transit", 10, 150, 6, "far.loss=.02~.25 far.jitter=2~20", shape="noisy"),
    k("transit_asymmetric", "transit", "transit", 10, 150, 6, "far.loss_u=.04~.3", shape="noisy"),
    k("transit_blackhole", "transit", "transit", 3, 40, 4, "far.down=1"),
    # provider
    k("provider_edge_down", "provider", "edge", 3, 120, 6,
      "far.down=1", post="network", looks_like=("transit",), tie_breaker="pooled", reach=(0.15, 1.0)),
    k("provider_sip_down", "provider", "edge", 3, 150, 7,
      "far_sip=1", post="signalling", looks_like=("customer",), tie_breaker="pooled", reach=(0.3, 1.0)),
    k("provider_sip_errors", "provider", "edge", 5, 200, 7,
      "far_sip=.5~1 far_code=503", post="signalling", reach=(0.15, 1.0)),
    k("provider_media_dead", "provider", "edge", 4, 120, 6,
      "far_media.down=1", post="media", looks_like=("transit", "customer"), tie_breaker="pooled", reach=(0.15, 1.0)),
    k("provider_media_loss", "provider", "edge", 15, 300, 5,
      "far_media.loss=.03~.25 far_media.jitter=4~30", shape="noisy", post="media", looks_like=("transit",),
      tie_breaker="pooled", reach=(0.15, 1.0)),
    k("provider_brownout", "provider", "edge", 40, 400, 5,
      "far.delay=20~150 far.jitter=6~40 far.loss=.01~.12 far_sip=.1~.6", shape="ramp", post="network",
      looks_like=("transit",), tie_breaker="pooled", reach=(0.15, 1.0)),
    k("provider_registrar_down", "provider", "provider", 5, 150, 4,
      "far_register=1", post="signalling", looks_like=("carrier",), tie_breaker="testcall", reach=(0.1, 0.6)),
    k("provider_bans_address", "provider", "banned", 20, 900, 6,
      "far.down=1 far_icmp=1", looks_like=("customer", "transit")),
    k("provider_srv_member_dead", "provider", "member", 20, 400, 4, "far.down=1", phones=False),
    k("provider_maintenance", "provider", "edge", 15, 90, 3, "far_sip=1", post="maintenance", reach=(0.3, 1.0)),
    k("provider_blocks_icmp", "none", "edge", 60, 2000, 4, "far_icmp=1"),
    k("options_limited", "none", "edge", 30, 900, 6, "far_options=.3~1"),
    # carrier
    k("carrier_down", "carrier", "carrier", 5, 180, 4,
      "carrier=1", looks_like=("provider",), tie_breaker="testcall", post="pstn", reach=(0.3, 1.0)),
    k("carrier_all_down", "carrier", "carrier_all", 5, 90, 0.6,
      "carrier=1", looks_like=("provider",), tie_breaker="testcall", post="pstn"),
    k("carrier_partial", "carrier", "carrier", 15, 300, 5,
      "carrier=.35~.8", looks_like=("provider",), tie_breaker="testcall", post="pstn", reach=(0.3, 1.0)),
    k("carrier_quality", "carrier", "carrier", 30, 300, 4,
      "carrier_loss=.05~.25", looks_like=("provider",), tie_breaker="testcall", reach=(0.3, 1.0)),
    k("carrier_slow", "carrier", "carrier", 30, 300, 3, "pdd=3~12 carrier=.02~.1"),
    # nobody's fault: the witness, the controls and the collector
    k("witness_crash", "none", "site", 1, 6, 110, "witness_off=2"),
    k("clock_step", "none", "site", 5, 600, 30, "clock_s=20~3000"),
    k("boot_without_time", "none", "site", 3, 60, 20, "witness_off=2 unsynced=1"),
    k("buffer_overflow", "none", "site", 30, 300, 10, "dropped=1"),
    k("broker_outage", "none", "all", 10, 300, 2, "held=1"),
    k("anchor_outage", "none", "anchor", 10, 300, 6, "far.down=1"),
    k("reflector_outage", "none", "reflector", 10, 300, 4, "far.down=1"),
    k("callee_down", "none", "all", 20, 400, 3, "callee=1"),
    k("carrier_callee_down", "none", "all", 20, 300, 2, "carrier_callee=1", looks_like=("carrier",)),
    k("public_dns_outage", "none", "all", 10, 120, 2, "dns_a=1"),
)

ABROAD = (
    k("poe_fault", POWER, "site", 10, 240, 20, "phones=1 witness_off=1", abroad=True),
    k("roaming_storm", LAN, "site", 5, 60, 60, "radio.down=.3~.8", shape="flap", needs="radio", abroad=True),
    k("duplex_mismatch", LAN, "site", 200, 2000, 6, "lan.loss=.02~.1 lan.jitter=2~12", abroad=True),
    k("rogue_dhcp", LAN, "site", 10, 120, 15, "router.down=1 icmp_gw=1 gw_tcp=1 dns_r=1 snmp=1", abroad=True),
    k("shaper_wrong", ROUTER, "site", 60, 800, 12,
      "udp.loss=.03~.2 udp.jitter=5~30", shape="noisy", looks_like=("access",), tie_breaker="neighbour",
      abroad=True),
    k("idle_flows_dropped", ROUTER, "site", 60, 800, 12,
      "phones=.35~.8 call_any=.1~.5", looks_like=("provider",), abroad=True),
    k("rules_pushed_sip", ROUTER, "tenant", 10, 60, 1,
      "far_sip=1 far_register=1", looks_like=("provider",), abroad=True, reach=(0.1, 0.5)),
    k("tcp_only", ROUTER, "site", 10, 120, 10, "udp.down=1 dns_a=1 sip_any=1", looks_like=("access",), abroad=True),
    k("line_flaps", "access", "site", 10, 150, 40, "line.down=1 wan=1", shape="flap", abroad=True),
    k("line_asymmetric", "access", "site", 20, 300, 35, "line.loss_u=.03~.3", shape="noisy", abroad=True),
    k("isp_filters_sip", "access", "isp", 30, 500, 3,
      "sip_any=1", looks_like=("provider", "customer"), tie_breaker="pooled", abroad=True),
    k("isp_polices_udp", "access", "isp", 30, 300, 5, "udp.loss=.03~.25", shape="noisy", abroad=True),
    k("isp_partial", "access", "isp_all", 10, 120, 3, "isp.loss=.05~.5", shape="noisy", abroad=True),
    k("isp_v6_broken", "access", "isp", 30, 600, 4, "v6=1", abroad=True),
    k("transit_detour", "transit", "transit", 30, 400, 5, "far.delay=60~200 far.jitter=2~15", abroad=True),
    k("transit_flaps", "transit", "transit", 8, 60, 5, "far.down=.5~1", shape="flap", abroad=True),
    k("peering_one_bad_link", "transit", "peering", 30, 300, 8,
      "far.loss=.1~.5", looks_like=("provider",), tie_breaker="pooled", abroad=True),
    k("peering_asymmetric", "transit", "peering", 20, 200, 6,
      "far.loss_d=.04~.3", shape="noisy", looks_like=("provider",), tie_breaker="pooled", abroad=True),
    k("provider_flaps", "provider", "edge", 10, 90, 6,
      "far.down=1", shape="flap", post="network", looks_like=("transit",), tie_breaker="pooled", abroad=True),
    k("provider_one_way_audio", "provider", "edge", 10, 200, 6,
      "far_media.loss_d=.9~1", post="media", looks_like=("customer", "transit"), tie_breaker="pooled", abroad=True),
    k("provider_tls_expired", "provider", "provider", 20, 200, 2,
      "far_sip=1 far_tcp=1 far_register=1", post="signalling", abroad=True, reach=(0.25, 0.8)),
    k("provider_rejects_auth", "provider", "provider", 15, 200, 2,
      "far_register=.5~1", post="signalling", looks_like=("carrier",), tie_breaker="testcall", abroad=True,
      reach=(0.25, 0.8)),
    k("provider_slow_setup", "provider", "provider", 30, 300, 2,
      "far_sip=.3~.8", shape="ramp", post="signalling", looks_like=("transit",), tie_breaker="pooled", abroad=True,
      reach=(0.25, 0.8)),
    k("provider_dns_gone", "provider", "provider", 10, 120, 2,
      "pdns=0 phones=.35~.9", post="network", abroad=True, reach=(0.25, 0.8)),
    k("provider_v6_broken", "provider", "provider", 30, 600, 2, "far_v6=1", phones=False, abroad=True),
    k("provider_anti_flood", "none", "edge", 20, 300, 5, "far_options=.3~.9 far_icmp=.5~1 far_code=403", abroad=True),
    k("provider_fakes_health", "provider", "edge", 15, 200, 4,
      "far_register=.6~1 far_media.down=1", post="media", looks_like=("transit",), tie_breaker="pooled",
      abroad=True),
    k("carrier_flaps", "carrier", "carrier", 20, 200, 5,
      "carrier=1", shape="flap", looks_like=("provider",), tie_breaker="testcall", post="pstn", abroad=True),
    k("carrier_cuts_numbers", "carrier", "carrier", 30, 400, 4,
      "carrier=.35~.6", looks_like=("provider",), tie_breaker="testcall", abroad=True),
    k("two_anchors_out", "none", "anchor_pair", 10, 200, 3, "far.down=1", abroad=True),
    k("anchor_limits_icmp", "none", "anchor", 60, 900, 4, "icmp_anchor=.3~1", abroad=True),
    k("witness_slow", "none", "site", 20, 400, 25,
      "witness_radio.delay=30~200 witness_radio.jitter=20~90", shape="noisy", abroad=True),
    k("witness_flash_full", "none", "site", 60, 600, 10, "dropped=1", shape="flap", abroad=True),
    k("reflector_loss", "none", "reflector", 30, 300, 3, "far.loss=.05~.4", shape="noisy", abroad=True),
)
# fmt: on

KINDS = {kind.name: kind for kind in HOME + ABROAD}


def select(names: str) -> tuple[Kind, ...]:
    """Return the kinds that `home`, `abroad` (home's and those never seen there), `all` or a list with commas names.

    KeyError names one that doesn't exist.
    """
    if names == "home":
        return HOME
    if names in ("abroad", "all"):
        return HOME + ABROAD
    return tuple(KINDS[name] for name in names.split(","))


def amount_range(text: str) -> tuple[float, float]:
    """Return (low, high) of `1`, `.02~.3` or `80~400`; a single number is both."""
    low, tilde, high = text.partition("~")
    return float(low), float(high if tilde else low)
