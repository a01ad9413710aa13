"""The call-quality window: a STAMP Session-Sender (RFC 8762) whose packets are like those of a call.

By default 250 packets, 20 ms apart, of 172 octets of UDP payload (a G.711 call's, with its RTP header). Every window is
a session of its own: a random SSID, the sequence from 0, timestamps from a random base, so that no reply of another
window and no guess is taken for ours. Replies are decoded as they come, for the socket queues only four.

OPTION_SECRET names the key of authenticated mode; then replies without the right HMAC are malformed. Which codec and
jitter buffer the rating stands for is the plan's choice (OPTION_CODEC, OPTION_BUFFER_MS).
"""

import struct

from linewitness_wire import codes, plan
from witness.malformed import Malformed

from . import stamp_packet
from .stream import Stream
from .window import Window

PORT = 862
PACKETS = 250
PACKETS_MAX = 1500
INTERVAL_MS = 20
INTERVAL_MIN_MS = 5
PAYLOAD_OCTETS = 172
PAYLOAD_MAX_OCTETS = 1400
BUFFER_MS = 60
CODEC = codes.CODEC_G711
ENCODING_US = 5_000  # from taking T1 to sending: more, and the packet is void anyway
KNOWN = 16  # reflectors remembered as stateful


class UnknownSecret(Exception):
    """The plan names a secret that this witness does not hold, or one that is no key."""


class Stamp:
    """Call-quality windows through `media`, one at a time under `quiet`."""

    def __init__(self, media, quiet, clock, urandom, secrets: dict[str, str]) -> None:
        self._media = media
        self._quiet = quiet
        self._clock = clock
        self._urandom = urandom
        self._secrets = secrets
        self._stateful: list[str] = []

    async def run(self, target: plan.Target, address: str) -> dict:
        """Run one window against a Session-Reflector; return its reading. Raises UnknownSecret."""
        options = target.options
        key = self._key(options)
        peer = self._media.endpoint(address, target.port or PORT)
        packets = min(max(options.get(plan.OPTION_PACKETS, PACKETS), 1), PACKETS_MAX)
        interval_us = max(options.get(plan.OPTION_INTERVAL_MS, INTERVAL_MS), INTERVAL_MIN_MS) * 1000
        timeout_us = target.timeout_ms * 1000
        async with self._quiet:
            window = Window(packets, interval_us, timeout_us, address in self._stateful)
            session = _Session(self._media, self._clock, self._urandom, peer, key, window)
            session.pad(min(options.get(plan.OPTION_PAYLOAD, PAYLOAD_OCTETS), PAYLOAD_MAX_OCTETS))
            start_us, span_us = await session.run(packets, interval_us, timeout_us)
        codec = options.get(plan.OPTION_CODEC, CODEC)
        reading = window.reading(start_us, span_us, codec, options.get(plan.OPTION_BUFFER_MS, BUFFER_MS) * 1000)
        if window.stateful and address not in self._stateful:
            if len(self._stateful) >= KNOWN:
                self._stateful.pop(0)
            self._stateful.append(address)
        return reading

    def _key(self, options: dict) -> bytes | None:
        name = options.get(plan.OPTION_SECRET)
        if name is None:
            return None
        if name not in self._secrets:
            raise UnknownSecret("the plan names the secret %r, which the configuration does not have" % name)
        try:
            return bytes.fromhex(self._secrets[name])
        except ValueError:
            raise UnknownSecret("the secret %r is no key in hex" % name)


class _Session(Stream):
    """One session with a reflector."""

    def __init__(self, media, clock, urandom, peer: object, key: bytes | None, window: Window) -> None:
        super().__init__(media, clock, peer, window)
        self._key = key
        self._ssid, self._base_s = struct.unpack(">HI", urandom(6))
        self._ssid = self._ssid or 1
        self._padding = b""

    def pad(self, payload_octets: int) -> None:
        """Bring the packets of this session to payload_octets."""
        base = stamp_packet.BASE_OCTETS if self._key is None else stamp_packet.AUTHENTICATED_OCTETS
        self._padding = stamp_packet.padded(payload_octets, base)

    def packet(self, sequence: int, at_us: int) -> bytes:
        """Return a Session-Sender packet."""
        sent = self._timestamp(at_us)
        if self._key is None:
            return stamp_packet.encode_sender(sequence, sent, self._ssid, self._padding)
        return stamp_packet.encode_authenticated(sequence, sent, self._ssid, self._padding, self._key)

    def _timestamp(self, at_us: int) -> int:
        return stamp_packet.ntp_of_us(at_us + self._base_s * 1_000_000)

    def accept(self, octets: bytes, received_us: int) -> bool:
        """Take a datagram of the reflector; return False for a reply that belongs to another session."""
        window = self._window
        try:
            reflected = stamp_packet.decode_reflected(octets, self._key)
        except Malformed:
            window.malformed += 1
            return True
        sent_us = window.sent_us(reflected.sender_sequence)
        if sent_us is None or reflected.ssid not in (0, self._ssid):
            return False
        sent_us += self._start_us
        if not 0 <= stamp_packet.us_between(reflected.sender_sent, self._timestamp(sent_us)) <= ENCODING_US:
            return False
        window.note_reply(reflected, received_us - self._start_us, self._clock.stall_us_since(sent_us))
        self.replied()
        return True
