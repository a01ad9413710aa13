"""A handle on `python -m simulations.lab.peers`: peers in a process of their own, so that the caller's work never
delays their answers, and in another network namespace when `prefix` says so."""

import json
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from simulations.lab.peers.peer import Address, PeerError, Request


class PeersProcess:
    """The peers of `specifications` ([LABEL=]KIND[:PORT]); `addresses` has each label's once started."""

    def __init__(self, *specifications: str, host: str = "127.0.0.1", prefix: Sequence[str] = ()) -> None:
        command = [sys.executable, "-m", "simulations.lab.peers", "--host", host, *specifications]
        self._command = [*prefix, *command]
        self._process: subprocess.Popen[str] | None = None
        self.addresses: dict[str, Address] = {}

    def start(self) -> Self:
        """Start them all. Raises PeerError when one cannot."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        if not first:
            _, complaint = self._process.communicate(timeout=10)
            self._process = None
            raise PeerError(complaint.strip().removeprefix("error: ") or "the peers ended before they were ready")
        self.addresses = {label: (host, port) for label, (host, port) in json.loads(first).items()}
        return self

    def stop(self) -> None:
        """End the process. Harmless when it has ended."""
        if self._process is not None:
            self._process.communicate(timeout=20)
            self._process = None

    def set(self, peer: str, **changes: Any) -> None:
        """Change settings of a peer."""
        self._ask(peer=peer, set=changes)

    def requests(self, peer: str, since: int = 0) -> list[Request]:
        """The peer's log from request number `since` on."""
        return [Request(*row) for row in self._ask(peer=peer, requests=since)]

    def stop_peer(self, peer: str) -> None:
        """Let one peer die; its port refuses."""
        self._ask(peer=peer, do="stop")

    def start_peer(self, peer: str) -> None:
        """Let it live again, on the same port."""
        self._ask(peer=peer, do="start")

    def change_status(self, what: str, peer: str = "status", **arguments: Any) -> Any:
        """Call a method of the status page's board, e.g. change_status("post_incident", name="Calls fail")."""
        return self._ask(peer=peer, change=what, **{"with": arguments})

    def timestamp_root(self, peer: str = "tsa") -> str:
        """Path of the time-stamp authority's root certificate; it is gone when the process is."""
        return str(self._ask(peer=peer, do="root"))

    def _ask(self, **request: Any) -> Any:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise PeerError("the peers are not running; try start()")
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise PeerError("the peers' process has ended; its stderr says why")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer["ok"]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
