"""The figures of a score, from its records and a weight per cause; and their 95 % intervals.

acc*: incidents given the right side, over all and over those that can be told (_ident). FB_*: false blame of provider
or carrier: share of verdicts, of minutes, the worse of the two; share of others' call-affecting incidents and of decoys
(faults that hurt no call, or are nobody's) that the provider was given. macroF1: mean over sides of F1 from incidents'
recall and verdicts' precision. IoU and errors (s): times of rightly attributed incidents. sla_*: minutes per site and
30 days. ECE: expected calibration error in ten bins.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simulations.branch.score import INCONCLUSIVE, MISSED, SHARED_FROM, SIDES, Incident, Records, records
from simulations.branch.world import Line

Key = tuple[Any, ...]

BINS = 10
WITH_INTERVAL = (
    "acc", "acc_ident", "wrong_ident", "abstain_ident", "macroF1", "FB_verdicts", "FB_minutes", "FB_worse",
    "FB_incidents", "FB_decoys", "IoU", "ECE",
)  # fmt: skip


def score(path: Path, verdicts: Iterable[Line]) -> dict[str, Any]:
    """Return every measure of a world's verdicts."""
    return measures(records(path, verdicts))


def ratio(over: float, under: float) -> float:
    """Return over / under; 0 of nothing is 0."""
    return over / under if under else 0.0


def sums(found: Records) -> dict[str, dict[Key, float]]:
    """Return per cause everything that is added up; each rate is made of such sums, so causes can be weighted."""
    out: dict[str, dict[Key, float]] = defaultdict(lambda: defaultdict(float))
    for incident in found.incidents:
        out[incident.cause]["incident", incident.side, incident.label, incident.ambiguous] += 1
    for verdict in found.judged:
        mine = out[verdict.cause]
        mine["verdict", verdict.side, verdict.right] += 1
        at = min(int(verdict.confidence * BINS), BINS - 1)
        mine["calibration", at, "count"] += 1
        mine["calibration", at, "gap"] += verdict.confidence - verdict.right
    for blame in found.blames:
        out[blame.cause]["blame", "verdicts"] += 1
        out[blame.cause]["blame", "false verdicts"] += blame.false
        out[blame.cause]["blame", "cells"] += blame.cells
        out[blame.cause]["blame", "false cells"] += blame.false_cells
    for other in found.others:
        if other.affecting or other.shared < SHARED_FROM:
            out[other.cause]["other", other.affecting, other.blamed] += 1
    for fit in found.fits:
        out[fit.cause]["fit", "count"] += 1
        out[fit.cause]["fit", "iou"] += fit.iou
    return out


def rates(total: Mapping[Key, float]) -> dict[str, float]:
    """Return the measures that are ratios, from the sums over causes."""
    incidents = {key[1:]: count for key, count in total.items() if key[0] == "incident"}

    def share(accept: Callable[..., bool], of: Callable[..., bool] = lambda *key: True) -> float:
        chosen = {key: count for key, count in incidents.items() if of(*key)}
        return ratio(sum(count for key, count in chosen.items() if accept(*key)), sum(chosen.values()))

    def right(side: str, label: str, ambiguous: bool) -> bool:
        return label == side

    def abstained(side: str, label: str, ambiguous: bool) -> bool:
        return label == INCONCLUSIVE

    def wrong(side: str, label: str, ambiguous: bool) -> bool:
        return label not in (side, INCONCLUSIVE, MISSED)

    def alike(side: str, label: str, ambiguous: bool) -> bool:
        return ambiguous

    def told(side: str, label: str, ambiguous: bool) -> bool:
        return not ambiguous

    out = {"acc": share(right), "abstain": share(abstained), "missed": share(lambda s, label, a: label == MISSED)}
    out |= {"acc_ident": share(right, told), "abstain_ident": share(abstained, told), "wrong_ident": share(wrong, told)}
    out |= {"amb_ok": share(right, alike), "amb_inconcl": share(abstained, alike), "amb_wrong": share(wrong, alike)}
    for side in SIDES:
        recall = share(right, lambda its, label, a, side=side: its == side)
        good, bad = total.get(("verdict", side, True), 0), total.get(("verdict", side, False), 0)
        precision = ratio(good, good + bad)
        f1 = ratio(2 * recall * precision, recall + precision)
        out |= {f"R_{side}": recall, f"P_{side}": precision, f"F1_{side}": f1}
    out["macroF1"] = float(np.mean([out[f"F1_{side}"] for side in SIDES]))
    for name, what in (("FB_verdicts", "verdicts"), ("FB_minutes", "cells")):
        out[name] = ratio(total.get(("blame", f"false {what}"), 0), total.get(("blame", what), 0))
    out["FB_worse"] = max(out["FB_verdicts"], out["FB_minutes"])
    for name, affecting in (("FB_incidents", True), ("FB_decoys", False)):
        blamed, not_blamed = (total.get(("other", affecting, was), 0) for was in (True, False))
        out[name] = ratio(blamed, blamed + not_blamed)
    out["IoU"] = ratio(total.get(("fit", "iou"), 0), total.get(("fit", "count"), 0))
    bins = [
        (total.get(("calibration", at, "gap"), 0), total.get(("calibration", at, "count"), 0)) for at in range(BINS)
    ]
    out["ECE"] = ratio(sum(abs(gap) for gap, _ in bins), sum(count for _, count in bins))
    return out


