"""Whose side was it: the method of `linewitness settle` on worlds that no tuning has seen, beside simpler ones.

    python tests/benchmarks/bench_settle.py [--part score|ablation|fleet|speed|ends ...] [--style home|abroad|blind ...]
        [--quick] [--seed N] [--worlds N] [--sites 200] [--days 14] [--step 60]

score     per style (home: other seeds only; abroad: other ranges and kinds; blind: everything drawn anew for each
          seed, with kinds that neither has) every measure beside its goal, for ours, a rule of segment differences at
          one site (baseline-b) and the naive rule; blind has as many worlds as make 300 causes
ablation  blind: the same method with every site alone, and without each source of evidence in turn
fleet     blind: fleets of 1, 2, 5, 20 and 200 sites
speed     processor time and peak memory by size, each world settled by a process of its own; a year of 1,000 sites is
          extrapolated
ends      the bounds of a breach's ends and the claimed time at the default cadence, through the ledger's path

Without --part all of them, without --seed new seeds in each run; they are printed, so that a run can be repeated.
Everything takes about half an hour of one core, --quick (small worlds, for a look) about two minutes.
Worlds are made in a temporary folder, one at a time, and deleted. In brackets: 95 % intervals by bootstrap over causes
(minutes and credits: over sites). The last line is one JSON object; baseline is baseline-b's share of false blame in
the blind worlds, ratio is baseline / ours, above 1 where ours is better.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import settle_ends
import settle_speed
import settle_worlds
from machine import machine
from settle_worlds import GOALS, Measured, Method, recipe

from linewitness.settle.attribution.rounds import SOURCES
from simulations.branch.generate import Recipe
from simulations.branch.methods import METHODS, POSTS, settle

PARTS = ("score", "ablation", "fleet", "speed", "ends")
STYLES = ("home", "abroad", "blind")
OURS, BASELINE = "linewitness", "baseline-b"
WORLDS = {"home": 1, "abroad": 1, "blind": 6}
BASELINE_WORLDS = 1  # they are far from any goal, and slow to judge
SIMPLE_WORLDS = dict.fromkeys((BASELINE, "naive"), BASELINE_WORLDS)
FLEETS = ((1, 24), (2, 16), (5, 8), (20, 4), (200, 1))  # sites, worlds
QUICK_FLEETS = ((1, 4), (20, 1))
FLEET_ROWS = ("FB_worse", "FB_incidents", "acc_ident", "wrong_ident", "abstain_ident", "macroF1", "missed")
ABLATION_ROWS = (*FLEET_ROWS, "FB_decoys", "ECE")
STORIES = 120
SEED_STRIDE = 10_000  # between parts, so that none sees another's worlds


def main(arguments: list[str] | None = None) -> int:
    """Run the parts, print their tables and the JSON line."""
    args = options(arguments)
    base = args.seed if args.seed is not None else secrets.randbelow(2**31)
    print(f"{machine()}; seed {base}")
    found: dict[str, object] = {}
    blame: dict[str, object] = {}
    for number, part in enumerate(PARTS):
        if part not in args.part:
            continue
        began = time.perf_counter()
        seed = base + number * SEED_STRIDE
        if part == "score":
            found[part], blame = score_part(args, seed)
        else:
            found[part] = {"ablation": ablation, "fleet": fleet, "speed": speed, "ends": ends}[part](args, seed)
        print(f"({part}: {time.perf_counter() - began:.0f} s)\n", flush=True)
    ours, baseline = blame.get(OURS), blame.get(BASELINE)
    ratio = round(baseline / ours, 3) if isinstance(ours, float) and isinstance(baseline, float) and ours else None
    print(json.dumps({
        "benchmark": "settle", "seed": base, "sites": args.sites, "days": args.days, "step_s": args.step,
        "unit": "share of provider or carrier blame that is false, blind worlds",
        "ours": ours, "baseline": baseline, "ratio": ratio, "parts": found,
    }))  # fmt: skip
    return 0


def options(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options; --quick makes everything small."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--style", nargs="+", choices=STYLES, default=list(STYLES), help="of the part score")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, help="the first world's seed; the others follow")
    parser.add_argument("--worlds", type=int, help="worlds of each style; 1, blind 6")
    parser.add_argument("--sites", type=int)
    parser.add_argument("--days", type=int)
    parser.add_argument("--step", type=int, default=60, help="seconds a round")
    args = parser.parse_args(arguments)
    args.sites = args.sites or (40 if args.quick else 200)
    args.days = args.days or (3 if args.quick else 14)
    return args


def worlds(args: argparse.Namespace, style: str, seed: int, count: int, sites: int | None = None) -> Iterator[Recipe]:
    """Yield the recipes of that many worlds."""
    for number in range(count):
        yield recipe(style, seed + number, sites or args.sites, args.days, args.step)


def score_part(args: argparse.Namespace, seed: int) -> tuple[dict[str, object], dict[str, object]]:
    """Print a table for each style; return all figures, and the blind worlds' false blame by method."""
    figures: dict[str, object] = {}
    blame: dict[str, object] = {}
    for number, style in enumerate(STYLES):
        if style not in args.style:
            continue
        count = args.worlds or (1 if args.quick else WORLDS[style])
        found = settle_worlds.run(worlds(args, style, seed + 1000 * number, count), METHODS, SIMPLE_WORLDS)
        fewer = f" (naive and baseline-b: the first {BASELINE_WORLDS})" if count > BASELINE_WORLDS else ""
        print(f"{style}: {count} worlds of {args.sites} sites x {args.days} days, {args.step} s rounds{fewer}")
        print("\n".join(settle_worlds.table(found, OURS)))
        print("\n".join(settle_worlds.confusion(found[OURS])))
        print(flush=True)
        figures[style] = {name: measured.figures() for name, measured in found.items()}
        if style == "blind":
            blame = {name: measured.values["FB_worse"] for name, measured in found.items()}
    return figures, blame


