"""The contract's JSON Schema (draft 2020-12) for editors, made from contract_tables: the same keys, words and ranges.

Dates are text there, as editors see them. What only sense can tell (holes in bands, clocks that can't be kept) no
schema can; `linewitness contract check` does.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from linewitness.settle.contract_tables import DEFAULT_KINDS, TABLES, Key, Table, children

DRAFT = "https://json-schema.org/draft/2020-12/schema"
TYPES = {str: "string", int: "integer", Decimal: "number", bool: "boolean", date: "string", list: "array"}


def json_schema() -> dict[str, Any]:
    """Return the schema of a contract's file as plain values."""
    top = {name: table for name, table in TABLES.items() if not table.inside}
    return {
        "$schema": DRAFT,
        "title": "linewitness contract",
        "description": "A service level agreement as data. Check it with: linewitness contract check FILE",
        "type": "object",
        "properties": {name: _table(name, table) for name, table in top.items()},
        "required": [name for name, table in top.items() if table.required],
        "additionalProperties": False,
    }


def _table(name: str, table: Table) -> dict[str, Any]:
    inner = children(name)
    entry: dict[str, Any] = {
        "type": "object",
        "properties": {
            key: _table(inner[key], TABLES[inner[key]]) if key in inner else _key(rule)
            for key, rule in table.keys.items()
        },
        "required": [key for key, rule in table.keys.items() if rule.required],
        "additionalProperties": False,
    }
    if conditions := _conditions(name, table):
        entry["allOf"] = conditions
    if not table.many:
        return {"description": table.says, **entry}
    listed = {"type": "array", "items": entry, "minItems": 1}
    return {"description": table.says, **({"anyOf": [listed, entry]} if table.loose else listed)}


def _conditions(name: str, table: Table) -> list[dict[str, Any]]:
    """Return what each kind of entry must and may not have."""
    if not table.by:
        return []
    result = []
    for kind in table.keys[table.by].words:
        barred = [key for key, rule in table.keys.items() if rule.only and kind not in rule.only]
        then: dict[str, Any] = {}
        if needed := table.needs.get(kind):
            then["required"] = list(needed)
        if barred:
            then["properties"] = dict.fromkeys(barred, False)
        if then:
            named = [] if DEFAULT_KINDS.get(name) == kind else [table.by]
            result.append({"if": {"properties": {table.by: {"const": kind}}, "required": named}, "then": then})
    return result


def _key(rule: Key) -> dict[str, Any]:
    types = [TYPES[t] for t in rule.types]
    made: dict[str, Any] = {"description": rule.says, "type": types[0] if len(types) == 1 else "number"}
    if rule.types == (date,):
        made["format"] = "date"
    if list in rule.types:
        made |= _items(rule)
    elif rule.words:
        made["enum"] = list(rule.words)
    if rule.least is not None:
        made["minimum"] = rule.least
    if rule.most is not None:
        made["maximum"] = rule.most
    if rule.pattern:
        made["pattern"] = rule.pattern
    if rule.required and rule.types == (str,):
        made["minLength"] = 1
    return made


def _items(rule: Key) -> dict[str, Any]:
    if rule.items is list:  # [from, until]
        instant = {"type": "string", "format": "date-time"}
        return {"items": {"type": "array", "items": instant, "minItems": 2, "maxItems": 2}}
    item: dict[str, Any] = {"type": TYPES[rule.items or str]}
    if rule.items is date:
        item["format"] = "date"
    if rule.words:
        item["enum"] = list(rule.words)
    return {"items": item, **({"minItems": 1} if rule.required else {})}