def measures(found: Records) -> dict[str, Any]:
    """Return all measures: the rates, the counts behind them, times, money and where the mistakes came from."""
    hurt = [o for o in found.others if o.affecting]
    decoys = [o for o in found.others if not o.affecting and o.shared < SHARED_FROM]
    month = 30 / found.days
    out: dict[str, Any] = {"incidents": len(found.incidents), **rates(total(found))}
    out["amb_n"] = sum(i.ambiguous for i in found.incidents)
    out["FB_verdict_n"] = [sum(b.false for b in found.blames), len(found.blames)]
    out["FB_incident_n"] = [sum(o.blamed for o in hurt), len(hurt)]
    out["FB_decoy_n"] = [sum(o.blamed for o in decoys), len(decoys)]
    out["PF_causes"] = len(found.causes)
    out["FB_shared_decoy_sitefrac"] = shared_decoys(found)
    out["FB_min_site_month"] = ratio(sum(found.false_blame_min), found.sites) * month
    out["false_breach_min_site_month"] = found.false_breach_s / 60 / found.sites * month
    ious, starts, ends = ([f[1] for f in found.fits], [f[2] for f in found.fits], [f[3] for f in found.fits])
    out["IoU_med"] = float(np.median(ious)) if ious else 0.0
    out["start_err_med_s"] = float(np.median(starts)) if starts else None
    out["end_err_med_s"] = float(np.median(ends)) if ends else None
    out["start_err_p90_s"] = float(np.quantile(starts, 0.9)) if starts else None
    out["fine_acc"] = ratio(sum(right for _, right in found.fine), len(found.fine))
    errors, credits = np.array(found.sla_error_min), np.array(found.credit_error)
    out["sla_mae_min_month"], out["sla_bias"] = float(np.abs(errors).mean()), float(errors.mean())
    out["sla_p95"] = float(np.quantile(np.abs(errors), 0.95))
    out["sla_over_p95"] = float(np.quantile(np.maximum(errors, 0), 0.95))
    for name, hit in (("credit_ok", credits == 0), ("credit_over", credits > 0), ("credit_under", credits < 0)):
        out[name] = float(hit.mean())
    if found.judged:
        gaps = [(j.confidence - j.right) ** 2 for j in found.judged]
        out["brier"] = float(np.mean(gaps))
    out["verdicts"] = found.verdicts
    out["kinds"] = kinds(found)
    out["fb_kinds"] = dict(found.false_blame_kinds.most_common(12))
    out["confusion"] = confusion(found.incidents)
    return out


def shared_decoys(found: Records) -> float | None:
    """Return the mean share of sites at which a decoy that many sites share was given to the provider."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for other in found.others:
        if not other.affecting:
            counts[other.cause][0] += 1
            counts[other.cause][1] += other.blamed
    large = [blamed / sites for sites, blamed in counts.values() if sites >= SHARED_FROM]
    return float(np.mean(large)) if large else None


def kinds(found: Records) -> dict[str, dict[str, int]]:
    """Return per kind of fault what its incidents were given."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for incident in found.incidents:
        table[incident.kind]["ok" if incident.label == incident.side else incident.label] += 1
    for (kind, why), count in found.left_out.items():
        table[kind][why] += count
    return {kind: dict(counts) for kind, counts in sorted(table.items())}


