"""Live heap of the whole firmware on 32-bit machines, while it does everything that the demo's plan asks for.

    python tests/benchmarks/bench_heap.py [--profile esp32-devkitc] [--seconds 60] [--every-ms 200] [--without-frozen]

Three builds. `loaded`: .mpy files on littlefs that MicroPython loads into its heap, which is all that stock images can
do. `in place`: the same files in a ROMFS partition, executed from the flash. `frozen`: the firmware built into an image
of MicroPython (frozen_vm.py).

The board is flashed as a person does it and runs the demo's plan: targets each second, call-quality windows, signing,
journal, MQTT; and another time with a target more for each other probe. Of those SNMP, UPnP and STUN ask who does not
answer; the handshakes of `tls` and `sip_tls` are left out for the sake of the Pico W's figure, and SIP over TCP has
their code. A test call comes too rarely: its code is added to what was measured in and beside windows, less that of the
other window where only one of them is in memory at a time (witness/loading.py); what a call's media take is not in the
figure. A window is told by its pace: nothing else sends so many datagrams a second. The heap is collected and measured
over and over, at whatever the firmware is doing at that moment. From that goes what the runtime alone takes: the same
machine with a main.py that only sleeps. Another machine imports every module of the firmware, one after the other: its
code, by module, of which some may be an interned-string pool that grew just then. TLS is not in the figures: on the
ESP32 mbedTLS allocates outside the collected heap; what it takes of a Pico W's the virtual board charges, and it is
subtracted here.

Prints KiB and, as its last line, one JSON object; baseline is the limit of 56, ratio that of the last build with every
probe over it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import frozen_vm
from debian_vm import Unavailable
from machine import machine
from one_branch import SITE, one_branch

from linewitness.config import Table
from linewitness.device.firmware import compile_firmware
from linewitness.device.romfs import build_image
from linewitness.fleet import Fleet
from linewitness_wire import codes
from simulations.board.client import Board
from simulations.board.profile import load_profile
from simulations.scenarios import two_branches as scenario
from witness import loading

LIMIT_KIB = 56
WINDOW_DATAGRAMS_S = 30  # a window sends 50
LOADED, IN_PLACE, FROZEN = "loaded", "in place", "frozen"
ROOMY_KB = 1024  # of the unix machine, so that what lives is measured and not what just fits; wasm has no limit
VMS = {LOADED: "wasm", IN_PLACE: "wasm", FROZEN: "unix"}
WINDOW_MODULES = [
    f"witness.{name}"
    for name in dict.fromkeys(loading.modules_of(codes.METHOD_STAMP) + loading.modules_of(codes.METHOD_CALL))
]
CALL_ALONE = [f"witness.probes.{name}" for name in ("rtp", "sdp", "sip_dialog", "call_media", "call")]
BRANCH = scenario.BRANCHES[0]
PROFILES = ("esp32-devkitc", "pico-w")
# What a board has in C or frozen, and what the others are made of comes first.
FIRST = (
    "asyncio",
    "socket",
    "ssl",
    "json",
    "struct",
    "hashlib",
    "os",
    "select",
    "array",
    "errno",
    "machine",
    "network",
)
MAIN = """
import asyncio, gc, sys
async def measured():
    gc.collect()
    await asyncio.sleep_ms(30)
    await asyncio.sleep_ms(30)
    return gc.mem_alloc()
async def main():
    for name in %r:
        __import__(name)
    before = await measured()
    for name in %r:
        __import__(name)
        after = await measured()
        print("module", name, after - before)
        before = after
    print("sleeping")
    while True:
        await asyncio.sleep_ms(50)
asyncio.run(main())
"""


def demo_plan(table: Table) -> None:
    """Give a site the demo's plan."""
    resolvers, servers = [scenario.RESOLVER], list(scenario.TIME_SERVERS)
    table["plan"] |= {"batch_s": 10, "resolvers": resolvers, "time_servers": servers}
    table["target"] = scenario.targets(BRANCH)


