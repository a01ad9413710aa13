"""How exact the witness's call-quality window is, beside irtt and fping, on one link in one run.

    python tests/benchmarks/bench_probes.py [--windows 4] [--link "delay=10 jitter=2 loss=2"]

Real packets cross real kernels in network namespaces and one TAP wire (simulations/lab), whose own log is the judge.
Each tool sends the same number of packets, 20 ms apart, in turns, a window's worth each time: the firmware's STAMP
session-sender on every MicroPython machine that is there, to `linewitness reflect`; irtt to irtt; fping to the far
kernel. The virtual board's sockets are the namespace's own, but each datagram passes from the machine through its
parent process, which a real board has not: its figures hold that, and the load of this computer. For each packet the
log says when it entered the wire and how long the wire held it, each way. From that:

    send error   entering the wire against a 20 ms grid that begins with the earliest packet of the window
    step error   |time since the packet before - 20 ms|
    RTT bias     reported round trip less the time within the wire, both ways; what remains is bridges, kernels, host.
                 The STAMP reflector's and irtt's hold is taken out by the protocol itself.
    lost         as the tool says, and as the log says. A witness also says `void` of a sample that it spoilt itself
                 (its loop stalled): it is then neither lost nor answered.

Prints a table and, as its last line, one JSON object; baseline is irtt's p99 of the RTT bias, ratio that of the best
witness over it. Needs root and /dev/net/tun for the namespaces; where they can't be made it says so and ends with 1.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from machine import machine

from simulations.board.vms import available_vms
from simulations.lab import baselines
from simulations.lab.daemons import IrttServer
from simulations.lab.link import PASSED
from simulations.lab.netns import Namespaces, cannot_make
from simulations.lab.tools import reason_without
from simulations.lab.wire_handle import Crossing, WireHandle

ROOT = Path(__file__).resolve().parents[2]
FAR, STAMP_PORT, IRTT_PORT = "192.0.2.1", 862, 2112
PACKETS, INTERVAL_US = 250, 20_000
PAYLOAD_OCTETS = 172
EARLY_US = 5_000  # by which a packet may be earlier than its turn, as the first one tells it

# The firmware's window on a board; what it keeps of each packet is told to the bench.
MAIN = """
import asyncio, json, network, os, socket, time
from linewitness_wire import codes, plan
from witness import sockets
from witness.clock import Clock
from witness.probes import stamp, window

class Told(window.Window):
    def close(self, link_up):
        super().close(link_up)
        print("WINDOW", json.dumps([list(self._rtt_us), list(self._state)]))
stamp.Window = Told

class Link:
    def __init__(self, wlan): self.wlan = wlan
    def is_up(self): return self.wlan.isconnected()
    def address(self): return self.wlan.ifconfig()[0]

async def main():
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    wlan.connect("office", "secret")
    while not wlan.isconnected():
        await asyncio.sleep_ms(10)
    link, clock = Link(wlan), Clock(time.ticks_us, time.ticks_diff, asyncio.sleep_ms)
    media = sockets.Datagram(socket, clock, link, 512)
    tasks = [asyncio.create_task(clock.run(lambda: None)), asyncio.create_task(media.run())]
    probe = stamp.Stamp(media, sockets.Quiet(), clock, os.urandom, {})
    target = plan.Target("t", 4, codes.METHOD_STAMP, 0, "FAR", PORT, 1000, 1000, 2000, {plan.OPTION_PACKETS: PACKETS})
    print("READY")
    await probe.run(target, "FAR")
    print("DONE")

