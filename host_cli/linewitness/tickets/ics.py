"""Deadlines as an iCalendar file (RFC 5545): one event each, whose UID stays, so that a calendar updates what it has.

Lines end with CRLF and are folded at 75 octets, never inside a character (3.1); text is escaped (3.3.11); an alarm a
day ahead (3.6.6). What has no instant is not in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

from linewitness.tickets.due import Obligation

LINE_OCTETS = 75


def calendar(dues: Iterable[Obligation], fleet: str, now_us: int) -> bytes:
    """Return the octets of the calendar; now_us stamps it."""
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//linewitness//deadlines//EN", "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH", f"X-WR-CALNAME:{_text('linewitness ' + fleet)}",
    ]  # fmt: skip
    for one in dues:
        if one.at_us is not None:
            lines += _event(one, fleet, now_us)
    return b"".join(_folded(line) for line in [*lines, "END:VCALENDAR"])


def _event(one: Obligation, fleet: str, now_us: int) -> list[str]:
    at = _stamp(one.at_us or 0)
    uid = hashlib.sha256(f"{fleet}\0{one.key}".encode()).hexdigest()[:32]
    summary = f"{one.kind}: {one.subject}"
    return [
        "BEGIN:VEVENT", f"UID:{uid}@linewitness", f"DTSTAMP:{_stamp(now_us)}", f"DTSTART:{at}",
        f"SUMMARY:{_text(summary)}", f"DESCRIPTION:{_text(one.text)}", f"CATEGORIES:{one.kind.upper()}",
        "TRANSP:TRANSPARENT", "BEGIN:VALARM", "ACTION:DISPLAY", f"DESCRIPTION:{_text(summary)}", "TRIGGER:-P1D",
        "END:VALARM", "END:VEVENT",
    ]  # fmt: skip


def _stamp(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    printable = "".join(c if c.isprintable() or c == "\n" else " " for c in value)
    for character in ("\\", ";", ","):
        printable = printable.replace(character, "\\" + character)
    return printable.replace("\n", "\\n")


def _folded(line: str) -> bytes:
    """Return a content line with its breaks: a space begins each part after the first."""
    parts, part = [], b""
    for character in line:
        octets = character.encode()
        if len(part) + len(octets) > LINE_OCTETS:
            parts.append(part)
            part = b" "
        part += octets
    return b"\r\n".join([*parts, part]) + b"\r\n"
