"""One branch for the benchmarks: broker, collector and a virtual board that was flashed and enrolled as a person does.

with one_branch(folder, site_words, network) as branch:
    branch.board.client.heap()
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linewitness import config
from linewitness.config import Table
from linewitness.fleet import Fleet
from linewitness.site import SITE_SCHEMA
from simulations.board.client import Board
from simulations.demo.stage import Stage
from simulations.free_ports import free_port
from simulations.lab.peers.process import PeersProcess

SITE, WITNESS = "leeds", "desk"
PEERS = ("sip=sip", "second_sip=sip", "dns=dns", "tcp=tcp", "sntp1=sntp", "sntp2=sntp", "sntp3=sntp")
REFLECTORS = ("reflector", "media")
SSID, PASSWORD = "office", "secret"


@dataclass(frozen=True, slots=True)
class OneBranch:
    """A running branch."""

    stage: Stage
    board: Board

    def batches(self) -> int:
        """How many batches are in the ledger."""
        with Fleet.open(self.stage.fleet).ledger() as book:
            return sum(head.batches for head in book.heads())

    def wait_for_batches(self, count: int, timeout_s: float = 180) -> None:
        """Return when the ledger has so many. Raises TimeoutError."""
        end_s = time.monotonic() + timeout_s
        while self.batches() < count:
            if time.monotonic() > end_s:
                raise TimeoutError(f"no {count} batches in {timeout_s} s: {self.board.printed()[-1000:]}")
            time.sleep(0.5)


@contextlib.contextmanager
def one_branch(
    folder: Path,
    network: Callable[[dict[str, int]], dict[str, Any]],
    broker: str,
    *,
    site: tuple[str, ...] = (),
    change: Callable[[Table], None] | None = None,
    zone: dict[str, dict[str, list[str]]] | None = None,
    vm: str = "wasm",
    profile: str = "esp32-devkitc",
    romfs: bool = False,
    heap_kb: int | None = None,
) -> Iterator[OneBranch]:
    """Yield it once two batches are in the ledger.

    network(ports of the peers by name) is the board's topology, broker the address that it knows the broker by; site
    are further words of `site add`, change(table) alters the site's file before the board is flashed, zone is DNS's.
    """
    stage = Stage(folder)
    with stage.lit(), PeersProcess(*PEERS) as peers:
        peers.set("dns", zone=zone or {})
        ports = {label: port for label, (_, port) in peers.addresses.items()}
        for name in REFLECTORS:
            ports[name] = free_port()
            at = f"127.0.0.1:{ports[name]}"
            stage.behind(name, "reflect", "--bind", at, "--allow", "127.0.0.0/8", ready="reflecting")
        ports["broker"] = free_port()
        port = str(ports["broker"])
        stage.command("init", str(stage.fleet), "--host", broker, "--host", "127.0.0.1", "--port", port)
        stage.behind("broker", "broker", ready="listens")
        names = ("--isp", "Northnet", "--provider", "VoxCloud", "--wifi", SSID, "--wifi-password", PASSWORD)
        stage.command("site", "add", SITE, *names, *site)
        if change is not None:
            path = stage.fleet / "sites" / f"{SITE}.toml"
            table = config.read(path, SITE_SCHEMA)
            change(table)
            config.write(path, config.dumps(table))
        nic = {"ssid": SSID, "password": PASSWORD, "wired": False, "rssi": -58, "channel": 6}
        board = Board(
            {"profile": profile, "vm": vm, "nic": nic, "romfs": romfs, "heap_kb": heap_kb, "network": network(ports)},
            folder / "board",
        )
        with contextlib.closing(board):
            board.start()
            stage.command("witness", "flash", SITE, WITNESS, "--port", board.repl, "--board", profile)
            stage.command("witness", "enrol", SITE, WITNESS, "--port", board.repl)
            stage.behind("collect", "collect", "--broker", f"127.0.0.1:{port}")
            board.client.reset()
            branch = OneBranch(stage, board)
            branch.wait_for_batches(2)
            yield branch
