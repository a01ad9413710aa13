"""A day of the default plan and a month of a thinned one, in virtual time, with faults at random: what is missing?

    python tests/benchmarks/bench_soak.py [--hours 24] [--days 30] [--seed 1] [--profile pico-w] [--vm wasm]

Faults and account are those of tests/firmware/soak.py; the whole firmware runs on a MicroPython machine, TLS to its
broker and all, with the limits of the board's profile (UDP sockets, queue of datagrams, flash and its erase pauses;
what TLS takes from a Pico W's heap). Without --profile: a Pico W and an ESP32, one after the other. The unix machine is
64-bit: its objects are about twice as large as a board's, and its heap is roomy here, so that what lives is measured,
not what just fits; /boot.py is left out, for collecting every 16 KB costs it most of its time. The wasm machine is
32-bit and takes twice as long.

Prints a table of each run and, as its last line, one JSON object; baseline is what may be lost at most (what no board
has durable when the power goes: a batch that is being joined and the one after it, each boot), ratio what was lost of
that. Ends with 1 where anything else is missing, a task got stuck or was started again, the flash held the loop up for
more than 50 ms outside a housekeeping slot, anything of it met a call-quality window, or the heap grows: where all of
the interval of its slope lies above 1 KB a day.
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
from virtual_office import VirtualOffice, default_targets, make_plan, sparse_targets

GROWTH_OCTETS_A_DAY = 1024
ROOMY_KB = 1024
PROFILES = ("pico-w", "esp32-devkitc")
PLANS = {"default plan": (default_targets, 60, 1200), "thinned plan": (sparse_targets, 600, 14_400)}


def report(name: str, account: Account, took_s: float) -> dict[str, object]:
    """Print one run; return its figures."""
    print(f"{name}: {account.hours:g} virtual hours in {took_s:.0f} s")
    print("  faults: " + ", ".join(f"{way} {count}" for way, count in sorted(account.faults.items())))
    slope = account.heap_slope
    figures: dict[str, object] = {
        "virtual_hours": account.hours,
        "faults": sum(account.faults.values()),
        "boots": account.boots,
        "batches": account.batches,
        "bodies_trimmed_and_told": account.trimmed,
        "windows": account.windows,
        "windows_disturbed": account.disturbed,
        "signatures": account.signatures,
        "handshakes": account.handshakes,
        "erases": account.erases,
        "task_restarts": account.restarts,
        "not_durable_at_power_cuts_s": round(account.lost_us / 1e6, 1),
        "longest_stall_in_a_window_ms": round(account.stall_in_windows_us / 1000, 2),
        "longest_stall_outside_slots_ms": round(account.stall_outside_us / 1000, 1),
        "longest_stall_in_slots_ms": round(account.stall_us / 1000, 1),
        "most_erases_in_a_stall": account.most_erases_in_a_stall,
        "most_extra_batches_an_hour": account.most_extras_an_hour,
        "heap_median_octets": account.heap_median_octets,
        "heap_samples": slope.samples,
        "heap_slope_octets_a_day": None if slope.per_hour is None else round(slope.per_hour * 24),
        "heap_slope_95_percent_within": None if slope.half_width is None else round(slope.half_width * 24),
        "problems": len(account.problems),
    }
    for key, value in figures.items():
        print(f"  {key.replace('_', ' '):32}{value!s:>10}")
    for problem in account.problems[:20]:
        print(f"  PROBLEM  {problem}")
    sys.stdout.flush()
    return figures


def grows(account: Account) -> bool:
    """Whether the live heap does, beyond doubt."""
    slope = account.heap_slope
    if slope.per_hour is None or slope.half_width is None:
        return False
    return (slope.per_hour - slope.half_width) * 24 > GROWTH_OCTETS_A_DAY


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", choices=PROFILES, action="append")
    parser.add_argument("--minutes", type=float, default=1e6, help="of real time, after which a run ends early")
    parser.add_argument("--vm", choices=("unix", "wasm"), default="unix")
    options = parser.parse_args()
    here = machine()
    print(f"{here}; MicroPython on {options.vm}; seed {options.seed}", flush=True)
    figures: dict[str, dict[str, object]] = {}
    failed = False
    lost_us = allowed_us = 0
    for profile in options.profile or PROFILES:
        for plan, hours in (("default plan", options.hours), ("thinned plan", options.days * 24)):
            if not hours:
                continue
            targets, batch_s, fault_every_s = PLANS[plan]
            began_s = time.monotonic()
            unix = {"heap_kb": ROOMY_KB, "spare": {"/boot.py": b""}} if options.vm == "unix" else {}
            with (
                tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder,
                VirtualOffice(Path(folder), make_plan(targets(), batch_s), profile, vm=options.vm, **unix) as office,
            ):
                account = soak(office, hours, options.seed, fault_every_s, real_s=options.minutes * 60)
            name = f"{profile}, {plan}"
            figures[name] = report(name, account, time.monotonic() - began_s)
            failed = failed or bool(account.problems) or grows(account)
            lost_us += account.lost_us
            allowed_us += account.boots * HELD_US
    result = {
        "benchmark": "soak", "machine": here, "vm": options.vm, "figures": figures, "baseline": allowed_us // 1_000_000,
        "ratio": round(lost_us / max(1, allowed_us), 4),
    }  # fmt: skip
    print(json.dumps(result))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
