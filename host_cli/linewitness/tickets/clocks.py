"""The priority that a ticket was opened under; its clocks are settle's, so that what is shown is what is reckoned."""

from __future__ import annotations

from collections.abc import Sequence

from linewitness.model import Ticket
from linewitness.settle import account
from linewitness.settle.clocks import Clock, clocks
from linewitness.settle.contract import Contract, Priority

__all__ = ["Clock", "clocks", "in_force", "priority_of"]


def in_force(contract: Contract, at_us: int) -> bool:
    """Return whether a contract covers an instant (UTC microseconds): from its first day to before its last."""
    return any(start_us <= at_us < end_us for start_us, end_us in account.in_force(contract))


def priority_of(ticket: Ticket, contracts: Sequence[Contract]) -> Priority | None:
    """Return the priority that a ticket was opened under, by a contract then in force; None where none has its name."""
    for contract in contracts:
        if contract.provider == ticket.provider and in_force(contract, ticket.opened_us):
            for priority in contract.priorities:
                if priority.name == ticket.priority:
                    return priority
    return None
