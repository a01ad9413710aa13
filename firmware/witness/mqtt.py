"""MQTT 3.1.1 (OASIS, 2014) over a socket that does not block: what the uplink needs of it and no more.

One connection: CONNECT with last will, SUBSCRIBE, PUBLISH at QoS 1 in both directions, PING. Connection reads packets
in `run()`, a task of its owner; everything that makes the connection unusable raises or ends it, and the owner makes a
new one. A broker that takes the connection and then says nothing is found out by a deadline on every answer, a
half-open one by the keep-alive: no packet for KEEP_ALIVE_S and a half.

    MqttProblem
     |- Refused        the broker said no (user name or password, client, not authorised)
     `- Gone           no answer in time, closed, or not MQTT
"""

import asyncio
import struct

KEEP_ALIVE_S = 30
ANSWER_MS = 5_000
PACKET_MAX_OCTETS = 8_192
REFUSALS = (
    "", "protocol version refused", "client name refused", "service not available", "wrong user name or password",
    "not authorised",
)  # fmt: skip

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP = 1, 2, 3, 4, 8, 9, 12, 13


class MqttProblem(Exception):
    """The connection can't be used (any more)."""


class Refused(MqttProblem):
    pass


class Gone(MqttProblem):
    pass


def _text(text: str) -> bytes:
    octets = text.encode()
    return struct.pack(">H", len(octets)) + octets


def _length(n: int) -> bytes:
    """The remaining length (2.2.3): 7 bits an octet, low ones first."""
    octets = bytearray()
    while True:
        octets.append(n & 0x7F | (0x80 if n > 0x7F else 0))
        n >>= 7
        if not n:
            return bytes(octets)


def connect_packet(client: str, user: str, password: str, will_topic: str, will: bytes) -> bytes:
    """CONNECT (3.1): clean session, the will retained at QoS 1."""
    flags = 0x02 | 0x04 | 0x08 | 0x20 | (0x80 if user else 0) | (0x40 if password else 0)
    body = _text("MQTT") + bytes((4, flags)) + struct.pack(">H", KEEP_ALIVE_S) + _text(client)
    body += _text(will_topic) + struct.pack(">H", len(will)) + will
    body += (_text(user) if user else b"") + (_text(password) if password else b"")
    return bytes((CONNECT << 4,)) + _length(len(body)) + body


def publish_head(topic: str, identifier: int, payload_octets: int, retain: bool) -> bytes:
    """What stands before the payload of a PUBLISH at QoS 1 (3.3)."""
    variable = _text(topic) + struct.pack(">H", identifier)
    return bytes((PUBLISH << 4 | 2 | retain,)) + _length(len(variable) + payload_octets) + variable


def subscribe_packet(identifier: int, topics: list) -> bytes:
    """SUBSCRIBE at QoS 1 (3.8)."""
    body = struct.pack(">H", identifier) + b"".join([_text(topic) + b"\x01" for topic in topics])
    return bytes((SUBSCRIBE << 4 | 2,)) + _length(len(body)) + body


def read_publish(flags: int, body: bytes) -> tuple:
    """Return (topic, identifier or None, payload) of a PUBLISH's body. Raises Gone."""
    if len(body) < 2:
        raise Gone("PUBLISH without a topic")
    at = 2 + struct.unpack(">H", body[:2])[0]
    identifier = None
    if flags & 6:
        if len(body) < at + 2:
            raise Gone("PUBLISH without an identifier")
        identifier = struct.unpack(">H", body[at : at + 2])[0]
    try:
        topic = str(body[2:at], "utf-8")
    except UnicodeError:
        raise Gone("PUBLISH with a topic that is not UTF-8")
    return topic, identifier, body[at + 2 if identifier is not None else at :]


