"""Fleet folders, brokers and collectors as processes, for tests and benchmarks of the host."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from simulated_witness import SimulatedWitness

from linewitness.fleet import Fleet
from linewitness.founding import found_fleet
from simulations.free_ports import free_port


def make_fleet(folder: Path, *witnesses: SimulatedWitness) -> Fleet:
    """A fleet whose broker is to run on a free port of this machine, with the witnesses enrolled."""
    fleet, _ = found_fleet(folder / "fleet", "test", ["127.0.0.1"], free_port())
    with fleet.ledger() as book:
        for witness in witnesses:
            book.add_enrolment(witness.enrolment())
            fleet.make_witness_secrets(witness.site, witness.witness)
    return fleet


def linewitness(*arguments: str, fleet: Fleet) -> subprocess.Popen[str]:
    """Start a command of ours."""
    command = [sys.executable, "-m", "linewitness", *arguments, "--fleet", str(fleet.root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {})


def end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Ask a process to end as Ctrl-C does; return what it said on stdout and stderr."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def wait_for_port(port: int, *, timeout_s: float = 20) -> None:
    """Return as soon as something listens on the port of this machine."""
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")


@contextlib.contextmanager
def running_broker(fleet: Fleet, engine: str) -> Iterator[subprocess.Popen[str]]:
    """A broker in a process of its own, listening."""
    process = linewitness("broker", "--engine", engine, fleet=fleet)
    try:
        wait_for_port(fleet.broker.port)
        yield process
    finally:
        if process.poll() is None:
            end(process)
