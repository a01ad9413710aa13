"""An MQTT 3.1.1 broker for virtual time: QoS 1, last will, user names, keep-alive; and the ways in which brokers fail.

Broker.serves     "all"; "nothing": takes connections and packets and says nothing; "no connack"...
Broker.restart()  every connection ends, as when the process is started anew
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from simulations.board.python_peers import TcpConnection
from simulations.board.scheduler import Scheduler

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 12, 14
WRONG_PASSWORD = 4

Published = Callable[[str, bytes], None]


@dataclass(slots=True)
class Connect:
    """What a CONNECT says."""

    client: str
    user: str
    password: str
    keep_alive_s: int
    will: tuple[str, bytes] | None


@dataclass(slots=True)
class Broker:
    """`published(topic, payload)` hears of everything, wills too. passwords: user -> password."""

    scheduler: Scheduler
    passwords: dict[str, str]
    published: Published
    mute: bool = False  # takes what comes and says nothing
    connects: list[tuple[int, Connect]] = field(default_factory=list)  # (time, CONNECT)
    refused: int = 0
    _sessions: list[Session] = field(default_factory=list)

    def accept(self, connection: TcpConnection) -> Session:
        session = Session(self, connection)
        self._sessions.append(session)
        return session

    def send(self, topic: str, payload: bytes) -> None:
        """Publish to everyone who subscribed to the topic."""
        for session in self._sessions:
            if topic in session.topics:
                session.publish(topic, payload)

    def restart(self) -> None:
        """End every connection at once; what was on its way is lost, and so are the wills."""
        sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.forget()

    def ended(self, session: Session, *, will: bool) -> None:
        """A connection is over."""
        if session in self._sessions:
            self._sessions.remove(session)
            if will and session.connect is not None and session.connect.will is not None:
                self.published(*session.connect.will)

    @property
    def connected(self) -> int:
        """How many clients are connected, as far as the broker knows."""
        return sum(session.connect is not None for session in self._sessions)


class Session:
    """One client's connection."""

    def __init__(self, broker: Broker, connection: TcpConnection) -> None:
        self._broker = broker
        self._connection = connection
        self._buffer = bytearray()
        self._heard_us = broker.scheduler.now_us()
        self._identifier = 0
        self.connect: Connect | None = None
        self.topics: set[str] = set()

    def received(self, data: bytes, now_us: int) -> bytes:
        if not data:
            self._broker.ended(self, will=True)
            return b""
        self._heard_us = now_us
        self._buffer += data
        answer = b""
        while (packet := self._next_packet()) is not None:
            answer += self._answer(*packet)
        return b"" if self._broker.mute else answer

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a PUBLISH at QoS 1; its PUBACK is not waited for."""
        self._identifier = self._identifier % 0xFFFF + 1
        body = _text(topic) + struct.pack(">H", self._identifier) + payload
        if not self._broker.mute:
            self._connection.push(bytes((PUBLISH << 4 | 2,)) + _length(len(body)) + body)

    def forget(self) -> None:
        """The broker's process is gone."""
        self._connection.end()

    def _next_packet(self) -> tuple[int, bytes] | None:
        length = shift = 0
        for at in range(1, len(self._buffer)):
            length |= (self._buffer[at] & 0x7F) << shift
            shift += 7
            if not self._buffer[at] & 0x80:
                if len(self._buffer) < at + 1 + length:
                    return None
                packet = self._buffer[0], bytes(self._buffer[at + 1 : at + 1 + length])
                del self._buffer[: at + 1 + length]
                return packet
        return None

    def _answer(self, first: int, body: bytes) -> bytes:
        kind = first >> 4
        if kind == CONNECT:
            return self._connected(_read_connect(body))
        if self.connect is None:
            self._broker.ended(self, will=False)
            self._connection.end()
            return b""
        if kind == SUBSCRIBE:
            topics = _read_topics(body[2:])
            self.topics.update(topics)
            return bytes((0x90, 2 + len(topics))) + body[:2] + b"\x01" * len(topics)
        if kind == PUBLISH:
            topic_octets = struct.unpack(">H", body[:2])[0]
            topic, rest = body[2 : 2 + topic_octets].decode(), body[2 + topic_octets :]
            # The collector's acknowledgement must not overtake the broker's.
            self._broker.scheduler.call_later(0, lambda: self._broker.published(topic, rest[2:]))
            return bytes((PUBACK << 4, 2)) + rest[:2]
        if kind == PINGREQ:
            return b"\xd0\x00"
        if kind == DISCONNECT:
            self._broker.ended(self, will=False)
        return b""

    def _connected(self, connect: Connect) -> bytes:
        broker = self._broker
        broker.connects.append((broker.scheduler.now_us(), connect))
        if broker.passwords.get(connect.user) != connect.password:
            broker.refused += 1
            return bytes((0x20, 2, 0, WRONG_PASSWORD))
        for other in [each for each in broker._sessions if each is not self]:
            # MQTT 3.1.4: a second connection of a client ends the first.
            if other.connect is not None and other.connect.client == connect.client:
                broker.ended(other, will=True)
        self.connect = connect
        if connect.keep_alive_s:
            broker.scheduler.call_later(connect.keep_alive_s * 1_500_000, self._check_alive)
        return b"\x20\x02\x00\x00"

    def _check_alive(self) -> None:
        """A client that is silent for one and a half of its keep-alive is gone (MQTT 3.1.2.10)."""
        if self.connect is None or self not in self._broker._sessions:
            return
        limit_us = self.connect.keep_alive_s * 1_500_000
        left_us = self._heard_us + limit_us - self._broker.scheduler.now_us()
        if left_us <= 0:
            self._broker.ended(self, will=True)
            self._connection.end()
        else:
            self._broker.scheduler.call_later(left_us, self._check_alive)


def _read_connect(body: bytes) -> Connect:
    flags, keep_alive_s = struct.unpack(">BH", body[7:10])
    fields = []
    at = 10
    while at < len(body):
        octets = struct.unpack(">H", body[at : at + 2])[0]
        fields.append(body[at + 2 : at + 2 + octets])
        at += 2 + octets
    client = fields.pop(0).decode()
    will = (fields.pop(0).decode(), fields.pop(0)) if flags & 4 else None
    user = fields.pop(0).decode() if flags & 0x80 else ""
    password = fields.pop(0).decode() if flags & 0x40 else ""
    return Connect(client, user, password, keep_alive_s, will)


def _read_topics(body: bytes) -> list[str]:
    topics = []
    at = 0
    while at < len(body):
        octets = struct.unpack(">H", body[at : at + 2])[0]
        topics.append(body[at + 2 : at + 2 + octets].decode())
        at += 3 + octets
    return topics


def _text(text: str) -> bytes:
    octets = text.encode()
    return struct.pack(">H", len(octets)) + octets


def _length(n: int) -> bytes:
    octets = bytearray()
    while True:
        octets.append(n & 0x7F | (0x80 if n > 0x7F else 0))
        n >>= 7
        if not n:
            return bytes(octets)
