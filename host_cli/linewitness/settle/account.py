"""The contract's arithmetic: every second of its month is up, claimed, excluded, not claimable or unknown. Never two.

A second goes to the first of these that has a title to it:

  1. excluded: the contract was not in force, or outside its service hours;
  2. not claimable: the customer's, the ISP's or the transit's, from the last good reading to the first after it;
  3. unknown: not measured;
  4. excluded by a clause: the provider's failure within announced maintenance, or what both sides agreed on;
  5. claimed: the provider's failure, the shortest that its bounds allow, where the contract lets it count; else not
     claimable under the rule that forbids it (before the ticket, shorter than the minimum, not confirmed);
  6. not claimable: undetermined, or the carrier's;
  7. unknown: between the shortest and the longest that a failure can have lasted;
  8. up. A degraded edge (one dead member of a set) and poor quality are no downtime and stay here.

Overlapping failures are one downtime: their union. What has to be continuous is what is left of it after 1 to 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from linewitness.model import Account, OutagePost, SegmentSpan, Side, State, Ticket, Verdict
from linewitness.settle.calendar import SECOND_US, days_interval, months_in, window_interval
from linewitness.settle.contract import Commitment, Contract
from linewitness.settle.credit import Achieved, credit_percent_milli
from linewitness.settle.exclusions import excluded
from linewitness.settle.heard import Windows
from linewitness.settle.intervals import Interval, core, hull, intersect, length, subtract, union

UP, CLAIMED, UNKNOWN = "up", "claimed", "unknown"
EXCLUDED, NOT_CLAIMABLE = "excluded ", "not claimable "
NOT_IN_FORCE, OUTSIDE_HOURS = "contract not in force", "outside service hours"
HOUR_US = 3600 * SECOND_US
EDGE_DEGRADED, QUALITY = "provider.edge_degraded", "quality"
NO_DOWNTIME = (EDGE_DEGRADED, QUALITY)  # kinds of verdicts on what was no downtime
ELSEWHERE = (Side.CUSTOMER, Side.ISP, Side.TRANSIT)


@dataclass(frozen=True, slots=True)
class SiteEvidence:
    """What settling found at one site: its verdicts, the spans of its provider's segment, its provider's tickets.

    windows: all call-quality windows of its witnesses, controls too; wired: they are on a cable. users: how many
    people it stands for where sites are weighed against each other.
    """

    site: str
    verdicts: Sequence[Verdict]
    spans: Sequence[SegmentSpan]
    tickets: Sequence[Ticket] = ()
    windows: Windows = field(default_factory=Windows)
    wired: bool = False
    users: int = 1


@dataclass(slots=True)
class Classes:
    """A window's instants by class, disjoint; longest: what could be claimed at most, were every bound the widest."""

    parts: dict[str, list[Interval]] = field(default_factory=dict)
    longest: list[Interval] = field(default_factory=list)


def account(
    contract: Contract, commitment: Commitment, evidence: SiteEvidence, window: str, posts: Sequence[OutagePost]
) -> Account:
    """Return the account of a site for a window (2026-03 ...) of the contract. posts: the provider's newest."""
    whole = window_interval(window, contract.time_zone)
    classes = classify(contract, commitment, evidence, whole, posts)
    us = {name: length(parts) for name, parts in classes.parts.items()}
    downtime_s = sum(rounded(contract.downtime.rounding, i) for i in classes.parts[CLAIMED])
    return sum_up(contract, commitment, evidence.site, window, us, length(classes.longest), downtime_s,
                  classes.parts[CLAIMED])  # fmt: skip


