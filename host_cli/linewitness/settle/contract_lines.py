"""Where each table and key of a TOML text stands: 'credit[0].band[1].percent' -> line, so that problems have a place.

Knows headers, keys and strings over several lines; what is written inside an inline table has the line of its key.
"""

from __future__ import annotations

import re

HEADER = re.compile(r"\s*(\[\[?)\s*([\w.-]+)\s*\]")
KEY = re.compile(r"\s*([\w.-]+)\s*=")
LONG = re.compile(r'"""|\'\'\'')
INDEX = re.compile(r"\[\d+\]")


def key_lines(text: str) -> dict[str, int]:
    """Return the line (1..) of each table, entry and key, by path."""
    result: dict[str, int] = {}
    counts: dict[str, int] = {}
    table, inside_text = "", False
    for number, line in enumerate(text.splitlines(), 1):
        was_inside, inside_text = inside_text, inside_text ^ (len(LONG.findall(line)) % 2 == 1)
        if was_inside:
            continue
        if header := HEADER.match(line):
            table = _entry(header[2], header[1] == "[[", counts)
            result.setdefault(INDEX.sub("", table), number)
            result[table] = number
        elif key := KEY.match(line):
            result.setdefault(f"{table}.{key[1]}" if table else key[1], number)
    return result


def line_of(path: str, lines: dict[str, int]) -> int:
    """Return the line of a path, or of the nearest thing around it that has one."""
    while path:
        for spelling in (path, path.replace("[0]", "", 1)):  # [name] stands for a [[name]] that is alone
            if spelling in lines:
                return lines[spelling]
        path = path[: path.rfind("[")] if path.endswith("]") else path.rpartition(".")[0]
    return 1


def _entry(name: str, many: bool, counts: dict[str, int]) -> str:
    """Return the path of the entry that a header opens: each list on the way at the entry that it is at."""
    path = ""
    parts = name.split(".")
    for i, part in enumerate(parts):
        path = f"{path}.{part}" if path else part
        if many and i == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = f"{path}[{counts[path]}]"
    return path
