"""How a term went, month by month: what each settlement comes down to, small enough to keep a year of a thousand sites.

    Settlement of a month -> MonthFigures; all of them, claims and tickets -> Term

Pure: no I/O, no clock. Minutes lost are those of the verdicts: at every site the shortest and the longest that its
failures can have lasted, what overlaps counted once, cut to the month. A second lost at two sites is two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from linewitness.model import Account, Segment, Settlement, Side, State, Ticket, Verdict
from linewitness.settle.account import NO_DOWNTIME
from linewitness.settle.contract import Contract
from linewitness.settle.intervals import Interval, intersect, length, union
from linewitness.tickets.claims import ClaimAct, ClaimEvent
from linewitness.tickets.clocks import clocks, priority_of

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US


@dataclass(frozen=True, slots=True)
class Lost:
    """Seconds without telephony on one side's account, over all sites: the shortest and the longest; failures."""

    side: Side
    min_s: int
    max_s: int
    failures: int


@dataclass(frozen=True, slots=True)
class Kept:
    """How one commitment was kept at one site in one window. unit: ppm (availability, shares), milli_mos or us.

    achieved is None where nothing was measured. allowed_s and down_s are of availability: the downtime that the target
    leaves, and what was claimed [min, max]. standing: breach, possible, unmeasured, met. unknown_ppm: how much of an
    availability's window is not known.
    """

    site: str
    commitment: str
    metric: str
    window: str
    unit: str
    target: int
    achieved: int | None
    standing: str
    allowed_s: int | None
    down_s: tuple[int, int] | None
    unknown_ppm: int = 0


@dataclass(frozen=True, slots=True)
class Owed:
    """What the contract owes for a window: thousandths of a percent, and hundredths of the currency where known."""

    site: str
    window: str
    percent_milli: int
    amount_minor: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """What one month adds to an availability whose window is longer (a quarter, a year, two months).

    known_s: up, claimed or not claimable in this month. counted_s and excluded_s are the whole window's as far as this
    month's readings tell: the months agree on them but for maintenance.
    """

    site: str
    commitment: str
    window: str
    target_ppm: int
    total_s: int
    counted_s: int
    excluded_s: int
    known_s: int
    downtime_s: int
    claimed_max_s: int


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """One month [start_us, end_us) of one contract. parts: of longer windows. not_claimable: (rule, seconds) of the
    provider's failures that the contract does not let claim. posts: (kind of finding, count)."""

    month: str
    start_us: int
    end_us: int
    sites: int
    measured_s: int
    lost: tuple[Lost, ...]
    kept: tuple[Kept, ...]
    owed: tuple[Owed, ...]
    not_claimable: tuple[tuple[str, int], ...]
    posts: tuple[tuple[str, int], ...]
    parts: tuple[Part, ...] = ()

    def lost_s(self, side: Side) -> int:
        return next((one.min_s for one in self.lost if one.side is side), 0)


@dataclass(frozen=True, slots=True)
class ClockFigures:
    """How one clock of one priority was kept over the term: promised and taken are minutes, kept and missed counts."""

    priority: str
    clock: str
    promised_min: int
    kept: int
    missed: int
    median_min: int | None
    worst_min: int | None


@dataclass(frozen=True, slots=True)
class Term:
    """A contract's term as it went. claimed and granted: (claims, hundredths of the currency where stated). longer:
    availability over windows longer than a month."""

    contract: str
    provider: str
    currency: str
    months: tuple[MonthFigures, ...]
    clocks: tuple[ClockFigures, ...]
    claimed: tuple[int, int]
    granted: tuple[int, int]
    refused: int
    longer: tuple[Kept, ...] = ()

    def kept(self) -> list[Kept]:
        """Return how each commitment was kept, month by month, the longer windows last."""
        return [*(k for m in self.months for k in m.kept), *self.longer]

    def lost(self) -> dict[Side, Lost]:
        """Return the totals over the term by side, in the order of the path."""
        result = {}
        for side in Side:
            of_side = [one for m in self.months for one in m.lost if one.side is side]
            sums = (sum(getattr(one, name) for one in of_side) for name in ("min_s", "max_s", "failures"))
            result[side] = Lost(side, *sums)
        return result

    @property
    def measured_s(self) -> int:
        return sum(m.measured_s for m in self.months)


