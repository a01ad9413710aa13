"""The demo's stage: the folder it leaves behind, the processes it starts and stops, the commands it types."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

STOP_TIMEOUT_S = 15


class DemoError(Exception):
    """Something on the stage did not do its part; the message says what, and where its log is."""


def utc_text(unix_s: float) -> str:
    """Return a time as the command line takes it, in whole seconds."""
    return datetime.fromtimestamp(int(unix_s), UTC).isoformat()


class Stage:
    """Runs `linewitness` commands on the demo's fleet, in the foreground or behind the scene."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fleet = folder / "fleet"
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True)
        self._behind: dict[str, subprocess.Popen[bytes]] = {}
        self._at_the_end: list[Callable[[], None]] = []
        self.contract = self.fleet / "contracts" / "voxcloud.toml"
        self.fingerprint = ""
        self.started_s = time.monotonic()
        self.began = ""  # the period's start, as the command line takes it

    def command(self, *words: str, expect: int = 0) -> dict[str, Any]:
        """Run one command with --json and return what it printed. Raises DemoError for another exit code."""
        typed = [sys.executable, "-m", "linewitness", *words, "--json"]
        done = subprocess.run(typed, capture_output=True, text=True, env=self._environment(), check=False)
        with (self.logs / "commands.log").open("a") as log:
            log.write(f"$ linewitness {' '.join(words)}\n{done.stderr}{done.stdout[:4000]}\n")
            log.write(f"[exit {done.returncode}]\n\n")
        if done.returncode != expect:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise DemoError(
                f"linewitness {words[0]} ended with {done.returncode}, not {expect}: {said[-1] if said else 'silent'}"
            )
        value = json.loads(done.stdout) if done.stdout.strip() else {}
        return value if isinstance(value, dict) else {"value": value}

    def behind(self, name: str, *words: str, ready: str = "") -> None:
        """Start a command behind the scene; with ready, return when its log says so. Raises DemoError."""
        path = self.logs / f"{name}.log"
        with path.open("wb") as log:
            self._behind[name] = subprocess.Popen(
                [sys.executable, "-m", "linewitness", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
            )
        end_s = time.monotonic() + 30
        while ready and ready not in path.read_text(errors="replace"):
            if self._behind[name].poll() is not None or time.monotonic() > end_s:
                raise DemoError(f"linewitness {words[0]} did not start; its log: {path}")
            time.sleep(0.05)

    def stop(self, name: str) -> None:
        """Interrupt what runs behind the scene, as Ctrl-C does, and wait for its end."""
        process = self._behind.pop(name)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "LINEWITNESS_FLEET": str(self.fleet), "PYTHONUNBUFFERED": "1"}

    @contextlib.contextmanager
    def lit(self) -> Iterator[Stage]:
        """Yield the stage; stop everything that still runs when the curtain falls, however it falls."""
        try:
            yield self
        finally:
            for action in self._at_the_end:
                action()
            for name in list(self._behind):
                self.stop(name)

    def at_the_end(self, action: Callable[[], None]) -> None:
        """Have action done when the curtain falls."""
        self._at_the_end.append(action)

    def say(self, text: str) -> None:
        """Print one line with the seconds since the beginning."""
        print(f"{time.monotonic() - self.started_s:6.1f} s  {text}", flush=True)
