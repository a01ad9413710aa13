"""A day of the default plan and a month of a thinned one, in virtual time, with faults at random: what is missing?

    python tests/benchmarks/bench_soak.py [--hours 24] [--days 30] [--seed 1] [--profile pico-w]

The faults and the account are those of tests/firmware/soak.py; the whole firmware runs on the MicroPython machine with
the limits of the board's profile (UDP sockets, queue of four datagrams, flash, erase pauses). Prints a table of each
run and, as its last line, one JSON object; baseline is what may be lost at most (what no board has durable when the
power goes: a batch that is being joined and the one after it, each boot), ratio what was lost of that. Ends with 1
where anything else is missing, a task got stuck or the heap drifts by more than 4 KB.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "firmware"))

from machine import machine
from soak import HELD_US, Account, soak
from virtual_office import VirtualOffice, default_targets, make_plan, thin_targets

DRIFT_OCTETS = 4096


def report(name: str, account: Account, took_s: float) -> dict[str, object]:
    """Print one run; return its figures."""
    print(f"{name}: {account.hours:g} virtual hours in {took_s:.0f} s")
    print("  faults: " + ", ".join(f"{way} {count}" for way, count in sorted(account.faults.items())))
    figures: dict[str, object] = {
        "virtual_hours": account.hours,
        "faults": sum(account.faults.values()),
        "boots": account.boots,
        "batches": account.batches,
        "bodies_trimmed_and_told": account.trimmed,
        "windows": account.windows,
        "task_restarts": account.restarts,
        "not_durable_at_power_cuts_s": round(account.lost_us / 1e6, 1),
        "longest_stall_in_a_window_ms": round(account.stall_in_windows_us / 1000, 2),
        "longest_stall_ms": round(account.stall_us / 1000, 1),
        "most_extra_batches_an_hour": account.most_extras_an_hour,
        "heap_drift_octets": account.heap_drift_octets,
        "problems": len(account.problems),
    }
    for key, value in figures.items():
        print(f"  {key.replace('_', ' '):32}{value:>10}")
    for problem in account.problems[:20]:
        print(f"  PROBLEM  {problem}")
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="pico-w")
    options = parser.parse_args()
    here = machine()
    print(f"{here}; {options.profile}; seed {options.seed}", flush=True)
    figures: dict[str, dict[str, object]] = {}
    failed = False
    lost_us = allowed_us = 0
    for name, targets, hours, every_s in (
        ("default plan", default_targets(), options.hours, 1200),
        ("thinned plan", thin_targets(), options.days * 24, 14_400),
    ):
        if not hours:
            continue
        began_s = time.monotonic()
        with (
            tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder,
            VirtualOffice(Path(folder), make_plan(targets), options.profile) as office,
        ):
            account = soak(office, hours, options.seed, every_s)
        figures[name] = report(name, account, time.monotonic() - began_s)
        failed = failed or bool(account.problems) or account.heap_drift_octets > DRIFT_OCTETS
        lost_us += account.lost_us
        allowed_us += account.boots * HELD_US
    result = {
        "benchmark": "soak", "machine": here, "figures": figures, "baseline": allowed_us // 1_000_000,
        "ratio": round(lost_us / max(1, allowed_us), 4),
    }  # fmt: skip
    print(json.dumps(result))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
