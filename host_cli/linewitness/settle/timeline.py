"""From stored batches to what each site's targets showed in UTC: the feeder of settling for real witnesses.

A batch is read under the plan whose hash it names. What it covers, [start_us, end_us) of its boot, is measured; what
no batch covers, or one whose body was trimmed, whose plan is not known or whose boot has no time, is unmeasured.
The order in which batches came does not matter: they are put in the order of boot and sequence number.

Roles of targets, as settling reads a plan:
  - subject, any segment: evidence about that segment. Subjects of `transit` are anchors: each host another network;
  - control with method `stamp`: our own reflector; control in segment `provider`: the second provider;
  - any other control is a witness's control and counts as an anchor when it is beyond the access line.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from linewitness.model import Bounds, Coverage, Fate, Finding, QualityWindow, Segment
from linewitness.settle.heard import Windows
from linewitness.settle.intervals import Interval, intersect, length, subtract, union
from linewitness.settle.pages import Pages
from linewitness.settle.placement import BootClock, Stamps, boot_clock
from linewitness.settle.router_words import RouterWord, RouterWords
from linewitness.settle.series import Row, Series
from linewitness_wire import codes, plan, record
from linewitness_wire.record import Body, Header

FATES = {
    codes.FATE_LOST: Fate.LOST,
    codes.FATE_ANSWERED: Fate.ANSWERED,
    codes.FATE_WRONG: Fate.WRONG,
    codes.FATE_VOID: Fate.VOID,
}
LOST_CALLS = (codes.CALL_SILENT, codes.CALL_RINGING)
IF_UP, IF_DOWN = 1, 2  # RFC 2863 ifOperStatus
SIP = (codes.METHOD_SIP_UDP, codes.METHOD_SIP_TCP, codes.METHOD_SIP_TLS)
LEAST_FAILURE = 400  # SIP statuses from here on say that it failed
UNRESOLVED = -2  # the code of a sample whose target's name led nowhere (-ENOENT)
VAGUE_US = 60_000_000
SEAM_US = 1_500_000  # batches closer than this leave no hole between them


def fate_of_call(outcome: int) -> Fate:
    """Return what a test call was as one sample of its target: nobody answered (lost), or it failed with a reason."""
    if outcome == codes.CALL_DONE:
        return Fate.ANSWERED
    if outcome == codes.CALL_NOT_SENT:
        return Fate.VOID
    return Fate.LOST if outcome in LOST_CALLS else Fate.WRONG


@dataclass(frozen=True, slots=True)
class Batch:
    """A verified batch. body is None where it was trimmed; received_us is the host's own time, UTC us."""

    site: str
    witness: str
    header: Header
    body: Body | None
    received_us: int


@dataclass(frozen=True, slots=True)
class LinkChange:
    """The witness's link went down (up is False) or up at an instant."""

    witness: str
    seq: int
    at: Bounds
    up: bool


@dataclass(frozen=True, slots=True)
class Boot:
    """A witness began to run at an instant, for the cause that its board gives (codes.RESET_*)."""

    witness: str
    seq: int
    boot: int
    at: Bounds
    cause: int


@dataclass(frozen=True, slots=True)
class Ran:
    """A boot of a witness: the UTC us of its monotonic 0, as far as its clock tells."""

    witness: str
    boot: int
    began_us: int


@dataclass(slots=True)
class Led:
    """In [start_us, end_us) a name of the provider's led a witness to an address: 4 octets, none where only that it
    has one was asked; None: nowhere. served: whether signalling there answered that it works."""

    witness: str
    host: str
    start_us: int
    end_us: int
    address: bytes | None
    served: bool


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """What the host was told of a site. wired: its witnesses are on a cable; region: empty where not told; line_kbits:
    what the access line carries, down and up."""

    site: str
    isp: str
    provider: str
    carrier: str | None = None
    wired: bool = False
    region: str = ""
    line_kbits: tuple[int, int] | None = None


