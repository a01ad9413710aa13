"""Strict reading of the versioned maps of evidence: {0: version 1, 1: ..., 2: ...}, each field of one type."""

from __future__ import annotations

from typing import Any

from linewitness_wire import cbor
from linewitness_wire.errors import OutOfRange, UnknownField, UnknownVersion, WrongType

VERSION = 1
UTC_MAX_US = 2**63 - 1

Kind = type | tuple[type, ...]


def encode_fields(*values: object) -> bytes:
    """Return the deterministic CBOR of {0: 1, 1: values[0], 2: values[1], ...}."""
    octets: bytes = cbor.encode({0: VERSION, **dict(enumerate(values, 1))})
    return octets


def decode_fields(octets: bytes, what: str, kinds: tuple[Kind, ...]) -> list[Any]:
    """Return the values of the fields 1.. in order, whose types are kinds. Raises a WireError that begins with what."""
    fields = cbor.decode(octets)
    if not isinstance(fields, dict):
        raise WrongType(f"{what}: wanted a map, got {type(fields).__name__}")
    version = fields.get(0)
    if version != VERSION or isinstance(version, bool):
        raise UnknownVersion(f"{what}: wanted version {VERSION}, got {version!r}")
    if max(fields) > len(kinds):
        raise UnknownField(f"{what}: no field {max(fields)} in version {VERSION}")
    if len(fields) != len(kinds) + 1:
        raise OutOfRange(f"{what}: wanted {len(kinds) + 1} fields, got {len(fields)}")
    return [typed(fields[key], kind, f"{what}: field {key}") for key, kind in enumerate(kinds, 1)]


def typed(value: Any, kind: Kind, what: str) -> Any:
    """Return value. Raises WrongType unless it is of kind; true and false are no integers."""
    if isinstance(value, bool) or not isinstance(value, kind):
        raise WrongType(f"{what} is a {type(value).__name__}")
    return value


def items(value: Any, kinds: tuple[Kind, ...], what: str) -> list[Any]:
    """Return the items of an array that has exactly these kinds. Raises a WireError."""
    typed(value, list, what)
    if len(value) != len(kinds):
        raise OutOfRange(f"{what}: wanted {len(kinds)} items, got {len(value)}")
    return [typed(item, kind, f"{what}: item {i}") for i, (item, kind) in enumerate(zip(value, kinds, strict=True))]


def octets_of(value: Any, n: int, what: str) -> bytes:
    """Return an octet string of n octets. Raises a WireError."""
    octets: bytes = typed(value, bytes, what)
    if len(octets) != n:
        raise OutOfRange(f"{what}: wanted {n} octets, got {len(octets)}")
    return octets


def number(value: Any, low: int, high: int, what: str) -> int:
    """Return an integer in low..high. Raises a WireError."""
    n: int = typed(value, int, what)
    if not low <= n <= high:
        raise OutOfRange(f"{what}: wanted {low}..{high}, got {n}")
    return n
