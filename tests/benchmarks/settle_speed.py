"""How long settling takes and how much memory, for bench_settle.py: each world is settled by a process of its own.

Time is the processor's (user and system) of `python -m simulations.branch settle` from start to end, memory its peak
resident size; making the world is not counted. Growth is fitted between sizes as the exponent of seconds over sites.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from settle_worlds import recipe

from simulations.branch.generate import make

ROOT = Path(__file__).parents[2]
SIZES = ((10, 7), (100, 7), (1000, 7), (200, 14), (10, 365))
QUICK_SIZES = ((10, 2), (100, 2))
REFERENCE = (200, 14)
YEAR_DAYS = 365


@dataclass(frozen=True, slots=True)
class Timed:
    """One world settled: processor seconds, peak memory."""

    sites: int
    days: int
    seconds: float
    peak_mib: float

    @property
    def ms_per_site_day(self) -> float:
        return 1000 * self.seconds / (self.sites * self.days)


def measure(seed: int, step_s: int, quick: bool) -> list[Timed]:
    """Return the times of all sizes."""
    return [settle_one(seed, step_s, sites, days) for sites, days in (QUICK_SIZES if quick else SIZES)]


def settle_one(seed: int, step_s: int, sites: int, days: int) -> Timed:
    """Make a world in a temporary folder, settle it in a child process, throw it away."""
    with tempfile.TemporaryDirectory(prefix="linewitness-world-") as folder:
        path = Path(folder) / "world"
        make(recipe("home", seed, sites, days, step_s), path)
        command = [sys.executable, "-m", "simulations.branch", "settle", str(path), "--out", f"{folder}/verdicts.jsonl"]
        child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, command)
    timed = Timed(sites, days, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
    print(f"  {timed}", file=sys.stderr, flush=True)
    return timed


def table(found: list[Timed]) -> Iterator[str]:
    """Yield a line a size, the growth, and what a year of a thousand sites would take."""
    yield f"{'sites':>7}{'days':>6}{'s on one core':>15}{'ms a site-day':>15}{'peak MiB':>10}"
    for timed in found:
        goal = "  (goal 60 s, 4,096 MiB)" if (timed.sites, timed.days) == REFERENCE else ""
        yield (
            f"{timed.sites:7}{timed.days:6}{timed.seconds:15.1f}{timed.ms_per_site_day:15.2f}{timed.peak_mib:10.0f}{goal}"
        )
    for small, large in growths(found):
        exponent = math.log(large.seconds / small.seconds) / math.log(large.sites / small.sites)
        yield f"from {small.sites} to {large.sites} sites time grows as sites^{exponent:.2f}"
    yield f"a year x 1,000 sites, extrapolated: {extrapolated_h(found):.2f} h on one core (goal 3 h)"


def growths(found: list[Timed]) -> Iterator[tuple[Timed, Timed]]:
    """Yield neighbours in size with as many days."""
    for small, large in pairwise(found):
        if small.days == large.days and small.sites < large.sites:
            yield small, large


def extrapolated_h(found: list[Timed]) -> float:
    """Return hours for a year of 1,000 sites, by the largest world's time per site-day; not measured."""
    largest = max(found, key=lambda timed: timed.sites)
    return largest.ms_per_site_day / 1000 * 1000 * YEAR_DAYS / 3600


def figures(found: list[Timed]) -> dict[str, object]:
    """Return everything for the JSON line."""
    return {"sizes": [asdict(timed) for timed in found], "year_1000_sites_extrapolated_h": extrapolated_h(found)}
