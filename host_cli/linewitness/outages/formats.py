"""The formats that a status page may have: what reads each, where a page keeps it, how it is recognised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from linewitness.model import OutagePost
from linewitness.outages import feed, google, incident_io, instatus, sheet, statuspage

Parse = Callable[[bytes, str, int, str], list[OutagePost]]


@dataclass(frozen=True, slots=True)
class Format:
    """parse(octets, provider, fetched_at_us, where) -> posts, raises Refused. paths: what to fetch below the page's
    address, the first of them must be there. whole: a snapshot lists what is over too, so that what is missing from it
    was not there, or was taken away; otherwise it lists what is going on."""

    parse: Parse
    paths: tuple[str, ...]
    whole: bool


FORMATS = {
    "statuspage": Format(statuspage.parse, ("api/v2/incidents.json", "api/v2/scheduled-maintenances.json"), True),
    "rss": Format(feed.parse, ("history.rss",), True),
    "atom": Format(feed.parse, ("history.atom",), True),
    "csv": Format(sheet.parse, ("",), True),
    "instatus": Format(instatus.parse, ("summary.json",), False),
    "incident.io": Format(incident_io.parse, ("api/v1/summary",), False),
    "google": Format(google.parse, ("incidents.json",), True),
}
SUFFIXES = (".json", ".rss", ".atom", ".xml", ".csv")
UNREAD = "unread"  # in the archive: a snapshot that nothing here could read when it came


def recognise(octets: bytes) -> str | None:
    """Return the format that octets look like, None for none: only its parse says whether they are one."""
    head = octets[:65536].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head[:1] == b"<":
        if b"http://www.w3.org/2005/Atom" in head and b"<feed" in head:
            return "atom"
        return "rss" if b"<rss" in head else None
    if head[:1] == b"[":
        return "google"
    if head[:1] == b"{":
        for name, keys in (
            ("incident.io", (b'"ongoing_incidents"',)),
            ("instatus", (b'"activeIncidents"', b'"activeMaintenances"')),
            ("statuspage", (b'"incidents"', b'"scheduled_maintenances"')),
        ):
            if any(key in octets for key in keys):
                return name
        return "instatus" if b'"page"' in head else None
    return "csv" if b"incident" in head.split(b"\n", 1)[0].lower() else None
