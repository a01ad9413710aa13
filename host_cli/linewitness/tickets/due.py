"""What has to be done, or waited for, by when: claims, tickets that a contract wants, clocks, decisions, reviews.

    claim      the claim for a month must have arrived by then; basis is the contract's rule
    ticket     a claimed failure needs a ticket within the contract's hours, and none covers it
    response, update, restore   a ticket's clock runs out: the provider's to keep
    decision   the provider has to decide on a claim that was filed
    review     a duty of the contract has to be looked at again
    renewal    the contract ends

Everything is handed in; nothing here reads a clock. Times are UTC microseconds, None where a rule has no instant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from linewitness.model import Settlement, Side, Ticket, Verdict
from linewitness.report.deadlines import deadlines
from linewitness.settle.calendar import iso, utc_us
from linewitness.settle.contract import Compliance, Contract
from linewitness.tickets.claims import ClaimAct, ClaimEvent
from linewitness.tickets.clocks import clocks, in_force, priority_of

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
OURS = ("claim", "ticket", "review", "renewal")


@dataclass(frozen=True, slots=True)
class Obligation:
    """One line of the list. whose: `customer` (ours to do) or `provider` (theirs). subject: a contract or a ticket.
    key names the line for good: the same one has the same key tomorrow."""

    kind: str
    whose: str
    subject: str
    at_us: int | None
    text: str
    key: str

    def late(self, now_us: int) -> bool:
        return self.at_us is not None and self.at_us < now_us


def due(
    settlement: Settlement | None,
    contracts: Sequence[Contract],
    tickets: Sequence[Ticket],
    claims: Mapping[tuple[str, str], Sequence[ClaimEvent]],
    now_us: int,
    provider_of: Mapping[str, str],
    newest: Settlement | None = None,
) -> list[Obligation]:
    """Return all that is open at now_us, what comes first in front; what has no instant comes last.

    settlement: of the months that may be claimed, None where nothing was measured. newest: where that is not from
    just now, the last days as they stand. provider_of maps sites to providers.
    """
    found: list[Obligation] = []
    if settlement is not None:
        found += _claims(settlement, contracts, claims)
    fresh = settlement if newest is None else newest
    if fresh is not None:
        for contract in contracts:
            found += _tickets_needed(contract, fresh.verdicts, tickets, provider_of, now_us)
    found += _clocks(contracts, tickets, now_us)
    for contract in contracts:
        found += _decisions(contract, claims)
        until_us = None if contract.effective_until is None else _midnight(contract.effective_until, contract.time_zone)
        if until_us is not None and until_us <= now_us:
            continue  # it has ended: there is nothing left to review or to renew
        found += [_review(contract, duty) for duty in contract.compliance]
        if until_us is not None:
            text = f"the contract ends: linewitness review --term {contract.effective_from}..{contract.effective_until}"
            found.append(Obligation("renewal", "customer", contract.name, until_us, text, f"renewal/{contract.name}"))
    return sorted(found, key=lambda d: (d.at_us is None, d.at_us or 0, d.kind, d.key))


def _claims(
    settlement: Settlement, contracts: Sequence[Contract], claims: Mapping[tuple[str, str], Sequence[ClaimEvent]]
) -> list[Obligation]:
    by_name = {c.name: c for c in contracts}
    result = []
    for deadline in deadlines(settlement, contracts):
        if (deadline.contract, deadline.month) in claims:
            continue
        rule = by_name[deadline.contract].claim
        how = "" if rule is None else "".join(
            f', {name} "{value}"' for name, value in (("by", rule.channel), ("subject", rule.subject)) if value
        )  # fmt: skip
        text = f"claim {deadline.month} ({deadline.basis}){how}"
        key = f"claim/{deadline.contract}/{deadline.month}"
        result.append(Obligation("claim", "customer", deadline.contract, deadline.due_us, text, key))
    return result


def _tickets_needed(
    contract: Contract,
    verdicts: Sequence[Verdict],
    tickets: Sequence[Ticket],
    provider_of: Mapping[str, str],
    now_us: int,
) -> list[Obligation]:
    """Return the failures that a claim can't stand on without a ticket; those whose hours are over are lost."""
    if contract.claim is None or contract.claim.needs_ticket_within_h is None:
        return []
    within_us = int(contract.claim.needs_ticket_within_h * HOUR_US)
    result = []
    for v in verdicts:
        if v.side is not Side.PROVIDER or provider_of.get(v.site) != contract.provider:
            continue
        if not in_force(contract, v.start.earliest_us):
            continue
        by_us = v.start.earliest_us + within_us
        if by_us >= now_us and not any(covers(t, v, contract.provider, by_us) for t in tickets):
            text = f"open a ticket for {v.site}, failed at {iso(v.start.earliest_us)[:19]}Z: linewitness ticket draft"
            key = f"ticket/{contract.name}/{v.site}/{v.start.earliest_us}"
            result.append(Obligation("ticket", "customer", contract.name, by_us, text, key))
    return result


def covers(ticket: Ticket, verdict: Verdict, provider: str, by_us: int) -> bool:
    """Return whether a ticket reported the failure: opened after it began, in time, or open all the while."""
    if ticket.provider != provider or not ticket.concerns(verdict.site) or ticket.opened_us > by_us:
        return False
    ended_us = ticket.ended_us
    return ticket.opened_us >= verdict.start.earliest_us or ended_us is None or ended_us > verdict.start.latest_us


def _clocks(contracts: Sequence[Contract], tickets: Sequence[Ticket], now_us: int) -> list[Obligation]:
    result = []
    for ticket in tickets:
        priority = priority_of(ticket, contracts)
        if priority is None or ticket.ended_us is not None:
            continue
        for clock in clocks(ticket, priority, now_us):
            if clock.running:
                text = f"{ticket.provider} owes the {clock.name} of ticket {ticket.number} ({priority.name})"
                key = f"{clock.name}/{ticket.provider}/{ticket.number}/{clock.due_us}"
                result.append(Obligation(clock.name, "provider", ticket.number, clock.due_us, text, key))
    return result


def _decisions(contract: Contract, claims: Mapping[tuple[str, str], Sequence[ClaimEvent]]) -> list[Obligation]:
    days = None if contract.claim is None else contract.claim.decision_days
    result = []
    for (name, month), events in claims.items():
        if name == contract.name and days is not None and all(e.act is ClaimAct.FILED for e in events):
            at_us = min(e.at_us for e in events) + days * DAY_US
            text = f"{contract.provider} has to decide on the claim for {month} ({days} days)"
            result.append(Obligation("decision", "provider", name, at_us, text, f"decision/{name}/{month}"))
    return result


def _review(contract: Contract, duty: Compliance) -> Obligation:
    """Return when a duty is to be looked at: so many months after it was last, at once where it never was."""
    first = duty.reviewed or contract.effective_from
    at_us = _midnight(_later(first, duty.review_months) if duty.reviewed else first, contract.time_zone)
    text = f"{duty.name}: {duty.requirement}; evidence: {', '.join(duty.evidence) or 'none named'}"
    return Obligation("review", "customer", contract.name, at_us, text, f"review/{contract.name}/{duty.name}/{at_us}")


def _later(day: date, months: int) -> date:
    """Return the same day so many months later, the last of its month where that has no such day."""
    index = day.year * 12 + day.month - 1 + months
    first = date(index // 12, index % 12 + 1, 1)
    last = date((index + 1) // 12, (index + 1) % 12 + 1, 1) - timedelta(days=1)
    return min(first + timedelta(days=day.day - 1), last)


def _midnight(day: date, time_zone: str) -> int:
    return utc_us(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone)))