def confusion(incidents: Iterable[Incident]) -> dict[str, dict[str, int]]:
    """Return {true side: {given side: incidents}}."""
    counts = Counter((i.side, i.label) for i in incidents)
    return {side: {label: counts[side, label] for label in (*SIDES, INCONCLUSIVE, MISSED)} for side in SIDES}


def total(found: Records) -> dict[Key, float]:
    """Return the sums over all causes, each counted once."""
    whole: dict[Key, float] = defaultdict(float)
    for part in sums(found).values():
        for key, value in part.items():
            whole[key] += value
    return whole


def intervals(found: Records, seed: int = 0, draws: int = 1000) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the rates by bootstrap over causes; empty where there is no cause."""
    by_cause = sums(found)
    causes, keys = sorted(by_cause), list(total(found))
    if not causes:
        return {}
    matrix = np.array([[by_cause[cause].get(key, 0.0) for key in keys] for cause in causes], dtype=float)
    # Causes that add up to the same are drawn as one kind of cause: the same distribution, with far fewer rows.
    kinds_of_cause, how_many = np.unique(matrix, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    totals = rng.multinomial(len(causes), how_many / len(causes), size=draws) @ kinds_of_cause
    drawn = np.empty((draws, len(WITH_INTERVAL)))
    for draw in range(draws):
        values = rates(dict(zip(keys, totals[draw].tolist(), strict=True)))
        drawn[draw] = [values[name] for name in WITH_INTERVAL]
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0).tolist()
    return {name: (low[at], high[at]) for at, name in enumerate(WITH_INTERVAL)}


def other_intervals(found: Records, seed: int = 0, draws: int = 1000) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of what isn't a ratio over causes: start errors by bootstrap over causes, minutes and
    credits by bootstrap over sites."""
    rng = np.random.default_rng(seed)
    month = 30 / found.days
    by_site = {
        "FB_min_site_month": np.array(found.false_blame_min) * month,
        "sla_mae_min_month": np.abs(found.sla_error_min),
        "credit_over": (np.array(found.credit_error) > 0).astype(float),
    }
    drawn: dict[str, list[float]] = {name: [] for name in by_site}
    for _ in range(draws if found.sites else 0):
        chosen = rng.integers(found.sites, size=found.sites)
        for name, values in by_site.items():
            drawn[name].append(float(values[chosen].mean()))
    errors: dict[str, list[float]] = defaultdict(list)
    for fit in found.fits:
        errors[fit.cause].append(fit.start_error_s)
    groups = [np.array(group) for _, group in sorted(errors.items())]
    if groups:
        drawn["start_err_med_s"] = [
            float(np.median(np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])))
            for _ in range(draws)
        ]
    bounds = {name: np.quantile(values, (0.025, 0.975)).tolist() for name, values in drawn.items() if values}
    return {name: (low, high) for name, (low, high) in bounds.items()}


def pooled(parts: list[Records]) -> Records:
    """Return the records of several worlds as one; causes keep apart by their world's number."""
    whole = Records(days=float(np.mean([part.days for part in parts])))
    for number, part in enumerate(parts):
        for name in ("incidents", "fits", "judged", "blames", "others"):
            entries = [entry._replace(cause=f"{number}/{entry.cause}") for entry in getattr(part, name)]
            getattr(whole, name).extend(entries)
        whole.fine += [(f"{number}/{cause}", right) for cause, right in part.fine]
        whole.causes |= {f"{number}/{cause}" for cause in part.causes}
        whole.left_out += part.left_out
        whole.false_blame_kinds += part.false_blame_kinds
        whole.sla_error_min += part.sla_error_min
        whole.credit_error += part.credit_error
        whole.false_blame_min += part.false_blame_min
        whole.false_breach_s += part.false_breach_s
        whole.verdicts += part.verdicts
        whole.sites += part.sites
    return whole