def classify(
    contract: Contract,
    commitment: Commitment,
    evidence: SiteEvidence,
    whole: Interval,
    posts: Sequence[OutagePost],
) -> Classes:
    """Return the disjoint intervals that tile a window, by class, for one site."""
    left = [whole]
    parts: dict[str, list[Interval]] = {CLAIMED: [], UNKNOWN: []}

    def take(name: str, intervals: Iterable[Interval]) -> None:
        nonlocal left
        taken = intersect(intervals, left)
        if taken:
            parts[name] = union([*parts.get(name, []), *taken])
            left = subtract(left, taken)

    verdicts = [v for v in evidence.verdicts if v.kind not in NO_DOWNTIME]
    theirs = [v for v in verdicts if v.side is Side.PROVIDER]
    take(EXCLUDED + NOT_IN_FORCE, subtract(left, in_force(contract)))
    if commitment.hours is not None:
        take(EXCLUDED + OUTSIDE_HOURS, subtract(left, commitment.hours.intervals(*whole)))
    for side in ELSEWHERE:
        take(NOT_CLAIMABLE + side, (hull(v) for v in verdicts if v.side is side))
    take(UNKNOWN, subtract(left, measured(evidence.spans)))
    rules = excluded(contract, posts, whole)
    for clause, windows in rules.items():
        take(EXCLUDED + clause, intersect(windows, (core(v) for v in theirs)))
    claims = Claims(contract, evidence, posts)
    # What is continuous may begin in the window before, or end in the one after.
    least_us = contract.downtime.min_continuous_s * SECOND_US
    may_count = countable(contract, commitment, evidence, whole, posts, beyond_us=least_us)
    for name, intervals in claims.reckon([core(v) for v in theirs if v.claimable], may_count):
        take(name, intervals)
    take(NOT_CLAIMABLE + "provider, not confirmed from outside", (core(v) for v in theirs if not v.claimable))
    for side in (Side.UNDETERMINED, Side.CARRIER):
        take(NOT_CLAIMABLE + side, (hull(v) for v in verdicts if v.side is side))
    take(UNKNOWN, (hull(v) for v in verdicts))
    take(UP, left)
    widest = countable(contract, commitment, evidence, whole, posts, shortest=True, beyond_us=least_us)
    found = claims.reckon([hull(v) for v in theirs if v.claimable], widest)
    most = intersect([whole], (i for name, intervals in found if name == CLAIMED for i in intervals))
    return Classes(parts, union([*parts[CLAIMED], *most]))


def countable(
    contract: Contract,
    commitment: Commitment,
    evidence: SiteEvidence,
    whole: Interval,
    posts: Sequence[OutagePost],
    *,
    shortest: bool = False,
    beyond_us: int = 0,
) -> list[Interval]:
    """Return where a failure of the provider's may count: in force, in hours, measured, no other side's, not excluded.

    shortest: other sides take no more than their shortest, and what was not measured takes nothing: the most that
    could be. beyond_us: look so far beyond both ends of the window.
    """
    span = core if shortest else hull
    wide = (whole[0] - beyond_us, whole[1] + beyond_us)
    result = intersect([wide], in_force(contract))
    if commitment.hours is not None:
        result = intersect(result, commitment.hours.intervals(*wide))
    elsewhere = (v for v in evidence.verdicts if v.side in ELSEWHERE and v.kind not in NO_DOWNTIME)
    result = subtract(result, (span(v) for v in elsewhere))
    if not shortest:
        result = intersect(result, measured(evidence.spans))
    return subtract(result, (i for windows in excluded(contract, posts, wide).values() for i in windows))


class Claims:
    """What the contract lets count of downtimes: its beginning, its minimum, its ticket."""

    def __init__(self, contract: Contract, evidence: SiteEvidence, posts: Sequence[OutagePost]) -> None:
        self.rule = contract.downtime
        self.tickets = evidence.tickets
        self.posts = [p for p in posts if not p.maintenance]
        needs_h = contract.claim.needs_ticket_within_h if contract.claim else None
        self.needs_us = None if needs_h is None else int(needs_h * HOUR_US)
        self.needs = f"no ticket within {needs_h} h"
        self.ours = contract.measure_of_record in ("customer", "either")

    def reckon(self, failures: Sequence[Interval], countable: Sequence[Interval]) -> list[tuple[str, list[Interval]]]:
        """Return (class, intervals) of failures, of which only what is countable may be claimed."""
        found: dict[str, list[Interval]] = {CLAIMED: []}
        least_us = self.rule.min_continuous_s * SECOND_US
        for start_us, end_us in union(failures):
            if self.needs_us is not None and not self._reported(start_us, self.needs_us):
                found.setdefault(NOT_CLAIMABLE + self.needs, []).append((start_us, end_us))
                continue
            counts_us = min(end_us, max(start_us, self._counts_from(start_us, end_us)))
            before = NOT_CLAIMABLE + f"before the {self.rule.starts_at}"
            found.setdefault(before, []).append((start_us, counts_us))
            for part in intersect([(counts_us, end_us)], countable):
                short = NOT_CLAIMABLE + f"shorter than {self.rule.min_continuous_s} s"
                found.setdefault(CLAIMED if part[1] - part[0] >= least_us else short, []).append(part)
        return list(found.items())

    def _counts_from(self, start_us: int, end_us: int) -> int:
        """Return when the contract's clock begins for a failure; its end where it never does."""
        if self.rule.starts_at == "failure" or (self.rule.starts_at == "detection" and self.ours):
            return start_us  # the bound that is used is our first failing reading: that is our detection
        told = [t.opened_us for t in self.tickets if _open_in(t, start_us, end_us)]
        if self.rule.starts_at == "detection":  # theirs: what they posted, or were told
            told += [
                p.created_at_us for p in self.posts
                if p.created_at_us is not None and p.created_at_us < end_us and (p.resolved_at_us or end_us) > start_us
            ]  # fmt: skip
        return min(told, default=end_us)

    def _reported(self, start_us: int, within_us: int) -> bool:
        return any(_open_in(t, start_us, start_us + within_us + 1) for t in self.tickets)


