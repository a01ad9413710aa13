"""What a virtual board is made from, and the making of its network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulations.board.emulated import EmulatedNetwork
from simulations.board.kernelnet import KernelNetwork
from simulations.board.ports import Network
from simulations.board.profile import Profile
from simulations.board.reactor import Reactor
from simulations.board.topology import TopologyError, parse_topology, refuse_kernel_peers

LOOPBACK = "127.0.0.1"


@dataclass(slots=True)
class Settings:
    """What a virtual board is made from. `network`: a topology (see topology.py), or empty for the kernel's sockets."""

    profile: Profile
    vm: str = "wasm"
    flash: Path | None = None
    network: dict[str, Any] = field(default_factory=dict)
    nic: dict[str, Any] = field(default_factory=dict)
    virtual_clock: bool = False
    repl_port: int = 0
    heap_kb: int | None = None
    romfs: bool = False
    unique_id: str = ""
    seed: int | None = None
    flash_pause: bool = True
    wall_us: int = 0


def make_network(
    settings: Settings, reactor: Reactor, interface_up: Callable[[], bool]
) -> tuple[Network, tuple[str, str, str, str]]:
    """The network, and the board's address, netmask, gateway and DNS server in it. Raises TopologyError.

    A table with links or nodes is emulated. `mode` may say which it is, and must not contradict that.
    """
    table = settings.network
    around = [key for key in ("links", "nodes") if table.get(key)]
    mode = table.get("mode", "emulated" if around or settings.virtual_clock else "real")
    if mode not in ("real", "emulated"):
        raise TopologyError(f"network.mode is {mode!r}; try: real or emulated")
    if mode == "real" and around:
        raise TopologyError(
            f"network.mode is real, but there are network.{around[0]}, which only an emulated network has; "
            'try: leave them out, or mode = "emulated"'
        )
    if mode == "real" and not settings.virtual_clock:
        ports = {int(port): int(to) for port, to in table.get("listen_ports", {}).items()}
        keys = {"address": LOOPBACK, "netmask": "255.0.0.0", "gateway": LOOPBACK, "dns": LOOPBACK}
        address, netmask, gateway, dns = (str(table.get(key, default)) for key, default in keys.items())
        return KernelNetwork(reactor, ports), (address, netmask, gateway, dns)
    topology = parse_topology(table)
    if settings.virtual_clock:
        refuse_kernel_peers(topology)
    network = EmulatedNetwork(reactor, topology, interface_up)
    return network, (topology.address, topology.netmask, topology.gateway, topology.dns)


def derived_id(settings: Settings) -> bytes:
    """A unique id that stays with the flash file."""
    seed = str(settings.flash.resolve()) if settings.flash else f"{settings.profile.name}/{settings.seed}"
    return hashlib.sha256(seed.encode()).digest()[: 6 if settings.profile.platform == "esp32" else 8]
