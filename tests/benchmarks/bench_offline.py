"""Three days without the collector on each board's own flash, then the back-fill: what is told, in what time?

    python tests/benchmarks/bench_offline.py [--hours 72] [--profile pico-w] [--without line] [--vm wasm]

The story and its account are those of tests/firmware/absence.py; the whole firmware runs on a MicroPython machine in
virtual time, with two firmware slots in the flash. Without --profile and --without: a Pico W and an ESP32, each once
without its line and once without the broker alone. About the machines see bench_soak.py.

Prints a table of each run and, as its last line, one JSON object; baseline is the limit of a back-fill, ratio the
longest over it. Ends with 1 where anything is missing or out of order, a body was dropped, a call-quality window
disturbed, the loop held up or the back-fill late.

`octets of a quiet batch` stands by its width in minutes, signature, header and body together. With the 18 targets of
the default plan a minute without the line takes some 400 octets, one with it 525 (each target once a minute; 580 as
often as the plan wants), ten minutes 430 and 600. Of those, header and signature are 277 (four hashes of 34, the
signature 64; an anchor takes 34 more), a target that does not answer is 5, one that does 14 to 17, a call-quality
window 46. Batches of up to five minutes keep their windows apart, and are the larger for it: 500 and 790 octets. Bodies
of version 1, which stated what the batch says already, took 690 and 935 a minute, 710 and 970 in ten.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "firmware"))

from absence import BACKFILL_LIMIT_S, Absence, be_absent, office_without
from machine import machine

PROFILES = ("pico-w", "esp32-devkitc")
WITHOUT = ("line", "broker")


def report(name: str, found: Absence, took_s: float) -> dict[str, object]:
    """Print one run; return its figures."""
    print(f"{name}: {found.hours:g} virtual hours in {took_s:.0f} s")
    figures: dict[str, object] = {
        "hours": found.hours,
        "batches": found.batches,
        "octets": found.octets,
        "full_detail_hours": round(found.full_detail_h, 1),
        "backfill_s": round(found.backfill_s),
        "windows_in_the_backfill": found.windows,
        "most_erases_of_a_block": found.erases_most,
        "problems": len(found.problems),
    }
    for key, value in figures.items():
        print(f"  {key.replace('_', ' '):32}{value!s:>10}")
    for minutes, (count, least, most) in found.octets_by_minutes.items():
        print(f"  octets of a quiet batch, {minutes:3} min {least:>10} to {most} ({count} batches)")
    for problem in found.problems[:20]:
        print(f"  PROBLEM  {problem}")
    sys.stdout.flush()
    return {**figures, "octets_of_quiet_batches": found.octets_by_minutes}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=72)
    parser.add_argument("--profile", choices=PROFILES, action="append")
    parser.add_argument("--without", choices=WITHOUT, action="append")
    parser.add_argument("--vm", choices=("unix", "wasm"), default="unix")
    options = parser.parse_args()
    here = machine()
    print(f"{here}; MicroPython on {options.vm}", flush=True)
    figures = {}
    problems = 0
    longest_s = 0.0
    for profile in options.profile or PROFILES:
        for without in options.without or WITHOUT:
            began_s = time.monotonic()
            with (
                tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder,
                office_without(Path(folder), profile, options.vm) as office,
            ):
                found = be_absent(office, options.hours, without == "line")
            name = f"{profile} without its {without}"
            figures[name] = report(name, found, time.monotonic() - began_s)
            problems += len(found.problems)
            longest_s = max(longest_s, found.backfill_s)
    result = {
        "benchmark": "offline", "machine": here, "vm": options.vm, "figures": figures, "baseline": BACKFILL_LIMIT_S,
        "ratio": round(longest_s / BACKFILL_LIMIT_S, 4),
    }  # fmt: skip
    print(json.dumps(result))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
