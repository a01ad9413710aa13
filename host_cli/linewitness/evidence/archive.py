"""A dossier's ZIP file in the one form that is written and read: the same files give the same octets.

Stored, never compressed; all times 1980-01-01 00:00; no extra fields, no comments, no data descriptors, no ZIP64; local
entries without gaps, then the central directory in the same order, then its end record (APPNOTE 6.3 4.3). Names are
ASCII, without "..", drive or leading slash. A reader that knows only this form sees what every ZIP tool sees: no file
can hide between entries or differ between the two directories.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_VERSION, _DATE = 20, 0x21  # 2.0: stored files; 1980-01-01
_UNIX_FILE = 0o100644 << 16
SIZE_MAX = 2**32 - 1
FILES_MAX = 2**16 - 2


class BadArchive(ValueError):
    """Octets that are no ZIP file of this form, or files that don't fit one."""


def write_archive(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the ZIP octets of (name, content) pairs, in their order. Raises BadArchive for what does not fit."""
    parts: list[bytes] = []
    entries = []
    offset = 0
    for name, content in files:
        _check_name(name)
        crc = zlib.crc32(content)
        local = _local(name, crc, len(content))
        entries.append((name, crc, len(content), offset))
        parts += (local, content)
        offset += len(local) + len(content)
    tail = _directory(entries, offset)
    if offset + len(tail) > SIZE_MAX or len(entries) > FILES_MAX:
        raise BadArchive(f"{len(entries)} files of {offset} octets do not fit one ZIP file")
    return b"".join([*parts, tail])


def read_archive(octets: bytes) -> tuple[dict[str, bytes], list[str]]:
    """Return ({name: content}, names whose CRC-32 does not match). Raises BadArchive for any other form.

    A wrong CRC is handed back instead of raised so that the reader can still say which batch was altered.
    """
    files: dict[str, bytes] = {}
    altered: list[str] = []
    entries = []
    i = 0
    if octets[:2] != b"PK":
        raise BadArchive("no ZIP file" if octets else "the file is empty")
    while octets[i : i + 4] == b"PK\x03\x04":
        if i + _LOCAL.size > len(octets):
            raise BadArchive(f"cut short in the entry at {i}")
        fields = _LOCAL.unpack_from(octets, i)
        crc, size, name_size = fields[6], fields[8], fields[9]
        start = i + _LOCAL.size + name_size
        name = octets[i + _LOCAL.size : start].decode("ascii", "replace")
        _check_name(name)
        if octets[i:start] != _local(name, crc, size):
            raise BadArchive(f"the entry at {i} ({name}) is not of the one form: was it packed again?")
        content = octets[start : start + size]
        if len(content) != size:
            raise BadArchive(f"cut short in {name}")
        if name in files:
            raise BadArchive(f"two files are called {name}")
        if zlib.crc32(content) != crc:
            altered.append(name)
        files[name] = content
        entries.append((name, crc, size, i))
        i = start + size
    if octets[i:] != _directory(entries, i):
        raise BadArchive(f"the directory at {i} is not that of the {len(entries)} files before it")
    return files, altered


def _check_name(name: str) -> None:
    plain = name.isascii() and name.isprintable() and "\\" not in name and ":" not in name
    if not plain or any(part in ("", ".", "..") for part in name.split("/")):
        raise BadArchive(f"not a file name for a dossier: {name!r}")


def _local(name: str, crc: int, size: int) -> bytes:
    head = _LOCAL.pack(b"PK\x03\x04", _VERSION, 0, 0, 0, _DATE, crc, size, size, len(name), 0)
    return head + name.encode("ascii")


def _directory(entries: list[tuple[str, int, int, int]], offset: int) -> bytes:
    made_by = 3 << 8 | _VERSION  # Unix, so that unpacked files get their mode
    central = b"".join(
        _CENTRAL.pack(b"PK\x01\x02", made_by, _VERSION, 0, 0, 0, _DATE, crc, size, size, len(name), 0, 0, 0, 0,
                      _UNIX_FILE, start) + name.encode("ascii")
        for name, crc, size, start in entries
    )  # fmt: skip
    return central + _END.pack(b"PK\x05\x06", 0, 0, len(entries), len(entries), len(central), offset, 0)