@dataclass(slots=True)
class SiteRecord:
    """All that the witnesses of one site showed in the period, in UTC. measured is by witness; what there is much of is
    kept in pages."""

    site: str
    pages: Pages = field(default_factory=Pages, repr=False)
    series: list[Series] = field(default_factory=list)
    windows: Windows = field(init=False)
    router: RouterWords = field(init=False)
    links: list[LinkChange] = field(default_factory=list)
    measured: dict[str, list[Interval]] = field(default_factory=dict)
    boots: list[Boot] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    led: list[Led] = field(default_factory=list)
    vague: dict[str, list[Interval]] = field(default_factory=dict)  # placed worse than to VAGUE_US
    disputed: dict[str, list[Interval]] = field(default_factory=dict)  # the witness's clock is contradicted there
    coverage: list[Coverage] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    fail_rounds: int = 3
    clear_rounds: int = 3

    def __post_init__(self) -> None:
        self.windows, self.router = Windows(self.pages), RouterWords(self.pages)

    def measured_by_any(self) -> list[Interval]:
        return union(i for intervals in self.measured.values() for i in intervals)


class Head(NamedTuple):
    """What placing a batch in time takes of it."""

    witness: str
    header: Header
    received_us: int


def read_site(
    site: str,
    batches: Iterable[Batch],
    plans: Mapping[bytes, plan.Plan],
    start_us: int,
    end_us: int,
    heads: Iterable[Head] | None = None,
    pages: Pages | None = None,
) -> SiteRecord:
    """Return the record of a site for [start_us, end_us). plans: SHA-256 -> Plan.

    heads: those of all the batches, which then come in the order of their chains and are read one by one; without them
    the batches may come in any order, and are held. pages: where samples and windows are kept, by default in memory.
    """
    if heads is None:
        batches = sorted(batches, key=lambda b: (b.witness, b.header.boot, b.header.seq))
        heads = [Head(b.witness, b.header, b.received_us) for b in batches]
    result = SiteRecord(site, Pages() if pages is None else pages)
    boots: defaultdict[str, dict[int, Stamps]] = defaultdict(dict)
    for head in heads:
        boots[head.witness].setdefault(head.header.boot, Stamps()).add(head.header, head.received_us)
    readers = {w: _WitnessReader(result, w, plans, start_us, end_us, boots.pop(w)) for w in sorted(boots)}
    for batch in batches:
        if batch.witness in readers:
            readers[batch.witness].read(batch)
    for reader in readers.values():
        reader.finish()
    for series in result.series:
        series.close()
    result.series.sort(key=lambda s: s.key)
    result.windows.close()
    result.router.close()
    result.links.sort(key=lambda c: (c.at, c.witness, c.seq))
    result.boots.sort(key=lambda b: (b.at, b.witness, b.seq))
    result.led.sort(key=lambda led: (led.start_us, led.witness, led.host))
    return result


