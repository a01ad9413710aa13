"""A handle on a running wire: starts it as a process of its own and speaks to its control socket."""

import json
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from simulations.lab.netns import Namespaces
from simulations.lab.wire import LOG_PAGE, WireError


class Crossing(NamedTuple):
    """What the wire did to one frame; times are CLOCK_MONOTONIC microseconds.

    `t_out_us` is the planned release, `written_us` when the frame left the wire; both None when it never did.
    `key` is the identifying line of simulations.lab.frame.
    """

    number: int
    t_in_us: int
    t_out_us: int | None
    verdict: str
    size_octets: int
    key: str
    written_us: int | None


class WireHandle:
    """The access link of `lab`, which must be up with access "tap". Use as a context manager, or start() and stop()."""

    def __init__(self, lab: Namespaces, words: str = "", *, seed: int = 0) -> None:
        self._lab = lab
        self._words = words
        self._seed = seed
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[str] | None = None
        self._socket: socket.socket | None = None

    def start(self) -> "WireHandle":
        """String the wire and wait until it passes packets. Raises WireError with the wire's own words otherwise."""
        self._folder = tempfile.TemporaryDirectory(prefix="lwwire")
        control = Path(self._folder.name, "control")
        ends = [f"{self._lab.name('branch-router')}:wan0", f"{self._lab.name('isp')}:acc0"]
        options = ["--control", str(control), "--seed", str(self._seed)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "simulations.lab.wire", *ends, *self._words.split(), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        if self._process.stdout.readline().strip() != "ready":
            complaint = self._process.stderr.read().strip()
            self.stop()
            raise WireError(complaint or "the wire ended before it was ready")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(Path(self._folder.name, "asker")))
        self._socket.connect(str(control))
        self._socket.settimeout(10)
        return self

    def stop(self) -> None:
        """Take the wire down. Harmless when it is down."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=10)
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def set(self, words: str) -> None:
        """Change the links, e.g. `both:down=1`."""
        self._ask(do="set", words=words)

    def schedule(self, direction: str, steps: str) -> None:
        """Start a schedule now on `ab` (from the branch), `ba` (to the branch) or `both`, e.g. `at 12 s down=1`."""
        self._ask(do="schedule", direction=direction, steps=steps)

    def counters(self) -> dict[str, dict[str, int]]:
        """Counters of each direction; `refused` are writes that the kernel did not take."""
        counters: dict[str, dict[str, int]] = self._ask(do="counters")
        return counters

    def log(self, direction: str, since: int = 0) -> list[Crossing]:
        """Crossings of frames `since` and later, in order of arrival.

        Read it after the measurement: answering keeps the wire from its frames for milliseconds.
        """
        crossings: list[Crossing] = []
        while True:
            page = self._ask(do="log", direction=direction, since=since + len(crossings))
            crossings += [Crossing(*row) for row in page]
            if len(page) < LOG_PAGE:
                return crossings

    def _ask(self, **request: Any) -> Any:
        if self._socket is None:
            raise WireError("the wire is not up; try start()")
        self._socket.send(json.dumps(request).encode())
        answer = json.loads(self._socket.recv(1 << 20))
        if "error" in answer:
            raise WireError(answer["error"])
        return answer["ok"]

    def __enter__(self) -> "WireHandle":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
