"""One run of a MicroPython virtual machine as a process, from power-on to power-off, and the pipe pair to it.

The frames are those of vm/board_host.py. Every boot, soft reset included, is a process of its own.
"""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

from simulations.board import vms
from simulations.board.profile import Profile
from simulations.board.romfs import Romfs
from simulations.board.runtime import runtime_folder

BOARD_MJS = Path(__file__).parent / "vm" / "board.mjs"

CONSOLE, POLL, SEND, SENDTO, RECV, RECVFROM, READ, WRITE, CALL, SLEEP, RANDOM = range(1, 12)
INTERRUPTED = -9999
REFUSED = -9998
TLS_ERRORS = -10000
MEASURE = 1
MAX_BODY = 2048
REQUEST_HEADER = struct.Struct("<II")
REPLY_HEADER = struct.Struct("<IiQQ")
# The wasm machine's heap grows by itself; this is only its first piece.
WASM_HEAP_BYTES = 192 * 1024
# What this runtime itself takes of a 32-bit heap; it is added to the profile's heap.
RUNTIME_HEAP_KB = 48


class Request(NamedTuple):
    """A request of the machine: one of the operations above, its body, how far its virtual clock has gone on."""

    operation: int
    body: bytes
    ahead_us: int


class Machine:
    """A running machine. Wait on the descriptors `requests` and `console` (what the unix machine prints)."""

    def __init__(
        self, vm: str, profile: Profile, romfs: Romfs, *, virtual_clock: bool, heap_kb: int | None = None
    ) -> None:
        request_read, request_write = os.pipe()
        reply_read, reply_write = os.pipe()
        pipes = [str(request_write), str(reply_read)]
        command = _command(vm, virtual_clock, heap_kb or profile.heap_kb) + pipes
        if vm == "wasm":
            command += [str(romfs.path)] if romfs.size else []
        elif virtual_clock:
            command += ["virtual"]
        try:
            self._process = subprocess.Popen(
                command,
                cwd=runtime_folder(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(request_write, reply_read),
                start_new_session=True,
            )
        finally:
            os.close(request_write)
            os.close(reply_read)
        assert self._process.stdout is not None
        self.requests = request_read
        self.console = self._process.stdout.fileno()
        self._replies = reply_write
        self._buffer = bytearray()
        # True from a reply until the next request: the machine is computing.
        self.computing = True
        os.set_blocking(self.requests, False)
        os.set_blocking(self.console, False)

    def read_requests(self) -> list[Request] | None:
        """The complete requests that have come in; None when the machine has ended."""
        try:
            octets = os.read(self.requests, 65536)
        except BlockingIOError:
            return []
        if not octets:
            return None
        self._buffer += octets
        found = []
        while len(self._buffer) >= REQUEST_HEADER.size:
            length, word = REQUEST_HEADER.unpack_from(self._buffer)
            if len(self._buffer) < length:
                break
            operation = word & 0xFF
            found.append(Request(operation, bytes(self._buffer[REQUEST_HEADER.size : length]), word >> 8))
            del self._buffer[:length]
            self.computing = self.computing and operation == CONSOLE
        return found

    def read_console(self) -> bytes:
        """What was printed since the last call."""
        try:
            return os.read(self.console, 65536)
        except BlockingIOError:
            return b""

    def reply(self, status: int, clock_us: int, body: bytes = b"", idle_until_us: int = 0) -> None:
        """Answer the one request that waits. Before idle_until_us nothing will happen to the board by itself; its
        lowest bit changes when the network interface did."""
        self.computing = True
        try:
            header = REPLY_HEADER.pack(REPLY_HEADER.size + len(body), status, clock_us, idle_until_us)
            os.write(self._replies, header + body)
        except BrokenPipeError:
            # The machine is gone; read_requests tells.
            self.computing = False

    def kill(self) -> None:
        """Power off, without a last word."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        os.close(self.requests)
        os.close(self._replies)


def _command(vm: str, virtual_clock: bool, heap_kb: int) -> list[str]:
    if vm == "wasm":
        clock = "virtual" if virtual_clock else "real"
        return [
            str(vms.node_binary()),
            str(BOARD_MJS),
            str(vms.wasm_module()),
            str(runtime_folder()),
            clock,
            str(WASM_HEAP_BYTES),
        ]
    if vm == "unix":
        binary = vms.unix_binary()
        # The boards' words have 4 octets: a machine of 8-octet words needs twice the heap for the same objects.
        heap = (heap_kb + RUNTIME_HEAP_KB) * vms.pointer_octets(binary) // 4
        return [str(binary), "-X", f"heapsize={heap}k", "-m", "board_unix"]
    raise vms.VmMissing(f"unknown virtual machine {vm!r}; try: wasm or unix")
