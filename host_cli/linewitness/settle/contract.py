"""The SLA as data: TOML to a Contract, checked strictly; what is wrong is named with its key and line.

    [contract]  [source]  [business_hours]  [[charge]]      who, since when, by which paper, what is paid a month
    [[commitment]]  [downtime]  [[exclusion]]               what is promised, what counts, what does not
    [[credit]]  [[credit.band]]  [cap]  [chronic]           what a missed promise pays, and what else follows
    [claim]  [[priority]]  [[compliance]]                   how to claim, support's clocks, duties with evidence

contract_tables has every key, docs/contract.md explains them. Here percent become millionths (`_ppm`) or thousandths
(`_milli`), MOS thousandths, delays microseconds: whole numbers, so that a comparison with a target is exact.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from linewitness.errors import Refused
from linewitness.settle.calendar import ServiceHours, minutes_of, utc_us
from linewitness.settle.contract_check import Problem, problems_of
from linewitness.settle.contract_lines import key_lines
from linewitness.settle.contract_sense import name_of
from linewitness.settle.contract_tables import DAYS, LIMITS, STEPS, UNITS_OF_BANDS
from linewitness.settle.intervals import Interval, union

SCALE = {"percent": 10_000, "mos": 1000, "ms": 1000, "min": 60_000_000}
"""What one of the unit is in ours: millionths, milli-MOS, microseconds."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """One promise. hours: None is round the clock. target_ppm: availability.

    limits: metric -> milli-MOS at least, or ppm, or us at most. max_share_ppm: None for a mean. within_ppm: of the
    tickets. within_s, to: of a failover.
    """

    name: str
    metric: str
    window: str
    scope: str
    hours: ServiceHours | None
    clause: str
    target_ppm: int
    limits: tuple[tuple[str, int], ...]
    one_way: bool
    max_share_ppm: int | None
    interval_s: int | None
    wired_only: bool
    certified_phone: bool
    managed_network_only: bool
    priority: str
    within_ppm: int | None
    within_s: int | None
    to: str


@dataclass(frozen=True, slots=True)
class Downtime:
    """min_continuous_s: shorter failures do not count. starts_at ticket, notice: nothing counts before it."""

    starts_at: str
    min_continuous_s: int
    rounding: str
    denominator: str
    affects: str
    clause: str


@dataclass(frozen=True, slots=True)
class ExclusionRule:
    """notice_h: hours that maintenance has to be announced before; max_h_month: how much of it is excluded at most;
    max_min_each: a longer window is not excluded; hours: only then. during: what both sides agree on, UTC us."""

    kind: str
    clause: str
    notice_h: Decimal | None
    max_h_month: Decimal | None
    max_min_each: Decimal | None
    hours: ServiceHours | None
    during: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Pay:
    """Thousandths of a percent of the base, or thousandths of a day's worth of it."""

    percent_milli: int
    days_milli: int


@dataclass(frozen=True, slots=True)
class Band:
    """What is due where the achieved value lies in [lower, upper); upper None: no end. In the credit's unit."""

    lower: int
    upper: int | None
    pay: Pay


@dataclass(frozen=True, slots=True)
class Credit:
    """unit: percent, mos, ms, min, of bands and steps. step: in ppm, milli-MOS, us. multiple_micro: of pro_rata."""

    commitment: str
    kind: str
    base: str
    cap_percent_milli: int
    automatic: bool
    clause: str
    unit: str
    bands: tuple[Band, ...]
    pay: Pay
    step: int
    begun: bool
    beyond_target: bool
    multiple_micro: int


@dataclass(frozen=True, slots=True)
class Cap:
    percent_milli: int
    combine: str
    clause: str


@dataclass(frozen=True, slots=True)
class Charge:
    """amount_minor: hundredths of the currency a month; site empty: of each site; users: how many it is for."""

    base: str
    amount_minor: int
    site: str
    users: int


@dataclass(frozen=True, slots=True)
class Claim:
    deadline: int
    unit: str
    basis: str
    channel: str
    subject: str
    needs_ticket_within_h: Decimal | None
    fields: tuple[str, ...]
    decision_days: int | None = None
    clause: str = ""


@dataclass(frozen=True, slots=True)
class Priority:
    """response_min, update_min, restore_min: minutes within hours (None: round the clock); None: no such clock."""

    name: str
    response_min: int
    update_min: int | None
    restore_min: int | None
    hours: ServiceHours | None
    definition: str
    phone_required: bool
    clause: str