def every_probe(fleet: Path) -> Callable[[Table], None]:
    """Return what gives a site of the fleet a plan with all probes but tls, sip_tls and call."""

    def change(table: Table) -> None:
        demo_plan(table)
        Fleet.open(fleet).set_secret("snmp", "public")
        more = [
            ("sntp", "transit", "ntp", scenario.TIME_SERVERS[0], {}),
            ("stun", "transit", "stun", scenario.ANCHORS[0], {}),
            ("wan", "router", "snmp", "gateway", {"secret": "secret:snmp", "index": 1}),
            ("igd", "router", "igd", "gateway", {}),
            ("edge-sip-tcp", "provider", "sip_tcp", scenario.EDGE, {"port": 5060}),
        ]
        for name, segment, method, host, options in more:
            fixed = {"name": name, "segment": segment, "method": method, "role": "subject", "host": host}
            table["target"].append(fixed | {"period_ms": 8_000, "fast_period_ms": 8_000, "timeout_ms": 800} | options)

    return change


def module_names(files: Iterable[str]) -> list[str]:
    """The modules of the firmware's files on a board, those first that the others are made of."""
    names = [path.removeprefix("/lib/").removesuffix(".mpy").replace("/", ".") for path in files if "/lib/" in path]
    names = sorted(name.removesuffix(".__init__") for name in names)

    def place(name: str) -> tuple[object, ...]:
        window = name in WINDOW_MODULES
        place = WINDOW_MODULES.index(name) if window else name.count(".")
        return not name.startswith("linewitness_wire"), name.startswith("witness.probes.") or window, place, name

    return sorted(names, key=place)


def sleeping_heap(folder: Path, profile: str, names: list[str], *, build: str) -> tuple[int, dict[str, int]]:
    """The live heap in octets of a machine that has imported the modules, the least of ten; and of each module."""
    files = compile_firmware("")
    files = {path: octets for path, octets in files.items() if path.startswith("/lib/")}
    (folder / "board").mkdir(parents=True)
    if build == IN_PLACE:
        image = build_image(files)
        size = 1024 * (256 if profile == "pico-w" else 512)
        (folder / "board" / "board.romfs").write_bytes(image.ljust(size, b"\xff"))
        files = {}
    if build == FROZEN:
        files = {}
    for path, octets in {**files, "/main.py": (MAIN % (FIRST, names)).encode()}.items():
        target = folder / "files" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(octets)
    install = {f"/{path.name}": str(path) for path in (folder / "files").iterdir()}
    with Board(
        {"profile": profile, "install": install, "romfs": build == IN_PLACE, "vm": VMS[build]}, folder / "board"
    ) as board:
        printed = board.wait_for_text("sleeping", 60)
        time.sleep(0.3)
        lines = [line.split() for line in printed.splitlines() if line.startswith("module ")]
        return min(board.client.heap() for _ in range(10)), {name: int(octets) for _, name, octets in lines}


def running_heaps(
    folder: Path, profile: str, seconds: int, every_ms: int, *, build: str, change: Callable[[Table], None]
) -> tuple[list[int], list[int]]:
    """Live heaps in octets, less what TLS takes of it, ascending, one each every_ms, while batches are made; and those
    of them that were measured in or beside a call-quality window."""
    assert BRANCH.site == SITE
    zone = {"example.com": {"A": [scenario.ANCHORS[0]]}}
    heaps, sent = [], []
    with one_branch(
        folder, lambda ports: scenario.network(BRANCH, ports), scenario.BROKER, change=change, zone=zone,
        profile=profile, romfs=build == IN_PLACE, vm=VMS[build], heap_kb=ROOMY_KB,
    ) as branch:  # fmt: skip
        before = branch.batches()
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            heaps.append(branch.board.client.heap())
            sent.append((time.monotonic(), branch.board.client.counters()["datagrams_sent"]))
            time.sleep(every_ms / 1000)
        branch.wait_for_batches(before + 2)
        if "MemoryError" in branch.board.printed():
            raise SystemExit(f"{build} on {profile}: {branch.board.printed()[-1500:]}")
    tls_octets = load_profile(profile).tls_session_bytes
    busy = [(b[1] - a[1]) / (b[0] - a[0]) > WINDOW_DATAGRAMS_S for a, b in pairwise(sent)]
    beside = [any(busy[max(0, i - 1) : i + 1]) for i in range(len(heaps))]
    windows = [octets - tls_octets for octets, window in zip(heaps, beside, strict=True) if window]
    return sorted(octets - tls_octets for octets in heaps), sorted(windows)


