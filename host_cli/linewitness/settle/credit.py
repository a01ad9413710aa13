"""What a missed promise pays: every kind of schedule, as an exact share of the contract's base, under its caps.

All kinds are reckoned from what was achieved by the shortest bounds, so a credit is the least that is owed. A promise
that was kept pays nothing, whatever its bands say.

  bands          the band in which the achieved value lies
  flat           once
  per_step       for each step of the shortfall (or of downtime, of lateness); a begun step only where the paper says so
  per_failure    for each failed interval, ticket, failover or downtime
  pro_rata       so many times the share of the month that was down
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from linewitness.model import Account, Due, Tally
from linewitness.settle.contract import Commitment, Contract, Credit, Pay

MINUTE_S = 60
DAY_S = 86_400
WHOLE_MILLI = 100_000  # thousandths of a percent in the whole


@dataclass(frozen=True, slots=True)
class Achieved:
    """How a commitment did in a window of so many months and seconds.

    value and target in the commitment's own unit (ppm, milli-MOS, us). failures: how many; late_us: of each late clock.
    downtime_s of counted_s: of availability.
    """

    value: Fraction
    target: Fraction
    met: bool
    failures: int
    downtime_s: int
    counted_s: int
    months: int
    total_s: int
    late_us: Sequence[int] = ()


def credit_percent_milli(contract: Contract, commitment: Commitment, achieved: Achieved) -> int:
    """Return the credit in thousandths of a percent of the base, its own cap applied, rounded down."""
    return sum(due_milli(c, commitment, achieved) for c in contract.credits if c.commitment == commitment.name)


def due_milli(credit: Credit, commitment: Commitment, achieved: Achieved) -> int:
    """Return what one credit pays, in thousandths of a percent of its base."""
    if achieved.met:
        return 0
    due = _KINDS[credit.kind](credit, commitment, achieved)
    return min(int(due * WHOLE_MILLI), credit.cap_percent_milli)


def _bands(credit: Credit, commitment: Commitment, achieved: Achieved) -> Fraction:
    values = [Fraction(us) for us in achieved.late_us] if achieved.late_us else [_measure(credit, achieved)]
    due = Fraction(0)
    for value in values:
        for band in credit.bands:
            if band.lower <= value and (band.upper is None or value < band.upper):
                due += _pay(band.pay, achieved)
                break
    return due


def _flat(credit: Credit, commitment: Commitment, achieved: Achieved) -> Fraction:
    return _pay(credit.pay, achieved)


def _per_step(credit: Credit, commitment: Commitment, achieved: Achieved) -> Fraction:
    if achieved.late_us:
        beyond = [Fraction(us) for us in achieved.late_us]
    elif commitment.metric == "availability" and credit.unit == "min":
        allowed_us = (1_000_000 - achieved.target) * achieved.counted_s if credit.beyond_target else Fraction(0)
        beyond = [Fraction(achieved.downtime_s * 1_000_000) - allowed_us]
    else:
        beyond = [abs(achieved.value - achieved.target)]
    steps = 0
    for value in beyond:
        whole, rest = divmod(value, credit.step)
        steps += int(whole) + (1 if credit.begun and rest else 0)
    return steps * _pay(credit.pay, achieved)


def _per_failure(credit: Credit, commitment: Commitment, achieved: Achieved) -> Fraction:
    return achieved.failures * _pay(credit.pay, achieved)


def _pro_rata(credit: Credit, commitment: Commitment, achieved: Achieved) -> Fraction:
    """The base is a month's charge: in a longer window a second of downtime is the same share of a month."""
    share = Fraction(achieved.downtime_s * achieved.months, achieved.total_s)
    return Fraction(credit.multiple_micro, 1_000_000) * share


_KINDS = {
    "bands": _bands, "flat": _flat, "per_step": _per_step, "per_failure": _per_failure, "pro_rata": _pro_rata,
}  # fmt: skip


def _measure(credit: Credit, achieved: Achieved) -> Fraction:
    """Return what the bands' edges are compared with: the achieved value, or minutes of downtime in microseconds."""
    return Fraction(achieved.downtime_s * 1_000_000) if credit.unit == "min" else achieved.value


def _pay(pay: Pay, achieved: Achieved) -> Fraction:
    """Return a share of the base, which is a month's charge. A day is one of the window's days."""
    day = Fraction(achieved.months * DAY_S, achieved.total_s)
    return Fraction(pay.percent_milli, WHOLE_MILLI) + Fraction(pay.days_milli, 1000) * day


# --- what is due in all ---------------------------------------------------------------------------------------------


def dues(contract: Contract, accounts: Sequence[Account], tallies: Sequence[Tally]) -> list[Due]:
    """Return what is owed for each site and window, by base, under the contract's cap over all credits.

    The accounts and tallies are the contract's. amount_minor is rounded down, None where no charge is known.
    """
    rows: dict[tuple[str, str, str], list[tuple[str, int]]] = {}
    for done in list[Account | Tally]([*accounts, *tallies]):
        for credit in contract.credits:
            if credit.commitment == done.commitment and done.credit_percent_milli:
                rows.setdefault((done.site, done.month, credit.base), []).append(
                    (done.commitment, done.credit_percent_milli)
                )
                break
    result = []
    for (site, window, base), parts in sorted(rows.items()):
        milli = [m for _, m in parts]
        owed = max(milli) if contract.cap is not None and contract.cap.combine == "highest" else sum(milli)
        capped = owed if contract.cap is None else min(owed, contract.cap.percent_milli)
        charge = charge_minor(contract, base, site)
        amount = None if charge is None else charge * capped // WHOLE_MILLI
        result.append(Due(site, contract.name, window, base, tuple(sorted(parts)), capped, contract.currency, amount))
    return result


def charge_minor(contract: Contract, base: str, site: str) -> int | None:
    """Return a month's charge in hundredths of the currency: the site's own, else that of each site; None: not told.

    Of an account (site "*") it is the sum of what is charged by site, else what is charged without one.
    """
    charges = [c for c in contract.charges if c.base == base]
    own = [c for c in charges if c.site == site] or [c for c in charges if not c.site]
    if site == "*":
        own = [c for c in charges if c.site] or own
    return sum(c.amount_minor * (c.users if base == "user" else 1) for c in own) if own else None
