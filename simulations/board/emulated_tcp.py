"""A TCP connection over the emulated links: segments, retransmission, order; the far end is a kernel connection.

Not TCP's congestion control: a window of the board's profile in flight, a retransmission time-out that doubles.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from simulations.board.packets import IP_TCP_OCTETS, Crossing
from simulations.board.ports import ECONNREFUSED, ETIMEDOUT, Address, TcpPort
from simulations.board.reactor import Reactor
from simulations.board.topology import DOWN, UP, Node

SEGMENT_OCTETS = 1460
FIRST_RETRY_US = 300_000
LONGEST_RETRY_US = 5_000_000
FIRST_SYN_RETRY_US = 1_000_000
GIVE_UP_US = 90_000_000


class PeerTcp(Protocol):
    """The connection to the peer behind the node; fields as in ports.TcpPort."""

    connected: bool
    error: int
    received: bytearray
    end_of_stream: bool
    changed: Callable[[], None]

    def push(self, data: bytes) -> None:
        """Take all of `data`."""

    def consumed(self) -> None:
        """There is room in `received`."""

    def close(self) -> None:
        """The end of the board's stream."""

    def reset(self) -> None:
        """The connection is gone."""


@dataclass(slots=True)
class _Segment:
    data: bytes
    end: bool
    since_us: int
    retry_us: int
    arrived: bool = False


class _Pipe:
    """One direction: `write` takes octets, `deliver` gets them in order at the other side, b"" for the end."""

    def __init__(
        self,
        reactor: Reactor,
        crossing: Crossing,
        node: Node,
        port: int,
        direction: str,
        deliver: Callable[[bytes], None],
        fail: Callable[[int], None],
    ) -> None:
        self._scheduler = reactor.scheduler
        self._crossing = crossing
        self._node = node
        self._port = port
        self._direction = direction
        self._deliver = deliver
        self._fail = fail
        self._segments: deque[_Segment] = deque()
        self.in_flight = 0
        self.closed = False

    def write(self, data: bytes) -> None:
        for at in range(0, len(data), SEGMENT_OCTETS):
            self._queue(data[at : at + SEGMENT_OCTETS], end=False)

    def end(self) -> None:
        self._queue(b"", end=True)

    def _queue(self, data: bytes, *, end: bool) -> None:
        segment = _Segment(data, end, self._scheduler.now_us(), FIRST_RETRY_US)
        self._segments.append(segment)
        self.in_flight += len(data)
        self._send(segment)

    def _send(self, segment: _Segment) -> None:
        if self.closed:
            return
        self._crossing.send(
            "tcp",
            self._direction,
            self._node,
            self._port,
            len(segment.data) + IP_TCP_OCTETS,
            segment.data,
            lambda: self._arrive(segment),
            lambda: self._lost(segment),
        )

    def _lost(self, segment: _Segment) -> None:
        if self._scheduler.now_us() - segment.since_us > GIVE_UP_US:
            if not self.closed:
                self._fail(ETIMEDOUT)
            return
        self._scheduler.call_later(segment.retry_us, lambda: self._send(segment))
        segment.retry_us = min(2 * segment.retry_us, LONGEST_RETRY_US)

    def _arrive(self, segment: _Segment) -> None:
        segment.arrived = True
        while self._segments and self._segments[0].arrived and not self.closed:
            first = self._segments.popleft()
            self.in_flight -= len(first.data)
            self._deliver(first.data)


