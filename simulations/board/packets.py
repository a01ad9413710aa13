"""Packets on their way through the emulated links, and the log of what became of each."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from simulations.board.scheduler import Scheduler
from simulations.board.topology import DOWN, UP, Node, Topology

DELIVERED = "delivered"
IP_UDP_OCTETS = 28
IP_TCP_OCTETS = 40
IP_ICMP_OCTETS = 20
# Octets of a packet's content that the log shows, beside its hash: enough for a sequence number.
HEAD_OCTETS = 16


@dataclass(slots=True)
class Packet:
    """A packet of the log. `t_out_us` is None while it is on its way and when it is lost; then `link` says where.

    `key` is the first 6 octets of the SHA-256 of its content, in hex. Times are the scheduler's.
    """

    number: int
    protocol: str
    direction: str
    node: str
    port: int
    size_octets: int
    key: str
    head: str
    t_in_us: int
    t_out_us: int | None = None
    verdict: str = "on its way"
    link: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """By name, for JSON."""
        return asdict(self)


class PacketLog:
    """The latest packets; numbers never start anew."""

    def __init__(self, limit: int = 200_000) -> None:
        self._packets: deque[Packet] = deque(maxlen=limit)
        self.count = 0

    def add(self, now_us: int, protocol: str, direction: str, node: str, port: int, size: int, data: bytes) -> Packet:
        """A new packet."""
        key = hashlib.sha256(data).hexdigest()[:12]
        packet = Packet(self.count, protocol, direction, node, port, size, key, data[:HEAD_OCTETS].hex(), now_us)
        self._packets.append(packet)
        self.count += 1
        return packet

    def since(self, number: int) -> list[Packet]:
        """Packets `number` and later that are still kept."""
        oldest = self.count - len(self._packets)
        return [self._packets[at] for at in range(max(0, number - oldest), len(self._packets))]


class Crossing:
    """Sends packets over the links between the board and a node."""

    def __init__(self, scheduler: Scheduler, topology: Topology) -> None:
        self.log = PacketLog()
        self._scheduler = scheduler
        self._topology = topology
        # Whether the board's own interface is up: a packet on its way to a board without one is lost.
        self.interface_up: Callable[[], bool] = lambda: True

    def send(
        self,
        protocol: str,
        direction: str,
        node: Node,
        port: int,
        size_octets: int,
        data: bytes,
        arrive: Callable[[], None],
        lost: Callable[[], None] | None = None,
    ) -> None:
        """Let a packet of `size_octets` (with IP header) cross; call `arrive`, twice for a duplicate, or `lost`."""
        links = node.via if direction == UP else node.via[::-1]
        packet = self.log.add(self._scheduler.now_us(), protocol, direction, node.name, port, size_octets, data)
        if direction == UP and not self.interface_up():
            packet.verdict, packet.link = "down", "interface"
            # Not at once: the caller is in the middle of sending.
            if lost is not None:
                self._scheduler.call_later(0, lost)
            return
        self._cross(packet, links, 0, packet.t_in_us, arrive, lost)

    def unroutable(self, protocol: str, address: str, port: int, size_octets: int, data: bytes) -> None:
        """Log a packet to an address that no node has."""
        packet = self.log.add(self._scheduler.now_us(), protocol, UP, address, port, size_octets, data)
        packet.verdict = "no route"

    def _cross(
        self,
        packet: Packet,
        links: tuple[str, ...],
        at: int,
        time_us: int,
        arrive: Callable[[], None],
        lost: Callable[[], None] | None,
    ) -> None:
        """`time_us` is when the packet was to leave the link before: a late timer does not add up over the links."""
        if at == len(links):
            if packet.direction == DOWN and not self.interface_up():
                packet.verdict, packet.link = "down", "interface"
                if lost is not None:
                    lost()
                return
            packet.verdict = DELIVERED
            packet.t_out_us = self._scheduler.now_us()
            arrive()
            return
        link = self._topology.links[links[at], packet.direction]
        times_us = link.due(packet.size_octets, time_us, packet.key)
        if not times_us:
            packet.verdict, packet.link = link.log_since(link.counters.packets_in - 1)[0].verdict, links[at]
            if lost is not None:
                self._scheduler.call_later(0, lost)
            return
        for out_us in times_us:
            self._scheduler.call_at(out_us, partial(self._cross, packet, links, at + 1, out_us, arrive, lost))
