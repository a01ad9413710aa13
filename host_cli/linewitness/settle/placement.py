"""Where a witness's monotonic microseconds lie in UTC, and how wrong that may be.

Each header of a boot that was synchronised says: at end_us it was utc_us, give or take bound_us. From there every
other instant of the same boot follows, with 200 ppm of the distance added to the bound. So readings from before the
first synchronisation are placed afterwards; a boot that never synchronised has no place in UTC.

Headers of one boot that contradict one another (their bounds do not meet) mean that the clock was stepped: a batch
cannot have ended after the host got it, so headers that say so are refused; where that does not decide, the bound
spans all of them. Nothing is ever placed by a guess.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass

from linewitness.model import Bounds, Finding
from linewitness_wire import codes
from linewitness_wire.record import Header

SKEW_PPM = 200
HOST_TOLERANCE_US = 2_000_000  # how wrong the host's own clock may be before a contradiction is one


@dataclass(frozen=True, slots=True)
class Fix:
    """At monotonic at_us of the boot it was utc_us, give or take bound_us."""

    at_us: int
    utc_us: int
    bound_us: int

    def offset_at(self, at_us: int) -> tuple[int, int]:
        """Return UTC minus monotonic as [least, most], for use at monotonic at_us."""
        bound = self.bound_us + abs(at_us - self.at_us) * SKEW_PPM // 1_000_000
        return self.utc_us - self.at_us - bound, self.utc_us - self.at_us + bound


class Fixes:
    """Fixes in the order of their instants, a few octets each: a year has half a million."""

    __slots__ = ("at_us", "bound_us", "utc_us")

    def __init__(self) -> None:
        self.at_us, self.utc_us, self.bound_us = array("q"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self.at_us)

    def __getitem__(self, at: int) -> Fix:
        return Fix(self.at_us[at], self.utc_us[at], self.bound_us[at])

    def append(self, fix: Fix) -> None:
        self.at_us.append(fix.at_us)
        self.utc_us.append(fix.utc_us)
        self.bound_us.append(fix.bound_us)


class Stamps:
    """What a boot's headers say of time, in the order of seq."""

    __slots__ = ("boot", "fixes", "latest_us")

    def __init__(self) -> None:
        self.boot = 0
        self.fixes = Fixes()
        self.latest_us: int | None = None  # of UTC minus monotonic: the host had each batch when it had ended

    def add(self, header: Header, received_us: int) -> None:
        """Take one header, and when the host got it, UTC us."""
        self.boot = header.boot
        if header.clock.source != codes.CLOCK_NONE:
            self.fixes.append(Fix(header.end_us, header.clock.utc_us, header.clock.bound_us))
        most_us = received_us - header.end_us
        self.latest_us = most_us if self.latest_us is None else min(self.latest_us, most_us)


@dataclass(frozen=True, slots=True)
class BootClock:
    """The clock of one boot: one or more groups of fixes that agree within a group; empty: never synchronised."""

    groups: tuple[Fixes, ...]
    disputed: bool  # the host's receive time contradicts it

    def place(self, at_us: int) -> Bounds | None:
        """Return where the monotonic instant lies in UTC, None where that is not known."""
        if not self.groups:
            return None
        spans = []
        for fixes in self.groups:
            later = bisect_left(fixes.at_us, at_us)  # the batch's own fix, as a rule
            spans.append(fixes[min(later, len(fixes) - 1)].offset_at(at_us))
        return Bounds(at_us + min(s[0] for s in spans), at_us + max(s[1] for s in spans))


def boot_clock(who: str, stamps: Stamps) -> tuple[BootClock, list[Finding]]:
    """Return the clock of a boot, and what is to be said of it."""
    findings = []
    boot = stamps.boot
    groups = _agreeing(stamps.fixes)
    if not groups:
        text = f"boot {boot} was never synchronised: its time is unknown"
        findings.append(Finding("clock_never_set", who, None, text))
    ceiling = (stamps.latest_us or 0) + HOST_TOLERANCE_US
    possible = [g for g in groups if g[0].offset_at(g[0].at_us)[0] <= ceiling]
    if len(groups) > 1:
        kept = f"{len(possible)} of them fit the host's receive times" if possible else "none fits the host's"
        text = f"boot {boot}: the clock was stepped: {len(groups)} placements contradict one another, {kept}"
        findings.append(Finding("clock_step", who, groups[1][0].utc_us, text))
    disputed = bool(groups) and not possible
    if disputed:
        ahead = groups[0][0].offset_at(groups[0][0].at_us)[0] - ceiling + HOST_TOLERANCE_US
        text = f"boot {boot}: the witness's clock is {ahead / 1e6:.1f} s ahead of the host's receive time"
        findings.append(Finding("clock_disputed", who, groups[0][0].utc_us, text))
    return BootClock(tuple(possible or groups), disputed), findings


def _agreeing(fixes: Fixes) -> list[Fixes]:
    """Return the fixes in groups whose neighbours' bounds meet, in the order of their first member."""
    groups: list[Fixes] = []
    for fix in (fixes[at] for at in range(len(fixes))):
        for group in groups:
            low, high = group[-1].offset_at(fix.at_us)
            if low <= fix.utc_us - fix.at_us + fix.bound_us and fix.utc_us - fix.at_us - fix.bound_us <= high:
                group.append(fix)
                break
        else:
            groups.append(Fixes())
            groups[-1].append(fix)
    return groups