def month_figures(settlement: Settlement, contract: Contract, month: str, sites: Sequence[str]) -> MonthFigures:
    """Return what a month's settlement comes down to for a contract; sites are those of its provider."""
    whole: Interval = (settlement.start_us, settlement.end_us)
    mine = [v for v in settlement.verdicts if v.site in sites]
    accounts = [a for a in settlement.accounts if a.contract == contract.name and a.month == month]
    tallies = [t for t in settlement.tallies if t.contract == contract.name and t.month == month]
    rules: dict[str, int] = {}
    for a in accounts:
        for rule, seconds in a.not_claimable_s:
            if rule not in set(Side) and seconds:
                rules[rule] = rules.get(rule, 0) + seconds
    kept = [
        Kept(a.site, a.commitment, "availability", a.month, "ppm", a.target_ppm,
             None if a.standing == "unmeasured" else a.achieved_ppm, a.standing,
             (1_000_000 - a.target_ppm) * a.counted_s // 1_000_000, (a.downtime_s, max(a.downtime_s, a.claimed_max_s)),
             a.unknown_s * 1_000_000 // max(1, a.total_s))
        for a in accounts
    ] + [
        Kept(t.site, t.commitment, t.metric, t.month, t.unit, t.limit, t.achieved, t.standing, None, None)
        for t in tallies
    ]  # fmt: skip
    kinds = [f.kind for f in settlement.findings if f.subject == contract.provider and _inside(f.at_us, whole)]
    return MonthFigures(
        month, *whole, len([s for s in settlement.sites if s in sites]), _measured_s(settlement, sites),
        _lost(mine, whole), tuple(kept),
        tuple(Owed(d.site, d.month, d.percent_milli, d.amount_minor) for d in settlement.dues
              if d.contract == contract.name and d.month == month),
        tuple(sorted(rules.items())), tuple((kind, kinds.count(kind)) for kind in sorted(set(kinds))),
        tuple(_part(a) for a in settlement.accounts if a.contract == contract.name and a.month != month),
    )  # fmt: skip


def _part(a: Account) -> Part:
    known_s = a.up_s + a.claimed_s + sum(s for _, s in a.not_claimable_s)
    excluded_s = sum(s for _, s in a.excluded_s)
    return Part(a.site, a.commitment, a.month, a.target_ppm, a.total_s, a.counted_s, excluded_s, known_s, a.downtime_s,
                max(a.downtime_s, a.claimed_max_s))  # fmt: skip


def longer(months: Iterable[MonthFigures]) -> tuple[Kept, ...]:
    """Return how availability was kept over windows longer than a month, from what each month adds to them."""
    found: dict[tuple[str, str, str], list[Part]] = {}
    for month in months:
        for part in month.parts:
            found.setdefault((part.window, part.site, part.commitment), []).append(part)
    result = []
    for (window, site, name), parts in sorted(found.items()):
        first = parts[0]
        counted_s, target_ppm = min(p.counted_s for p in parts), first.target_ppm
        low_s, high_s = sum(p.downtime_s for p in parts), sum(p.claimed_max_s for p in parts)
        known_s = min(first.total_s, sum(p.known_s for p in parts) + max(p.excluded_s for p in parts))
        allowed = (1_000_000 - target_ppm) * counted_s
        standing = "breach" if low_s * 1_000_000 > allowed else "possible" if high_s * 1_000_000 > allowed else "met"
        achieved: int | None = 1_000_000 - low_s * 1_000_000 // max(1, counted_s)
        if not any(p.known_s for p in parts):
            achieved, standing = None, "unmeasured"
        result.append(
            Kept(site, name, "availability", window, "ppm", target_ppm, achieved, standing, allowed // 1_000_000,
                 (low_s, high_s), (first.total_s - known_s) * 1_000_000 // max(1, first.total_s))
        )  # fmt: skip
    return tuple(result)


def term(
    contract: Contract,
    months: Iterable[MonthFigures],
    tickets: Sequence[Ticket],
    claims: Mapping[tuple[str, str], Sequence[ClaimEvent]],
    period: Interval,
) -> Term:
    """Return the term [start_us, end_us) of a contract from its months, in their order."""
    figures = tuple(months)
    own = [(month, events) for (name, month), events in claims.items() if name == contract.name]
    inside = [events for month, events in own if month in {m.month for m in figures}]

    def counted(act: ClaimAct) -> tuple[int, int]:
        found = [e for events in inside for e in events if e.act is act]
        return len(found), sum(e.amount_minor or 0 for e in found)

    return Term(
        contract.name, contract.provider, contract.currency, figures, _clocks(contract, tickets, period),
        counted(ClaimAct.FILED), counted(ClaimAct.GRANTED), counted(ClaimAct.REFUSED)[0], longer(figures),
    )  # fmt: skip


def _inside(at_us: int | None, whole: Interval) -> bool:
    return at_us is not None and whole[0] <= at_us < whole[1]


def _lost(verdicts: Sequence[Verdict], whole: Interval) -> tuple[Lost, ...]:
    result = []
    for side in Side:
        least = most = failures = 0
        for site in {v.site for v in verdicts}:
            own = [v for v in verdicts if v.site == site and v.side is side and v.kind not in NO_DOWNTIME]
            shortest = union((v.start.latest_us, v.end.earliest_us) for v in own if v.min_us)
            longest = union((v.start.earliest_us, v.end.latest_us) for v in own)
            least += length(intersect(shortest, [whole]))
            most += length(intersect(longest, [whole]))
            failures += len(own)
        if failures:
            result.append(Lost(side, least // SECOND_US, -(-most // SECOND_US), failures))
    return tuple(result)


def _measured_s(settlement: Settlement, sites: Sequence[str]) -> int:
    """Return the seconds in which the provider's segment was seen up or down, over the sites."""
    total_us = 0
    for site in sites:
        seen = union(
            (s.start.earliest_us, s.end.latest_us)
            for s in settlement.spans
            if s.site == site and s.segment is Segment.PROVIDER and s.state is not State.UNMEASURED
        )
        total_us += length(intersect(seen, [(settlement.start_us, settlement.end_us)]))
    return total_us // SECOND_US


def _clocks(contract: Contract, tickets: Sequence[Ticket], period: Interval) -> tuple[ClockFigures, ...]:
    taken: dict[tuple[str, str, int], list[tuple[int, bool]]] = {}
    for ticket in tickets:
        priority = priority_of(ticket, [contract])
        if ticket.provider != contract.provider or priority is None or not _inside(ticket.opened_us, period):
            continue
        for clock in clocks(ticket, priority, period[1]):
            end_us = period[1] if clock.stopped_us is None else clock.stopped_us
            counted_us = end_us - clock.start_us
            if priority.hours is not None:
                counted_us = priority.hours.counted_us(clock.start_us, end_us)
            taken.setdefault((priority.name, clock.name, clock.minutes), []).append((counted_us, clock.missed))
    result = []
    for (name, clock_name, minutes), found in taken.items():
        missed = sum(late for _, late in found)
        spent = [us // MINUTE_US for us, _ in found]
        result.append(
            ClockFigures(
                name, clock_name, minutes, len(found) - missed, missed, int(median(spent)) if spent else None,
                max(spent, default=None),
            )
        )  # fmt: skip
    return tuple(result)
