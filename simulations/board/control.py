"""The board's outside, for tests, the lab and people: a unix socket that takes JSON lines.

Request `{"do": NAME, ...arguments}`, answer `{"ok": true, "result": ...}` or `{"ok": false, "error": TEXT}`. The names
are the methods of `Actions`; simulations.board.client has them as Python calls.
"""

from __future__ import annotations

import json
import os
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulations.board.device import Device
from simulations.board.emulated import EmulatedNetwork
from simulations.board.topology import TopologyError
from simulations.lab.impairment import LinkError

CONSOLE_LIMIT_OCTETS = 1 << 20
# Packets or events in one answer; the client asks again.
PIECE = 5000


class ConsoleLog:
    """The latest output of the programs, by octet number since the start."""

    def __init__(self) -> None:
        self._kept: deque[bytes] = deque()
        self._start = 0
        self._end = 0

    def add(self, octets: bytes) -> None:
        """More output."""
        self._kept.append(octets)
        self._end += len(octets)
        while self._end - self._start > CONSOLE_LIMIT_OCTETS:
            self._start += len(self._kept.popleft())

    def since(self, number: int) -> tuple[int, str]:
        """The next number and what was printed from `number` on."""
        text = b"".join(self._kept)[max(0, number - self._start) :]
        return self._end, text.decode("utf-8", "replace")


class Actions:
    """What can be done to the board. `answer` is for results that come later."""

    def __init__(self, device: Device, console: ConsoleLog) -> None:
        self._device = device
        self._console = console
        self._answer: Callable[[Any], None] = print

    def link(self, name: str, changes: dict[str, Any], direction: str | None = None) -> None:
        """Change a link, in one direction ("up", "down") or both; names and units of lab.impairment."""
        self._emulated().topology.set_link(name, changes, direction)

    def peer(self, node: str, protocol: str, port: int, to: str | None) -> None:
        """Lead a node's port to another real peer, or (None) to nobody; protocol "udp" or "tcp"."""
        peers = self._node(node)
        table = peers.udp if protocol == "udp" else peers.tcp_peers
        if to is None:
            table.pop(port, None)
        else:
            table[port] = to

    def node(self, name: str, icmp: bool | None = None, tcp: str | None = None) -> None:
        """Change how a node answers: echo requests, and TCP ports without peer ("refuse" or "drop")."""
        found = self._node(name)
        if icmp is not None:
            found.icmp = icmp
        if tcp is not None:
            found.tcp = tcp

    def nic_drop(self) -> None:
        """The access point, or the cable, goes away."""
        self._device.nic.drop()

    def nic_restore(self) -> None:
        """It comes back."""
        self._device.nic.restore()

    def nic_set(self, **values: Any) -> None:
        """Radio values, e.g. rssi=-80, channel=11."""
        for name, value in values.items():
            self._device.nic.set(name, value)

    def reset(self) -> None:
        """Press the reset button."""
        self._device.reset()

    def power_off(self) -> None:
        """Cut the power now."""
        self._device.power_off()

    def power_on(self) -> None:
        """Give the power back."""
        self._device.power_on()

    def cut_after(self, operations: int) -> None:
        """Cut the power in the middle of the flash operation that is `operations` from now."""
        self._device.cut_after(operations)

    def step_clock(self, delta_us: int) -> None:
        """Move the real-time clock; the monotonic one stays."""
        self._device.wall_offset_us += delta_us

    def pin(self, name: str, level: int) -> None:
        """Drive an input, e.g. hold the button at 0."""
        self._device.pins[name] = level

    def counters(self) -> dict[str, Any]:
        """Everything that is counted."""
        return {**self._device.counters(), "repl_port": self._device.console.port}

    def link_counters(self) -> dict[str, Any]:
        """Of each link and direction, "name/direction"."""
        links = self._emulated().topology.links
        return {f"{name}/{direction}": link.counters.as_dict() for (name, direction), link in links.items()}

    def packets(self, since: int = 0) -> list[dict[str, Any]]:
        """The packet log from number `since` on, at most PIECE."""
        return [packet.as_dict() for packet in self._emulated().crossing.log.since(since)[:PIECE]]

    def events(self, since: int = 0) -> list[dict[str, Any]]:
        """What happened to the board: boots with cause, power-offs."""
        return self._device.events[since : since + PIECE]

    def console(self, since: int = 0) -> list[Any]:
        """[next number, text printed from octet `since` on]."""
        return list(self._console.since(since))

    def heap(self) -> None:
        """The live heap in octets (answered at the machine's next wait)."""
        self._device.ask_heap(self._answer)

    def read_file(self, path: str) -> str:
        """A file of the flash, in hex."""
        return self._device.flash.read_file(path).hex()

    def list_files(self, path: str = "/") -> list[list[Any]]:
        """Names, types and sizes."""
        return [list(entry) for entry in self._device.flash.list(path)]

    def stop(self) -> None:
        """End the board's process."""
        self._device.stopped = True

    def _emulated(self) -> EmulatedNetwork:
        if not isinstance(self._device.network, EmulatedNetwork):
            raise ValueError("this board's network is real: it has no links")
        return self._device.network

    def _node(self, name: str) -> Any:
        for node in self._emulated().topology.nodes.values():
            if node.name == name:
                return node
        raise ValueError(f"no node {name!r}")


class Control:
    """The socket and its clients."""

    def __init__(self, device: Device, path: Path, console: ConsoleLog) -> None:
        self._device = device
        self._console = console
        self._path = path
        self._server = socket.socket(socket.AF_UNIX)
        if path.is_socket():
            path.unlink()
        old = os.umask(0o177)
        try:
            self._server.bind(str(path))
        finally:
            os.umask(old)
        self._server.listen(8)
        self._server.setblocking(False)
        device.reactor.watch(self._server.fileno(), read=self._accept)

    def close(self) -> None:
        """Remove the socket."""
        self._device.reactor.forget(self._server.fileno())
        self._server.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        client, _ = self._server.accept()
        buffer = bytearray()
        actions = Actions(self._device, self._console)
        actions._answer = lambda result: _send(client, {"ok": True, "result": result})
        self._device.reactor.watch(client.fileno(), read=lambda: self._read(client, buffer, actions))

    def _read(self, client: socket.socket, buffer: bytearray, actions: Actions) -> None:
        octets = client.recv(65536)
        if not octets:
            self._device.reactor.forget(client.fileno())
            client.close()
            return
        buffer += octets
        while b"\n" in buffer:
            line, _, rest = bytes(buffer).partition(b"\n")
            buffer[:] = rest
            try:
                request = json.loads(line)
                name = request.pop("do")
                if name.startswith("_"):
                    raise ValueError(f"no action {name!r}")
                result = getattr(actions, name)(**request)
            except (ValueError, TypeError, KeyError, AttributeError, OSError, TopologyError, LinkError) as error:
                _send(client, {"ok": False, "error": f"{type(error).__name__}: {error}"})
                continue
            if name != "heap":
                _send(client, {"ok": True, "result": result})


def _send(client: socket.socket, answer: dict[str, Any]) -> None:
    try:
        client.sendall(json.dumps(answer).encode() + b"\n")
    except OSError:
        # The client has gone; the next read notices.
        return
