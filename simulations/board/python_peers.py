"""Peers in the board's own process, named "python:package.module:Class": the only kind that virtual time can wait for.

One object of a class serves all that name it: UDP by `datagram`, TCP by `accept`. An object that was made elsewhere
serves under any other name once `PythonPeers.put` has it, e.g. "python:broker".
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol

from simulations.board.ports import Address, Call
from simulations.board.scheduler import Scheduler
from simulations.board.topology import PYTHON_PEER, TopologyError


class UdpPeer(Protocol):
    """A UDP server."""

    def datagram(self, data: bytes, source: Address, now_us: int) -> list[tuple[int, bytes]]:
        """Answers to a datagram: (delay in microseconds, octets)."""


class TcpSession(Protocol):
    """The server's end of one connection."""

    def received(self, data: bytes, now_us: int) -> bytes:
        """Octets of the board, b"" at the end of its stream; returns the answer at once."""


class TcpConnection(Protocol):
    """What a session can do besides answering."""

    def push(self, data: bytes) -> None:
        """Send octets to the board."""

    def end(self) -> None:
        """Close the connection."""


class TcpPeer(Protocol):
    """A TCP server."""

    def accept(self, connection: TcpConnection) -> TcpSession:
        """A new connection."""


class PythonPeers:
    """The objects, made at first use."""

    def __init__(self) -> None:
        self._objects: dict[str, Any] = {}

    def put(self, name: str, peer: UdpPeer | TcpPeer) -> None:
        """Let `peer` serve as "python:NAME"."""
        self._objects[PYTHON_PEER + name] = peer

    def get(self, name: str) -> Any:
        """The object of "python:module:Class". Raises TopologyError when there is no such class."""
        if name not in self._objects:
            module, _, attribute = name.removeprefix(PYTHON_PEER).partition(":")
            try:
                self._objects[name] = getattr(importlib.import_module(module), attribute)()
            except (ImportError, AttributeError) as error:
                raise TopologyError(f"no peer {name}: {error}") from error
        return self._objects[name]


class InProcessTcp:
    """A connection to a TcpPeer, as emulated_tcp.PeerTcp."""

    def __init__(self, scheduler: Scheduler, peer: TcpPeer) -> None:
        self._scheduler = scheduler
        self.connected = False
        self.error = 0
        self.received = bytearray()
        self.end_of_stream = False
        self.changed: Call = _nothing
        self._closed = False
        self._session = peer.accept(_Connection(self))
        # Not at once: the owner has not set `changed` yet.
        scheduler.call_later(0, self._connect)

    def push(self, data: bytes) -> None:
        self._give(lambda: self._session.received(data, self._scheduler.now_us()))

    def consumed(self) -> None:
        """Its octets are all there already."""

    def close(self) -> None:
        if not self._closed:
            self._give(lambda: self._session.received(b"", self._scheduler.now_us()))
            self._end()

    def reset(self) -> None:
        """The board is gone; the session is not told, as no server is of a board without power."""
        self._closed = True
        self.changed = _nothing

    def send(self, data: bytes) -> None:
        """Octets that the session sends of its own accord."""
        self._give(lambda: data)

    def _connect(self) -> None:
        self.connected = True
        self.changed()

    def _give(self, answer: Callable[[], bytes]) -> None:
        data = b"" if self._closed else answer()
        if data:
            self.received += data
            self._scheduler.call_later(0, lambda: self.changed())

    def _end(self) -> None:
        self._closed = self.end_of_stream = True
        self._scheduler.call_later(0, lambda: self.changed())


class _Connection:
    """TcpConnection over an InProcessTcp."""

    def __init__(self, tcp: InProcessTcp) -> None:
        self._tcp = tcp

    def push(self, data: bytes) -> None:
        self._tcp.send(data)

    def end(self) -> None:
        self._tcp._end()


def _nothing() -> None:
    """Nobody watches."""
