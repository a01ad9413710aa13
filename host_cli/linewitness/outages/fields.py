"""What the formats share: reading one value strictly, the words for impact, the size past which nothing is read.

Bytes in, values out. A value that is not what its format says is Refused with its place; a time without an offset is
refused, not guessed. Times are UTC in microseconds since 1970.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from datetime import datetime
from typing import Any

from linewitness.errors import Refused
from linewitness.model import OutagePost
from linewitness.settle.calendar import utc_us

MAX_OCTETS = 8 << 20  # the largest page that we know has less than 2 MB
LATEST_US = 4_102_444_800_000_000  # 2100-01-01: no page has anything to say of what comes after
IMPACTS = ("none", "minor", "major", "critical", "maintenance")


def check_size(octets: bytes, where: str) -> None:
    """Return nothing; raise Refused for more than a status page has: memory is not the page's to take."""
    if len(octets) > MAX_OCTETS:
        raise Refused(f"larger than {MAX_OCTETS >> 20} MB", where, "the page itself, not a whole site")


def load_json(octets: bytes, where: str) -> Any:
    """Return the JSON value. Raises Refused."""
    check_size(octets, where)
    try:
        return json.loads(octets)
    except (ValueError, RecursionError) as e:
        raise Refused(f"no JSON: {e}", where, "the page's JSON address, not its HTML") from e


def entries(data: Any, key: str, where: str) -> list[dict[str, Any]]:
    """Return the list of objects at key, () where it is absent or null. Raises Refused for anything else."""
    value = data.get(key) or []
    if not isinstance(value, list):
        raise Refused(f"{key}: wanted a list", where)
    for i, entry in enumerate(value):
        if not isinstance(entry, dict):
            raise Refused("wanted an object", f"{where}: {key}[{i}]")
    return value


def text(value: object, where: str, key: str) -> str:
    """Return text. Raises Refused for anything else."""
    if not isinstance(value, str):
        raise Refused(f"{key}: wanted text, got {type(value).__name__}", where)
    return value


def time_us(value: object, where: str) -> int | None:
    """Return UTC microseconds of an RFC 3339 time; None for null, and for one before 1970. Raises Refused for a time
    without an offset, or after 2100."""
    if value is None:
        return None
    with contextlib.suppress(ValueError, OverflowError):  # no time, or one that has no day in UTC
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        if at is not None and at.tzinfo is not None:
            us = utc_us(at)
            if us < LATEST_US:
                return us if us >= 0 else None  # year 1 is how some programs write that there is no time
    raise Refused(f"wanted a time with its offset, got {str(value)[:80]!r}", where, "2026-03-01T10:02:00Z")


def names(listed: object, key: str = "name") -> tuple[str, ...]:
    """Return the texts at key of a list of objects, sorted, each once; what has none is left out."""
    rows = listed if isinstance(listed, list) else []
    return tuple(sorted({c[key] for c in rows if isinstance(c, dict) and isinstance(c.get(key), str)}))


def post(
    provider: str,
    incident: str,
    name: str,
    octets: bytes,
    fetched_at_us: int,
    *,
    impact: str = "none",
    status: str = "",
    components: tuple[str, ...] = (),
    maintenance: bool = False,
    created_at_us: int | None = None,
    posted_at_us: int | None = None,
    started_at_us: int | None = None,
    resolved_at_us: int | None = None,
    scheduled_for_us: int | None = None,
    scheduled_until_us: int | None = None,
    updated_at_us: int | None = None,
) -> OutagePost:
    """Return the post of one incident in the snapshot octets. An impact that is not known is not made harmless."""
    return OutagePost(
        provider, incident, name, impact if impact in IMPACTS else "major", status, components, maintenance,
        created_at_us, posted_at_us, started_at_us, resolved_at_us, scheduled_for_us, scheduled_until_us,
        updated_at_us, fetched_at_us, hashlib.sha256(octets).hexdigest(),
    )  # fmt: skip
