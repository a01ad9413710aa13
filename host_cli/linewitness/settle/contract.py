"""The SLA as data: TOML to a Contract, checked strictly; what is wrong is named with its key and line.

    [contract]    name, provider, time_zone, effective_from[, effective_until, measure_of_record, clause]
    [source]      url, version, effective, sha256, page: where the signed paper is (all optional)
    [[commitment]] metric = "availability", target_percent, window = "month", scope = "site", clause
    [downtime]    starts_at, min_continuous_s, rounding, denominator, clause
    [[exclusion]] kind, clause[, notice_h, max_h_month]
    [credit]      base, cap_percent, automatic; [[credit.band]] from_percent, below_percent, percent
    [claim]       deadline, unit, basis[, channel, subject, needs_ticket_within_h, fields]
    [[priority]]  name, response_min, update_min, restore_min, hours[, definition, phone_required]

A band is [from_percent, below_percent): the bands of a schedule lie edge to edge from 0 to the commitment's target. A
hole or an overlap is refused, for published tables have both. docs/contract.md explains every key.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from linewitness.errors import Refused
from linewitness.settle.contract_check import Problem, key_lines, problems_of


@dataclass(frozen=True, slots=True)
class Commitment:
    metric: str
    target_ppm: int
    window: str
    scope: str
    clause: str


@dataclass(frozen=True, slots=True)
class Downtime:
    """min_continuous_s: shorter failures do not count. starts_at ticket, notice: nothing counts before it."""

    starts_at: str
    min_continuous_s: int
    rounding: str
    denominator: str
    clause: str


@dataclass(frozen=True, slots=True)
class ExclusionRule:
    """notice_h: hours that maintenance has to be announced before; max_h_month: how much of it is excluded at most."""

    kind: str
    clause: str
    notice_h: Decimal | None
    max_h_month: Decimal | None


@dataclass(frozen=True, slots=True)
class Band:
    """percent is due where availability lies in [from_ppm, below_ppm)."""

    from_ppm: int
    below_ppm: int
    percent_milli: int


@dataclass(frozen=True, slots=True)
class Credit:
    base: str
    cap_percent_milli: int
    automatic: bool
    bands: tuple[Band, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    deadline: int
    unit: str
    basis: str
    channel: str
    subject: str
    needs_ticket_within_h: Decimal | None
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Priority:
    name: str
    response_min: int
    update_min: int
    restore_min: int
    hours: str
    definition: str
    phone_required: bool


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
    credit: Credit | None
    claim: Claim | None
    priorities: tuple[Priority, ...]


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
    c, d = data["contract"], data["downtime"]
    return Contract(
        c["name"], c["provider"], c["time_zone"], c["effective_from"], c.get("effective_until"),
        c.get("measure_of_record", "provider"), tuple(sorted(data.get("source", {}).items())),
        tuple(
            Commitment(x["metric"], _ppm(x["target_percent"]), x["window"], x["scope"], x.get("clause", ""))
            for x in data["commitment"]
        ),
        Downtime(
            d["starts_at"], d["min_continuous_s"], d["rounding"], d.get("denominator", "month"), d.get("clause", "")
        ),
        tuple(
            ExclusionRule(x["kind"], x["clause"], _decimal(x.get("notice_h")), _decimal(x.get("max_h_month")))
            for x in data.get("exclusion", [])
        ),
        _credit(data.get("credit")), _claim(data.get("claim")),
        tuple(
            Priority(
                x["name"], x["response_min"], x["update_min"], x["restore_min"], x["hours"], x.get("definition", ""),
                x.get("phone_required", False),
            )
            for x in data.get("priority", [])
        ),
    )  # fmt: skip


def _credit(x: dict[str, Any] | None) -> Credit | None:
    if x is None:
        return None
    bands = tuple(Band(_ppm(b["from_percent"]), _ppm(b["below_percent"]), int(b["percent"] * 1000)) for b in x["band"])
    return Credit(x["base"], int(x["cap_percent"] * 1000), x.get("automatic", False), bands)


def _claim(x: dict[str, Any] | None) -> Claim | None:
    if x is None:
        return None
    return Claim(
        x["deadline"], x["unit"], x["basis"], x.get("channel", ""), x.get("subject", ""),
        _decimal(x.get("needs_ticket_within_h")), tuple(str(f) for f in x.get("fields", [])),
    )  # fmt: skip


def _ppm(percent: int | Decimal) -> int:
    return int(percent * 10_000)


def _decimal(value: int | Decimal | None) -> Decimal | None:
    return None if value is None else Decimal(value)
