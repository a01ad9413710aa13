"""A board's serial line, through mpremote's library: run a line of Python there, read its answer, write files.

`port` is whatever pyserial opens: /dev/ttyUSB0, COM3, a PTY, socket://127.0.0.1:8266, rfc2217://... Opening stops the
program that runs on the board and leaves it at its raw prompt with nothing imported; `restart` starts it again.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from linewitness.errors import CannotDo

CHUNK_OCTETS = 2048  # its literal is up to four times that, and fits the heap of every board at its prompt

# Prints {path: hex SHA-256} of the files given and of all files below the folders given.
_HASHES = """
import os, json, hashlib, binascii
def _digest(path):
    whole = hashlib.sha256()
    with open(path, 'rb') as file:
        while True:
            octets = file.read(512)
            if not octets:
                return binascii.hexlify(whole.digest()).decode()
            whole.update(octets)
def _walk(folder, found):
    try:
        entries = list(os.ilistdir(folder))
    except OSError:
        return
    for entry in entries:
        path = folder + '/' + entry[0]
        if entry[1] == 0x4000:
            _walk(path, found)
        else:
            found[path] = _digest(path)
_found = {}
for _folder in %s:
    _walk(_folder, _found)
for _path in %s:
    try:
        _found[_path] = _digest(_path)
    except OSError:
        pass
print(json.dumps(_found))
"""

_FACTS = """
import sys, os, json
_v = os.statvfs('/')
print(json.dumps({'mpy': sys.implementation._mpy, 'machine': sys.implementation._machine,
    'version': list(sys.implementation.version), 'free': _v[0] * _v[3]}))
"""

_RESTART = b"""
try:
    from witness import lives
    lives.expect()
except ImportError:
    pass
import machine
machine.reset()
"""


class Prompt:
    """A board at its raw prompt. Every method raises CannotDo when the board does not do as told."""

    def __init__(self, port: str) -> None:
        self.port = port
        self._folders: set[str] = set()  # known to be there
        hint = "is it plugged in, and free of other programs (a terminal, an editor)?"
        try:
            self._line = SerialTransport(port)
        except (TransportError, OSError) as e:
            raise CannotDo("no board answers here", port, hint) from e
        try:
            with self._explained("press the board's reset button and try again"):
                self._line.enter_raw_repl(soft_reset=True)
        except CannotDo:
            self._line.close()
            raise

    def close(self) -> None:
        with contextlib.suppress(OSError, TransportError):
            self._line.close()

    def __enter__(self) -> Prompt:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, program: str, *, timeout_s: int = 30) -> Any:
        """Run a program and return the JSON value that it prints as its last line."""
        with self._explained("see what the board says on its console"):
            out, err = self._line.exec_raw(program.encode(), timeout=timeout_s)
        if err:
            said = err.decode("utf-8", "replace").strip().splitlines()
            raise CannotDo(f"the board says: {said[-1]}", self.port, "linewitness witness flash")
        lines = out.decode("utf-8", "replace").strip().splitlines()
        try:
            return json.loads(lines[-1])
        except (IndexError, ValueError) as e:
            raise CannotDo("the board answers something else than asked", self.port, "press its reset button") from e

    def facts(self) -> dict[str, Any]:
        """Return mpy, machine, version of MicroPython, and free octets of the file system."""
        found: dict[str, Any] = self.ask(_FACTS)
        return found

    def hashes(self, folders: Iterable[str], files: Iterable[str]) -> dict[str, bytes]:
        """Return path -> SHA-256 of the files that are there, and of all below the folders."""
        found = self.ask(_HASHES % (json.dumps(list(folders)), json.dumps(list(files))), timeout_s=120)
        return {path: bytes.fromhex(digest) for path, digest in found.items()}

    def write(self, path: str, octets: bytes, progress: Callable[[int], None] = lambda octets: None) -> None:
        """Write a file, making its folders; progress gets the octets of each piece as it is written."""
        folder = ""
        for part in path.split("/")[1:-1]:
            folder += "/" + part
            if folder not in self._folders:
                with self._explained("free space on the board"):
                    if not self._line.fs_exists(folder):
                        self._line.fs_mkdir(folder)
                self._folders.add(folder)
        hint = "free space on the board, or a board with more flash"
        pieces = [octets[i : i + CHUNK_OCTETS] for i in range(0, len(octets), CHUNK_OCTETS)] or [b""]
        for i, piece in enumerate(pieces):  # as few commands as can be: each costs two turns of the line
            program = f"f=open({path!r},'wb')\n" if i == 0 else ""
            program += f"f.write({piece!r})\n" + ("f.close()" if i == len(pieces) - 1 else "")
            with self._explained(hint):
                self._line.exec(program)
            progress(len(piece))

    def run(self, program: str) -> None:
        """Run a program that says nothing."""
        with self._explained("press the board's reset button and try again"):
            self._line.exec(program)

    def remove(self, path: str) -> None:
        """Remove a file that is there."""
        with self._explained("press the board's reset button and try again"):
            self._line.fs_rmfile(path)

    def restart(self) -> None:
        """Reset the board, which then runs its program; the line is closed.

        A Pico calls this reset the watchdog's: what counts crashes there (witness/lives.py) is told that it is none.
        """
        with contextlib.suppress(TransportError, OSError):  # a board that resets at once answers nothing more
            self._line.exec_raw_no_follow(_RESTART)
        self.close()

    @contextlib.contextmanager
    def _explained(self, hint: str) -> Iterator[None]:
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # mpremote prints what it did not expect
                yield
        except TransportExecError as e:
            lines = e.error_output.strip().splitlines()
            raise CannotDo(f"the board says: {lines[-1] if lines else e}", self.port, hint) from e
        except TransportError as e:
            raise CannotDo(f"the board does not answer: {e}", self.port, hint) from e
        except OSError as e:
            raise CannotDo(f"the board does not answer: {(e.strerror or str(e)).lower()}", self.port, hint) from e
