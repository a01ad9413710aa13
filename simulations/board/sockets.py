"""The board's sockets by number: its limits, its receive queues, readiness for poll.

Number 0 is the console. Errors are OSError with MicroPython's numbers; a wait is EAGAIN, the machine polls.
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass

from simulations.board.ports import EAGAIN, Address, Call, DatagramPort, ListenPort, Network, TcpPort
from simulations.board.profile import Profile
from simulations.board.tls import TlsContext, TlsPort

POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16
STREAM, DATAGRAM, RAW = 1, 2, 3
FIRST_FD = 3


class BoardSocket(ABC):
    """What the three kinds have in common."""

    @abstractmethod
    def events(self) -> int:
        """What it is ready for, as poll events."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the port."""


class DatagramSocket(BoardSocket):
    """UDP or raw ICMP with the port's short receive queue: what does not fit is dropped and counted."""

    def __init__(self, queue_datagrams: int, changed: Call) -> None:
        self.port: DatagramPort | None = None
        self.queue: deque[tuple[bytes, Address]] = deque()
        self.dropped = 0
        self.remote: Address | None = None
        self._limit = queue_datagrams
        self._changed = changed

    def deliver(self, data: bytes, address: Address) -> None:
        """A datagram has come in."""
        if self.remote is not None and self.remote != address:
            return
        if len(self.queue) >= self._limit:
            self.dropped += 1
            return
        self.queue.append((data, address))
        self._changed()

    def receive(self) -> tuple[bytes, Address]:
        """The oldest datagram. Raises EAGAIN."""
        if not self.queue:
            raise OSError(EAGAIN, "EAGAIN")
        return self.queue.popleft()

    def events(self) -> int:
        return POLLOUT | (POLLIN if self.queue else 0)

    def close(self) -> None:
        if self.port is not None:
            self.port.close()


class StreamSocket(BoardSocket):
    """TCP, with or without TLS."""

    def __init__(self, changed: Call) -> None:
        self.port: TcpPort | None = None
        self.changed = changed

    def attach(self, port: TcpPort) -> None:
        """The connection that this socket is one end of."""
        self.port = port
        port.changed = self.changed

    def events(self) -> int:
        port = self.port
        if port is None:
            return POLLHUP
        if port.error:
            return POLLIN | POLLOUT | POLLERR
        stirred = isinstance(port, TlsPort) and port.stirred
        readable = POLLIN if port.received or port.end_of_stream or stirred else 0
        return readable | (POLLOUT if port.room() else 0)

    def send(self, data: bytes) -> int:
        port = self._open_port()
        if port.error:
            raise OSError(port.error, "send")
        taken = port.send(data)
        if not taken and data:
            raise OSError(EAGAIN, "EAGAIN")
        return taken

    def receive(self, size: int) -> bytes:
        port = self._open_port()
        if port.received:
            data = bytes(port.received[:size])
            del port.received[:size]
            port.consumed()
            return data
        if port.error:
            raise OSError(port.error, "recv")
        if port.end_of_stream:
            return b""
        if isinstance(port, TlsPort):
            port.stirred = False
        raise OSError(EAGAIN, "EAGAIN")

    def close(self) -> None:
        if self.port is not None:
            self.port.changed = _ignore
            self.port.close()

    def _open_port(self) -> TcpPort:
        if self.port is None:
            raise OSError(errno.ENOTCONN, "ENOTCONN")
        return self.port


class ListenSocket(BoardSocket):
    """A listening TCP socket."""

    def __init__(self, changed: Call) -> None:
        self.port: ListenPort | None = None
        self.waiting: deque[tuple[TcpPort, Address]] = deque()
        self._changed = changed

    def accepted(self, port: TcpPort, address: Address) -> None:
        """A peer has connected."""
        self.waiting.append((port, address))
        self._changed()

    def events(self) -> int:
        return POLLIN if self.waiting else 0

    def close(self) -> None:
        if self.port is not None:
            self.port.close()
        for port, _ in self.waiting:
            port.close()


@dataclass(slots=True)
class Counters:
    """Since power-on."""

    datagrams_sent: int = 0
    datagrams_received: int = 0
    octets_sent: int = 0
    octets_received: int = 0
    most_udp_sockets: int = 0


