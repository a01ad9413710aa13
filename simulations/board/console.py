"""The board's serial line: a TCP port on 127.0.0.1 that speaks MicroPython's friendly and raw prompts.

`mpremote connect socket://127.0.0.1:PORT` uses it: raw mode, raw paste, soft reset. While a program runs, Ctrl-C alone
stops it; everything else waits in the input, for the program (sys.stdin) or for the prompt after it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from simulations.board.reactor import Reactor

CTRL_A, CTRL_B, CTRL_C, CTRL_D, CTRL_E = b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"
RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
PASTE_WINDOW = 1024


class Prompt(Protocol):
    """What the console asks of the board."""

    def idle(self) -> bool:
        """Whether the machine waits for a command."""

    def interrupt(self) -> None:
        """KeyboardInterrupt in the running program."""

    def execute(self, source: bytes) -> None:
        """Run a command in the idle machine; `Console.finished` follows."""

    def soft_reset(self, *, run_main: bool) -> None:
        """A new machine; main.py runs or not."""

    def input_arrived(self) -> None:
        """The input has octets."""

    def banner(self) -> bytes:
        """The line that names the version."""


class Console:
    """The line with its one client, the newest; `log` gets what the programs print."""

    def __init__(self, reactor: Reactor, prompt: Prompt, port: int, log: Callable[[bytes], None]) -> None:
        self._reactor = reactor
        self._prompt = prompt
        self._log = log
        self._server = socket.create_server(("127.0.0.1", port))
        self._server.setblocking(False)
        self.port = int(self._server.getsockname()[1])
        self._client: socket.socket | None = None
        self._out = bytearray()
        self.input = bytearray()
        self.interrupt_char = 3
        self._raw = False
        self._line = bytearray()
        self._paste_left: int | None = None
        self._command_runs = False
        reactor.watch(self._server.fileno(), read=self._accept)

    def close(self) -> None:
        """Close the port."""
        self._drop_client()
        self._reactor.forget(self._server.fileno())
        self._server.close()

    def printed(self, octets: bytes) -> None:
        """A program's output: line ends become those of a terminal."""
        self._log(octets)
        self.write(octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    def write(self, octets: bytes) -> None:
        """Octets as they are; lost without a client, as on a line that nobody listens to."""
        if self._client is not None:
            self._out += octets
            self._flush()

    def booted(self) -> None:
        """The machine is up and waits for its first command."""
        self.interrupt_char = 3
        if self._raw:
            self.write(RAW_BANNER)
        else:
            self.write(self._prompt.banner() + b"\r\n>>> ")
        self.consume()

    def finished(self, failure: bytes) -> None:
        """The command has ended, with this traceback or none."""
        self._command_runs = False
        self.interrupt_char = 3
        if self._raw:
            self.write(CTRL_D + failure.replace(b"\n", b"\r\n") + CTRL_D + b">")
        else:
            self.printed(failure)
            self.write(b">>> ")
        self.consume()

    def consume(self) -> None:
        """Give the waiting input to the prompt, as far as the machine is idle."""
        while self.input and self._prompt.idle() and not self._command_runs:
            octet = bytes(self.input[:1])
            if self._paste_left is None and octet not in b"\x01\x02\x03\x04\x05\r\n":
                self._take_text()
                continue
            del self.input[:1]
            if self._paste_left is not None:
                self._pasted(octet)
            elif self._raw:
                self._raw_octet(octet)
            else:
                self._friendly_octet(octet)

    def _take_text(self) -> None:
        length = next((at for at, octet in enumerate(self.input) if octet < 6 or octet in b"\r\n"), len(self.input))
        text = bytes(self.input[:length])
        del self.input[:length]
        self._line += text
        if not self._raw:
            self.write(text)

    def _raw_octet(self, octet: bytes) -> None:
        if octet == CTRL_A:
            if self._line == CTRL_E + b"A":
                self._line.clear()
                self._paste_left = PASTE_WINDOW
                self.write(b"R\x01" + PASTE_WINDOW.to_bytes(2, "little") + b"\x01")
                return
            self._line.clear()
            self.write(RAW_BANNER)
        elif octet == CTRL_B:
            self._raw = False
            self._line.clear()
            self.write(b"\r\n" + self._prompt.banner() + b"\r\n>>> ")
        elif octet == CTRL_C:
            self._line.clear()
        elif octet == CTRL_D:
            source, self._line = bytes(self._line), bytearray()
            self.write(b"OK")
            if source:
                self._execute(source)
            else:
                self._soft_reset(run_main=False)
        else:
            self._line += octet

    def _pasted(self, octet: bytes) -> None:
        if octet == CTRL_D:
            source, self._line = bytes(self._line), bytearray()
            self._paste_left = None
            self.write(CTRL_D)
            self._execute(source)
            return
        if octet == CTRL_C:
            self._line.clear()
            self._paste_left = None
            self.write(CTRL_D + RAW_BANNER)
            return
        self._line += octet
        assert self._paste_left is not None
        self._paste_left -= 1
        if self._paste_left == 0:
            self._paste_left = PASTE_WINDOW
            self.write(b"\x01")

    def _friendly_octet(self, octet: bytes) -> None:
        if octet == CTRL_A:
            self._raw = True
            self._line.clear()
            self.write(b"\r\n" + RAW_BANNER)
        elif octet == CTRL_D and not self._line:
            self._soft_reset(run_main=True)
        elif octet in b"\r\n":
            source, self._line = bytes(self._line), bytearray()
            self.write(b"\r\n")
            if source.strip():
                self._execute(source)
            else:
                self.write(b">>> ")
        elif octet in (CTRL_B, CTRL_C):
            self._line.clear()
            self.write(b"\r\n>>> ")

    def _execute(self, source: bytes) -> None:
        self._command_runs = True
        self._prompt.execute(source)

    def _soft_reset(self, *, run_main: bool) -> None:
        self.write(b"\r\nMPY: soft reboot\r\n")
        self._prompt.soft_reset(run_main=run_main)

    def reset(self) -> None:
        """A hard reset: the prompt is the friendly one again."""
        self._raw = self._command_runs = False
        self._paste_left = None
        self._line.clear()

    def _accept(self) -> None:
        client, _ = self._server.accept()
        self._drop_client()
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        self._watch()

    def _drop_client(self) -> None:
        if self._client is not None:
            self._reactor.forget(self._client.fileno())
            self._client.close()
            self._client = None
        self._out.clear()

    def _watch(self) -> None:
        if self._client is not None:
            self._reactor.watch(
                self._client.fileno(), read=None if self._out else self._read, write=self._flush if self._out else None
            )

    def _flush(self) -> None:
        if self._client is None:
            return
        try:
            sent = self._client.send(self._out)
            del self._out[:sent]
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop_client()
            return
        self._watch()

    def _read(self) -> None:
        assert self._client is not None
        try:
            octets = self._client.recv(65536)
            # pyserial leaves Nagle's algorithm on: without this each of mpremote's small writes waits 40 ms.
            self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if not octets:
            self._drop_client()
            return
        if self._prompt.idle() and not self._command_runs:
            self.input += octets
            self.consume()
            return
        # A program runs.
        stop = bytes([self.interrupt_char]) if self.interrupt_char >= 0 else None
        if stop is not None and stop in octets:
            # What was typed before Ctrl-C is forgotten with the program that did not read it.
            self.input.clear()
            self.input += octets[octets.rindex(stop) + 1 :]
            self._prompt.interrupt()
        else:
            self.input += octets
        self._prompt.input_arrived()
