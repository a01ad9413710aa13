"""A thousand days of a board's clock: does its error bound hold the error at every moment, and how tight is it?

    python tests/benchmarks/bench_clock.py [--days 1000] [--vm-hours 2]

The days are those of tests/firmware/clock_days.py: a crystal wrong by up to 160 ppm, four servers over jittery and
lossy paths, one of which lies or leaps, late first answers. The firmware's own clock.py and sync.py run on CPython,
where a day takes a part of a second; then the whole firmware runs on the MicroPython machine in virtual time for a
while, with one of three servers that leaps by a minute, and every header's UTC is held against the truth. The baseline
is a naive client of one server, which believes its last answer to half a round trip: ratio is our broken moments over
its. Ends with 1 where a bound was broken.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "firmware"))

from clock_days import Day
from machine import machine
from virtual_office import VirtualOffice, make_plan, thin_targets

LEAP_US = 60_000_000


def a_day(seed: int) -> tuple[int, int, int, int, int, int, int, int, int]:
    """One day's figures, small enough to be handed between processes."""
    outcome = Day(seed).run()
    bounds_us, errors_us = sorted(outcome.bounds_us), sorted(outcome.errors_us)
    middle = len(bounds_us) // 2
    return (
        outcome.asked, len(outcome.errors_us), len(outcome.broken_us), bounds_us[middle], bounds_us[middle * 99 // 50],
        errors_us[middle], outcome.naive_broken, outcome.naive_worst_us, outcome.refused,
    )  # fmt: skip


def on_the_machine(folder: Path, hours: float) -> tuple[int, int, int]:
    """(headers with UTC, the worst share of its bound that an error took in percent, refusals told) of the firmware."""
    with VirtualOffice(folder, make_plan(thin_targets(), 60)) as office:
        office.times[2].offset_us = lambda now_us: LEAP_US if now_us > 600_000_000 else 0
        office.run_s(hours * 3600)
        worst_percent = 0
        headers = [batch.header for batch in office.batches if batch.header.clock.utc_us is not None]
        for header in headers:
            clock = header.clock
            # In virtual time the crystal is exact: what is left is the paths' asymmetry and jitter.
            error_us = abs(clock.utc_us - office.utc_us(header.end_us))
            worst_percent = max(worst_percent, error_us * 100 // clock.bound_us)
        refused = sum(len(batch.events(7)) for batch in office.batches)
    return len(headers), worst_percent, refused


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=1000)
    parser.add_argument("--vm-hours", type=float, default=2)
    options = parser.parse_args()
    here = machine()
    print(here, flush=True)
    began_s = time.monotonic()
    with ProcessPoolExecutor() as pool:
        days = list(pool.map(a_day, range(options.days), chunksize=4))
    moments = sum(day[0] for day in days)
    broken_days, broken = sum(day[2] > 0 for day in days), sum(day[2] for day in days)
    medians_ms = sorted(day[3] / 1000 for day in days)
    figures: dict[str, object] = {
        "days": options.days,
        "moments": moments,
        "moments_with_utc": sum(day[1] for day in days),
        "days_with_a_broken_bound": broken_days,
        "moments_with_a_broken_bound": broken,
        "bound_median_ms": round(medians_ms[len(medians_ms) // 2], 1),
        "bound_p99_worst_day_ms": round(max(day[4] for day in days) / 1000, 1),
        "error_median_ms": round(sorted(day[5] for day in days)[len(days) // 2] / 1000, 2),
        "liars_refused": sum(day[8] for day in days),
        "naive_days_with_a_broken_bound": sum(day[6] > 0 for day in days),
        "naive_moments_with_a_broken_bound": sum(day[6] for day in days),
        "naive_worst_error_s": round(max(day[7] for day in days) / 1e6, 1),
    }
    if options.vm_hours:
        with tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder:
            headers, worst_percent, refused = on_the_machine(Path(folder), options.vm_hours)
        figures |= {"machine_hours": options.vm_hours, "machine_headers": headers,
                    "machine_worst_error_percent_of_bound": worst_percent, "machine_refusals": refused}  # fmt: skip
        broken += worst_percent > 100
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):40}{value:>12}")
    print(f"{time.monotonic() - began_s:.0f} s in all")
    baseline = int(str(figures["naive_moments_with_a_broken_bound"]))
    result = {
        "benchmark": "clock", "machine": here, "figures": figures, "baseline": baseline,
        "ratio": round(broken / max(1, baseline), 6),
    }  # fmt: skip
    print(json.dumps(result))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
