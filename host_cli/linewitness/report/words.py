"""Verdicts in words: sides, segments, states, incidents and the one sentence that a person needs of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from linewitness.model import Bounds, OutagePost, Segment, Settlement, Side, State, Verdict
from linewitness.report import times
from linewitness.report.times import Zone
from linewitness.settle.account import EDGE_DEGRADED, QUALITY
from linewitness.settle.posts import LATE_US

SIDE_NAMES = {
    Side.CUSTOMER: "Customer’s own side",
    Side.ISP: "Internet provider’s (ISP’s) side",
    Side.TRANSIT: "Internet beyond (transit)",
    Side.PROVIDER: "Provider’s side",
    Side.CARRIER: "Carrier’s side",
    Side.UNDETERMINED: "Undetermined",
}
SIDE_SHORT = {
    Side.CUSTOMER: "customer",
    Side.ISP: "ISP",
    Side.TRANSIT: "transit",
    Side.PROVIDER: "phone provider",
    Side.CARRIER: "carrier",
    Side.UNDETERMINED: "undetermined",
}
SEGMENT_NAMES = {
    Segment.WITNESS: "Witness",
    Segment.POWER: "Power",
    Segment.ENDPOINT: "Phones",
    Segment.LAN: "LAN",
    Segment.ROUTER: "Router",
    Segment.ACCESS: "Access line",
    Segment.TRANSIT: "Transit",
    Segment.PROVIDER: "Provider",
    Segment.CARRIER: "Carrier",
}
STATE_NAMES = {
    State.UP: "up",
    State.DEGRADED: "degraded",
    State.DOWN: "down",
    State.UNMEASURED: "not measured",
}


@dataclass(frozen=True, slots=True)
class Incident:
    """Verdicts of one side and segment whose bounds overlap: one failure, seen by one site or by several."""

    numbers: tuple[int, ...]  # index in Settlement.verdicts
    verdicts: tuple[Verdict, ...]

    @property
    def side(self) -> Side:
        return self.verdicts[0].side

    @property
    def segment(self) -> Segment | None:
        return self.verdicts[0].segment

    @property
    def start(self) -> Bounds:
        first = [v.start for v in self.verdicts]
        return Bounds(min(b.earliest_us for b in first), min(b.latest_us for b in first))

    @property
    def end(self) -> Bounds:
        last = [v.end for v in self.verdicts]
        return Bounds(max(b.earliest_us for b in last), max(b.latest_us for b in last))

    @property
    def min_us(self) -> int:
        return min(v.min_us for v in self.verdicts)

    @property
    def max_us(self) -> int:
        return max(v.max_us for v in self.verdicts)

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(v.site for v in self.verdicts))


def incidents(settlement: Settlement) -> list[Incident]:
    """Return the verdicts in the order of time, those of one failure at several sites together."""
    groups: list[list[int]] = []
    verdicts = settlement.verdicts
    for i in sorted(range(len(verdicts)), key=lambda i: (verdicts[i].start, verdicts[i].site, i)):
        mine = verdicts[i]
        for group in groups:
            others = [verdicts[j] for j in group]
            same = all(
                (v.side, v.segment, v.kind) == (mine.side, mine.segment, mine.kind) and v.site != mine.site
                for v in others
            )
            if same and mine.side is not Side.CUSTOMER and any(overlap(v, mine) for v in others):
                group.append(i)
                break
        else:
            groups.append([i])
    return [Incident(tuple(g), tuple(verdicts[i] for i in g)) for g in groups]


def overlap(a: Verdict, b: Verdict) -> bool:
    return a.start.earliest_us < b.end.latest_us and b.start.earliest_us < a.end.latest_us


def label(number: int) -> str:
    """Return the name of a verdict in the report: V1 is Settlement.verdicts[0]."""
    return f"V{number + 1}"


def labels(numbers: Sequence[int]) -> str:
    return ", ".join(label(n) for n in numbers)


def where(incident: Incident, settlement: Settlement) -> str:
    """Return 'both branches (leeds, york)', 'all 5 branches', '3 of 20 branches (...)' or 'leeds'."""
    sites, known = incident.sites, len(settlement.sites)
    if len(sites) == 1:
        return sites[0]
    if len(sites) == known:
        return f"both branches ({sites[0]}, {sites[1]})" if known == 2 else f"all {known} branches"
    return f"{len(sites)} of {known} branches ({', '.join(sites)})"


def headline(incident: Incident, settlement: Settlement, zone: Zone) -> str:
    """Return 'Provider's side, 10:02:31 to 10:02:56 (24.1 to 27.2 s), both branches (leeds, york)'.

    The date stands in it where the period has more than one, and again where the failure ran past midnight.
    """
    start, end = times.nearest_second(incident.start, zone), times.nearest_second(incident.end, zone)
    first, last = (times.day(times.middle_us(b), zone) for b in (incident.start, incident.end))
    if times.day(settlement.start_us, zone) != times.day(settlement.end_us - 1, zone):
        start = f"{first}, {start}"
    if first != last:
        end = f"{last}, {end}"
    lasted = times.lasting(incident.min_us, incident.max_us)
    side = SIDE_NAMES[incident.side]
    if incident.verdicts[0].kind == QUALITY:
        side += ", poor calls"
    return f"{side}, {start} to {end} ({lasted}), {where(incident, settlement)}"


def claim(verdict: Verdict) -> tuple[str, str]:
    """Return (claimable or not, and why)."""
    if verdict.claimable:
        return "Claimable", "what counts is the shortest that it can have lasted"
    if verdict.kind == EDGE_DEGRADED:
        return "Not claimable", "no downtime: another server of the same set served"
    if verdict.kind == QUALITY:
        return "Not claimable", "no downtime: calls were possible but poor; promises about quality count the windows"
    if verdict.side is Side.UNDETERMINED:
        names = ", ".join(SIDE_SHORT[c] for c in verdict.candidates) or "no side"
        return "Not claimable", f"more than one side is possible: {names}"
    if verdict.side in (Side.PROVIDER, Side.CARRIER):
        return "Not claimable", verdict.caveats[0] if verdict.caveats else "the contract’s rules do not count it"
    if verdict.side is Side.CUSTOMER:
        return "Not claimable", "it was our own"
    return "Not claimable", f"it was not the provider’s but the {SIDE_SHORT[verdict.side]}’s"


def about(post: OutagePost, settlement: Settlement) -> int | None:
    """Return the verdict (its index) on the provider's or carrier's side that a post is nearest to, or None.

    Of those that began before the post and either overlap what the post claims or ended at most LATE_US before it, the
    newest; of verdicts that overlap that one, the one that began first. Nearness in time is all that this says.
    """
    first = post.posted_at_us if post.posted_at_us is not None else post.created_at_us
    if first is None or post.maintenance:
        return None
    near = [i for i, v in enumerate(settlement.verdicts) if _near(post, first, v)]
    if not near:
        return None
    newest = max((settlement.verdicts[i] for i in near), key=lambda v: v.start)
    same = [i for i in near if settlement.verdicts[i] is newest or overlap(settlement.verdicts[i], newest)]
    return min(same, key=lambda i: (settlement.verdicts[i].start, i))


def _near(post: OutagePost, first_us: int, verdict: Verdict) -> bool:
    if verdict.side not in (Side.PROVIDER, Side.CARRIER) or verdict.start.earliest_us > first_us:
        return False
    until_us = first_us if post.resolved_at_us is None else post.resolved_at_us
    claims_it = post.started_at_us is not None and (
        post.started_at_us < verdict.end.latest_us and until_us > verdict.start.earliest_us
    )
    return claims_it or first_us - verdict.end.latest_us <= LATE_US
