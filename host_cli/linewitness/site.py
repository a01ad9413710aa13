"""A branch office as its file says: who answers for which segment, how its boards reach the network, what they measure.

    name = "leeds"            isp = "..."   provider = "..."   carrier = "..."   time_zone = "Europe/London"
    region = "..."            (may be left out) which part of the ISP's and the carrier's networks it hangs on
    [line]                    down_kbits, up_kbits (may be left out): what the access line can carry, as the ISP sold it
    [network]                 kind = "wifi" | "ethernet", ssid, password = "secret:NAME"
    [plan]                    batch_s, fail_rounds, clear_rounds, resolvers, time_servers; metered = true: no windows
    [[target]]                name, segment, method, role, host, port, period_ms, fast_period_ms, timeout_ms, and the
                              options of plan.py; the order is that of the readings: append, don't insert

A target's host is a dotted address, a name, or "gateway" (the default gateway of the moment). What a target names as
secret (with or without "secret:" before it) is in secrets.toml: a STAMP key in hex, an SNMP community, a SIP account.
"""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from pathlib import Path

from linewitness import config
from linewitness.config import Optional, Table
from linewitness.endpoint import endpoint
from linewitness.errors import UsageProblem

TARGET_SCHEMA = {
    "name": str,
    "segment": str,
    "method": str,
    "host": str,
    "role": Optional(str),
    "port": Optional(int),
    "period_ms": Optional(int),
    "fast_period_ms": Optional(int),
    "timeout_ms": Optional(int),
    "query": Optional(str),
    "fresh": Optional(bool),
    "packets": Optional(int),
    "interval_ms": Optional(int),
    "payload_octets": Optional(int),
    "codec": Optional(str),
    "buffer_ms": Optional(int),
    "secret": Optional(str),
    "index": Optional(int),
    "usual": Optional(str),
    "member": Optional(int),
    "authority": Optional(str),
    "extension": Optional(str),
    "seconds": Optional(int),
    "allowed": Optional(bool),
    "register": Optional(bool),
    "echo": Optional(bool),
}

SITE_SCHEMA = {
    "name": str,
    "isp": str,
    "provider": str,
    "carrier": Optional(str),
    "region": Optional(str),
    "line": Optional({"down_kbits": int, "up_kbits": int}),
    "time_zone": str,
    "network": {"kind": str, "ssid": Optional(str), "password": Optional(str)},
    "plan": {
        "batch_s": int,
        "fail_rounds": int,
        "clear_rounds": int,
        "resolvers": [str],
        "time_servers": [str],
        "metered": Optional(bool),
    },
    "target": [TARGET_SCHEMA],
}

ANCHORS = ("1.1.1.1", "8.8.8.8", "9.9.9.9")  # three networks, none of them the customer's, the ISP's or the provider's
TIME_SERVERS = ("time.cloudflare.com", "time.google.com", "ptbtime1.ptb.de")
HOST_FORM = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?")
NAME_FORM = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class Site:
    """One branch office. network, plan and targets are the tables of its file, checked against SITE_SCHEMA."""

    name: str
    isp: str
    provider: str
    carrier: str | None
    time_zone: str
    network: Table
    plan: Table
    targets: list[Table]
    region: str = ""
    line_kbits: tuple[int, int] | None = None  # down, up

    @classmethod
    def read(cls, path: Path) -> Site:
        """Return the site in a file. Raises CannotDo or UsageProblem."""
        table = config.read(path, SITE_SCHEMA)
        if table["name"] != path.stem:
            raise UsageProblem(
                f"site '{table['name']}' in the file of another name", str(path), f"{table['name']}.toml"
            )
        check_name("site", table["name"])
        check_time_zone(table["time_zone"], str(path))
        network = table["network"]
        if network["kind"] not in ("wifi", "ethernet"):
            raise UsageProblem(f"no network of kind '{network['kind']}'", f"{path}: network: kind", "wifi or ethernet")
        if network["kind"] == "wifi" and "ssid" not in network:
            raise UsageProblem("key 'ssid' is missing", f"{path}: network", 'ssid = "..."')
        carrier, line = table.get("carrier"), table.get("line")
        if line is not None and min(line.values()) < 1:
            raise UsageProblem("a line that carries nothing", f"{path}: line", "down_kbits = 100000")
        return cls(
            *(table["name"], table["isp"], table["provider"], carrier, table["time_zone"], network, table["plan"]),
            table["target"],
            table.get("region", ""),
            None if line is None else (line["down_kbits"], line["up_kbits"]),
        )


def check_name(what: str, name: str) -> None:
    """Return nothing; raise UsageProblem unless name can stand in a topic, a file name and the signed place."""
    if not NAME_FORM.fullmatch(name):
        raise UsageProblem(f"wanted 1 to 32 letters, digits, '-' or '_', got {name!r}", what, "a name such as leeds-2")


def check_host(host: str, where: str) -> None:
    """Return nothing; raise UsageProblem unless host can be an IPv4 address or a name (RFC 1123 2.1), or is empty."""
    if host and (len(host) > 253 or not HOST_FORM.fullmatch(host)):
        raise UsageProblem(f"wanted an address or a host's name, got {host!r}", where, "192.0.2.1 or sip.example.com")


