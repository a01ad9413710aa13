"""The contract's arithmetic: every second of its month is up, claimed, excluded, not claimable or unknown. Never two.

Downtime is the shortest that the bounds allow (Verdict.min_us): what lies between the shortest and the longest is
unknown. Overlaps count once. What the customer's or the ISP's side may have touched, from the last good reading to the
next, is theirs before anything can be the provider's. Seconds are whole: claimed is rounded down, the others so that
the sum is the month.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from linewitness.model import Account, OutagePost, SegmentSpan, Side, State, Verdict
from linewitness.settle.calendar import SECOND_US, month_interval
from linewitness.settle.contract import Commitment, Contract, ExclusionRule
from linewitness.settle.intervals import Interval, intersect, length, subtract, union

UP, CLAIMED, UNKNOWN = "up", "claimed", "unknown"
HOUR_US = 3600 * SECOND_US


def account(
    contract: Contract,
    commitment: Commitment,
    site: str,
    month: str,
    verdicts: Sequence[Verdict],
    spans: Sequence[SegmentSpan],
    posts: Sequence[OutagePost],
    tickets_us: Sequence[int] = (),
) -> Account:
    """Return the account of a site for a month of the contract.

    verdicts and spans are the site's, spans those of the provider's segment; posts the provider's. tickets_us: when
    tickets were opened, for contracts that count downtime from there.
    """
    start_us, end_us = month_interval(month, contract.time_zone)
    whole = [(start_us, end_us)]
    classes = _classes(contract, whole, verdicts, spans, posts, tickets_us)
    seconds = _whole_seconds({name: length(parts) for name, parts in classes.items()}, (end_us - start_us) // SECOND_US)
    claimed = classes[CLAIMED]
    longest = union([*claimed, *(i for v in verdicts if v.claimable for i in [(v.start.earliest_us, v.end.latest_us)])])
    excluded = {n: s for n, s in seconds.items() if n.startswith("excluded ")}
    others = {n: s for n, s in seconds.items() if n.startswith("not claimable ")}
    total_s = (end_us - start_us) // SECOND_US
    downtime_s = min(total_s, sum(_rounded(contract.downtime.rounding, i) for i in union(claimed)))
    counted_s = total_s
    if contract.downtime.denominator == "month_without_excluded":
        counted_s -= sum(excluded.values())
    available = 1 - Fraction(downtime_s, counted_s) if counted_s else Fraction(1)
    return Account(
        site, contract.name, commitment.metric, month, contract.time_zone, start_us, end_us, total_s, seconds[UP],
        seconds[CLAIMED], -(-length(intersect(longest, whole)) // SECOND_US), downtime_s,
        tuple(sorted((n.removeprefix("excluded "), s) for n, s in excluded.items() if s)),
        tuple(sorted((n.removeprefix("not claimable "), s) for n, s in others.items() if s)),
        seconds[UNKNOWN], -int(-available * 1_000_000 // 1), commitment.target_ppm,
        available * 1_000_000 >= commitment.target_ppm, credit_percent_milli(contract, available),
    )  # fmt: skip


def credit_percent_milli(contract: Contract, available: Fraction) -> int:
    """Return the credit in thousandths of a percent of the contract's base for an availability of 0..1."""
    if contract.credit is None:
        return 0
    ppm = available * 1_000_000
    due = (b.percent_milli for b in contract.credit.bands if b.from_ppm <= ppm < b.below_ppm)
    return min(next(due, 0), contract.credit.cap_percent_milli)


