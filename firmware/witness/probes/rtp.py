"""RTP and RTCP packets (RFC 3550) of a test call, and what an incoming stream's sequence numbers say. No socket.

RTP    0: V=2 (80)   1: payload type   2: sequence   4: timestamp (125 us)   8: SSRC   12: payload
SR     0: 80 | reports   1: 200   2: length   4: SSRC   8: NTP   16: RTP time   20: packets   24: octets   28: reports
report 0: SSRC   4: fraction lost   5: lost   8: highest sequence   12: jitter   16: LSR   20: DLSR
"""

import struct
from collections import namedtuple

from witness.malformed import Malformed

HEADER_OCTETS = 12
SENDER_REPORT, RECEIVER_REPORT = 200, 201

Packet = namedtuple("Packet", ("payload_type", "sequence", "timestamp", "ssrc", "payload"))
Report = namedtuple("Report", ("lost", "highest", "jitter", "lsr", "dlsr"))
"""A report block: packets lost so far, extended highest sequence number, jitter (125 us), LSR and DLSR (2^-16 s)."""


def is_rtcp(octets: bytes) -> bool:
    """Return whether a packet on a port for both is RTCP (RFC 5761 4)."""
    return len(octets) >= 8 and octets[0] >> 6 == 2 and 192 <= octets[1] <= 223


def decode(octets: bytes) -> Packet:
    """Return the Packet. Raises Malformed."""
    if len(octets) < HEADER_OCTETS or octets[0] >> 6 != 2:
        raise Malformed("no RTP")
    begin = HEADER_OCTETS + 4 * (octets[0] & 15)
    if octets[0] & 0x10 and len(octets) >= begin + 4:
        begin += 4 + 4 * struct.unpack(">H", octets[begin + 2 : begin + 4])[0]
    end = len(octets) - octets[-1] if octets[0] & 0x20 else len(octets)
    if begin > end:
        raise Malformed("an RTP packet cut short")
    kind, sequence, timestamp, ssrc = struct.unpack(">BHII", octets[1:HEADER_OCTETS])
    return Packet(kind & 0x7F, sequence, timestamp, ssrc, octets[begin:end])


def decode_reports(octets: bytes, ssrc: int) -> tuple[list[Report], int | None]:
    """Return the report blocks about ssrc in an RTCP compound, and the middle 32 bits of a sender report's NTP time.

    Raises Malformed.
    """
    reports = []
    ntp = None
    at = 0
    while at + 4 <= len(octets):
        if octets[at] >> 6 != 2:
            raise Malformed("no RTCP")
        count, kind = octets[at] & 31, octets[at + 1]
        end = at + 4 + 4 * struct.unpack(">H", octets[at + 2 : at + 4])[0]
        if end > len(octets):
            raise Malformed("an RTCP packet cut short")
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            block = at + (28 if kind == SENDER_REPORT else 8)
            if kind == SENDER_REPORT and block <= end:
                ntp = struct.unpack(">Q", octets[at + 8 : at + 16])[0] >> 16 & 0xFFFFFFFF
            while count and block + 24 <= end:
                about, lost, highest, jitter, lsr, dlsr = struct.unpack(">IIIIII", octets[block : block + 24])
                if about == ssrc:
                    lost &= 0xFFFFFF
                    # The count of lost packets is signed (6.4.1): duplicates make it negative.
                    reports.append(Report(lost - (lost >> 23 << 24), highest, jitter, lsr, dlsr))
                block += 24
                count -= 1
        at = end
    return reports, ntp


def encode_report(ssrc: int, ntp: int, timestamp: int, sent: tuple, incoming: "Incoming | None", now_us: int) -> bytes:
    """Return a sender report and our name (6.4.1, 6.5). ntp: 64 bits; sent: (packets, octets of payload)."""
    block = incoming.report(now_us) if incoming is not None else b""
    head = struct.pack(
        ">BBHIQIII", 0x81 if block else 0x80, SENDER_REPORT, 6 + len(block) // 4, ssrc, ntp, timestamp, *sent
    )
    return head + block + struct.pack(">BBHI", 0x81, 202, 4, ssrc) + b"\x01\x08%08x\x00\x00" % ssrc


def encode_goodbye(ssrc: int) -> bytes:
    """Return an empty receiver report and a BYE (6.6)."""
    return struct.pack(">BBHIBBHI", 0x80, RECEIVER_REPORT, 1, ssrc, 0x81, 203, 1, ssrc)


class Incoming:
    """One stream that comes in, by its sequence numbers and timestamps (appendix A.1, A.3, A.8)."""

    def __init__(self, packet: Packet) -> None:
        self.ssrc = packet.ssrc
        self.received = 0
        self._base = packet.sequence
        self._highest = packet.sequence - 1  # extended
        self._transit: int | None = None
        self._scaled = 0  # 16 times the jitter, in units of 125 us
        self._before = (0, 0)  # expected and received at the report before
        self._lsr = 0
        self._lsr_at_us = 0

    @property
    def expected(self) -> int:
        return self._highest - self._base + 1

    @property
    def jitter_us(self) -> int:
        return (self._scaled >> 4) * 125

    def note(self, packet: Packet, received_us: int) -> None:
        """Take a packet of this stream."""
        step = (packet.sequence - self._highest) & 0xFFFF
        if step < 0x8000:
            self._highest += step
        self.received += 1
        transit = (received_us // 125 - packet.timestamp) & 0xFFFFFFFF
        if self._transit is not None:
            change = (transit - self._transit) & 0xFFFFFFFF
            change = min(change, (1 << 32) - change)
            self._scaled += change - ((self._scaled + 8) >> 4)
        self._transit = transit

    def note_sender_report(self, ntp: int, received_us: int) -> None:
        """Take the middle 32 bits of a sender report's NTP time."""
        self._lsr, self._lsr_at_us = ntp, received_us

    def report(self, now_us: int) -> bytes:
        """Return our report block about it."""
        lost = max(-0x800000, min(0x7FFFFF, self.expected - self.received))
        expected, received = self.expected - self._before[0], self.received - self._before[1]
        self._before = (self.expected, self.received)
        missing = max(0, expected - received)
        fraction = min(255, 256 * missing // expected) if expected else 0
        dlsr = ((now_us - self._lsr_at_us) << 16) // 1_000_000 if self._lsr else 0
        return struct.pack(
            ">IIIIII", self.ssrc, fraction << 24 | lost & 0xFFFFFF, self._highest & 0xFFFFFFFF, self._scaled >> 4,
            self._lsr, dlsr & 0xFFFFFFFF,
        )  # fmt: skip
