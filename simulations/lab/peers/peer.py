"""What all peers have in common: sockets, threads, settings that change while they run, and a log of what was asked.

A stopped peer is a dead process to its clients: its port refuses, its connections are reset. Started again it has the
same port. A silent peer is a live one that takes requests and never answers.
"""

import contextlib
import heapq
import select
import socket
import socketserver
import ssl
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

Address = tuple[str, int]


class PeerError(RuntimeError):
    """A peer cannot start or be set so; the message says what, where, what to try."""


class Request(NamedTuple):
    """One request that reached a peer. Times in microseconds: CLOCK_MONOTONIC and UTC since 1970.

    `answer` is what was decided (a status code, `silent`, `malformed`, ...), `source` the address as HOST:PORT.
    """

    at_us: int
    at_unix_us: int
    source: str
    what: str
    answer: str


class Reply(NamedTuple):
    """A datagram to send back after `delay_ms`; `to` overrides the source that asked."""

    octets: bytes
    delay_ms: float = 0
    to: Address | None = None


@dataclass(frozen=True)
class Settings:
    """`silent`: take requests, never answer. `delay_ms`: wait this long before answering."""

    silent: bool = False
    delay_ms: float = 0


SettingsT = TypeVar("SettingsT", bound=Settings)


class Peer(ABC, Generic[SettingsT]):
    """The handle of one peer. Subclasses give `name`, `settings` and `_open()`, which returns the ends to serve."""

    name = "peer"

    def __init__(self, settings: SettingsT, host: str = "127.0.0.1", port: int = 0) -> None:
        self.settings = settings
        self.requests: list[Request] = []
        self._host = host
        self._port = port
        self._ends: list[UdpEnd | TcpEnd] = []

    @property
    def address(self) -> Address:
        """(host, port). The port is known from the first start on, and stays."""
        return self._host, self._port

    def start(self) -> Self:
        """Bind and serve in threads. Raises PeerError when the port is taken."""
        if self._ends:
            raise PeerError(f"{self.name} runs already on {self._host}:{self._port}; try stop() first")
        try:
            self._ends = self._open(self._host, self._port)
        except OSError as problem:
            where = f"{self._host}:{self._port}"
            raise PeerError(f"{self.name} cannot listen on {where}: {problem.strerror}; try another port") from None
        self._port = self._ends[0].port
        for end in self._ends:
            end.start()
        return self

    def stop(self) -> None:
        """Close everything. Harmless when stopped."""
        for end in self._ends:
            end.stop()
        self._ends = []

    def set(self, **changes: Any) -> None:
        """Change settings by name, at once. Raises PeerError for a name that this peer does not have."""
        known = [field.name for field in fields(self.settings)]
        for name in changes:
            if name not in known:
                raise PeerError(f"{self.name} has no setting {name!r}; try one of {', '.join(known)}")
        self.settings = replace(self.settings, **changes)

    def log(self, source: Address, what: str, answer: str) -> None:
        """Note a request that has just arrived."""
        origin = f"{source[0]}:{source[1]}"
        self.requests.append(Request(time.monotonic_ns() // 1000, time.time_ns() // 1000, origin, what, answer))

    def pause(self) -> None:
        """Wait as `delay_ms` says; for ends that have a thread for each connection."""
        time.sleep(self.settings.delay_ms / 1000)

    @abstractmethod
    def _open(self, host: str, port: int) -> "list[UdpEnd | TcpEnd]": ...

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class UdpEnd:
    """One UDP socket and the thread that serves it. `answer(datagram, source)` gives a Reply or None."""

    def __init__(self, host: str, port: int, answer: Callable[[bytes, Address], Reply | None]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self._answer = answer
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name=f"udp {self.port}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.ident is not None:
            self._wake.send(b"x")
            self._thread.join()
        for each in (self._socket, self._wake, self._woken):
            each.close()

    def _serve(self) -> None:
        waiting: list[tuple[float, int, bytes, Address]] = []
        order = 0
        while True:
            wait_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            ready = select.select([self._socket, self._woken], [], [], wait_s)[0]
            if self._woken in ready:
                return
            if self._socket in ready:
                datagram, source = self._socket.recvfrom(65536)
                reply = self._answer(datagram, source)
                if reply is not None:
                    order += 1
                    due = time.monotonic() + reply.delay_ms / 1000
                    heapq.heappush(waiting, (due, order, reply.octets, reply.to or source))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, octets, to = heapq.heappop(waiting)
                with contextlib.suppress(OSError):  # where the client wanted it cannot be reached: its business
                    self._socket.sendto(octets, to)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: Address, handler: type[socketserver.BaseRequestHandler], tls: ssl.SSLContext | None):
        self.tls = tls
        self.open: set[socket.socket] = set()
        super().__init__(address, handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake belongs in the connection's own thread: a client that stalls must not block accept.
        served = request
        self.open.add(served)
        try:
            if self.tls is not None:
                self.open.discard(request)  # wrapping takes its descriptor away
                served = self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
                self.open.add(served)
                served.do_handshake()
            super().finish_request(served, client_address)
        except (OSError, ValueError):
            return  # the client left, refused the certificate, or the peer was stopped
        finally:
            self.open.discard(served)
            served.close()

    def reset_all(self) -> None:
        """Close every open connection with a reset, as a dead process's kernel does when data is pending."""
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.shutdown(socket.SHUT_RDWR)


class TcpEnd:
    """One listening TCP socket; each connection is handed to `handler` in a thread of its own."""

    def __init__(
        self,
        host: str,
        port: int,
        handler: type[socketserver.BaseRequestHandler],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server = _Server((host, port), handler, tls)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.ident is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.reset_all()


def connection_handler(serve: Callable[[socket.socket, Address], None]) -> type[socketserver.BaseRequestHandler]:
    """A TcpEnd handler that calls `serve(connection, source)` for each connection."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            serve(self.request, self.client_address)

    return Handler


def open_both(
    host: str,
    port: int,
    answer: Callable[[bytes, Address], Reply | None],
    serve: Callable[[socket.socket, Address], None],
) -> list[UdpEnd | TcpEnd]:
    """A UDP and a TCP end on one port number, as SIP and DNS want it."""
    for _ in range(20):
        udp = UdpEnd(host, port, answer)
        try:
            return [udp, TcpEnd(host, udp.port, connection_handler(serve))]
        except OSError:
            udp.stop()
            if port:
                raise
    raise OSError(0, "no port number is free for both UDP and TCP")
