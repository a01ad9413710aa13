"""How exact the witness's call-quality windows and test calls are, beside irtt and fping, on one link in one run.

    python tests/benchmarks/bench_probes.py [--windows 1] [--only NAME ...]

Real packets cross real kernels in network namespaces and one TAP wire (simulations/lab), whose own log is the judge.
In each scenario every tool sends the same number of packets, 20 ms apart, in turns: the firmware's STAMP session-sender
on every MicroPython machine that is there, to `linewitness reflect`; its test call (SIP, RTP) to sipp, which echoes
RTP; irtt to irtt; fping to the far kernel. The clean link gives each witness's constant: its median round trip less the
median time within the wire. Most of it is the virtual board's hop: each datagram passes from the machine through its
parent process, which a real board has not. A program of a few lines on the same board, which sends and waits on a bare
socket, measures that hop (bridges and kernels included); constant less hop is the witness's own share, at most 1 ms.
Held to, for a witness in every scenario:

    lost, duplicates, reordered   what the log says, packet for packet (void: spoilt by the witness itself, and said so)
    bias        median round trip within 0.3 ms of the log's median and the witness's constant
    jitter      within 5 % of RFC 3550 over the same packets' round trips, in the order of arrival that the log has
    MOS         within 0.02 of the calculator's for the same counts

p99 is of the round trips, beside irtt's and fping's. Prints a table and, as its last line, one JSON object; baseline is
irtt's p99 in the scenario `loss`, ratio that of the best witness over it. Exit code 1 where a limit does not hold.
Needs root and /dev/net/tun for the namespaces; where they can't be made it says so and ends with 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import probe_tools as tools
from machine import machine
from probe_judge import Judged, Told, logged, percentile

from simulations.board.vms import available_vms
from simulations.lab.daemons import IrttServer
from simulations.lab.netns import Namespaces, cannot_make
from simulations.lab.sip_daemons import SippCallee
from simulations.lab.tools import reason_without
from simulations.lab.wire_handle import Crossing, WireHandle

SCENARIOS = {
    "clean": "both:delay=10",
    "loss": "both:delay=10 both:loss=2",
    "burst loss": "both:delay=10 both:ge=1,20,100,0",
    "jitter": "both:delay=25 both:jitter=8",
    "reordering": "both:delay=30 both:jitter=15 both:fifo=0",
    "duplicates": "both:delay=10 both:dup=4",
    "rate limit": "both:delay=10 ab:rate=80 ab:limit=6000",
}
BIAS_LIMIT_US, CONSTANT_LIMIT_US, JITTER_LIMIT_PCT, MOS_LIMIT = 300, 1_000, 5.0, 0.02
COLUMNS = (
    ("p50", 8), ("wire", 8), ("p99", 8), ("wire", 8), ("bias", 7), ("jitter", 8), ("wire", 7), ("err%", 6), ("MOS", 7),
    ("err", 7),
)  # fmt: skip
PORTS = {"window": tools.STAMP_PORT, "call": tools.RTP_PORT}


def packets_of(log: list[Crossing], port: int) -> list[Crossing]:
    """The datagrams of a window among all: those of its length, to or from port."""
    mine = [c for c in log if c.key.startswith("udp") and f"{tools.FAR}:{port}" in c.key]
    usual = statistics.mode(c.size_octets for c in mine)
    return [c for c in mine if c.size_octets == usual]


def measure(names: list[str], windows: int, folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    """Run every tool in each scenario; return what became of each, by scenario and tool, and the boards' hops."""
    results: dict[str, dict[str, Any]] = {}
    hops_us: dict[str, int] = {}
    with (
        Namespaces(access="tap") as lab,
        WireHandle(lab, seed=1) as wire,
        tools.reflector(lab),
        IrttServer((tools.FAR, tools.IRTT_PORT), prefix=lab.command("anchors")),
        SippCallee((tools.FAR, tools.SIP_PORT), lab.command("anchors"), media_port=tools.RTP_PORT),
    ):
        lab.run("branch-probe", "ping", "-n", "-c1", "-W2", tools.FAR)  # so that no ARP is in the way
        runs: dict[str, Callable[[], Told]] = {}
        for vm in available_vms():
            (folder / vm).mkdir()
            for kind, program in (("window", tools.STAMP), ("call", tools.CALL)):
                runs[f"{vm} {kind}"] = lambda vm=vm, what=program: tools.witness(lab, folder / vm, vm, what)
        runs |= {"irtt": lambda: tools.irtt(lab), "fping": lambda: tools.fping(lab)}
        wire.set("both:clear " + SCENARIOS["clean"])
        for vm in available_vms():
            marks = {way: each["packets_in"] for way, each in wire.counters().items()}
            told = tools.witness(lab, folder / vm, vm, tools.BARE)
            up, down = (packets_of(wire.log(way, marks[way]), tools.RTP_PORT) for way in ("ab", "ba"))
            log = logged(len(told.rtts_us), up, down, rtp=True)
            bare = [rtt - log.wire_us[n] for n, rtt in enumerate(told.rtts_us) if rtt is not None and n in log.wire_us]
            hops_us[vm] = round(statistics.median(bare))
        for name in names:
            wire.set("both:clear " + SCENARIOS[name])
            results[name] = {}
            for _ in range(windows):
                for tool, run in runs.items():
                    marks = {way: each["packets_in"] for way, each in wire.counters().items()}
                    told = run()
                    if told.reading is None:
                        results[name].setdefault(tool, []).extend(told.rtts_us)
                        continue
                    kind = tool.partition(" ")[2]
                    up, down = (packets_of(wire.log(way, marks[way]), PORTS[kind]) for way in ("ab", "ba"))
                    log = logged(len(told.rtts_us), up, down, rtp=kind == "call")
                    results[name].setdefault(tool, Judged()).take(told, log)
    return results, hops_us


