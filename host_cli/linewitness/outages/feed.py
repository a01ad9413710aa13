"""RSS 2.0 and Atom (RFC 4287) to OutagePost, as status pages write them.

What such feeds do and this module minds: the title never says that it is over, the state stands in the body alone; the
body repeats every update, newest first, each with `Feb 24, 20:01 UTC` (no year, whole minutes, sometimes in <var>) and
its state; `pubDate` and `published` may be those of the newest update, so the first post is the oldest update. The
year is the one that brings it nearest to the entry's own date. A zone other than UTC, GMT and RFC 822's American ones
is not guessed: such an update has no time. incident.io writes `Status: Monitoring` and no times at all.

A feed is data from outside: no entities, no external documents (defusedxml), a size that is bounded, HTML reduced to
its words. Incidents are called feed/..., for what a feed says in minutes may not be held against what a page's JSON
says in milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from linewitness.errors import Refused
from linewitness.model import OutagePost
from linewitness.outages.fields import check_size, post, time_us
from linewitness.settle.calendar import utc_us

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

HINT = "a saved history.rss or history.atom"
ATOM = "{http://www.w3.org/2005/Atom}"
ZONES = {"UTC": 0, "GMT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
STATES = (
    "Investigating", "Identified", "Monitoring", "Update", "Resolved", "Postmortem", "Scheduled", "In progress",
    "Verifying", "Completed",
)  # fmt: skip
OVER = ("resolved", "completed", "postmortem")
_DATE = rf"({'|'.join(MONTHS)}) (\d{{1,2}}), (\d{{1,2}}):(\d\d)"
_UPDATE = re.compile(rf"{_DATE} ([A-Z]{{2,5}}) ({'|'.join(STATES)})\b", re.IGNORECASE)
_WINDOW = re.compile(
    rf"THIS IS A SCHEDULED EVENT {_DATE} (?:[A-Z]{{2,5}} )?[-–] (?:({'|'.join(MONTHS)}) (\d{{1,2}}), )?"
    r"(\d{1,2}):(\d\d) ([A-Z]{2,5})"
)
_STATUS = re.compile(rf"Status: ({'|'.join(STATES)})\b", re.IGNORECASE)


def parse(octets: bytes, provider: str, fetched_at_us: int, where: str) -> list[OutagePost]:
    """Return the posts of one feed. Raises Refused for what is no feed, or has entities, naming where and why."""
    check_size(octets, where)
    try:
        root = defusedxml.ElementTree.fromstring(octets)
    except DefusedXmlException as e:
        raise Refused(f"XML that a feed has no use for: {type(e).__name__}", where, HINT) from e
    except (ParseError, ValueError, LookupError) as e:
        raise Refused(f"no XML: {e}", where, HINT) from e
    if root.tag == f"{ATOM}feed":
        found = [_atom(entry, f"{where}: entry {i}") for i, entry in enumerate(root.iter(f"{ATOM}entry"), 1)]
    elif root.tag == "rss":
        found = [_rss(item, f"{where}: item {i}") for i, item in enumerate(root.iter("item"), 1)]
    else:
        raise Refused(f"neither RSS nor Atom: <{root.tag[:60]}>", where, HINT)
    return [_post(entry, provider, octets, fetched_at_us) for entry in found]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry, whichever kind of feed: its date is the newest that it states of itself."""

    incident: str
    title: str
    body: str
    at: datetime | None


