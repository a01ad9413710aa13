"""Atlassian Statuspage v2 JSON to OutagePost: incidents.json, scheduled-maintenances.json, summary.json.

Bytes in, values out. What such pages do and this module minds: times carry `Z` or a local offset, each page its own;
`affected_components` may be null; `resolved_at` is null while open; updates come newest first and their `created_at`
is the better word for when they knew, for `display_at` and `started_at` can be edited afterwards; incidents.json holds
the 50 newest only, so what has gone from its end was not withdrawn.
"""

from __future__ import annotations

from typing import Any

from linewitness.errors import Refused
from linewitness.model import OutagePost
from linewitness.outages.fields import entries, load_json, names, post, text, time_us

HINT = "a saved incidents.json, scheduled-maintenances.json or summary.json of a Statuspage v2"
KINDS = ("incidents", "scheduled_maintenances")


def parse(octets: bytes, provider: str, fetched_at_us: int, where: str) -> list[OutagePost]:
    """Return the posts in one snapshot. Raises Refused for what is no Statuspage v2 answer, naming where and why."""
    data = load_json(octets, where)
    if not isinstance(data, dict) or not any(kind in data for kind in KINDS):
        raise Refused("neither incidents nor scheduled_maintenances in it", where, HINT)
    return [
        _post(entry, provider, kind, fetched_at_us, octets, f"{where}: {kind}[{i}]")
        for kind in KINDS
        for i, entry in enumerate(entries(data, kind, where))
    ]


def _post(entry: dict[str, Any], provider: str, kind: str, fetched_at_us: int, octets: bytes, where: str) -> OutagePost:
    updates = entries(entry, "incident_updates", where)
    created = (time_us(u.get("created_at"), f"{where}: incident_updates: created_at") for u in updates)
    listed = [*(entry.get("components") or []), *(c for u in updates for c in u.get("affected_components") or [])]
    return post(
        provider, text(entry.get("id"), where, "id"), text(entry.get("name", ""), where, "name"), octets, fetched_at_us,
        impact=text(entry.get("impact", "none"), where, "impact"),
        status=text(entry.get("status", ""), where, "status"),
        components=names(listed),
        maintenance=kind == "scheduled_maintenances" or entry.get("scheduled_for") is not None,
        created_at_us=time_us(entry.get("created_at"), f"{where}: created_at"),
        posted_at_us=min((t for t in created if t is not None), default=None),
        started_at_us=time_us(entry.get("started_at"), f"{where}: started_at"),
        resolved_at_us=time_us(entry.get("resolved_at"), f"{where}: resolved_at"),
        scheduled_for_us=time_us(entry.get("scheduled_for"), f"{where}: scheduled_for"),
        scheduled_until_us=time_us(entry.get("scheduled_until"), f"{where}: scheduled_until"),
        updated_at_us=time_us(entry.get("updated_at"), f"{where}: updated_at"),
    )  # fmt: skip