@dataclass(frozen=True, slots=True)
class Compliance:
    name: str
    clause: str
    requirement: str
    evidence: tuple[str, ...]
    owner: str
    reviewed: date | None
    review_months: int


@dataclass(frozen=True, slots=True)
class Chronic:
    missed: int
    within: int
    right: str
    commitment: str
    clause: str


@dataclass(frozen=True, slots=True)
class Contract:
    name: str
    provider: str
    time_zone: str
    effective_from: date
    effective_until: date | None
    measure_of_record: str
    source: tuple[tuple[str, str], ...]
    commitments: tuple[Commitment, ...]
    downtime: Downtime
    exclusions: tuple[ExclusionRule, ...]
    credits: tuple[Credit, ...]
    claim: Claim | None
    priorities: tuple[Priority, ...]
    cap: Cap | None
    charges: tuple[Charge, ...]
    currency: str
    sole_remedy: bool
    billing_day: int | None
    holidays: tuple[date, ...]
    compliance: tuple[Compliance, ...]
    chronic: Chronic | None


def load(text: str, where: str) -> Contract:
    """Return the Contract of a TOML text. Raises Refused, naming the first thing that is wrong, its key and line."""
    contract, problems = check(text)
    refused = [p for p in problems if not p.warning]
    if contract is None or refused:
        first = refused[0]
        raise Refused(f"{first.key}: {first.text}", f"{where}:{first.line}", "linewitness contract check")
    return contract


def check(text: str) -> tuple[Contract | None, list[Problem]]:
    """Return the Contract (None where it can't be used) and all that is wrong with the text, in the order of lines."""
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as e:
        found = re.search(r"line (\d+)", str(e))
        return None, [Problem(int(found.group(1)) if found else 1, "toml", str(e))]
    problems = problems_of(data, key_lines(text))
    refused = any(not p.warning for p in problems)
    return None if refused else _build(data), problems


# --- building -------------------------------------------------------------------------------------------------------


def _build(data: dict[str, Any]) -> Contract:
    c = data["contract"]
    zone, holidays = c["time_zone"], tuple(data.get("business_hours", {}).get("holidays", ()))
    business = _hours(data["business_hours"], zone, holidays) if "business_hours" in data else None
    commitments = tuple(_commitment(x, business) for x in data["commitment"])
    return Contract(
        c["name"], c["provider"], zone, c["effective_from"], c.get("effective_until"),
        c.get("measure_of_record", "provider"), tuple(sorted(data.get("source", {}).items())), commitments,
        _downtime(data["downtime"]), tuple(_exclusion(x, zone) for x in data.get("exclusion", [])),
        tuple(_credit(x, commitments) for x in _entries(data.get("credit", []))), _claim(data.get("claim")),
        tuple(_priority(x, business) for x in data.get("priority", [])), _cap(data.get("cap")),
        tuple(_charge(x) for x in data.get("charge", [])), c.get("currency", ""), c.get("sole_remedy", False),
        c.get("billing_day"), holidays,
        tuple(
            Compliance(x["name"], x["clause"], x["requirement"], tuple(x["evidence"]), x.get("owner", ""),
                       x.get("reviewed"), x["review_months"])
            for x in data.get("compliance", [])
        ),
        _chronic(data.get("chronic"), commitments),
    )  # fmt: skip


def _hours(x: dict[str, Any], zone: str, holidays: tuple[date, ...]) -> ServiceHours:
    days = tuple(DAYS.index(d) for d in x.get("days", DAYS))
    return ServiceHours(days, minutes_of(x.get("opens", "00:00")), minutes_of(x.get("closes", "24:00")), holidays, zone)


def _commitment(x: dict[str, Any], business: ServiceHours | None) -> Commitment:
    limits = tuple((m, _scaled(x[key], _limit_unit(key))) for m, key in LIMITS.items() if key in x)
    business_only = x.get("hours") == "business"
    return Commitment(
        name_of(x), x["metric"], x["window"], x.get("scope", "site"), business if business_only else None,
        x.get("clause", ""), _ppm(x.get("target_percent", 0)), limits, x.get("one_way", False),
        None if "max_share_percent" not in x else _ppm(x["max_share_percent"]), x.get("interval_s"),
        x.get("wired_only", False), x.get("certified_phone", False), x.get("managed_network_only", False),
        x.get("priority", ""),
        None if "within_percent" not in x else _ppm(x["within_percent"]), x.get("within_s"), x.get("to", ""),
    )  # fmt: skip


