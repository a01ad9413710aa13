"""Failures of the way to the provider, or beyond it, that remain outside of every cut of a site's own trunk.

They are only *suspicions* here: whether the provider or its carrier may be named is for settle.pool to say. Each comes
with how the site's own controls did in the very same seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from linewitness.model import Bounds, Citation, Fate, Segment, Side
from linewitness.settle.groups import Groups, cite
from linewitness.settle.intervals import Interval, core, hull, union
from linewitness.settle.series import BAD, LOST, REPLIED, SERVED, Series
from linewitness.settle.states import Failure, died_with, find_failures
from linewitness.settle.timeline import SiteRecord

CALLS_LEAST = 2  # failed test calls, without a good one between them, that are no accident
CALL_KINDS = ("calls", "carrier")
SILENT_KINDS = ("dark", "errors")
ASKING_REFUSED = (range(400, 500), range(600, 700))  # SIP: it is the asking, or the callee, not the service
TIMED_OUT = 408
SERVER_ERROR = range(500, 700)  # SIP: it is the service that fails, not the request


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
        return hull(self)

    @property
    def core(self) -> Interval:
        return core(self)

    @property
    def clean(self) -> bool:
        """Whether LAN and trunk, two anchors and a control with the call's kind of packets were all seen clean."""
        return bool(self.controls) and all(c.clean for c in self.controls)


def find_suspicions(
    record: SiteRecord, groups: Groups, holes: list[Interval], walls: list[Interval], period: Interval
) -> list[Suspicion]:
    """Return the failures of the provider's targets outside the walls, each in its most telling kind."""
    provider = groups.provider
    barriers = union([*holes, *walls])
    result = []
    for failure in find_failures(provider, REPLIED, provider, LOST, barriers, period, walls, record.fail_rounds):
        if failure.rounds(provider) >= record.fail_rounds:
            died = [s for s in provider if failure.rounds([s]) and died_with(s, REPLIED, failure.last_good_us)]
            kind = _kind_of_silence({s.method for s in died})
            if kind == "dark" and _contradicted(record, groups, failure):
                kind = "one_method"
            result.append(_suspicion(record, groups, kind, failure, died))
    taken = union([*barriers, *(s.hull for s in result)])
    signalling = [s for s in provider if s.method.startswith("sip")]
    for failure in find_failures(signalling, SERVED, signalling, BAD, taken, period, walls, record.fail_rounds):
        if failure.rounds(signalling) >= record.fail_rounds:
            wrong = [p for p in failure.bad if p.row.code in SERVER_ERROR and _is_wrong(p.series, p.at_us)]
            kind = "errors" if len(wrong) >= record.fail_rounds else "signalling"
            result.append(_suspicion(record, groups, kind, failure, signalling))
    taken = union([*taken, *(s.hull for s in result)])
    media = [s for s in provider if s.method == "stamp"]
    for failure in find_failures(media, REPLIED, media, LOST, taken, period, walls, record.fail_rounds):
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
        w.answered for w in record.windows.within(*failure.core)
        if not w.control and w.segment is Segment.PROVIDER
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
