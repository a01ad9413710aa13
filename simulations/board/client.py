"""Virtual boards as processes of their own, and their control channel as Python calls.

with Board({"profile": "esp32-poe", "install": {...}, "network": {...}}) as board:
    board.client.link("access", down=True)
    board.wait_for_text("outage")
    board.kill()       # the parent dies with the machine: a power cut
    board.start()      # boots from the same flash
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

START_TIMEOUT_S = 60


class BoardError(Exception):
    """The board refused, or did not start or answer."""


class BoardClient:
    """The control channel; one call at a time. Each method is an action of control.Actions."""

    def __init__(self, path: Path | str, timeout_s: float = 30) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")

    def do(self, action: str, **arguments: Any) -> Any:
        """The action's result. Raises BoardError."""
        self._socket.sendall(json.dumps({"do": action, **arguments}).encode() + b"\n")
        line = self._file.readline()
        if not line:
            raise BoardError(f"the board ended before it answered {action}")
        answer = json.loads(line)
        if not answer["ok"]:
            raise BoardError(answer["error"])
        return answer["result"]

    def link(self, name: str, *, direction: str | None = None, **changes: Any) -> None:
        """Change a link, e.g. link("access", loss_pct=3, delay_ms=40)."""
        self.do("link", name=name, changes=changes, direction=direction)

    def peer(self, node: str, protocol: str, port: int, to: str | None) -> None:
        """Lead a node's port to another peer, or to nobody."""
        self.do("peer", node=node, protocol=protocol, port=port, to=to)

    def node(self, name: str, **changes: Any) -> None:
        """icmp=bool, tcp="refuse"|"drop"."""
        self.do("node", name=name, **changes)

    def nic_drop(self) -> None:
        """Wi-Fi or cable away."""
        self.do("nic_drop")

    def nic_restore(self) -> None:
        """And back."""
        self.do("nic_restore")

    def nic_set(self, **values: Any) -> None:
        """rssi, channel."""
        self.do("nic_set", **values)

    def reset(self) -> None:
        """The reset button."""
        self.do("reset")

    def power_off(self) -> None:
        """Cut the power."""
        self.do("power_off")

    def power_on(self) -> None:
        """Give it back."""
        self.do("power_on")

    def cut_after(self, operations: int) -> None:
        """Cut the power in a flash operation to come."""
        self.do("cut_after", operations=operations)

    def step_clock(self, delta_us: int) -> None:
        """Move the real-time clock."""
        self.do("step_clock", delta_us=delta_us)

    def counters(self) -> dict[str, Any]:
        """Everything that is counted, and `repl_port`."""
        return dict(self.do("counters"))

    def packets(self, since: int = 0) -> list[dict[str, Any]]:
        """The whole packet log from number `since` on."""
        found: list[dict[str, Any]] = []
        while piece := self.do("packets", since=since):
            found += piece
            since = piece[-1]["number"] + 1
        return found

    def events(self, since: int = 0) -> list[dict[str, Any]]:
        """Boots and power-offs."""
        return list(self.do("events", since=since))

    def console(self, since: int = 0) -> tuple[int, str]:
        """(next number, text from octet `since` on)."""
        number, text = self.do("console", since=since)
        return int(number), str(text)

    def heap(self) -> int:
        """Live heap in octets after a collection, the runtime's own included."""
        return int(self.do("heap"))

    def read_file(self, path: str) -> bytes:
        """A file of the flash."""
        return bytes.fromhex(self.do("read_file", path=path))

    def list_files(self, path: str = "/") -> list[list[Any]]:
        """Name, type, 0, size of each entry."""
        return list(self.do("list_files", path=path))

    def close(self) -> None:
        """Hang up; the board goes on."""
        self._file.close()
        self._socket.close()


class Board:
    """A board in a process of its own, from a description as a dict (config.py); its flash lives in `folder`."""

    def __init__(self, description: Mapping[str, Any], folder: Path | None = None) -> None:
        self._owned = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="linewitness-board-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        # A unix socket's path has to be short.
        self._control_folder = Path(tempfile.mkdtemp(prefix="lwb-"))
        self._control = self._control_folder / "control"
        self._config = self.folder / "board.json"
        table = {"flash": str(self.folder / "board.flash"), **description, "control": str(self._control)}
        if "install" in table:
            table["install"] = {target: os.path.abspath(source) for target, source in table["install"].items()}
        self._config.write_text(json.dumps(table))
        self._log = open(self.folder / "console.log", "ab")  # noqa: SIM115 (closed in close)
        self._process: subprocess.Popen[bytes] | None = None
        self._client: BoardClient | None = None

    @property
    def client(self) -> BoardClient:
        """The control channel of the running board."""
        if self._client is None:
            raise BoardError("the board is not running; try: start()")
        return self._client

    @property
    def repl(self) -> str:
        """Where mpremote connects."""
        return f"socket://127.0.0.1:{self.client.counters()['repl_port']}"

    def start(self) -> Board:
        """Power on in a new process; returns when the control channel answers. Raises BoardError."""
        checkout = Path(__file__).parent.parent.parent
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(checkout), os.environ.get("PYTHONPATH", "")])}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "simulations.board", "run", str(self._config)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=environment,
        )
        end_s = time.monotonic() + START_TIMEOUT_S
        while self._client is None:
            if self._process.poll() is not None or time.monotonic() > end_s:
                raise BoardError(f"the board did not start: {self.printed()[-500:]}")
            try:
                self._client = BoardClient(self._control)
            except OSError:
                time.sleep(0.02)
        return self

    def printed(self) -> str:
        """All that this board ever printed, over all its runs."""
        return (self.folder / "console.log").read_text("utf-8", "replace")

    def wait_for_text(self, text: str, timeout_s: float = 30, *, after: int = 0) -> str:
        """Wait until `text` is printed past character `after`; returns all output. Raises BoardError."""
        end_s = time.monotonic() + timeout_s
        while text not in (printed := self.printed())[after:]:
            if time.monotonic() > end_s or self._process is None or self._process.poll() is not None:
                raise BoardError(f"{text!r} was not printed in {timeout_s} s; last: {printed[-1000:]}")
            time.sleep(0.02)
        return printed

    def kill(self) -> None:
        """kill -9 of the whole board: the power is cut in whatever it was doing."""
        self._hang_up()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End the process in good order."""
        if self._process is not None and self._process.poll() is None:
            self.client.do("stop")
            self._process.wait(10)
        self._hang_up()
        self._process = None

    def close(self) -> None:
        """Stop, and remove the folder if it was made here."""
        self.kill()
        self._log.close()
        shutil.rmtree(self._control_folder)
        if self._owned:
            shutil.rmtree(self.folder)

    def __enter__(self) -> Board:
        try:
            return self.start()
        except BoardError:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
