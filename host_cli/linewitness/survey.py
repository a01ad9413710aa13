"""The path from a computer in the branch to the internet, hop by hop: which address is the ISP's first?

UDP datagrams with a growing TTL to a closed port far away; each router that drops one says so by ICMP, which Linux
gives to the sender's own socket (IP_RECVERR), without privileges. What the hops mean is `judge`'s, which does no I/O:

  router   the first hop: the branch's own, an address of RFC 1918
  isp_hop  the first hop that is no address of RFC 1918: the ISP's; in 100.64.0.0/10 (RFC 6598) behind carrier-grade NAT
  nats     translations between the branch and the world, as far as addresses tell: the router's, one for each further
           private network behind it (double NAT), and the ISP's (carrier-grade)

A hop that stays silent is None; it is no evidence of anything.
"""

from __future__ import annotations

import ipaddress
import select
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

PORT = 33_434  # where traceroute sends to
TRIES = 2
WAIT_S = 0.7
HOPS_MOST = 12
IP_RECVERR = 11  # Linux; Python's socket module names it nowhere
ORIGIN_ICMP = 2
TIME_EXCEEDED, UNREACHABLE = 11, 3
CARRIER_GRADE = ipaddress.ip_network("100.64.0.0/10")
PRIVATE = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


@dataclass(frozen=True, slots=True)
class Survey:
    """What a path's hops mean; findings are sentences for a person."""

    hops: tuple[str | None, ...]
    router: str | None
    isp_hop: str | None
    nats: int
    carrier_grade: bool
    findings: tuple[str, ...]


def judge(hops: Sequence[str | None]) -> Survey:
    """Return what the addresses of successive hops say; the last may be the far end itself."""
    router = hops[0] if hops and hops[0] is not None and _private(hops[0]) else None
    isp_hop = next((hop for hop in hops if hop is not None and not _private(hop)), None)
    before = [hop for hop in hops[: hops.index(isp_hop)] if hop is not None] if isp_hop is not None else []
    networks = [ipaddress.ip_network(f"{hop}/24", strict=False) for hop in before]
    inner = len(dict.fromkeys(networks))
    carrier_grade = any(hop is not None and ipaddress.ip_address(hop) in CARRIER_GRADE for hop in hops)
    findings = []
    if isp_hop is None:
        findings.append("no hop outside the private networks answered: look for the ISP's first hop by hand")
    if inner > 1:
        findings.append(f"double NAT likely: {inner} private networks before the ISP ({', '.join(before)})")
    if carrier_grade:
        findings.append("carrier-grade NAT: the ISP's own hops are in 100.64.0.0/10 (RFC 6598)")
    if router is None and isp_hop is not None:
        findings.append("the first hop is no private address: no NAT of the branch's own, or it stayed silent")
    return Survey(tuple(hops), router, isp_hop, inner + carrier_grade, carrier_grade, tuple(findings))


def _private(address: str) -> bool:
    return any(ipaddress.ip_address(address) in network for network in PRIVATE)


def trace(address: str, most: int = HOPS_MOST) -> list[str | None]:
    """Return the hops towards a dotted address, ending with it where it answers. Raises OSError."""
    hops: list[str | None] = []
    for ttl in range(1, most + 1):
        hop = None
        for attempt in range(TRIES):
            hop = hop or _hop(address, ttl, PORT + ttl * TRIES + attempt)
        hops.append(hop)
        if hop == address:
            break
    while hops and hops[-1] is None:
        hops.pop()
    return hops


def _hop(address: str, ttl: int, port: int) -> str | None:
    """Return who answers a datagram with this TTL by ICMP, None for nobody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        sock.sendto(b"linewitness survey", (address, port))
        poll = select.poll()
        poll.register(sock, 0)  # errors are always told
        until_s = time.monotonic() + WAIT_S
        while (left_s := until_s - time.monotonic()) > 0:
            if poll.poll(left_s * 1000):
                return _offender(sock)
    return None


def _offender(sock: socket.socket) -> str | None:
    """Return the address in the error queue's newest entry (struct sock_extended_err, then its sockaddr_in)."""
    _, ancillary, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == IP_RECVERR and len(data) >= 24:
            _, origin, icmp_type = struct.unpack_from("=IBB", data)
            if origin == ORIGIN_ICMP and icmp_type in (TIME_EXCEEDED, UNREACHABLE):
                return socket.inet_ntoa(data[20:24])
    return None
