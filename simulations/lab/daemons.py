"""Real servers of other people, as peers: mosquitto (TLS and password), irtt, sipp answering OPTIONS.

Each is a process of its own with a folder of its own. `prefix` is put before the command, so that
`lab.command("anchors")` of simulations.lab.netns runs it inside a namespace.
"""

import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from simulations.free_ports import free_port
from simulations.lab.certificates import Authority
from simulations.lab.tools import reason_without

Address = tuple[str, int]
_READY_TIMEOUT_S = 10.0


class DaemonError(RuntimeError):
    """A server is not installed or did not start; the message carries its own words."""


class Daemon(ABC):
    """One server process. Subclasses give `commands` that must be there, `_arguments()`, and `_ready` in its output."""

    commands: tuple[str, ...] = ()
    _ready = ""

    def __init__(self, address: Address, prefix: Sequence[str] = ()) -> None:
        lacking = reason_without(*self.commands)
        if lacking:
            raise DaemonError(lacking)
        self.address = address
        self._prefix = list(prefix)
        self._folder = tempfile.TemporaryDirectory(prefix="lwlab")
        self.folder = Path(self._folder.name)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        """What the server has printed so far."""
        path = self.folder / "output"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> Self:
        """Run it and wait until it serves. Raises DaemonError with the end of its output otherwise."""
        arguments = self._arguments()
        with open(self.folder / "output", "wb") as output:
            self._process = subprocess.Popen(
                [*self._prefix, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self._serves():
            if self._process.poll() is not None or time.monotonic() > deadline:
                last = (self.output.strip().splitlines() or ["it printed nothing"])[-1]
                self.stop()
                raise DaemonError(f"{self.commands[0]} did not start on {self.address[0]}:{self.address[1]}: {last}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """End the process. Harmless when it has ended."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    @abstractmethod
    def _arguments(self) -> list[str]: ...

    def _serves(self) -> bool:
        return self._ready in self.output

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()


class Mosquitto(Daemon):
    """An MQTT broker with TLS and `passwords` (user to password); `ca` is the file of its certificate's root."""

    commands = ("mosquitto", "mosquitto_passwd")
    _ready = "running"

    def __init__(
        self, passwords: Mapping[str, str], address: Address | None = None, prefix: Sequence[str] = ()
    ) -> None:
        super().__init__(address or ("127.0.0.1", free_port()), prefix)
        self._passwords = passwords
        authority = Authority(self.folder)
        self._certificate, self._key = authority.issue_server("broker", (self.address[0], "localhost", "broker.lab"))
        self.ca = authority.path

    def _arguments(self) -> list[str]:
        users = self.folder / "users"
        users.touch(mode=0o600)
        for user, password in self._passwords.items():
            subprocess.run(["mosquitto_passwd", "-b", users, user, password], check=True, capture_output=True)
        config = self.folder / "mosquitto.conf"
        config.write_text(
            "per_listener_settings false\n"
            "user root\n"  # as root it would become a user who cannot read our files; otherwise this is ignored
            f"listener {self.address[1]} {self.address[0]}\n"
            f"cafile {self.ca}\n"
            f"certfile {self._certificate}\n"
            f"keyfile {self._key}\n"
            "tls_version tlsv1.2\n"
            "allow_anonymous false\n"
            f"password_file {users}\n"
            "persistence false\n"
            "log_dest stderr\n"
        )
        return ["mosquitto", "-c", str(config)]


class IrttServer(Daemon):
    """An irtt reflector, the other end of simulations.lab.baselines.irtt."""

    commands = ("irtt",)
    _ready = "[ListenerStart]"

    def __init__(self, address: Address | None = None, prefix: Sequence[str] = ()) -> None:
        super().__init__(address or ("127.0.0.1", free_port()), prefix)

    def _arguments(self) -> list[str]:
        # By default the server refuses clients that send more often than every 10 ms.
        return ["irtt", "server", "-i", "0", "-b", f"{self.address[0]}:{self.address[1]}"]


_UAS_OPTIONS = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="OPTIONS UAS">
  <recv request="OPTIONS"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[pid]SIPp[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE
Accept: application/sdp
Content-Length: 0

]]></send>
</scenario>
"""


class SippOptions(Daemon):
    """sipp answering OPTIONS with 200 over UDP."""

    commands = ("sipp",)
    # sipp binds media ports as well; another sipp on the same ones dies.
    _SETTLING_S = 0.5

    def __init__(self, address: Address | None = None, prefix: Sequence[str] = ()) -> None:
        super().__init__(address or ("127.0.0.1", free_port()), prefix)
        self._started = 0.0

    def _arguments(self) -> list[str]:
        scenario = self.folder / "uas_options.xml"
        scenario.write_text(_UAS_OPTIONS)
        self._started = time.monotonic()
        host, port = self.address
        media_port = str(free_port())
        return ["sipp", "-sf", str(scenario), "-i", host, "-p", str(port), "-mp", media_port, "-nostdin"]

    def _serves(self) -> bool:
        """sipp says nothing when it is ready; it is when it still lives after half a second."""
        return (
            time.monotonic() - self._started > self._SETTLING_S
            and self._process is not None
            and self._process.poll() is None
        )