def _atom(entry: Element, where: str) -> _Entry:
    links = [link.get("href", "") for link in entry.findall(f"{ATOM}link") if link.get("rel") in (None, "alternate")]
    times = [entry.findtext(f"{ATOM}{name}") for name in ("updated", "published")]
    stated = [us for t in times if (us := time_us(t.strip() if t else None, where)) is not None]
    body = entry.findtext(f"{ATOM}content") or entry.findtext(f"{ATOM}summary") or ""
    at = datetime.fromtimestamp(max(stated) // 1_000_000, UTC) if stated else None
    return _entry([*links, entry.findtext(f"{ATOM}id")], entry.findtext(f"{ATOM}title"), body, at, where)


def _rss(item: Element, where: str) -> _Entry:
    stated = item.findtext("pubDate")
    try:
        at = parsedate_to_datetime(stated.strip()) if stated else None
        if at is not None:  # -0000: UTC of an unknown zone (RFC 5322 3.3)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
            at = at if 1970 < at.year < 2100 else None
    except (ValueError, OverflowError) as e:
        raise Refused(f"pubDate: wanted an RFC 822 date, got {str(stated)[:80]!r}", where, HINT) from e
    names = [item.findtext("link"), item.findtext("guid")]
    return _entry(names, item.findtext("title"), item.findtext("description") or "", at, where)


def _entry(names: list[str | None], title: str | None, body: str, at: datetime | None, where: str) -> _Entry:
    name = next((n.strip() for n in names if n and n.strip()), None)
    if name is None or title is None:
        raise Refused("an entry without a link or a title", where, HINT)
    return _Entry("feed/" + re.split(r"[/:]", name.rstrip("/"))[-1], " ".join(title.split()), words(body), at)


def words(html: str) -> str:
    """Return the words of HTML with single spaces; tags separate words, but for those around a number."""
    reader = _Words()
    reader.feed(html)
    reader.close()
    return re.sub(r" ([,.])", r"\1", " ".join("".join(reader.parts).split()))


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def _post(entry: _Entry, provider: str, octets: bytes, fetched_at_us: int) -> OutagePost:
    near = entry.at or datetime.fromtimestamp(fetched_at_us // 1_000_000, UTC)
    updates = [(state.lower(), at) for *date, zone, state in _UPDATE.findall(entry.body)
               for at in [_instant(date, zone.upper(), near)]]  # fmt: skip
    stated = _STATUS.search(entry.body)
    status = updates[0][0] if updates else stated.group(1).lower() if stated else ""
    first_us = min((utc_us(at) for _, at in updates if at is not None), default=None)
    ends = [at for state, at in updates if state in OVER[:2] and at is not None]
    if not updates and status in OVER[:2] and entry.at is not None:
        ends = [entry.at]
    window = _window(entry.body, near)
    return post(
        provider, entry.incident, entry.title, octets, fetched_at_us,
        impact="maintenance" if window else "major", status="resolved" if status in OVER else status,
        maintenance=window is not None, created_at_us=first_us, posted_at_us=first_us,
        resolved_at_us=utc_us(min(ends)) if ends else None,
        scheduled_for_us=window[0] if window else None, scheduled_until_us=window[1] if window else None,
        updated_at_us=None if entry.at is None else utc_us(entry.at),
    )  # fmt: skip


def _window(body: str, near: datetime) -> tuple[int, int] | None:
    """Return the announced window of a maintenance in UTC microseconds."""
    found = _WINDOW.search(body)
    if found is None:
        return None
    month, day, hour, minute, last_month, last_day, last_hour, last_minute, zone = found.groups()
    start = _instant((month, day, hour, minute), zone, near)
    end = _instant((last_month or month, last_day or day, last_hour, last_minute), zone, near)
    if start is None or end is None:
        return None
    if end <= start:  # from 22:00 to 02:00
        end += timedelta(days=1)
    return utc_us(start), utc_us(end)


def _instant(date: Iterable[str], zone: str, near: datetime) -> datetime | None:
    """Return (month, day, hour, minute) of a zone in the year that is nearest, None for a zone or a date unknown."""
    month, day, hour, minute = date
    if zone not in ZONES:
        return None
    offset = timezone(timedelta(hours=ZONES[zone]))
    found = []
    for year in (near.year - 1, near.year, near.year + 1):
        try:
            number = MONTHS.index(month.title()) + 1
            found.append(datetime(year, number, int(day), int(hour), int(minute), tzinfo=offset))
        except ValueError:  # 29 February, or no date at all
            continue
    return min(found, key=lambda at: abs(at - near), default=None)
