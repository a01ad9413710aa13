"""What the board's sockets need of a network, real or emulated.

A network delivers to call-backs and never blocks; queues and limits of the board are in sockets.py.
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

Address = tuple[str, int]
Deliver = Callable[[bytes, Address], None]
Call = Callable[[], None]

# MicroPython's numbers, which are Linux's.
EAGAIN = errno.EAGAIN
ECONNREFUSED = errno.ECONNREFUSED
ECONNRESET = errno.ECONNRESET
EHOSTUNREACH = errno.EHOSTUNREACH
ETIMEDOUT = errno.ETIMEDOUT


class DatagramPort(Protocol):
    """A UDP or raw ICMP socket of the network."""

    def bind(self, address: Address) -> None:
        """Take a local port. Raises OSError."""

    def send(self, data: bytes, address: Address) -> None:
        """One datagram (for ICMP: the message without IP header). Raises OSError."""

    def close(self) -> None:
        """Deliver nothing more."""


class TcpPort(ABC):
    """One end of a TCP connection. The network sets these fields and calls `changed` after each change."""

    def __init__(self) -> None:
        self.connected = False
        self.error = 0
        self.received = bytearray()
        self.end_of_stream = False
        self.changed: Call = _nothing

    @abstractmethod
    def room(self) -> int:
        """Octets that `send` takes now."""

    @abstractmethod
    def send(self, data: bytes) -> int:
        """Takes the first n octets of `data`; returns n."""

    @abstractmethod
    def consumed(self) -> None:
        """The owner took octets from `received`: there is room for more."""

    @abstractmethod
    def close(self) -> None:
        """Send what was taken, then the end of the stream."""

    def abandon(self) -> None:
        """The board has lost its power: no end of the stream is sent."""
        self.close()

    def fail(self, number: int) -> None:
        """End the connection with errno `number`."""
        self.error = number
        self.changed()


class ListenPort(Protocol):
    """A listening socket."""

    address: Address

    def close(self) -> None:
        """Accept nothing more."""


Accept = Callable[[TcpPort, Address], None]


class Network(Protocol):
    """The board's network interface and what is behind it."""

    def open_udp(self, deliver: Deliver) -> DatagramPort:
        """A UDP socket; `deliver` gets each datagram with its source."""

    def open_icmp(self, deliver: Deliver) -> DatagramPort:
        """A raw ICMP socket; `deliver` gets whole IPv4 packets. Raises OSError (EPERM) when not permitted."""

    def connect_tcp(self, address: Address, window_bytes: int) -> TcpPort:
        """Start a connection. Raises OSError."""

    def listen_tcp(self, address: Address, backlog: int, accept: Accept, window_bytes: int) -> ListenPort:
        """Listen. Raises OSError."""

    def resolve(self, name: str) -> str | None:
        """The address of a name by the port's own blocking resolver, None when there is none."""

    def close(self) -> None:
        """Let go of everything."""


def _nothing() -> None:
    """Nobody watches yet."""
