"""What one site's own readings say: cuts of its trunk, and failures of the way to the provider that remain.

The trunk is what all traffic of the site shares: link, router, access line. While nothing at a depth or beyond it
replies, and something nearer does, the trunk is cut at that depth; a reply from beyond proves all that is before it,
so a router that only limits ICMP is not down. What happened beyond a cut was not measured there: no second of a cut
is ever looked at for the provider.

A failure of the provider's targets outside of every cut is only a *suspicion* here. Whether it may be named is for
settle.pool to say; this module says which of the site's own controls were clean in the very same seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from linewitness.model import Bounds, Citation, Fate, Segment, Side
from linewitness.settle.intervals import Interval, intersect, subtract, union
from linewitness.settle.series import BAD, LOST, REPLIED, SERVED, Series
from linewitness.settle.states import Failure, died_with, find_failures, is_live
from linewitness.settle.timeline import SiteRecord

CALLS_LEAST = 2  # failed test calls, without a good one between them, that are no accident
CALL_KINDS = ("calls", "carrier")
SILENT_KINDS = ("dark", "errors")
REASSOCIATE_US = 3_500_000  # a link that is there again is used after at most so long: scan, association, address
ASKING_REFUSED = (range(400, 500), range(600, 700))
TIMED_OUT = 408
SERVER_ERROR = range(500, 700)  # SIP: it is the service that fails, not the request


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


@dataclass(frozen=True, slots=True)
class Control:
    """How a group of controls did in the very seconds of a suspicion. clean is None where it was not measured."""

    name: str
    side: Side
    clean: bool | None
    readings: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The provider's targets failed while the trunk was whole. kind:

    dark        no reply at all by two or more methods, signalling among them
    errors      signalling answered that it fails
    signalling  only signalling failed, something else of the provider was answered or not probed
    media       only media failed
    one_method  only one other kind of probe failed
    calls       on-net test calls failed while signalling was answered
    carrier     test calls over the carrier failed while none of the above held

    callees: whom the calls called, those that failed; refused: one of them was refused for the asking.
    """

    site: str
    kind: str
    start: Bounds
    end: Bounds
    methods: tuple[str, ...]
    codes: tuple[int, ...]
    hosts: tuple[str, ...]
    dead: tuple[Citation, ...]
    controls: tuple[Control, ...]
    callees: tuple[str, ...] = ()
    refused: bool = False

    @property
    def hull(self) -> Interval:
        return (self.start.earliest_us, self.end.latest_us)

    @property
    def core(self) -> Interval:
        return (self.start.latest_us, max(self.start.latest_us, self.end.earliest_us))

    @property
    def clean(self) -> bool:
        """Whether LAN and trunk, two anchors and a control with the call's kind of packets were all seen clean."""
        return bool(self.controls) and all(c.clean for c in self.controls)


@dataclass(slots=True)
class Diagnosis:
    """All of it for one site."""

    record: SiteRecord
    groups: Groups
    cuts: list[Cut] = field(default_factory=list)
    suspicions: list[Suspicion] = field(default_factory=list)
    silent: list[Series] = field(default_factory=list)  # never answered: no evidence of anything


@dataclass(frozen=True, slots=True)
class Groups:
    """A site's series by what they are evidence of."""

    lan: tuple[Series, ...]
    router: tuple[Series, ...]
    hop: tuple[Series, ...]
    anchors: tuple[Series, ...]
    reflector: tuple[Series, ...]
    second: tuple[Series, ...]
    provider: tuple[Series, ...]
    calls: tuple[Series, ...]
    carrier: tuple[Series, ...]

    @property
    def beyond(self) -> tuple[Series, ...]:
        """What lies beyond the first hop."""
        return self.anchors + self.reflector + self.second + self.provider


