"""How well the ends of a breach are known at the default cadence, for bench_settle.py: the ledger's path, whole.

Stories of two branches behind two ISPs, told as encoded batches: the provider's edge, the access line or the witness's
link fails once, for 20 s to 30 min, on lines that lose a packet in a thousand, under clocks that are wrong within their
bound. Probes run as a plan has them: the provider and its controls are touched every 2 s by one method or another, the
rest every 5 s, and what concerns a failing part every second until ten seconds after.
"""

from __future__ import annotations

import statistics
import sys
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "host"))

from branch_story import EDGE, SECOND, T0, Branch, Fault, Probe

from linewitness.model import Bounds, Side, Verdict
from linewitness.settle.engine import settle
from linewitness.settle.timeline import SiteInfo, read_site

INFOS = {"leeds": SiteInfo("leeds", "isp-one", "acme"), "york": SiteInfo("york", "isp-two", "acme")}
PARTS = {EDGE: Side.PROVIDER, "access": Side.ISP, "link": Side.CUSTOMER}
QUIET_US = 120 * SECOND
LINE_LOSS_PPM = 1_000
CLOCK_BOUND_US = 20_000
NOTICED_US = SECOND  # a probe is lost when its answer has not come for so long
FAST_UNTIL_US = 10 * SECOND
LONG_US = 300 * SECOND

CADENCE = (
    Probe("gateway", "router", "icmp", period_us=5 * SECOND),
    Probe("gateway", "router", "dns", period_us=10 * SECOND),
    Probe("203.0.113.1", "access", "icmp", period_us=5 * SECOND),
    Probe("192.0.2.1", "transit", "icmp", period_us=5 * SECOND),
    Probe("198.51.100.1", "transit", "tcp", period_us=5 * SECOND),
    Probe("203.0.113.77", "transit", "icmp", period_us=5 * SECOND),
    Probe("198.51.100.9", "transit", "stamp", control=True, period_us=30 * SECOND),
    Probe("192.0.2.200", "provider", "icmp", control=True, period_us=2 * SECOND),
    Probe("192.0.2.200", "provider", "sip", control=True, period_us=10 * SECOND),
    Probe(EDGE, "provider", "sip", period_us=10 * SECOND),
    Probe(EDGE, "provider", "icmp", period_us=4 * SECOND),
    Probe(EDGE, "provider", "tcp", period_us=4 * SECOND),
)
# The second method of a pair is sent between two of the first.
PHASE_US = {(EDGE, "tcp"): 2 * SECOND}


class PlannedBranch(Branch):
    """A branch whose probes run at the default cadence: faster while what they touch fails."""

    def _times(self, i: int, probe: Probe, start_us: int, end_us: int) -> list[int]:
        cache: dict[int, list[int]] = self.__dict__.setdefault("times", {})
        if i not in cache:
            cache[i] = sorted(set(self._base(i, probe)) | set(self._fast(i, probe)))
        return cache[i][bisect_left(cache[i], start_us) : bisect_left(cache[i], end_us)]

    def _base(self, i: int, probe: Probe) -> range:
        phase_us = 70_000 * (i + 1) + PHASE_US.get((probe.host, probe.method), 0)
        return range(phase_us, self.duration_us, probe.period_us)

    def _fast(self, i: int, probe: Probe) -> Iterator[int]:
        if probe.method == "stamp":
            return
        for fault in self.faults:
            if fault.part == EDGE and probe.segment != "provider":
                continue
            touched = [
                next((t for t in self._base(j, other) if t >= fault.start_us), self.duration_us)
                for j, other in enumerate(self.probes)
                if fault.part != EDGE or other.host == EDGE
            ]
            noticed_us = min(touched) + NOTICED_US
            at_us = noticed_us + 70_000 * (i + 1)
            while at_us < min(fault.end_us + FAST_UNTIL_US, self.duration_us):
                yield at_us
                at_us += SECOND


