"""Instatus summary.json to OutagePost: what is active at the moment, and nothing of what was.

An incident has its start as they state it, and no time of posting: when it was first seen is ours. That it is over is
said by its absence from a later snapshot. `duration` of a maintenance is a text with its minutes.
"""

from __future__ import annotations

from typing import Any

from linewitness.errors import Refused
from linewitness.model import OutagePost
from linewitness.outages.fields import entries, load_json, post, text, time_us

HINT = "a saved summary.json of an Instatus page"
IMPACTS = {
    "OPERATIONAL": "none", "DEGRADEDPERFORMANCE": "minor", "MINOROUTAGE": "minor", "PARTIALOUTAGE": "major",
    "MAJOROUTAGE": "critical",
}  # fmt: skip
MINUTE_US = 60_000_000


def parse(octets: bytes, provider: str, fetched_at_us: int, where: str) -> list[OutagePost]:
    """Return the posts in one snapshot. Raises Refused for what is no Instatus summary."""
    data = load_json(octets, where)
    if not isinstance(data, dict) or not isinstance(data.get("page"), dict):
        raise Refused("no Instatus summary: no page in it", where, HINT)
    result = []
    for i, entry in enumerate(entries(data, "activeIncidents", where)):
        at = f"{where}: activeIncidents[{i}]"
        impact = text(entry.get("impact", "OPERATIONAL"), at, "impact")
        result.append(post(
            provider, _id(entry, at), text(entry.get("name"), at, "name"), octets, fetched_at_us,
            impact=IMPACTS.get(impact, impact), status=text(entry.get("status", ""), at, "status").lower(),
            started_at_us=time_us(entry.get("started"), f"{at}: started"),
            updated_at_us=time_us(entry.get("updatedAt"), f"{at}: updatedAt"),
        ))  # fmt: skip
    for i, entry in enumerate(entries(data, "activeMaintenances", where)):
        at = f"{where}: activeMaintenances[{i}]"
        start_us = time_us(entry.get("start"), f"{at}: start")
        result.append(post(
            provider, _id(entry, at), text(entry.get("name"), at, "name"), octets, fetched_at_us,
            impact="maintenance", status=text(entry.get("status", ""), at, "status").lower(), maintenance=True,
            scheduled_for_us=start_us, scheduled_until_us=_until(start_us, entry.get("duration"), at),
            updated_at_us=time_us(entry.get("updatedAt"), f"{at}: updatedAt"),
        ))  # fmt: skip
    return result


def _id(entry: dict[str, Any], where: str) -> str:
    """Return what identifies an incident: its id, the end of its address, or its name, in this order."""
    for key in ("id", "url", "name"):
        if entry.get(key):
            return text(entry[key], where, key).rstrip("/").rsplit("/", 1)[-1]
    raise Refused("neither id, url nor name", where, HINT)


def _until(start_us: int | None, duration: object, where: str) -> int | None:
    if start_us is None or duration is None:
        return None
    if not str(duration).isdecimal() or len(str(duration)) > 6:
        raise Refused(f"duration: wanted minutes, got {str(duration)[:80]!r}", where, HINT)
    return start_us + int(str(duration)) * MINUTE_US
