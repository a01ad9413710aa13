"""The part of the flash that code is executed from in place: MicroPython's ROMFS partition, as a file.

The machine maps it at boot, outside of the heap that it collects, as the boards' processors map their flash; what is
written shows at the next boot at the latest. The 64-bit unix machine of PyPI can't (it has no `ffi`), and has none.
"""

from __future__ import annotations

from pathlib import Path

ERASED = b"\xff"


class Romfs:
    """`size` octets at `path`, made erased where there is no such file; of size 0: no partition."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        if size and not (path.exists() and path.stat().st_size == size):
            path.write_bytes(ERASED * size)

    def prepare(self, octets: int) -> None:
        """Erase room for so many octets. Raises OSError (ENOSPC) when there is not so much."""
        if octets > self.size:
            raise OSError(28, "the partition is smaller")
        with open(self.path, "r+b") as file:
            file.write(ERASED * octets)

    def write(self, offset: int, octets: bytes) -> None:
        """Write what has been prepared."""
        if offset + len(octets) > self.size:
            raise OSError(28, "beyond the partition")
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(octets)