class _WitnessReader:
    """Reads the batches of one witness into a SiteRecord."""

    def __init__(
        self,
        into: SiteRecord,
        witness: str,
        plans: Mapping[bytes, plan.Plan],
        start_us: int,
        end_us: int,
        boots: Mapping[int, Stamps],
    ) -> None:
        self.into = into
        self.witness = witness
        self.who = f"{into.site}/{witness}"
        self.plans = plans
        self.start_us = start_us
        self.end_us = end_us
        self.series: dict[tuple[str, str, str], Series] = {}
        self.used_plans: list[str] = []
        self.measured: list[Interval] = []  # seams closed as they come
        self.vague: list[Interval] = []
        self.disputed: list[Interval] = []
        self.leading: dict[str, Led] = {}  # the newest, by target
        self.in_period = array("Q")
        self.trimmed = 0
        self.link_up: bool | None = None

        self.clocks: dict[int, BootClock] = {}
        self.boot: int | None = None
        for boot in sorted(boots):
            self.clocks[boot], findings = boot_clock(self.who, boots[boot])
            into.findings += findings
            began = self.clocks[boot].place(0)
            if began is not None:
                into.ran.append(Ran(witness, boot, _middle(began)))

    def read(self, batch: Batch) -> None:
        """Read one batch, later ones after earlier ones; one that came while its site was being read is left out."""
        boot = batch.header.boot
        if boot != self.boot:
            self.boot, self.link_up = boot, None
        if boot in self.clocks:
            self._read_batch(batch, self.clocks[boot])

    def _read_batch(self, batch: Batch, clock: BootClock) -> None:
        header = batch.header
        start, end = clock.place(header.start_us), clock.place(header.end_us)
        if start is None or end is None:
            return
        if end.earliest_us < self.start_us or start.latest_us >= self.end_us:
            return
        self.in_period.append(header.seq)
        known = self.plans.get(header.plan)
        if header.plan.hex() not in self.used_plans:
            self.used_plans.append(header.plan.hex())
            if known is None:
                text = f"no plan with the hash {header.plan.hex()[:16]}...: its batches can't be read"
                self.into.findings.append(Finding("plan_unknown", self.who, end.latest_us, text))
        if batch.body is None:
            self.trimmed += 1
            return
        if known is None:
            return
        self.into.fail_rounds, self.into.clear_rounds = known.fail_rounds, known.clear_rounds
        span = (_middle(start), _middle(end))
        if self.measured and self.measured[-1][0] <= span[0] <= self.measured[-1][1] + SEAM_US:
            self.measured[-1] = (self.measured[-1][0], max(self.measured[-1][1], span[1]))
        else:
            self.measured.append(span)
        if max(start.width_us, end.width_us) > VAGUE_US:
            self.vague.append(span)
        if clock.disputed:
            self.disputed.append(span)
        for reading in batch.body.readings:
            self._read_reading(header, reading, known, clock)
        for event in batch.body.events:
            self._read_event(header, event, clock)

    def _read_reading(self, header: Header, reading: dict, known: plan.Plan, clock: BootClock) -> None:
        if reading[record.TARGET] >= len(known.targets):
            text = f"seq {header.seq} names target {reading[record.TARGET]}, its plan has {len(known.targets)}"
            self.into.findings.append(Finding("target_unknown", self.who, None, text))
            return
        target = known.targets[reading[record.TARGET]]
        start_us = header.start_us + reading[record.START_US]
        start, end = clock.place(start_us), clock.place(start_us + reading[record.SPAN_US])
        if start is None or end is None:
            return
        if target.method == codes.METHOD_LINK:
            return  # the events say when; the reading only for how long
        if record.UPTIME_S in reading or record.WAN_STATUS in reading:
            self._read_router(target, reading, _middle(end))
        if target.segment == codes.SEGMENT_PROVIDER and target.role == codes.ROLE_SUBJECT:
            self._read_led(target, reading, (_middle(start), _middle(end)))
        if not reading.get(record.SENT) and record.CALL not in reading:
            return
        series = self._series_of(target)
        rtt = reading.get(record.RTT_US)
        seen = reading.get(record.CODES)
        row = Row(
            header.seq, header.boot, start.width_us // 2 + 1, record.SAMPLE_UNIT_US, rtt[3] if rtt else None,
            seen[-1][0] if seen else None, *(rtt[:2] if rtt else (None, None)),
        )  # fmt: skip
        # A call that heard nothing of itself may have been recoded on its way: no window that is all loss.
        if target.method == codes.METHOD_STAMP or (
            record.SENT in reading and reading.get(record.CALL) == codes.CALL_DONE
        ):
            self.into.windows.add(_window(self.into.site, self.witness, header.seq, target, reading, start, end))
        if record.CALL in reading:
            _add_call(series, row, reading, _middle(start))
        elif target.method == codes.METHOD_STAMP:
            _add_window(series, row, target, reading, _middle(start))
        elif record.SAMPLES in reading:
            sent_us, number = _middle(start), series.rows.append(row)
            for fate, at_us in record.samples(reading[record.SAMPLES]):
                series.add(FATES[fate], sent_us + at_us, number)
        else:
            _add_counted(series, row, target, reading, _middle(start))

    def _read_router(self, target: plan.Target, reading: dict, at_us: int) -> None:
        """Keep the router's word. What IGD calls uptime is its connection's, not its own."""
        uptime_s = reading.get(record.UPTIME_S) if target.method == codes.METHOD_SNMP else None
        status = reading.get(record.WAN_STATUS)
        line_up = {IF_UP: True, IF_DOWN: False}.get(status) if status is not None else None
        kbits = None
        if record.OCTETS in reading and reading.get(record.COUNTED_US):
            down, up = (octets * 8000 / reading[record.COUNTED_US] for octets in reading[record.OCTETS])
            kbits = (down, up)
        self.into.router.add(RouterWord(self.witness, at_us, uptime_s, line_up, kbits))

    def _read_led(self, target: plan.Target, reading: dict, span: Interval) -> None:
        """Keep where the provider's name led, as one word as long as it says the same."""
        seen = dict(reading.get(record.CODES, ()))
        answered = reading.get(record.ANSWERED, 0)
        if target.method == codes.METHOD_DNS:
            if not answered:
                return  # the resolver's silence says nothing of the name
            name, address, served = target.options.get(plan.OPTION_NAME, ""), None if seen else b"", False
        elif target.method in SIP and not _is_dotted(target.host) and (record.PEER in reading or UNRESOLVED in seen):
            failures = sum(count for code, count in seen.items() if code >= LEAST_FAILURE)
            name, address, served = target.host, reading.get(record.PEER, b"")[:4] or None, answered > failures
        else:
            return
        last = self.leading.get(target.name)
        if last is not None and (last.address, last.served) == (address, served) and span[0] <= last.end_us + SEAM_US:
            last.end_us = span[1]
            return
        self.leading[target.name] = Led(self.witness, name, *span, address, served)
        self.into.led.append(self.leading[target.name])

    def _series_of(self, target: plan.Target) -> Series:
        method = codes.METHOD_NAMES[target.method]
        key = (target.name, method, target.host)
        if key not in self.series:
            self.series[key] = Series(
                self.into.site, self.witness, target.name, Segment(codes.SEGMENT_NAMES[target.segment]), method,
                target.role == codes.ROLE_CONTROL, target.host, target.period_ms * 1000, target.timeout_ms * 1000,
                target.options.get(plan.OPTION_EXTENSION, ""), target.options.get(plan.OPTION_MEMBER, 0),
                self.into.pages,
            )  # fmt: skip
        return self.series[key]

    def _read_event(self, header: Header, event: list, clock: BootClock) -> None:
        at = clock.place(header.start_us + event[1])
        if at is None:
            return
        if event[0] == codes.EVENT_BOOT:
            ran = clock.place(max(0, header.start_us + event[1] - event[5]))
            if ran is not None:
                self.into.boots.append(Boot(self.witness, header.seq, header.boot, ran, event[2]))
        elif event[0] in (codes.EVENT_LINK_DOWN, codes.EVENT_LINK_UP):
            up = event[0] == codes.EVENT_LINK_UP
            if up != self.link_up:
                self.into.links.append(LinkChange(self.witness, header.seq, at, up))
            self.link_up = up
        elif event[0] == codes.EVENT_CLOCK_STEP:
            text = f"seq {header.seq}: the witness says that its time servers moved by {event[2] / 1e6:.3f} s"
            self.into.findings.append(Finding("clock_step_reported", self.who, at.latest_us, text))
        elif event[0] == codes.EVENT_TRIMMED:
            text = f"seq {header.seq}: the journal was full, the bodies of {event[4]} batches ({event[2]}-{event[3]})"
            self.into.findings.append(Finding("trimmed", self.who, at.latest_us, text + " were dropped"))

    def finish(self) -> None:
        """Hand over what only all batches together tell."""
        edges = [(self.start_us - SEAM_US, self.start_us), (self.end_us, self.end_us + SEAM_US)]
        measured = intersect(_joined([*self.measured, *edges] if self.measured else []), [(self.start_us, self.end_us)])
        self.into.series += self.series.values()
        self.into.measured[self.witness] = measured
        self.into.vague[self.witness] = union(self.vague)
        self.into.disputed[self.witness] = union(self.disputed)
        unmeasured = subtract([(self.start_us, self.end_us)], measured)
        seqs = sorted(self.in_period)
        gaps = tuple((a + 1, b - 1) for a, b in pairwise(seqs) if b > a + 1)
        self.into.coverage.append(Coverage(
            self.into.site, self.witness, seqs[0] if seqs else None, seqs[-1] if seqs else None, len(seqs),
            self.trimmed, length(measured) // 1_000_000, length(unmeasured) // 1_000_000, gaps, tuple(self.used_plans),
        ))  # fmt: skip


