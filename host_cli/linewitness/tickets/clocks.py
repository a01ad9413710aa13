"""The priority that a ticket was opened under; its clocks are settle's, so that what is shown is what is reckoned."""

from __future__ import annotations

from collections.abc import Sequence

from linewitness.model import Ticket
from linewitness.settle.clocks import Clock, clocks
from linewitness.settle.contract import Contract, Priority

__all__ = ["Clock", "clocks", "priority_of"]


def priority_of(ticket: Ticket, contracts: Sequence[Contract]) -> Priority | None:
    """Return the contract's priority that a ticket was opened under, None where there is none of its name."""
    for contract in contracts:
        if contract.provider == ticket.provider:
            for priority in contract.priorities:
                if priority.name == ticket.priority:
                    return priority
    return None
