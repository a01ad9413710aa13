"""What settling reads and what it says: values without behaviour, shared by settle, report and evidence.

All times are UTC in microseconds since 1970 (`_us`), durations of accounts are whole seconds (`_s`). A point in time
that was measured is a Bounds: the true instant lies in [earliest_us, latest_us]. A loss is None, never 0.

    batches -> Sample, QualityWindow -> SegmentSpan -> Verdict -> Account, all of it in one Settlement

Everything is frozen and made of plain values, so that equal input gives equal bytes: `Settlement.to_json()` is
deterministic and `Settlement.from_json()` gives the same value back.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Any

from linewitness.plain import build, plain

FORMAT = 2  # of a Settlement's JSON


class Segment(enum.StrEnum):
    """A part of the path where a fault can sit, in the order of the path from the witness outwards."""

    WITNESS = "witness"
    POWER = "power"
    ENDPOINT = "endpoint"
    LAN = "lan"
    ROUTER = "router"
    ACCESS = "access"
    TRANSIT = "transit"
    PROVIDER = "provider"
    CARRIER = "carrier"


class Side(enum.StrEnum):
    """Who answers for a segment."""

    CUSTOMER = "customer"
    ISP = "isp"
    TRANSIT = "transit"
    PROVIDER = "provider"
    CARRIER = "carrier"
    UNDETERMINED = "undetermined"


class State(enum.StrEnum):
    """What a segment was seen to be; `unmeasured` is neither up nor down."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    UNMEASURED = "unmeasured"


class Fate(enum.StrEnum):
    """What became of one sample."""

    LOST = "lost"
    ANSWERED = "answered"
    WRONG = "wrong"  # a reply that says that the service fails
    VOID = "void"  # not a measurement


SIDE_OF = {
    Segment.WITNESS: Side.UNDETERMINED,  # a witness that is silent accuses nobody
    Segment.POWER: Side.CUSTOMER,
    Segment.ENDPOINT: Side.CUSTOMER,
    Segment.LAN: Side.CUSTOMER,
    Segment.ROUTER: Side.CUSTOMER,
    Segment.ACCESS: Side.ISP,
    Segment.TRANSIT: Side.TRANSIT,
    Segment.PROVIDER: Side.PROVIDER,
    Segment.CARRIER: Side.CARRIER,
}


@dataclass(frozen=True, slots=True, order=True)
class Bounds:
    """The true instant lies in [earliest_us, latest_us], UTC microseconds since 1970."""

    earliest_us: int
    latest_us: int

    def __post_init__(self) -> None:
        if self.earliest_us > self.latest_us:
            raise ValueError(f"bounds: earliest {self.earliest_us} is after latest {self.latest_us}")

    @property
    def width_us(self) -> int:
        return self.latest_us - self.earliest_us


@dataclass(frozen=True, slots=True)
class Sample:
    """One probe and its fate. sent bounds the instant of sending; rtt_max_us is the longest round trip of the reading
    that holds an answered sample (single ones are not kept), None where nothing was answered."""

    site: str
    witness: str
    seq: int
    boot: int
    target: str
    segment: Segment
    method: str
    control: bool
    sent: Bounds
    fate: Fate
    rtt_max_us: int | None
    code: int | None  # of a wrong answer or a local failure: SIP status, DNS RCODE, -errno


@dataclass(frozen=True, slots=True)
class QualityWindow:
    """One call-quality window as the witness counted it; None is: not known. rtt_us is (min, mean, p95, max)."""

    site: str
    witness: str
    seq: int
    target: str
    segment: Segment
    control: bool
    start: Bounds
    end: Bounds
    sent: int
    answered: int
    late: int
    duplicate: int
    reordered: int
    self_delayed: int
    stall_us: int | None
    rtt_us: tuple[int, int, int, int] | None
    jitter_us: int | None
    pdv_us: tuple[int, int] | None
    lost_forward: int | None
    lost_backward: int | None
    burst_r_milli: int | None
    r_centi: int | None
    mos_milli: int | None
    codec: str
    buffer_ms: int | None


@dataclass(frozen=True, slots=True)
class Citation:
    """The readings of one target in batches first_seq..last_seq of one witness, as far as they lie in the interval."""

    witness: str
    first_seq: int
    last_seq: int
    target: str
    segment: Segment
    sent: int
    answered: int
    wrong: int
    void: int


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of the argument, in words an engineer of the other side can check, and the readings it rests on."""

    text: str
    readings: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Why it was not this side."""

    side: Side
    reason: Reason