def ablation(args: argparse.Namespace, seed: int) -> dict[str, object]:
    """Print what each source of evidence is worth: a variant a row."""
    variants: dict[str, Method] = {"everything": settle, "every site alone": partial(settle, pooling=False)}
    for source in (*SOURCES, POSTS):
        variants[f"without {source}"] = partial(settle, without=frozenset({source}))
    count = args.worlds or 1
    found = settle_worlds.run(worlds(args, "blind", seed, count), variants)
    print(f"what each source of evidence is worth: {count} blind worlds of {args.sites} sites x {args.days} days")
    rows(found, ABLATION_ROWS)
    return {name: measured.figures() for name, measured in found.items()}


def fleet(args: argparse.Namespace, seed: int) -> dict[str, object]:
    """Print how it does by the size of the fleet: a size a row."""
    found = {}
    for number, (sites, count) in enumerate(QUICK_FLEETS if args.quick else FLEETS):
        made = worlds(args, "blind", seed + 1000 * number, count, sites)
        found[f"{sites} sites x {count} worlds"] = settle_worlds.run(made, {OURS: settle})[OURS]
    print("by size of the fleet: blind worlds")
    rows(found, FLEET_ROWS)
    return {name: measured.figures() for name, measured in found.items()}


def rows(found: dict[str, Measured], names: tuple[str, ...]) -> None:
    """Print measures as columns."""
    goals = {name: f"{GOALS[name][1]} {GOALS[name][2]:g}" if name in GOALS else "" for name in names}
    print(f"{'':24}" + "".join(f"{name:>25}" for name in names))
    print(f"{'goal':24}" + "".join(f"{goals[name]:>25}" for name in names))
    for label, measured in found.items():
        print(f"{label:24}" + "".join(f"{measured.cell(name):>25}" for name in names))


def speed(args: argparse.Namespace, seed: int) -> dict[str, object]:
    """Print times and memory."""
    found = settle_speed.measure(seed, args.step, args.quick)
    print("\n".join(settle_speed.table(found)))
    return settle_speed.figures(found)


def ends(args: argparse.Namespace, seed: int) -> dict[str, object]:
    """Print how well the ends of a breach are known."""
    found = settle_ends.measure(seed, 10 if args.quick else STORIES)
    print("ends of a breach at the default cadence, by the side that failed")
    print("\n".join(settle_ends.table(found)))
    return dict(found)


if __name__ == "__main__":
    sys.exit(main())