def group(series: Sequence[Series]) -> Groups:
    """Sort a site's series. Names looked up for the provider (DNS) tell nothing of its edge and are left out;
    test calls, which are made now and then, stand apart from what is probed all the time."""
    found: dict[str, list[Series]] = {name: [] for name in Groups.__dataclass_fields__}
    for s in series:
        if s.segment in (Segment.LAN, Segment.ENDPOINT):
            found["lan"].append(s)
        elif s.segment is Segment.ROUTER:
            found["router"].append(s)
        elif s.segment is Segment.ACCESS:
            found["hop"].append(s)
        elif s.method == "call":
            if s.segment in (Segment.PROVIDER, Segment.CARRIER) and not s.control:
                found["calls" if s.segment is Segment.PROVIDER else "carrier"].append(s)
        elif s.control and s.method == "stamp":
            found["reflector"].append(s)
        elif s.segment is Segment.PROVIDER and s.method != "dns":
            found["second" if s.control else "provider"].append(s)
        elif s.segment is Segment.TRANSIT:
            found["anchors"].append(s)
    return Groups(**{name: tuple(value) for name, value in found.items()})


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
    result.suspicions += _suspicions(record, groups, holes, walls, period)
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
    failures = find_failures(depth, REPLIED, failing, LOST, union([*holes, *walls]), period, walls)
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


# --- the provider ---------------------------------------------------------------------------------------------------


def _suspicions(
    record: SiteRecord, groups: Groups, holes: list[Interval], walls: list[Interval], period: Interval
) -> list[Suspicion]:
    """Return the failures of the provider's targets outside the walls, each in its most telling kind."""
    provider = groups.provider
    barriers = union([*holes, *walls])
    result = []
    for failure in find_failures(provider, REPLIED, provider, LOST, barriers, period, walls):
        if failure.rounds(provider) >= record.fail_rounds:
            died = [s for s in provider if failure.rounds([s]) and died_with(s, REPLIED, failure.last_good_us)]
            kind = _kind_of_silence({s.method for s in died})
            if kind == "dark" and _contradicted(record, groups, failure):
                kind = "one_method"
            result.append(_suspicion(record, groups, kind, failure, died))
    taken = union([*barriers, *(s.hull for s in result)])
    signalling = [s for s in provider if s.method.startswith("sip")]
    for failure in find_failures(signalling, SERVED, signalling, BAD, taken, period, walls):
        if failure.rounds(signalling) >= record.fail_rounds:
            wrong = [p for p in failure.bad if p.row.code in SERVER_ERROR and _is_wrong(p.series, p.at_us)]
            kind = "errors" if len(wrong) >= record.fail_rounds else "signalling"
            result.append(_suspicion(record, groups, kind, failure, signalling))
    taken = union([*taken, *(s.hull for s in result)])
    media = [s for s in provider if s.method == "stamp"]
    for failure in find_failures(media, REPLIED, media, LOST, taken, period, walls):
        if failure.rounds(media) >= record.fail_rounds:
            result.append(_suspicion(record, groups, "media", failure, media))
    for kind, made in (("calls", groups.calls), ("carrier", groups.carrier)):
        taken = union([*taken, *(s.hull for s in result)])
        for failure in find_failures(made, SERVED, made, BAD, taken, period, walls):
            if len(failure.bad) >= CALLS_LEAST:
                failed = [s for s in made if failure.rounds([s])]
                result.append(_suspicion(record, groups, kind, failure, failed))
    return sorted(result, key=lambda s: (s.start, s.end, s.kind))


def _kind_of_silence(methods: set[str]) -> str:
    signalling = {m for m in methods if m.startswith("sip")}
    if signalling and len(methods) > 1:
        return "dark"
    return "signalling" if signalling else "media" if methods == {"stamp"} else "one_method"


def _contradicted(record: SiteRecord, groups: Groups, failure: Failure) -> bool:
    """Return whether calls, or packets of a call-quality window, got through to the provider all the same."""
    return any(s.count(Fate.ANSWERED, *failure.core) for s in groups.calls) or any(
        w.answered for w in record.windows
        if not w.control and w.segment is Segment.PROVIDER
        and failure.core[0] <= w.start.earliest_us and w.end.latest_us <= failure.core[1]
    )  # fmt: skip


def refused(code: int | None) -> bool:
    """Return whether a call's final SIP status says that the asking or the callee, not the service, is to blame."""
    return code is not None and code != TIMED_OUT and any(code in codes for codes in ASKING_REFUSED)


def _is_wrong(series: Series, at_us: int) -> bool:
    return series.count(Fate.WRONG, at_us, at_us + 1) > 0


