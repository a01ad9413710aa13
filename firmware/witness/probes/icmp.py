"""ICMP echo (RFC 792): one request, one reply.

    0               8               16                              31
    | type 8 / 0    | code 0        | checksum                      |
    | identifier (random, one a boot) | sequence number             |
    | 16 random octets, to be echoed                                |

A reply counts only from the address asked, with identifier, sequence number, octets and checksum right. An error
message (type 3 or 11) that quotes our request ends the wait: FATE_LOST with -EHOSTUNREACH.
"""

import errno
import struct
from array import array

from linewitness_wire import codes, plan, record

from .base import SingleShot

ECHO_REPLY = 0
UNREACHABLE = 3
ECHO_REQUEST = 8
TIME_EXCEEDED = 11
PAYLOAD_OCTETS = 16
REMEMBERED = 32  # the last requests, by which a duplicate is known


def checksum(octets: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of octets; 0 over a message that carries a right one."""
    total = 0
    for i in range(0, len(octets) - 1, 2):
        total += octets[i] << 8 | octets[i + 1]
    if len(octets) & 1:
        total += octets[-1] << 8
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def encode_echo(identifier: int, sequence: int, payload: bytes) -> bytes:
    """Return an echo request."""
    sum_ = checksum(struct.pack(">BBHHH", ECHO_REQUEST, 0, 0, identifier, sequence) + payload)
    return struct.pack(">BBHHH", ECHO_REQUEST, 0, sum_, identifier, sequence) + payload


def quotes(message: bytes, request: bytes) -> bool:
    """Return whether an ICMP error message (from its type on) quotes the first 8 octets of request (RFC 792)."""
    if len(message) < 36 or message[8] >> 4 != 4:
        return False
    at = 8 + (message[8] & 15) * 4
    return message[at : at + 8] == request[:8]


class Icmp(SingleShot):
    """ICMP echo through a sockets.Icmp."""

    def __init__(self, icmp, clock, urandom) -> None:
        super().__init__()
        self._icmp = icmp
        self._urandom = urandom
        self._identifier = struct.unpack(">H", urandom(2))[0]
        self._sequence = 0
        self._answered = array("I", bytes(4 * REMEMBERED))  # sequence number and two random octets, by sequence
        self._targets: "list[plan.Target | None]" = [None] * REMEMBERED
        icmp.on_stray = self._stray

    def run(self, target: plan.Target, address: str):
        """Send one echo request: return what to await for its Sample."""
        self._sequence = sequence = (self._sequence + 1) & 0xFFFF
        request = encode_echo(self._identifier, sequence, self._urandom(PAYLOAD_OCTETS))

        def judge(message: bytes) -> tuple | None:
            if message[0] in (UNREACHABLE, TIME_EXCEEDED):
                return (codes.FATE_LOST, -errno.EHOSTUNREACH) if quotes(message, request) else None
            if message[0] != ECHO_REPLY or message[4:8] != request[4:8]:
                return None
            if message[1] != 0 or message[8:] != request[8:] or checksum(message):
                self.count(target, record.MALFORMED)
                return ()
            place = sequence % REMEMBERED
            self._answered[place], self._targets[place] = _mark(message), target
            return codes.FATE_ANSWERED, None

        return self._icmp.ask(request, self._icmp.endpoint(address), judge, target.timeout_ms * 1000)

    def _stray(self, message: bytes) -> None:
        """Count a second reply to an answered request as its duplicate."""
        identifier, sequence = struct.unpack(">HH", message[4:8])
        place = sequence % REMEMBERED
        target = self._targets[place]
        if message[0] != ECHO_REPLY or identifier != self._identifier or target is None:
            return
        if self._answered[place] == _mark(message):
            self.count(target, record.DUPLICATE)


def _mark(message: bytes) -> int:
    """By which a reply is known again: its sequence number and two of its random octets; 0 without those."""
    return struct.unpack(">I", message[6:10])[0] if len(message) >= 10 else 0
