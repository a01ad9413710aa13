"""Whose side was it: methods of attribution on worlds that no tuning has seen.

    python tests/benchmarks/bench_settle.py [--worlds 3] [--sites 200] [--days 14] [--seed N] [--style abroad]

Every world is made afresh with the other ranges and with kinds of fault that the home set hasn't; without --seed the
seeds are new in each run and printed, so that a run can be repeated. Prints a table of each measure over all worlds,
with its 95 % interval by bootstrap over causes, and as its last line one JSON object; baseline is the naive rule's
share of false blame, ratio is baseline / ours, above 1 where ours is better.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from simulations.branch import measures, score, world
from simulations.branch.baselines import METHODS
from simulations.branch.faults import select
from simulations.branch.generate import Recipe, make
from simulations.branch.style import STYLES

ROWS = (
    "FB_worse", "FB_verdicts", "FB_minutes", "FB_incidents", "FB_decoys", "acc", "acc_ident", "wrong_ident",
    "abstain_ident", "macroF1", "IoU", "ECE", "FB_min_site_month", "start_err_med_s", "sla_mae_min_month",
    "credit_over", "PF_causes", "incidents",
)  # fmt: skip
FIRST = "naive"


def run(arguments: list[str] | None = None) -> int:
    """Make the worlds, settle each with every method, print the table."""
    args = options(arguments)
    base = args.seed if args.seed is not None else secrets.randbelow(2**31)
    found: dict[str, list[score.Records]] = {name: [] for name in METHODS}
    seconds: dict[str, float] = dict.fromkeys(METHODS, 0.0)
    for number in range(args.worlds):
        with tempfile.TemporaryDirectory() as folder:
            path, kinds = Path(folder), select(args.style)
            began = time.perf_counter()
            make(Recipe(base + number, args.sites, args.days, args.step, kinds, STYLES[args.style]), path)
            print(f"world {base + number}: made in {time.perf_counter() - began:.1f} s", file=sys.stderr)
            for name, method in METHODS.items():
                began = time.perf_counter()
                verdicts = list(method(world.open_world(path)))
                seconds[name] += time.perf_counter() - began
                found[name].append(score.records(path, verdicts))
    whole = {name: measures.pooled(parts) for name, parts in found.items()}
    values = {name: measures.measures(records) for name, records in whole.items()}
    bounds = {name: measures.intervals(records) for name, records in whole.items()}
    show(values, bounds)
    last = list(METHODS)[-1]
    baseline, ours = values[FIRST]["FB_worse"], values[last]["FB_worse"]
    print(json.dumps({
        "benchmark": "settle", "style": args.style, "seed": base, "worlds": args.worlds, "sites": args.sites,
        "days": args.days, "step_s": args.step, "method": last,
        "unit": "share of provider or carrier blame that is false",
        "ours": ours, "baseline": baseline, "ratio": round(baseline / ours, 3) if ours else None,
        "methods": {
            name: {row: values[name][row] for row in ROWS}
            | {"intervals": bounds[name], "s_per_world": round(seconds[name] / args.worlds, 2)}
            for name in METHODS
        },
    }))  # fmt: skip
    return 0


def options(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=3)
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--step", type=int, default=60, help="seconds a round")
    parser.add_argument("--seed", type=int, help="the first world's seed; the others follow")
    parser.add_argument("--style", choices=sorted(STYLES), default="abroad")
    return parser.parse_args(arguments)


def show(values: dict[str, dict[str, object]], bounds: dict[str, dict[str, tuple[float, float]]]) -> None:
    """Print the table: a measure a row, a method a column."""
    print(f"{'':22}" + "".join(f"{name:>28}" for name in values))
    for row in ROWS:
        cells = []
        for name, figures in values.items():
            value = figures[row]
            text = f"{value:.4f}" if isinstance(value, float) else str(value)
            if row in bounds[name]:
                low, high = bounds[name][row]
                text += f" [{low:.4f}, {high:.4f}]"
            cells.append(f"{text:>28}")
        print(f"{row:22}" + "".join(cells))


if __name__ == "__main__":
    sys.exit(run())