def build_figures(folder: Path, profile: str, seconds: int, every_ms: int, *, build: str) -> dict[str, float]:
    """KiB of one build on one board, printed as a table."""
    names = module_names(frozen_vm.modules() if build == FROZEN else compile_firmware(""))
    empty, _ = sleeping_heap(folder / "empty", profile, [], build=build)
    loaded, modules = sleeping_heap(folder / "all", profile, names, build=build)
    heaps, _ = running_heaps(folder / "branch", profile, seconds, every_ms, build=build, change=demo_plan)
    change = every_probe(folder / "every" / "fleet")  # where Stage makes it
    every, windows = running_heaps(folder / "every", profile, 2 * seconds, every_ms, build=build, change=change)
    one_at_a_time = build != LOADED
    windows = windows if one_at_a_time else every
    call = sum(modules[name] for name in CALL_ALONE) - (modules["witness.probes.stamp"] if one_at_a_time else 0)
    kib = {
        "runtime_alone_kib": empty / 1024,
        "code_of_all_modules_kib": (loaded - empty) / 1024,
        "demo_plan_median_kib": (heaps[len(heaps) // 2] - empty) / 1024,
        "demo_plan_highest_kib": (heaps[-1] - empty) / 1024,
        "every_probe_median_kib": (every[len(every) // 2] - empty) / 1024,
        "every_probe_highest_kib": (max(every[-1], windows[-1] + call) - empty) / 1024,
    }
    print(f"\n{build} on {profile}: {len(heaps)} measurements in {seconds} s, {len(every)} with every probe")
    for name, value in kib.items():
        print(f"{name.removesuffix('_kib').replace('_', ' '):32}{value:8.1f} KiB")
    print("by module, octets: " + ", ".join(f"{name} {octets}" for name, octets in modules.items()))
    return {name: round(value, 1) for name, value in kib.items()} | {"measurements": len(heaps) + len(every)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=PROFILES, action="append", help="this board alone")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--every-ms", type=int, default=200)
    parser.add_argument("--without-frozen", action="store_true", help="do without building a MicroPython")
    options = parser.parse_args()
    builds = [LOADED, IN_PLACE]
    if not options.without_frozen:
        try:
            os.environ["LINEWITNESS_MICROPYTHON"] = str(frozen_vm.build())
            builds.append(FROZEN)
        except Unavailable as reason:
            print(f"frozen is left out: {reason}")
    here = machine()
    print(here)
    print("32-bit MicroPython, the demo's plan; loaded and in place on wasm, frozen on i386")
    figures: dict[str, float] = {}
    profiles = options.profile or PROFILES
    with tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder:
        for profile in profiles:
            for build in builds:
                name = f"{profile.replace('-', '_')}_{build.replace(' ', '_')}"
                found = build_figures(
                    Path(folder) / name, profile, options.seconds, options.every_ms, build=build
                )  # fmt: skip
                figures |= {f"{name}_{key}": value for key, value in found.items()}
    best = builds[-1].replace(" ", "_")
    worst = max(figures[f"{profile.replace('-', '_')}_{best}_every_probe_highest_kib"] for profile in profiles)
    ratio = worst / LIMIT_KIB
    over = ", OVER THE LIMIT" if ratio > 1 else ""
    print(f"\n{builds[-1]}, every probe, limit {LIMIT_KIB} KiB: {ratio:.2f} of it{over}")
    result = {
        "benchmark": "heap", "machine": here, "figures": figures, "baseline": LIMIT_KIB, "ratio": round(ratio, 3),
    }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