def _open_in(ticket: Ticket, start_us: int, end_us: int) -> bool:
    """Return whether a ticket was opened in [start_us, end_us), or before and still open at start_us."""
    return ticket.opened_us < end_us and (ticket.ended_us is None or ticket.ended_us > start_us)


def in_force(contract: Contract) -> list[Interval]:
    return [days_interval(contract.effective_from, contract.effective_until, contract.time_zone)]


def measured(spans: Sequence[SegmentSpan]) -> list[Interval]:
    """Return where a segment's state is known: within spans, and in no bound of one that was not measured."""
    unmeasured = [(s.start.earliest_us, s.end.latest_us) for s in spans if s.state is State.UNMEASURED]
    return subtract(((s.start.earliest_us, s.end.latest_us) for s in spans), unmeasured)


def rounded(rounding: str, interval: Interval) -> int:
    """Return the whole seconds that the contract counts for one downtime."""
    us = interval[1] - interval[0]
    if rounding == "none":
        return us // SECOND_US
    unit_us = (3600 if rounding == "hour_up" else 60) * SECOND_US
    if rounding.endswith("_up"):
        return -(-us // unit_us) * unit_us // SECOND_US
    if rounding == "minute_nearest":
        us += unit_us // 2
    return us // unit_us * unit_us // SECOND_US


def sum_up(
    contract: Contract,
    commitment: Commitment,
    site: str,
    window: str,
    us: dict[str, int] | dict[str, Fraction],
    longest_us: int | Fraction,
    downtime_s: int,
    claims: Sequence[Interval],
) -> Account:
    """Return the Account of microseconds by class, which sum up to the window. downtime_s: rounded by the contract."""
    start_us, end_us = window_interval(window, contract.time_zone)
    total_s = (end_us - start_us) // SECOND_US
    seconds = whole_seconds(us, total_s)
    excluded_s = {n.removeprefix(EXCLUDED): s for n, s in seconds.items() if n.startswith(EXCLUDED)}
    others_s = {n.removeprefix(NOT_CLAIMABLE): s for n, s in seconds.items() if n.startswith(NOT_CLAIMABLE)}
    counted_s = total_s
    for name, value in excluded_s.items():
        if name in (NOT_IN_FORCE, OUTSIDE_HOURS) or contract.downtime.denominator == "month_without_excluded":
            counted_s -= value
    downtime_s = min(counted_s, downtime_s)
    available = 1 - Fraction(downtime_s, counted_s) if counted_s else Fraction(1)
    met = available * 1_000_000 >= commitment.target_ppm
    achieved = Achieved(
        available * 1_000_000, Fraction(commitment.target_ppm), met, len(claims), downtime_s, counted_s,
        months_in(window), total_s,
    )  # fmt: skip
    return Account(
        site, contract.name, commitment.name, window, contract.time_zone, start_us, end_us, total_s,
        seconds.get(UP, 0), seconds[CLAIMED], int(-(-longest_us // SECOND_US)), downtime_s,
        tuple(sorted((n, s) for n, s in excluded_s.items() if s)),
        tuple(sorted((n, s) for n, s in others_s.items() if s)), seconds[UNKNOWN],
        -int(-available * 1_000_000 // 1), commitment.target_ppm, met,
        credit_percent_milli(contract, commitment, achieved), counted_s, tuple(claims),
    )  # fmt: skip


def whole_seconds(us: dict[str, int] | dict[str, Fraction], total_s: int) -> dict[str, int]:
    """Return whole seconds that sum up to the total: claimed rounded down, then the largest remainders up."""
    result = {name: int(value // SECOND_US) for name, value in us.items()}
    missing = total_s - sum(result.values())
    order = sorted((n for n in us if n != CLAIMED), key=lambda n: (-(us[n] % SECOND_US), n))
    for name in order[:missing]:
        result[name] += 1
    result[UNKNOWN] += total_s - sum(result.values())
    return result
