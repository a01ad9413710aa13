"""Where a witness's monotonic microseconds lie in UTC, and how wrong that may be.

Each header of a boot that was synchronised says: at end_us it was utc_us, give or take bound_us. From there every
other instant of the same boot follows, with 200 ppm of the distance added to the bound. So readings from before the
first synchronisation are placed afterwards; a boot that never synchronised has no place in UTC.

Headers of one boot that contradict one another (their bounds do not meet) mean that the clock was stepped: a batch
cannot have ended after the host got it, so headers that say so are refused; where that does not decide, the bound
spans all of them. Nothing is ever placed by a guess.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
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


def _at_us(fix: Fix) -> int:
    return fix.at_us


@dataclass(frozen=True, slots=True)
class BootClock:
    """The clock of one boot: one or more groups of fixes that agree within a group; empty: never synchronised."""

    groups: tuple[tuple[Fix, ...], ...]
    disputed: bool  # the host's receive time contradicts it

    def place(self, at_us: int) -> Bounds | None:
        """Return where the monotonic instant lies in UTC, None where that is not known."""
        if not self.groups:
            return None
        spans = []
        for fixes in self.groups:
            later = bisect_left(fixes, at_us, key=_at_us)  # the batch's own fix, as a rule
            spans.append(fixes[min(later, len(fixes) - 1)].offset_at(at_us))
        return Bounds(at_us + min(s[0] for s in spans), at_us + max(s[1] for s in spans))


def boot_clock(who: str, headers: Sequence[tuple[Header, int]]) -> tuple[BootClock, list[Finding]]:
    """Return the clock of a boot from its (header, host's receive time in UTC us), in the order of seq."""
    fixes = [Fix(h.end_us, h.clock.utc_us, h.clock.bound_us) for h, _ in headers if h.clock.source != codes.CLOCK_NONE]
    findings = []
    groups = _agreeing(fixes)
    boot = headers[0][0].boot
    if not groups:
        text = f"boot {boot} was never synchronised: its time is unknown"
        findings.append(Finding("clock_never_set", who, None, text))
    ceiling = min((received - h.end_us for h, received in headers), default=0) + HOST_TOLERANCE_US
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
    return BootClock(tuple(tuple(g) for g in (possible or groups)), disputed), findings


def _agreeing(fixes: Iterable[Fix]) -> list[list[Fix]]:
    """Return the fixes in groups whose neighbours' bounds meet, in the order of their first member."""
    groups: list[list[Fix]] = []
    for fix in fixes:
        for group in groups:
            low, high = group[-1].offset_at(fix.at_us)
            if low <= fix.utc_us - fix.at_us + fix.bound_us and fix.utc_us - fix.at_us - fix.bound_us <= high:
                group.append(fix)
                break
        else:
            groups.append([fix])
    return groups
