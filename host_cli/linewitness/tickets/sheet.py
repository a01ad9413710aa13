"""Tickets from another system's CSV: one line an event, in any order.

    number, act, at                  must be there: their reference; opened answered updated restored closed reopened
    text, sites, priority            what was said; with `opened`: sites with ; between (empty: all), a priority's name

Times are RFC 3339 with their offset. A ticket begins with its line `opened`. UTF-8.
"""

from __future__ import annotations

import csv
import io

from linewitness.errors import Refused
from linewitness.model import TicketAct
from linewitness.outages.fields import check_size, time_us
from linewitness.tickets.events import Entry

REQUIRED = ("number", "act", "at")
COLUMNS = (*REQUIRED, "text", "sites", "priority")
HINT = "the columns " + ", ".join(COLUMNS)


def parse(octets: bytes, where: str) -> list[tuple[str, Entry]]:
    """Return (number, entry) of each line, by time. Raises Refused, naming the line."""
    check_size(octets, where)
    try:
        reader = csv.DictReader(io.StringIO(octets.decode("utf-8-sig"), newline=""), strict=True)
        columns = [c.strip().lower() for c in reader.fieldnames or ()]
        reader.fieldnames = columns
        if unknown := [c for c in columns if c not in COLUMNS]:
            raise Refused(f"column {unknown[0]!r}: not known", f"{where}: line 1", HINT)
        if missing := [c for c in REQUIRED if c not in columns]:
            raise Refused(f"column {missing[0]!r} is missing", f"{where}: line 1", HINT)
        found = [_entry(row, f"{where}: line {reader.line_num}") for row in reader]
    except UnicodeDecodeError as e:
        raise Refused("not UTF-8 text", where, "save it as UTF-8") from e
    except csv.Error as e:
        raise Refused(f"no CSV: {e}", where, HINT) from e
    return sorted(found, key=lambda pair: (pair[0], pair[1].act is not TicketAct.OPENED, pair[1].at_us))


def _entry(row: dict[str | None, str | None], where: str) -> tuple[str, Entry]:
    if None in row or None in row.values():
        raise Refused("more or fewer cells than the first line has", where, HINT)
    cells = {str(key): str(value).strip() for key, value in row.items()}
    try:
        act = TicketAct(cells["act"].lower())
    except ValueError as e:
        raise Refused(f"act: {cells['act']!r} is none", where, ", ".join(TicketAct)) from e
    at_us = time_us(cells["at"] or None, f"{where}: at")
    if at_us is None or not cells["number"]:
        raise Refused("number and at may not be empty", where, HINT)
    sites = tuple(sorted(s.strip() for s in cells.get("sites", "").split(";") if s.strip()))
    return cells["number"], Entry(act, at_us, cells.get("text", ""), sites, cells.get("priority", ""), None)
