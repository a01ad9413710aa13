"""python -m simulations.branch: make worlds of branch offices with known truth, settle them, score what was said.

make     --seed N --out WORLD [--sites 200] [--days 14] [--step 60] [--kinds home] [--style home ...] [--csv]
settle   WORLD --out verdicts.jsonl
score    WORLD verdicts.jsonl [--intervals]
compare  WORLD OTHER
kinds
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from linewitness.errors import LinewitnessError, UsageProblem
from simulations.branch import blind, compare, faults, generate, measures, methods, score, style, world

METHOD = "linewitness"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    args = parser().parse_args(arguments)
    try:
        args.run(args)
    except LinewitnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the commands and their options."""
    top = argparse.ArgumentParser(prog="python -m simulations.branch", description=__doc__.splitlines()[0])
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    made = commands.add_parser("make", help="make a world")
    made.add_argument("--seed", type=int, required=True)
    made.add_argument("--out", type=Path, required=True, metavar="WORLD")
    made.add_argument("--sites", type=int, default=200)
    made.add_argument("--days", type=int, default=14)
    made.add_argument("--step", type=int, default=60, help="seconds a round")
    made.add_argument("--kinds", default="home", help="home, abroad, blind, all or names with commas (see `kinds`)")
    made.add_argument("--style", nargs="+", default=["home"], metavar=("NAME", "PARAMETER=VALUE"))
    made.add_argument("--csv", action="store_true", help="write .csv.gz instead of .npz")
    made.set_defaults(run=run_make)
    settled = commands.add_parser("settle", help="say whose side it was, for every site of a world")
    settled.add_argument("world", type=Path, metavar="WORLD")
    settled.add_argument("--out", type=Path, required=True, metavar="FILE")
    settled.add_argument("--method", choices=sorted(methods.METHODS), default=METHOD)
    settled.set_defaults(run=run_settle)
    scored = commands.add_parser("score", help="measure verdicts against the truth")
    scored.add_argument("world", type=Path, metavar="WORLD")
    scored.add_argument("verdicts", type=Path, metavar="FILE")
    scored.add_argument("--json", action="store_true", help="everything, as one JSON object")
    scored.add_argument("--intervals", action="store_true", help="95 %% intervals by bootstrap over causes")
    scored.set_defaults(run=run_score)
    compared = commands.add_parser("compare", help="set a world's statistics beside another's")
    compared.add_argument("world", type=Path, metavar="WORLD")
    compared.add_argument("other", type=Path, metavar="OTHER")
    compared.set_defaults(run=run_compare)
    listed = commands.add_parser("kinds", help="list the kinds of fault")
    listed.set_defaults(run=run_kinds)
    return top


def run_make(args: argparse.Namespace) -> None:
    """Make one world."""
    try:
        kinds = faults.select(args.kinds)
    except KeyError as error:
        raise UsageProblem(f"no kind of fault {error}", "--kinds", "one that `kinds` lists") from error
    try:
        chosen = blind.draw_style(args.seed) if args.style == ["blind"] else style.parse_style(args.style)
    except (KeyError, ValueError) as error:
        raise UsageProblem(
            f"no such style or parameter: {error}", "--style", "home, abroad or blind; after the first two NAME=VALUE"
        ) from error
    if min(args.sites, args.days, args.step) < 1 or 86400 % args.step:
        raise UsageProblem("sites and days from 1, a step that divides a day", "--sites, --days, --step", "--step 60")
    recipe = generate.Recipe(args.seed, args.sites, args.days, args.step, kinds, chosen)
    generate.make(recipe, args.out, text=args.csv, progress=progress)
    print(file=sys.stderr)


def run_settle(args: argparse.Namespace) -> None:
    """Write verdicts."""
    world.write_lines(args.out, methods.METHODS[args.method](world.open_world(args.world)))


def run_score(args: argparse.Namespace) -> None:
    """Print the measures."""
    found = score.records(args.world, world.read_lines(args.verdicts))
    measured = measures.measures(found)
    bounds = measures.intervals(found) if args.intervals else {}
    if args.json:
        print(json.dumps(measured | {"intervals": bounds}))
        return
    for name, value in measured.items():
        if not isinstance(value, dict):
            text = f"{value:.4f}" if isinstance(value, float) else str(value)
            between = "  [{:.4f}, {:.4f}]".format(*bounds[name]) if name in bounds else ""
            print(f"{name:30} {text}{between}")


def run_compare(args: argparse.Namespace) -> None:
    """Print two worlds' statistics side by side."""
    print(compare.table(args.world, args.other))


def run_kinds(_: argparse.Namespace) -> None:
    """Print the table of faults."""
    for kind in faults.KINDS.values():
        low, high = kind.minutes
        where = next(name for name, kinds in faults.SETS.items() if kind in kinds)
        print(f"{kind.name:26} {kind.side:16} {kind.scope:12} {low:g}-{high:g} min  {where:7} {' '.join(kind.effects)}")


def progress(line: str) -> None:
    """Overwrite the progress line on a terminal; say nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r{line}", end="", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