class EmulatedTcp(TcpPort):
    """The board's end. `node` is None for an address that nobody has: the SYN is never answered."""

    def __init__(
        self,
        reactor: Reactor,
        crossing: Crossing,
        node: Node | None,
        address: Address,
        window_bytes: int,
        connect_peer: Callable[[str, int], PeerTcp],
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._crossing = crossing
        self._connect_peer = connect_peer
        self._node = node
        self._address = address
        self._window = window_bytes
        self._closed = False
        self._peer: PeerTcp | None = None
        self._up: _Pipe | None = None
        self._down: _Pipe | None = None
        self._peer_ended = False
        self._started_us = reactor.scheduler.now_us()
        if node is None:
            crossing.unroutable("tcp", address[0], address[1], IP_TCP_OCTETS, b"SYN")
            reactor.scheduler.call_later(GIVE_UP_US, self._give_up)
        else:
            self._send_syn(FIRST_SYN_RETRY_US)

    def room(self) -> int:
        if not self.connected or self.error or self._up is None:
            return 0
        return max(0, self._window - self._up.in_flight)

    def send(self, data: bytes) -> int:
        taken = data[: self.room()]
        if taken and self._up is not None:
            self._up.write(taken)
        return len(taken)

    def consumed(self) -> None:
        self._pull()

    def close(self) -> None:
        self._closed = True
        if self._up is not None and not self.error:
            self._up.end()
        elif self._peer is not None:
            self._peer.reset()
        if self._down is not None:
            self._down.closed = True

    def abandon(self) -> None:
        """Nothing more goes either way; the peer is not told, and finds out by its own time-outs."""
        self._closed = True
        for pipe in (self._up, self._down):
            if pipe is not None:
                pipe.closed = True

    def release(self) -> None:
        """Let go of the peer, at the end of the emulation."""
        if self._peer is not None:
            self._peer.reset()

    def _send_syn(self, retry_us: int) -> None:
        if self._closed or self.connected or self.error or self._node is None:
            return
        scheduler = self._reactor.scheduler
        if scheduler.now_us() - self._started_us > GIVE_UP_US:
            self._give_up()
            return
        self._crossing.send("tcp", UP, self._node, self._address[1], IP_TCP_OCTETS, b"SYN", self._syn_arrived)
        scheduler.call_later(retry_us, lambda: self._send_syn(min(2 * retry_us, LONGEST_RETRY_US)))

    def _give_up(self) -> None:
        if not self._closed and not self.connected and not self.error:
            self.fail(ETIMEDOUT)

    def _syn_arrived(self) -> None:
        if self._node is None or self._closed:
            return
        if self._peer is not None:
            # The SYN-ACK was lost and the SYN came again.
            if self._peer.connected and not self.connected:
                self._answer(b"SYN-ACK", self._established)
            return
        peer = self._node.tcp_peers.get(self._address[1])
        if peer is None:
            if self._node.tcp == "refuse":
                self._answer(b"RST", self._refused)
            return
        self._peer = self._connect_peer(peer, self._window)
        self._peer.changed = self._peer_changed

    def _answer(self, data: bytes, arrive: Callable[[], None]) -> None:
        assert self._node is not None
        self._crossing.send("tcp", DOWN, self._node, self._address[1], IP_TCP_OCTETS, data, arrive)

    def _refused(self) -> None:
        if not self.error and not self._closed:
            self.fail(ECONNREFUSED)

    def _established(self) -> None:
        if not self.connected and not self._closed:
            self.connected = True
            self.changed()

    def _peer_changed(self) -> None:
        """The kernel's connection to the peer was made, or failed, or has octets, or has ended."""
        peer, node = self._peer, self._node
        assert peer is not None
        assert node is not None
        if self._up is None and not peer.error and peer.connected:
            port = self._address[1]
            self._up = _Pipe(self._reactor, self._crossing, node, port, UP, self._to_peer, self.fail)
            self._down = _Pipe(self._reactor, self._crossing, node, port, DOWN, self._to_board, self.fail)
            if self._closed:
                peer.reset()
                return
            self._answer(b"SYN-ACK", self._established)
        if peer.error:
            self._answer(b"RST", self._refused if not self.connected else lambda: self.fail(peer.error))
            return
        self._pull()
        self.changed()

    def _pull(self) -> None:
        """Take from the peer what fits into the board's window, and start it on its way."""
        peer, down = self._peer, self._down
        if peer is None or down is None or self._closed:
            return
        size = min(len(peer.received), self._window - down.in_flight - len(self.received))
        if size > 0:
            data = bytes(peer.received[:size])
            del peer.received[:size]
            peer.consumed()
            down.write(data)
        if peer.end_of_stream and not peer.received and not self._peer_ended:
            self._peer_ended = True
            down.end()

    def _to_peer(self, data: bytes) -> None:
        assert self._peer is not None
        if data:
            # The peer's own buffer may be full: it takes the rest when it has room, as a window would make us wait.
            self._peer.push(data)
        else:
            self._peer.close()
        if not self._closed:
            self.changed()

    def _to_board(self, data: bytes) -> None:
        if data:
            self.received += data
        else:
            self.end_of_stream = True
        self.changed()
        self._pull()
