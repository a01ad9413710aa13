"""incident.io's page summary (/api/v1/summary) to OutagePost: what is going on and what is to come, not what was.

An incident has neither its start nor the time of its first post, only that of its newest update: when it was first
seen is ours. A maintenance in progress has its actual start and its announced end.
"""

from __future__ import annotations

from typing import Any

from linewitness.errors import Refused
from linewitness.model import OutagePost
from linewitness.outages.fields import entries, load_json, names, post, text, time_us

HINT = "a saved /api/v1/summary of an incident.io page"
KINDS = ("ongoing_incidents", "in_progress_maintenances", "scheduled_maintenances")
IMPACTS = {"operational": "none", "degraded_performance": "minor", "partial_outage": "major", "full_outage": "critical"}


def parse(octets: bytes, provider: str, fetched_at_us: int, where: str) -> list[OutagePost]:
    """Return the posts in one snapshot. Raises Refused for what is no such summary."""
    data = load_json(octets, where)
    if not isinstance(data, dict) or "ongoing_incidents" not in data:
        raise Refused("no incident.io summary: no ongoing_incidents in it", where, HINT)
    return [
        _post(entry, provider, kind, fetched_at_us, octets, f"{where}: {kind}[{i}]")
        for kind in KINDS
        for i, entry in enumerate(entries(data, kind, where))
    ]


def _post(entry: dict[str, Any], provider: str, kind: str, fetched_at_us: int, octets: bytes, where: str) -> OutagePost:
    maintenance = kind != "ongoing_incidents"
    impact = "maintenance" if maintenance else text(entry.get("current_worst_impact", "operational"), where, "impact")
    return post(
        provider, text(entry.get("id"), where, "id"), text(entry.get("name"), where, "name"), octets, fetched_at_us,
        impact=IMPACTS.get(impact, impact), status=text(entry.get("status", ""), where, "status"),
        components=names(entry.get("affected_components")), maintenance=maintenance,
        started_at_us=time_us(entry.get("started_at"), f"{where}: started_at"),
        scheduled_for_us=time_us(entry.get("starts_at"), f"{where}: starts_at"),
        scheduled_until_us=time_us(entry.get("ends_at") or entry.get("scheduled_end_at"), f"{where}: ends_at"),
        updated_at_us=time_us(entry.get("last_update_at"), f"{where}: last_update_at"),
    )  # fmt: skip
