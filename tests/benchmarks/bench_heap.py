"""Live heap of the whole firmware on the 32-bit machine, while it does everything that the demo's plan asks for.

    python tests/benchmarks/bench_heap.py [--seconds 60] [--every-ms 200]

The board is flashed with the precompiled firmware and runs the demo's plan: targets each second, call-quality windows,
signing, journal, MQTT. Its heap is collected and measured over and over, at whatever the firmware is doing at that
moment. From that goes what the runtime alone takes: the same machine with a main.py that only sleeps. A third machine
imports the firmware and sleeps, which tells its code from its data: code is loaded from the file system into the heap.
TLS is not in the figures: on the ESP32, whose profile this is, mbedTLS allocates outside the collected heap, and here
the board's parent process does it. Prints KiB and, as its last line, one JSON object; baseline is the limit of 56,
ratio the highest measured over it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from machine import machine
from one_branch import SITE, one_branch

from linewitness.config import Table
from linewitness.device.firmware import compile_firmware
from simulations.board.client import Board
from simulations.scenarios import two_branches as scenario

LIMIT_KIB = 56
BRANCH = scenario.BRANCHES[0]
PROFILE = "esp32-devkitc"
SLEEP = """
import asyncio
async def main():
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


def sleeping_heap(folder: Path, main: str, files: dict[str, bytes]) -> int:
    """Return the live heap in octets of a machine that runs main, the least of ten."""
    for path, octets in {**files, "/main.py": main.encode()}.items():
        target = folder / "files" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(octets)
    install = {f"/{path.name}": str(path) for path in (folder / "files").iterdir()}
    with Board({"profile": PROFILE, "install": install}, folder / "board") as board:
        board.wait_for_text("sleeping")
        time.sleep(1)
        return min(board.client.heap() for _ in range(10))


def firmware_heaps(folder: Path, seconds: int, every_ms: int) -> list[int]:
    """Return live heaps in octets, one each every_ms, while batches go on being made."""
    assert BRANCH.site == SITE
    zone = {"example.com": {"A": [scenario.ANCHORS[0]]}}
    heaps = []
    with one_branch(
        folder, lambda ports: scenario.network(BRANCH, ports), scenario.BROKER, change=demo_plan, zone=zone
    ) as branch:
        before = branch.batches()
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            heaps.append(branch.board.client.heap())
            time.sleep(every_ms / 1000)
        branch.wait_for_batches(before + 2)
    return heaps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--every-ms", type=int, default=200)
    options = parser.parse_args()
    here = machine()
    print(here)
    with tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder:
        runtime = sleeping_heap(Path(folder) / "empty", SLEEP, {})
        loaded = sleeping_heap(Path(folder) / "loaded", "import witness.app\n" + SLEEP, compile_firmware(""))
        heaps = sorted(firmware_heaps(Path(folder) / "branch", options.seconds, options.every_ms))
    median, highest = heaps[len(heaps) // 2], heaps[-1]
    kib = {
        "runtime_alone_kib": runtime / 1024,
        "firmware_code_kib": (loaded - runtime) / 1024,
        "firmware_data_median_kib": (median - loaded) / 1024,
        "firmware_data_highest_kib": (highest - loaded) / 1024,
        "firmware_median_kib": (median - runtime) / 1024,
        "firmware_highest_kib": (highest - runtime) / 1024,
    }
    print(f"MicroPython on wasm (32-bit), the demo's plan, {len(heaps)} measurements in {options.seconds} s")
    for name, value in kib.items():
        print(f"{name.removesuffix('_kib').replace('_', ' '):26}{value:8.1f} KiB")
    ratio = kib["firmware_highest_kib"] / LIMIT_KIB
    print(f"limit {LIMIT_KIB} KiB: {ratio:.2f} of it{', OVER THE LIMIT' if ratio > 1 else ''}")
    figures: dict[str, float] = {name: round(value, 1) for name, value in kib.items()} | {"measurements": len(heaps)}
    result = {
        "benchmark": "heap", "machine": here, "figures": figures, "baseline": LIMIT_KIB, "ratio": round(ratio, 3),
    }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
