"""A file without a name for what is too much for memory: what is put there is got again, and gone when the process is.

It lies in a folder of the caller's, where there is room for as much again; where nothing may be written there, with the
system's temporary files.
"""

from __future__ import annotations

import errno
import os
import tempfile
from array import array
from pathlib import Path
from typing import IO, Self

from linewitness.errors import cannot_access


class Scratch:
    """A shelf (settle.pages) in a file. Raises CannotDo when the disk is full."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = _opened(folder)
        self._ends = array("q", [0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, octets: bytes) -> int:
        """Keep octets; return their place."""
        try:
            self._file.seek(self._ends[-1])
            if self._file.write(octets) != len(octets):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as e:
            raise cannot_access(e, self._folder) from e
        self._ends.append(self._ends[-1] + len(octets))
        return len(self._ends) - 2

    def get(self, place: int) -> bytes:
        """Return what was put there."""
        try:
            self._file.seek(self._ends[place])
            return self._file.read(self._ends[place + 1] - self._ends[place])
        except OSError as e:
            raise cannot_access(e, self._folder) from e


def _opened(folder: Path) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(buffering=0, dir=folder)
    except OSError:
        return tempfile.TemporaryFile(buffering=0)