def check_time_zone(name: str, where: str) -> None:
    """Return nothing; raise UsageProblem unless this machine knows the time zone."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as e:
        raise UsageProblem(f"no time zone '{name}'", where, "an IANA name such as Europe/London") from e


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of a new site's surroundings; its default plan is made from that. Hosts are HOST or HOST:PORT."""

    edge: str | None = None
    reflector: str | None = None
    isp_hop: str | None = None
    lan_hosts: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ANCHORS
    media: str | None = None
    second_edge: str | None = None
    second_media: str | None = None
    stun: str | None = None
    usual: str | None = None
    snmp_index: int | None = None


def default_targets(around: Surroundings) -> list[Table]:
    """Return the default set of targets for a site, the links that every site has first."""
    targets = [
        _target("self", "witness", "self", "", 0, period_ms=60_000),
        _target("link", "lan", "link", "", 0, period_ms=10_000),
        _target("gateway", "router", "icmp", "gateway", 0, period_ms=5_000),
        _target("gateway-dns", "router", "dns", "gateway", 53, period_ms=10_000, query="example.com"),
        _target("gateway-dns-fresh", "router", "dns", "gateway", 53, period_ms=30_000, query="example.com", fresh=True)
        | {"timeout_ms": 2_000},
        _target("gateway-igd", "router", "igd", "gateway", 0, period_ms=30_000, timeout_ms=3_000)
        | {"fast_period_ms": 10_000},
    ]
    if around.snmp_index is not None:
        snmp = {"secret": "secret:snmp", "index": around.snmp_index, "period_ms": 10_000}
        targets.append(_target("gateway-snmp", "router", "snmp", "gateway", 0, **snmp) | {"fast_period_ms": 5_000})
    targets += [_target(f"lan-{i}", "lan", "icmp", h, 0, period_ms=5_000) for i, h in enumerate(around.lan_hosts, 1)]
    for i, host in enumerate(around.phones, 1):
        targets.append(_target(f"phone-{i}", "endpoint", "icmp", host, 0))
        targets.append(_target(f"phone-{i}-sip", "endpoint", "sip_udp", host, 0, period_ms=30_000))
    if around.isp_hop:
        targets.append(_target("isp-hop", "access", "icmp", around.isp_hop, 0, period_ms=5_000))
    for i, host in enumerate(around.anchors, 1):
        targets.append(_target(f"anchor-{i}", "transit", "icmp", host, 0))
        targets.append(_target(f"anchor-{i}-tcp", "transit", "tcp", host, 443, role="control"))
        targets.append(_target(f"anchor-{i}-dns", "transit", "dns", host, 53, query="example.com", fresh=True))
    if around.stun:
        host, port = endpoint(around.stun, "--stun", "stun.example:3478", 3478)
        usual = {"usual": around.usual} if around.usual else {}
        targets.append(_target("public", "access", "stun", host, port, period_ms=60_000, **usual))
    if around.edge:
        host, port = endpoint(around.edge, "--edge", "sip.example:5060", 5060)
        targets.append(_target("edge", "provider", "icmp", host, 0, period_ms=2_000))
        targets.append(_target("edge-tcp", "provider", "tcp", host, port))
        targets.append(_target("edge-sip", "provider", "sip_udp", host, port, timeout_ms=2_000, query=host))
    if around.second_edge:
        host, port = endpoint(around.second_edge, "--second-edge", "sip.example:5060", 5060)
        targets.append(_target("second", "provider", "icmp", host, 0, period_ms=2_000, role="control"))
        second = _target("second-sip", "provider", "sip_udp", host, port, role="control", query=host)
        targets.append(second | {"timeout_ms": 2_000})
    if around.media:
        targets.append(_window("edge-media", "provider", around.media, "subject", 60_000))
    if around.reflector:
        targets.append(_window("reflector", "transit", around.reflector, "control", 60_000))
    if around.second_media:
        targets.append(_window("second-media", "provider", around.second_media, "control", 300_000))
    return targets


def _window(name: str, segment: str, where: str, role: str, period_ms: int) -> Table:
    host, port = endpoint(where, name, "reflector.example:862", 862)
    window = {"packets": 250, "interval_ms": 20, "payload_octets": 172, "codec": "G.711 PLC", "buffer_ms": 60}
    made = _target(name, segment, "stamp", host, port, role=role, period_ms=period_ms, **window)
    return made | {"fast_period_ms": 15_000, "timeout_ms": 2_000}


def _target(name: str, segment: str, method: str, host: str, port: int, **more: object) -> Table:
    check_host(host, name)
    table: Table = {"name": name, "segment": segment, "method": method, "role": "subject", "host": host}
    if port:
        table["port"] = port
    period_ms = more.get("period_ms", 10_000)
    fast_ms = period_ms if method in ("self", "link") else 1_000
    return table | {"period_ms": period_ms, "fast_period_ms": fast_ms, "timeout_ms": 1_000} | more


def default_table(
    name: str, isp: str, provider: str, carrier: str | None, time_zone: str, network: Table, around: Surroundings
) -> Table:
    """Return the table of a new site's file."""
    check_name("site", name)
    check_time_zone(time_zone, "--tz")
    return {
        "name": name,
        "isp": isp,
        "provider": provider,
        "carrier": carrier,
        "time_zone": time_zone,
        "network": network,
        "plan": {
            "batch_s": 60,
            "fail_rounds": 3,
            "clear_rounds": 2,
            "resolvers": ["1.1.1.1", "9.9.9.9"],
            "time_servers": list(TIME_SERVERS),
        },
        "target": default_targets(around),
    }