asyncio.run(main())
"""
MAIN = (
    MAIN.replace("FAR", FAR)
    .replace("PORT", str(STAMP_PORT), 1)
    .replace("OPTION_PACKETS: PACKETS", f"OPTION_PACKETS: {PACKETS}")
)
ANSWERED, VOID = 1, 3  # states of witness.probes.window


@dataclass(slots=True)
class Reported:
    """What a tool says of each packet of one window: RTT in us, None where lost; numbers of void ones."""

    rtts_us: list[int | None]
    void: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Judged:
    """All windows of one tool against the log."""

    send_us: list[int] = field(default_factory=list)
    step_us: list[int] = field(default_factory=list)
    bias_us: list[int] = field(default_factory=list)
    sent: int = 0
    lost: int = 0
    lost_by_log: int = 0
    void: int = 0
    disagreements: int = 0

    def take(self, reported: Reported, up: list[Crossing], down: list[Crossing]) -> None:
        """Judge one window. The wire keeps the order: the n-th packet that it passed up is the n-th to come back."""
        assert len(up) == len(reported.rtts_us), f"{len(reported.rtts_us)} packets sent, {len(up)} in the log"
        self.sent += len(up)
        late_us = [c.t_in_us - turn * INTERVAL_US for c, turn in zip(up, _turns(up), strict=True)]
        self.send_us += [us - min(late_us) for us in late_us]
        self.step_us += [abs(b.t_in_us - a.t_in_us - INTERVAL_US) for a, b in itertools.pairwise(up)]
        passed = [n for n, crossing in enumerate(up) if crossing.verdict == PASSED]
        assert len(down) == len(passed), f"{len(passed)} went up, {len(down)} came back"
        wire_us: dict[int, int] = {}
        for n, back in zip(passed, down, strict=True):
            if back.verdict == PASSED:
                wire_us[n] = _within_us(up[n]) + _within_us(back)
        for n, rtt_us in enumerate(reported.rtts_us):
            if n in reported.void:
                self.void += 1
                continue
            self.lost += rtt_us is None
            self.lost_by_log += n not in wire_us
            self.disagreements += (rtt_us is None) != (n not in wire_us)
            if rtt_us is not None and n in wire_us:
                self.bias_us.append(rtt_us - wire_us[n])


def _turns(up: list[Crossing]) -> list[int]:
    """The turn of each packet: its number, but that irtt sends none in a turn which it has missed altogether."""
    turns = list(range(len(up)))
    if len(up) < PACKETS:
        for n in turns[1:]:
            passed_us = up[n].t_in_us - up[0].t_in_us + EARLY_US
            turns[n] = max(turns[n - 1] + 1, passed_us // INTERVAL_US)
    return turns


def _within_us(crossing: Crossing) -> int:
    assert crossing.written_us is not None
    return crossing.written_us - crossing.t_in_us


def percentile(values: list[int], percent: int) -> int:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


# --- the tools ------------------------------------------------------------------------------------------------------


def stamp_window(lab: Namespaces, folder: Path, vm: str) -> Reported:
    """Boot a board in the branch, let it measure one window, and take what it says."""
    (folder / "main.py").write_text(MAIN)
    firmware = ROOT / "firmware"
    install = {
        "/main.py": folder / "main.py",
        "/lib/witness": firmware / "witness",
        "/lib/linewitness_wire": firmware / "linewitness_wire",
    }
    description = {
        "profile": "esp32-devkitc", "vm": vm, "network": {"mode": "real"},
        "nic": {"ssid": "office", "password": "secret"},
        **({"heap_kb": 1024} if vm == "unix" else {}), "install": {k: str(v) for k, v in install.items()},
    }  # fmt: skip
    (folder / "board.json").write_text(json.dumps(description))
    command = (sys.executable, "-m", "simulations.board", "run", str(folder / "board.json"))
    process = lab.start("branch-probe", *command)
    assert process.stdout is not None
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("WINDOW"):
                rtts_us, states = json.loads(line.removeprefix("WINDOW"))
                return Reported(
                    [rtt if state == ANSWERED else None for rtt, state in zip(rtts_us, states, strict=True)],
                    {n for n, state in enumerate(states) if state == VOID},
                )
        raise RuntimeError(f"the board on {vm} ended: {''.join(said)[-800:]}")
    finally:
        process.terminate()
        process.communicate(timeout=10)


def irtt_window(lab: Namespaces) -> Reported:
    duration_s = PACKETS * INTERVAL_US / 1e6
    prefix = lab.command("branch-probe")
    address = (FAR, IRTT_PORT)
    return Reported(
        baselines.irtt(address, duration_s=duration_s, payload_octets=PAYLOAD_OCTETS, wait_s=2, prefix=prefix)
    )


def fping_window(lab: Namespaces) -> Reported:
    prefix = lab.command("branch-probe")
    octets = PAYLOAD_OCTETS - 8  # as long as the others' packets
    return Reported(baselines.fping(FAR, count=PACKETS, timeout_ms=2000, payload_octets=octets, prefix=prefix))


def packets_of(log: list[Crossing], port: int | None) -> list[Crossing]:
    """The packets of a window among all: echoes for None, else UDP datagrams of the window's length to or from port."""
    if port is None:
        return [c for c in log if " echo-" in c.key]
    mine = [c for c in log if c.key.startswith("udp") and f":{port}" in c.key.rpartition(" ")[0]]
    usual = statistics.mode(c.size_octets for c in mine)
    return [c for c in mine if c.size_octets == usual]


