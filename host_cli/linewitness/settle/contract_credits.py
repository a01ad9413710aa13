"""What makes no sense in a contract's credits: holes and overlaps in bands, steps of the wrong unit, no way to pay.

A band is [from, below). Bands lie edge to edge over all that is a miss: for availability and MOS, where less is worse,
from the target down to 0; for loss, delay, downtime and lateness from the limit up, the last one without an end. Where
the paper pays nothing in between, a band with percent = 0 says so; a hole is refused, for published tables have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from linewitness.settle.contract_tables import CLOCKS, STEPS

Problem = tuple[str, str, bool]
SHORTEST_MONTH_MIN = 28 * 1440
PAYING = ("flat", "per_step", "per_failure")


def credits_sense(data: dict[str, Any]) -> Iterator[Problem]:
    """Yield (key, text, warning) for the credits of a contract of the right shape."""
    commitments = {str(c.get("name", c["metric"])): c for c in data["commitment"]}
    credited: dict[str, str] = {}
    entries = data.get("credit", [])
    for i, credit in enumerate(entries if isinstance(entries, list) else [entries]):
        where = f"credit[{i}]"
        if "commitment" not in credit and len(commitments) > 1:
            yield f"{where}.commitment", f"is missing: which of {', '.join(commitments)}", False
            continue
        name = credit.get("commitment", next(iter(commitments)))
        if name not in commitments:
            yield f"{where}.commitment", f"no commitment '{name}'; there are {', '.join(commitments)}", False
            continue
        if credited.setdefault(name, credit["base"]) != credit["base"]:
            yield f"{where}.base", f"'{name}' pays of {credited[name]} already: one base a commitment", False
        yield from _credit(credit, where, commitments[name])
    for i, name in enumerate(commitments):
        if name not in credited:
            yield f"commitment[{i}]", f"no credit: missing '{name}' pays nothing", True


def units_of(commitment: dict[str, Any]) -> tuple[str, ...]:
    """Return the units in which steps and bands of a commitment can be; empty: it has no scale, only failures."""
    metric = commitment["metric"]
    if metric == "availability":
        return ("percent", "min")
    if metric in CLOCKS:
        return ("min",)
    if metric == "failover":
        return ()
    if commitment["statistic"] == "share" or metric == "loss":
        return ("percent",)
    return ("mos",) if metric == "mos" else ("ms",)


def _credit(credit: dict[str, Any], where: str, commitment: dict[str, Any]) -> Iterator[Problem]:
    kind, units = credit.get("kind", "bands"), units_of(commitment)
    metric = commitment["metric"]
    scale = " or ".join(units)
    if kind in PAYING and ("percent" in credit) == ("days" in credit):
        yield where, "pays percent or days: one of them", False
    if kind == "pro_rata" and metric != "availability":
        yield f"{where}.kind", f"pro_rata belongs to availability, not {metric}", False
    if kind in ("bands", "per_step") and not units:
        yield f"{where}.kind", f"{metric} has no scale: flat or per_failure", False
        return
    if kind == "per_failure" and commitment.get("statistic") == "mean":
        yield f"{where}.kind", "a mean has no single failures: flat, bands or per_step", False
    if kind == "per_step":
        steps = [key for key in STEPS if key in credit]
        if len(steps) != 1:
            yield where, f"wanted one of {', '.join('step_' + u for u in units)}", False
        elif steps[0].removeprefix("step_") not in units:
            yield f"{where}.{steps[0]}", f"{metric} is reckoned in {scale}", False
        elif credit[steps[0]] == 0:
            yield f"{where}.{steps[0]}", "a step of nothing", False
        if "counts" in credit and "step_min" not in credit:
            yield f"{where}.counts", "belongs to steps of downtime (step_min)", False
    if kind == "bands":
        yield from _bands(credit, where, commitment, units)


def _bands(credit: dict[str, Any], where: str, commitment: dict[str, Any], units: tuple[str, ...]) -> Iterator[Problem]:
    bands = credit["band"]
    used = sorted({k.partition("_")[2] for b in bands for k in b if k.startswith(("from_", "below_"))})
    wrong = [u for u in used if u not in units]
    if wrong:
        yield f"{where}.band[0]", f"{commitment['metric']} is reckoned in {' or '.join(units)}, not {wrong[0]}", False
        return
    if len(used) != 1:
        yield f"{where}.band[0]", f"edges in one unit: from_{units[0]} and below_{units[0]}", False
        return
    for i, band in enumerate(bands):
        if ("percent" in band) == ("days" in band):
            yield f"{where}.band[{i}]", "pays percent or days: one of them", False
        if f"from_{used[0]}" not in band:
            yield f"{where}.band[{i}].from_{used[0]}", "is missing", False
            return
    less_is_worse = (commitment["metric"] == "availability" and used[0] == "percent") or used[0] == "mos"
    if less_is_worse:
        yield from _falling(credit, where, commitment, used[0])
    else:
        yield from _rising(credit, where, commitment, used[0])


def _falling(credit: dict[str, Any], where: str, commitment: dict[str, Any], unit: str) -> Iterator[Problem]:
    """Yield holes and overlaps: from the target down to 0, edge to edge."""
    lower, upper = f"from_{unit}", f"below_{unit}"
    for i, band in enumerate(credit["band"]):
        if upper not in band:
            yield f"{where}.band[{i}].{upper}", "is missing", False
            return
    order = sorted(enumerate(credit["band"]), key=lambda item: (-item[1][upper], item[0]))
    edge, edge_name = commitment["target_percent" if unit == "percent" else "limit_mos"], "the target"
    paid = Decimal(0)
    for i, band in order:
        key = f"{where}.band[{i}].{upper}"
        if band[lower] >= band[upper]:
            yield key, f"the band from {band[lower]} to {band[upper]} is empty", False
        if band[upper] < edge:
            yield key, f"hole: {band[upper]} to {edge} ({edge_name}) pays nothing{FILL}", False
        elif band[upper] > edge:
            yield key, f"overlap: {edge} to {band[upper]} is in two bands, or above the target", False
        edge, edge_name = band[lower], f"band[{i}].{lower}"
        yield from _pays(band, credit, f"{where}.band[{i}]", paid)
        paid = Decimal(band.get("percent", paid))
    if edge > 0:
        i = order[-1][0]
        yield f"{where}.band[{i}].{lower}", f"hole: 0 to {edge} pays nothing{FILL}", False


def _rising(credit: dict[str, Any], where: str, commitment: dict[str, Any], unit: str) -> Iterator[Problem]:
    """Yield holes and overlaps: from the limit up, the last band without an end."""
    lower, upper = f"from_{unit}", f"below_{unit}"
    order = sorted(enumerate(credit["band"]), key=lambda item: (item[1][lower], item[0]))
    edge: Decimal | int | None = limit_of(commitment, unit)
    first, paid = True, Decimal(0)
    for i, band in order:
        key = f"{where}.band[{i}].{lower}"
        if upper in band and band[lower] >= band[upper]:
            yield key, f"the band from {band[lower]} to {band[upper]} is empty", False
        if edge is None or (band[lower] < edge and not first):
            yield key, f"overlap: from {band[lower]} on is in two bands", False
        elif band[lower] > edge:
            yield key, f"hole: {float(edge):g} to {band[lower]} pays nothing{FILL}", False
        edge, first = band.get(upper), False
        yield from _pays(band, credit, f"{where}.band[{i}]", paid)
        paid = Decimal(band.get("percent", paid))
    if edge is not None:
        i = order[-1][0]
        yield f"{where}.band[{i}].{upper}", f"hole: {edge} and more pays nothing: leave {upper} out", False


def limit_of(commitment: dict[str, Any], unit: str) -> Decimal | int:
    """Return from where a miss counts, in the unit of the bands; for lateness from 0."""
    metric = commitment["metric"]
    if metric == "availability":  # downtime in minutes: beyond what the target allows in the shortest month
        return (100 - commitment["target_percent"]) * SHORTEST_MONTH_MIN / Decimal(100)
    if metric in CLOCKS:
        return 0
    if commitment["statistic"] == "share":
        return commitment["max_share_percent"]
    return commitment["limit_loss_percent" if unit == "percent" else f"limit_{metric}_ms"]


def _pays(band: dict[str, Any], credit: dict[str, Any], key: str, paid: Decimal) -> Iterator[Problem]:
    if "percent" in band and band["percent"] < paid:
        yield f"{key}.percent", f"worse service pays less: {band['percent']} after {paid}", True
    if "percent" in band and band["percent"] > credit["cap_percent"]:
        yield f"{key}.percent", f"{band['percent']} is above the cap of {credit['cap_percent']}", True


FILL = " (if the paper says so, give it a band with percent = 0)"
