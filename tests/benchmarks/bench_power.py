"""The power fails in every flash operation of a scripted hour of the whole firmware, at every sixteenth octet of each.

    python tests/benchmarks/bench_power.py [--minutes 60] [--octets 16]

The hour (batches, a command, twelve minutes without the line and their back-fill, a reset) runs once on the MicroPython
machine in virtual time, on a Pico W's flash. Every image that a cut would have left is opened by the firmware's own
Journal: same key, no published number free to be signed again, an unbroken chain, every body as its header says, the
newest signature good by another library. Prints counts and, as its last line, one JSON object; baseline is the number
of images, ratio the share that did not recover. Ends with 1 where one did not.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "firmware"))

from machine import machine
from power_cuts import cut_everywhere, scripted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--octets", type=int, default=16)
    options = parser.parse_args()
    here = machine()
    print(here, flush=True)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder:
        log, office = scripted(Path(folder), options.minutes)
        ran_s = time.monotonic() - began_s
        with pytest.MonkeyPatch.context() as patch:
            images = log.images_torn_every(options.octets, options.octets)
            cuts = cut_everywhere(patch, log, images, office.profile)
    erases = sum(operation.data is None for operation in log.operations)
    figures = {
        "minutes": options.minutes, "batches_published": len(office.batches), "programs": cuts.operations - erases,
        "erases": erases, "images": cuts.images, "problems": len(cuts.problems), "hour_took_s": round(ran_s),
        "cuts_took_s": round(time.monotonic() - began_s - ran_s),
    }  # fmt: skip
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):24}{value:>10}")
    for problem in cuts.problems[:20]:
        print(f"PROBLEM  {problem}")
    result = {
        "benchmark": "power", "machine": here, "figures": figures, "baseline": cuts.images,
        "ratio": round(len(cuts.problems) / cuts.images, 6),
    }  # fmt: skip
    print(json.dumps(result))
    return 1 if cuts.problems else 0


if __name__ == "__main__":
    sys.exit(main())
