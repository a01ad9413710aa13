"""What makes no sense in a contract whose shape is right: clocks that can't be kept, names that lead nowhere, dates.

Yields (key, text, warning). What can't be reckoned with is refused; what a signed paper may well say, though the reader
should know what follows from it, is a warning. Credits have a module of their own (contract_credits).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from linewitness.settle.contract_credits import credits_sense
from linewitness.settle.contract_tables import CLOCKS, LIMITS, QUALITY

Problem = tuple[str, str, bool]
FILL_IN = "fill-in"
MONTH_S = 30 * 86_400
MONTHS = {"month": 1, "two_months": 2, "quarter": 3, "year": 12}
CLOCK_OF = {"response": "response_min", "update": "update_min", "restore": "restore_min"}


def sense(data: dict[str, Any]) -> Iterator[Problem]:
    """Yield all that is wrong with the values of a contract that has the right shape."""
    yield from _contract(data["contract"])
    yield from _business(data)
    promises = list(_commitments(data))
    yield from promises
    if all(warning for _, _, warning in promises):  # credits lean on what they promise
        yield from credits_sense(data)
    yield from _downtime(data)
    yield from _exclusions(data.get("exclusion", []))
    yield from _charges(data)
    yield from _claim(data)
    yield from _priorities(data.get("priority", []))
    yield from _chronic(data)
    yield from _source(data)
    yield from _percents(data, "")
    yield from _left(data, "")


def name_of(commitment: dict[str, Any]) -> str:
    """Return what a commitment is called."""
    return str(commitment.get("name", commitment["metric"]))


def _contract(contract: dict[str, Any]) -> Iterator[Problem]:
    try:
        ZoneInfo(contract["time_zone"])
    except (OSError, ValueError, KeyError):
        text = f"no IANA time zone: {contract['time_zone']!r}, try Europe/London"
        yield "contract.time_zone", text, False
    until = contract.get("effective_until")
    if until is not None and until <= contract["effective_from"]:
        yield "contract.effective_until", "is not after effective_from", False


def _business(data: dict[str, Any]) -> Iterator[Problem]:
    hours = data.get("business_hours")
    if hours is not None and hours["opens"] == hours["closes"]:
        yield "business_hours.closes", f"opens and closes at {hours['opens']}: no time at all", False
    if hours is not None and hours["opens"] == "24:00":
        yield "business_hours.opens", "the day begins at 00:00", False
    for table in ("commitment", "priority"):
        for i, entry in enumerate(data.get(table, [])):
            if entry.get("hours") == "business" and hours is None:
                yield f"{table}[{i}].hours", "business hours are not told: [business_hours] is missing", False


def _commitments(data: dict[str, Any]) -> Iterator[Problem]:
    seen: set[str] = set()
    priorities = {p["name"]: p for p in data.get("priority", [])}
    for i, c in enumerate(data["commitment"]):
        where = f"commitment[{i}]"
        if name_of(c) in seen:
            yield f"{where}.name", f"two commitments are called '{name_of(c)}': give each a name", False
        seen.add(name_of(c))
        if c["metric"] in QUALITY:
            yield from _quality(c, where)
        if c["metric"] in CLOCKS:
            priority = priorities.get(c["priority"])
            if priority is None:
                known = ", ".join(priorities) or "none"
                yield f"{where}.priority", f"no priority '{c['priority']}'; there are {known}", False
            elif CLOCK_OF[c["metric"]] not in priority:
                text = f"priority '{c['priority']}' has no {CLOCK_OF[c['metric']]}: there is no clock to keep"
                yield f"{where}.priority", text, False


def _quality(c: dict[str, Any], where: str) -> Iterator[Problem]:
    share = c["statistic"] == "share"
    if c["metric"] == "call_quality" and not share:
        yield f"{where}.statistic", "call_quality is a share: several limits have no common mean", False
    if not any(limit in c for limit in LIMITS.values()):
        yield f"{where}.metric", f"no limit: one of {', '.join(LIMITS.values())} at least", False
    for key in ("max_share_percent", "interval_s"):
        if key in c and not share:
            yield f"{where}.{key}", 'belongs to statistic "share", not "mean"', False
    if share and "max_share_percent" not in c:
        yield f"{where}.max_share_percent", "is missing: how many may be beyond the limit", False


def _downtime(data: dict[str, Any]) -> Iterator[Problem]:
    least_s = data["downtime"]["min_continuous_s"]
    for i, c in enumerate(data["commitment"]):
        if c["metric"] == "availability":
            allowed_s = (100 - c["target_percent"]) * MONTH_S * MONTHS[c["window"]] / 100
            if least_s > allowed_s:
                text = (
                    f"a failure shorter than {least_s} s never counts, though commitment[{i}] allows only"
                    f" {float(allowed_s):g} s in a {c['window'].replace('_', ' ')}"
                )
                yield "downtime.min_continuous_s", text, True
        if c["metric"] == "failover" and c["within_s"] < least_s:
            text = f"shorter than downtime.min_continuous_s {least_s}: between them a failover is late and no downtime"
            yield f"commitment[{i}].within_s", text, True
    accounts = [c for c in data["commitment"] if c.get("scope") in ("account", "service")]
    if "affects" in data["downtime"] and not accounts:
        yield "downtime.affects", "no commitment has the scope account or service: it says nothing", True


def _exclusions(exclusions: list[dict[str, Any]]) -> Iterator[Problem]:
    for i, e in enumerate(exclusions):
        where = f"exclusion[{i}]"
        if "maintenance" in e["kind"] and not {"notice_h", "max_min_each"} & e.keys():
            yield f"{where}.notice_h", "is missing: maintenance without notice is excluded", True
        if ("opens" in e) != ("closes" in e):
            missing = "closes" if "opens" in e else "opens"
            yield f"{where}.{missing}", "is missing: opens and closes belong together", False


def _charges(data: dict[str, Any]) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for i, charge in enumerate(data.get("charge", [])):
        key = (charge["base"], charge.get("site", ""))
        if key in seen:
            of = f"site '{key[1]}'" if key[1] else "each site"
            yield f"charge[{i}]", f"a second charge of base {key[0]} for {of}", False
        seen.add(key)
        if charge["base"] == "user" and "users" not in charge:
            yield f"charge[{i}].users", "is missing: base user is an amount for each person", False
    if data.get("charge") and "currency" not in data["contract"]:
        yield "contract.currency", "is missing: charges are given", False


def _claim(data: dict[str, Any]) -> Iterator[Problem]:
    claim = data.get("claim")
    if claim is None:
        yield "claim", "is missing: no deadline will be watched", True
        return
    unit, deadline, basis = claim["unit"], claim["deadline"], claim["basis"]
    if deadline == 0 and unit != "month_end":
        yield "claim.deadline", f"0 {unit}s from the {basis}: no claim could be in time", False
    if unit == "billing_cycle" and "billing_day" not in data["contract"]:
        yield "contract.billing_day", "is missing: without it no deadline in billing cycles can be reckoned", True
    if unit == "business_day" and not data.get("business_hours", {}).get("holidays"):
        yield "claim.unit", "public holidays are not told: the deadline shown may be earlier than the paper's", True
    days = {"day": deadline, "business_day": deadline, "month_end": 31 * (deadline + 1)}.get(unit)
    needs_h = claim.get("needs_ticket_within_h")
    if needs_h is not None and days is not None and basis == "incident" and needs_h > days * 24:
        text = f"{needs_h} h for the ticket are more than the {days} days for the claim"
        yield "claim.needs_ticket_within_h", text, False
    longer = [c["window"] for c in data["commitment"] if c["window"] != "month"]
    if basis == "month_end" and longer:
        text = (
            f"counted from the end of a month, though a commitment's window is {longer[0]}: the window's last is taken"
        )
        yield "claim.basis", text, True


def _priorities(priorities: list[dict[str, Any]]) -> Iterator[Problem]:
    names: set[str] = set()
    for i, p in enumerate(priorities):
        where = f"priority[{i}]"
        if p["name"] in names:
            yield f"{where}.name", f"a second priority '{p['name']}'", False
        names.add(p["name"])
        restore, update = p.get("restore_min"), p.get("update_min")
        if restore is not None and p["response_min"] > restore:
            text = f"restore {restore} min before response {p['response_min']} min"
            yield f"{where}.restore_min", text, False
        if restore is not None and update is not None and update > restore:
            yield f"{where}.update_min", f"the first update, {update} min, comes after the restore, {restore} min", True
    for i, (before, after) in enumerate(pairwise(priorities)):
        for key in ("response_min", "restore_min"):
            if before["hours"] == after["hours"] and key in before and key in after and after[key] < before[key]:
                text = f"'{after['name']}' is faster than '{before['name']}' ({after[key]} < {before[key]} min)"
                yield f"priority[{i + 1}].{key}", text, True


def _chronic(data: dict[str, Any]) -> Iterator[Problem]:
    chronic = data.get("chronic")
    if chronic is None:
        return
    if chronic["missed"] > chronic["within"]:
        yield "chronic.missed", f"{chronic['missed']} of {chronic['within']} can't be missed", False
    names = [name_of(c) for c in data["commitment"]]
    if "commitment" not in chronic and len(names) > 1:
        yield "chronic.commitment", f"is missing: which of {', '.join(names)}", False
    if "commitment" in chronic and chronic["commitment"] not in names:
        yield "chronic.commitment", f"no commitment '{chronic['commitment']}'; there are {', '.join(names)}", False


def _source(data: dict[str, Any]) -> Iterator[Problem]:
    if not data.get("source", {}).get("sha256"):
        key = "source.sha256" if "source" in data else "source"
        yield key, "no hash of the signed paper: nobody can tell which one these terms were read from", True


def _percents(value: Any, path: str) -> Iterator[Problem]:
    """Percentages are kept in millionths of the whole, milli-MOS and microseconds: refuse what is finer."""
    for key, item, where in _items(value, path):
        if isinstance(item, Decimal):
            places = {"amount": 2, "multiple": 6, "notice_h": 6}.get(key, 4 if "percent" in key else 3)
            if item != round(item, places):
                yield where, f"{item} has more than {places} decimal places", False
        yield from _percents(item, where)


def _left(value: Any, path: str) -> Iterator[Problem]:
    for _, item, where in _items(value, path):
        if item == FILL_IN:
            yield where, f"still '{FILL_IN}': take it from the signed paper", True
        yield from _left(item, where)


def _items(value: Any, path: str) -> Iterator[tuple[str, Any, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, item, f"{path}.{key}" if path else key
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield "", item, f"{path}[{i}]"
