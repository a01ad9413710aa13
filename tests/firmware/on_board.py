"""Programs of ours on a virtual board with the firmware's parts: how they begin, and a board in a namespace.

A program is PRELUDE and a main of its own, which begins with `link, clock = await begin()`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from simulations.lab.netns import Namespaces

ROOT = Path(__file__).resolve().parents[2]

# On Wi-Fi before anything else, with the clock's task running.
PRELUDE = """
import asyncio, json, network, os, socket, time
from linewitness_wire import codes, plan, record
from witness import sockets
from witness.clock import Clock

class Link:
    def __init__(self, wlan): self.wlan = wlan
    def is_up(self): return self.wlan.isconnected()
    def address(self): return self.wlan.ifconfig()[0]

tasks = []

async def begin():
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    wlan.connect("office", "secret")
    while not wlan.isconnected():
        await asyncio.sleep_ms(10)
    clock = Clock(time.ticks_us, time.ticks_diff, asyncio.sleep_ms)
    tasks.append(asyncio.create_task(clock.run(lambda: None)))
    return Link(wlan), clock

def run(*receivers):
    tasks.extend([asyncio.create_task(each.run()) for each in receivers])
"""


def board_in(
    lab: Namespaces, namespace: str, folder: Path, vm: str, main: str, profile: str = "esp32-devkitc"
) -> subprocess.Popen[str]:
    """Boot a board with `main` as /main.py and the firmware in /lib, on the sockets of a namespace; its console is the
    process's stdout."""
    (folder / "main.py").write_text(main)
    firmware = ROOT / "firmware"
    install = {"/main.py": folder / "main.py", "/lib/witness": firmware / "witness",
               "/lib/linewitness_wire": firmware / "linewitness_wire"}  # fmt: skip
    description = {
        "profile": profile, "vm": vm, "network": {"mode": "real"}, "nic": {"ssid": "office", "password": "secret"},
        # Objects of the 64-bit machine are twice as large, and it compiles from source here.
        **({"heap_kb": 1024} if vm == "unix" else {}), "install": {k: str(v) for k, v in install.items()},
    }  # fmt: skip
    (folder / "board.json").write_text(json.dumps(description))
    return lab.start(namespace, sys.executable, "-m", "simulations.board", "run", str(folder / "board.json"))
