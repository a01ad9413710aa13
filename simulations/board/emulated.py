"""The network in mode `emulated`: nodes behind links, with real peers of this computer behind the nodes' ports.

UDP datagrams and ICMP messages cross the links one by one. A TCP connection is kept as segments that cross the links:
a lost one is sent again with growing delay, what comes after it waits, and nothing is lost silently; the connection
fails with ETIMEDOUT when one segment has not come through in GIVE_UP_US.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from functools import partial

from simulations.board.emulated_tcp import EmulatedTcp, PeerTcp
from simulations.board.kernelnet import KernelDatagrams, KernelTcp, is_dotted, listen_on_loopback
from simulations.board.packets import IP_ICMP_OCTETS, IP_UDP_OCTETS, Crossing
from simulations.board.ports import (
    EHOSTUNREACH,
    Accept,
    Address,
    DatagramPort,
    Deliver,
    ListenPort,
    Network,
    TcpPort,
)
from simulations.board.python_peers import InProcessTcp, PythonPeers, UdpPeer
from simulations.board.reactor import Reactor
from simulations.board.topology import DOWN, PYTHON_PEER, UP, Node, Topology

ICMP_ECHO_REQUEST, ICMP_ECHO_REPLY = 8, 0


class EmulatedNetwork(Network):
    """See the module. `interface_up` is asked at each packet."""

    def __init__(self, reactor: Reactor, topology: Topology, interface_up: Callable[[], bool]) -> None:
        self.reactor = reactor
        self.topology = topology
        self.crossing = Crossing(reactor.scheduler, topology)
        self.crossing.interface_up = interface_up
        self.peers = PythonPeers()
        # Those of the latest boots; an abandoned one holds its peer's connection open.
        self._connections: deque[EmulatedTcp] = deque(maxlen=1000)

    def open_udp(self, deliver: Deliver) -> DatagramPort:
        return EmulatedUdp(self, deliver)

    def open_icmp(self, deliver: Deliver) -> DatagramPort:
        return EmulatedIcmp(self, deliver)

    def connect_tcp(self, address: Address, window_bytes: int) -> TcpPort:
        self.check_interface()
        connection = EmulatedTcp(
            self.reactor, self.crossing, self.topology.nodes.get(address[0]), address, window_bytes, self._connect_peer
        )
        self._connections.append(connection)
        return connection

    def listen_tcp(self, address: Address, backlog: int, accept: Accept, window_bytes: int) -> ListenPort:
        return listen_on_loopback(self.reactor, self.topology.listen_ports, address, backlog, accept, window_bytes)

    def resolve(self, name: str) -> str | None:
        return name if is_dotted(name) else self.topology.names.get(name)

    def close(self) -> None:
        """Let go of the peers of every connection, abandoned ones too."""
        for connection in self._connections:
            connection.release()

    def check_interface(self) -> None:
        """Raise EHOSTUNREACH while the board's interface is down."""
        if not self.crossing.interface_up():
            raise OSError(EHOSTUNREACH, "the interface is down")

    def python_peer(self, name: str) -> UdpPeer:
        """The one UDP peer of that name."""
        peer: UdpPeer = self.peers.get(name)
        return peer

    def _connect_peer(self, peer: str, window_bytes: int) -> PeerTcp:
        if peer.startswith(PYTHON_PEER):
            return InProcessTcp(self.reactor.scheduler, self.peers.get(peer))
        return KernelTcp(self.reactor, window_bytes, address=parse_peer(peer), source=self.topology.source)