def figures_of(judged: Judged, constant_us: int) -> dict[str, Any]:
    """The figures of one witness in one scenario."""
    return {
        "sent": judged.sent, "void": judged.void, "lost": judged.lost, "lost_by_log": judged.lost_by_log,
        "disagreements": judged.disagreements, "duplicates": list(judged.duplicates),
        "reordered": list(judged.reordered), "p50_us": percentile(judged.rtts_us, 50),
        "p99_us": percentile(judged.rtts_us, 99), "wire_p50_us": percentile(judged.wires_us, 50),
        "wire_p99_us": percentile(judged.wires_us, 99), "bias_us": judged.bias_us,
        "bias_less_constant_us": judged.bias_us - constant_us, "paired_bias_us": judged.paired_us,
        "jitter_us": round(statistics.mean(said for said, _, _ in judged.jitter)),
        "jitter_wire_us": round(statistics.mean(wire for _, _, wire in judged.jitter)),
        "jitter_error_pct": round(judged.jitter_error_pct, 2),
        "mos": round(statistics.mean(said for said, _ in judged.mos), 3), "mos_error": round(judged.mos_error, 4),
    }  # fmt: skip


def broken(row: dict[str, Any]) -> list[str]:
    """The limits that a witness's figures in a scenario do not hold."""
    checks = {
        "lost": not row["disagreements"],
        "duplicates": row["duplicates"][0] == row["duplicates"][1],
        "reordered": row["reordered"][0] == row["reordered"][1],
        "bias": abs(row["bias_less_constant_us"]) <= BIAS_LIMIT_US,
        "jitter": row["jitter_error_pct"] <= JITTER_LIMIT_PCT,
        "MOS": row["mos_error"] <= MOS_LIMIT,
    }
    return [name for name, holds in checks.items() if not holds]


def report(results: dict[str, dict[str, Any]], constants_us: dict[str, int]) -> tuple[dict[str, Any], list[str]]:
    """Print the table; return the figures, and the limits that do not hold."""
    head = f"{'':24}{'sent':>5}{'void':>5}{'lost':>5}{'log':>5}{'dup':>5}{'log':>5}{'ooo':>5}{'log':>5}"
    print(head + "".join(f"{word:>{width}}" for word, width in COLUMNS))
    figures: dict[str, Any] = {}
    faults: list[str] = []
    for name, each in results.items():
        print(f"{name}: {SCENARIOS[name]}")
        figures[name] = {}
        for tool, judged in each.items():
            if not isinstance(judged, Judged):
                rtts_us = [rtt for rtt in judged if rtt is not None]
                row = {
                    "sent": len(judged), "lost": len(judged) - len(rtts_us), "p50_us": percentile(rtts_us, 50),
                    "p99_us": percentile(rtts_us, 99),
                }  # fmt: skip
                print(f"  {tool:22}{row['sent']:5}{'':5}{row['lost']:5}{'':25}{row['p50_us']:8}{'':8}{row['p99_us']:8}")
            else:
                row = figures_of(judged, constants_us[tool])
                wrong = broken(row)
                faults += [f"{name}: {tool}: {what}" for what in wrong]
                print(
                    f"  {tool:22}{row['sent']:5}{row['void']:5}{row['lost']:5}{row['lost_by_log']:5}"
                    f"{row['duplicates'][0]:5}{row['duplicates'][1]:5}{row['reordered'][0]:5}{row['reordered'][1]:5}"
                    f"{row['p50_us']:8}{row['wire_p50_us']:8}{row['p99_us']:8}{row['wire_p99_us']:8}"
                    f"{row['bias_less_constant_us']:7}{row['jitter_us']:8}{row['jitter_wire_us']:7}"
                    f"{row['jitter_error_pct']:6}{row['mos']:7}{row['mos_error']:7}" + ("  !" if wrong else "")
                )
            figures[name][tool] = row
    return figures, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS))
    options = parser.parse_args()
    lacking = cannot_make("tap") or reason_without("irtt", "fping", "sipp")
    if lacking:
        print(f"error: this benchmark can't run here: {lacking}", file=sys.stderr)
        return 1
    here = machine()
    print(here)
    print(f"each scenario and tool: {options.windows} window(s) of {tools.PACKETS} packets, 20 ms apart; times in us")
    names = ["clean", *(name for name in options.only if name != "clean")]
    with tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder:
        results, hops_us = measure(names, options.windows, Path(folder))
    constants_us = {tool: each.bias_us for tool, each in results["clean"].items() if isinstance(each, Judged)}
    figures, faults = report(results, constants_us)
    print(
        "the witness's own constant, from the clean link: "
        + ", ".join(f"{t} {us} us" for t, us in constants_us.items())
    )
    shares_us = {tool: us - hops_us[tool.partition(" ")[0]] for tool, us in constants_us.items()}
    print("of that the virtual board's hop: " + ", ".join(f"{vm} {us} us" for vm, us in hops_us.items()))
    faults += [f"clean: {tool}: own share above 1 ms" for tool, us in shares_us.items() if us > CONSTANT_LIMIT_US]
    print("every limit holds" if not faults else "does not hold: " + "; ".join(faults))
    judged_in = "loss" if "loss" in figures else "clean"
    baseline = figures[judged_in]["irtt"]["p99_us"]
    best = min(row["p99_us"] for tool, row in figures[judged_in].items() if tool in constants_us)
    result = {
        "benchmark": "probes", "machine": here, "figures": figures, "constants_us": constants_us,
        "hops_us": hops_us, "shares_us": shares_us,
        "faults": faults,
        "baseline": baseline, "ratio": round(best / baseline, 3),
    }  # fmt: skip
    print(json.dumps(result))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
