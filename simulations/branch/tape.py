"""A packed file's octets, read onward from any place that was marked: a year can be read a window at a time.

What is deflated can only be unpacked onward. A mark keeps the state of the unpacking (some 40 KB), so that what lies
before it is never unpacked again, and no file stays open.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

PACKED_OCTETS = 1 << 16  # read at a time
MOST_UNPACKED = 1 << 20  # from those at a time, however well they were packed
LOCAL_HEADER, NAME_LENGTHS = 30, slice(26, 30)  # of a zip entry (APPNOTE.TXT 4.3.7)
RAW, GZIP = -15, 31  # zlib's window bits: bare deflate as in a zip entry, with gzip's header and check


@dataclass(frozen=True, slots=True)
class Part:
    """[start, end) of a file: packed octets. wbits None: not packed at all. crc: of what is unpacked, None: within."""

    path: Path
    start: int
    end: int
    wbits: int | None
    crc: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a part: the next packed octet, the unpacking's state there, what it gave that was not read yet."""

    at: int
    unpacking: Any
    ready: bytes
    crc: int


def gzip_part(path: Path) -> Part:
    """Return a .gz file as a part."""
    return Part(path, 0, path.stat().st_size, GZIP, None)


def zip_parts(path: Path) -> list[Part]:
    """Return the entries of a .zip or .npz file. zipfile.BadZipFile or OSError if it is none, or packed otherwise."""
    parts = []
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for entry in archive.infolist():
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise zipfile.BadZipFile(f"{entry.filename} is packed by a method other than deflate")
            file.seek(entry.header_offset)
            lengths = file.read(LOCAL_HEADER)[NAME_LENGTHS]
            start = entry.header_offset + LOCAL_HEADER + sum(memoryview(lengths).cast("H"))
            wbits = RAW if entry.compress_type == zipfile.ZIP_DEFLATED else None
            parts.append(Part(path, start, start + entry.compress_size, wbits, entry.CRC))
    return parts


class Tape:
    """Reads a part onward, from its begin or from a mark. EOFError if it is cut short, zlib.error if it is damaged."""

    def __init__(self, part: Part, mark: Mark | None = None) -> None:
        self._part = part
        self._at = part.start if mark is None else mark.at
        self._ready = bytearray() if mark is None else bytearray(mark.ready)
        self._crc = 0 if mark is None else mark.crc
        # A mark may be taken up more than once: it keeps its state, we work on a copy.
        self._unpacking = _unpacking(part) if mark is None else _copy(mark.unpacking)
        self._file: BinaryIO = part.path.open("rb", buffering=0)

    def __enter__(self) -> Tape:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def mark(self, unread: bytes = b"") -> Mark:
        """Return where reading stands. unread: octets that were read and are to be read again from there."""
        return Mark(self._at, _copy(self._unpacking), unread + self._ready, self._crc)

    def read(self, octets: int) -> bytes:
        """Return the next unpacked octets, fewer at the end only."""
        while len(self._ready) < octets and self._unpack_more():
            pass
        taken = bytes(self._ready[:octets])
        del self._ready[:octets]
        return taken

    def _unpack_more(self) -> bool:
        """Unpack some; return whether there was any left."""
        part = self._part
        if self._unpacking is not None and self._unpacking.eof:
            if part.wbits != GZIP or self._at >= part.end:
                return False
            self._unpacking = _unpacking(part)  # a .gz file may have several members, one after the other
        self._file.seek(self._at)
        packed = self._file.read(min(PACKED_OCTETS, part.end - self._at))
        if not packed:
            if self._unpacking is not None:
                raise EOFError("the packed octets are cut short")
            return False
        if self._unpacking is None:
            unpacked = packed
        else:
            unpacked = self._unpacking.decompress(packed, MOST_UNPACKED)
            packed = packed[: len(packed) - len(self._unpacking.unconsumed_tail) - len(self._unpacking.unused_data)]
        self._at += len(packed)
        self._ready += unpacked
        self._check(unpacked)
        return True

    def _check(self, unpacked: bytes) -> None:
        """Hold what came out against the part's checksum, as soon as all of it did."""
        part = self._part
        if part.crc is None:
            return
        self._crc = zlib.crc32(unpacked, self._crc)
        over = self._at >= part.end if self._unpacking is None else self._unpacking.eof
        if over and self._crc != part.crc:
            raise zlib.error(f"checksum {self._crc:08x}, the archive says {part.crc:08x}")


def _unpacking(part: Part) -> Any:
    return None if part.wbits is None else zlib.decompressobj(part.wbits)


def _copy(unpacking: Any) -> Any:
    return None if unpacking is None else unpacking.copy()