def _classes(
    contract: Contract,
    whole: list[Interval],
    verdicts: Sequence[Verdict],
    spans: Sequence[SegmentSpan],
    posts: Sequence[OutagePost],
    tickets_us: Sequence[int],
) -> dict[str, list[Interval]]:
    """Return disjoint intervals that tile the month, by class; the first class that takes an instant keeps it."""
    left = whole
    result: dict[str, list[Interval]] = {}

    def take(name: str, intervals: Sequence[Interval]) -> None:
        nonlocal left
        taken = intersect(intervals, left)
        result[name] = union([*result.get(name, []), *taken])
        left = subtract(left, taken)

    for v in verdicts:
        if v.side not in (Side.PROVIDER, Side.CARRIER, Side.UNDETERMINED):
            take(f"not claimable {v.side}", [(v.start.earliest_us, v.end.latest_us)])
    unmeasured = union(
        (s.start.earliest_us, s.end.latest_us) for s in spans if s.state is State.UNMEASURED
    )  # fmt: skip
    measured = subtract(union((s.start.earliest_us, s.end.latest_us) for s in spans), unmeasured)
    take(UNKNOWN, subtract(left, measured))
    for rule in contract.exclusions:
        if rule.kind == "maintenance":
            cores = [_core(v) for v in verdicts if v.side is Side.PROVIDER]
            take(f"excluded {rule.clause}", intersect(cores, announced(rule, posts, whole)))
    result.setdefault(CLAIMED, [])
    for v in verdicts:
        if v.side is Side.PROVIDER:
            for name, part in _claims(contract, v, tickets_us):
                take(name, [part])
    for v in verdicts:
        if v.side in (Side.UNDETERMINED, Side.CARRIER):
            take(f"not claimable {v.side}", [(v.start.earliest_us, v.end.latest_us)])
    for v in verdicts:
        take(UNKNOWN, [(v.start.earliest_us, v.end.latest_us)])  # between the shortest and the longest
    take(UP, left)
    return result


def _core(v: Verdict) -> Interval:
    return (v.start.latest_us, max(v.start.latest_us, v.end.earliest_us))


def _claims(contract: Contract, v: Verdict, tickets_us: Sequence[int]) -> list[tuple[str, Interval]]:
    """Return what the contract lets claim of a provider's verdict, and under which rule it does not let the rest."""
    start_us, end_us = _core(v)
    least_us = contract.downtime.min_continuous_s * SECOND_US
    if not v.claimable:
        return [("not claimable provider, not confirmed from outside", (start_us, end_us))]
    if contract.downtime.starts_at in ("ticket", "notice"):
        opened_us = min((t for t in tickets_us if t < end_us), default=end_us)
        opened_us = max(start_us, opened_us)
        rule = f"not claimable before the {contract.downtime.starts_at}"
    else:
        opened_us, rule = start_us, ""
    before = [(rule, (start_us, opened_us))] if opened_us > start_us else []
    if end_us - opened_us < least_us:
        return [*before, (f"not claimable shorter than {contract.downtime.min_continuous_s} s", (opened_us, end_us))]
    return [*before, (CLAIMED, (opened_us, end_us))]


def announced(rule: ExclusionRule, posts: Sequence[OutagePost], whole: Sequence[Interval]) -> list[Interval]:
    """Return the maintenance windows that were announced in time, as announced, up to the month's allowance.

    What was run outside of the window is not excluded by it. A post made too late excludes nothing.
    """
    windows = []
    for post in posts:
        if not post.maintenance or post.scheduled_for_us is None or post.scheduled_until_us is None:
            continue
        notice_us = int((rule.notice_h or 0) * HOUR_US)
        if post.created_at_us is not None and post.created_at_us <= post.scheduled_for_us - notice_us:
            windows.append((post.scheduled_for_us, post.scheduled_until_us))
    result = intersect(windows, whole)
    if rule.max_h_month is None:
        return result
    allowance_us, kept = int(rule.max_h_month * HOUR_US), []
    for start_us, end_us in result:
        end_us = min(end_us, start_us + allowance_us)
        kept.append((start_us, end_us))
        allowance_us -= end_us - start_us
    return union(kept)


def _rounded(rounding: str, interval: Interval) -> int:
    """Return the whole seconds that the contract counts for one downtime."""
    us = interval[1] - interval[0]
    if rounding == "minute_down":
        return us // (60 * SECOND_US) * 60
    if rounding == "minute_up":
        return -(-us // (60 * SECOND_US)) * 60
    return us // SECOND_US


def _whole_seconds(us: dict[str, int], total_s: int) -> dict[str, int]:
    """Return whole seconds that sum up to the month: claimed rounded down, then the largest remainders up."""
    result = {name: value // SECOND_US for name, value in us.items()}
    missing = total_s - sum(result.values())
    order = sorted((n for n in us if n != CLAIMED), key=lambda n: (-(us[n] % SECOND_US), n))
    for name in order[:missing]:
        result[name] += 1
    result[UNKNOWN] += total_s - sum(result.values())
    return result
