"""The settlements that tickets, deadlines and reminders look at: a file's, or the newest stretch of the ledger.

Months are settled for their claim deadlines at most once a day: what runs every few minutes keeps the last such
settlement in a file of the fleet folder, without what deadlines don't need. It can be removed at any time.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from linewitness.config import write
from linewitness.errors import CannotDo, Incomplete, cannot_access
from linewitness.model import Settlement
from linewitness.settling import settle_fleet

if TYPE_CHECKING:
    from linewitness.fleet import Fleet

DAY_US = 86_400_000_000
KEPT = "claims-settlement.json"


def recent(
    fleet: Fleet, now_us: int, from_us: int | None = None, file: Path | None = None, days: int = 1
) -> Settlement | None:
    """Return the settlement in a file, else that of [from_us, now), by default of the last days.

    The period ends with the last batch that was received. None where nothing was measured. Raises CannotDo.
    """
    if file is not None:
        try:
            return Settlement.from_json(file.read_text(encoding="utf-8"))
        except OSError as e:
            raise cannot_access(e, file) from e
        except ValueError as e:
            raise CannotDo(f"not a settlement: {e}", str(file), "linewitness settle --out FILE") from e
    with fleet.ledger() as book:
        last_us = max((h.utc_us for h in book.heads() if h.utc_us is not None), default=None)
    if last_us is None:
        return None
    start_us = now_us - days * DAY_US if from_us is None else from_us
    end_us = min(-(-last_us // 1_000_000) * 1_000_000, now_us)
    if start_us >= end_us:
        return None
    try:
        return settle_fleet(fleet, start_us // 1_000_000 * 1_000_000, end_us)
    except Incomplete:
        return None


def months_settled(fleet: Fleet, now_us: int, days: int) -> Settlement | None:
    """Return the settlement of the last days as it was at most a day ago, made now where there is none."""
    path = fleet.root / KEPT
    try:
        if 0 <= now_us - path.stat().st_mtime_ns // 1000 < DAY_US:
            return Settlement.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there yet, of another version, or cut short: it is only a shortcut
        path.unlink(missing_ok=True)
    settled = recent(fleet, now_us, days=days)
    if settled is None:
        return None
    small = replace(settled, spans=(), outages=(), coverage=(), findings=())
    write(path, small.to_json())
    return small
