"""The clocks of a ticket: by when the contract's priority wants an answer, an update and the service restored.

A clock counts the priority's hours (round the clock, or business hours of the contract's zone) from the opening, or
from the last reopening; the update clock from the last word that they gave. It stops at what it waits for. A clock
that ran out before it was stopped is missed for good; one that runs says when it will run out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from linewitness.model import Ticket, TicketAct
from linewitness.settle.contract import Contract, Priority

MINUTE_US = 60_000_000
STOPS = {
    "response": (TicketAct.ANSWERED, TicketAct.UPDATED, TicketAct.RESTORED),
    "update": (TicketAct.RESTORED, TicketAct.CLOSED),
    "restore": (TicketAct.RESTORED,),
}
WORDS = (TicketAct.ANSWERED, TicketAct.UPDATED)  # what winds the update clock up again


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock: name (response, update, restore), whence it counts, when it runs out, when it was stopped (None: it
    runs), what the contract says in minutes. missed: it ran out before it was stopped, or has by now."""

    name: str
    start_us: int
    due_us: int
    stopped_us: int | None
    minutes: int
    missed: bool

    @property
    def running(self) -> bool:
        return self.stopped_us is None


def priority_of(ticket: Ticket, contracts: Sequence[Contract]) -> Priority | None:
    """Return the contract's priority that a ticket was opened under, None where there is none of its name."""
    for contract in contracts:
        if contract.provider == ticket.provider:
            for priority in contract.priorities:
                if priority.name == ticket.priority:
                    return priority
    return None


def clocks(ticket: Ticket, priority: Priority, now_us: int) -> list[Clock]:
    """Return the clocks of a ticket as they stand at now_us: response, each update, restore, as far as promised."""
    start_us = max(e.at_us for e in ticket.events if e.act in (TicketAct.OPENED, TicketAct.REOPENED))
    later = [e for e in ticket.events if e.at_us >= start_us]
    found = [_clock("response", start_us, priority.response_min, ticket, priority, now_us)]
    if priority.update_min is not None:
        words_us = [start_us, *(e.at_us for e in later if e.act in WORDS)]
        end_us = min((e.at_us for e in later if e.act in STOPS["update"]), default=None)
        words_us = [us for us in words_us if end_us is None or us <= end_us]
        for i, from_us in enumerate(words_us):
            stopped_us = words_us[i + 1] if i + 1 < len(words_us) else end_us
            found.append(_made("update", from_us, priority.update_min, stopped_us, priority, now_us))
    if priority.restore_min is not None:
        found.append(_clock("restore", start_us, priority.restore_min, ticket, priority, now_us))
    return found


def _clock(name: str, start_us: int, minutes: int, ticket: Ticket, priority: Priority, now_us: int) -> Clock:
    stops = (e.at_us for e in ticket.events if e.act in STOPS[name] and e.at_us >= start_us)
    closed = (e.at_us for e in ticket.events if e.act is TicketAct.CLOSED and e.at_us >= start_us)
    return _made(name, start_us, minutes, min(stops, default=min(closed, default=None)), priority, now_us)


def _made(name: str, start_us: int, minutes: int, stopped_us: int | None, priority: Priority, now_us: int) -> Clock:
    due_us = start_us + minutes * MINUTE_US
    if priority.hours is not None:
        due_us = priority.hours.after(start_us, minutes * MINUTE_US)
    return Clock(name, start_us, due_us, stopped_us, minutes, (now_us if stopped_us is None else stopped_us) > due_us)
