"""Worlds made, settled, scored and thrown away one by one, for bench_settle.py; nothing stays but the records."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from simulations.branch import blind, measures, score, world
from simulations.branch.faults import select
from simulations.branch.generate import Recipe, make
from simulations.branch.style import STYLES
from simulations.branch.world import Line, World

Method = Callable[[World], Iterator[Line]]
Interval = tuple[float, float]

# measure: (words, sign, goal on worlds that no tuning has seen)
GOALS: dict[str, tuple[str, str, float]] = {
    "FB_worse": ("provider or carrier blame that is false", "<=", 0.005),
    "FB_incidents": ("others' incidents blamed on the provider", "<=", 0.001),
    "FB_min_site_month": ("false provider minutes, site and month", "<=", 1.0),
    "acc_ident": ("accuracy on what can be told", ">=", 0.92),
    "wrong_ident": ("wrong side on what can be told", "<=", 0.01),
    "macroF1": ("macro-F1", ">=", 0.88),
    "abstain_ident": ("undetermined where it can be told", "<=", 0.05),
    "IoU": ("interval overlap, mean IoU", ">=", 0.93),
    "start_err_med_s": ("start error, median s", "<=", 25.0),
    "sla_mae_min_month": ("SLA minutes error, site and month", "<=", 60.0),
    "credit_over": ("credit over-claimed, share of sites", "<=", 0.005),
    "ECE": ("calibration error", "<=", 0.03),
}
# No goal of their own, but needed to read the others.
ALSO: dict[str, str] = {
    "FB_verdicts": "false blame by verdicts",
    "FB_minutes": "false blame by minutes",
    "FB_decoys": "decoys blamed on the provider",
    "acc": "accuracy on all",
    "missed": "incidents given no verdict",
    "incidents": "incidents",
    "PF_causes": "distinct provider or carrier causes",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What one method came to over some worlds."""

    values: dict[str, object]
    bounds: dict[str, Interval]
    seconds: float

    def cell(self, name: str) -> str:
        """Return value and interval as a table's cell."""
        value = self.values[name]
        text = f"{value:.4f}" if isinstance(value, float) else str(value)
        if name in self.bounds:
            low, high = self.bounds[name]
            text += f" [{low:.4f}, {high:.4f}]"
        return text

    def meets(self, name: str) -> bool:
        """Return whether a goal is met by the value itself."""
        _, sign, goal = GOALS[name]
        value = self.values[name]
        if not isinstance(value, int | float):
            return False
        return value <= goal if sign == "<=" else value >= goal

    def figures(self) -> dict[str, object]:
        """Return everything for the JSON line."""
        named = {name: self.values[name] for name in (*GOALS, *ALSO)}
        counts = {name: self.values[name] for name in ("FB_verdict_n", "FB_incident_n", "FB_decoy_n", "confusion")}
        return named | counts | {"intervals": self.bounds, "seconds": round(self.seconds, 1)}


def recipe(style: str, seed: int, sites: int, days: int, step_s: int) -> Recipe:
    """Return the recipe of a world of that style: home, abroad or blind."""
    chosen = blind.draw_style(seed) if style == "blind" else STYLES[style]
    return Recipe(seed, sites, days, step_s, select(style), chosen)


def run(
    recipes: Iterable[Recipe], methods: Mapping[str, Method], worlds: Mapping[str, int] | None = None
) -> dict[str, Measured]:
    """Return what each method comes to over all of the worlds together, or the first so many for those that `worlds`
    names; one world is on disk at a time."""
    most = worlds or {}
    parts: dict[str, list[score.Records]] = {name: [] for name in methods}
    seconds = dict.fromkeys(methods, 0.0)
    for number, made in enumerate(recipes):
        with tempfile.TemporaryDirectory(prefix="linewitness-world-") as folder:
            path = Path(folder)
            make(made, path)
            for name, method in methods.items():
                if number >= most.get(name, number + 1):
                    continue
                began = time.perf_counter()
                verdicts = list(method(world.open_world(path)))
                seconds[name] += time.perf_counter() - began
                parts[name].append(score.records(path, verdicts))
        print(f"  seed {made.seed}: {made.sites} sites x {made.days} days done", file=sys.stderr, flush=True)
    return {name: measured(measures.pooled(found), seconds[name]) for name, found in parts.items()}


def measured(found: score.Records, seconds: float) -> Measured:
    """Return the figures of some records."""
    bounds = measures.intervals(found) | measures.other_intervals(found)
    return Measured(measures.measures(found), bounds, seconds)


def table(columns: Mapping[str, Measured], judged: str) -> Iterator[str]:
    """Yield a table, a measure a row beside its goal; `judged` is the column whose goals are ticked."""
    width = max(36, *(len(name) + 2 for name in columns))
    yield f"{'':42}{'goal':>9} " + "".join(f"{name:>{width}}" for name in columns)
    for name, (words, sign, goal) in GOALS.items():
        cells = "".join(f"{column.cell(name):>{width}}" for column in columns.values())
        tick = "met" if columns[judged].meets(name) else "MISSED"
        yield f"{words:42}{sign + f' {goal:g}':>9} {cells}  {tick}"
    for name, words in ALSO.items():
        yield f"{words:42}{'':>9} " + "".join(f"{column.cell(name):>{width}}" for column in columns.values())


def confusion(found: Measured) -> Iterator[str]:
    """Yield the confusion by side: what was true a row, what was said a column."""
    counts = found.values["confusion"]
    assert isinstance(counts, dict)
    said = list(next(iter(counts.values())))
    yield f"{'true, said':12}" + "".join(f"{side:>14}" for side in said)
    for side, row in counts.items():
        yield f"{side:12}" + "".join(f"{row[other]:14}" for other in said)
