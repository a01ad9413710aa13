"""STAMP session-reflector (RFC 8762, RFC 8972): sends each test packet back with the times it was here.

Stateful: every session (source address and port, SSID) has a counter of its own, so that a sender can tell loss on the
way there from loss on the way back (RFC 8762 4.3). It answers packets that are authenticated under its key, and
unauthenticated ones from the networks it was told of; nobody else, and never with more octets than it was asked with,
so that it cannot be used to amplify anything.

    unauthenticated reply, 44 octets              authenticated reply, 112 octets
     0 sequence number (4)                          0 sequence number (4), 12 zero
     4 T3 (8)  12 error estimate (2)               16 T3 (8)  24 error estimate (2)
    14 SSID (2)                                    26 SSID (2), 4 zero
    16 T2 (8)                                      32 T2 (8), 8 zero
    24 sender: sequence (4), T1 (8), error (2)     48 sequence (4), 12 zero, T1 (8), error (2), 6 zero
    38 zero (2)  40 sender's TTL (1), 3 zero       80 sender's TTL (1), 15 zero, 96 HMAC (16)

TLVs (RFC 8972 4) follow: Extra Padding is understood and copied; any other type is copied with its U flag set.
"""

from __future__ import annotations

import hmac
import ipaddress
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

PORT = 862
BASE_OCTETS = 44
AUTHENTICATED_OCTETS = 112
HMAC_OCTETS = 16
NTP_UNIX_S = 2_208_988_800  # seconds from 1900 to 1970
UNSYNCHRONISED = 0x0001  # error estimate: S = 0, and a multiplier that is not zero (RFC 4656 4.1.2)
SESSION_IDLE_S = 900  # REFWAIT of RFC 5357, by which STAMP reflectors forget a session
MAX_SESSIONS = 10_000

TLV_EXTRA_PADDING = 1
TLV_HMAC = 8
FLAG_UNRECOGNIZED, FLAG_MALFORMED, FLAG_INTEGRITY = 0x80, 0x40, 0x20