class Connection:
    """One connection over an open socket, which it closes; readable, writable: what to await (sockets.Ready).
    message(topic, payload) hears what the broker publishes to us.

    asyncio's streams would take a kilobyte more, and a task for each packet that is written."""

    def __init__(self, clock, sock, readable, writable, message) -> None:
        self._clock = clock
        self._sock = sock
        self._readable = readable
        self._writable = writable
        self._message = message
        self._identifier = 0
        self._awaited: "tuple | None" = None  # (packet type, identifier) of the answer that somebody waits for
        self._answer = b""
        self._answered = asyncio.Event()
        self._lock = asyncio.Lock()  # one packet is written at a time
        self._heard_us = clock.now_us()
        self._pinged_us = self._heard_us
        self._unanswered = 0  # PUBLISH packets of send() without their PUBACK
        self._answered_us = 0  # when the last of them came, or the first was sent

    async def connect(self, packet: bytes) -> None:
        """Send CONNECT and take the CONNACK. Raises Refused or Gone."""
        await self._write(packet)
        try:
            answer: tuple = await asyncio.wait_for_ms(self._read_packet(), ANSWER_MS)
        except asyncio.TimeoutError:
            raise Gone("no answer to CONNECT in %d s" % (ANSWER_MS // 1000))
        kind, _, body = answer
        if kind != CONNACK or len(body) != 2:
            raise Gone("no CONNACK but a packet of type %d" % kind)
        if body[1]:
            raise Refused(REFUSALS[body[1]] if body[1] < len(REFUSALS) else "refused with code %d" % body[1])

    async def run(self, progress) -> None:
        """Read packets until the connection ends. Raises Gone."""
        while True:
            kind, flags, body = await self._read_packet()
            self._heard_us = self._clock.now_us()
            progress()
            if kind == PUBLISH:
                topic, identifier, payload = read_publish(flags, body)
                self._message(topic, payload)
                if identifier is not None:
                    await self._write(struct.pack(">BBH", PUBACK << 4, 2, identifier))
            elif kind == PUBACK and self._unanswered:
                self._unanswered -= 1
                self._answered_us = self._heard_us
            elif len(body) >= 2 and self._awaited == (kind, struct.unpack(">H", body[:2])[0]):
                self._answer = body
                self._answered.set()

    async def subscribe(self, topics: list) -> None:
        """Subscribe at QoS 1. Raises Refused or Gone."""
        identifier = self._next_identifier()
        body = await self._ask((subscribe_packet(identifier, topics),), (SUBACK, identifier))
        if 0x80 in body[2:]:
            raise Refused("no right to subscribe to %s" % ", ".join(topics))

    async def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """Publish at QoS 1; returns when the broker has it. Raises Gone."""
        identifier = self._next_identifier()
        head = publish_head(topic, identifier, len(payload), retain)
        await self._ask((head, payload), (PUBACK, identifier))

    async def send(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1 without waiting for the broker's answer; keep_alive() sees to it that there is one."""
        if not self._unanswered:
            self._answered_us = self._clock.now_us()
        self._unanswered += 1
        await self._write(publish_head(topic, self._next_identifier(), len(payload), False))
        await self._write(payload)

    async def keep_alive(self) -> None:
        """To be called every few seconds: sends a PING twice in KEEP_ALIVE_S. Raises Gone for a dead connection."""
        now_us = self._clock.now_us()
        if self._unanswered and now_us - self._answered_us > ANSWER_MS * 1000:
            raise Gone("no answer to packet type %d in %d s" % (PUBACK, ANSWER_MS // 1000))
        silent_us = now_us - self._heard_us
        if silent_us > KEEP_ALIVE_S * 1_500_000:
            raise Gone("silent for %d s" % (silent_us // 1_000_000))
        if now_us - self._pinged_us > KEEP_ALIVE_S * 500_000:
            self._pinged_us = now_us
            await self._write(bytes((PINGREQ << 4, 0)))

    def close(self) -> None:
        """Drop the connection without a DISCONNECT, so that the broker publishes the will."""
        self._sock.close()

    def _next_identifier(self) -> int:
        self._identifier = self._identifier % 0xFFFF + 1
        return self._identifier

    async def _ask(self, parts: tuple, awaited: tuple) -> bytes:
        self._answered.clear()
        self._awaited = awaited
        for part in parts:
            await self._write(part)
        try:
            await asyncio.wait_for_ms(self._answered.wait(), ANSWER_MS)
        except asyncio.TimeoutError:
            raise Gone("no answer to packet type %d in %d s" % (awaited[0], ANSWER_MS // 1000))
        finally:
            self._awaited = None
        return self._answer

    async def _write(self, octets: bytes) -> None:
        async with self._lock:
            try:
                taken = self._sock.write(octets) or 0
                if taken < len(octets):
                    await asyncio.wait_for_ms(self._write_rest(memoryview(octets)[taken:]), ANSWER_MS)
            except asyncio.TimeoutError:
                raise Gone("could not write for %d s" % (ANSWER_MS // 1000))
            except OSError as error:
                raise Gone("could not write: %s" % error)

    async def _write_rest(self, rest) -> None:
        while len(rest):
            await self._writable
            rest = rest[self._sock.write(rest) or 0 :]

    async def _read(self, octets: int) -> bytes:
        """Exactly so many octets. Raises EOFError at the end of the stream, OSError."""
        got = b""
        while len(got) < octets:
            await self._readable
            more = self._sock.read(octets - len(got))
            if more is not None:
                if not more:
                    raise EOFError
                got += more
        return got

    async def _read_packet(self) -> tuple:
        """(type, flags, body) of the next packet."""
        try:
            first = (await self._read(1))[0]
            length = shift = 0
            while True:
                octet = (await self._read(1))[0]
                length |= (octet & 0x7F) << shift
                if not octet & 0x80:
                    break
                shift += 7
                if shift > 21:
                    raise Gone("a remaining length of more than 4 octets")
            if length > PACKET_MAX_OCTETS:
                raise Gone("a packet of %d octets" % length)
            body = await self._read(length) if length else b""
        except (EOFError, OSError) as error:
            raise Gone("closed by the broker (%s)" % (error or "end of stream"))
        return first >> 4, first & 15, body
