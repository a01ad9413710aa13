"""A third set of kinds and a style drawn anew for every seed, for judging.

HOME and ABROAD are what methods are tuned and tried on, so they say little about strangers' networks. Here every world
has sizes, noise, probes and rates of its own, and kinds of fault that neither set has: many offices hit at once by
something that isn't the provider's, providers that fail in part, probes that are refused while calls work, pages that
speak of other people's outages.

Rules were mended for what they got wrong here, so the kinds are no longer strangers; styles and seeds still are.
"""

from __future__ import annotations

import numpy as np

from simulations.branch.kind import LAN, POWER, ROUTER, k
from simulations.branch.style import Style

# fmt: off
BLIND = (
    # customer
    k("region_power_cut", POWER, "region", 3, 120, 1.2,
      "witness_off=1 phones=1 reboot_router=1", reach=(0.4, 1.0)),
    k("ups_test", POWER, "site", 1.2, 5, 20, "witness_off=1 phones=1", when="night"),
    k("spanning_tree", LAN, "site", 6, 40, 14, "lan.down=1", shape="dips"),
    k("radar_channel_change", LAN, "site", 1, 3, 30, "radio.down=1", needs="radio"),
    k("kitchen_microwave", LAN, "site", 20, 90, 25,
      "radio.loss=.04~.3 radio.jitter=10~60", shape="noisy", needs="radio", when="office"),
    k("address_conflict", LAN, "site", 15, 200, 12,
      "router.loss=.2~.6 gw_tcp=.3~.7 icmp_gw=0~.2", shape="noisy"),
    k("office_video_day", LAN, "tenant", 40, 150, 1,
      "line.delay=60~350 line.jitter=12~60 line.loss_d=.01~.08 util_d=.9~1", shape="noisy", looks_like=("access",),
      tie_breaker="snmp", reach=(0.2, 0.6), when="office"),
    k("backup_uploads", LAN, "tenant", 30, 200, 0.8,
      "line.delay=80~500 line.jitter=10~50 line.loss_u=.01~.1 util_u=.9~1", shape="noisy", looks_like=("access",),
      tie_breaker="snmp", reach=(0.1, 0.4), when="night"),
    k("router_firmware_push", ROUTER, "tenant", 2, 9, 0.8,
      "router.down=1 gw_tcp=1 icmp_gw=1 dns_r=1 reboot_router=1 snmp=1", reach=(0.3, 0.9), when="night"),
    k("sip_helper_push", ROUTER, "tenant", 60, 600, 0.6,
      "call_any=.5~1", looks_like=("provider",), tie_breaker="testcall+pooled", reach=(0.05, 0.25), when="office"),
    k("tunnel_to_headquarters", ROUTER, "tenant", 30, 240, 0.6,
      "isp.delay=40~200 isp.jitter=5~35 isp.loss=.005~.06", shape="noisy", looks_like=("access", "transit"),
      reach=(0.1, 0.4)),
    k("flow_table_leak", ROUTER, "site", 60, 600, 12,
      "new_flows=.2~.9 cpu=.1~.3", shape="ramp", looks_like=("access",), tie_breaker="neighbour"),
    k("priority_queue_starved", ROUTER, "site", 40, 500, 12,
      "udp.loss_u=.03~.25 udp.jitter=5~40", shape="noisy", looks_like=("access",), tie_breaker="neighbour"),
    # access
    k("night_works", "access", "isp", 10, 150, 4, "isp.down=1", shape="dips", when="night"),
    k("night_works_all", "access", "isp_all", 2, 25, 2, "isp.down=1", when="night", reach=(0.3, 1.0)),
    k("storm", "access", "region", 10, 90, 1.5, "line.down=1 wan=1", shape="flap", reach=(0.15, 0.6)),
    k("carrier_grade_nat_full", "access", "isp", 40, 240, 4,
      "new_flows=.3~.95", shape="bell", looks_like=("customer",), tie_breaker="neighbour", when="office"),
    k("isp_resolver_lies", "access", "isp", 30, 400, 2,
      "pdns=-1 phones=.4~1", looks_like=("provider", "customer"), tie_breaker="pooled"),
    k("mtu_black_hole", "access", "isp", 30, 500, 3,
      "call_any=.6~1", looks_like=("provider", "customer"), tie_breaker="testcall+pooled+neighbour"),
    k("dsl_vectoring", "access", "isp", 30, 300, 3,
      "line.loss=.02~.12 line.jitter=4~25", shape="noisy", tech=("dsl",)),
    k("backup_line", "access", "site", 30, 600, 25,
      "line.delay=40~160 line.jitter=8~45 line.loss=.004~.05", shape="noisy"),
    k("isp_core_brownout", "access", "isp_all", 15, 180, 1.5,
      "isp.loss=.02~.2 isp.delay=5~90 isp.jitter=3~30", shape="ramp"),
    # transit
    k("route_leak", "transit", "isp_provider", 8, 120, 4,
      "far.down=1", looks_like=("provider",), tie_breaker="pooled"),
    k("route_leak_detour", "transit", "isp_provider", 20, 240, 3,
      "far.delay=80~260 far.jitter=5~40 far.loss=.01~.12", shape="noisy", looks_like=("provider",),
      tie_breaker="pooled"),
    k("transit_ramp", "transit", "transit", 30, 240, 4, "far.loss=.03~.3 far.jitter=4~30", shape="ramp"),
    k("transit_dips", "transit", "transit", 10, 90, 4, "far.down=1", shape="dips"),
    k("peering_office_hours", "transit", "peering", 60, 300, 6,
      "far.delay=15~70 far.jitter=5~30 far.loss=.015~.09", shape="bell", looks_like=("provider",),
      tie_breaker="pooled", when="office"),
    # provider
    k("provider_region_down", "provider", "edge_region", 4, 150, 9,
      "far.down=1", post="network", looks_like=("transit",), tie_breaker="pooled"),
    k("provider_region_sip", "provider", "edge_region", 4, 150, 7,
      "far_sip=1 far_tcp=0~1 far_code=0", post="signalling", looks_like=("customer", "transit"), tie_breaker="pooled"),
    k("provider_dips", "provider", "edge", 10, 120, 5,
      "far.down=1", shape="dips", post="network", looks_like=("transit",), tie_breaker="pooled", reach=(0.3, 1.0)),
    k("provider_overload", "provider", "edge", 20, 300, 6,
      "far_sip=.15~.7 far_register=.2~.6 far_code=500", shape="bell", post="signalling", when="office",
      reach=(0.3, 1.0)),
    k("provider_timeouts", "provider", "edge", 20, 240, 5,
      "far_sip=.3~.9 far_register=.2~.7", shape="noisy", post="signalling", looks_like=("transit",),
      tie_breaker="pooled", reach=(0.3, 1.0)),
    k("provider_all_down", "provider", "provider", 3, 60, 1.5, "far.down=1", post="network", looks_like=("transit",),
      tie_breaker="pooled"),
    k("provider_media_queue", "provider", "edge", 20, 240, 5,
      "far_media.jitter=25~90 far_media.delay=20~200 far_media.loss=.005~.06", shape="bell", post="media",
      looks_like=("transit",), tie_breaker="pooled", when="office", reach=(0.3, 1.0)),
    k("provider_no_return_media", "provider", "edge_region", 10, 200, 4,
      "far_media.loss_u=.4~1", post="media", looks_like=("customer", "transit"), tie_breaker="pooled"),
    k("provider_wrong_record", "provider", "customers", 10, 150, 2,
      "pdns=-1 phones=.5~1", post="network", looks_like=("customer",), tie_breaker="pooled", reach=(0.4, 1.0)),
    k("provider_refuses_isp", "provider", "isp_edge", 30, 600, 3,
      "far_sip=1 far_register=1 far_code=403", looks_like=("customer",), tie_breaker="neighbour"),
    k("provider_drops_isp", "provider", "isp_edge", 20, 300, 2, "far.down=1 far_icmp=1", looks_like=("transit",)),
    k("provider_refuses_options", "none", "customers", 400, 4000, 1.5, "far_options=1 far_code=404"),
    k("provider_mutes_options", "none", "customers", 200, 3000, 1.5, "far_options=1"),
    k("provider_limits_probes", "none", "edge", 60, 500, 5,
      "far_options=.2~.8 far_icmp=.2~.9", shape="bell", when="office"),
    k("provider_sheds_echo", "none", "customers", 20, 300, 2, "callee=.5~1"),
    # carrier
    k("carrier_busy_hours", "carrier", "carrier_all", 40, 200, 1.5,
      "carrier=.35~.8 pdd=2~8", shape="bell", looks_like=("provider",), tie_breaker="testcall", post="pstn",
      when="office", reach=(0.3, 0.8)),
    k("carrier_interconnect", "carrier", "customers", 10, 150, 3,
      "carrier=1", looks_like=("provider",), tie_breaker="testcall", post="pstn", reach=(0.4, 1.0)),
    k("carrier_dips", "carrier", "carrier", 20, 150, 3,
      "carrier=1", shape="flap", looks_like=("provider",), tie_breaker="testcall", post="pstn"),
    k("carrier_one_way", "carrier", "carrier", 20, 200, 4,
      "carrier_loss=.15~.6", looks_like=("provider",), tie_breaker="testcall", post="pstn"),
    # nobody's: probes, controls, witness, collector
    k("anchors_one_host", "none", "anchors", 8, 200, 2, "far.down=1"),
    k("anchor_and_reflector", "none", "anchor_reflector", 10, 200, 2, "far.down=1"),
    k("reflector_busy", "none", "reflector", 40, 300, 4,
      "far.loss=.02~.15 far.jitter=10~50 far.delay=10~120", shape="bell", when="office"),
    k("echoes_limited_by_isp", "none", "isp_all", 60, 900, 2, "icmp_any=.3~.9", when="office"),
    k("callee_busy_hours", "none", "all", 60, 240, 2, "callee=.3~.8 carrier_callee=.3~.8", shape="bell", when="office"),
    k("witness_cable", "none", "site", 60, 900, 20, "witness_ip.loss=.02~.25", shape="noisy"),
    k("no_lease", "none", "site", 10, 300, 20, "witness_ip.down=1"),
    k("time_server_lies", "none", "site", 30, 900, 15, "clock_s=-7200~-900"),
    k("collector_blocked", "none", "isp_all", 20, 300, 2, "held=1"),
    k("journal_overrun", "none", "region", 30, 300, 1, "dropped=1", reach=(0.3, 0.9)),
    k("witness_restarts", "none", "site", 20, 120, 15, "witness_off=2", shape="dips"),
)
# fmt: on


