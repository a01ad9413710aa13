"""TOML in and out, strictly: an unknown key, a wrong type or a missing key is one line that names file, key and choice.

A schema is {key: type}; type is a Python type, a schema (a table), [type] (an array of them), or {ANY: type} for a
table whose keys are names. Keys in OPTIONAL(...) may be absent. Files are replaced whole, so a reader never sees half.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from pathlib import Path
from typing import Any

from linewitness.errors import CannotDo, UsageProblem, cannot_access

ANY = "*"
Table = dict[str, Any]


class Optional:
    """Marks a schema's key as one that may be absent."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


def read(path: Path, schema: Table) -> Table:
    """Return the table in a TOML file that fits schema. Raises CannotDo or UsageProblem."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise cannot_access(e, path) from e
    except UnicodeDecodeError as e:
        raise UsageProblem("not UTF-8", str(path), "save the file as UTF-8") from e
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise UsageProblem(f"not TOML: {e}", str(path), "mend the line named") from e
    check(table, schema, str(path))
    return table


def check(table: Table, schema: Table, where: str) -> None:
    """Return nothing; raise UsageProblem unless table has the keys and types of schema."""
    for key, value in table.items():
        kind = schema.get(key, schema.get(ANY))
        if kind is None:
            near = difflib.get_close_matches(key, schema, 1)
            raise UsageProblem(f"unknown key '{key}'", where, near[0] if near else "one of " + ", ".join(schema))
        _check_value(value, kind.kind if isinstance(kind, Optional) else kind, f"{where}: {key}")
    for key, kind in schema.items():
        if key != ANY and key not in table and not isinstance(kind, Optional):
            raise UsageProblem(f"key '{key}' is missing", where, f"add {key} = ...")


def _check_value(value: Any, kind: Any, where: str) -> None:
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            raise UsageProblem(f"wanted a table, got {value!r}", where)
        check(value, kind, where)
    elif isinstance(kind, list):
        if not isinstance(value, list):
            raise UsageProblem(f"wanted an array, got {value!r}", where)
        for i, item in enumerate(value):
            _check_value(item, kind[0], f"{where}[{i}]")
    elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageProblem(f"wanted {_article(kind)}, got {value!r}", where)


def _article(kind: type) -> str:
    return {str: "text", int: "a whole number", bool: "true or false"}.get(kind, kind.__name__)


def write(path: Path, text: str, *, secret: bool = False) -> None:
    """Replace a file by text, durably and at once; secret files are the owner's alone (0600). Raises CannotDo."""
    write_octets(path, text.encode(), secret=secret)


def write_octets(path: Path, octets: bytes, *, secret: bool = False) -> None:
    """As write(), for octets."""
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
        with os.fdopen(handle, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as e:
        raise cannot_access(e, path, "free space on the disk" if e.errno == 28 else "check the folder's owner") from e


def dumps(table: Table) -> str:
    """Return a table as TOML: plain values first, then tables, then arrays of tables; None is left out."""
    return "\n".join(_lines(table, ())).strip("\n") + "\n"


def _lines(table: Table, path: tuple[str, ...]) -> list[str]:
    lines, after = [], []
    for key, value in table.items():
        name = ".".join(map(_key, (*path, key)))
        if isinstance(value, dict):
            after += ["", f"[{name}]", *_lines(value, (*path, key))]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                after += ["", f"[[{name}]]", *_lines(item, (*path, key))]
        elif value is not None:
            lines.append(f"{_key(key)} = {_value(value)}")
    return lines + after


def _key(key: str) -> str:
    return key if key and all(c.isascii() and (c.isalnum() or c in "-_") for c in key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    raise CannotDo(f"no TOML form for a {type(value).__name__}")
