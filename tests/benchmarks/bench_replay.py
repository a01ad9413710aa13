"""One world told twice, as rows and as the batches that its witnesses would have signed: do both feeders say the same?

    python tests/benchmarks/bench_replay.py [--worlds 3] [--sites 14] [--seed 1]

Worlds of one day behind three ISPs, on two providers, thrice the usual faults a day, by kinds that the attribution was
tuned on and by blind ones. Of each it is counted: how many values of the engine's columns are the same by both feeders,
and how many of its verdicts (site, side, rule, both ends within a round). Then the readings are settled as a whole by
both methods, without a status page, and the verdicts scored against the world's truth beside the engine's own on rows
(the baseline).
Prints a table and, as its last line, one JSON object; ratio is the verdicts that are the same / all. Ends with 1 where
the ledgers' verdicts accused the provider or its carrier falsely more often than the engine does on rows, or fewer than
95 in 100 verdicts are the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "host"))

from machine import machine
from replayed_world import LOOSE, UNTOLD, alike, info_of, replayed, with_facts_of

from linewitness.model import Settlement, Side
from linewitness.settle import feeder
from linewitness.settle.attribution.attribute import attribute
from linewitness.settle.attribution.found import Found
from linewitness.settle.engine import settle
from linewitness.settle.timeline import SiteRecord, read_site
from simulations.branch import faults, generate, measures, methods, score, style, world
from simulations.branch.feed import observations
from simulations.branch.world import Line, World

STEP_S = 60
ROUNDS = 86400 // STEP_S
LEAST_SAME = 0.95
RATE = 3.0  # faults, of the usual rate
SETS = ("home", "blind")
SIDE = {Side.ISP: "access", Side.UNDETERMINED: "inconclusive"}
SHOWN = ("FB_verdict_n", "acc_ident", "wrong_ident", "abstain_ident", "incidents")


@dataclass
class Count:
    """What one world came to."""

    values: int = 0
    values_same: int = 0
    verdicts: int = 0
    verdicts_same: int = 0
    columns: Counter[str] = field(default_factory=Counter)
    unlike: list[str] = field(default_factory=list)
    rows: Line = field(default_factory=dict)
    ledger: Line = field(default_factory=dict)
    seconds: float = 0.0


def count(made: World, path: Path) -> Count:
    result = Count()
    sites = replayed(made, ROUNDS)
    period = (int(made.t0 * 1e6), int((made.t0 + ROUNDS * STEP_S) * 1e6))
    infos = {s.site: info_of(s.line) for s in sites}
    records: list[SiteRecord] = [read_site(s.site, s.batches(), {s.plan_hash: s.plan}, *period) for s in sites]
    fleet = feeder.common(records, infos)
    readings = {r.site: feeder.rounds(r, infos[r.site], period, fleet) for r in records}
    rows = {seen.site["id"]: methods.rounds(seen) for seen in observations(made)}
    for site, told in rows.items():
        for name in sorted(set(told.columns) - UNTOLD - set(LOOSE)):
            same = alike(name, told, readings[site])
            result.values += len(same)
            result.values_same += int(same.sum())
            result.columns[name] += int((~same).sum())
    by_rows = [
        _key(f, made.t0) for f in attribute([with_facts_of(rows[s], readings[s]) for s in rows], blocks_told=True)
    ]
    by_readings = [_key(f, made.t0) for f in attribute(readings.values(), blocks_told=True)]
    left = list(by_readings)
    for one in by_rows:
        found = next(
            (o for o in left if o[:3] == one[:3] and abs(o[3] - one[3]) <= 1 and abs(o[4] - one[4]) <= 1), None
        )
        if found is None:
            result.unlike.append(f"rows only      {one}")
        else:
            left.remove(found)
    result.unlike += [f"readings only  {one}" for one in left]
    result.verdicts_same = len(by_readings) - len(left)
    result.verdicts = len(by_rows) + len(left)
    began = time.perf_counter()
    settlement = settle(records, infos, (), [], period)
    result.seconds = time.perf_counter() - began
    result.rows = measures.measures(score.records(path, list(methods.settle(made, without=frozenset({methods.POSTS})))))
    result.ledger = measures.measures(score.records(path, lines(settlement)))
    return result


def _key(found: Found, t0: float) -> tuple[str, str, str, float, float]:
    """Return site, side, rule and ends in rounds."""
    start, end = (round(float(at_s - t0) / STEP_S, 1) for at_s in (found.start_s, found.end_s))
    return found.site, found.side, found.rule, start, end


def lines(settlement: Settlement) -> list[Line]:
    """Return a settlement's verdicts in a world's form; each end in the middle of its bounds."""
    return [
        {
            "site": v.site, "start": (v.start.earliest_us + v.start.latest_us) / 2e6,
            "end": (v.end.earliest_us + v.end.latest_us) / 2e6, "side": SIDE.get(v.side, str(v.side)),
            "confidence": v.confidence / 100,
        }
        for v in settlement.verdicts
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=3, help="of each set of kinds")
    parser.add_argument("--sites", type=int, default=14)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    here = machine()
    print(here, flush=True)
    heads = ("world", "values same", "verdicts", "same", "ledger: false/blamed", "right", "rows right")
    print("".join(f"{head:>{max(10, len(head) + 2)}}" for head in heads))
    total, columns = Counter[str](), Counter[str]()
    for name in SETS:
        for number in range(options.worlds):
            seed = options.seed * 1000 + number
            made_style = replace(style.STYLES["home"], isps=3, providers=2, regions=2, rate=RATE)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder)
                recipe = generate.Recipe(seed, options.sites, 1, STEP_S, faults.select(name), made_style)
                generate.make(recipe, path)
                found = count(world.open_world(path), path)
            columns += found.columns
            false, blamed = found.ledger["FB_verdict_n"]
            total.update(
                values=found.values, values_same=found.values_same, verdicts=found.verdicts, same=found.verdicts_same,
                false=false, blamed=blamed, rows_false=found.rows["FB_verdict_n"][0],
                rows_blamed=found.rows["FB_verdict_n"][1],
            )  # fmt: skip
            shares = (found.ledger["acc_ident"], found.rows["acc_ident"])
            same = f"{found.values_same / found.values:>13.5f}{found.verdicts:>10}{found.verdicts_same:>10}"
            blame = f"{f'{false}/{blamed}':>22}"
            print(f"{f'{name} {seed}':>10}{same}{blame}{shares[0]:>10.3f}{shares[1]:>12.3f}", flush=True)
            for line in found.unlike:
                print(f"    {line}")
    print(f"columns that differ somewhere: { ({n: c for n, c in columns.most_common() if c}) }")
    ratio = total["same"] / max(1, total["verdicts"])
    figures = {key: total[key] for key in ("values", "values_same", "verdicts", "same", "false", "blamed")}
    print(json.dumps({
        "benchmark": "replay", "machine": here, "figures": figures,
        "baseline": {"false": total["rows_false"], "blamed": total["rows_blamed"]}, "ratio": round(ratio, 4),
    }))  # fmt: skip
    return 1 if total["false"] > total["rows_false"] or ratio < LEAST_SAME else 0


if __name__ == "__main__":
    sys.exit(main())