class SocketTable:
    """All sockets of the board. `changed` is called when one of them may have become ready."""

    def __init__(self, profile: Profile, network: Network, changed: Call) -> None:
        self._profile = profile
        self._network = network
        self._changed = changed
        self._sockets: dict[int, BoardSocket] = {}
        self._kinds: dict[int, int] = {}
        self._bound: dict[int, Address] = {}
        self._contexts: list[TlsContext] = []
        self.counters = Counters()
        self.dropped_of_closed = 0

    def open(self, kind: int, protocol: int) -> int:
        """A new socket's number. Raises ENOMEM past the profile's limit."""
        profile = self._profile
        limits = {STREAM: profile.tcp_sockets, DATAGRAM: profile.udp_sockets, RAW: profile.raw_sockets}
        if kind not in limits:
            raise OSError(errno.EINVAL, "EINVAL")
        if kind == RAW and (protocol != 1 or not self._profile.raw_icmp):
            raise OSError(errno.EPROTONOSUPPORT, "EPROTONOSUPPORT")
        count = sum(1 for each in self._kinds.values() if each == kind)
        if count >= limits[kind]:
            raise OSError(errno.ENOMEM, "ENOMEM")
        return self._add(self._make(kind), kind)

    def bind(self, fd: int, host: str, port: int) -> None:
        """Local address; for TCP used by listen."""
        sock = self._get(fd)
        if isinstance(sock, DatagramSocket) and sock.port is not None:
            sock.port.bind((host, port))
        self._bound[fd] = (host, port)

    def listen(self, fd: int, backlog: int) -> None:
        """Turn a TCP socket into a listening one."""
        sock = ListenSocket(self._changed)
        address = self._bound.get(fd, ("0.0.0.0", 0))
        sock.port = self._network.listen_tcp(address, backlog, sock.accepted, self._profile.tcp_window_bytes)
        self._sockets[fd] = sock

    def listening(self) -> dict[int, Address]:
        """Port of the board -> address of this computer where it is reached."""
        return {
            self._bound[fd][1]: sock.port.address
            for fd, sock in self._sockets.items()
            if isinstance(sock, ListenSocket) and sock.port is not None
        }

    def connect(self, fd: int, host: str, port: int) -> None:
        """Start a TCP connection, or fix a datagram socket's remote address."""
        sock = self._get(fd)
        if isinstance(sock, DatagramSocket):
            sock.remote = (host, port)
        elif isinstance(sock, StreamSocket):
            sock.attach(self._network.connect_tcp((host, port), self._profile.tcp_window_bytes))

    def check_connected(self, fd: int) -> None:
        """Raise what ended the connection attempt, or EAGAIN."""
        sock = self._get(fd)
        if isinstance(sock, StreamSocket):
            if sock.port is None or sock.port.error:
                raise OSError(sock.port.error if sock.port else errno.ENOTCONN, "connect")
            if not sock.port.connected:
                raise OSError(EAGAIN, "EAGAIN")

    def accept(self, fd: int) -> tuple[int, str, int]:
        """Number of a new socket and the peer's address. Raises EAGAIN."""
        sock = self._get(fd)
        if not isinstance(sock, ListenSocket):
            raise OSError(errno.EINVAL, "EINVAL")
        if not sock.waiting:
            raise OSError(EAGAIN, "EAGAIN")
        port, address = sock.waiting.popleft()
        stream = StreamSocket(self._changed)
        stream.attach(port)
        return self._add(stream, STREAM), *address

    def send(self, fd: int, data: bytes) -> int:
        """Octets taken."""
        sock = self._get(fd)
        if isinstance(sock, StreamSocket):
            taken = sock.send(data)
            self.counters.octets_sent += taken
            return taken
        if isinstance(sock, DatagramSocket) and sock.remote is not None:
            return self.send_to(fd, data, sock.remote)
        raise OSError(errno.ENOTCONN, "ENOTCONN")

    def send_to(self, fd: int, data: bytes, address: Address) -> int:
        """One datagram."""
        sock = self._get(fd)
        if not isinstance(sock, DatagramSocket) or sock.port is None:
            raise OSError(errno.EINVAL, "EINVAL")
        sock.port.send(data, address)
        self.counters.datagrams_sent += 1
        self.counters.octets_sent += len(data)
        return len(data)

    def receive(self, fd: int, size: int) -> bytes:
        """Octets of a stream, b"" at its end; or a datagram cut to `size`."""
        sock = self._get(fd)
        if isinstance(sock, StreamSocket):
            data = sock.receive(size)
            self.counters.octets_received += len(data)
            return data
        return self.receive_from(fd, size)[0]

    def receive_from(self, fd: int, size: int) -> tuple[bytes, Address]:
        """A datagram cut to `size`, with its source."""
        sock = self._get(fd)
        if not isinstance(sock, DatagramSocket):
            raise OSError(errno.EINVAL, "EINVAL")
        data, address = sock.receive()
        self.counters.datagrams_received += 1
        self.counters.octets_received += len(data)
        return data[:size], address

    def events(self, fd: int) -> int:
        """What `fd` is ready for."""
        sock = self._sockets.get(fd)
        return POLLERR if sock is None else sock.events()

    def input_waits(self) -> bool:
        """Whether any socket has something to read or to tell."""
        return any(sock.events() & ~POLLOUT for sock in self._sockets.values())

    def close(self, fd: int) -> None:
        """Close; a number that is not open is no error."""
        sock = self._sockets.pop(fd, None)
        self._kinds.pop(fd, None)
        self._bound.pop(fd, None)
        if isinstance(sock, DatagramSocket):
            self.dropped_of_closed += sock.dropped
        if sock is not None:
            sock.close()

    def close_all(self, *, abandon: bool) -> None:
        """Close every socket; with `abandon` as a power cut does, without a word to the peers."""
        for fd, sock in list(self._sockets.items()):
            if abandon and isinstance(sock, StreamSocket) and sock.port is not None:
                sock.port.changed = _ignore
                sock.port.abandon()
                sock.port = None
            self.close(fd)
        self._contexts.clear()

    def queue_drops(self) -> int:
        """Datagrams that found a full receive queue."""
        opened = (sock.dropped for sock in self._sockets.values() if isinstance(sock, DatagramSocket))
        return self.dropped_of_closed + sum(opened)

    # TLS.

    def new_context(self, protocol: int) -> int:
        """Number of a new SSLContext."""
        self._contexts.append(TlsContext(protocol))
        return len(self._contexts) - 1

    def context(self, number: int) -> TlsContext:
        """The context of that number."""
        return self._contexts[number]

    def wrap(self, fd: int, context: int, verify: int, server: bool, hostname: str | None) -> None:
        """TLS over a socket from now on."""
        sock = self._get(fd)
        if not isinstance(sock, StreamSocket) or sock.port is None:
            raise OSError(errno.ENOTCONN, "ENOTCONN")
        sock.attach(self._contexts[context].wrap(sock.port, verify, server, hostname))

    def tls(self, fd: int) -> TlsPort:
        """The TLS end of a socket."""
        sock = self._get(fd)
        if not isinstance(sock, StreamSocket) or not isinstance(sock.port, TlsPort):
            raise OSError(errno.EINVAL, "EINVAL")
        return sock.port

    def _make(self, kind: int) -> BoardSocket:
        if kind == STREAM:
            return StreamSocket(self._changed)
        sock = DatagramSocket(self._profile.rx_queue_datagrams, self._changed)
        opener = self._network.open_udp if kind == DATAGRAM else self._network.open_icmp
        sock.port = opener(sock.deliver)
        return sock

    def _add(self, sock: BoardSocket, kind: int) -> int:
        fd = FIRST_FD
        while fd in self._sockets:
            fd += 1
        self._sockets[fd] = sock
        self._kinds[fd] = kind
        udp = sum(1 for each in self._kinds.values() if each == DATAGRAM)
        self.counters.most_udp_sockets = max(self.counters.most_udp_sockets, udp)
        return fd

    def _get(self, fd: int) -> BoardSocket:
        if fd not in self._sockets:
            raise OSError(errno.EBADF, "EBADF")
        return self._sockets[fd]


def _ignore() -> None:
    """A closed socket's changes."""
