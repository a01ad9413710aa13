"""The contract's months: in its own time zone, with daylight saving and leap days, in whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from linewitness.settle.intervals import Interval

SECOND_US = 1_000_000


def month_interval(month: str, time_zone: str) -> Interval:
    """Return [start_us, end_us) of a month such as 2026-03 in an IANA time zone. Raises ValueError."""
    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=ZoneInfo(time_zone))
    year, number = (first.year + 1, 1) if first.month == 12 else (first.year, first.month + 1)
    return utc_us(first), utc_us(first.replace(year=year, month=number))


def months_between(start_us: int, end_us: int, time_zone: str) -> list[str]:
    """Return the months that [start_us, end_us) touches, in order."""
    zone = ZoneInfo(time_zone)
    at = datetime.fromtimestamp(start_us // SECOND_US, zone)
    last = datetime.fromtimestamp((end_us - 1) // SECOND_US, zone)
    year, month, result = at.year, at.month, []
    while (year, month) <= (last.year, last.month):
        result.append(f"{year:04d}-{month:02d}")
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return result


def utc_us(at: datetime) -> int:
    """Return microseconds since 1970 of an aware time."""
    delta = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND_US + delta.microseconds


def iso(at_us: int) -> str:
    """Return 2026-03-01T10:02:07.123Z."""
    at = datetime.fromtimestamp(at_us // SECOND_US, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_us % SECOND_US // 1000:03d}Z"
