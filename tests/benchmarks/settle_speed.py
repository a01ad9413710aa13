"""How long settling takes and how much memory, for bench_settle.py: each world is made and settled by processes of its
own.

Time is the processor's (user and system) of `python -m simulations.branch settle` from start to end, memory its peak
resident size, what Python and numpy take by themselves included. Two growths are fitted: the exponent of seconds over
sites, and the ratio of peaks over days. Making a world is printed, too, since a year has to be made first.
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

ROOT = Path(__file__).parents[2]
PACKED, TEXT = "npz", "csv"
SIZES = (
    (10, 7, PACKED), (100, 7, PACKED), (1000, 7, PACKED), (200, 14, PACKED), (20, 14, TEXT), (10, 28, PACKED),
    (10, 365, PACKED),
)  # fmt: skip
QUICK_SIZES = ((10, 2, PACKED), (100, 2, PACKED), (10, 2, TEXT))
REFERENCE = (200, 14)
FLAT_FROM_DAYS = 16  # what is judged in one piece is held in one piece
YEAR_DAYS = 365


@dataclass(frozen=True, slots=True)
class Timed:
    """One world made and settled: processor seconds, peak memory."""

    sites: int
    days: int
    form: str
    seconds: float
    peak_mib: float
    made_seconds: float
    made_peak_mib: float

    @property
    def ms_per_site_day(self) -> float:
        return 1000 * self.seconds / (self.sites * self.days)


def measure(seed: int, step_s: int, quick: bool) -> list[Timed]:
    """Return the times of all sizes."""
    return [settle_one(seed, step_s, *size) for size in (QUICK_SIZES if quick else SIZES)]


def settle_one(seed: int, step_s: int, sites: int, days: int, form: str) -> Timed:
    """Make a world in a temporary folder, settle it, throw it away."""
    with tempfile.TemporaryDirectory(prefix="linewitness-world-") as folder:
        path = f"{folder}/world"
        recipe = ["--seed", str(seed), "--sites", str(sites), "--days", str(days), "--step", str(step_s)]
        made = run("make", *recipe, "--out", path, *(["--csv"] if form == TEXT else []))
        settled = run("settle", path, "--out", f"{folder}/verdicts.jsonl")
    timed = Timed(sites, days, form, *settled, *made)
    print(f"  {timed}", file=sys.stderr, flush=True)
    return timed


def run(*arguments: str) -> tuple[float, float]:
    """Run one command of simulations.branch on one thread; return its processor seconds and its peak MiB."""
    command = [sys.executable, "-m", "simulations.branch", *arguments]
    child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def table(found: list[Timed]) -> Iterator[str]:
    """Yield a line a size, the growths, and what a year of a thousand sites would take."""
    least = found[0]
    yield (
        f"{'sites':>7}{'days':>6}{'form':>6}{'s on one core':>15}{'ms a site-day':>15}{'ratio':>7}{'peak MiB':>10}"
        f"{'ratio':>7}{'to make: s':>12}{'peak MiB':>10}"
    )
    for timed in found:
        goal = "  (goal 60 s, 4,096 MiB)" if (timed.sites, timed.days) == REFERENCE else ""
        yield (
            f"{timed.sites:7}{timed.days:6}{timed.form:>6}{timed.seconds:15.1f}{timed.ms_per_site_day:15.2f}"
            f"{timed.ms_per_site_day / least.ms_per_site_day:7.2f}{timed.peak_mib:10.0f}"
            f"{timed.peak_mib / least.peak_mib:7.2f}{timed.made_seconds:12.1f}{timed.made_peak_mib:10.0f}{goal}"
        )
    yield "ratios are to the first line; the first lines' time is mostly that of starting"
    for small, large in grown(found, "days"):
        exponent = math.log(large.seconds / small.seconds) / math.log(large.sites / small.sites)
        yield f"from {small.sites} to {large.sites} sites time grows as sites^{exponent:.2f}"
    for short, long in grown(found, "sites"):
        if short.days >= FLAT_FROM_DAYS:
            times, held = long.seconds / short.seconds, long.peak_mib / short.peak_mib
            yield (
                f"{long.days} days for {short.days} of {long.sites} sites ({long.days / short.days:.1f} times): "
                f"{times:.1f} times the time, {held:.2f} times the memory"
            )
    yield f"a year x 1,000 sites, extrapolated: {extrapolated_h(found):.2f} h on one core (goal 3 h)"


def grown(found: list[Timed], same: str) -> Iterator[tuple[Timed, Timed]]:
    """Yield neighbours in the list, the smaller one first, that have as many `same` and one form."""
    for small, large in pairwise(found):
        alike = getattr(small, same) == getattr(large, same) and small.form == large.form
        if alike and small.sites * small.days < large.sites * large.days:
            yield small, large


def extrapolated_h(found: list[Timed]) -> float:
    """Return hours for a year of 1,000 sites, by the largest world's time per site-day; not measured.

    So many sites are judged in windows of 8 days of which 7 are new: one day in seven is judged twice.
    """
    largest = max(found, key=lambda timed: timed.sites)
    return largest.ms_per_site_day / 1000 * 1000 * YEAR_DAYS * 8 / 7 / 3600


def figures(found: list[Timed]) -> dict[str, object]:
    """Return everything for the JSON line."""
    return {"sizes": [asdict(timed) for timed in found], "year_1000_sites_extrapolated_h": extrapolated_h(found)}