def _is_dotted(host: str) -> bool:
    return host.replace(".", "").isdigit()


def _middle(at: Bounds) -> int:
    return (at.earliest_us + at.latest_us) // 2


def _joined(spans: list[Interval]) -> list[Interval]:
    """Return the union, seams of one batch to the next closed."""
    result: list[Interval] = []
    for start, end in union(spans):
        if result and start - result[-1][1] <= SEAM_US:
            result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result


def _add_counted(series: Series, row: Row, target: plan.Target, reading: dict, start_us: int) -> None:
    """Add a reading that has counts only. Where all that were measured shared one fate it is that of each, somewhere
    in a period's width; where fates are mixed nobody knows which was when, and the reading says nothing here."""
    sent = reading[record.SENT] - reading.get(record.SELF_DELAYED, 0) or reading[record.SENT]
    fate = _one_fate(reading)
    slack_us = row.slack_us + min(target.period_ms * 1000, reading[record.SPAN_US])
    number = series.rows.append(row._replace(slack_us=slack_us))
    step = reading[record.SPAN_US] // sent
    for i in range(sent):
        series.add(fate, start_us + i * step + step // 2, number)


def _add_call(series: Series, row: Row, reading: dict, start_us: int) -> None:
    """Add a test call as one sample: what failed may have failed at any instant of it."""
    span_us = reading[record.SPAN_US]
    number = series.rows.append(row._replace(slack_us=row.slack_us + span_us // 2 + 1, rtt_max_us=None))
    series.add(fate_of_call(reading[record.CALL]), start_us + span_us // 2, number)


def _add_window(series: Series, row: Row, target: plan.Target, reading: dict, start_us: int) -> None:
    """Add a call-quality window's first and last packet, where all of its packets shared one fate.

    Packets that the witness itself spoilt say nothing. Which of them they were nobody knows: the first and the last
    that count may be as many intervals further in.
    """
    sent, spoilt = reading[record.SENT], reading.get(record.SELF_DELAYED, 0)
    interval_us = target.options.get(plan.OPTION_INTERVAL_MS, 20) * 1000
    last_us = start_us + min((sent - 1) * interval_us, reading[record.SPAN_US])
    fate = _one_fate(reading)
    number = series.rows.append(row._replace(slack_us=row.slack_us + spoilt * interval_us))
    series.add(fate, start_us, number)
    series.add(fate, last_us, number)


def _one_fate(reading: dict) -> Fate:
    """Return the fate that all samples share which are measurements; VOID where there is none, or more than one."""
    answered = reading[record.ANSWERED]
    measured = reading[record.SENT] - reading.get(record.SELF_DELAYED, 0)
    if measured == 0 or 0 < answered < measured:
        return Fate.VOID
    return Fate.ANSWERED if answered else Fate.LOST


def _window(
    site: str, witness: str, seq: int, target: plan.Target, reading: dict, start: Bounds, end: Bounds
) -> QualityWindow:
    get = reading.get
    rtt, pdv, lost = get(record.RTT_US), get(record.PDV_US), get(record.LOST_BY_DIRECTION)
    return QualityWindow(
        site, witness, seq, target.name, Segment(codes.SEGMENT_NAMES[target.segment]),
        target.role == codes.ROLE_CONTROL, start, end, reading[record.SENT], reading[record.ANSWERED],
        get(record.LATE, 0), get(record.DUPLICATE, 0), get(record.REORDERED, 0), get(record.SELF_DELAYED, 0),
        get(record.STALL_US), (rtt[0], rtt[1], rtt[2], rtt[3]) if rtt else None, get(record.JITTER_US),
        (pdv[0], pdv[1]) if pdv else None, lost[0] if lost else None, lost[1] if lost else None,
        get(record.BURST_R_MILLI), get(record.R_CENTI), get(record.MOS_MILLI),
        codes.CODEC_NAMES[target.options.get(plan.OPTION_CODEC, 0)], target.options.get(plan.OPTION_BUFFER_MS),
    )  # fmt: skip
