"""What is around an emulated board: links, the nodes behind them and the services of the nodes.

One text form (TOML or a dict):

    address = "192.168.1.50"            # the board's; netmask, gateway and dns too
    source = "127.0.0.1"                # address from which peers see the board's packets
    seed = 1
    [links.access]                      # name -> link parameters, both directions; `up` and `down` tables for one
    delay_ms = 5
    [nodes.edge]
    address = "198.51.100.10"
    via = ["lan", "router", "access", "transit", "provider"]    # links from the board, in order
    icmp = true                         # answers echo requests (default)
    tcp = "refuse"                      # ports without peer: "refuse" (RST, default) or "drop"
    udp = {"5060" = "127.0.0.1:15060"}  # real peers; also "python:package.module:Class" for one in this process
    tcp_peers = {"5060" = "127.0.0.1:15060"}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulations.lab.link import Link

UP, DOWN = "up", "down"
PYTHON_PEER = "python:"
NETWORK_KEYS = {
    "mode",
    "address",
    "netmask",
    "gateway",
    "dns",
    "source",
    "seed",
    "links",
    "nodes",
    "names",
    "listen_ports",
}
NODE_KEYS = {"address", "via", "icmp", "tcp", "udp", "tcp_peers"}


class TopologyError(Exception):
    """The description is wrong; the message names the key."""


@dataclass(slots=True)
class Node:
    """A host behind links. Peers: port -> "host:port" or "python:module:Class"."""

    name: str
    address: str
    via: tuple[str, ...]
    icmp: bool = True
    tcp: str = "refuse"
    udp: dict[int, str] = field(default_factory=dict)
    tcp_peers: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Topology:
    """Links by (name, direction), nodes by address."""

    address: str
    netmask: str
    gateway: str
    dns: str
    source: str
    links: dict[tuple[str, str], Link]
    nodes: dict[str, Node]
    names: dict[str, str]
    listen_ports: dict[int, int]

    def set_link(self, name: str, changes: Mapping[str, Any], direction: str | None = None) -> None:
        """Change a link's parameters, in both directions or one. Raises TopologyError, or the link's own error."""
        directions = (direction,) if direction else (UP, DOWN)
        for each in directions:
            if (name, each) not in self.links:
                known = ", ".join(sorted({link for link, _ in self.links}))
                raise TopologyError(f"no link {name!r} {each}; try: one of {known}")
            self.links[name, each].set(**changes)


def parse_topology(table: Mapping[str, Any]) -> Topology:
    """Build a topology. Raises TopologyError."""
    _refuse_unknown(table, NETWORK_KEYS, "network")
    address = str(table.get("address", "192.168.1.50"))
    prefix = address.rsplit(".", 1)[0]
    links: dict[tuple[str, str], Link] = {}
    for name, parameters in table.get("links", {}).items():
        both = {key: value for key, value in parameters.items() if key not in (UP, DOWN)}
        for direction in (UP, DOWN):
            link = Link(f"{table.get('seed', 1)}/{name}/{direction}")  # type: ignore[arg-type]
            links[name, direction] = link.set(**both, **parameters.get(direction, {}))
    nodes: dict[str, Node] = {}
    for name, entry in table.get("nodes", {}).items():
        node = _parse_node(name, entry, {link for link, _ in links})
        if node.address in nodes:
            raise TopologyError(f"nodes {nodes[node.address].name} and {name} have the same address {node.address}")
        nodes[node.address] = node
    return Topology(
        address=address,
        netmask=str(table.get("netmask", "255.255.255.0")),
        gateway=str(table.get("gateway", prefix + ".1")),
        dns=str(table.get("dns", prefix + ".1")),
        source=str(table.get("source", "127.0.0.1")),
        links=links,
        nodes=nodes,
        names=dict(table.get("names", {})),
        listen_ports={int(port): int(to) for port, to in table.get("listen_ports", {}).items()},
    )


def refuse_kernel_peers(topology: Topology) -> None:
    """Raise TopologyError for a peer outside this process: virtual time would not wait for its answers."""
    for node in topology.nodes.values():
        for peer in (*node.udp.values(), *node.tcp_peers.values()):
            if not peer.startswith(PYTHON_PEER):
                raise TopologyError(
                    f"network.nodes.{node.name} has the peer {peer}, which virtual time cannot wait "
                    "for; try: a python:module:Class, or the real clock"
                )


def _parse_node(name: str, entry: Mapping[str, Any], links: set[str]) -> Node:
    _refuse_unknown(entry, NODE_KEYS, f"network.nodes.{name}")
    if "address" not in entry:
        raise TopologyError(f"network.nodes.{name} has no address")
    via = tuple(entry.get("via", ()))
    strangers = [link for link in via if link not in links]
    if strangers:
        raise TopologyError(f"network.nodes.{name}.via names no link: {', '.join(strangers)}")
    if entry.get("tcp", "refuse") not in ("refuse", "drop"):
        raise TopologyError(f"network.nodes.{name}.tcp is refuse or drop")
    return Node(
        name,
        str(entry["address"]),
        via,
        bool(entry.get("icmp", True)),
        str(entry.get("tcp", "refuse")),
        {int(port): str(peer) for port, peer in entry.get("udp", {}).items()},
        {int(port): str(peer) for port, peer in entry.get("tcp_peers", {}).items()},
    )


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise TopologyError(f"{where} has unknown keys {', '.join(unknown)}; try: {', '.join(sorted(known))}")
