"""What one site's own readings say: cuts of its trunk, and failures of the way to the provider that remain.

The trunk is what all traffic of the site shares: link, router, access line. While nothing at a depth or beyond it
replies, and something nearer does, the trunk is cut at that depth; a reply from beyond proves all that is before it,
so a router that only limits ICMP is not down. What happened beyond a cut was not measured there: no second of a cut
is ever looked at for the provider.

What failed of the provider outside of every cut is for settle.suspicions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from linewitness.model import Bounds, Citation, Fate, Segment, Side
from linewitness.settle.groups import Groups, cite, group
from linewitness.settle.intervals import Interval, intersect, subtract, union
from linewitness.settle.series import LOST, REPLIED, Series
from linewitness.settle.states import Failure, find_failures, is_live
from linewitness.settle.suspicions import Suspicion, find_suspicions
from linewitness.settle.timeline import SiteRecord

REASSOCIATE_US = 3_500_000  # a link that is there again is used after at most so long: scan, association, address


@dataclass(frozen=True, slots=True)
class Cut:
    """The trunk was cut at a segment. alive cites what nearer replied meanwhile, dead what did not."""

    segment: Segment
    start: Bounds
    end: Bounds
    dark: Interval  # from the last to the first reply of anything behind it: nothing may be said of what is beyond
    why: str
    dead: tuple[Citation, ...]
    alive: tuple[Citation, ...]
    unsure: tuple[Side, ...] = ()  # sides that the site's readings cannot tell apart here


@dataclass(slots=True)
class Diagnosis:
    """All of it for one site."""

    record: SiteRecord
    groups: Groups
    cuts: list[Cut] = field(default_factory=list)
    suspicions: list[Suspicion] = field(default_factory=list)
    silent: list[Series] = field(default_factory=list)  # never answered: no evidence of anything


def diagnose(record: SiteRecord, period: Interval) -> Diagnosis:
    """Return what a site's readings say of [start_us, end_us)."""
    groups = group(record.series)
    result = Diagnosis(record, groups, silent=[s for s in record.series if not s.ever_replied])
    holes = subtract([period], record.measured_by_any())
    result.cuts += _link_cuts(record, groups, period)
    for segment, near, far in (
        (Segment.LAN, (), groups.lan),
        (Segment.ROUTER, groups.lan, groups.router),
        (Segment.ACCESS, groups.router, groups.hop),
        (Segment.TRANSIT, groups.router, ()),
    ):
        walls = union(c.dark for c in result.cuts)
        result.cuts += _trunk_cuts(record, groups, segment, near, far, holes, walls, period)
    result.cuts.sort(key=lambda c: (c.start, c.end))
    walls = union(c.dark for c in result.cuts)
    result.suspicions += find_suspicions(record, groups, holes, walls, period)
    return result


# --- the trunk ------------------------------------------------------------------------------------------------------


def _link_cuts(record: SiteRecord, groups: Groups, period: Interval) -> list[Cut]:
    """Return the stretches in which every witness of the site that was measuring had no link."""
    down = [period]
    changes: dict[int, tuple[Bounds, int]] = {}
    for witness, measured in record.measured.items():
        spans = []
        opened = None
        for change in (c for c in record.links if c.witness == witness):
            if not change.up and opened is None:
                opened = change
            elif change.up and opened is not None:
                spans.append((opened.at.earliest_us, change.at.latest_us))
                changes[spans[-1][0]], changes[spans[-1][1]] = (opened.at, opened.seq), (change.at, change.seq)
                opened = None
        if opened is not None and measured:
            spans.append((opened.at.earliest_us, max(measured[-1][1], opened.at.latest_us)))
            changes[spans[-1][0]] = (opened.at, opened.seq)
        down = intersect(down, union([*spans, *subtract([period], measured)]))
    everything = groups.lan + groups.router + groups.hop + groups.beyond
    return [
        _link_cut(record, everything, span, changes, period)
        for span in intersect(down, record.measured_by_any())
        if any(span[0] <= at < span[1] for at in changes) or span[0] in changes
    ]


