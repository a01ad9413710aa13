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

Weights = Mapping[str, float]

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


def rates(found: Records, weights: Weights | None = None) -> dict[str, float]:
    """Return the measures that are ratios over causes; weights: how often each cause is counted (absent: 1 each)."""
    weigh: Callable[[str], float] = (lambda cause: 1.0) if weights is None else (lambda cause: weights.get(cause, 0.0))
    total = sum(weigh(i.cause) for i in found.incidents)

    def share(accept: Callable[[Incident], bool], of: Callable[[Incident], bool] = lambda i: True) -> float:
        chosen = [i for i in found.incidents if of(i)]
        return ratio(sum(weigh(i.cause) for i in chosen if accept(i)), sum(weigh(i.cause) for i in chosen))

    def wrong(i: Incident) -> bool:
        return i.label not in (i.side, INCONCLUSIVE, MISSED)

    out = {"acc": share(lambda i: i.label == i.side)}
    for name, ambiguous in (("ident", False), ("amb", True)):
        of = lambda i, a=ambiguous: i.ambiguous == a  # noqa: E731
        right, abstained, mistaken = (
            share(lambda i: i.label == i.side, of), share(lambda i: i.label == INCONCLUSIVE, of), share(wrong, of),
        )  # fmt: skip
        keys = (
            ("acc_ident", "abstain_ident", "wrong_ident") if name == "ident" else ("amb_ok", "amb_inconcl", "amb_wrong")
        )
        out |= dict(zip(keys, (right, abstained, mistaken), strict=True))
    out["missed"] = ratio(sum(weigh(i.cause) for i in found.incidents if i.label == MISSED), total)
    out["abstain"] = ratio(sum(weigh(i.cause) for i in found.incidents if i.label == INCONCLUSIVE), total)
    scores = []
    for side in SIDES:
        recall = share(lambda i: i.label == i.side, lambda i, s=side: i.side == s)  # type: ignore[misc]
        mine = [j for j in found.judged if j.side == side]
        precision = ratio(sum(weigh(j.cause) for j in mine if j.right), sum(weigh(j.cause) for j in mine))
        scores.append(ratio(2 * recall * precision, recall + precision))
        out |= {f"R_{side}": recall, f"P_{side}": precision, f"F1_{side}": scores[-1]}
    out["macroF1"] = float(np.mean(scores))
    out["FB_verdicts"] = ratio(
        sum(weigh(b.cause) for b in found.blames if b.false), sum(weigh(b.cause) for b in found.blames)
    )
    out["FB_minutes"] = ratio(
        sum(weigh(b.cause) * b.false_cells for b in found.blames), sum(weigh(b.cause) * b.cells for b in found.blames)
    )
    out["FB_worse"] = max(out["FB_verdicts"], out["FB_minutes"])
    hurt = [o for o in found.others if o.affecting]
    decoys = [o for o in found.others if not o.affecting and o.shared < SHARED_FROM]
    for name, group in (("FB_incidents", hurt), ("FB_decoys", decoys)):
        out[name] = ratio(sum(weigh(o.cause) for o in group if o.blamed), sum(weigh(o.cause) for o in group))
    out["IoU"] = ratio(sum(weigh(f.cause) * f.iou for f in found.fits), sum(weigh(f.cause) for f in found.fits))
    out["ECE"] = calibration(found, weigh)
    return out


def calibration(found: Records, weigh: Callable[[str], float]) -> float:
    """Return the expected calibration error: mean distance of confidence and truth over ten bins of confidence."""
    sums = np.zeros((BINS, 3))
    for verdict in found.judged:
        weight = weigh(verdict.cause)
        at = min(int(verdict.confidence * BINS), BINS - 1)
        sums[at] += weight * np.array([1.0, verdict.confidence, verdict.right])
    return ratio(float(np.abs(sums[:, 1] - sums[:, 2]).sum()), float(sums[:, 0].sum()))


def measures(found: Records) -> dict[str, Any]:
    """Return all measures: the rates, the counts behind them, times, money and where the mistakes came from."""
    hurt = [o for o in found.others if o.affecting]
    decoys = [o for o in found.others if not o.affecting and o.shared < SHARED_FROM]
    month = 30 / found.days
    out: dict[str, Any] = {"incidents": len(found.incidents), **rates(found)}
    out["amb_n"] = sum(i.ambiguous for i in found.incidents)
    out["FB_verdict_n"] = [sum(b.false for b in found.blames), len(found.blames)]
    out["FB_incident_n"] = [sum(o.blamed for o in hurt), len(hurt)]
    out["FB_decoy_n"] = [sum(o.blamed for o in decoys), len(decoys)]
    out["PF_causes"] = len(found.causes)
    out["FB_shared_decoy_sitefrac"] = shared_decoys(found)
    out["FB_min_site_month"] = found.false_blame_min / found.sites * month
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


def intervals(parts: list[Records], seed: int = 0, draws: int = 400) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the rates of one or several worlds together, by bootstrap over causes."""
    whole = pooled(parts)
    causes = sorted({entry.cause for group in (whole.incidents, whole.judged, whole.others) for entry in group})
    if not causes:
        return {}
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = defaultdict(list)
    for _ in range(draws):
        counts = np.bincount(rng.integers(len(causes), size=len(causes)), minlength=len(causes))
        values = rates(whole, dict(zip(causes, counts.tolist(), strict=True)))
        for name in WITH_INTERVAL:
            drawn[name].append(values[name])
    return {name: tuple(np.quantile(values, (0.025, 0.975)).tolist()) for name, values in drawn.items()}


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
