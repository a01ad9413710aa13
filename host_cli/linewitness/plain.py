"""Dataclasses to plain values and back, strictly: what JSON holds is the value's own fields, each of its own type."""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from typing import Any, TypeVar

T = TypeVar("T")


def plain(value: Any) -> Any:
    """Return value with dataclasses as dicts and tuples as lists, ready for JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return value


def build(kind: type[T], value: Any) -> T:
    """Return the value of type kind that plain() made value from. Raises ValueError, naming the field."""
    return _build(kind, value, kind.__name__)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _build(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if not isinstance(value, dict) or value.keys() != _hints(kind).keys():
            raise ValueError(f"{where}: wanted the fields {', '.join(_hints(kind))}")
        return kind(**{name: _build(hint, value[name], f"{where}.{name}") for name, hint in _hints(kind).items()})
    if typing.get_origin(kind) is tuple:
        return _build_tuple(typing.get_args(kind), value, where)
    if isinstance(kind, types.UnionType):
        inner = next(k for k in typing.get_args(kind) if k is not types.NoneType)
        return None if value is None else _build(inner, value, where)
    if issubclass(kind, enum.StrEnum):
        return kind(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{where}: wanted {kind.__name__}, got {type(value).__name__}")
    return value


def _build_tuple(items: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{where}: wanted a list")
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_build(items[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if len(value) != len(items):
        raise ValueError(f"{where}: wanted {len(items)} items, got {len(value)}")
    return tuple(_build(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(items, value, strict=True)))