def _link_cut(
    record: SiteRecord,
    everything: Sequence[Series],
    span: Interval,
    changes: dict[int, tuple[Bounds, int]],
    period: Interval,
) -> Cut:
    went, seq = changes.get(span[0], (Bounds(span[0], span[0]), 0))
    came, up_seq = changes.get(span[1], (Bounds(span[1], span[1]), seq))
    before = [p for s in everything if (p := s.last_before(REPLIED, went.earliest_us)) is not None]
    after = [p for s in everything if (p := s.first_after(REPLIED, came.earliest_us)) is not None]
    last_us = max((p.earliest_us for p in before), default=period[0])
    first_us = min((p.latest_us + (p.row.rtt_max_us or 0) for p in after), default=period[1])
    lost = [p for s in everything if s.ever_replied for p in s.points(Fate.LOST, last_us, went.latest_us)]
    noticed_us = min((p.latest_us + p.series.longest_rtt_us(p.at_us) for p in lost), default=went.latest_us)
    start = Bounds(min(last_us, went.earliest_us), max(min(noticed_us, went.latest_us), min(last_us, went.earliest_us)))
    end = Bounds(min(max(went.latest_us, came.earliest_us - REASSOCIATE_US), came.latest_us), came.latest_us)
    why = f"the witness's own link was down (link_down in seq {seq}, link_up in seq {up_seq})"
    dark = (start.earliest_us, max(first_us, came.latest_us))
    return Cut(Segment.LAN, start, end, dark, why, cite(record, everything, *dark), ())


def _trunk_cuts(
    record: SiteRecord,
    groups: Groups,
    segment: Segment,
    near: Sequence[Series],
    own: Sequence[Series],
    holes: Sequence[Interval],
    walls: Sequence[Interval],
    period: Interval,
) -> list[Cut]:
    """Return the stretches with no reply from own or anything beyond: the trunk's cuts at this segment."""
    depth = {
        Segment.LAN: groups.lan + groups.router + groups.hop + groups.beyond,
        Segment.ROUTER: groups.router + groups.hop + groups.beyond,
        Segment.ACCESS: groups.hop + groups.beyond,
        Segment.TRANSIT: groups.beyond,
    }[segment]
    subjects = own or depth
    failing = [s for s in depth if s.segment is not Segment.ENDPOINT]
    barriers = union([*holes, *walls])
    failures = find_failures(depth, REPLIED, failing, LOST, barriers, period, walls, record.fail_rounds)
    return [
        _cut(record, groups, segment, near, subjects, failure)
        for failure in failures
        if _cuts_trunk(groups, segment, own, failure, record.fail_rounds)
    ]


def _cuts_trunk(groups: Groups, segment: Segment, own: Sequence[Series], failure: Failure, fail_rounds: int) -> bool:
    """Return whether enough failed: every kind of probe that used to answer, one of them for fail_rounds."""
    live = [s for s in own if s.segment is not Segment.ENDPOINT and is_live(s, REPLIED, failure)]
    if segment is not Segment.TRANSIT:
        return bool(live) and failure.rounds(live) >= fail_rounds
    others = [s for s in groups.anchors + groups.reflector + groups.second if failure.rounds([s])]
    return len({s.host for s in others}) >= 2 and failure.rounds(others) >= fail_rounds


def _cut(
    record: SiteRecord,
    groups: Groups,
    segment: Segment,
    near: Sequence[Series],
    dead: Sequence[Series],
    failure: Failure,
) -> Cut:
    core = failure.core
    unsure: tuple[Side, ...] = ()
    where = segment
    if segment is Segment.LAN:
        why = "link up, but neither the second host on the LAN nor the gateway nor anything beyond replied"
    elif segment is Segment.ROUTER:
        neighbour = bool(cite(record, near, *core))
        why = "link up, but neither the gateway nor anything beyond it replied"
        why += "; another host on the LAN did" if neighbour else " (no second host on the LAN is in the plan)"
    else:
        where = Segment.ACCESS  # all paths beyond share nothing but the ISP
        hop = any(s.count(f, *core) for s in groups.hop for f in REPLIED)
        why = "the gateway replied, nothing beyond the ISP's first hop did" if hop else (
            "the gateway replied, nothing beyond it did"
        )  # fmt: skip
        if not any(s.count(f, *core) for s in groups.router for f in REPLIED):
            unsure = (Side.CUSTOMER, Side.ISP)
            why = "nothing beyond the router replied, and the gateway was not measured in those seconds"
    return Cut(
        where, failure.start, failure.end, failure.hull, why, cite(record, dead, *core),
        cite(record, [*near, *(groups.hop if segment is Segment.TRANSIT else ())], *core), unsure,
    )  # fmt: skip
