"""The default plan for a virtual hour in a hard heap as large as the boards': does anything ever find no memory?

    python tests/benchmarks/bench_hour.py [--minutes 60] [--every-minutes 11] [--search-minutes 2]

The machine is a 32-bit MicroPython with the firmware frozen in (frozen_vm.py); its heap can't grow: what
hardware/boards/*.toml says that the firmware may count on, and what the virtual board's own runtime takes. The office
is that of tests/firmware/virtual_office.py, its broker with TLS, whose buffers a Pico W's heap has to hold.

Then the same with a target of every method there is beside the default plan's, so that every probe is on; what those
are sent to mostly keeps silent. Prints for each board the live heap less what the runtime alone takes (TLS's buffers
are subtracted where they are in the heap), and the least heap in which a few minutes of the default plan pass: how far
the stated one is from not being enough. The last line is one JSON object; baseline is the stated heap of the smallest
board, ratio the least heap of that. Ends with 1 where an allocation failed, a task died, the board restarted or a batch
is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "firmware"))

import frozen_vm
from bench_heap import FROZEN, sleeping_heap
from machine import machine
from virtual_office import (
    BROKER,
    EDGE,
    REFLECTOR,
    TIME,
    VirtualOffice,
    default_targets,
    make_plan,
    target,
)

from linewitness_wire import codes, plan
from simulations.board.profile import load_profile

PROFILES = ("esp32-devkitc", "pico-w")
MEASURED_EVERY_S = 5.3
STEP_KB = 4
SECRETS = {"community": "public"}


def every_method() -> list[plan.Target]:
    """The default plan, and a target of each method that it does not use."""
    router, provider, transit = codes.SEGMENT_ROUTER, codes.SEGMENT_PROVIDER, codes.SEGMENT_TRANSIT
    slow = {"period_ms": 60_000, "fast_period_ms": 60_000}
    wan = {plan.OPTION_SECRET: "community", plan.OPTION_INDEX: 1}
    call = {plan.OPTION_EXTENSION: "echo", plan.OPTION_SECONDS: 15, plan.OPTION_ALLOWED: 1, plan.OPTION_ECHO: 1}
    return [
        *default_targets(),
        target("snmp", router, codes.METHOD_SNMP, "gateway", 161, options=wan, **slow),
        target("igd", router, codes.METHOD_IGD, "gateway", **slow),
        target("ntp", transit, codes.METHOD_NTP, TIME[0], 123, **slow),
        target("stun", transit, codes.METHOD_STUN, REFLECTOR, 3478, **slow),
        target("tls", transit, codes.METHOD_TLS, BROKER, 8883, **slow),
        target("sip-tcp", provider, codes.METHOD_SIP_TCP, EDGE, 5060, **slow),
        target("sip-tls", provider, codes.METHOD_SIP_TLS, BROKER, 8883, **slow),
        target("call", provider, codes.METHOD_CALL, EDGE, 5060, options=call, period_ms=600_000),
    ]


def run(profile: str, targets: list[plan.Target], minutes: float, heap_kb: int) -> tuple[list[str], list[int], int]:
    """Return what went wrong, live heaps in octets with the runtime's, and how many batches came."""
    heaps: list[int] = []
    with (
        tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder,
        VirtualOffice(
            Path(folder), make_plan(targets), profile, vm="unix", heap_kb=heap_kb, config={"secrets": SECRETS}
        ) as office,
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
        if run(profile, default_targets(), minutes, middle * STEP_KB)[0]:
            low = middle
        else:
            high = middle
    return high * STEP_KB


def of_board(profile: str, options: argparse.Namespace) -> tuple[dict[str, object], list[str]]:
    """Figures of one board, and what went wrong."""
    board = load_profile(profile)
    with tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder:
        runtime, _ = sleeping_heap(Path(folder), profile, [], build=FROZEN)
    figures: dict[str, object] = {"stated_heap_kib": board.heap_kb, "runtime_alone_kib": round(runtime / 1024, 1)}
    problems: list[str] = []
    for name, targets, minutes in (
        ("default_plan", default_targets(), options.minutes), ("every_probe", every_method(), options.every_minutes),
    ):  # fmt: skip
        found, heaps, batches = run(profile, targets, minutes, board.heap_kb)
        kib = sorted((octets - runtime - board.tls_session_bytes) / 1024 for octets in heaps)
        figures[f"{name}_live_median_kib"] = round(kib[len(kib) // 2], 1)
        figures[f"{name}_live_highest_kib"] = round(kib[-1], 1)
        figures[f"{name}_batches"] = batches
        problems += [f"{name.replace('_', ' ')}: {problem}" for problem in found]
    if not problems:
        figures["least_heap_kib"] = least_kb(profile, options.search_minutes, board.heap_kb)
    return figures, problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every-minutes", type=float, default=11)
    parser.add_argument("--search-minutes", type=float, default=2)
    options = parser.parse_args()
    os.environ["LINEWITNESS_MICROPYTHON"] = str(frozen_vm.build())
    here = machine()
    print(f"{here}\n32-bit MicroPython, the firmware frozen in, the default plan, {options.minutes:g} virtual minutes")
    all_figures: dict[str, object] = {}
    sound = True
    with ProcessPoolExecutor(len(PROFILES)) as pool:
        boards = list(pool.map(of_board, PROFILES, [options] * len(PROFILES)))
    for profile, (figures, problems) in zip(PROFILES, boards, strict=True):
        print(f"\n{profile}")
        for key, value in figures.items():
            print(f"  {key.replace('_', ' '):34}{value!s:>10}")
        for problem in problems[:20]:
            print(f"  PROBLEM  {problem}")
        sound = sound and not problems
        all_figures |= {f"{profile.replace('-', '_')}_{key}": value for key, value in figures.items()}
    smallest = min(PROFILES, key=lambda profile: load_profile(profile).heap_kb)
    baseline = load_profile(smallest).heap_kb
    needed = all_figures.get(f"{smallest.replace('-', '_')}_least_heap_kib")
    ratio = round(needed / baseline, 3) if isinstance(needed, int) else None
    result = {"benchmark": "hour", "machine": here, "figures": all_figures, "baseline": baseline, "ratio": ratio}
    print(json.dumps(result))
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
