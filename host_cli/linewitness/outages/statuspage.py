"""Atlassian Statuspage v2 JSON to OutagePost: incidents.json, scheduled-maintenances.json, summary.json.

Bytes in, values out. What such pages do and this module minds: times carry `Z` or a local offset, each page its own;
`affected_components` may be null; `resolved_at` is null while open; updates come newest first and their `created_at`
is the better word for when they knew, for `display_at` and `started_at` can be edited afterwards; incidents.json holds
the 50 newest only, so what is missing from a later snapshot was not withdrawn.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from linewitness.errors import Refused
from linewitness.model import OutagePost
from linewitness.settle.calendar import utc_us

MAX_OCTETS = 8 << 20
IMPACTS = ("none", "minor", "major", "critical", "maintenance")
HINT = "a saved incidents.json, scheduled-maintenances.json or summary.json of a Statuspage v2"


def parse(octets: bytes, provider: str, fetched_at_us: int, where: str) -> list[OutagePost]:
    """Return the posts in one snapshot. Raises Refused for what is no Statuspage v2 answer, naming where and why."""
    if len(octets) > MAX_OCTETS:
        raise Refused(f"larger than {MAX_OCTETS >> 20} MB", where, HINT)
    try:
        data = json.loads(octets)
    except (ValueError, RecursionError) as e:
        raise Refused(f"no JSON: {e}", where, HINT) from e
    if not isinstance(data, dict) or not ("incidents" in data or "scheduled_maintenances" in data):
        raise Refused("neither incidents nor scheduled_maintenances in it", where, HINT)
    sha256 = hashlib.sha256(octets).hexdigest()
    posts = []
    for kind in ("incidents", "scheduled_maintenances"):
        entries = data.get(kind, [])
        if not isinstance(entries, list):
            raise Refused(f"{kind}: wanted a list", where, HINT)
        for i, entry in enumerate(entries):
            posts.append(_post(entry, provider, kind, fetched_at_us, sha256, f"{where}: {kind}[{i}]"))
    return posts


def _post(entry: Any, provider: str, kind: str, fetched_at_us: int, sha256: str, where: str) -> OutagePost:
    if not isinstance(entry, dict):
        raise Refused("wanted an object", where, HINT)
    updates = entry.get("incident_updates") or []
    if not isinstance(updates, list) or not all(isinstance(u, dict) for u in updates):
        raise Refused("incident_updates: wanted a list of objects", where, HINT)
    created = (_time(u.get("created_at"), f"{where}: incident_updates: created_at") for u in updates)
    impact = _text(entry.get("impact", "none"), where, "impact")
    return OutagePost(
        provider,
        _text(entry.get("id"), where, "id"),
        _text(entry.get("name", ""), where, "name"),
        impact if impact in IMPACTS else "major",  # an unknown word is not made harmless
        _text(entry.get("status", ""), where, "status"),
        tuple(sorted(set(_components(entry, updates)))),
        kind == "scheduled_maintenances" or entry.get("scheduled_for") is not None,
        _time(entry.get("created_at"), f"{where}: created_at"),
        min((t for t in created if t is not None), default=None),
        _time(entry.get("started_at"), f"{where}: started_at"),
        _time(entry.get("resolved_at"), f"{where}: resolved_at"),
        _time(entry.get("scheduled_for"), f"{where}: scheduled_for"),
        _time(entry.get("scheduled_until"), f"{where}: scheduled_until"),
        _time(entry.get("updated_at"), f"{where}: updated_at"),
        fetched_at_us,
        sha256,
    )


def _components(entry: dict[str, Any], updates: Iterable[dict[str, Any]]) -> Iterable[str]:
    listed = entry.get("components") or []
    for component in [*listed, *(c for u in updates for c in u.get("affected_components") or [])]:
        if isinstance(component, dict) and isinstance(component.get("name"), str):
            yield component["name"]


def _text(value: object, where: str, key: str) -> str:
    if not isinstance(value, str):
        raise Refused(f"{key}: wanted text, got {type(value).__name__}", where, HINT)
    return value


def _time(value: object, where: str) -> int | None:
    """Return UTC microseconds of an RFC 3339 time; None for null. A time without an offset is refused, not guessed."""
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Refused(f"wanted a time with its offset, got {value!r}", where, "2026-03-01T10:02:00Z")
    return utc_us(at)
