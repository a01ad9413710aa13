"""Fifty deaths of collector, broker and board at random moments; then every batch and reading is looked for.

    python tests/benchmarks/bench_chaos.py [--rounds 50] [--seed 1] [--vm wasm|unix] [--engine mosquitto|amqtt]

What dies and how is in tests/simulations/chaos.py. Prints what was counted and, as its last line, one JSON object. The
baseline is what no witness can avoid to lose: what it measured since its last batch, at most a batch's time and the
making of it; ratio is the worst loss over that. Ends with 1 where anything acknowledged, or any reading, is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "simulations"))

from chaos import Chaos
from chaos_account import DEAD_US, Account
from machine import machine

from simulations.board.vms import available_vms


def report(account: Account, rounds: int) -> dict[str, object]:
    """Print the account; return its figures."""
    for way, count in sorted(account.deaths.items()):
        print(f"{way:>10} died {count} times")
    dead_s = sorted(us / 1e6 for us in account.dead_us) or [0.0]
    figures: dict[str, object] = {
        "rounds": rounds,
        "power_cuts": account.lives,
        "power_cuts_before_first_batch": len(account.silent_us),
        "batches_in_ledger": account.batches,
        "batches_in_flash": account.journalled,
        "acknowledgements_heard": account.acknowledged,
        "acknowledged_again": account.sent_again,
        "samples": account.samples,
        "longest_without_sample_s": round(account.gap_us / 1e6, 2),
        "longest_life_without_batch_s": round(max(account.silent_us, default=0) / 1e6, 2),
        "lost_before_cut_median_s": round(dead_s[len(dead_s) // 2], 2),
        "lost_before_cut_worst_s": round(dead_s[-1], 2),
        "problems": len(account.problems),
    }
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):32}{value:>10}")
    for problem in account.problems:
        print(f"PROBLEM  {problem}")
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vm", choices=("wasm", "unix"), default=available_vms()[-1])
    parser.add_argument("--engine", choices=("mosquitto", "amqtt"), help="default: mosquitto where there is one")
    options = parser.parse_args()
    here = machine()
    print(f"{here}; board: MicroPython on {options.vm}; seed {options.seed}")
    began_s = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder,
        Chaos(Path(folder) / "chaos", options.vm, options.seed, options.engine) as chaos,
    ):
        chaos.rounds(options.rounds)
        account = chaos.account()
    figures = report(account, options.rounds)
    print(f"{time.monotonic() - began_s:.0f} s in all")
    worst_s = float(str(figures["lost_before_cut_worst_s"]))
    baseline_s = DEAD_US / 1e6
    result = {
        "benchmark": "chaos", "machine": here, "figures": figures, "baseline": baseline_s,
        "ratio": round(worst_s / baseline_s, 3),
    }  # fmt: skip
    print(json.dumps(result))
    return 1 if account.problems else 0


if __name__ == "__main__":
    sys.exit(main())
