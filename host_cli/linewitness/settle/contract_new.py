"""A new contract from a template: which values it asks for, and the text with the answers put in. No I/O.

The template's comments and order stay. A value that nobody gave stays as the template has it, so `fill-in` is still
there to be found by `contract check`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from linewitness.errors import UsageProblem
from linewitness.settle.contract_check import unknown, wrong_value
from linewitness.settle.contract_lines import INDEX, key_lines
from linewitness.settle.contract_tables import TABLES, Key

VALUE = re.compile(r"(\s*[\w-]+\s*=\s*)((?:\"(?:[^\"\\]|\\.)*\"|\[[^\]]*\]|[^#])*?)(\s*(?:#.*)?)$")


@dataclass(frozen=True, slots=True)
class Question:
    """One value of a template: its path such as credit[0].base, the rule of its key, what the template has."""

    path: str
    rule: Key
    default: str


@dataclass(frozen=True, slots=True)
class Block:
    """One table or entry of a template, and what it asks."""

    path: str
    says: str
    required: bool
    questions: tuple[Question, ...]


def blocks(template: str) -> list[Block]:
    """Return the tables and entries of a template in their order, those inside of one with it."""
    found: dict[str, list[Question]] = {}
    for path, line in _values(template):
        owner = re.match(r"\w+(\[\d+\])?", path)
        assert owner is not None
        match = VALUE.match(line)
        assert match is not None
        found.setdefault(owner[0], []).append(Question(path, rule_of(path), match[2].strip()))
    return [
        Block(path, TABLES[_plain(path)].says, TABLES[_plain(path)].required, tuple(asked))
        for path, asked in found.items()
    ]


def rule_of(path: str) -> Key:
    """Return the rule of a key by its path. Raises UsageProblem for a path that leads nowhere."""
    table, _, key = _plain(path).rpartition(".")
    if table not in TABLES:
        raise UsageProblem(f"no table '{table}': {unknown(table, TABLES)}", path, "such as contract.provider=acme")
    if key not in TABLES[table].keys:
        raise UsageProblem(f"no key '{key}' in {table}: {unknown(key, TABLES[table].keys)}", path, "contract schema")
    return TABLES[table].keys[key]


def literal(path: str, text: str) -> str:
    """Return TOML for what a person typed as the value of a key. Raises UsageProblem, saying what was wanted."""
    rule = rule_of(path)
    for spelling in (text, json.dumps(text, ensure_ascii=False)):
        try:
            value: Any = tomllib.loads(f"x = {spelling}", parse_float=Decimal)["x"]
        except tomllib.TOMLDecodeError:
            continue
        if rule.types == (str,) and not isinstance(value, str):
            continue
        if rule.types == (list,) and isinstance(value, str) and rule.items is str:
            value = [part.strip() for part in value.split(",") if part.strip()]
            spelling = json.dumps(value, ensure_ascii=False)
        if wrong := wrong_value(value, rule):
            raise UsageProblem(wrong, path, _example(rule))
        return spelling
    raise UsageProblem(f"can't be a value: {text!r}", path, _example(rule))


def fill(template: str, answers: Mapping[str, str], without: frozenset[str] = frozenset()) -> str:
    """Return the template with TOML values by path put in; without: entries and tables to leave out.

    A key that the template does not have is added to its table; a table that it does not have, at the end.
    """
    lines = template.splitlines()
    left = dict(answers)
    placed = key_lines("\n".join(lines))
    for path in [p for p in left if p in placed]:
        match = VALUE.match(lines[placed[path] - 1])
        if match is None:
            raise UsageProblem("stands on several lines in the template", path, "edit the file")
        value, comment = left.pop(path), match[3].strip()
        made = f"{match[1]}{value}"
        lines[placed[path] - 1] = f"{made:<36} {comment}" if comment else made
    for path, value in sorted(left.items(), key=lambda item: -placed.get(item[0].rpartition(".")[0], 0)):
        table, _, key = path.rpartition(".")
        if table in placed:
            lines.insert(placed[table], f"{key} = {value}")
            continue
        name = _plain(table)
        lines += ["", f"[[{name}]]" if TABLES[name].many else f"[{name}]", f"{key} = {value}"]
        placed = key_lines("\n".join(lines))
        if table not in placed:
            raise UsageProblem(f"there is no {table} yet", path, "entries are numbered from 0 without a gap")
    return _strip(lines, without)


def shape_of(template: str) -> str:
    """Return what a template says of its shape."""
    told = template.partition("The shape:\n")[2].partition("# `")[0]
    return " ".join(line.removeprefix("#").strip() for line in told.splitlines())


def _values(template: str) -> Iterator[tuple[str, str]]:
    """Yield (path, line) of every key of a template, in order."""
    lines = template.splitlines()
    for path, number in sorted(key_lines(template).items(), key=lambda item: item[1]):
        if "=" in lines[number - 1].split("#")[0] and not lines[number - 1].lstrip().startswith("["):
            yield path, lines[number - 1]


def _strip(lines: list[str], without: frozenset[str]) -> str:
    """Return the text of lines without some entries, and what stands inside of them."""
    kept, gone, counts = [], False, dict[str, int]()
    for line in lines:
        header = re.match(r"\s*(\[\[?)\s*([\w.-]+)", line)
        if header:
            name = header[2]
            if header[1] == "[[" and "." not in name:
                counts[name] = counts.get(name, -1) + 1
            top = name.split(".")[0]
            path = f"{top}[{counts[top]}]" if top in counts else top
            gone = path in without
        if not gone:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _plain(path: str) -> str:
    return INDEX.sub("", path)


def _example(rule: Key) -> str:
    if rule.words:
        return ", ".join(rule.words)
    examples = {str: "text", int: "30", Decimal: "99.9", bool: "true", date: "2026-01-01", list: "one, two"}
    return f"{rule.says}: {examples[rule.types[-1]]}"
