"""CSV to OutagePost: one line an incident, for pages that only people can read and for other tools' exports.

The first line names the columns, in any order:

    incident, name, posted                            must be there: their reference, headline, first post
    impact, status, components                        none minor major critical; any word; names with ; between
    created, started, resolved, updated               as they say
    maintenance_from, maintenance_until               the announced window, both or neither

Times are RFC 3339 with their offset (2026-03-01T10:02:00Z); an empty cell is: they do not say. UTF-8.
"""

from __future__ import annotations

import csv
import io

from linewitness.errors import Refused
from linewitness.model import OutagePost
from linewitness.outages.fields import check_size, post, time_us

TIMES = ("posted", "created", "started", "resolved", "updated", "maintenance_from", "maintenance_until")
REQUIRED = ("incident", "name", "posted")
COLUMNS = (*REQUIRED, "impact", "status", "components", *TIMES[1:])
HINT = "the columns " + ", ".join(COLUMNS)


def parse(octets: bytes, provider: str, fetched_at_us: int, where: str) -> list[OutagePost]:
    """Return the posts of one file. Raises Refused, naming line and column."""
    check_size(octets, where)
    try:
        rows = list(csv.reader(io.StringIO(octets.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError as e:
        raise Refused("not UTF-8 text", where, "save it as UTF-8") from e
    except csv.Error as e:
        raise Refused(f"no CSV: {e}", where, HINT) from e
    if not rows:
        raise Refused("empty", where, HINT)
    columns = [cell.strip().lower() for cell in rows[0]]
    for name in columns:
        if name not in COLUMNS or columns.count(name) > 1:
            raise Refused(f"column {name!r}: {'twice' if name in COLUMNS else 'not known'}", f"{where}: line 1", HINT)
    for name in REQUIRED:
        if name not in columns:
            raise Refused(f"column {name!r} is missing", f"{where}: line 1", HINT)
    return [
        _post(columns, row, provider, fetched_at_us, octets, f"{where}: line {i}")
        for i, row in enumerate(rows[1:], 2)
        if any(cell.strip() for cell in row)
    ]


def _post(
    columns: list[str], row: list[str], provider: str, fetched_at_us: int, octets: bytes, where: str
) -> OutagePost:
    if len(row) != len(columns):
        raise Refused(f"{len(row)} cells, the first line has {len(columns)}", where, HINT)
    cells = {name: cell.strip() for name, cell in zip(columns, row, strict=True)}
    for name in REQUIRED:
        if not cells[name]:
            raise Refused(f"{name} is empty", where, HINT)
    at = {name: time_us(cells.get(name) or None, f"{where}: {name}") for name in TIMES}
    window = (at["maintenance_from"], at["maintenance_until"])
    if (window[0] is None) != (window[1] is None):
        raise Refused("a maintenance window has two ends", where, "maintenance_from and maintenance_until")
    return post(
        provider, cells["incident"], cells["name"], octets, fetched_at_us,
        impact=cells.get("impact") or "major", status=cells.get("status") or ("resolved" if at["resolved"] else ""),
        components=tuple(sorted(c.strip() for c in cells.get("components", "").split(";") if c.strip())),
        maintenance=window[0] is not None, created_at_us=at["created"] or at["posted"], posted_at_us=at["posted"],
        started_at_us=at["started"], resolved_at_us=at["resolved"], scheduled_for_us=window[0],
        scheduled_until_us=window[1], updated_at_us=at["updated"],
    )  # fmt: skip