def draw_style(seed: int) -> Style:
    """Return the style of one blind world; every share and factor is drawn from a range of its own."""
    rng = np.random.default_rng([seed, 2])

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def around(middle: float, times: float) -> float:
        return float(middle * np.exp(rng.uniform(-np.log(times), np.log(times))))

    lte, fibre, cable = (float(share) for share in rng.dirichlet((3, 4, 2, 4))[:3])
    return Style(
        isps=int(rng.integers(3, 13)), regions=int(rng.integers(2, 7)), providers=int(rng.integers(2, 8)),
        transits=int(rng.integers(2, 6)), carriers=int(rng.integers(2, 6)), peered=between(0.2, 0.9),
        isp_evenness=around(2.0, 4.0), provider_evenness=around(3.0, 4.0),
        wifi_witness=between(0.15, 0.9), wifi_phones=between(0.05, 0.5), told_phones=between(0.5, 1.0),
        told_witness=between(0.7, 1.0), snmp=between(0.1, 0.8), testcalls=between(0.2, 0.9), traces=between(0.2, 0.9),
        reflectors=between(0.5, 1.0), second_legs=between(0.6, 1.0), gateway_tcp=between(0.8, 1.0),
        provider_tcp=between(0.6, 1.0), v6=between(0.2, 0.9), second_every=int(rng.choice((1, 1, 2, 5))),
        router_limits_icmp=between(0.05, 0.4), silent_gateway=between(0.0, 0.12), silent_hop1=between(0.1, 0.6),
        silent_edge=between(0.1, 0.6), tech_lte=lte, tech_fibre=fibre, tech_cable=cable,
        noise=around(1.0, 1.3), bursts=around(1.0, 1.8), spikes=around(0.001, 3.0),
        rate=around(0.45, 1.3), rate_spread=0.6, length=around(0.85, 1.6), severity=around(0.85, 1.5),
        overlap=between(0.05, 0.25), posts=between(0.2, 0.8), honest_posts=between(0.1, 0.6),
        invented_posts=around(5.0, 2.0), posts_for_others=between(0.05, 0.3),
    )  # fmt: skip
