"""STUN (RFC 8489): one Binding request over UDP; the reply says from which public address we were seen.

public(target, octets) gets the four octets of that address. A Binding error response is FATE_WRONG with its code (RFC
8489 14.8). Only IPv4 is looked for, in XOR-MAPPED-ADDRESS, or in MAPPED-ADDRESS of servers of RFC 3489.
"""

import struct

from linewitness_wire import codes, plan, record
from witness.malformed import Malformed
from witness.sample import Sample

from .base import SingleShot

PORT = 3478
BINDING_REQUEST, BINDING_SUCCESS, BINDING_ERROR = 0x0001, 0x0101, 0x0111
COOKIE = b"\x21\x12\xa4\x42"
MAPPED_ADDRESS, ERROR_CODE, XOR_MAPPED_ADDRESS = 0x0001, 0x0009, 0x0020
FAMILY_IPV4 = 1


def encode_request(transaction: bytes) -> bytes:
    """Return a Binding request without attributes; transaction has 12 octets."""
    return struct.pack(">HH", BINDING_REQUEST, 0) + COOKIE + transaction


def attributes(octets: bytes) -> dict:
    """Return {type: value} of a message, the first of each type. Raises Malformed."""
    if len(octets) < 20 or struct.unpack_from(">H", octets, 2)[0] != len(octets) - 20:
        raise Malformed("wrong length")
    found: dict = {}
    at = 20
    while at + 4 <= len(octets):
        kind, size = struct.unpack_from(">HH", octets, at)
        value = octets[at + 4 : at + 4 + size]
        if len(value) < size:
            raise Malformed("an attribute is cut off")
        found.setdefault(kind, value)
        at += 4 + (size + 3 & ~3)
    return found


def mapped_address(found: dict) -> bytes:
    """Return the four octets of the address in a success response's attributes. Raises Malformed."""
    value = found.get(XOR_MAPPED_ADDRESS)
    mask = COOKIE
    if value is None:
        value, mask = found.get(MAPPED_ADDRESS), bytes(4)
    if value is None or len(value) != 8 or value[1] != FAMILY_IPV4:
        raise Malformed("no IPv4 address")
    return bytes([octet ^ key for octet, key in zip(value[4:], mask)])


class Stun(SingleShot):
    """Binding requests through `control`."""

    def __init__(self, control, urandom, public) -> None:
        super().__init__()
        self._control = control
        self._urandom = urandom
        self._public = public

    async def run(self, target: plan.Target, address: str) -> Sample:
        """Ask once; return the Sample."""
        request = encode_request(self._urandom(12))
        told: list = []

        def judge(octets: bytes) -> "tuple | None":
            if octets[4:20] != request[4:20]:
                return None
            kind = struct.unpack_from(">H", octets)[0]
            try:
                found = attributes(octets)
                if kind == BINDING_ERROR:
                    error = found.get(ERROR_CODE, b"\0\0\0\0")
                    return codes.FATE_WRONG, (error[2] & 7) * 100 + error[3]
                if kind != BINDING_SUCCESS:
                    raise Malformed("type %04x" % kind)
                told.append(mapped_address(found))
            except (Malformed, IndexError):
                self.count(target, record.MALFORMED)
                return ()
            return codes.FATE_ANSWERED, None

        peer = self._control.endpoint(address, target.port or PORT)
        sample = await self._control.ask(request, peer, judge, target.timeout_ms * 1000)
        if told:
            self._public(target, told[0])
        return sample
