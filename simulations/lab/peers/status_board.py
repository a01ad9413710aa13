"""What a provider's status page says, as data: incidents and maintenances in the shape of Atlassian Statuspage v2.

Everything that real pages do to history can be done here: post late, date back, edit without a trace, shorten, delete.
Times are aware datetimes or ISO 8601 texts; documents carry them with milliseconds in the page's own time zone.
"""

import datetime
import itertools
from collections.abc import Callable, Sequence
from typing import Any

Time = datetime.datetime | str
Document = dict[str, Any]

INCIDENTS_LISTED = 50  # incidents.json never holds more, newest first
OPERATIONAL = "operational"
_CLOSED = ("resolved", "postmortem", "completed")
_INDICATORS = {
    "none": "All Systems Operational",
    "minor": "Minor Service Outage",
    "major": "Partial System Outage",
    "critical": "Major Service Outage",
    "maintenance": "Service Under Maintenance",
}
_SEVERITY = tuple(_INDICATORS)


class UnknownEntry(KeyError):
    """No incident, component or field of that name on the board."""

    def __str__(self) -> str:
        return str(self.args[0])


def utc_now() -> datetime.datetime:
    """The true time."""
    return datetime.datetime.now(datetime.UTC)


class StatusBoard:
    """The page's content. `now` dates what is not dated by hand; `zone` is how documents print times."""

    def __init__(
        self,
        name: str = "Lab Telephony",
        components: Sequence[str] = ("Voice", "Messaging"),
        *,
        url: str = "http://127.0.0.1",
        zone: datetime.tzinfo = datetime.UTC,
        now: Callable[[], datetime.datetime] = utc_now,
    ) -> None:
        self.name = name
        self.url = url
        self._zone = zone
        self._now = now
        self._numbers = itertools.count(1)
        made_at = self._time(None)
        self._components = {each: self._component(each, made_at) for each in components}
        self._entries: dict[str, Document] = {}

    def post_incident(
        self,
        name: str,
        *,
        impact: str = "major",
        status: str = "investigating",
        body: str = "We are investigating.",
        components: Sequence[str] = ("Voice",),
        component_status: str = "major_outage",
        started_at: Time | None = None,
        created_at: Time | None = None,
    ) -> str:
        """Post an incident and return its id. Without dates it is created, and said to have started, now."""
        created = self._time(created_at)
        entry = self._entry(name, impact, created, components)
        entry["started_at"] = created if started_at is None else self._time(started_at)
        self.post_update(entry["id"], status, body, at=created_at, component_status=component_status)
        return str(entry["id"])

    def schedule_maintenance(
        self,
        name: str,
        scheduled_for: Time,
        scheduled_until: Time,
        *,
        body: str = "Planned work.",
        components: Sequence[str] = ("Voice",),
        created_at: Time | None = None,
    ) -> str:
        """Announce a maintenance and return its id; post_update moves it to in_progress, verifying, completed."""
        entry = self._entry(name, "maintenance", self._time(created_at), components)
        entry["started_at"] = entry["scheduled_for"] = self._time(scheduled_for)
        entry["scheduled_until"] = self._time(scheduled_until)
        self.post_update(entry["id"], "scheduled", body, at=created_at)
        return str(entry["id"])

    def post_update(
        self,
        entry_id: str,
        status: str,
        body: str = "",
        *,
        at: Time | None = None,
        component_status: str | None = None,
    ) -> None:
        """Add an update. `component_status` is what the entry's components become; on closing they are operational."""
        entry = self._find(entry_id)
        when = self._time(at)
        new_status = OPERATIONAL if status in _CLOSED else component_status
        update = {
            "id": self._id(),
            "status": status,
            "body": body,
            "incident_id": entry_id,
            "created_at": when,
            "updated_at": when,
            "display_at": when,
            "affected_components": self._affect(entry, new_status),
            "deliver_notifications": True,
            "custom_tweet": None,
            "tweet_id": None,
        }
        entry["incident_updates"].insert(0, update)
        entry["status"], entry["updated_at"] = status, when
        if status == "monitoring":
            entry["monitoring_at"] = when
        if status in ("resolved", "completed"):
            entry["resolved_at"] = when

    def resolve(self, entry_id: str, body: str = "Resolved.", *, at: Time | None = None) -> None:
        """Post the last update of an incident."""
        self.post_update(entry_id, "resolved", body, at=at)

    def edit(self, entry_id: str, **changes: Any) -> None:
        """Overwrite fields of an entry and leave no trace: `updated_at` stays unless it is among the changes."""
        self._overwrite(self._find(entry_id), changes)

    def edit_update(self, entry_id: str, number: int, **changes: Any) -> None:
        """Overwrite fields of an entry's update `number`, 0 being the first posted, and leave no trace."""
        updates = self._find(entry_id)["incident_updates"]
        if not 0 <= number < len(updates):
            raise UnknownEntry(f"no update {number} of {entry_id!r}; it has {len(updates)}")
        self._overwrite(updates[len(updates) - 1 - number], changes)

    def delete(self, entry_id: str) -> None:
        """Make an entry disappear."""
        del self._entries[self._find(entry_id)["id"]]

    def documents(self) -> dict[str, Document]:
        """Each JSON document by its path under /api/v2/."""
        page = self._page()
        newest_first = list(reversed(self._entries.values()))
        incidents = [entry for entry in newest_first if "scheduled_for" not in entry]
        maintenances = [entry for entry in newest_first if "scheduled_for" in entry]
        still_open = [entry for entry in incidents if entry["status"] not in _CLOSED]
        to_come = [entry for entry in maintenances if entry["status"] not in _CLOSED]
        components, status = list(self._components.values()), self._status(still_open)
        return {
            "summary.json": {
                "page": page,
                "components": components,
                "incidents": still_open,
                "scheduled_maintenances": to_come,
                "status": status,
            },
            "status.json": {"page": page, "status": status},
            "components.json": {"page": page, "components": components},
            "incidents.json": {"page": page, "incidents": incidents[:INCIDENTS_LISTED]},
            "incidents/unresolved.json": {"page": page, "incidents": still_open},
            "scheduled-maintenances.json": {"page": page, "scheduled_maintenances": maintenances[:INCIDENTS_LISTED]},
        }

    def _page(self) -> Document:
        latest = [entry["updated_at"] for entry in self._entries.values()]
        latest += [each["created_at"] for each in self._components.values()]
        newest = max(latest, key=datetime.datetime.fromisoformat)
        zone = str(self._zone)
        return {"id": "lab", "name": self.name, "url": self.url, "time_zone": zone, "updated_at": newest}

    def _status(self, still_open: list[Document]) -> Document:
        worst = max((_SEVERITY.index(entry["impact"]) for entry in still_open), default=0)
        return {"indicator": _SEVERITY[worst], "description": _INDICATORS[_SEVERITY[worst]]}

    def _component(self, name: str, made_at: str) -> Document:
        return {
            "id": self._id(),
            "name": name,
            "status": OPERATIONAL,
            "created_at": made_at,
            "updated_at": made_at,
            "position": 1,
            "description": None,
            "showcase": True,
            "start_date": None,
            "group_id": None,
            "page_id": "lab",
            "group": False,
            "only_show_if_degraded": False,
        }

    def _entry(self, name: str, impact: str, created: str, components: Sequence[str]) -> Document:
        if impact not in _INDICATORS:
            raise UnknownEntry(f"unknown impact {impact!r}; try one of {', '.join(_INDICATORS)}")
        for component in components:
            if component not in self._components:
                raise UnknownEntry(f"no component {component!r}; try one of {', '.join(self._components)}")
        entry_id = self._id()
        entry: Document = {
            "id": entry_id,
            "name": name,
            "status": "",
            "created_at": created,
            "updated_at": created,
            "monitoring_at": None,
            "resolved_at": None,
            "impact": impact,
            "shortlink": f"{self.url}/i/{entry_id}",
            "started_at": created,
            "page_id": "lab",
            "incident_updates": [],
            "components": [self._components[component] for component in components],
        }
        self._entries[entry_id] = entry
        return entry

    def _affect(self, entry: Document, new_status: str | None) -> list[Document] | None:
        if new_status is None:
            return None
        affected = []
        for component in entry["components"]:
            old_status, component["status"] = component["status"], new_status
            change = {"old_status": old_status, "new_status": new_status}
            affected.append({"code": component["id"], "name": component["name"], **change})
        return affected

    def _overwrite(self, document: Document, changes: dict[str, Any]) -> None:
        for name, value in changes.items():
            if name not in document or name == "id":
                raise UnknownEntry(f"no field {name!r} to edit; try one of {', '.join(document)}")
            document[name] = self._time(value) if name.endswith("_at") and value is not None else value

    def _find(self, entry_id: str) -> Document:
        if entry_id not in self._entries:
            raise UnknownEntry(f"no entry {entry_id!r}; there are {', '.join(self._entries) or 'none'}")
        return self._entries[entry_id]

    def _time(self, value: Time | None) -> str:
        when = self._now() if value is None else value
        if isinstance(when, str):
            when = datetime.datetime.fromisoformat(when)
        text = when.astimezone(self._zone).isoformat(timespec="milliseconds")
        return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text

    def _id(self) -> str:
        return f"lab{next(self._numbers):09d}"