def ntp_time(unix_ns: int) -> bytes:
    """Return the 8 octets of the NTP timestamp (32.32 bits since 1900, RFC 5905) of nanoseconds since 1970."""
    seconds, ns = divmod(unix_ns, 1_000_000_000)
    return struct.pack(">II", (seconds + NTP_UNIX_S) & 0xFFFFFFFF, (ns << 32) // 1_000_000_000)


def error_estimate(error_us: int | None) -> int:
    """Return the Error Estimate (RFC 4656 4.1.2) of a clock that is right to error_us; None: not synchronised."""
    if error_us is None:
        return UNSYNCHRONISED
    units = max(1, -(-(error_us << 32) // 1_000_000))  # error = multiplier * 2^(scale - 32) seconds, rounded up
    scale = max(0, units.bit_length() - 8)
    multiplier = -(-units // (1 << scale))
    if multiplier > 0xFF:
        multiplier, scale = -(-multiplier // 2), scale + 1
    return 0x8000 | scale << 8 | multiplier


def reply(
    packet: bytes,
    *,
    sequence: int | None,
    received: bytes,
    sent: bytes,
    estimate: int,
    ttl: int,
    key: bytes | None = None,
) -> bytes | None:
    """Return the reply to a test packet, of the same length; None where it deserves none.

    sequence is the session's own counter, or None to copy the sender's (a stateless reflector). received and sent are
    the NTP timestamps T2 and T3. With a key the packet must be authenticated (HMAC-SHA-256, leftmost 128 bits).
    """
    base = BASE_OCTETS if key is None else AUTHENTICATED_OCTETS
    if len(packet) < base:
        return None
    tlvs = packet[base:]
    if key is None:
        sender_sequence, t1, sender_estimate, ssid = packet[:4], packet[4:12], packet[12:14], packet[14:16]
        head = _number(sequence, sender_sequence) + sent + struct.pack(">H", estimate) + ssid + received
        head += sender_sequence + t1 + sender_estimate + bytes(2) + bytes((ttl,)) + bytes(3)
        return head + _tlvs(tlvs)
    if not authentic(packet, key):
        return None
    sender_sequence, t1, sender_estimate, ssid = packet[:4], packet[16:24], packet[24:26], packet[26:28]
    number = _number(sequence, sender_sequence)
    head = number + bytes(12) + sent + struct.pack(">H", estimate) + ssid + bytes(4) + received + bytes(8)
    head += sender_sequence + bytes(12) + t1 + sender_estimate + bytes(6) + bytes((ttl,)) + bytes(15)
    return head + _mac(key, head) + _tlvs(tlvs, key, sender_sequence, number)


def authentic(packet: bytes, key: bytes) -> bool:
    """Return whether a packet is a Session-Sender's in authenticated mode, under this key (RFC 8762 4.4)."""
    return len(packet) >= AUTHENTICATED_OCTETS and hmac.compare_digest(packet[96:112], _mac(key, packet[:96]))


def _number(sequence: int | None, sender_sequence: bytes) -> bytes:
    return sender_sequence if sequence is None else struct.pack(">I", sequence & 0xFFFFFFFF)


def _mac(key: bytes, octets: bytes) -> bytes:
    return hmac.digest(key, octets, "sha256")[:HMAC_OCTETS]


def _tlvs(octets: bytes, key: bytes | None = None, sender_sequence: bytes = b"", number: bytes = b"") -> bytes:
    """Return the TLVs of the reply (RFC 8972 4): same order and lengths, flags as this reflector finds them.

    In authenticated mode an HMAC TLV covers the sequence number and the TLVs before it (4.8); one that does not hold
    sets the I flag of every TLV.
    """
    out = bytearray()
    broken = False
    i = 0
    while len(octets) - i >= 4:
        kind, length = octets[i + 1], struct.unpack(">H", octets[i + 2 : i + 4])[0]
        value = octets[i + 4 : i + 4 + length]
        if len(value) < length:  # it runs past the packet: copy what is there and stop (4.2.1)
            return bytes(out) + bytes((FLAG_MALFORMED, kind)) + octets[i + 2 :]
        if kind == TLV_HMAC and key is not None:
            if length != HMAC_OCTETS:
                return bytes(out) + bytes((FLAG_MALFORMED, kind)) + octets[i + 2 :]
            broken = not hmac.compare_digest(value, _mac(key, sender_sequence + octets[:i]))
            out += bytes((0, kind)) + octets[i + 2 : i + 4] + _mac(key, number + bytes(out))
        else:
            flags = 0 if kind == TLV_EXTRA_PADDING else FLAG_UNRECOGNIZED
            out += bytes((flags, kind)) + octets[i + 2 : i + 4 + length]
        i += 4 + length
    if broken:
        _set_integrity_flags(out)
    return bytes(out) + octets[i:]


def _set_integrity_flags(tlvs: bytearray) -> None:
    i = 0
    while i < len(tlvs):
        tlvs[i] |= FLAG_INTEGRITY
        i += 4 + struct.unpack(">H", tlvs[i + 2 : i + 4])[0]


@dataclass(slots=True)
class Session:
    """One sender as the reflector knows it: its own counter, and when it was last heard (monotonic seconds)."""

    sequence: int = 0
    heard_s: float = 0.0


@dataclass(slots=True)
class Counters:
    """What the reflector did with the packets it got."""

    reflected: int = 0
    refused_source: int = 0
    refused_packet: int = 0
    sessions: int = 0


@dataclass(slots=True)
class Reflector:
    """The sessions of one reflector; `answer` is the whole of its behaviour, without a socket.

    allow: networks whose unauthenticated packets are answered. key: answer what is authenticated under it, from
    anywhere. error_us: what the host's clock may be wrong by, None where it is not synchronised.
    """

    allow: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    key: bytes | None = None
    error_us: int | None = None
    stateful: bool = True
    counters: Counters = field(default_factory=Counters)
    sessions: dict[tuple[str, int, bytes], Session] = field(default_factory=dict)

    def answer(
        self,
        packet: bytes,
        source: tuple[str, int],
        ttl: int,
        received_ns: int,
        now_ns: Callable[[], int],
        now_s: float,
    ) -> bytes | None:
        """Return the reply to a packet from source (address, port), or None; counts why not."""
        key = self.key if self.key is not None and authentic(packet, self.key) else None
        if key is None and not any(ipaddress.ip_address(source[0]) in network for network in self.allow):
            if self.key is None:
                self.counters.refused_source += 1
            else:
                self.counters.refused_packet += 1
            return None
        at = 14 if key is None else 26
        session = self._session((source[0], source[1], packet[at : at + 2]), now_s)
        out = reply(
            packet,
            sequence=session.sequence if self.stateful else None,
            received=ntp_time(received_ns),
            sent=ntp_time(now_ns()),
            estimate=error_estimate(self.error_us),
            ttl=ttl,
            key=key,
        )
        if out is None:
            self.counters.refused_packet += 1
            return None
        session.sequence += 1
        self.counters.reflected += 1
        return out

    def _session(self, key: tuple[str, int, bytes], now_s: float) -> Session:
        session = self.sessions.get(key)
        if session is None or now_s - session.heard_s > SESSION_IDLE_S:
            if len(self.sessions) >= MAX_SESSIONS:
                self._forget(now_s)
            session = self.sessions[key] = Session()
            self.counters.sessions += 1
        session.heard_s = now_s
        return session

    def _forget(self, now_s: float) -> None:
        """Drop idle sessions; where none is idle, the quietest: a flood of sources must not fill the memory."""
        idle = [key for key, session in self.sessions.items() if now_s - session.heard_s > SESSION_IDLE_S]
        for key in idle or sorted(self.sessions, key=lambda k: self.sessions[k].heard_s)[: MAX_SESSIONS // 10]:
            del self.sessions[key]


def networks(texts: Iterable[str]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Return networks from their text forms. Raises ValueError."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def serve(reflector: Reflector, sock: socket.socket, stop: Callable[[], bool]) -> None:
    """Answer on a bound UDP socket until stop() is true (asked at least once a second).

    The kernel's receive time is T2, so that the time a packet waited for this program is not counted as the path's.
    """
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    timestamped = _ask_for_receive_times(sock)
    while not stop():
        select.select([sock], [], [], 1.0)
        for _ in range(64):
            try:
                packet, ancillary, _, source = sock.recvmsg(2048, 256)
            except (BlockingIOError, ConnectionRefusedError):
                break
            ttl, received_ns = _ancillary(ancillary, timestamped)
            out = reflector.answer(packet, source[:2], ttl, received_ns, time.time_ns, time.monotonic())
            if out is not None:
                try:
                    sock.sendto(out, source)
                except OSError:
                    reflector.counters.refused_packet += 1


IP_RECVTTL = 12  # Linux; Python's socket module names neither before 3.14
SO_TIMESTAMPNS = 35


def _ask_for_receive_times(sock: socket.socket) -> bool:
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def _ancillary(ancillary: list[tuple[int, int, bytes]], timestamped: bool) -> tuple[int, int]:
    """Return (TTL, receive time in ns) of a datagram's control messages; now where the kernel gave no time."""
    ttl, received_ns = 0, 0
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == socket.IP_TTL:
            ttl = struct.unpack("=i", data[:4])[0]
        elif timestamped and level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, ns = struct.unpack("=qq", data[:16])
            received_ns = seconds * 1_000_000_000 + ns
    return ttl & 0xFF, received_ns or time.time_ns()
