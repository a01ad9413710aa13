"""The witness's sockets: two for UDP in all (a small board has no more to spare) and one raw for ICMP.

    media    a Datagram for call-quality windows (STAMP)
    control  a Datagram for DNS, SNTP and SIP; it sends nothing while a window runs
    icmp     an Icmp; opening it raises OSError where the process may not (then there is no ICMP on this board)

Each has one receive task, `run()`, which the app supervises; it may be started again after it died. A datagram goes to
the first listener on its peer that takes it: `accept(octets, received_us)` returns whether it did. What nobody takes
is counted in `strays` (late replies, duplicates, forgeries).

`await socket.ask(...)` is one request and its reply, told as a Sample. When the stack refuses to send:
  - the link is down: FATE_VOID;
  - no route although the link is up (ENETUNREACH, EHOSTUNREACH): FATE_LOST with -errno;
  - anything else (no memory, no buffers, queue full) is the witness's own trouble: FATE_VOID with -errno.

MicroPython only: this is the one place that knows how its asyncio waits for a socket.
"""

import asyncio
import errno
from asyncio import core  # type: ignore[attr-defined]  # the boards' stubs leave it out

from linewitness_wire import codes

from .sample import GRACE_MS, Sample, answered, unanswered

NO_ROUTE = (getattr(errno, "ENETUNREACH", 101), errno.EHOSTUNREACH)
PROVISIONAL = ()  # what `judge` returns for a reply that is not the final one
PROTOCOL_ICMP = 1
PORT_LEAST, PORT_TRIES = 16_384, 8  # bound ports are the even ones of PORT_LEAST to 32,766


class Ready:
    """`await` it to sleep until a socket is readable (or writable); reusable, one task at a time."""

    def __init__(self, sock, write: bool = False) -> None:
        self._sock = sock
        self._write = write
        self._asked = False

    def __iter__(self) -> "Ready":
        self._asked = False
        return self

    def __await__(self):  # type: ignore[no-untyped-def]  # MicroPython awaits any iterator
        return self.__iter__()

    async def wait(self) -> None:
        """Return when it is."""
        await self

    def __next__(self) -> None:
        if self._asked:
            raise StopIteration
        self._asked = True
        if self._write:
            core._io_queue.queue_write(self._sock)
        else:
            core._io_queue.queue_read(self._sock)


