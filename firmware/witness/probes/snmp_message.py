"""SNMP v2c messages as far as a probe needs them (RFC 3416, RFC 1901; BER of X.690): Get out, Response in. No socket.

    SEQUENCE { version 1, community, [0] Get / [2] Response { request-id, error-status, error-index,
      SEQUENCE OF SEQUENCE { OID, value } } }

OIDs are the octets of their BER contents. A value that the agent does not have (NULL, noSuchObject, noSuchInstance,
endOfMibView) is None. Lengths are definite, in the short form or in one with one or two octets.
"""

from collections import namedtuple

from witness.malformed import Malformed

INTEGER = 0x02
OCTET_STRING = 0x04
NULL = 0x05
OID = 0x06
SEQUENCE = 0x30
GET = 0xA0
RESPONSE = 0xA2
COUNTERS = (0x41, 0x42, 0x43, 0x46)  # Counter32, Gauge32, TimeTicks, Counter64: unsigned
ABSENT = (NULL, 0x80, 0x81, 0x82)
VERSION_2C = 1

SYS_UPTIME = b"\x2b\x06\x01\x02\x01\x01\x03\x00"  # sysUpTime.0, 1/100 s (RFC 3418)
IF_OPER_STATUS = b"\x2b\x06\x01\x02\x01\x02\x02\x01\x08"  # these need the interface's index (RFC 2863)
IF_IN_OCTETS = b"\x2b\x06\x01\x02\x01\x02\x02\x01\x0a"
IF_IN_ERRORS = b"\x2b\x06\x01\x02\x01\x02\x02\x01\x0e"
IF_OUT_OCTETS = b"\x2b\x06\x01\x02\x01\x02\x02\x01\x10"
IF_HC_IN_OCTETS = b"\x2b\x06\x01\x02\x01\x1f\x01\x01\x01\x06"
IF_HC_OUT_OCTETS = b"\x2b\x06\x01\x02\x01\x1f\x01\x01\x01\x0a"

Response = namedtuple("Response", ("request_id", "error", "values"))
"""error: error-status, 0 for none; values: [(OID, integer, octets or None)] in the order received."""


def column(oid: bytes, index: int) -> bytes:
    """Return the OID of a table's column at an index below 2^21 (X.690 8.19.2: base 128)."""
    arcs = [index & 0x7F]
    while index > 0x7F:
        index >>= 7
        arcs.insert(0, index & 0x7F | 0x80)
    return oid + bytes(arcs)


def encode_get(request_id: int, community: bytes, oids: tuple) -> bytes:
    """Return a Get of these OIDs; request_id 0..2^31-1."""
    wanted = b"".join([_item(SEQUENCE, _item(OID, oid) + _item(NULL, b"")) for oid in oids])
    pdu = _integer(request_id) + _integer(0) + _integer(0) + _item(SEQUENCE, wanted)
    return _item(SEQUENCE, _integer(VERSION_2C) + _item(OCTET_STRING, community) + _item(GET, pdu))


def _integer(value: int) -> bytes:
    octets = value.to_bytes(4, "big").lstrip(b"\0") or b"\0"
    return _item(INTEGER, octets if octets[0] < 0x80 else b"\0" + octets)


def _item(tag: int, contents: bytes) -> bytes:
    n = len(contents)
    if n < 0x80:
        return bytes((tag, n)) + contents
    if n < 0x100:
        return bytes((tag, 0x81, n)) + contents
    return bytes((tag, 0x82, n >> 8, n & 0xFF)) + contents


def decode_response(octets: bytes) -> Response:
    """Return the Response in a datagram. Raises Malformed."""
    message, end = _read(octets, 0, SEQUENCE)
    if end != len(octets):
        raise Malformed("octets after the message")
    version, at = _read(message, 0, INTEGER)
    if _signed(version) != VERSION_2C:
        raise Malformed("version %d" % _signed(version))
    _, at = _read(message, at, OCTET_STRING)
    pdu, _ = _read(message, at, RESPONSE)
    number, at = _read(pdu, 0, INTEGER)
    error, at = _read(pdu, at, INTEGER)
    _, at = _read(pdu, at, INTEGER)
    bindings, _ = _read(pdu, at, SEQUENCE)
    values = []
    at = 0
    while at < len(bindings):
        binding, at = _read(bindings, at, SEQUENCE)
        oid, inside = _read(binding, 0, OID)
        values.append((oid, _value(binding, inside)))
    return Response(_signed(number), _signed(error), values)


def _read(octets: bytes, at: int, tag: int) -> tuple:
    """Return (contents, index after) of the item at `at`, which must have this tag."""
    if at >= len(octets) or octets[at] != tag:
        raise Malformed("wanted tag %02x" % tag)
    return _contents(octets, at)


def _contents(octets: bytes, at: int) -> tuple:
    if at + 2 > len(octets):
        raise Malformed("cut off")
    n = octets[at + 1]
    begin = at + 2
    if n & 0x80:
        more = n & 0x7F
        if more not in (1, 2) or begin + more > len(octets):
            raise Malformed("a length of %d octets" % more)
        n = int.from_bytes(octets[begin : begin + more], "big")
        begin += more
    if begin + n > len(octets):
        raise Malformed("cut off")
    return octets[begin : begin + n], begin + n


def _value(octets: bytes, at: int) -> "int | bytes | None":
    contents, end = _contents(octets, at)
    tag = octets[at]
    if end != len(octets):
        raise Malformed("octets after a value")
    if tag in ABSENT:
        return None
    if tag in COUNTERS:
        if not 1 <= len(contents) <= 9:
            raise Malformed("a counter of %d octets" % len(contents))
        return int.from_bytes(contents, "big")
    return _signed(contents) if tag == INTEGER else contents


def _signed(contents: bytes) -> int:
    if not 1 <= len(contents) <= 5:
        raise Malformed("an integer of %d octets" % len(contents))
    value = int.from_bytes(contents, "big")
    return value - (1 << 8 * len(contents)) if contents[0] & 0x80 else value
