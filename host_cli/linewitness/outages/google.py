"""Google-style incidents.json to OutagePost: an array of incidents with begin, end, created, modified and updates.

`created` is when the record was made, `begin` what they say of the outage, `updates[].created` when each text was
written; `status_impact`, not `severity`, says whether a service failed.
"""

from __future__ import annotations

from typing import Any

from linewitness.errors import Refused
from linewitness.model import OutagePost
from linewitness.outages.fields import entries, load_json, names, post, text, time_us

HINT = "a saved incidents.json of a Google Cloud or Workspace dashboard"
IMPACTS = {
    "AVAILABLE_INFORMATION": "none", "SERVICE_INFORMATION": "minor", "SERVICE_DISRUPTION": "major",
    "SERVICE_OUTAGE": "critical",
}  # fmt: skip


def parse(octets: bytes, provider: str, fetched_at_us: int, where: str) -> list[OutagePost]:
    """Return the posts in one snapshot. Raises Refused for what is no such array."""
    data = load_json(octets, where)
    if not isinstance(data, list):
        raise Refused("wanted an array of incidents", where, HINT)
    found = entries({"incident": data}, "incident", where)
    return [_post(entry, provider, fetched_at_us, octets, f"{where}: [{i}]") for i, entry in enumerate(found)]


def _post(entry: dict[str, Any], provider: str, fetched_at_us: int, octets: bytes, where: str) -> OutagePost:
    updates = entries(entry, "updates", where)
    written = (time_us(u.get("created"), f"{where}: updates: created") for u in updates)
    impact = text(entry.get("status_impact", "SERVICE_DISRUPTION"), where, "status_impact")
    newest = entry.get("most_recent_update")
    state = newest.get("status", "") if isinstance(newest, dict) else ""
    end_us = time_us(entry.get("end"), f"{where}: end")
    return post(
        provider, text(entry.get("id"), where, "id"), text(entry.get("external_desc", ""), where, "external_desc"),
        octets, fetched_at_us,
        impact=IMPACTS.get(impact, impact), status="resolved" if end_us else str(state).lower(),
        components=names(entry.get("affected_products"), "title"),
        created_at_us=time_us(entry.get("created"), f"{where}: created"),
        posted_at_us=min((t for t in written if t is not None), default=None),
        started_at_us=time_us(entry.get("begin"), f"{where}: begin"), resolved_at_us=end_us,
        updated_at_us=time_us(entry.get("modified"), f"{where}: modified"),
    )  # fmt: skip
