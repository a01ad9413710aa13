"""The network in mode `real`: sockets of this computer's kernel, as they are.

Also the far half of the emulated network: its peers are reached by these sockets at 127.0.0.1.
"""

from __future__ import annotations

import errno
import ipaddress
import socket

from simulations.board.ports import (
    ECONNRESET,
    Accept,
    Address,
    DatagramPort,
    Deliver,
    ListenPort,
    Network,
    TcpPort,
)
from simulations.board.reactor import Reactor

CHUNK = 65536


class KernelDatagrams(DatagramPort):
    """A UDP or raw ICMP socket. With `source` it sends from that address."""

    def __init__(self, reactor: Reactor, deliver: Deliver, *, icmp: bool = False, source: str = "") -> None:
        kind, protocol = (socket.SOCK_RAW, socket.IPPROTO_ICMP) if icmp else (socket.SOCK_DGRAM, 0)
        self._socket = socket.socket(socket.AF_INET, kind, protocol)
        self._socket.setblocking(False)
        if source:
            self._socket.bind((source, 0))
        self._reactor = reactor
        self._deliver = deliver
        reactor.watch(self._socket.fileno(), read=self._read)

    def bind(self, address: Address) -> None:
        self._socket.bind(address)

    def send(self, data: bytes, address: Address) -> None:
        self._socket.sendto(data, address)

    def close(self) -> None:
        self._reactor.forget(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        try:
            data, address = self._socket.recvfrom(CHUNK)
        except OSError:
            # A port-unreachable of an earlier datagram; boards don't tell it to the application either.
            return
        self._deliver(data, address[:2])


class KernelTcp(TcpPort):
    """A TCP connection of the kernel, in connecting or (given `accepted`) open."""

    def __init__(
        self,
        reactor: Reactor,
        window_bytes: int,
        *,
        address: Address | None = None,
        source: str = "",
        accepted: socket.socket | None = None,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._window = window_bytes
        self._closing = False
        self._unsent = bytearray()
        self._socket = accepted or socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self._socket.bind((source, 0))
        if address is not None:
            code = self._socket.connect_ex(address)
            if code not in (0, errno.EINPROGRESS):
                self._socket.close()
                raise OSError(code, "connect")
        self.connected = accepted is not None
        self._watch()

    def room(self) -> int:
        return max(0, self._window - len(self._unsent)) if self.connected and not self.error else 0

    def send(self, data: bytes) -> int:
        taken = data[: self.room()]
        self._unsent += taken
        self._write()
        return len(taken)

    def push(self, data: bytes) -> None:
        """Take all of `data`, past the window."""
        self._unsent += data
        self._write()

    def consumed(self) -> None:
        self._watch()

    def close(self) -> None:
        self._closing = True
        if not self._unsent or self.error or not self.connected:
            self._close_now()
        else:
            self._watch()

    def abandon(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Close with RST: the kernel cannot fall silent."""
        if self._socket.fileno() >= 0:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._close_now()

    def _close_now(self) -> None:
        self._closing = True
        if self._socket.fileno() >= 0:
            self._reactor.forget(self._socket.fileno())
            self._socket.close()

    def _watch(self) -> None:
        if self._socket.fileno() < 0:
            return
        wants_read = (
            self.connected
            and not self.end_of_stream
            and not self.error
            and not self._closing
            and len(self.received) < self._window
        )
        wants_write = not self.connected or bool(self._unsent)
        self._reactor.watch(
            self._socket.fileno(), read=self._read if wants_read else None, write=self._write if wants_write else None
        )

    def _read(self) -> None:
        try:
            data = self._socket.recv(self._window - len(self.received))
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(error.errno or ECONNRESET)
            self._watch()
            return
        if data:
            self.received += data
        else:
            self.end_of_stream = True
        self._watch()
        self.changed()

    def _write(self) -> None:
        if self._socket.fileno() < 0:
            return
        if not self.connected:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._close_now()
                self.fail(code)
                return
            self.connected = True
        try:
            while self._unsent:
                sent = self._socket.send(self._unsent)
                del self._unsent[:sent]
        except BlockingIOError:
            self._watch()
            return
        except OSError as error:
            self._unsent.clear()
            self.fail(error.errno or ECONNRESET)
        if self._closing:
            self._close_now()
            return
        self._watch()
        self.changed()


class KernelListener(ListenPort):
    """A listening socket of the kernel."""

    def __init__(self, reactor: Reactor, address: Address, backlog: int, accept: Accept, window_bytes: int) -> None:
        self._reactor = reactor
        self._accept = accept
        self._window = window_bytes
        self._socket = socket.create_server(address, backlog=backlog)
        self._socket.setblocking(False)
        self.address = self._socket.getsockname()[:2]
        reactor.watch(self._socket.fileno(), read=self._read)

    def close(self) -> None:
        self._reactor.forget(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        try:
            accepted, address = self._socket.accept()
        except OSError:
            # The peer was gone before it was accepted.
            return
        self._accept(KernelTcp(self._reactor, self._window, accepted=accepted), address[:2])


class KernelNetwork(Network):
    """All of it. `listen_ports` maps a port that the board listens on to one of this computer (80 -> 18080)."""

    def __init__(self, reactor: Reactor, listen_ports: dict[int, int] | None = None) -> None:
        self._reactor = reactor
        self._listen_ports = listen_ports or {}

    def open_udp(self, deliver: Deliver) -> DatagramPort:
        return KernelDatagrams(self._reactor, deliver)

    def open_icmp(self, deliver: Deliver) -> DatagramPort:
        return KernelDatagrams(self._reactor, deliver, icmp=True)

    def connect_tcp(self, address: Address, window_bytes: int) -> TcpPort:
        return KernelTcp(self._reactor, window_bytes, address=address)

    def listen_tcp(self, address: Address, backlog: int, accept: Accept, window_bytes: int) -> ListenPort:
        return listen_on_loopback(self._reactor, self._listen_ports, address, backlog, accept, window_bytes)

    def resolve(self, name: str) -> str | None:
        if is_dotted(name):
            return name
        try:
            return socket.gethostbyname(name)
        except OSError:
            return None

    def close(self) -> None:
        """Its sockets are closed one by one by their owners."""


def listen_on_loopback(
    reactor: Reactor, ports: dict[int, int], address: Address, backlog: int, accept: Accept, window_bytes: int
) -> ListenPort:
    """The board's listening port as one of 127.0.0.1: mapped, or the same, or a free one for those below 1024."""
    port = ports.get(address[1], address[1] if address[1] >= 1024 else 0)
    return KernelListener(reactor, ("127.0.0.1", port), backlog, accept, window_bytes)


def is_dotted(name: str) -> bool:
    """Whether `name` is an IPv4 address."""
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True
