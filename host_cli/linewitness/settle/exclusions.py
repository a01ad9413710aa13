"""What the contract excludes by a clause: maintenance announced in time, and periods that both sides agree on.

A maintenance window counts as it was announced: what was run outside of it is not excluded by it, and a post made too
late excludes nothing. Of a month's allowance (max_h_month) the first windows are taken.
"""

from __future__ import annotations

from collections.abc import Sequence

from linewitness.model import OutagePost
from linewitness.settle.calendar import SECOND_US, month_interval, months_between
from linewitness.settle.contract import Contract, ExclusionRule
from linewitness.settle.intervals import Interval, intersect, union

HOUR_US = 3600 * SECOND_US
MINUTE_US = 60 * SECOND_US


def excluded(contract: Contract, posts: Sequence[OutagePost], span: Interval) -> dict[str, list[Interval]]:
    """Return what each clause excludes of [start_us, end_us), in the contract's order. posts: the provider's newest.

    A month's allowance is that of the whole month, also where the span begins or ends within it.
    """
    result: dict[str, list[Interval]] = {}
    months = [month_interval(m, contract.time_zone) for m in months_between(*span, contract.time_zone)]
    for rule in contract.exclusions:
        found = list(rule.during)
        if rule.kind in ("maintenance", "emergency_maintenance"):
            found += [part for month in months for part in announced(rule, posts, month)]
        if kept := intersect(found, [span]):
            result[rule.clause] = union([*result.get(rule.clause, []), *kept])
    return result


def announced(rule: ExclusionRule, posts: Sequence[OutagePost], month: Interval) -> list[Interval]:
    """Return the maintenance windows in a month that a rule excludes, as announced, up to the month's allowance."""
    windows: list[Interval] = []
    for post in posts:
        start_us, until_us = post.scheduled_for_us, post.scheduled_until_us
        if not post.maintenance or start_us is None or until_us is None or post.created_at_us is None:
            continue
        in_time = post.created_at_us <= start_us - int((rule.notice_h or 0) * HOUR_US)
        short = rule.max_min_each is None or until_us - start_us <= int(rule.max_min_each * MINUTE_US)
        if in_time and short:
            windows.append((start_us, until_us))
    result = intersect(windows, [month])
    if rule.hours is not None:
        result = intersect(result, rule.hours.intervals(*month))
    return result if rule.max_h_month is None else _first(result, int(rule.max_h_month * HOUR_US))


def _first(intervals: Sequence[Interval], allowance_us: int) -> list[Interval]:
    kept = []
    for start_us, end_us in intervals:
        end_us = min(end_us, start_us + allowance_us)
        kept.append((start_us, end_us))
        allowance_us -= end_us - start_us
    return union(kept)
