"""Instants, bounds and durations in words: UTC microseconds in, text out, in a named zone or in UTC.

What is printed is never narrower than what was measured: earliest ends and shortest durations are rounded down, latest
and longest ones up, to a tenth of a second.
"""

from __future__ import annotations

import datetime
import zoneinfo
from dataclasses import dataclass

from linewitness.model import Bounds

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
SECOND_US = 1_000_000
TENTH_US = 100_000
DAY_S = 86_400
STEPS_S = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    DAY_S,
    2 * DAY_S,
    5 * DAY_S,
    7 * DAY_S,
    14 * DAY_S,
    30 * DAY_S,
    60 * DAY_S,
    180 * DAY_S,
    365 * DAY_S,
)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone by its IANA name. known is False where this machine has no such zone: then it is UTC."""

    name: str
    info: datetime.tzinfo
    known: bool = True

    @classmethod
    def named(cls, name: str) -> Zone:
        try:
            return cls(name, zoneinfo.ZoneInfo(name))
        except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            return cls(name, datetime.UTC, known=name == "UTC")

    @property
    def label(self) -> str:
        return self.name if self.known else "UTC"

    @property
    def is_utc(self) -> bool:
        return not self.known or self.name in ("UTC", "Etc/UTC")


UTC = Zone("UTC", datetime.UTC)


def local(us: int, zone: Zone) -> datetime.datetime:
    """Return an instant as the zone's wall clock shows it."""
    return (EPOCH + datetime.timedelta(microseconds=us)).astimezone(zone.info)


def day(us: int, zone: Zone) -> str:
    """Return '3 March 2026'."""
    t = local(us, zone)
    return f"{t.day} {MONTHS[t.month - 1]} {t.year}"


def clock(us: int, zone: Zone, tenths: bool = False) -> str:
    """Return '10:02:31', or '10:02:31.4' with tenths; rounded down."""
    t = local(us, zone)
    return f"{t:%H:%M:%S}" + (f".{t.microsecond // TENTH_US}" if tenths else "")


def stamp(us: int | None, zone: Zone) -> str:
    """Return '2026-03-03 10:02:31', or a dash where there is no instant."""
    return "–" if us is None else f"{local(us, zone):%Y-%m-%d %H:%M:%S}"


def earliest(us: int, zone: Zone) -> str:
    return clock(us, zone, tenths=True)


def latest(us: int, zone: Zone) -> str:
    return clock(-(-us // TENTH_US) * TENTH_US, zone, tenths=True)


def between(bounds: Bounds, zone: Zone) -> str:
    """Return 'between 10:02:30.8 and 10:02:31.9', or 'at 10:02:31.0' where both are one tenth."""
    first, last = earliest(bounds.earliest_us, zone), latest(bounds.latest_us, zone)
    return f"at {first}" if first == last else f"between {first} and {last}"


def middle_us(bounds: Bounds) -> int:
    return (bounds.earliest_us + bounds.latest_us) // 2


def nearest_second(bounds: Bounds, zone: Zone) -> str:
    """Return the middle of the bounds as '10:02:31', for headlines that give the bounds elsewhere."""
    return clock((middle_us(bounds) + SECOND_US // 2) // SECOND_US * SECOND_US, zone)


def duration(us: int, up: bool = False) -> str:
    """Return '24.1 s', '14 min 9 s', '2 h 3 min 0 s', '3 d 2 h 0 min'; rounded down, or up."""
    tenths = -(-us // TENTH_US) if up else us // TENTH_US
    if tenths < 600:
        return f"{tenths // 10}.{tenths % 10} s" if tenths % 10 else f"{tenths // 10} s"
    return seconds(-(-us // SECOND_US) if up else us // SECOND_US)


def seconds(s: int) -> str:
    """Return whole seconds as '25 s', '14 min 9 s', '2 h 3 min 0 s' or '3 d 2 h 0 min 5 s'."""
    parts = (("d", s // DAY_S), ("h", s // 3600 % 24), ("min", s // 60 % 60), ("s", s % 60))
    first = next((i for i, (_, n) in enumerate(parts) if n), 3)
    return " ".join(f"{n} {unit}" for unit, n in parts[first:])


def lasting(min_us: int, max_us: int) -> str:
    """Return '24.1 to 27.2 s', the unit once where both have the same."""
    low, high = duration(min_us), duration(max_us, up=True)
    if low == high:
        return low
    short = low.removesuffix(" s") if high.endswith(" s") and "min" not in high else low
    return f"{short} to {high}"


def ticks(start_us: int, end_us: int, zone: Zone, most: int = 6) -> list[tuple[int, str]]:
    """Return (instant, label) at round times of the zone's wall clock inside [start_us, end_us], `most` at the most."""
    span_s = max(1, (end_us - start_us) // SECOND_US)
    step_s = next((s for s in STEPS_S if span_s <= s * most), span_s)
    if step_s >= DAY_S:
        return _days(start_us, end_us, zone, step_s // DAY_S)
    offset = local(start_us, zone).utcoffset() or datetime.timedelta()
    shift_us = int(offset.total_seconds()) * SECOND_US
    step_us = step_s * SECOND_US
    first = -(-(start_us + shift_us) // step_us) * step_us - shift_us
    return [(us, _label(us, zone, step_s)) for us in range(first, end_us + 1, step_us)]


def _days(start_us: int, end_us: int, zone: Zone, step: int) -> list[tuple[int, str]]:
    """Midnights of the zone, so that a day of 23 or 25 hours is one day."""
    result: list[tuple[int, str]] = []
    date = local(start_us, zone).date()
    while True:
        midnight = datetime.datetime.combine(date, datetime.time(), zone.info)
        us = (midnight - EPOCH) // datetime.timedelta(microseconds=1)
        if us > end_us:
            return result
        if us >= start_us:
            result.append((us, f"{date.day} {MONTHS[date.month - 1][:3]}"))
        date += datetime.timedelta(days=step)


def _label(us: int, zone: Zone, step_s: int) -> str:
    t = local(us, zone)
    if step_s < 60:
        return f"{t:%H:%M:%S}"
    return f"{t.day} {MONTHS[t.month - 1][:3]}" if step_s >= 7200 and not (t.hour or t.minute) else f"{t:%H:%M}"
