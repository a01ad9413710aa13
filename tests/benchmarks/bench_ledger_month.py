"""What settling a ledger takes: peak memory and time by days and sites, each in a process of its own.

    python tests/benchmarks/bench_ledger_month.py [--sizes 2x2 2x8 4x8]

Every site has one witness with 16 targets, probed every 5 s, a call-quality window every half minute to the provider
and to the own reflector, a batch a minute: an hour of it, with 0.2 % loss, told again and again under new headers,
signed with test keys and stored in an SQLite ledger. `linewitness settle` settles all of it. Prints a table and, as its
last line, one JSON object; baseline is the first size, ratio the last one's peak of memory over the first one's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "host"))

from branch_story import MINUTE, SECOND, T0, Branch
from machine import machine
from nacl.signing import SigningKey
from test_outages import SITE
from test_settle_pooled import plan_of

from linewitness.fleet import Fleet
from linewitness.founding import found_fleet
from linewitness.ledger import Enrolment, NewBatch
from linewitness_wire import bodies, cose, plan, record

DAY_MINUTES, HOUR_US = 1440, 60 * MINUTE
COMMIT = 1000
SETTLE = """
import resource, sys, time
from pathlib import Path
from linewitness import settling
from linewitness.fleet import Fleet

class Counted(settling.Scratch):
    octets = 0

    def put(self, octets):
        Counted.octets += len(octets)
        return super().put(octets)

settling.Scratch = Counted
began = time.perf_counter()
found = settling.settle_fleet(Fleet.open(Path(sys.argv[1])))
seconds = time.perf_counter() - began
peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(seconds, peak_mib, Counted.octets / 2**20, sum(c.measured_s for c in found.coverage))
"""


def made(folder: Path, sites: int, days: int) -> Fleet:
    """Return a fleet whose ledger holds so many days of so many sites."""
    fleet, _ = found_fleet(folder / "fleet", "test", ["127.0.0.1"], 8883)
    (fleet.root / "sites").mkdir(exist_ok=True)
    for number in range(sites):
        name = f"site-{number}"
        text = SITE.replace("isp-one", f"isp-{number % 3}").replace('"leeds"', f'"{name}"')
        (fleet.root / "sites" / f"{name}.toml").write_text(text)
        fill(fleet, Branch(name, (), plan_of(5 * SECOND, 30 * SECOND), duration_us=HOUR_US, batch_us=MINUTE,
                           loss_ppm=2000), days)  # fmt: skip
    return fleet


def fill(fleet: Fleet, branch: Branch, days: int) -> None:
    key = SigningKey(hashlib.sha256(branch.site.encode()).digest())
    public = bytes(key.verify_key)
    kid = cose.kid(public)
    hour = branch.batches()
    octets = [bodies.encode(b.body, MINUTE) for b in hour if b.body is not None]
    previous = record.NO_PREVIOUS
    with fleet.ledger() as ledger:
        ledger.add_enrolment(Enrolment(branch.site, "w1", kid, public, bytes(32), 1, T0, b"record of " + kid))
        ledger.add_item("plan", f"{branch.site}/w1", plan.encode_plan(branch.plan), T0)
        new: list[NewBatch] = []
        for minute in range(days * DAY_MINUTES):
            first = hour[minute % len(hour)]
            shift_us = minute // len(hour) * HOUR_US
            assert first.header.clock.utc_us is not None
            header = first.header._replace(
                seq=minute + 1, previous=previous, start_us=first.header.start_us + shift_us,
                end_us=first.header.end_us + shift_us,
                clock=first.header.clock._replace(utc_us=first.header.clock.utc_us + shift_us),
            )  # fmt: skip
            payload = record.encode_header(header)
            signed = key.sign(cose.to_be_signed(cose.protected(kid), cose.aad(branch.site, "w1"), payload)).signature
            message = cose.join(kid, payload, signed)
            previous = cose.digest(message)
            body = octets[minute % len(hour)]
            received_us = first.received_us + shift_us
            new.append(NewBatch(branch.site, "w1", kid, header, previous, message, body, received_us))
            if len(new) == COMMIT:
                ledger.store(new)
                new = []
        ledger.store(new)


def size(text: str) -> tuple[int, int]:
    """Return (sites, days) of "2x31"."""
    sites, days = map(int, text.split("x"))
    return sites, days


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=size, nargs="+", default=[(2, 2), (2, 8), (4, 8)], help="sites x days: 2x31")
    options = parser.parse_args()
    here = machine()
    print(here, flush=True)
    heads = ("sites", "days", "batches", "made s", "settled s", "s a site-day", "peak MiB", "scratch MiB")
    print("".join(f"{head:>{len(head) + 3}}" for head in heads))
    sizes = []
    for sites, days in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            fleet = made(Path(folder), sites, days)
            making_s = time.perf_counter() - began
            ran = subprocess.run(
                [sys.executable, "-c", SETTLE, str(fleet.root)], capture_output=True, text=True, check=True
            )  # fmt: skip
        seconds, peak_mib, scratch_mib, measured_s = map(float, ran.stdout.split())
        assert measured_s >= sites * days * 86400, f"measured {measured_s} s"
        row = (
            str(sites), str(days), str(sites * days * DAY_MINUTES), f"{making_s:.1f}", f"{seconds:.1f}",
            f"{seconds / (sites * days):.2f}", f"{peak_mib:.0f}", f"{scratch_mib:.1f}",
        )  # fmt: skip
        print("".join(f"{text:>{len(head) + 3}}" for text, head in zip(row, heads, strict=True)), flush=True)
        sizes.append({
            "sites": sites, "days": days, "seconds": seconds, "peak_mib": peak_mib, "scratch_mib": scratch_mib,
        })  # fmt: skip
    print(json.dumps({
        "benchmark": "ledger_month", "machine": here, "figures": {"sizes": sizes}, "baseline": sizes[0],
        "ratio": round(sizes[-1]["peak_mib"] / sizes[0]["peak_mib"], 3),
    }))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