class Quiet:
    """Keeps call-quality windows apart, and everything that would disturb one out of it.

    `async with quiet:` is a window, or work that no window may meet (signing, an erase). `await quiet.over()` returns
    when none is running.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._over = asyncio.Event()
        self._over.set()

    async def __aenter__(self) -> None:
        await self._lock.acquire()
        self._over.clear()

    async def __aexit__(self, kind, error, trace) -> None:
        self._over.set()
        self._lock.release()

    async def over(self) -> None:
        """Return when no window is running."""
        while not self._over.is_set():
            await self._over.wait()


class Bell:
    """Wakes the one task that waits for it, for a limited time.

    asyncio.wait_for_ms would make another task, with an Event to wait for: half a kilobyte for every request in flight.
    """

    rung = False
    _sleeper: "asyncio.Task | None" = None

    async def within(self, duration_ms: int) -> bool:
        """Return whether it rings in that time, or did before; at once when it does."""
        if not self.rung:
            self._sleeper = core.cur_task
            try:
                await asyncio.sleep_ms(duration_ms)
            finally:
                self._sleeper = None
        return self.rung

    def ring(self) -> None:
        """Ring until `rung` is taken back."""
        self.rung = True
        sleeper = self._sleeper
        if sleeper is not None:
            # It stands in the queue of what runs later, and is brought forward as Task.cancel does it.
            self._sleeper = None
            core._task_queue.remove(sleeper)
            core._task_queue.push(sleeper)


class _Listener:
    def __init__(self, peer: object, accept) -> None:
        self.peer = peer
        self.accept = accept


class _Exchange(Bell):
    """One request in flight, a listener; `judge(octets)` says (fate, code) of its reply, PROVISIONAL, or None for what
    is none."""

    verdict: tuple | None = None
    received_us = 0

    def __init__(self, peer: object, judge) -> None:
        self.peer = peer
        self.judge = judge

    def accept(self, octets: bytes, received_us: int) -> bool:
        if self.verdict is not None:
            return False
        verdict = self.judge(octets)
        if verdict is None:
            return False
        if verdict:
            self.verdict = verdict
            self.received_us = received_us
            self.ring()
        return True


class Datagram:
    """A UDP socket with its listeners.

    socket: the module; size_octets: the longest datagram worth reading (more is cut off). With a `quiet`, `ask` waits
    until no window runs before it sends. With `urandom` (n -> n octets) it is bound to a random even port, for what
    tells its peers where to answer: `port`, else 0. `source` is where the datagram comes from that a listener is
    offered.
    """

    def __init__(self, socket, clock, link, size_octets: int, quiet: Quiet | None = None, urandom=None) -> None:
        self.clock = clock
        self.link = link
        self.strays = 0
        self._socket = socket
        self._quiet = quiet
        self._size_octets = size_octets
        self._listeners: list[_Listener | _Exchange] = []
        self._sock = socket.socket(socket.AF_INET, *self._kind(socket))
        self._sock.setblocking(False)
        self.source: object = None
        self.port = self._bind(urandom) if urandom is not None else 0
        self._readable = Ready(self._sock)

    def _bind(self, urandom) -> int:
        """Bind to a port that nobody has; return it. Raises OSError."""
        for _ in range(PORT_TRIES):
            draw = urandom(2)
            port = PORT_LEAST + 2 * ((draw[0] << 8 | draw[1]) & 0x1FFF)
            try:
                self._sock.bind(self._socket.getaddrinfo("0.0.0.0", port)[0][-1])
            except OSError as e:
                if e.errno != errno.EADDRINUSE:
                    raise
                continue
            return port
        raise OSError(errno.EADDRINUSE)

    def _kind(self, socket) -> tuple:
        return (socket.SOCK_DGRAM,)

    def endpoint(self, address: str, port: int) -> object:
        """Return the port's own form of a dotted address and a UDP port, as `recvfrom` gives it."""
        # With a dotted address this asks no name server; a name never comes here (see resolver).
        return self._socket.getaddrinfo(address, port)[0][-1]

    def listen(self, peer: object, accept) -> _Listener:
        """Offer datagrams from peer (None: from anywhere) to accept(octets, received_us) -> bool; return what `forget`
        takes.
        """
        listener = _Listener(peer, accept)
        self._listeners.append(listener)
        return listener

    def forget(self, listener: _Listener) -> None:
        """Stop offering datagrams to a listener."""
        self._listeners.remove(listener)

    def send(self, octets: bytes, peer: object) -> int:
        """Hand one datagram to the stack; return 0, or the errno with which it refused."""
        try:
            self._sock.sendto(octets, peer)
        except OSError as e:
            return e.errno or errno.EIO
        return 0

    def refused(self, number: int, sent_us: int) -> Sample:
        """Return the Sample of a request that the stack refused to send with errno `number`."""
        lost = number in NO_ROUTE and self.link.is_up()
        return Sample(codes.FATE_LOST if lost else codes.FATE_VOID, sent_us, None, -number)

    async def ask(self, octets: bytes, peer: object, judge, timeout_us: int) -> Sample:
        """Send one request and wait for its reply; return the Sample. Nothing is ever sent twice."""
        exchange = _Exchange(peer, judge)
        if self._quiet is not None:
            await self._quiet.over()
        self._listeners.append(exchange)
        self.clock.watch()
        try:
            await asyncio.sleep_ms(0)  # lets the clock begin to watch before anything is in flight
            sent_us = self.clock.now_us()
            if not self.link.is_up():
                return Sample(codes.FATE_VOID, sent_us, None, None)
            number = self.send(octets, peer)
            if number:
                return self.refused(number, sent_us)
            if not await exchange.within((timeout_us + 999) // 1000):
                await exchange.within(GRACE_MS)
            if exchange.verdict is None:
                return unanswered(self.clock, self.link, sent_us)
            fate, code = exchange.verdict
            if fate == codes.FATE_LOST:
                return unanswered(self.clock, self.link, sent_us, code)
            return answered(self.clock, sent_us, exchange.received_us, timeout_us, fate, code)
        finally:
            self.clock.unwatch()
            self._listeners.remove(exchange)

    async def run(self) -> None:
        """Receive for ever. Raises OSError when the socket itself fails."""
        while True:
            await self._readable
            try:
                octets, peer = self._sock.recvfrom(self._size_octets)
            except OSError as e:
                if e.errno == errno.EAGAIN:
                    continue
                raise
            received_us = self.clock.now_us()
            self.source = peer
            if not self._dispatch(octets, peer, received_us):
                self.strays += 1

    def _dispatch(self, octets: bytes, peer: object, received_us: int) -> bool:
        for listener in self._listeners:
            if (listener.peer is None or listener.peer == peer) and listener.accept(octets, received_us):
                return True
        return False


class Icmp(Datagram):
    """The raw ICMP socket. Listeners get ICMP messages without the IP header.

    on_stray: called with each message that no listener took. A raw socket sees every ICMP packet of
    the host, so echo requests, which are others' work, are dropped before that.
    """

    def __init__(self, socket, clock, link) -> None:
        self.on_stray = _leave
        super().__init__(socket, clock, link, 576)

    def _kind(self, socket) -> tuple:
        return socket.SOCK_RAW, PROTOCOL_ICMP

    def endpoint(self, address: str, port: int = 0) -> object:
        """Return the port's own form of a dotted address."""
        return super().endpoint(address, 0)

    def _dispatch(self, octets: bytes, peer: object, received_us: int) -> bool:
        message = strip_ip(octets)
        if message is None:
            return False
        if message[0] == 8:
            return True
        # An error message (3, 11) comes from a router on the way: whoever waits for the quoted echo takes it.
        anyone = message[0] in (3, 11)
        for listener in self._listeners:
            if (anyone or listener.peer == peer) and listener.accept(message, received_us):
                return True
        self.on_stray(message)
        return False


def _leave(message: bytes) -> None:
    """Nobody asks for strays."""


def strip_ip(octets: bytes) -> bytes | None:
    """Return what an IPv4 packet carries, or None where it is none or carries too little for ICMP (8 octets)."""
    if len(octets) < 28 or octets[0] >> 4 != 4:
        return None
    header_octets = (octets[0] & 15) * 4
    if header_octets < 20 or len(octets) < header_octets + 8:
        return None
    return octets[header_octets:]
