"""Clocks that run from an event: support's response, updates and restore from a ticket, a failover from a failure.

A ticket's clocks run within the hours of its priority. The first word of a person answers; an update is due again and
again until service is restored. A ticket that is opened again begins them anew: the provider could not know before. A
clock that still runs is late once its time is up, and before that says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from linewitness.model import OutagePost, Side, Tally, Ticket, TicketAct
from linewitness.settle.account import SiteEvidence, countable
from linewitness.settle.calendar import SECOND_US, ServiceHours, months_in, window_interval
from linewitness.settle.contract import Commitment, Contract, Priority
from linewitness.settle.credit import Achieved, credit_percent_milli
from linewitness.settle.intervals import Interval, core, hull, intersect, union

MINUTE_US = 60 * SECOND_US
SPOKEN = (TicketAct.ANSWERED, TicketAct.UPDATED, TicketAct.RESTORED)
ENDED = (TicketAct.RESTORED, TicketAct.CLOSED)


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock of a ticket. name: response, update or restore; due_us: when its minutes run out.

    stopped_us: None while it runs. elapsed_us counts the priority's hours only, up to now while it runs.
    """

    name: str
    start_us: int
    due_us: int
    stopped_us: int | None
    minutes: int
    elapsed_us: int

    @property
    def late_us(self) -> int:
        """What is beyond its minutes, in the priority's hours."""
        return max(0, self.elapsed_us - self.minutes * MINUTE_US)

    @property
    def missed(self) -> bool:
        """It ran out before it was stopped, or has by now."""
        return self.late_us > 0

    @property
    def running(self) -> bool:
        return self.stopped_us is None


def clocks(ticket: Ticket, priority: Priority, now_us: int) -> list[Clock]:
    """Return a ticket's clocks as they stand at now_us: response, each update, restore. Later events are unseen.

    Where it was opened again they begin anew; those of the time before stay as they ended.
    """
    events = [e for e in ticket.events if e.at_us <= now_us]
    starts = [i for i, e in enumerate(events) if e.act in (TicketAct.OPENED, TicketAct.REOPENED)]
    result = list[Clock]()
    for i, end in pairwise([*starts, len(events)]):
        start_us, later = events[i].at_us, events[i:end]
        spoken = [e.at_us for e in later if e.act in SPOKEN]
        ended_us = next((e.at_us for e in later if e.act in ENDED), None)
        spans = [("response", priority.response_min, start_us, min(spoken, default=ended_us))]
        if priority.update_min is not None:
            words = [start_us, *(us for us in spoken if ended_us is None or us < ended_us)]
            spans += [("update", priority.update_min, a, b) for a, b in pairwise([*words, ended_us]) if a is not None]
        if priority.restore_min is not None:
            spans.append(("restore", priority.restore_min, start_us, ended_us))
        result += [_clock(*span, priority.hours, now_us) for span in spans]
    return result


def _clock(
    name: str, minutes: int, start_us: int, stopped_us: int | None, hours: ServiceHours | None, now_us: int
) -> Clock:
    due_us = start_us + minutes * MINUTE_US if hours is None else hours.after(start_us, minutes * MINUTE_US)
    elapsed_us = _elapsed(hours, start_us, now_us if stopped_us is None else stopped_us)
    return Clock(name, start_us, due_us, stopped_us, minutes, elapsed_us)


def _elapsed(hours: ServiceHours | None, start_us: int, end_us: int) -> int:
    return max(0, end_us - start_us) if hours is None else hours.counted_us(start_us, end_us)


def tally_tickets(
    contract: Contract, commitment: Commitment, site: str, tickets: Sequence[Ticket], window: str, now_us: int
) -> Tally:
    """Return the tally of a response, update or restore commitment over the tickets opened in a window.

    site "*": all tickets; else those that are about the site. now_us: what happens later is not known yet.
    """
    whole = window_interval(window, contract.time_zone)
    priority = next(p for p in contract.priorities if p.name == commitment.priority)
    found = [
        clock
        for ticket in sorted(tickets, key=lambda t: (t.opened_us, t.number))
        if whole[0] <= ticket.opened_us < whole[1] and ticket.priority == priority.name
        if site == "*" or ticket.concerns(site)
        for clock in clocks(ticket, priority, now_us)
        if clock.name == commitment.metric and (not clock.running or clock.late_us)
    ]
    late = [c.late_us for c in found if c.late_us]
    longest = max((c.elapsed_us for c in found), default=None)
    within = 1_000_000 if commitment.within_ppm is None else commitment.within_ppm
    met = not found or Fraction((len(found) - len(late)) * 1_000_000, len(found)) >= within
    limit_min = {"response": priority.response_min, "update": priority.update_min, "restore": priority.restore_min}
    limit_us = (limit_min[commitment.metric] or 0) * MINUTE_US
    return _tally(contract, commitment, site, window, whole, limit_us, longest, longest, len(found), late, met, False)


def tally_failovers(
    contract: Contract, commitment: Commitment, site: str, sites: Sequence[SiteEvidence], window: str,
    posts: Sequence[OutagePost],
) -> Tally:  # fmt: skip
    """Return the tally of a failover commitment: each interruption that may count, and how long it lasted.

    An interruption is the provider's failure (to a backup), or its carrier's (to an alternate carrier): had the other
    path taken over in time, it would have ended.
    """
    whole = window_interval(window, contract.time_zone)
    limit_us = (commitment.within_s or 0) * SECOND_US
    to_carrier = commitment.to == "alternate_carrier"
    shortest, longest = list[Interval](), list[Interval]()
    for evidence in sites:
        found = [
            v for v in evidence.verdicts
            if (v.side is Side.CARRIER if to_carrier else v.side is Side.PROVIDER and v.claimable)
        ]  # fmt: skip
        may = countable(contract, commitment, evidence, whole, posts)
        most = countable(contract, commitment, evidence, whole, posts, shortest=True)
        shortest += intersect(union(core(v) for v in found), may)
        longest += intersect(union(hull(v) for v in found), most)
    late = [end - start - limit_us for start, end in shortest if end - start > limit_us]
    achieved = max((end - start for start, end in shortest), default=None)
    worst = max((end - start for start, end in longest), default=None)
    possible = not late and worst is not None and worst > limit_us
    return _tally(
        contract, commitment, site, window, whole, limit_us, achieved, worst, len(shortest), late, not late, possible
    )


def _tally(
    contract: Contract, commitment: Commitment, site: str, window: str, whole: Interval, limit_us: int,
    achieved_us: int | None, worst_us: int | None, judged: int, late_us: Sequence[int], met: bool, possible: bool,
) -> Tally:  # fmt: skip
    result = Achieved(
        Fraction(achieved_us or 0), Fraction(limit_us), met, len(late_us), 0, 0, months_in(window),
        (whole[1] - whole[0]) // SECOND_US, tuple(late_us),
    )  # fmt: skip
    return Tally(
        site, contract.name, commitment.name, commitment.metric, window, contract.time_zone, *whole, "us", limit_us,
        achieved_us, worst_us, judged, len(late_us), (), (), met, possible,
        credit_percent_milli(contract, commitment, result),
    )  # fmt: skip
