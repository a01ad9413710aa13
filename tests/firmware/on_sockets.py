"""Runs a witness's parts on a MicroPython machine with real sockets (the unix one), against peers on 127.0.0.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from linewitness_wire import codes
from simulations.board.harness import available_vms, package_files, run_on_vm

NEEDS_SOCKETS = pytest.mark.skipif("unix" not in available_vms(), reason="no unix MicroPython, which has real sockets")

# What every program begins with: the parts of a witness that a probe is made from.
PRELUDE = """
import asyncio, json, machine_side, os, socket, time
from linewitness_wire import codes, plan, record
from witness import sockets
from witness.clock import Clock
from witness.sample import Sample
class Link:
    up = True
    def is_up(self): return self.up
    def address(self): return "127.0.0.1"
def target(method, port, timeout_ms=300, options={}, host="127.0.0.1", name="t"):
    return plan.Target(name, 7, method, 0, host, port, 1000, 1000, timeout_ms, options)
class Calm(Clock):  # what the test machine is late by is not what most tests are about
    def stall_us_since(self, since_us): return 0
link, quiet = Link(), sockets.Quiet()
clock = CLOCK(time.ticks_us, time.ticks_diff, asyncio.sleep_ms)
def progress(): pass
def tell(value): print(json.dumps(machine_side.pack(value)))
"""
MAIN = """
async def main():
    watch = asyncio.create_task(clock.run(progress))
{body}
asyncio.run(main())
"""


def run(*parts: str, calm: bool = True, timeout_s: float = 30) -> list[Any]:
    """Run the statements of all parts in an async main on the machine; return what it told, a line each.

    calm: with a clock that sees no stalls of the loop.
    """
    body = "\n".join("    " + line for line in "".join(parts).strip("\n").split("\n"))
    program = PRELUDE.replace("CLOCK", "Calm" if calm else "Clock") + MAIN.format(body=body)
    files = {
        **package_files("firmware/linewitness_wire"),
        **package_files("firmware/witness"),
        "machine_side.py": (Path(__file__).parent / "machine_side.py").read_bytes(),
    }
    return [json.loads(line) for line in run_on_vm("unix", files, program, timeout_s).splitlines()]


CONTROL = """
control = sockets.Datagram(socket, clock, link, 1500, quiet)
asyncio.create_task(control.run())
"""


def fates(samples: list[Any]) -> list[tuple[int, int | None]]:
    for fate, sent_us, rtt_us, _ in samples:
        assert sent_us >= 0
        assert (rtt_us is not None) == (fate in (codes.FATE_ANSWERED, codes.FATE_WRONG))
        assert rtt_us is None or 0 < rtt_us < 300_000
    return [(sample[0], sample[3]) for sample in samples]
