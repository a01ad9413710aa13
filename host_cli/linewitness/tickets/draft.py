"""The text of a ticket to send now: what was measured, since when, whose side it is and why no other, what is asked.

Many contracts count downtime from the ticket, or pay nothing without one in time. The text says no more than the
verdict does: where the side is not determined it asks the provider to look, and accuses nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from linewitness.model import Citation, Side, Verdict
from linewitness.settle.contract import Contract, Priority
from linewitness.tickets.incidents import Incident

SIDES = {
    Side.CUSTOMER: "our own side",
    Side.ISP: "the access line (our ISP)",
    Side.TRANSIT: "the internet between",
    Side.PROVIDER: "your side",
    Side.CARRIER: "the carrier behind you",
    Side.UNDETERMINED: "not determined",
}
RECORDS = {"provider": "the provider", "third_party": "a third party", "either": "either side"}
READINGS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Draft:
    """subject and body are to be sent as they are; by_us: until when it counts under the contract, None: not said."""

    subject: str
    body: str
    provider: str
    sites: tuple[str, ...]
    by_us: int | None


def draft(incident: Incident, provider: str, contracts: Sequence[Contract], fleet_key: str, contact: str) -> Draft:
    """Return the text for an incident of a provider's sites; contracts are those with it that are in force."""
    lead = incident.lead
    state = "since" if incident.open else "on"
    what = "no calls" if lead.side in (Side.PROVIDER, Side.CARRIER) else "calls fail"
    subject = f"Fault: {what} at {', '.join(incident.sites)} {state} {_time(incident.start.latest_us)}"
    parts = [_measured(incident), _whose(lead), _excluded(lead), _asked(incident, contracts), *map(_terms, contracts)]
    parts.append(
        "Every reading was signed by the board that made it, at the time it was made; an evidence pack that you can "
        f"check without us follows on request. Our key's fingerprint (SHA-256): {fleet_key}."
    )
    if contact:
        parts.append(f"Contact: {contact}")
    hours = [c.claim.needs_ticket_within_h for c in contracts if c.claim and c.claim.needs_ticket_within_h is not None]
    by_us = incident.start.earliest_us + int(min(hours) * 3_600_000_000) if hours else None
    return Draft(subject, "\n\n".join(p for p in parts if p) + "\n", provider, incident.sites, by_us)


def _measured(incident: Incident) -> str:
    lines = [f"We report a fault of the telephone service at {', '.join(incident.sites)}. As measured (UTC):"]
    for v in incident.verdicts:
        began = f"{_time(v.start.earliest_us)} and {_time(v.start.latest_us, short=True)}"
        if incident.open and v.end.latest_us >= incident.end.latest_us:
            ended = f"not over at {_time(v.end.latest_us)}"
        else:
            ended = f"ended between {_time(v.end.earliest_us)} and {_time(v.end.latest_us, short=True)}"
        length = f"at least {_seconds(v.min_us)}"
        lines.append(f"- {v.site}: began between {began}, {ended}; {length}")
    return "\n".join(lines)


def _whose(v: Verdict) -> str:
    if v.side is Side.UNDETERMINED:
        could = ", ".join(SIDES[s] for s in v.candidates) or "any"
        lines = [f"Whose side it is can't be told from what we measured; it could be: {could}. We ask you to look."]
    else:
        lines = [f"By these readings the fault is on {SIDES[v.side]} ({v.segment}; {v.confidence} % sure):"]
    return "\n".join([*lines, *(f"- {r.text}{_cited(r.readings)}" for r in v.reasons)])


def _excluded(v: Verdict) -> str:
    lines = [f"- not {SIDES[e.side]}: {e.reason.text}{_cited(e.reason.readings)}" for e in v.excluded]
    if lines:
        lines.insert(0, "What excludes the other sides:")
    return "\n".join([*lines, *(f"Caveat: {caveat}." for caveat in v.caveats)])


def _cited(readings: Sequence[Citation]) -> str:
    shown = [
        f"{c.target} {c.answered} of {c.sent} answered ({c.witness} batches {c.first_seq}..{c.last_seq})"
        for c in readings[:READINGS_SHOWN]
    ]
    more = len(readings) - READINGS_SHOWN
    return "" if not shown else " [" + "; ".join(shown) + (f"; and {more} more" if more > 0 else "") + "]"


def _asked(incident: Incident, contracts: Sequence[Contract]) -> str:
    window = f"{_time(incident.start.earliest_us)} to {_time(incident.end.latest_us)} UTC"
    lines = [
        "We ask you for",
        "1. the number of this ticket and the time at which you received it;",
        "2. the restoration of the service, and word when it is done;" if incident.open else "2. the cause;",
        f"3. your own records for these sites from {window}: registrations, SIP responses, media statistics, and any "
        "maintenance or incident in that time.",
    ]
    for who in dict.fromkeys(c.measure_of_record for c in contracts if c.measure_of_record != "customer"):
        lines.append(f"   (Under the contract the records of {RECORDS[who]} count.)")
    return "\n".join(lines)


def _terms(contract: Contract) -> str:
    lines = []
    if contract.downtime.starts_at in ("ticket", "notice"):
        lines.append(f"- downtime counts from this {contract.downtime.starts_at} ({contract.downtime.clause})")
    if contract.priorities:
        lines.append(f"- {_priority(contract.priorities[0])}")
    claim = contract.claim
    if claim is not None:
        if claim.needs_ticket_within_h is not None:
            lines.append(f"- a ticket is due within {_hours(claim.needs_ticket_within_h)} h: this is it")
        if claim.fields:
            lines.append(f"- to be filled in by us: {', '.join(claim.fields)}")
    return f"Under contract {contract.name}:\n" + ";\n".join(lines) + "." if lines else ""


def _priority(p: Priority) -> str:
    clocks = [f"response {p.response_min} min"]
    clocks += [f"{n} {m} min" for n, m in (("update", p.update_min), ("restore", p.restore_min)) if m is not None]
    phone = "; it has to be reported by telephone as well" if p.phone_required else ""
    return f"priority {p.name}{f' ({p.definition})' if p.definition else ''}: {', '.join(clocks)}{phone}"


def _hours(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _time(us: int, *, short: bool = False) -> str:
    at = datetime.fromtimestamp(us // 1_000_000, UTC)
    return f"{at:%H:%M:%S}" if short else f"{at:%Y-%m-%d %H:%M:%S}"


def _seconds(us: int) -> str:
    seconds = us // 1_000_000
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min {seconds % 60:02d} s"