def _suspicion(record: SiteRecord, groups: Groups, kind: str, failure: Failure, failed: Sequence[Series]) -> Suspicion:
    core = failure.core
    codes = {p.row.code for p in failure.bad if p.row.code is not None and _is_wrong(p.series, p.at_us)}
    return Suspicion(
        record.site, kind, failure.start, failure.end, tuple(sorted({s.method for s in failed})),
        tuple(sorted(codes)), tuple(sorted({s.host for s in failed})), cite(record, failed, *core),
        controls(record, groups, core), tuple(sorted({s.callee for s in failed if s.callee})),
        kind in CALL_KINDS and any(refused(p.row.code) for p in failure.bad),
    )  # fmt: skip


def controls(record: SiteRecord, groups: Groups, core: Interval) -> tuple[Control, ...]:
    """Return how each of the site's controls did in [start_us, end_us): what a suspicion stands or falls with."""
    hosts = sorted({s.host for s in groups.anchors if s.ever_replied})
    by_host = [[s for s in groups.anchors if s.host == host] for host in hosts]
    states = [_one_clean(members, core) for members in by_host]
    fell = [m for m, state in zip(by_host, states, strict=True) if state is False and _fell_with(m, core)]
    anchors = None if states.count(None) > len(states) - 2 else states.count(True) >= 2 and not fell
    # What was answered from beyond clears a gateway or first hop that limits its own replies.
    passes = anchors or _one_clean(groups.reflector + groups.second, core)
    result = [
        Control("gateway", Side.CUSTOMER, _one_clean(groups.router, core) or passes, cite(record, groups.router, *core))
    ]
    if any(s.ever_replied for s in groups.hop):
        clean = _one_clean(groups.hop, core) or passes
        result.append(Control("ISP's first hop", Side.ISP, clean, cite(record, groups.hop, *core)))
    result.append(Control("anchors", Side.TRANSIT, anchors, cite(record, groups.anchors, *core)))
    calls = [
        Control(name, Side.TRANSIT, _one_clean(members, core), cite(record, members, *core))
        for name, members in (("own reflector", groups.reflector), ("second provider", groups.second))
        if any(s.ever_replied for s in members)
    ]
    if any(c.clean for c in calls):  # one is enough where the other was not due in these seconds
        calls = [c for c in calls if c.clean is not None]
    result += calls or [Control("own reflector or second provider", Side.TRANSIT, None, ())]
    return tuple(result)


def _fell_with(members: Sequence[Series], core: Interval) -> bool:
    """Return whether an anchor fell silent when the suspicion began, and so may share its cause."""
    return any(died_with(s, REPLIED, core[0]) for s in members if s.ever_replied)


def _one_clean(members: Sequence[Series], core: Interval) -> bool | None:
    """Return whether one way of probing the group was answered all along; None where nothing was sent."""
    states = [_clean(s, core) for s in members if s.ever_replied]
    if True in states:
        return True
    return False if False in states else None


def _clean(series: Series, core: Interval) -> bool | None:
    good = sum(series.count(f, *core) for f in REPLIED)
    lost = series.count(Fate.LOST, *core)
    if not good and not lost:
        return None
    return good > 0 and (lost == 0 or lost * 10 <= good or (lost == 1 and good >= 3))


# --- citing ---------------------------------------------------------------------------------------------------------


def cite(record: SiteRecord, members: Sequence[Series], start_us: int, end_us: int) -> tuple[Citation, ...]:
    """Return what each of the series showed in [start_us, end_us); call-quality windows with all their packets."""
    result = []
    for series in sorted(members, key=lambda s: s.key):
        found = _cite_windows(record, series, start_us, end_us) if series.method == "stamp" else None
        found = found or series.cite(start_us, end_us)
        if found is not None:
            result.append(found)
    return tuple(result)


def _cite_windows(record: SiteRecord, series: Series, start_us: int, end_us: int) -> Citation | None:
    windows = [
        w for w in record.windows
        if w.witness == series.witness and w.target == series.target
        and start_us <= w.start.earliest_us and w.end.latest_us <= end_us
    ]  # fmt: skip
    if not windows:
        return None
    return Citation(
        series.witness, min(w.seq for w in windows), max(w.seq for w in windows), series.target, series.segment,
        sum(w.sent for w in windows), sum(w.answered for w in windows), 0, sum(w.self_delayed for w in windows),
    )  # fmt: skip
