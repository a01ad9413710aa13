"""The default plan for a virtual hour in a hard heap as large as the boards': does anything ever find no memory?

    python tests/benchmarks/bench_hour.py [--minutes 60] [--search-minutes 5]

The machine is a 32-bit MicroPython with the firmware frozen in (frozen_vm.py); its heap can't grow: what
hardware/boards/*.toml says that the firmware may count on, and what the virtual board's own runtime takes. The office
is that of tests/firmware/virtual_office.py, its broker with TLS, whose buffers a Pico W's heap has to hold.

Prints for each board what was measured, the live heap less the runtime's, and the least heap in which a few minutes
pass: how far the stated one is from not being enough. The last line is one JSON object; baseline is the stated heap of
the smallest board, ratio the least heap of that. Ends with 1 where an allocation failed, a task died, the board
restarted or a batch is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "firmware"))

import frozen_vm
from machine import machine
from virtual_office import VirtualOffice, default_targets, make_plan

from linewitness_wire import codes
from simulations.board.machine import RUNTIME_HEAP_KB
from simulations.board.profile import load_profile

PROFILES = ("esp32-devkitc", "pico-w")
MEASURED_EVERY_S = 30
STEP_KB = 4


def run(profile: str, minutes: float, heap_kb: int) -> tuple[list[str], list[int], int]:
    """Return what went wrong, live heaps in octets with the runtime's, and how many batches came."""
    heaps: list[int] = []
    with (
        tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder,
        VirtualOffice(Path(folder), make_plan(default_targets()), profile, vm="unix", heap_kb=heap_kb) as office,
    ):
        end_us = office.now_us + round(minutes * 60e6)
        while office.now_us < end_us and not _failed(office):
            office.run_s(MEASURED_EVERY_S)
            office.device.ask_heap(heaps.append)
        if not _failed(office):
            office.run_until(office.caught_up, 600, must=False)
        problems = _failed(office) + office.holes()
        problems += [] if office.caught_up() else ["the newest batch did not come"]
        problems += [f"task {event[2]} died" for batch in office.batches for event in batch.body.events
                     if event[0] == codes.EVENT_TASK]  # fmt: skip
        return problems, heaps, len(office.batches)


def _failed(office: VirtualOffice) -> list[str]:
    failed = ["an allocation failed"] if "MemoryError" in office.text else []
    return failed + (["restarted"] if office.device.boots > 1 else [])


def least_kb(profile: str, minutes: float, enough_kb: int) -> int:
    """The least heap, in steps of STEP_KB below one that is enough, in which so many minutes pass."""
    low, high = 0, enough_kb // STEP_KB
    while high - low > 1:
        middle = (low + high) // 2
        if run(profile, minutes, middle * STEP_KB)[0]:
            low = middle
        else:
            high = middle
    return high * STEP_KB


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--search-minutes", type=float, default=5)
    options = parser.parse_args()
    os.environ["LINEWITNESS_MICROPYTHON"] = str(frozen_vm.build())
    here = machine()
    print(f"{here}\n32-bit MicroPython, the firmware frozen in, the default plan, {options.minutes:g} virtual minutes")
    figures: dict[str, object] = {}
    sound = True
    for profile in PROFILES:
        stated_kb = load_profile(profile).heap_kb
        began_s = time.monotonic()
        problems, heaps, batches = run(profile, options.minutes, stated_kb)
        took_s = time.monotonic() - began_s
        least = least_kb(profile, options.search_minutes, stated_kb) if not problems else None
        name = profile.replace("-", "_")
        found = {
            f"{name}_stated_heap_kib": stated_kb,
            f"{name}_least_heap_kib": least,
            f"{name}_highest_live_kib": round(max(heaps) / 1024 - RUNTIME_HEAP_KB, 1),
            f"{name}_batches": batches,
            f"{name}_problems": len(problems),
        }
        print(f"\n{profile}, {took_s:.0f} s")
        for key, value in found.items():
            print(f"  {key.removeprefix(name + '_').replace('_', ' '):24}{value!s:>10}")
        for problem in problems[:20]:
            print(f"  PROBLEM  {problem}")
        figures |= found
        sound = sound and not problems
    smallest = min(PROFILES, key=lambda profile: load_profile(profile).heap_kb)
    baseline = load_profile(smallest).heap_kb
    needed = figures[f"{smallest.replace('-', '_')}_least_heap_kib"]
    ratio = round(needed / baseline, 3) if isinstance(needed, int) else None
    print(json.dumps({"benchmark": "hour", "machine": here, "figures": figures, "baseline": baseline, "ratio": ratio}))
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
