"""One program of a kind in a fleet folder at a time: two collectors disconnect each other at the broker, for they share
a name, and two runs of `remind` would tell everything twice.

The lock is the operating system's, on a file that stays: it ends with the process that holds it, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from linewitness.errors import CannotDo, cannot_access


@contextlib.contextmanager
def only_one(folder: Path, what: str) -> Iterator[None]:
    """Hold the folder's lock for what (a word). Raises CannotDo where another one has it, naming its process."""
    path = folder / f"{what}.lock"
    try:
        file = path.open("a+")
    except OSError as e:
        raise cannot_access(e, path, "a fleet folder that can be written") from e
    with file:
        if not _lock(file.fileno()):
            file.seek(0)
            who = file.read().strip() or "unknown"
            hint = "end that one, or leave this to it"
            raise CannotDo(f"another {what} of this fleet is running (process {who})", str(path), hint)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> bool:
        os.lseek(handle, 1 << 30, os.SEEK_SET)  # past the number that the other one has to be able to read
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
