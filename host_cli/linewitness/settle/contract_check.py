"""What may stand in a contract's TOML, and what is wrong with one: unknown keys, wrong values, holes, with the line.

Knows the shape (SCHEMA) and the sense of the data; settle.contract has the values that are made of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a contract, at which key and line (1..); warning: it can be used all the same."""

    line: int
    key: str
    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """What a key takes: types, whether it must be there, and the words or the range allowed."""

    types: tuple[type, ...]
    required: bool = False
    words: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None


TEXT = Key((str,))
NAME = Key((str,), required=True)
PERCENT = Key((int, Decimal), required=True, least=0, most=100)
HOURS = Key((int, Decimal), least=0)
MINUTES = Key((int,), required=True, least=1)

SCHEMA: dict[str, dict[str, Key]] = {
    "contract": {
        "name": NAME, "provider": NAME, "time_zone": NAME, "effective_from": Key((date,), required=True),
        "effective_until": Key((date,)), "clause": TEXT,
        "measure_of_record": Key((str,), words=("provider", "third_party", "customer", "either")),
    },
    "source": {"url": TEXT, "version": TEXT, "effective": TEXT, "sha256": TEXT, "page": TEXT},
    "commitment": {
        "metric": Key((str,), required=True, words=("availability",)), "target_percent": PERCENT,
        "window": Key((str,), required=True, words=("month",)), "scope": Key((str,), required=True, words=("site",)),
        "clause": TEXT,
    },
    "downtime": {
        "starts_at": Key((str,), required=True, words=("failure", "detection", "ticket", "notice")),
        "min_continuous_s": Key((int,), required=True, least=0, most=86_400),
        "rounding": Key((str,), required=True, words=("none", "minute_down", "minute_up")),
        "denominator": Key((str,), words=("month", "month_without_excluded")), "clause": TEXT,
    },
    "exclusion": {
        "kind": Key((str,), required=True, words=(
            "maintenance", "emergency_maintenance", "customer_equipment", "customer_lan", "access_isp",
            "pstn_carrier", "upstream_cloud", "force_majeure", "suspension", "beta", "capacity",
        )),
        "clause": NAME, "notice_h": HOURS, "max_h_month": HOURS,
    },
    "credit": {
        "base": Key((str,), required=True, words=("mrc", "affected_service", "usage")), "cap_percent": PERCENT,
        "automatic": Key((bool,)), "band": Key((list,), required=True),
    },
    "credit.band": {"from_percent": PERCENT, "below_percent": PERCENT, "percent": PERCENT},
    "claim": {
        "deadline": Key((int,), required=True, least=0, most=730),
        "unit": Key((str,), required=True, words=("day", "business_day", "month_end", "billing_cycle")),
        "basis": Key((str,), required=True, words=("incident", "month_end", "resolution")),
        "channel": TEXT, "subject": TEXT, "needs_ticket_within_h": HOURS, "fields": Key((list,)),
    },
    "priority": {
        "name": NAME, "response_min": MINUTES, "update_min": MINUTES, "restore_min": MINUTES,
        "hours": Key((str,), required=True, words=("24x7", "business")), "definition": TEXT,
        "phone_required": Key((bool,)),
    },
}  # fmt: skip
LISTS = ("commitment", "exclusion", "priority")
REQUIRED = ("contract", "commitment", "downtime")


def problems_of(data: dict[str, Any], lines: dict[str, int]) -> list[Problem]:
    """Return all that is wrong with parsed TOML, in the order of lines; the sense only of a right shape."""
    problems = list(_shape(data, lines)) or list(_sense(data, lines))
    return sorted(problems, key=lambda p: (p.line, p.key))


def key_lines(text: str) -> dict[str, int]:
    """Return where each table and key stands: 'credit.band[1].percent' -> line (1..)."""
    result: dict[str, int] = {}
    table, counts = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[\s*([\w.-]+)\s*\]\]", line):
            i = counts.get(header[1], 0)
            counts[header[1]] = i + 1
            table = f"{header[1]}[{i}]"
            result.setdefault(header[1], number)
            result[table] = number
        elif header := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            table = header[1]
            result[table] = number
        elif key := re.match(r"\s*([\w-]+)\s*=", line):
            result[f"{table}.{key[1]}" if table else key[1]] = number
    return result


def _shape(data: dict[str, Any], lines: dict[str, int]) -> Iterator[Problem]:
    """Yield unknown and missing keys, wrong types, words and ranges."""
    for name in data:
        if name not in SCHEMA or "." in name:
            known = ", ".join(k for k in SCHEMA if "." not in k)
            yield Problem(lines.get(name, 1), name, f"unknown; known are {known}")
    for name in REQUIRED:
        if not data.get(name):
            yield Problem(1, name, "is missing")
    for name in SCHEMA:
        if name in data:
            yield from _shape_of(data[name], name, name in LISTS, lines)
    bands = data["credit"].get("band") if isinstance(data.get("credit"), dict) else None
    if isinstance(bands, list):
        yield from _shape_of(bands, "credit.band", True, lines)