def _limit_unit(key: str) -> str:
    return key.rpartition("_")[2]


def _downtime(x: dict[str, Any]) -> Downtime:
    return Downtime(
        x["starts_at"], x["min_continuous_s"], x["rounding"], x.get("denominator", "month"), x.get("affects", "share"),
        x.get("clause", ""),
    )  # fmt: skip


def _exclusion(x: dict[str, Any], zone: str) -> ExclusionRule:
    hours = _hours(x, zone, ()) if "days" in x or "opens" in x else None
    during = union((utc_us(start), utc_us(end)) for start, end in _instants(x.get("during", [])))
    return ExclusionRule(
        x["kind"], x["clause"], _decimal(x.get("notice_h")), _decimal(x.get("max_h_month")),
        _decimal(x.get("max_min_each")), hours, tuple(during),
    )  # fmt: skip


def _instants(pairs: list[list[datetime]]) -> list[tuple[datetime, datetime]]:
    return [(start, end) for start, end in pairs]


def _credit(x: dict[str, Any], commitments: tuple[Commitment, ...]) -> Credit:
    bands = x.get("band", [])
    step = next((key for key in STEPS if key in x), "")
    units = [u for u in UNITS_OF_BANDS if f"from_{u}" in (bands or [{}])[0] or step == f"step_{u}"]
    unit = units[0] if units else ""
    return Credit(
        x.get("commitment", commitments[0].name), x.get("kind", "bands"), x["base"], _milli(x["cap_percent"]),
        x.get("automatic", False), x.get("clause", ""), unit, tuple(_band(b, unit) for b in bands), _pay(x),
        _scaled(x[step], unit) if step else 0, x.get("begun", False), x.get("counts") == "beyond_target",
        int(x.get("multiple", 0) * 1_000_000),
    )  # fmt: skip


def _band(x: dict[str, Any], unit: str) -> Band:
    upper = x.get(f"below_{unit}")
    return Band(_scaled(x[f"from_{unit}"], unit), None if upper is None else _scaled(upper, unit), _pay(x))


def _pay(x: dict[str, Any]) -> Pay:
    return Pay(_milli(x.get("percent", 0)), _milli(x.get("days", 0)))


def _cap(x: dict[str, Any] | None) -> Cap | None:
    return None if x is None else Cap(_milli(x["percent"]), x["combine"], x.get("clause", ""))


def _charge(x: dict[str, Any]) -> Charge:
    return Charge(x["base"], int(x["amount"] * 100), x.get("site", ""), x.get("users", 1))


def _claim(x: dict[str, Any] | None) -> Claim | None:
    if x is None:
        return None
    return Claim(
        x["deadline"], x["unit"], x["basis"], x.get("channel", ""), x.get("subject", ""),
        _decimal(x.get("needs_ticket_within_h")), tuple(x.get("fields", [])), x.get("decision_days"),
        x.get("clause", ""),
    )  # fmt: skip


def _priority(x: dict[str, Any], business: ServiceHours | None) -> Priority:
    return Priority(
        x["name"], x["response_min"], x.get("update_min"), x.get("restore_min"),
        business if x["hours"] == "business" else None, x.get("definition", ""), x.get("phone_required", False),
        x.get("clause", ""),
    )  # fmt: skip


def _chronic(x: dict[str, Any] | None, commitments: tuple[Commitment, ...]) -> Chronic | None:
    if x is None:
        return None
    name = x.get("commitment", commitments[0].name)
    return Chronic(x["missed"], x["within"], x["right"], name, x.get("clause", ""))


def _entries(value: Any) -> list[dict[str, Any]]:
    """Return the entries of a table that may stand alone: [credit] for the only [[credit]]."""
    return value if isinstance(value, list) else [value]


def _scaled(value: int | Decimal, unit: str) -> int:
    return int(value * SCALE[unit])


def _ppm(percent: int | Decimal) -> int:
    return _scaled(percent, "percent")


def _milli(value: int | Decimal) -> int:
    return int(value * 1000)


def _decimal(value: int | Decimal | None) -> Decimal | None:
    return None if value is None else Decimal(value)
