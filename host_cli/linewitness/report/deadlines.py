"""By when a claim has to be made: the contract's claim rule applied to one of its months.

Days are those of the contract's zone; a claim is in time before the midnight that ends the last of them. Business days
are Monday to Friday but for the holidays that the contract lists: one that it does not list would only make it later.
Billing cycles begin on the contract's billing day; where that is not told, such a rule has no instant.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from linewitness.model import Account, Settlement, Tally
from linewitness.report.facts import Deadline
from linewitness.report.times import EPOCH
from linewitness.settle.contract import Claim, Contract

UNITS = {"day": "days", "business_day": "business days", "month_end": "month-ends", "billing_cycle": "billing cycles"}
BASES = {
    "incident": "the first claimed failure’s start",
    "month_end": "the last day of the month",
    "resolution": "the first claimed failure’s end",
}


def deadlines(settlement: Settlement, contracts: Sequence[Contract]) -> tuple[Deadline, ...]:
    """Return the deadline of each month with something to claim, under each contract that has a claim rule.

    That is an availability that was missed, or another promise whose credit is due. Seconds of downtime that the
    promise allows are nothing to claim, nor is a miss that is only possible.
    """
    found: dict[tuple[str, str], Deadline] = {}
    by_name = {c.name: c for c in contracts if c.claim is not None}
    owed: list[Account | Tally] = [a for a in settlement.accounts if not a.met]
    owed += [t for t in settlement.tallies if t.credit_percent_milli]
    for account in owed:
        key = (account.contract, account.month)
        if account.contract in by_name and key not in found:
            found[key] = _deadline(by_name[account.contract], account, settlement)
    return tuple(found.values())


def _deadline(contract: Contract, account: Account | Tally, settlement: Settlement) -> Deadline:
    rule = contract.claim
    assert rule is not None  # by whom it is called
    basis = f"{rule.deadline} {UNITS[rule.unit]} from {BASES[rule.basis]}"
    first = _first_day(rule, account, settlement)
    last = None if first is None else _last_day(first, rule, contract)
    if last is None:
        return Deadline(account.contract, account.month, None, basis)
    midnight = datetime.datetime.combine(
        last + datetime.timedelta(days=1), datetime.time(), ZoneInfo(account.time_zone)
    )
    return Deadline(account.contract, account.month, (midnight - EPOCH) // datetime.timedelta(microseconds=1), basis)


def _first_day(rule: Claim, account: Account | Tally, settlement: Settlement) -> datetime.date | None:
    """The day that the rule counts from."""
    zone = ZoneInfo(account.time_zone)
    if rule.basis == "month_end":
        return (_local(account.end_us, zone) - datetime.timedelta(days=1)).date()
    breaches = [b for b in settlement.breaches if account.start_us <= b.start.earliest_us < account.end_us]
    claimed = [b for b in breaches if settlement.verdicts[b.verdict].claimable]
    if not claimed:
        return None
    instants = [b.start.earliest_us if rule.basis == "incident" else b.end.earliest_us for b in claimed]
    return _local(min(instants), zone).date()


def _local(us: int, zone: ZoneInfo) -> datetime.datetime:
    return (EPOCH + datetime.timedelta(microseconds=us)).astimezone(zone)


def _last_day(first: datetime.date, rule: Claim, contract: Contract) -> datetime.date | None:
    """Return the last day on which a claim is in time, None where it can't be known."""
    if rule.unit == "billing_cycle":  # the end of the deadline-th cycle after the one counted from
        if contract.billing_day is None:
            return None
        months = first.year * 12 + first.month - 1 + rule.deadline + (first.day >= contract.billing_day)
        return datetime.date(months // 12, months % 12 + 1, contract.billing_day) - datetime.timedelta(days=1)
    if rule.unit == "day":
        return first + datetime.timedelta(days=rule.deadline)
    if rule.unit == "month_end":  # the end of the deadline-th month after the one counted from
        months = first.year * 12 + first.month + rule.deadline  # of the month after the one wanted, from 0
        return datetime.date(months // 12, months % 12 + 1, 1) - datetime.timedelta(days=1)
    day, left = first, rule.deadline
    while left:
        day += datetime.timedelta(days=1)
        left -= day.weekday() < 5 and day not in contract.holidays
    return day
