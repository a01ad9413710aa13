"""Two branches, two ISPs, one phone provider, and the three things that go wrong there within two minutes.

A scenario is data: what surrounds each branch, what happens when, and the truth that nobody hands to the code which
settles. Times are seconds from the story's beginning; links are those of the branches' topologies.

        witness -- lan -- router -- access -- transit -- anchors, time, our own reflector, the broker
                                        \\-- peering -- provider's edge     \\-- a second provider
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PROVIDER = "VoxCloud"
EDGE = "198.51.100.10"
SECOND_EDGE = "198.51.100.200"
REFLECTOR = "203.0.113.50"
BROKER = "203.0.113.5"
RESOLVER = "192.0.2.53"
ANCHORS = ("192.0.2.1", "203.0.113.1", "198.18.0.1")
TIME_SERVERS = ("192.0.2.123", "203.0.113.123", "198.18.0.123")


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch office: its site name, its ISP, its LAN's prefix, the ISP's first hop, delays of its links in ms."""

    site: str
    isp: str
    lan: str
    isp_hop: str
    access_ms: float
    transit_ms: float

    @property
    def witness(self) -> str:
        return "desk"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong: where (None: everywhere), how, from when for how long, and whose side it truly is."""

    title: str
    site: str | None
    action: str  # "link" takes a link down, "wifi" takes the radio away
    link: str
    at_s: float
    lasts_s: float
    side: str
    segment: str


@dataclass(frozen=True, slots=True)
class Post:
    """What the provider says on its status page, and when; `claims_start_s` is the beginning that it admits."""

    at_s: float
    name: str
    claims_start_s: float
    resolved_at_s: float


BRANCHES = (
    Branch("leeds", "Northnet", "192.168.10", "100.64.10.1", 6.0, 4.0),
    Branch("york", "Ridgeline", "192.168.20", "100.65.20.1", 9.0, 5.0),
)

FAULTS = (
    Fault("the provider's edge stops answering", None, "link", "provider", 12, 26, "provider", "provider"),
    Fault("the router in Leeds hangs", "leeds", "link", "router", 52, 22, "customer", "router"),
    Fault("the Wi-Fi in York drops", "york", "wifi", "", 87, 22, "customer", "lan"),
)

POST = Post(at_s=31, name="Calls may fail to connect", claims_start_s=29, resolved_at_s=43)

LASTS_S = 123


def network(branch: Branch, ports: dict[str, int]) -> dict[str, Any]:
    """Return the topology around a branch's board; ports are those of the real peers on 127.0.0.1 by name."""

    def peer(name: str) -> str:
        return f"127.0.0.1:{ports[name]}"

    near = ["lan", "router", "access"]
    far = [*near, "transit"]
    edge = [*near, "peering", "provider"]
    nodes: dict[str, Any] = {
        "gateway": {"address": f"{branch.lan}.1", "via": ["lan", "router"], "udp": {"53": peer("dns")}},
        "isp-hop": {"address": branch.isp_hop, "via": near},
        "resolver": {"address": RESOLVER, "via": far, "udp": {"53": peer("dns")}},
        "edge": {
            "address": EDGE,
            "via": edge,
            "udp": {"5060": peer("sip"), "862": peer("media")},
            "tcp_peers": {"5060": peer("sip")},
        },
        "second-edge": {"address": SECOND_EDGE, "via": [*near, "peering"], "udp": {"5060": peer("second_sip")}},
        "reflector": {"address": REFLECTOR, "via": far, "udp": {"862": peer("reflector")}},
        "broker": {"address": BROKER, "via": far, "tcp_peers": {str(ports["broker"]): peer("broker")}},
    }
    for i, address in enumerate(ANCHORS, 1):
        nodes[f"anchor-{i}"] = {"address": address, "via": far, "tcp_peers": {"443": peer("tcp")}}
    for i, address in enumerate(TIME_SERVERS, 1):
        nodes[f"time-{i}"] = {"address": address, "via": far, "udp": {"123": peer(f"sntp{i}")}}
    return {
        "mode": "emulated",
        "address": f"{branch.lan}.50",
        "netmask": "255.255.255.0",
        "gateway": f"{branch.lan}.1",
        "dns": f"{branch.lan}.1",
        "seed": sum(branch.site.encode()),
        "links": {
            "lan": {"delay_ms": 0.5, "jitter_ms": 0.2},
            "router": {"delay_ms": 0.1},
            "access": {"delay_ms": branch.access_ms, "jitter_ms": 1.0},
            "transit": {"delay_ms": branch.transit_ms, "jitter_ms": 0.5},
            "peering": {"delay_ms": branch.transit_ms},
            "provider": {"delay_ms": 0.5},
        },
        "nodes": nodes,
    }


def targets(branch: Branch) -> list[dict[str, Any]]:
    """Return the targets of a branch's plan: every cheap one each second, a 2 s call-quality window in turn."""
    second = {"period_ms": 1_000, "fast_period_ms": 1_000, "timeout_ms": 800}
    window = {
        "packets": 100,
        "interval_ms": 20,
        "payload_octets": 172,
        "codec": "G.711 PLC",
        "buffer_ms": 60,
        "period_ms": 10_000,
        "fast_period_ms": 10_000,
        "timeout_ms": 1_000,
    }

    def target(name: str, segment: str, method: str, host: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "segment": segment, "method": method, "role": "subject", "host": host, **second, **more}

    return [
        target("self", "witness", "self", "", period_ms=10_000, fast_period_ms=10_000),
        target("link", "lan", "link", "", period_ms=5_000, fast_period_ms=5_000),
        target("gateway", "router", "icmp", "gateway"),
        target("gateway-dns", "router", "dns", "gateway", port=53, query="example.com"),
        target("isp-hop", "access", "icmp", branch.isp_hop),
        *[target(f"anchor-{i}", "transit", "icmp", host) for i, host in enumerate(ANCHORS, 1)],
        target("anchor-1-tcp", "transit", "tcp", ANCHORS[0], port=443, role="control"),
        target("edge", "provider", "icmp", EDGE),
        target("edge-sip", "provider", "sip_udp", EDGE, port=5060, query="sip.voxcloud.example"),
        target("edge-media", "provider", "stamp", EDGE, port=862, **window),
        target("reflector", "transit", "stamp", REFLECTOR, port=862, role="control", **window),
        target("second-sip", "transit", "sip_udp", SECOND_EDGE, port=5060, role="control", query="sip.other.example"),
    ]
