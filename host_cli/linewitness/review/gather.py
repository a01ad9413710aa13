"""A term out of a fleet folder: one settlement a month, each forgotten once it has come down to its figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from linewitness.errors import Incomplete
from linewitness.review.figures import MonthFigures, Term, month_figures, term
from linewitness.settle.calendar import month_interval, months_between
from linewitness.settle.contract import Contract
from linewitness.settle.intervals import Interval
from linewitness.settling import settle_fleet
from linewitness.tickets import claims, events

if TYPE_CHECKING:
    from linewitness.fleet import Fleet


def review_term(
    fleet: Fleet, contract: Contract, period: Interval, progress: Callable[[str], None] = lambda month: None
) -> Term:
    """Return how [start_us, end_us) went under a contract. Raises Incomplete where nothing at all was measured.

    A month that the ledger has nothing of is in the term with nothing measured.
    """
    sites = [s.name for s in fleet.sites() if s.provider == contract.provider]
    figures: list[MonthFigures] = []
    for month in months_between(*period, contract.time_zone):
        progress(month)
        start_us, end_us = month_interval(month, contract.time_zone)
        try:
            settlement = settle_fleet(fleet, start_us, end_us)
        except Incomplete:
            figures.append(MonthFigures(month, start_us, end_us, 0, 0, (), (), (), (), ()))
            continue
        figures.append(month_figures(settlement, contract, month, sites))
    if not any(m.measured_s for m in figures):
        raise Incomplete("nothing was measured in this term", contract.name, "a --term that the ledger has readings of")
    with fleet.ledger() as book:
        return term(contract, figures, events.tickets(book, [contract.provider]), claims.claims(book), period)
