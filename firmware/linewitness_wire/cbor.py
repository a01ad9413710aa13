"""Deterministic CBOR (RFC 8949 4.2.1) of the subset that records and plans use.

Integers in [-2^63, 2^64), octet strings, text, arrays, maps whose keys are unsigned integers, true, false, null.
No floats, no tags, no indefinite lengths: one value has exactly one spelling, and decode() refuses every other, so that
encode(decode(octets)) == octets for all that it accepts.
"""

import struct

from .errors import DuplicateKey, NotCanonical, OutOfRange, TrailingOctets, Truncated, WrongType

MAX_DEPTH = 8  # a record nests 4 deep; more is an attack on the reader's stack


def encode(value: object) -> bytes:
    """Return the octets of value. Raises WrongType or OutOfRange for what the subset does not hold."""
    out = bytearray()  # not a list of pieces: on a board the pieces of a body would take ten times its size
    put(value, out)
    return bytes(out)


def put_head(major: int, n: int, out: bytearray) -> None:
    """Append the head of an item: its major type in the top 3 bits, its value, length or number of items."""
    if n < 24:
        out.append(major | n)
    elif n < 0x100:
        out.append(major | 24)
        out.append(n)
    elif n < 0x10000:
        out.extend(struct.pack(">BH", major | 25, n))
    elif n < 0x100000000:
        out.extend(struct.pack(">BI", major | 26, n))
    elif n < 0x10000000000000000:
        out.extend(struct.pack(">BQ", major | 27, n))
    else:
        raise OutOfRange("integer needs more than 64 bits")


def put(value: object, out: bytearray, depth: int = 0) -> None:
    """Append the octets of value. Raises what encode() does."""
    if depth > MAX_DEPTH:
        raise OutOfRange("nested deeper than %d" % MAX_DEPTH)
    if value is None:
        out.append(0xF6)
    elif value is True:
        out.append(0xF5)
    elif value is False:
        out.append(0xF4)
    elif isinstance(value, int):
        if value < -0x8000000000000000:
            raise OutOfRange("integer below -2^63")
        if value >= 0:
            put_head(0x00, value, out)
        else:
            put_head(0x20, -1 - value, out)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        put_head(0x40, len(value), out)
        out.extend(value)
    elif isinstance(value, str):
        octets = value.encode()
        put_head(0x60, len(octets), out)
        out.extend(octets)
    elif isinstance(value, (list, tuple)):
        put_head(0x80, len(value), out)
        for item in value:
            put(item, out, depth + 1)
    elif isinstance(value, dict):
        for key in value:
            if isinstance(key, bool) or not isinstance(key, int) or key < 0:
                raise WrongType("map key is not an unsigned integer")
        put_head(0xA0, len(value), out)
        for key in sorted(value):  # numeric order of unsigned integers is the bytewise order of their spelling
            put_head(0x00, key, out)
            put(value[key], out, depth + 1)
    else:
        raise WrongType("no CBOR spelling for a %s" % type(value).__name__)


def decode(octets: bytes) -> object:
    """Return the value of octets, all of them. Raises a WireError for anything that encode() would not have written."""
    value, end = _decode(octets, 0, 0)
    if end != len(octets):
        raise TrailingOctets("%d octets after the item" % (len(octets) - end))
    return value


def decode_prefix(octets: bytes, start: int) -> tuple[object, int]:
    """Return (value, end) of the one item that begins at start; what follows is left alone (for CBOR sequences)."""
    return _decode(octets, start, 0)


def _take(octets: bytes, start: int, n: int) -> int:
    end = start + n
    if end > len(octets):
        raise Truncated("wanted %d octets at %d, got %d" % (n, start, len(octets) - start))
    return end


def _argument(octets: bytes, i: int) -> tuple[int, int]:
    """Return (argument, next index) of the head at i, refusing any but the shortest spelling."""
    low = octets[i] & 0x1F
    i += 1
    if low < 24:
        return low, i
    if low > 27:
        raise NotCanonical("reserved or indefinite length at %d" % (i - 1))
    size = 1 << (low - 24)
    end = _take(octets, i, size)
    n = 0
    for octet in octets[i:end]:
        n = n << 8 | octet
    if n < (24, 0x100, 0x10000, 0x100000000)[low - 24]:
        raise NotCanonical("%d is not in its shortest form at %d" % (n, i - 1))
    return n, end


def _decode(octets: bytes, i: int, depth: int) -> tuple[object, int]:
    if depth > MAX_DEPTH:
        raise OutOfRange("nested deeper than %d" % MAX_DEPTH)
    _take(octets, i, 1)
    first = octets[i]
    if first < 24:  # most of a record: kept ahead of the rest for the reader's speed
        return first, i + 1
    major = first >> 5
    if major == 7:
        if first == 0xF6:
            return None, i + 1
        if first == 0xF5:
            return True, i + 1
        if first == 0xF4:
            return False, i + 1
        raise WrongType("simple value or float 0x%02x at %d" % (first, i))
    if major == 6:
        raise WrongType("tag at %d" % i)
    n, i = _argument(octets, i)
    if major == 0:
        return n, i
    if major == 1:
        if n > 0x7FFFFFFFFFFFFFFF:
            raise OutOfRange("integer below -2^63 at %d" % i)
        return -1 - n, i
    if major == 2:
        end = _take(octets, i, n)
        return bytes(octets[i:end]), end
    if major == 3:
        end = _take(octets, i, n)
        _check_utf8(octets, i, end)
        return str(bytes(octets[i:end]), "utf-8"), end
    if n > len(octets) - i:  # each item takes an octet at least: refuse before allocating
        raise Truncated("%d items announced at %d, %d octets left" % (n, i, len(octets) - i))
    if major == 4:
        items = []
        for _ in range(n):
            item, i = _decode(octets, i, depth + 1)
            items.append(item)
        return items, i
    return _decode_map(octets, i, n, depth)


def _check_utf8(octets: bytes, i: int, end: int) -> None:
    """Raise WrongType unless octets [i, end) are UTF-8 (RFC 3629 4). MicroPython's own check lets bad forms pass."""
    start = i
    while i < end:
        first = octets[i]
        i += 1
        if first < 0x80:
            continue
        low, high = 0x80, 0xBF  # of the second octet: no overlong form, no surrogate, nothing above U+10FFFF
        if 0xC2 <= first <= 0xDF:
            more = 1
        elif 0xE0 <= first <= 0xEF:
            more = 2
            low = 0xA0 if first == 0xE0 else 0x80
            high = 0x9F if first == 0xED else 0xBF
        elif 0xF0 <= first <= 0xF4:
            more = 3
            low = 0x90 if first == 0xF0 else 0x80
            high = 0x8F if first == 0xF4 else 0xBF
        else:
            raise WrongType("text at %d is not UTF-8" % start)
        for _ in range(more):
            if i >= end or not low <= octets[i] <= high:
                raise WrongType("text at %d is not UTF-8" % start)
            low, high = 0x80, 0xBF
            i += 1


def _decode_map(octets: bytes, i: int, n: int, depth: int) -> tuple[dict[int, object], int]:
    result: dict[int, object] = {}
    last = -1
    for _ in range(n):
        _take(octets, i, 1)
        key = octets[i]
        if key >> 5:
            raise WrongType("map key at %d is not an unsigned integer" % i)
        if key < 24:
            i += 1
        else:
            key, i = _argument(octets, i)
        if key == last:
            raise DuplicateKey("key %d twice" % key)
        if key < last:
            raise NotCanonical("key %d after key %d" % (key, last))
        last = key
        result[key], i = _decode(octets, i, depth + 1)
    return result, i
