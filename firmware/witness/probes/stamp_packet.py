"""STAMP test packets (RFC 8762 4.2 and 4.3, with RFC 8972's SSID and Extra Padding). Bytes in, values out.

Unauthenticated, 44 octets                    Authenticated, 112 octets
 sender              reflector                 sender              reflector
  0 sequence          0 sequence                0 sequence          0 sequence
  4 T1                4 T3                     16 T1               16 T3
 12 error estimate   12 error estimate         24 error estimate   24 error estimate
 14 SSID             14 SSID                   26 SSID             26 SSID
 16 zero             16 T2                     28 zero             32 T2
                     24 sender's sequence                          48 sender's sequence
                     28 T1                                         64 T1
                     36 error estimate of T1                       72 error estimate of T1
                     40 TTL as received                            80 TTL as received
                     41 zero                   96 HMAC-SHA-256-128 over octets 0..95

What is not named is zero. Extra Padding (type 1) follows as a TLV: flags U, type, length(2), zeros. Timestamps are NTP:
32 bits of seconds, 32 of fraction. A reflector may give PTPv2 truncated ones instead.
"""

import struct
from collections import namedtuple

from linewitness_wire.envelope import hmac_sha256, same
from witness.malformed import Malformed

BASE_OCTETS = 44
AUTHENTICATED_OCTETS = 112
HMAC_OCTETS = 16
TLV_OCTETS = 4
FLAG_UNRECOGNISED = 0x80
TYPE_EXTRA_PADDING = 1
UNSYNCHRONISED = 0x0001  # error estimate: S = 0 (clock not synchronised), Z = 0 (NTP), the multiplier must not be 0

ESTIMATE_PTP = 0x4000  # error estimate: Z, the timestamp beside it is PTPv2 truncated (seconds, nanoseconds)

Reflected = namedtuple(
    "Reflected", ("sequence", "ssid", "sent", "received", "estimate", "sender_sequence", "sender_sent")
)
"""sequence is the reflector's own; sent T3, received T2, both in the format that estimate names; sender_sent T1 as we
sent it; ssid 0 where the reflector does not know RFC 8972."""


def padded(size_octets: int, base_octets: int) -> bytes:
    """Return the Extra Padding TLV that brings a packet of base_octets to size_octets; none where it does not fit."""
    room = size_octets - base_octets - TLV_OCTETS
    if room < 0:
        return b""
    return struct.pack(">BBH", FLAG_UNRECOGNISED, TYPE_EXTRA_PADDING, room) + bytes(room)


def encode_sender(sequence: int, sent: int, ssid: int, padding: bytes, estimate: int = UNSYNCHRONISED) -> bytes:
    """Return an unauthenticated Session-Sender packet; sent is NTP 64-bit."""
    return struct.pack(">IQHH28x", sequence, sent, estimate, ssid) + padding


def encode_authenticated(
    sequence: int, sent: int, ssid: int, padding: bytes, key: bytes, estimate: int = UNSYNCHRONISED
) -> bytes:
    """Return an authenticated Session-Sender packet. Extra Padding alone needs no HMAC TLV (RFC 8972 4.8)."""
    signed = struct.pack(">I12xQHH68x", sequence, sent, estimate, ssid)
    return signed + hmac_sha256_128(key, signed) + padding


def decode_reflected(octets: bytes, key: bytes | None = None) -> Reflected:
    """Return the Reflected of a Session-Reflector's packet, with a key of an authenticated one. Raises Malformed."""
    if key is None:
        if len(octets) < BASE_OCTETS:
            raise Malformed("wanted at least %d octets, got %d" % (BASE_OCTETS, len(octets)))
        sequence, sent, estimate, ssid, received, sender_sequence, sender_sent, sender_estimate = struct.unpack_from(
            ">IQHHQIQH", octets
        )
    else:
        if len(octets) < AUTHENTICATED_OCTETS:
            raise Malformed("wanted at least %d octets, got %d" % (AUTHENTICATED_OCTETS, len(octets)))
        signed_octets = AUTHENTICATED_OCTETS - HMAC_OCTETS
        # Checked before anything is read from the packet (RFC 8762 4.4).
        if not same(hmac_sha256_128(key, octets[:signed_octets]), octets[signed_octets:AUTHENTICATED_OCTETS]):
            raise Malformed("the HMAC is wrong")
        (
            sequence, sent, estimate, ssid, received, sender_sequence, sender_sent, sender_estimate,
        ) = struct.unpack_from(">I12xQHH4xQ8xI12xQH", octets)  # fmt: skip
    if not estimate & 0xFF or not sender_estimate & 0xFF:
        raise Malformed("an error estimate with multiplier 0")
    return Reflected(sequence, ssid, sent, received, estimate, sender_sequence, sender_sent)


def hold_us(reflected: Reflected) -> int:
    """Return how long the reflector held the packet, T3 - T2; negative where its clock went back."""
    if reflected.estimate & ESTIMATE_PTP:
        return _ptp_us(reflected.sent) - _ptp_us(reflected.received)
    return us_between(reflected.received, reflected.sent)


def _ptp_us(timestamp: int) -> int:
    return (timestamp >> 32) * 1_000_000 + (timestamp & 0xFFFFFFFF) // 1000


def ntp_of_us(at_us: int) -> int:
    """Return microseconds since an epoch as NTP 64-bit since that epoch (era dropped)."""
    return (at_us // 1_000_000 & 0xFFFFFFFF) << 32 | (at_us % 1_000_000 << 32) // 1_000_000


def us_between(earlier: int, later: int) -> int:
    """Return the microseconds from one NTP 64-bit timestamp to another, across an era's end too (rounded down)."""
    difference = (later - earlier) & 0xFFFFFFFFFFFFFFFF
    if difference >> 63:
        difference -= 1 << 64
    return difference * 1_000_000 >> 32


def hmac_sha256_128(key: bytes, message: bytes) -> bytes:
    """Return the leftmost 16 octets of HMAC-SHA-256 (RFC 2104, RFC 4868)."""
    return hmac_sha256(key, message)[:HMAC_OCTETS]