# --- the run --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def reflector(lab: Namespaces) -> Iterator[None]:
    """`linewitness reflect` at the far end."""
    process = lab.start(
        "anchors",
        sys.executable,
        "-u",
        "-m",
        "linewitness",
        "reflect",
        "--bind",
        f"{FAR}:{STAMP_PORT}",
        "--allow",
        "100.64.10.0/24",
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "reflecting" in line:
                break
        else:
            raise RuntimeError("the reflector did not start")
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=5)


def measure(windows: int, link: str, folder: Path) -> dict[str, Judged]:
    """Run every tool in turns; return what became of each."""
    results: dict[str, Judged] = {}
    words = " ".join(f"both:{word}" for word in link.split())
    with (
        Namespaces(access="tap") as lab,
        WireHandle(lab, seed=1) as wire,
        reflector(lab),
        IrttServer((FAR, IRTT_PORT), prefix=lab.command("anchors")),
    ):
        lab.run("branch-probe", "ping", "-n", "-c1", "-W2", FAR)  # so that no ARP is in the measured packets' way
        tools: dict[str, tuple[Callable[[], Reported], int | None]] = {}
        for vm in available_vms():
            (folder / vm).mkdir()
            tools[f"witness, {vm}"] = (lambda vm=vm: stamp_window(lab, folder / vm, vm), STAMP_PORT)
        tools["irtt"] = (lambda: irtt_window(lab), IRTT_PORT)
        tools["fping"] = (lambda: fping_window(lab), None)
        wire.set(words)
        for _ in range(windows):
            for name, (run, port) in tools.items():
                marks = {way: each["packets_in"] for way, each in wire.counters().items()}
                reported = run()
                up, down = (packets_of(wire.log(way, marks[way]), port) for way in ("ab", "ba"))
                results.setdefault(name, Judged()).take(reported, up, down)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--link", default="delay=10 jitter=2 loss=2")
    options = parser.parse_args()
    lacking = cannot_make("tap") or reason_without("irtt", "fping")
    if lacking:
        print(f"error: this benchmark can't run here: {lacking}", file=sys.stderr)
        return 1
    here = machine()
    print(here)
    print(f"each way: {options.link}; {options.windows} windows of {PACKETS} packets, {INTERVAL_US // 1000} ms apart")
    with tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder:
        results = measure(options.windows, options.link, Path(folder))
    print(
        f"{'us':16}{'send error':>16}{'step error':>16}{'RTT bias':>16}{'sent':>8}{'lost':>8}{'by log':>8}{'void':>6}"
    )
    print(f"{'':16}" + f"{'p50':>8}{'p99':>8}" * 3)
    figures: dict[str, dict[str, int]] = {}
    for name, judged in results.items():
        row = {
            f"{what}_p{percent}_us": percentile(values, percent)
            for what, values in (("send", judged.send_us), ("step", judged.step_us), ("bias", judged.bias_us))
            for percent in (50, 99)
        }
        print(
            f"{name:16}"
            + "".join(f"{v:8}" for v in row.values())
            + f"{judged.sent:8}{judged.lost:8}{judged.lost_by_log:8}{judged.void:6}"
        )
        figures[name] = row | {
            "sent": judged.sent, "lost": judged.lost, "lost_by_log": judged.lost_by_log, "void": judged.void,
            "disagreements": judged.disagreements,
        }  # fmt: skip
    wrong = {name: judged.disagreements for name, judged in results.items() if judged.disagreements}
    print("each tool's losses are the log's, packet by packet" if not wrong else f"NOT the log's losses: {wrong}")
    baseline = figures["irtt"]["bias_p99_us"]
    best = min(row["bias_p99_us"] for name, row in figures.items() if name.startswith("witness"))
    result = {
        "benchmark": "probes", "machine": here, "figures": figures, "baseline": baseline,
        "ratio": round(best / baseline, 3),
    }  # fmt: skip
    print(json.dumps(result))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
