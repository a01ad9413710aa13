"""Calls the firmware's pure functions on CPython and on each MicroPython machine, with the same arguments.

>>> call("cpython", [("witness.quality", "percentile", ([1, 2, 3], 50))])
[2]

Octets travel as bytes, tuples come back as lists, an exception as {"error": its class, "text": its words}.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import machine_side

from simulations.board.harness import available_vms, package_files, run_on_vm

MACHINES = ["cpython", *available_vms()]

MAIN = """
import json
import machine_side
print(machine_side.answer(open("jobs.json").read()))
"""


def call(machine: str, jobs: list[tuple[str, str, tuple[Any, ...]]], timeout_s: float = 60) -> list[Any]:
    """Return the result of each (module, function, arguments); a module "machine_side" is the file beside this one."""
    text = json.dumps(machine_side.pack([list(job) for job in jobs]))
    if machine == "cpython":
        importlib.invalidate_caches()
        return machine_side.unpack(json.loads(machine_side.answer(text)))
    files = {
        **package_files("firmware/linewitness_wire"),
        **package_files("firmware/witness"),
        "machine_side.py": (Path(__file__).parent / "machine_side.py").read_bytes(),
        "jobs.json": text,
    }
    return machine_side.unpack(json.loads(run_on_vm(machine, files, MAIN, timeout_s)))