class EmulatedUdp(DatagramPort):
    """A UDP socket; towards each peer it has a kernel socket of its own, so that an answer's sender is certain."""

    def __init__(self, network: EmulatedNetwork, deliver: Deliver) -> None:
        self._network = network
        self._deliver: Deliver | None = deliver
        self._towards: dict[Address, KernelDatagrams] = {}

    def bind(self, address: Address) -> None:
        """Any port is free: the board is alone at its address."""

    def send(self, data: bytes, address: Address) -> None:
        network = self._network
        network.check_interface()
        size = len(data) + IP_UDP_OCTETS
        node = network.topology.nodes.get(address[0])
        if node is None:
            network.crossing.unroutable("udp", address[0], address[1], size, data)
            return
        network.crossing.send("udp", UP, node, address[1], size, data, lambda: self._arrive(node, data, address))

    def close(self) -> None:
        self._deliver = None
        for port in self._towards.values():
            port.close()
        self._towards.clear()

    def _arrive(self, node: Node, data: bytes, address: Address) -> None:
        peer = node.udp.get(address[1])
        if peer is None or self._deliver is None:
            return
        scheduler = self._network.reactor.scheduler
        if peer.startswith(PYTHON_PEER):
            source = (self._network.topology.address, 0)
            answers = self._network.python_peer(peer).datagram(data, source, scheduler.now_us())
            for delay_us, answer in answers:
                scheduler.call_later(delay_us, partial(self._answer, node, answer, address))
            return
        if address not in self._towards:
            self._towards[address] = KernelDatagrams(
                self._network.reactor,
                lambda answer, _: self._answer(node, answer, address),
                source=self._network.topology.source,
            )
        try:
            self._towards[address].send(data, parse_peer(peer))
        except OSError:
            # Nobody listens at the peer's port any more: the datagram is lost there, as behind a dead server.
            return

    def _answer(self, node: Node, data: bytes, address: Address) -> None:
        self._network.crossing.send(
            "udp",
            DOWN,
            node,
            address[1],
            len(data) + IP_UDP_OCTETS,
            data,
            lambda: self._deliver(data, address) if self._deliver else None,
        )


class EmulatedIcmp(DatagramPort):
    """A raw ICMP socket; the nodes answer echo requests themselves."""

    def __init__(self, network: EmulatedNetwork, deliver: Deliver) -> None:
        self._network = network
        self._deliver: Deliver | None = deliver

    def bind(self, address: Address) -> None:
        """Nothing to do."""

    def send(self, data: bytes, address: Address) -> None:
        network = self._network
        network.check_interface()
        size = len(data) + IP_ICMP_OCTETS
        node = network.topology.nodes.get(address[0])
        if node is None:
            network.crossing.unroutable("icmp", address[0], 0, size, data)
            return
        network.crossing.send("icmp", UP, node, 0, size, data, lambda: self._arrive(node, data))

    def close(self) -> None:
        self._deliver = None

    def _arrive(self, node: Node, data: bytes) -> None:
        if not node.icmp or len(data) < 8 or data[0] != ICMP_ECHO_REQUEST or checksum(data) != 0:
            return
        reply = bytearray(data)
        reply[0] = ICMP_ECHO_REPLY
        reply[2:4] = b"\0\0"
        reply[2:4] = struct.pack(">H", checksum(reply))
        packet = ip_header(node.address, self._network.topology.address, len(reply)) + reply
        self._network.crossing.send(
            "icmp",
            DOWN,
            node,
            0,
            len(packet),
            bytes(reply),
            lambda: self._deliver(packet, (node.address, 0)) if self._deliver else None,
        )


def parse_peer(text: str) -> Address:
    """Return "host:port" as an address."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def checksum(octets: bytes | bytearray) -> int:
    """The Internet checksum (RFC 1071); 0 over a message that holds its own."""
    padded = bytes(octets) + b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_header(source: str, destination: str, payload_octets: int) -> bytes:
    """An IPv4 header of an ICMP packet, TTL 64."""
    addresses = bytes(int(part) for part in f"{source}.{destination}".split("."))
    header = bytearray(struct.pack(">BBHHHBBH", 0x45, 0, 20 + payload_octets, 0, 0, 64, 1, 0) + addresses)
    header[10:12] = struct.pack(">H", checksum(header))
    return bytes(header)
