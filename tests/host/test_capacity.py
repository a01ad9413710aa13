"""How many calls a line carries: the answer is what the link emulator's rate allows, within one call."""

from __future__ import annotations

import heapq
import json
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from linewitness import config
from linewitness.capacity import CALL_KBITS, CallResult, Step, Stream, carried, find, probe_reflector, rate
from linewitness.cli import main
from linewitness.founding import found_fleet
from linewitness.reflector import Reflector, networks, serve
from linewitness.site import Surroundings, default_table
from simulations.lab.link import Link

KEY = bytes(range(32))
IP_UDP_OCTETS = 28


@contextmanager
def line(rate_kbps: float, key: bytes | None = None) -> Iterator[int]:
    """Our reflector behind an emulated line of a rate each way, as a UDP relay on 127.0.0.1; gives its port."""
    done = threading.Event()
    reflector = Reflector(allow=networks(["127.0.0.0/8"]), key=key)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
    ):
        far.bind(("127.0.0.1", 0))
        near.bind(("127.0.0.1", 0))
        near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        threads = [
            threading.Thread(target=serve, args=(reflector, far, done.is_set)),
            threading.Thread(target=_relay, args=(near, far.getsockname(), rate_kbps, done)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield near.getsockname()[1]
        finally:
            done.set()
            for thread in threads:
                thread.join()


def _relay(near: socket.socket, far: tuple[str, int], rate_kbps: float, done: threading.Event) -> None:
    up, down = (Link(seed).set(rate_kbps=rate_kbps, delay_ms=5, limit_bytes=64_000) for seed in (1, 2))
    towards: dict[tuple[str, int], socket.socket] = {}
    back: dict[socket.socket, tuple[str, int]] = {}
    queue: list[tuple[int, int, socket.socket, bytes, tuple[str, int] | None]] = []
    count = 0
    while not done.is_set():
        now_us = time.monotonic_ns() // 1000
        wait_s = min(0.02, max(0.0, (queue[0][0] - now_us) / 1e6)) if queue else 0.02
        ready, _, _ = select.select([near, *back], [], [], wait_s)
        now_us = time.monotonic_ns() // 1000
        for sock in ready:
            octets, source = sock.recvfrom(2048)
            if sock is near and source not in towards:
                made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                made.connect(far)
                towards[source], back[made] = made, source
            link, out, to = (up, towards[source], None) if sock is near else (down, near, back[sock])
            for due_us in link.due(len(octets) + IP_UDP_OCTETS, now_us):
                count += 1
                heapq.heappush(queue, (due_us, count, out, octets, to))
        while queue and queue[0][0] <= time.monotonic_ns() // 1000:
            _, _, out, octets, to = heapq.heappop(queue)
            out.send(octets) if to is None else out.sendto(octets, to)
    for sock in back:
        sock.close()


@pytest.mark.parametrize(("rate_kbps", "key"), [(500, None), (340, KEY)])
def test_the_answer_is_what_the_rate_allows_within_one_call(rate_kbps: float, key: bytes | None) -> None:
    allowed = int(rate_kbps // CALL_KBITS)
    steps: list[Step] = []
    with line(rate_kbps, key) as port:
        find(probe_reflector(("127.0.0.1", port), key, 2.0), 3.6, "G.711 PLC", 60, 20, allowed - 1, steps.append)
    assert abs(carried(steps) - allowed) <= 1, steps
    assert any(not step.held for step in steps)


def stream(lost: int, n: int = 250) -> Stream:
    return Stream([None if i < lost else 20_000 for i in range(n)])


def ramp(allowed: int, most: int, first: int = 1) -> list[Step]:
    return find(
        lambda calls: [stream(0 if calls <= allowed else 100)] * calls,
        3.6,
        "G.711 PLC",
        60,
        most,
        first,
        lambda _: None,
    )


@pytest.mark.parametrize("allowed", [0, 1, 2, 7, 8, 9, 23, 40])
@pytest.mark.parametrize("first", [1, 10, 40])
def test_the_ramp_finds_the_number_and_never_goes_far_beyond_it(allowed: int, first: int) -> None:
    steps = ramp(allowed, 40, first)
    assert carried(steps) == allowed
    assert max(step.calls for step in steps) <= max(first, allowed + allowed // 8 + 1)
    assert len(steps) < 30


def test_a_call_is_rated_by_what_is_lost_or_late() -> None:
    good = rate(stream(0), "G.711 PLC", 60)
    assert good == CallResult(250, 250, 0, 20_000, pytest.approx(4.4, abs=0.1))  # type: ignore[arg-type]
    late = rate(Stream([20_000] * 200 + [90_000] * 50), "G.711 PLC", 60)
    assert (late.late, late.answered) == (50, 250)
    assert late.mos < 3.6 < good.mos
    assert rate(stream(250), "G.711", 60) == CallResult(250, 0, 0, None, 1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found_fleet(tmp_path, "acme", ["127.0.0.1"], 8883)
    table = default_table("leeds", "Northnet", "VoxCloud", None, "UTC", {"kind": "ethernet"}, Surroundings())
    config.write(tmp_path / "sites" / "leeds.toml", config.dumps(table))
    return tmp_path


def arguments(folder: Path, port: int, *more: str) -> list[str]:
    words = ["capacity", "--site", "leeds", "--reflector", f"127.0.0.1:{port}", "--mos", "3.6", "--fleet", str(folder)]
    return [*words, "--seconds", "2", "--json", *more]


def test_the_result_is_kept_and_it_asks_before_it_loads_the_line(folder: Path) -> None:
    with line(10_000) as port:
        no = CliRunner().invoke(main, arguments(folder, port), input="n\n")
        assert (no.exit_code, "Go on?" in no.stderr) == (1, True)
        yes = CliRunner().invoke(main, arguments(folder, port, "--most", "2", "--first", "2", "--yes"))
    assert yes.exit_code == 0, yes.output
    value = json.loads(yes.stdout)
    assert (value["calls"], value["reached_most"], value["interrupted"]) == (2, True, False)
    listed = CliRunner().invoke(main, arguments(folder, port)[:3])
    assert listed.exit_code != 0
    from linewitness.fleet import Fleet

    with Fleet.open(folder).ledger() as book:
        (item,) = book.items("capacity", name="leeds")
    assert json.loads(item.content)["calls"] == 2


def test_a_silent_reflector_or_a_missing_limit_is_one_clear_line(folder: Path) -> None:
    silent = CliRunner().invoke(main, arguments(folder, 9, "--most", "1", "--yes"))
    assert (silent.exit_code, silent.stderr.splitlines()[-1]) == (
        1,
        "error: the reflector never answered (127.0.0.1:9); try: linewitness reflect --allow NETWORK there",
    )
    words = [word for word in arguments(folder, 9, "--yes") if word not in ("--mos", "3.6")]
    assert "no MOS commitment in the contracts with VoxCloud" in CliRunner().invoke(main, words).stderr


def test_ctrl_c_stops_at_once_and_keeps_what_was_found(folder: Path) -> None:
    with line(10_000) as port:
        command = [
            sys.executable,
            "-m",
            "linewitness",
            *arguments(folder, port, "--yes", "--most", "400", "--first", "1"),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for text in process.stderr:
            if "2 calls: worst" in text:
                break
        process.send_signal(signal.SIGINT)
        began_s = time.monotonic()
        out, _ = process.communicate(timeout=20)
    assert time.monotonic() - began_s < 3
    value = json.loads(out)
    assert (process.returncode, value["interrupted"]) == (4, True)
    assert value["calls"] >= 2