@dataclass(slots=True)
class Ends:
    """What was found over all stories of one part."""

    stories: int = 0
    found: int = 0
    rightly: int = 0
    contained: int = 0
    ends: int = 0
    widths_s: list[float] | None = None
    over_claimed: int = 0
    long: int = 0
    long_share: list[float] | None = None

    def figures(self) -> dict[str, object]:
        """Return the rates, None where there is nothing to rate."""
        widths, shares = self.widths_s or [], self.long_share or []
        return {
            "stories": self.stories, "found": self.found, "right_side": self.rightly, "ends": self.ends,
            "contained": round(self.contained / self.ends, 4) if self.ends else None,
            "width_median_s": round(statistics.median(widths), 3) if widths else None,
            "width_p95_s": round(float(np.quantile(widths, 0.95)), 3) if widths else None,
            "over_claimed": self.over_claimed, "long": self.long,
            "claimed_share_of_long_least": round(min(shares), 4) if shares else None,
            "claimed_share_of_long_median": round(statistics.median(shares), 4) if shares else None,
        }  # fmt: skip


def measure(seed: int, stories: int) -> dict[str, dict[str, object]]:
    """Return the figures by failing part, over that many stories of each."""
    rng = np.random.default_rng([seed, 3])
    result = {}
    for part, side in PARTS.items():
        ends = Ends(widths_s=[], long_share=[])
        for _ in range(stories):
            length_us = int(np.exp(rng.uniform(np.log(20), np.log(1800))) * SECOND)
            start_us = QUIET_US + int(rng.uniform(0, 60 * SECOND))
            tell(rng, ends, Fault(part, start_us, start_us + length_us), side)
        result[side.value] = ends.figures()
    return result


def tell(rng: np.random.Generator, ends: Ends, fault: Fault, side: Side) -> None:
    """Settle one story and note how the ends of its fault were met at the first branch."""
    batch_us = 10 * SECOND
    duration_us = (fault.end_us + QUIET_US) // batch_us * batch_us + batch_us
    sites = ("leeds", "york")
    branches = [
        PlannedBranch(
            site, (fault,) if site == "leeds" or fault.part == EDGE else (), CADENCE, duration_us=duration_us,
            clock_error_us=int(rng.uniform(-0.8, 0.8) * CLOCK_BOUND_US), bound_us=CLOCK_BOUND_US,
            loss_ppm=LINE_LOSS_PPM,
        )
        for site in sites
    ]  # fmt: skip
    period = (T0, T0 + duration_us)
    records = [read_site(b.site, b.batches(), {b.plan_hash: b.plan}, *period) for b in branches]
    verdicts = settle(records, INFOS, (), [], period, claim_unconfirmed=True).verdicts
    truth_us = (T0 + fault.start_us, T0 + fault.end_us)
    here = [
        v for v in verdicts
        if v.site == "leeds" and v.start.earliest_us < truth_us[1] and v.end.latest_us > truth_us[0]
    ]  # fmt: skip
    ends.stories += 1
    ends.found += bool(here)
    named = [v for v in here if v.side is side]
    if not named:
        return
    ends.rightly += 1
    first, last = min(named, key=lambda v: v.start), max(named, key=lambda v: v.end)
    for bounds, true_us in ((first.start, truth_us[0]), (last.end, truth_us[1])):
        note_end(ends, bounds, true_us)
    if side is Side.PROVIDER:
        note_claim(ends, named, truth_us[1] - truth_us[0])


def note_end(ends: Ends, bounds: Bounds, true_us: int) -> None:
    assert ends.widths_s is not None
    ends.ends += 1
    ends.contained += bounds.earliest_us <= true_us <= bounds.latest_us
    ends.widths_s.append(bounds.width_us / SECOND)


def note_claim(ends: Ends, named: list[Verdict], true_us: int) -> None:
    assert ends.long_share is not None
    claimed_us = sum(v.min_us for v in named if v.claimable)
    ends.over_claimed += claimed_us > true_us
    if true_us >= LONG_US:
        ends.long += 1
        ends.long_share.append(claimed_us / true_us)


def table(found: dict[str, dict[str, object]]) -> Iterator[str]:
    """Yield a line a figure, a column a side. Goals: contained .99, median width 4 s, over-claimed 0, share .95."""
    sides = list(found)
    yield f"{'':32}{'goal':>8}" + "".join(f"{side:>12}" for side in sides)
    goals = {
        "contained": ">= .99", "width_median_s": "<= 4", "over_claimed": "0", "claimed_share_of_long_least": ">= .95",
    }  # fmt: skip
    for name in found[sides[0]]:
        yield f"{name:32}{goals.get(name, ''):>8}" + "".join(f"{found[side][name]!s:>12}" for side in sides)
