"""Tickets in the ledger: one item for each thing that happened, appended, never edited.

An item of kind ticket is named PROVIDER, NUMBER with a tab between; its content is JSON:

    {"act": "opened", "at_us": ..., "text": "...", "sites": ["leeds"], "priority": "P1", "corrects": null}

act is a TicketAct; sites and priority belong to `opened`. corrects is the number (from 1, in the order of recording)
of an earlier event of the same ticket that this one stands for: both stay in the ledger, and in every dossier.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linewitness.errors import CannotDo, Refused, UsageProblem
from linewitness.model import Ticket, TicketAct, TicketEvent
from linewitness.plain import build, plain
from linewitness.settle.calendar import iso

if TYPE_CHECKING:
    from linewitness.ledger import Ledger

FUTURE_US = 300_000_000  # clocks on a desk differ; five minutes is no prophecy


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as recorded. corrects: the number of the event that it stands for, None for a new one."""

    act: TicketAct
    at_us: int
    text: str
    sites: tuple[str, ...]
    priority: str
    corrects: int | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry with its number (from 1) and when the ledger got it; replaced: an entry after it corrects it."""

    number: int
    entry: Entry
    recorded_us: int
    replaced: bool


def record(ledger: Ledger, provider: str, number: str, entry: Entry, now_us: int) -> Ticket:
    """Append an event and return the ticket. Raises UsageProblem, CannotDo for one that can't have happened."""
    check_number(number)
    check_entry(history(ledger, provider, number), number, entry, now_us)
    content = json.dumps(plain(entry), sort_keys=True, ensure_ascii=False).encode()
    ledger.add_item("ticket", f"{provider}\t{number}", content, now_us)
    return ticket(ledger, provider, number)


def check_number(number: str) -> None:
    """Return nothing; raise UsageProblem unless number can name a ticket."""
    if not number.strip() or not number.isprintable() or len(number) > 80:
        raise UsageProblem(f"no ticket number: {number!r}", "--number", "their reference, such as INC-1234")


def check_entry(known: list[Recorded], number: str, entry: Entry, now_us: int) -> None:
    """Return nothing; raise where entry can't follow what is known of the ticket."""
    if entry.at_us > now_us + FUTURE_US:
        raise UsageProblem(f"{iso(entry.at_us)[:19]}Z is in the future", "--at", "when it happened")
    if not known and entry.act is not TicketAct.OPENED:
        raise CannotDo(f"no ticket '{number}'", "ledger", "linewitness ticket open")
    if entry.corrects is not None:
        if not 1 <= entry.corrects <= len(known) or known[entry.corrects - 1].replaced:
            raise UsageProblem(f"no event {entry.corrects} that stands", f"ticket {number}", "linewitness ticket show")
        if known[entry.corrects - 1].entry.act is not entry.act:
            was = known[entry.corrects - 1].entry.act
            raise UsageProblem(f"event {entry.corrects} is '{was}', not '{entry.act}'", f"ticket {number}", "that verb")
        return
    if known and entry.act is TicketAct.OPENED:
        hint = "ticket reopen, or ticket open --corrects 1"
        raise CannotDo(f"ticket '{number}' is there already", "ledger", hint)
    if known:
        opened_us = next(r.entry.at_us for r in known if r.entry.act is TicketAct.OPENED and not r.replaced)
        if entry.at_us < opened_us:
            raise UsageProblem(f"before the ticket was opened ({iso(opened_us)[:19]}Z)", "--at", "a later time")


def history(ledger: Ledger, provider: str, number: str) -> list[Recorded]:
    """Return all that was recorded of a ticket, corrected entries too, in the order of recording."""
    return _marked(list(_items(ledger, f"{provider}\t{number}")))


def ticket(ledger: Ledger, provider: str, number: str) -> Ticket:
    """Return one ticket as it stands. Raises CannotDo for one that is not there."""
    known = history(ledger, provider, number)
    if not known:
        raise CannotDo(f"no ticket '{number}' with {provider}", "ledger", "linewitness ticket list")
    return _folded(provider, number, known)


def tickets(ledger: Ledger, providers: Iterable[str] | None = None) -> list[Ticket]:
    """Return all tickets as they stand, by the time of their opening."""
    wanted = None if providers is None else set(providers)
    found: dict[str, list[tuple[Entry, int]]] = {}
    for item in ledger.items("ticket"):
        found.setdefault(item.name, []).append((_decode(item.content, item.row), item.recorded_us))
    result = []
    for name, entries in found.items():
        provider, _, number = name.partition("\t")
        if wanted is None or provider in wanted:
            result.append(_folded(provider, number, _marked(entries)))
    return sorted(result, key=lambda t: (t.opened_us, t.provider, t.number))


def find(ledger: Ledger, number: str, provider: str | None = None) -> Ticket:
    """Return the ticket with a number, of the provider where two have the same. Raises CannotDo, UsageProblem."""
    found = [t for t in tickets(ledger) if t.number == number and provider in (None, t.provider)]
    if not found:
        raise CannotDo(f"no ticket '{number}'", "ledger", "linewitness ticket list")
    if len(found) > 1:
        who = ", ".join(t.provider for t in found)
        raise UsageProblem(f"ticket '{number}' is of more than one: {who}", "--provider", found[0].provider)
    return found[0]


def _items(ledger: Ledger, name: str) -> Iterable[tuple[Entry, int]]:
    for item in ledger.items("ticket", name=name):
        yield _decode(item.content, item.row), item.recorded_us


def _decode(content: bytes, row: int) -> Entry:
    try:
        return build(Entry, json.loads(content))
    except ValueError as e:
        raise Refused(
            f"a ticket that can't be read: {e}", f"ledger: item {row}", "the linewitness that wrote it"
        ) from e


def _marked(entries: list[tuple[Entry, int]]) -> list[Recorded]:
    corrected = {entry.corrects for entry, _ in entries}
    return [Recorded(n, entry, us, n in corrected) for n, (entry, us) in enumerate(entries, 1)]


def _folded(provider: str, number: str, known: list[Recorded]) -> Ticket:
    standing = [r for r in known if not r.replaced]
    opening = next(r.entry for r in standing if r.entry.act is TicketAct.OPENED)
    events = [TicketEvent(r.entry.at_us, r.entry.act, r.entry.text, r.recorded_us) for r in standing]
    events.sort(key=lambda e: (e.act is not TicketAct.OPENED, e.at_us, e.recorded_us))
    return Ticket(provider, number, opening.sites, opening.priority, tuple(events))
