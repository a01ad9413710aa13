"""One witness under a rain of kills: its board, the broker and the collector die at random moments, over and over.

    with Chaos(folder, vm="unix", seed=1) as chaos:
        chaos.rounds(50)
        account = chaos.account()
    assert account.problems == []

Everything is real and put together by the command line: a virtual board that was flashed and enrolled, `linewitness
broker` with TLS, `linewitness collect`. Four ways to die, mixed in equal parts and in a seeded order:

    collector   kill -9 of `linewitness collect`
    broker      kill -9 of `linewitness broker` and of the engine that it started
    power       kill -9 of the whole board in whatever it is doing
    write       the board's power is cut in the middle of a flash operation: half of a page is programmed

The account compares three witnesses to what happened: the board's own flash, a listener that heard every
acknowledgement it could, and the ledger.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from chaos_account import BATCH_S, Account, check_chain, check_coverage, check_lives
from paho.mqtt.enums import CallbackAPIVersion

from linewitness import config
from linewitness.fleet import Fleet
from linewitness.ledger import StoredBatch
from linewitness.site import SITE_SCHEMA
from linewitness_wire import cose, envelope
from simulations.board.client import Board, BoardError
from simulations.demo.stage import Stage
from simulations.free_ports import free_port
from simulations.lab.peers.process import PeersProcess

SITE, WITNESS = "leeds", "desk"
WAYS = ("collector", "broker", "power", "write")
PERIOD_MS, TIMEOUT_MS = 1000, 500
BROKER, TIME, EDGE = "203.0.113.5", "192.0.2.123", "198.51.100.10"

UP_S, DOWN_S = (0.5, 7.0), (0.1, 1.5)  # between two deaths; from a death to the restart
WRITES_AHEAD = 40  # operations within which a cut in a flash operation falls
# What an uplink may take that does all as it should: its longest pause with what chance adds (90 s), the wait for the
# housekeeping slot of a handshake (60 s), one batch sent again (10 s), and a busy machine.
CATCH_UP_S = 180


class Chaos:
    """See the module. Context manager: everything runs from entering on."""

    def __init__(self, folder: Path, vm: str, seed: int, engine: str | None = None) -> None:
        self._stage = Stage(folder)
        self._vm, self._engine = vm, engine
        self._random = random.Random(seed)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._deaths: Counter[str] = Counter()
        self._up_us = 0
        self._lives_us: list[tuple[int, int]] = []  # of the board: power given, power gone; UTC
        self._acks: list[envelope.Ack] = []
        self._ack_lock = threading.Lock()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            self._begin(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def _begin(self, undo: contextlib.ExitStack) -> None:
        self._peers = undo.enter_context(PeersProcess("sip", "sntp"))
        undo.callback(lambda: [self._kill(name) for name in list(self._processes)])
        self._port = free_port()
        stage = self._stage
        stage.command("init", str(stage.fleet), "--host", BROKER, "--host", "127.0.0.1", "--port", str(self._port))
        self._fleet = Fleet.open(stage.fleet)
        self._start("broker")
        self._write_site()
        self._board = Board(self._description(), stage.folder / "board")
        undo.callback(self._board.close)
        self._board.start()
        stage.command("witness", "flash", SITE, WITNESS, "--port", self._board.repl, "--board", "esp32-devkitc")
        stage.command("witness", "enrol", SITE, WITNESS, "--port", self._board.repl)
        undo.enter_context(self._listening())
        self._board.client.reset()
        self._up_us = _now_us()
        self._start("collector")
        self._until("the first batches", lambda: len(self.ledger()) >= 2)

    # --- the parts ---

    def _write_site(self) -> None:
        names = ("--isp", "Northnet", "--provider", "VoxCloud")
        self._stage.command("site", "add", SITE, *names, "--wifi", "office", "--wifi-password", "secret")
        path = self._stage.fleet / "sites" / f"{SITE}.toml"
        table = config.read(path, SITE_SCHEMA)
        table["plan"] |= {"batch_s": BATCH_S, "resolvers": [EDGE], "time_servers": [TIME]}
        common = {"role": "subject", "period_ms": PERIOD_MS, "fast_period_ms": PERIOD_MS, "timeout_ms": TIMEOUT_MS}
        table["target"] = [
            {"name": name, "segment": segment, "method": method, "host": host, **common, **more}
            for name, segment, method, host, more in (
                ("self", "witness", "self", "", {}),
                ("gateway", "router", "icmp", "gateway", {}),
                ("edge", "provider", "icmp", EDGE, {}),
                ("edge-sip", "provider", "sip_udp", EDGE, {"port": 5060}),
            )
        ]
        config.write(path, config.dumps(table))

    def _description(self) -> dict[str, Any]:
        at = {label: f"{host}:{port}" for label, (host, port) in self._peers.addresses.items()}
        far = ["lan", "access"]
        return {
            "name": WITNESS, "profile": "esp32-devkitc", "vm": self._vm,
            "nic": {"ssid": "office", "password": "secret"},
            **({"heap_kb": 1024} if self._vm == "unix" else {}),  # a 64-bit machine's objects are twice as large
            "network": {
                "mode": "emulated", "address": "192.168.1.50", "gateway": "192.168.1.1", "seed": 1,
                "links": {name: {"delay_ms": 1} for name in far},
                "nodes": {
                    "gateway": {"address": "192.168.1.1", "via": ["lan"]},
                    "edge": {"address": EDGE, "via": far, "udp": {"5060": at["sip"]}},
                    "time": {"address": TIME, "via": far, "udp": {"123": at["sntp"]}},
                    "broker": {
                        "address": BROKER, "via": far, "tcp_peers": {str(self._port): f"127.0.0.1:{self._port}"},
                    },
                },
            },
        }  # fmt: skip

    def _start(self, name: str) -> None:
        if name == "collector":
            self._until("the broker listens", self._broker_listens)  # without one it ends at once, and says so
        words = {
            "broker": ("broker", *(("--engine", self._engine) if self._engine else ())),
            "collector": ("collect", "--broker", f"127.0.0.1:{self._port}"),
        }[name]
        with (self._stage.logs / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "linewitness", *words, "--fleet", str(self._stage.fleet)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def _broker_listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), 1):
                return True
        except OSError:
            return False

    def _kill(self, name: str) -> None:
        """kill -9 of a process and of what it started, none of which can put anything in order."""
        process = self._processes.pop(name)
        if process.poll() is not None:
            return  # _until says so
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        for pid in (*map(int, children.read_text().split()), process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Hear the acknowledgements beside the board, as a second client that bears its name."""
        secrets = self._fleet.witness_secrets(SITE, WITNESS)
        assert secrets is not None

        def heard(client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
            ack = envelope.decode_ack(secrets.ack_secret, SITE, WITNESS, message.payload)
            with self._ack_lock:
                self._acks.append(ack)

        client = mqtt.Client(CallbackAPIVersion.VERSION2, "listener")
        client.username_pw_set(f"{SITE}/{WITNESS}", secrets.password)
        client.tls_set(ca_certs=str(self._fleet.ca_pem))
        client.reconnect_delay_set(1, 1)
        client.on_message = heard
        client.on_connect = lambda *_: client.subscribe(f"linewitness/1/{SITE}/{WITNESS}/ack", qos=0)
        client.connect_async("127.0.0.1", self._port)
        client.loop_start()
        try:
            yield
        finally:
            client.disconnect()
            client.loop_stop()

    # --- dying ---

    def rounds(self, count: int, up_s: tuple[float, float] = UP_S) -> None:
        """Kill and restart `count` times, at random moments; up_s: least and most seconds between two deaths."""
        ways = [WAYS[i % len(WAYS)] for i in range(count)]
        self._random.shuffle(ways)
        for way in ways:
            time.sleep(self._random.uniform(*up_s))
            self._die(way)
            self._deaths[way] += 1

    def _die(self, way: str) -> None:
        down_s = self._random.uniform(*DOWN_S)
        if way == "power":
            self._board.kill()
            self._lives_us.append((self._up_us, _now_us()))
            time.sleep(down_s)
            self._up_us = _now_us()
            self._board.start()
        elif way == "write":
            self._cut_in_a_write()
            time.sleep(down_s)
            self._up_us = _now_us()
            self._board.client.power_on()
        else:
            self._kill(way)
            time.sleep(down_s)
            self._start(way)

    def _cut_in_a_write(self) -> None:
        client = self._board.client
        before = len(client.events())
        client.cut_after(self._random.randrange(WRITES_AHEAD))
        end_s = time.monotonic() + 60
        while len(client.events()) == before:
            if time.monotonic() > end_s:
                raise BoardError("nothing was written to the flash in 60 s")
            time.sleep(0.01)
        self._lives_us.append((self._up_us, _now_us()))

    # --- the account ---

    def account(self) -> Account:
        """Let everything catch up, and compare flash, acknowledgements and ledger."""
        goal = self._journal()
        newest = max(goal)
        self._until(f"batch {newest}", lambda: any(batch.seq >= newest for batch in self.ledger()))
        batches = self.ledger()
        account = Account(self._deaths, batches=len(batches), journalled=len(goal))
        with self._ack_lock:
            acks = list(self._acks)
        stored = {batch.seq: batch.digest for batch in batches}
        account.acknowledged = len({ack.seq for ack in acks})
        account.sent_again = len(acks) - account.acknowledged
        problems = account.problems
        problems += [f"acknowledged and missing: {a.seq}" for a in acks if stored.get(a.seq) != a.digest]
        problems += [f"in flash and missing: {seq}" for seq, digest in goal.items() if stored.get(seq) != digest]
        check_chain(batches, account)
        check_coverage(batches, account)
        check_lives(batches, self._lives_us, account)
        with self._fleet.ledger() as book:
            problems += [f"finding: {finding.text}" for finding in book.findings()]
        if "retired" in self._board.printed():
            problems.append("the board retired its key")
        return account

    def ledger(self) -> list[StoredBatch]:
        """What the collector has stored, in chain order."""
        with self._fleet.ledger() as book:
            return list(book.batches(site=SITE, witness=WITNESS))

    def _journal(self) -> dict[int, bytes]:
        """Every batch in the board's flash: its number and the SHA-256 of its COSE_Sign1."""
        found: dict[int, bytes] = {}
        client = self._board.client
        for name in sorted(entry[0] for entry in client.list_files("/journal")):
            if name.endswith(".seg"):
                for seq, octets in _batches_of_segment(client.read_file(f"/journal/{name}")):
                    digest = cose.digest(octets)
                    assert found.setdefault(seq, digest) == digest, f"two batches {seq} in the flash"
        return found

    def _until(self, what: str, done: Callable[[], bool]) -> None:
        end_s = time.monotonic() + CATCH_UP_S
        while not done():
            for name, process in list(self._processes.items()):
                if process.poll() is not None and name == "collector":
                    # The broker died before it had connected: it says so and ends, to be started again.
                    del self._processes[name]
                    self._start(name)
                elif process.poll() is not None:
                    said = (self._stage.logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
                    raise RuntimeError(f"the {name} ended by itself: {said[-1:]}")
            if time.monotonic() > end_s:
                raise TimeoutError(f"{what} not in {CATCH_UP_S} s; the board said: {self._board.printed()[-1500:]}")
            time.sleep(0.3)


def _now_us() -> int:
    return time.time_ns() // 1000


def _batches_of_segment(octets: bytes) -> list[tuple[int, bytes]]:
    """The (number, COSE_Sign1) of the whole BATCH frames of a journal's segment; the frame is drawn in journal.py."""
    file = io.BytesIO(octets)
    found = []
    while len(head := file.read(16)) == 16 and head[:2] == b"LW":
        length_a, length_b = int.from_bytes(head[8:10]), int.from_bytes(head[10:12])
        parts = file.read(length_a + length_b)
        if len(parts) < length_a + length_b:
            break
        if head[2] == 2:
            found.append((int.from_bytes(head[4:8]), parts[:length_a]))
    return found
