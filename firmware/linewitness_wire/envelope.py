"""What travels over MQTT: a batch, its acknowledgement, a command.

    batch            CBOR [COSE_Sign1, body]; the body is null where it was trimmed
    acknowledgement  seq (8, big-endian) | SHA-256 of the COSE_Sign1 (32) | anchor (32, zeros for none) | HMAC (32)
    command          counter (8, big-endian) | CBOR [code, argument] | HMAC (32)

HMAC-SHA-256 (RFC 2104) under the secret shared at enrolment, over "linewitness/1/<ack or command>/SITE/WITNESS", a zero
octet and what stands before it: nobody else can make a witness forget a batch or change its plan, and a frame for one
witness is none for another.
"""

import hashlib
from collections import namedtuple

from . import cbor
from .errors import BadFrame, OutOfRange, WrongType

MAC_OCTETS = 32
ACK_OCTETS = 8 + 32 + 32 + MAC_OCTETS
NO_ANCHOR = bytes(32)

Ack = namedtuple("Ack", ("seq", "digest", "anchor"))
"""The collector has stored the batch with this number and digest; anchor is 32 octets or None."""

Command = namedtuple("Command", ("counter", "code", "argument"))
"""counter must exceed that of every command before; code is codes.COMMAND_*; argument is int, octets or None."""


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA-256 (RFC 2104, FIPS 180-4), 32 octets."""
    if len(key) > 64:
        key = hashlib.sha256(key).digest()
    key = key + bytes(64 - len(key))
    inner = hashlib.sha256(bytes(k ^ 0x36 for k in key))
    inner.update(message)
    outer = hashlib.sha256(bytes(k ^ 0x5C for k in key))
    outer.update(inner.digest())
    return outer.digest()


def same(a: bytes, b: bytes) -> bool:
    """Return whether two octet strings are equal, in a time that does not tell where they differ."""
    difference = len(a) ^ len(b)
    for x, y in zip(a, b):
        difference |= x ^ y
    return difference == 0


def _mac(secret: bytes, kind: str, site: str, witness: str, octets: bytes) -> bytes:
    return hmac_sha256(secret, ("linewitness/1/%s/%s/%s\0" % (kind, site, witness)).encode() + octets)


def _open(secret: bytes, kind: str, site: str, witness: str, frame: bytes) -> bytes:
    """Return what an authentic frame says; raises BadFrame."""
    said, mac = frame[:-MAC_OCTETS], frame[-MAC_OCTETS:]
    if len(frame) <= MAC_OCTETS or not same(mac, _mac(secret, kind, site, witness, said)):
        raise BadFrame("%s for %s/%s is not authentic" % (kind, site, witness))
    return said


def encode_batch(cose: bytes, body: bytes | None) -> bytes:
    """Return the MQTT payload of a batch; body is octets, or None where it was trimmed."""
    return cbor.encode([cose, body])


def decode_batch(octets: bytes) -> tuple[bytes, bytes | None]:
    """Return (cose, body) of an MQTT payload; neither is decoded further. Raises a WireError."""
    value = cbor.decode(octets)
    if not isinstance(value, list) or len(value) != 2:
        raise WrongType("batch: wanted [COSE_Sign1, body]")
    cose, body = value
    if not isinstance(cose, bytes) or not (body is None or isinstance(body, bytes)):
        raise WrongType("batch: wanted octets and octets or null")
    return cose, body


def encode_ack(secret: bytes, site: str, witness: str, ack: Ack) -> bytes:
    """Return the 104 octets of an acknowledgement."""
    said = ack.seq.to_bytes(8, "big") + ack.digest + (ack.anchor or NO_ANCHOR)
    return said + _mac(secret, "ack", site, witness, said)


def decode_ack(secret: bytes, site: str, witness: str, frame: bytes) -> Ack:
    """Return the Ack of an authentic frame; raises BadFrame."""
    if len(frame) != ACK_OCTETS:
        raise BadFrame("ack: wanted %d octets, got %d" % (ACK_OCTETS, len(frame)))
    said = _open(secret, "ack", site, witness, frame)
    anchor = said[40:72]
    return Ack(int.from_bytes(said[:8], "big"), said[8:40], None if anchor == NO_ANCHOR else anchor)


def encode_command(secret: bytes, site: str, witness: str, command: Command) -> bytes:
    """Return the octets of a command."""
    said = command.counter.to_bytes(8, "big") + cbor.encode([command.code, command.argument])
    return said + _mac(secret, "command", site, witness, said)


def decode_command(secret: bytes, site: str, witness: str, frame: bytes) -> Command:
    """Return the Command of an authentic frame; raises BadFrame, or a WireError for one that says nothing we know."""
    said = _open(secret, "command", site, witness, frame)
    if len(said) < 9:
        raise OutOfRange("command: wanted a counter and a code")
    value = cbor.decode(said[8:])
    if not isinstance(value, list) or len(value) != 2 or isinstance(value[0], bool) or not isinstance(value[0], int):
        raise WrongType("command: wanted [code, argument]")
    argument = value[1]
    if argument is not None and (isinstance(argument, bool) or not isinstance(argument, (int, bytes))):
        raise WrongType("command: wanted an integer, octets or null as argument")
    return Command(int.from_bytes(said[:8], "big"), value[0], value[1])
