"""What is wrong with a contract's TOML, by key and line: unknown keys, wrong values, keys of another kind of entry.

Knows the shape (contract_tables); contract_sense has what is wrong with values of a right shape, settle.contract the
values that are made of them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from linewitness.settle.contract_lines import line_of
from linewitness.settle.contract_sense import sense
from linewitness.settle.contract_tables import TABLES, Key, Table, children, kind_of


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a contract, at which key and line (1..); warning: it can be used all the same."""

    line: int
    key: str
    text: str
    warning: bool = False


def problems_of(data: dict[str, Any], lines: dict[str, int]) -> list[Problem]:
    """Return all that is wrong with parsed TOML, in the order of lines; the sense only of a right shape."""
    found = [Problem(line_of(key, lines), key, text) for key, text in shape(data)]
    if not found:
        found = [Problem(line_of(key, lines), key, text, warning) for key, text, warning in sense(data)]
    return sorted(set(found), key=lambda p: (p.line, p.key, p.text))


def shape(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong) for unknown and missing keys, wrong types, words and ranges."""
    top = {name: table for name, table in TABLES.items() if not table.inside}
    for name in data:
        if name not in top:
            yield name, unknown(name, top)
    for name, table in top.items():
        if name in data:
            yield from _table(data[name], name, name, table)
        elif table.required:
            yield name, "is missing"


def unknown(name: str, known: Iterable[str]) -> str:
    """Return what to say of a name that is not known: the one that was probably meant, else all of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, 1, 0.6)
    return f"unknown; did you mean '{near[0]}'?" if near else f"unknown; known are {', '.join(names)}"


def _table(value: object, path: str, name: str, table: Table) -> Iterator[tuple[str, str]]:
    if table.loose and isinstance(value, dict):
        value = [value]
    if isinstance(value, list) is not table.many:
        yield path, f"wanted [[{name}]]" if table.many else f"wanted [{name}]"
        return
    if value == []:
        yield path, "is empty"
    for i, entry in enumerate(value if isinstance(value, list) else [value]):
        where = f"{path}[{i}]" if table.many else path
        if isinstance(entry, dict):
            yield from _entry(entry, where, name, table)
        else:
            yield where, "wanted a table"


def _entry(entry: dict[str, Any], where: str, name: str, table: Table) -> Iterator[tuple[str, str]]:
    kind = kind_of(name, entry)
    kinds = table.keys[table.by].words if table.by else ()
    inner = children(name)
    for key, value in entry.items():
        rule = table.keys.get(key)
        if rule is None:
            yield f"{where}.{key}", unknown(key, _keys_for(table, kind))
        elif rule.only and kind in kinds and kind not in rule.only:
            yield f"{where}.{key}", f"belongs to {table.by} {_or(rule.only)}, not {kind}"
        elif key in inner and isinstance(value, list):
            yield from _table(value, f"{where}.{key}", inner[key], TABLES[inner[key]])
        elif wrong := wrong_value(value, rule):
            yield f"{where}.{key}", wrong
    for key, rule in table.keys.items():
        if key not in entry and (rule.required or key in table.needs.get(kind, ())):
            yield f"{where}.{key}", "is missing"


def _keys_for(table: Table, kind: str) -> list[str]:
    return [key for key, rule in table.keys.items() if not kind or not rule.only or kind in rule.only]


def wrong_value(value: object, rule: Key) -> str | None:
    """Return what is wrong with a value under a key's rule, None where nothing is."""
    if not _is(value, rule.types):
        return f"wanted {' or '.join(TYPE_NAMES[t] for t in rule.types)}, got {_shown(value)}"
    if isinstance(value, list):
        return _wrong_items(value, rule)
    if rule.words and value not in rule.words:
        near = difflib.get_close_matches(str(value), rule.words, 1, 0.6)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return f"wanted one of {', '.join(rule.words)}, got {_shown(value)}{hint}"
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        if isinstance(value, Decimal) and not value.is_finite():
            return f"wanted a number, got {value}"
        if rule.least is not None and value < rule.least:
            return f"wanted at least {rule.least}, got {value}"
        if rule.most is not None and value > rule.most:
            return f"wanted at most {rule.most}, got {value}"
    if rule.required and value == "":
        return "is empty"
    if rule.pattern and not re.fullmatch(rule.pattern, str(value)):
        return f"wanted {rule.says}, got {_shown(value)}"
    return None


def _wrong_items(items: list[Any], rule: Key) -> str | None:
    if rule.required and not items:
        return "is empty"
    for item in items:
        if rule.items is list:
            if not (isinstance(item, list) and len(item) == 2 and all(_is_instant(x) for x in item)):
                return f"wanted [from, until], each like 2026-03-01T10:00:00Z, got {_shown(item)}"
            if item[0] >= item[1]:
                return f"{item[0]} is not before {item[1]}"
        elif rule.items is not None and not _is(item, (rule.items,)):
            return f"wanted {TYPE_NAMES[rule.items]} in the list, got {_shown(item)}"
        elif rule.words and item not in rule.words:
            return f"wanted some of {', '.join(rule.words)}, got {_shown(item)}"
    return None


def _is(value: object, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in types
    if isinstance(value, datetime):
        return datetime in types
    return isinstance(value, types)


def _is_instant(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def _shown(value: object) -> str:
    return str(value) if isinstance(value, (Decimal, date)) else repr(value)


def _or(words: tuple[str, ...]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


TYPE_NAMES = {
    str: "text", int: "a whole number", Decimal: "a number", bool: "true or false", date: "a date", list: "a list",
}  # fmt: skip
