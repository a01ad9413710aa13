"""Runs plain MicroPython source on the real virtual machines, for tests of the firmware's pure modules.

`run_on_vm` takes files and a main program, and gives back what the machine printed; an exception that the program did
not catch comes back as `VmError` with the machine's own traceback. `package_files` reads a source tree into the
`files` that it takes, e.g. `package_files("firmware/linewitness_wire")` for `import linewitness_wire` on the machine.

>>> run_on_vm("wasm", {}, "print(1 + 1)")
'2\\n'

What needs asyncio, sockets, files or the board's modules runs by `run_on_board`, on a virtual board in this process:
its sockets are this computer's (or those of an emulated network), so that a test's own peers answer it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from simulations.board import vms
from simulations.board.device import Device, Settings
from simulations.board.profile import load_profile
from simulations.board.vms import available_vms

__all__ = ["VmError", "available_vms", "package_files", "run_on_board", "run_on_vm"]

CHECKOUT = Path(__file__).parent.parent.parent
PLAIN_MJS = Path(__file__).parent / "vm" / "plain.mjs"


class VmError(AssertionError):
    """The program ended in an exception or did not end in time; the text is all that the machine printed."""


def run_on_vm(vm: str, files: Mapping[str, bytes | str], main: str, timeout_s: float = 30) -> str:
    """Run source `main` on the machine `vm` ("wasm" or "unix") beside `files` (path -> content); return its output.

    `/` and `/lib` are on the import path. Raises VmError with the machine's traceback, or when `timeout_s` is over.
    """
    with tempfile.TemporaryDirectory(prefix="linewitness-vm-") as name:
        folder = Path(name)
        for path, content in {**files, "main.py": main}.items():
            target = folder / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return _run(_command(vm, folder), folder, timeout_s)


def run_on_board(
    vm: str,
    files: Mapping[str, bytes | str],
    main: str,
    timeout_s: float = 30,
    *,
    profile: str = "esp32-devkitc",
    network: dict[str, Any] | None = None,
    virtual_clock: bool = False,
    counted: dict[str, int] | None = None,
    begun: Callable[[Device], None] = lambda device: None,
) -> str:
    """Boot a virtual board with `files` and `main` as /main.py; return what it printed until main.py ended.

    `network` as in topology.py; without it the kernel's sockets. With `virtual_clock` time passes as fast as the
    machine computes, and `timeout_s` stays real. `counted` gets "queue_drops": datagrams that found a full receive
    queue; `begun` gets the board as soon as it is on. Raises VmError like run_on_vm.
    """
    printed = bytearray()
    settings = Settings(
        load_profile(profile),
        vm=vm,
        network=network or {},
        virtual_clock=virtual_clock,
        flash_pause=False,
        heap_kb=1024 if vm == "unix" else None,  # 64-bit objects are twice as large, and it compiles from source
    )
    device = Device(settings, printed.extend)
    try:
        with device.unpowered_flash() as flash:
            for path, content in {**files, "main.py": main}.items():
                flash.write_file("/" + path.lstrip("/"), content.encode() if isinstance(content, str) else content)
        device.power_on()
        begun(device)
        end_s = time.monotonic() + timeout_s
        while not device.idle():
            if device.machine is None:
                raise VmError(printed.decode("utf-8", "replace") + "\nthe machine ended")
            if time.monotonic() > end_s:
                raise VmError(f"not done after {timeout_s} s; printed so far: {printed.decode('utf-8', 'replace')}")
            device.turn(None if virtual_clock else device.scheduler.now_us() + 50_000)
        if counted is not None:
            counted["queue_drops"] = device.sockets.queue_drops()
    finally:
        device.close()
    text = printed.decode("utf-8", "replace")
    if device.failed:
        raise VmError(text.strip())
    return text


def package_files(*sources: str | Path, under: str = "") -> dict[str, bytes]:
    """Every .py file of the package directories `sources` (absolute, or from the checkout's root), as path -> content.

    A package keeps its own last name: `firmware/witness/crypto` becomes `crypto/...`, unless `under` puts it into a
    folder, e.g. under="witness" gives `witness/crypto/...`. No package's other files are taken.
    """
    files = {}
    for source in sources:
        root = CHECKOUT / source
        if not root.is_dir():
            raise FileNotFoundError(f"no package directory {root}")
        for path in sorted(root.rglob("*.py")):
            inside = Path(under) / root.name / path.relative_to(root)
            files[inside.as_posix()] = path.read_bytes()
    return files


def _command(vm: str, folder: Path) -> list[str]:
    if vm == "unix":
        return [str(vms.unix_binary()), "-X", "heapsize=8M", "main.py"]
    if vm == "wasm":
        return [str(vms.node_binary()), str(PLAIN_MJS), str(vms.wasm_module()), str(folder)]
    raise ValueError(f"unknown virtual machine {vm!r}: wasm or unix")


def _run(command: list[str], folder: Path, timeout_s: float) -> str:
    environment = {**os.environ, "MICROPYPATH": f"{folder}:{folder}/lib:.frozen"}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as late:
        raise VmError(f"not done after {timeout_s} s; printed so far: {(late.stdout or b'').decode()}") from late
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        raise VmError((output + done.stderr.decode("utf-8", "replace")).strip())
    return output
