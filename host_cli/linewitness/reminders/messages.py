"""What people are told: a failure and its end, a claim's deadline coming up, a ticket's clock that ran out.

A message has a key: what was told under a key is not told again. A failure has none that stays (its bounds move while
readings come in): it is the same as one that was told when side and sites are the same and the times overlap.

    failed     it goes on: what happened, whose side, what excludes the others, what is being done
    repaired   it is over: the same, and how long it took to repair
    deadline   so many days before a claim is due
    clock      a provider's clock ran out
    needed     a ticket that the contract wants is not there
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from linewitness.model import Side, Ticket
from linewitness.tickets.draft import SIDES
from linewitness.tickets.due import Obligation
from linewitness.tickets.incidents import Incident

DAY_US = 86_400_000_000
ANSWERS = {**SIDES, Side.PROVIDER: "the provider", Side.CARRIER: "the provider's carrier", Side.ISP: "the ISP"}


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell. sites, start_us and end_us say what a failure is about; they are empty and 0 otherwise."""

    kind: str
    key: str
    subject: str
    body: str
    side: str = ""
    sites: tuple[str, ...] = ()
    start_us: int = 0
    end_us: int = 0

    def same_failure(self, other: Message) -> bool:
        """Return whether both tell the same of the same failure."""
        if self.kind != other.kind or self.side != other.side or not set(self.sites) & set(other.sites):
            return False
        return self.start_us <= other.end_us and other.start_us <= self.end_us


def failures(incidents: Iterable[Incident], tickets: Sequence[Ticket], providers: dict[str, str]) -> list[Message]:
    """Return what is to be told of incidents: of an open one that it fails, of one that is over how long it took."""
    return [_failure("failed" if one.open else "repaired", one, tickets, providers) for one in incidents]


def _failure(kind: str, one: Incident, tickets: Sequence[Ticket], providers: dict[str, str]) -> Message:
    sites, side = ", ".join(one.sites), ANSWERS[one.side]
    start_us, end_us = one.start.earliest_us, one.end.latest_us
    if kind == "failed":
        subject = f"{sites}: calls fail since {_time(one.start.latest_us)} UTC, side: {side}"
    else:
        subject = f"{sites}: repaired after {_length(one)}, side: {side}"
    lead = one.lead
    lines = [f"What happened: the telephone service at {sites} failed at {_time(one.start.latest_us)} UTC."]
    segment = f" ({lead.segment})" if lead.segment else ""
    lines.append(f"Whose side: {side}{segment}, {lead.confidence} % sure.")
    lines += [f"  - {r.text}" for r in lead.reasons]
    lines += [f"  - not {ANSWERS[e.side]}: {e.reason.text}" for e in lead.excluded]
    lines += [f"  - not excluded: {c}" for c in lead.caveats]
    lines.append(f"What is being done: {_done(one, tickets, providers)}")
    if one.open:
        lines.append("It is not over yet.")
    else:
        lines.append(f"How long it took to repair: {_length(one)}; over at {_time(one.end.earliest_us)} UTC.")
    key = f"{kind}/{one.side}/{','.join(one.sites)}/{start_us}"
    return Message(kind, key, subject, "\n".join(lines) + "\n", str(one.side), one.sites, start_us, end_us)


def _done(one: Incident, tickets: Sequence[Ticket], providers: dict[str, str]) -> str:
    """Return what the tickets about it say, or what to do where there is none."""
    about = []
    for t in tickets:
        ended_us = t.ended_us
        theirs = any(t.concerns(s) and providers.get(s) == t.provider for s in one.sites)
        fits = t.opened_us <= one.end.latest_us + DAY_US and (ended_us is None or ended_us >= one.start.earliest_us)
        if theirs and fits:
            last = t.events[-1]
            said = f": {last.text}" if last.text else ""
            about.append(f"ticket {t.number} with {t.provider}, {last.act} at {_time(last.at_us)} UTC{said}")
    if about:
        return "; ".join(about) + "."
    if one.side is Side.CUSTOMER:
        return "nothing is on record; it is our own side's to repair."
    return "no ticket is open. Open one now: linewitness ticket draft, then linewitness ticket open NUMBER."


def deadlines(dues: Iterable[Obligation], now_us: int, days_before: Sequence[int]) -> list[Message]:
    """Return what is to be told of deadlines at now_us: each once for the nearest of days_before that has come."""
    result = []
    for one in dues:
        if one.at_us is None:
            continue
        left_us = one.at_us - now_us
        if one.whose == "provider":
            if left_us < 0:
                text = f"{one.text}: it ran out at {_time(one.at_us)} UTC.\n"
                subject = f"{one.subject}: {one.kind} is overdue"
                result.append(Message("clock", f"clock/{one.key}", subject, text))
        elif one.kind == "ticket":
            text = f"{one.text}. By {_time(one.at_us)} UTC, or nothing can be claimed for it.\n"
            result.append(Message("needed", one.key, f"{one.subject}: a ticket is needed", text))
        else:
            due_days = [d for d in days_before if 0 <= left_us <= d * DAY_US]
            if due_days:
                days = min(due_days)
                text = f"{one.text}. By {_time(one.at_us)} UTC.\n"
                left = f"{left_us // DAY_US} days" if left_us >= 2 * DAY_US else f"{left_us // 3_600_000_000} h"
                subject = f"{one.subject}: {one.kind}, {left} left"
                result.append(Message("deadline", f"{one.key}/{days}", subject, text))
    return result


def _length(one: Incident) -> str:
    low, high = one.min_us // 1_000_000, -(-one.max_us // 1_000_000)
    return _seconds(low) if low == high else f"{_seconds(low)} to {_seconds(high)}"


def _seconds(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min {seconds % 60:02d} s"


def _time(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"
