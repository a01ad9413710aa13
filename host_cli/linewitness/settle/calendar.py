"""The contract's calendar: months and longer windows, and service hours, in its own time zone, in whole seconds.

Daylight saving and leap days are the zone's. A window is written 2026-03 (a month), 2026-03+2 (two months from March
on), 2026-Q1 or 2026.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from linewitness.settle.intervals import Interval, intersect, length, union

SECOND_US = 1_000_000
DAY_MIN = 1440
WINDOW = re.compile(r"(\d{4})(?:-(\d\d)(?:\+(\d))?|-Q([1-4]))?")


def window_interval(window: str, time_zone: str) -> Interval:
    """Return [start_us, end_us) of a window such as 2026-03 in an IANA time zone. Raises ValueError."""
    year, month, months = _parts(window)
    zone = ZoneInfo(time_zone)
    end_year, end_month = _later(year, month, months)
    return utc_us(datetime(year, month, 1, tzinfo=zone)), utc_us(datetime(end_year, end_month, 1, tzinfo=zone))


def month_interval(month: str, time_zone: str) -> Interval:
    """Return [start_us, end_us) of a month such as 2026-03. Raises ValueError for anything else."""
    if months_in(month) != 1:
        raise ValueError(f"wanted a month such as 2026-03, got {month!r}")
    return window_interval(month, time_zone)


def months_in(window: str) -> int:
    """Return how many calendar months a window has. Raises ValueError."""
    return _parts(window)[2]


def windows_between(kind: str, start_us: int, end_us: int, time_zone: str) -> list[str]:
    """Return the windows of a kind (month, quarter, year, two_months) that [start_us, end_us) touches, in order.

    Two months begin with each month: any two consecutive ones are a window.
    """
    months = months_between(start_us, end_us, time_zone)
    if kind == "month":
        return months
    if kind == "two_months":
        year, month, _ = _parts(months[0])
        before = _later(year, month, -1)
        return [f"{m}+2" for m in ("{:04d}-{:02d}".format(*before), *months)]
    names = [m[:4] if kind == "year" else f"{m[:4]}-Q{(int(m[5:]) + 2) // 3}" for m in months]
    return list(dict.fromkeys(names))


def months_between(start_us: int, end_us: int, time_zone: str) -> list[str]:
    """Return the months that [start_us, end_us) touches, in order."""
    zone = ZoneInfo(time_zone)
    at = datetime.fromtimestamp(start_us // SECOND_US, zone)
    last = datetime.fromtimestamp((end_us - 1) // SECOND_US, zone)
    year, month, result = at.year, at.month, []
    while (year, month) <= (last.year, last.month):
        result.append(f"{year:04d}-{month:02d}")
        year, month = _later(year, month, 1)
    return result


def days_interval(first: date, until: date | None, time_zone: str) -> Interval:
    """Return [start_us, end_us) of the days [first, until) in a zone; without until it has no end."""
    zone = ZoneInfo(time_zone)
    start = datetime(first.year, first.month, first.day, tzinfo=zone)
    if until is None:
        return utc_us(start), utc_us(datetime(9999, 1, 1, tzinfo=UTC))
    return utc_us(start), utc_us(datetime(until.year, until.month, until.day, tzinfo=zone))


@dataclass(frozen=True, slots=True)
class ServiceHours:
    """The hours of the week in which something counts: days 0 (Monday) to 6, minutes of the local day.

    closes_min not after opens_min: until that time of the next day. holidays: days that begin no hours.
    """

    days: tuple[int, ...]
    opens_min: int
    closes_min: int
    holidays: tuple[date, ...]
    time_zone: str

    def intervals(self, start_us: int, end_us: int) -> list[Interval]:
        """Return the hours within [start_us, end_us), by the clock on the wall: also where that is moved."""
        zone = ZoneInfo(self.time_zone)
        day = datetime.fromtimestamp(start_us // SECOND_US, zone).date() - timedelta(days=1)
        last = datetime.fromtimestamp(max(start_us, end_us - 1) // SECOND_US, zone).date()
        found = []
        while day <= last:
            if day.weekday() in self.days and day not in self.holidays:
                closes_min = self.closes_min + (DAY_MIN if self.closes_min <= self.opens_min else 0)
                found.append((_wall(day, self.opens_min, zone), _wall(day, closes_min, zone)))
            day += timedelta(days=1)
        return intersect(union(found), [(start_us, end_us)])

    def counted_us(self, start_us: int, end_us: int) -> int:
        """Return how much of [start_us, end_us) lies within the hours."""
        return length(self.intervals(start_us, end_us)) if start_us < end_us else 0

    def after(self, start_us: int, counted_us: int) -> int:
        """Return the instant by which so much of the hours has passed since start_us."""
        left, at, step = counted_us, start_us, 7 * 86_400 * SECOND_US
        for _ in range(530):  # ten years of weeks without an hour: there are none
            for a, b in self.intervals(at, at + step):
                if left <= b - a:
                    return a + left
                left -= b - a
            at += step
        raise ValueError("no service hours within ten years")


def minutes_of(clock: str) -> int:
    """Return the minutes of a day of HH:MM."""
    return int(clock[:2]) * 60 + int(clock[3:])


def utc_us(at: datetime) -> int:
    """Return microseconds since 1970 of an aware time."""
    delta = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND_US + delta.microseconds


def iso(at_us: int) -> str:
    """Return 2026-03-01T10:02:07.123Z."""
    at = datetime.fromtimestamp(at_us // SECOND_US, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_us % SECOND_US // 1000:03d}Z"


def _parts(window: str) -> tuple[int, int, int]:
    """Return (year, first month, months)."""
    found = WINDOW.fullmatch(window)
    if found is None:
        raise ValueError(f"no window: {window!r}; wanted such as 2026-03, 2026-03+2, 2026-Q1 or 2026")
    year, month, more, quarter = found.groups()
    if month is None:
        return (int(year), 1, 12) if quarter is None else (int(year), 3 * int(quarter) - 2, 3)
    if not 1 <= int(month) <= 12:
        raise ValueError(f"no month: {window!r}")
    return int(year), int(month), int(more or 1)


def _later(year: int, month: int, months: int) -> tuple[int, int]:
    at = year * 12 + month - 1 + months
    return at // 12, at % 12 + 1


def _wall(day: date, minute: int, zone: ZoneInfo) -> int:
    at = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
    return utc_us(at.replace(tzinfo=zone))