@dataclass(frozen=True, slots=True)
class SegmentSpan:
    """A stretch in which one segment of one site was seen in one state. Spans of a site's segment do not overlap."""

    site: str
    segment: Segment
    state: State
    start: Bounds
    end: Bounds
    evidence: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Breach:
    """An interval in which a commitment was not met, as measured; verdict is the index in Settlement.verdicts."""

    site: str
    commitment: str
    start: Bounds
    end: Bounds
    verdict: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whose side a failure of a site's telephony was on.

    segment is None where the side is `undetermined` and more than one could be it: candidates lists them. excluded
    says why it was none of the others. claimable: the claim against the provider may count it (min of the bounds).
    confidence is 0..100 (percent, a whole number). kind: what failed, where that decides whether it is downtime, such
    as `provider.edge_degraded` (one dead member of a set: no minute of downtime); empty where it need not be told.
    """

    site: str
    segment: Segment | None
    side: Side
    start: Bounds
    end: Bounds
    confidence: int
    reasons: tuple[Reason, ...]
    candidates: tuple[Side, ...]
    excluded: tuple[Exclusion, ...]
    caveats: tuple[str, ...]
    claimable: bool
    kind: str = ""

    @property
    def min_us(self) -> int:
        """The shortest that it can have lasted: what a claim counts."""
        return max(0, self.end.earliest_us - self.start.latest_us)

    @property
    def max_us(self) -> int:
        """The longest that it can have lasted."""
        return self.end.latest_us - self.start.earliest_us


@dataclass(frozen=True, slots=True)
class Account:
    """The seconds of one site (or all: site "*") under one availability commitment in one window of the contract.

    month: 2026-03, or the contract's longer window: 2026-03+2 (two months), 2026-Q1, 2026.
    up_s + claimed_s + sum(excluded_s) + sum(not_claimable_s) + unknown_s = total_s. excluded_s: (clause, seconds);
    not_claimable_s: (side, or the contract's rule, seconds). claimed_max_s is what the wider bounds would give;
    downtime_s is claimed_s rounded as the contract says: availability is 1 - downtime_s / counted_s, and counted_s is
    total_s without what the contract takes out of it. claims: the downtimes that are claimed, [start_us, end_us).
    """

    site: str
    contract: str
    commitment: str
    month: str  # 2026-03
    time_zone: str
    start_us: int
    end_us: int
    total_s: int
    up_s: int
    claimed_s: int
    claimed_max_s: int
    downtime_s: int
    excluded_s: tuple[tuple[str, int], ...]
    not_claimable_s: tuple[tuple[str, int], ...]
    unknown_s: int
    achieved_ppm: int  # availability in parts per million, downtime being what is claimed
    target_ppm: int
    met: bool
    credit_percent_milli: int  # thousandths of a percent of the contract's base
    counted_s: int
    claims: tuple[tuple[int, int], ...]

    @property
    def standing(self) -> str:
        """Return breach, possible (only the wider bounds would make it one; not claimed), unmeasured, or met.

        met speaks of what was measured: unknown_s says how much was not.
        """
        if not self.met:
            return "breach"
        if self.unknown_s == self.total_s:
            return "unmeasured"
        possible = self.claimed_max_s * 1_000_000 > (1_000_000 - self.target_ppm) * self.counted_s
        return "possible" if possible else "met"


@dataclass(frozen=True, slots=True)
class Tally:
    """How a commitment other than availability was kept in one window of the contract, by counting what was judged.

    metric says what is counted: call-quality windows or intervals (mos, loss, jitter, latency, call_quality), tickets
    (response, update, restore) or interruptions (failover). unit is that of limit, achieved and worst: milli_mos, ppm,
    us. achieved: the mean, the share beyond the limit, or the longest, of what may be claimed; worst: were all of it
    claimed that may not be; None: nothing to reckon from.
    judged = kept + failed; excluded by clause and not claimable by rule are counts beside it.
    """

    site: str
    contract: str
    commitment: str
    metric: str
    month: str
    time_zone: str
    start_us: int
    end_us: int
    unit: str
    limit: int
    achieved: int | None
    worst: int | None
    judged: int
    failed: int
    excluded: tuple[tuple[str, int], ...]
    not_claimable: tuple[tuple[str, int], ...]
    met: bool
    possible: bool  # kept by what may be claimed, missed by the rest or by the longest bounds
    credit_percent_milli: int

    @property
    def standing(self) -> str:
        """Return breach, possible (not claimed), unmeasured or met, as an Account does."""
        if not self.met:
            return "breach"
        if self.possible:
            return "possible"
        return "met" if self.judged else "unmeasured"


@dataclass(frozen=True, slots=True)
class Due:
    """What a contract owes a site (or all: "*") for one window: parts are (commitment, thousandths of a percent).

    percent_milli is their sum under the contract's cap over all credits. amount_minor: hundredths of the currency,
    None where the charge is not known.
    """

    site: str
    contract: str
    month: str
    base: str
    parts: tuple[tuple[str, int], ...]
    percent_milli: int
    currency: str
    amount_minor: int | None


@dataclass(frozen=True, slots=True)
class OutagePost:
    """What the provider's own page says of one incident or maintenance, in the snapshot named.

    created_at_us: when their record was made; posted_at_us: their first update; started_at_us and resolved_at_us: what
    they say of the outage itself (both can be edited afterwards); fetched_at_us: our time. None: they do not say.
    """

    provider: str
    incident: str
    name: str
    impact: str
    status: str
    components: tuple[str, ...]
    maintenance: bool
    created_at_us: int | None
    posted_at_us: int | None
    started_at_us: int | None
    resolved_at_us: int | None
    scheduled_for_us: int | None
    scheduled_until_us: int | None
    updated_at_us: int | None
    fetched_at_us: int
    snapshot_sha256: str


class TicketAct(enum.StrEnum):
    """What happened to a ticket, in the order in which it usually does. `answered` is the provider's first reply by a
    person; an automatic receipt is none."""

    OPENED = "opened"
    ANSWERED = "answered"
    UPDATED = "updated"
    RESTORED = "restored"
    CLOSED = "closed"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True, order=True)
class TicketEvent:
    """One thing that happened to a ticket. at_us: when, as the parties say; recorded_us: when the ledger was told."""

    at_us: int
    act: TicketAct
    text: str
    recorded_us: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """A fault as reported to a provider: its number there, whom it is about, and all that happened, by time.

    sites: empty where it is about all of them. priority: the name of the contract's, empty where none was given.
    The first event is `opened`.
    """

    provider: str
    number: str
    sites: tuple[str, ...]
    priority: str
    events: tuple[TicketEvent, ...]

    @property
    def opened_us(self) -> int:
        return self.events[0].at_us

    @property
    def ended_us(self) -> int | None:
        """When service was said to be restored, or the ticket was closed, for good; None while it is open."""
        ended = None
        for event in self.events:
            if event.act in (TicketAct.RESTORED, TicketAct.CLOSED) and ended is None:
                ended = event.at_us
            elif event.act in (TicketAct.OPENED, TicketAct.REOPENED):
                ended = None
        return ended

    def concerns(self, site: str) -> bool:
        return not self.sites or site in self.sites


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the period a witness covered. gaps are sequence numbers that are missing, (first, last) inclusive."""

    site: str
    witness: str
    first_seq: int | None
    last_seq: int | None
    batches: int
    trimmed: int
    measured_s: int
    unmeasured_s: int
    gaps: tuple[tuple[int, int], ...]
    plans: tuple[str, ...]  # SHA-256 in hex, in the order of their first use


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the reader has to know: of a witness's clock, a gap, a late or altered post. kind is a code word,
    subject a witness, a provider or a site."""

    kind: str
    subject: str
    at_us: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """The whole answer for one period [start_us, end_us)."""

    method: str  # name and version of the rules
    start_us: int
    end_us: int
    sites: tuple[str, ...]
    spans: tuple[SegmentSpan, ...]
    verdicts: tuple[Verdict, ...]
    breaches: tuple[Breach, ...]
    accounts: tuple[Account, ...]
    outages: tuple[OutagePost, ...]
    coverage: tuple[Coverage, ...]
    findings: tuple[Finding, ...]
    tallies: tuple[Tally, ...] = ()
    dues: tuple[Due, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return the settlement as plain dicts and lists, its format named."""
        return {"format": FORMAT, **plain(self)}

    @classmethod
    def from_plain(cls, value: Any) -> Settlement:
        """Return the Settlement that to_plain() made the value from. Raises ValueError for anything else."""
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise ValueError(f"settlement: wanted format {FORMAT}")
        return build(cls, {k: v for k, v in value.items() if k != "format"})

    def to_json(self) -> str:
        """Return the settlement as JSON: sorted keys, one spelling, a line break at the end."""
        return json.dumps(self.to_plain(), ensure_ascii=False, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Settlement:
        """Return the Settlement that to_json() wrote. Raises ValueError for anything else."""
        return cls.from_plain(json.loads(text))
