"""A ledger's own path with both methods: who is named for what, and is anybody accused falsely?

    python tests/benchmarks/bench_pooled.py [--fleets 40] [--seed 1]

Fleets of four sites behind three ISPs, told as encoded batches of three hours. In *innocent* ones parts of single
sites, anchors, reflectors and second providers, callees, and the provider as seen from one ISP alone fail at random,
wholly or in part, alone and together: not once may the provider or a carrier be named. In *guilty* ones the provider's
edge fails for all, wholly, in media alone, in signalling alone or with errors; the share that is named stands beside
that of the rules on samples alone (the baseline). Too long: the shortest that a verdict says is longer than the truth.
Prints a table and, as its last line, one JSON object; ratio is named by both methods / by samples alone. Ends with 1
where anybody was accused falsely or too long.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "host"))

from branch_story import EDGE, MINUTE, SECOND, T0, Branch, Fault
from machine import machine
from test_settle_pooled import ECHO, HOUR, INFOS, ISPS, LANDLINE, MOBILE, PROBES

from linewitness.model import Side, Verdict
from linewitness.settle import pool, pooled
from linewitness.settle.calls import Fleet
from linewitness.settle.local import Diagnosis, diagnose
from linewitness.settle.partly import partly_failed
from linewitness.settle.pooled import Engine
from linewitness.settle.poor import poor_calls
from linewitness.settle.timeline import read_site

SITES, HOURS = ("leeds", "york", "hull", "bath"), 3
NEAR = ("lan", "router", "access", "transit", "link")
OWN = (*NEAR, "gateway", "192.0.2.1", "198.51.100.9", "192.0.2.200")
FAR = (EDGE, ECHO, MOBILE, LANDLINE)
METHODS = ((), ("icmp",), ("stamp",), ("sip",), ("sip", "call"), ("stamp", "call"), ("call",))
LASTS_US = (20 * SECOND, 3 * MINUTE, 12 * MINUTE, 40 * MINUTE, 90 * MINUTE)
KINDS = {"whole": ((), None), "media": (("stamp", "call"), None), "signalling": (("sip", "call"), None),
         "errors": (("sip", "call"), 503)}  # fmt: skip
ACCUSED = (Side.PROVIDER, Side.CARRIER)


def random_fault(rng: random.Random, parts: tuple[str, ...]) -> Fault:
    part = rng.choice(parts)
    start_us = rng.randrange(20 * MINUTE, 150 * MINUTE)
    methods = () if part in NEAR else rng.choice(METHODS)
    asked = part in FAR and methods and not {"icmp", "stamp"} & set(methods)
    return Fault(
        part, start_us, min(start_us + rng.choice(LASTS_US), 178 * MINUTE), methods,
        rng.choice((None, None, None, 503, 486)) if asked else None, rng.choice((1_000_000, 1_000_000, 200_000)),
    )  # fmt: skip


def innocent(rng: random.Random) -> dict[str, tuple[Fault, ...]]:
    """Return faults by site, of which none is the provider's or a carrier's."""
    isp = rng.choice(sorted({ISPS[s] for s in SITES}))
    common = [f for f in (random_fault(rng, OWN) for _ in range(rng.randrange(2))) if f.part != "link"]
    of_isp = [random_fault(rng, OWN + FAR) for _ in range(rng.randrange(3))]
    return {
        site: (*common, *(random_fault(rng, OWN) for _ in range(rng.randrange(2))),
               *(of_isp if ISPS[site] == isp else ()))
        for site in SITES
    }  # fmt: skip


def diagnoses_of(faults: dict[str, tuple[Fault, ...]]) -> list[Diagnosis]:
    period = (T0, T0 + HOURS * HOUR)
    result = []
    for site in SITES:
        branch = Branch(site, faults[site], PROBES, duration_us=HOURS * HOUR, batch_us=MINUTE)
        record = read_site(site, branch.batches(), {branch.plan_hash: branch.plan}, *period)
        result.append(diagnose(record, period))
    return result


def verdicts_of(diagnoses: list[Diagnosis], *, both: bool) -> list[Verdict]:
    """Return the verdicts by both methods, or by the rules on samples alone."""
    period = (T0, T0 + HOURS * HOUR)
    engine = pooled.ask([d.record for d in diagnoses], INFOS, (), period) if both else Engine()
    found = pool.verdicts(Fleet(diagnoses, INFOS, (), engine, False))
    if both:
        found += poor_calls(diagnoses, INFOS, engine, found)
        found += partly_failed(diagnoses, INFOS, engine, found)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fleets", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    here = machine()
    print(here, flush=True)
    sides: Counter[str] = Counter()
    false: list[str] = []
    for number in range(options.fleets):
        rng = random.Random(f"innocent {options.seed} {number}")
        for v in verdicts_of(diagnoses_of(innocent(rng)), both=True):
            sides[v.side] += 1
            if v.side in ACCUSED:
                false.append(f"innocent {number}: {v.site} {v.side} {v.kind}")
    named: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    told: Counter[str] = Counter()
    for number in range(options.fleets):
        rng = random.Random(f"guilty {options.seed} {number}")
        kind = list(KINDS)[number % len(KINDS)]
        start_us = rng.randrange(62 * MINUTE, 80 * MINUTE)
        methods, code = KINDS[kind]
        fault = Fault(EDGE, start_us, start_us + rng.randrange(6 * MINUTE, 90 * MINUTE), methods, code)
        diagnoses = diagnoses_of(dict.fromkeys(SITES, (fault,)))
        told[kind] += len(SITES)
        for counter, both in ((named, True), (alone, False)):
            theirs = [v for v in verdicts_of(diagnoses, both=both) if v.side is Side.PROVIDER]
            counter[kind] += len({v.site for v in theirs})
            false += [
                f"guilty {number} ({kind}): {v.site} is claimed too long" for v in theirs
                if v.start.latest_us < T0 + fault.start_us or v.end.earliest_us > T0 + fault.end_us
            ]  # fmt: skip
    print(f"{'kind':14}{'sites':>8}{'named':>8}{'samples alone':>16}")
    for kind in KINDS:
        print(f"{kind:14}{told[kind]:>8}{named[kind]:>8}{alone[kind]:>16}")
    by_side = {str(side): count for side, count in sorted(sides.items())}
    print(f"{options.fleets} innocent fleets, verdicts by side: {by_side}; false or too long: {len(false)}")
    for line in false[:20]:
        print(f"FALSE  {line}")
    figures = {
        "innocent_fleets": options.fleets, "innocent_verdicts": by_side, "false": len(false),
        "guilty_sites": dict(told), "named": dict(named),
    }  # fmt: skip
    print(json.dumps({
        "benchmark": "pooled", "machine": here, "figures": figures, "baseline": {"named": dict(alone)},
        "ratio": round(named.total() / max(1, alone.total()), 3),
    }))  # fmt: skip
    return 1 if false else 0


if __name__ == "__main__":
    sys.exit(main())