def _shape_of(value: object, name: str, many: bool, lines: dict[str, int]) -> Iterator[Problem]:
    if isinstance(value, list) is not many:
        wanted = f"[[{name}]]" if many else f"[{name}]"
        yield Problem(lines.get(name, 1), name, f"wanted {wanted}")
        return
    for i, table in enumerate(value if isinstance(value, list) else [value]):
        where = f"{name}[{i}]" if many else name
        if not isinstance(table, dict):
            yield Problem(lines.get(name, 1), name, "wanted a table")
            continue
        for key in table:
            if key not in SCHEMA[name]:
                known = ", ".join(SCHEMA[name])
                yield Problem(lines.get(f"{where}.{key}", 1), f"{where}.{key}", f"unknown; known are {known}")
        for key, rule in SCHEMA[name].items():
            at = lines.get(f"{where}.{key}", lines.get(where, 1))
            if key in table:
                if wrong := _wrong(table[key], rule):
                    yield Problem(at, f"{where}.{key}", wrong)
            elif rule.required:
                yield Problem(at, f"{where}.{key}", "is missing")


def _wrong(value: object, rule: Key) -> str | None:
    if not isinstance(value, rule.types) or (isinstance(value, bool) and bool not in rule.types):
        return f"wanted {' or '.join(_TYPE_NAMES[t] for t in rule.types)}, got {value!r}"
    if rule.words and value not in rule.words:
        return f"wanted one of {', '.join(rule.words)}, got {value!r}"
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        if rule.least is not None and value < rule.least:
            return f"wanted at least {rule.least}, got {value}"
        if rule.most is not None and value > rule.most:
            return f"wanted at most {rule.most}, got {value}"
    if rule.required and value == "":
        return "is empty"
    return None


_TYPE_NAMES = {
    str: "text", int: "a whole number", Decimal: "a number", bool: "true or false", date: "a date", list: "a list",
}  # fmt: skip


def _sense(data: dict[str, Any], lines: dict[str, int]) -> Iterator[Problem]:
    """Yield what is wrong with values that have the right shape."""
    contract = data["contract"]
    try:
        ZoneInfo(contract["time_zone"])
    except (OSError, ValueError, KeyError):
        at = lines["contract.time_zone"]
        yield Problem(at, "contract.time_zone", f"no IANA time zone: {contract['time_zone']!r}, try Europe/London")
    until = contract.get("effective_until")
    if until is not None and until <= contract["effective_from"]:
        yield Problem(lines["contract.effective_until"], "contract.effective_until", "is not after effective_from")
    for i, p in enumerate(data.get("priority", [])):
        if p["response_min"] > p["restore_min"]:
            key = f"priority[{i}].restore_min"
            yield Problem(lines[key], key, f"restore {p['restore_min']} min before response {p['response_min']} min")
    for i, e in enumerate(data.get("exclusion", [])):
        for key in ("notice_h", "max_h_month"):
            if key in e and e["kind"] != "maintenance":
                at = lines[f"exclusion[{i}].{key}"]
                yield Problem(at, f"exclusion[{i}].{key}", f"belongs to kind maintenance, not {e['kind']}")
        if e["kind"] == "maintenance" and "notice_h" not in e:
            at = lines[f"exclusion[{i}]"]
            yield Problem(at, f"exclusion[{i}].notice_h", "is missing: maintenance without notice is excluded", True)
    if "credit" in data:
        yield from _bands(data, lines)
    if "claim" not in data:
        yield Problem(1, "claim", "is missing: no deadline will be watched", True)


def _bands(data: dict[str, Any], lines: dict[str, int]) -> Iterator[Problem]:
    """Yield holes and overlaps: from the commitment's target down to 0, edge to edge."""
    target = max(c["target_percent"] for c in data["commitment"])
    order = sorted(enumerate(data["credit"]["band"]), key=lambda item: -item[1]["below_percent"])
    edge, edge_name = target, "the target"
    for i, band in order:
        key = f"credit.band[{i}].below_percent"
        at = lines.get(key, lines.get("credit", 1))
        if band["from_percent"] >= band["below_percent"]:
            yield Problem(at, key, f"the band from {band['from_percent']} to {band['below_percent']} is empty")
        if band["below_percent"] < edge:
            yield Problem(at, key, f"hole: {band['below_percent']} to {edge} ({edge_name}) pays nothing")
        elif band["below_percent"] > edge:
            yield Problem(at, key, f"overlap: {edge} to {band['below_percent']} is in two bands, or above the target")
        edge, edge_name = band["from_percent"], f"band[{i}].from_percent"
    if edge > 0:
        i = order[-1][0] if order else 0
        key = f"credit.band[{i}].from_percent"
        yield Problem(lines.get(key, lines.get("credit", 1)), key, f"hole: 0 to {edge} pays nothing")
