"""The board's flash: littlefs on a block device of ours, whose operations are counted and can be cut in the middle.

`BlockDevice` keeps the bytes (in memory, or in a file that every operation is written to, so that a killed process
leaves what a killed board leaves). At the chosen operation the power fails: half of the page is programmed and nothing
works afterwards (`PowerCut`).

Only littlefs's raw handles are used: the library aborts the process on a double close of its own file objects.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from littlefs import LittleFSError, lfs
from littlefs.context import UserContext

from simulations.board.profile import Profile

ERASED = 0xFF
ERR_IO = -5


_FLAGS = lfs.LFSFileFlag.__members__
_WRITE = _FLAGS["wronly"] | _FLAGS["creat"]
_DIRECTORY = 0x4000
_REGULAR = 0x8000


class PowerCut(Exception):
    """The power failed at the operation that was asked for."""


class Operation(NamedTuple):
    """A write to the device: `data` programmed at `offset`, or `size` octets erased when data is None."""

    offset: int
    size: int
    data: bytes | None


class BlockDevice(UserContext):
    """The octets of a flash. `on_work` is told, before it is done, of each erase and of how many octets are programmed:
    (1, 0) or (0, octets). The CPU stands still meanwhile, for as long as the board's profile says."""

    def __init__(self, size: int, path: Path | None = None) -> None:
        self.programs = 0
        self.programmed_octets = 0
        self.erases = 0
        self.cut_at: int | None = None
        self.dead = False
        self.log: list[Operation] | None = None
        self.on_work: Callable[[int, int], None] | None = None
        self._file: int | None = None
        self.buffer = bytearray([ERASED]) * size
        if path is not None:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            stored = os.pread(self._file, size, 0)
            self.buffer[: len(stored)] = stored
            if len(stored) < size:
                os.pwrite(self._file, self.buffer, 0)

    @property
    def operations(self) -> int:
        """Programs and erases so far."""
        return self.programs + self.erases

    def cut_after(self, operations: int) -> None:
        """Let the power fail in the middle of the operation that is `operations` from now (0: the next)."""
        self.cut_at = self.operations + operations

    def read(self, cfg: object, block: int, off: int, size: int) -> bytearray:
        offset = block * cfg.block_size + off  # type: ignore[attr-defined]  # as _offset, but thousands of times a mount
        return self.buffer[offset : offset + size]

    def prog(self, cfg: object, block: int, off: int, data: bytes) -> int:
        offset = self._offset(cfg, block, off)
        if not self._powered(offset, bytes(data)):
            return ERR_IO
        if self.on_work is not None:
            self.on_work(0, len(data))
        # NOR flash only clears bits: programming what is not erased shows here as garbage.
        held = int.from_bytes(self.buffer[offset : offset + len(data)], "little")
        self._store(offset, (held & int.from_bytes(data, "little")).to_bytes(len(data), "little"))
        if self.log is not None:
            self.log.append(Operation(offset, len(data), bytes(data)))
        self.programs += 1
        self.programmed_octets += len(data)
        return 0

    def erase(self, cfg: object, block: int) -> int:
        offset = self._offset(cfg, block, 0)
        size = int(cfg.block_size)  # type: ignore[attr-defined]
        if not self._powered(offset, bytes([ERASED]) * size):
            return ERR_IO
        if self.on_work is not None:
            self.on_work(1, 0)
        self._store(offset, bytes([ERASED]) * size)
        if self.log is not None:
            self.log.append(Operation(offset, size, None))
        self.erases += 1
        return 0

    def sync(self, cfg: object) -> int:
        return 0

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _offset(self, cfg: object, block: int, off: int) -> int:
        return int(block * cfg.block_size + off)  # type: ignore[attr-defined]

    def _powered(self, offset: int, data: bytes) -> bool:
        if not self.dead and self.cut_at is not None and self.operations >= self.cut_at:
            self.dead = True
            self._store(offset, data[: len(data) // 2])
        return not self.dead

    def _store(self, offset: int, data: bytes) -> None:
        self.buffer[offset : offset + len(data)] = data
        if self._file is not None:
            os.pwrite(self._file, data, offset)


class Flash:
    """A mounted file system on a device. Paths are absolute.

    Raises OSError with littlefs's numbers (positive, MicroPython's own), and PowerCut once the device is dead.
    """

    def __init__(self, device: BlockDevice, profile: Profile) -> None:
        self.device = device
        self.block_bytes = profile.block_bytes
        self.blocks = len(device.buffer) // profile.block_bytes
        self._fs = lfs.LFSFilesystem()
        # The values of MicroPython's VfsLfs2 for this port.
        self._config = lfs.LFSConfig(
            context=device,
            block_size=self.block_bytes,
            block_count=self.blocks,
            read_size=32,
            prog_size=profile.program_bytes,
            cache_size=min(self.block_bytes, 4 * max(32, profile.program_bytes)),
            lookahead_size=32,
            block_cycles=100,
        )
        self._files: dict[int, lfs.LFSFile] = {}
        self._next_handle = 1
        self.formatted = False
        try:
            lfs.mount(self._fs, self._config)
        except LittleFSError:
            lfs.format(self._fs, self._config)
            lfs.mount(self._fs, self._config)
            self.formatted = True

    def open(self, path: str, mode: str) -> int:
        """A handle; `mode` as open() takes it."""
        flags = {
            "r": _FLAGS["rdonly"],
            "w": _WRITE | _FLAGS["trunc"],
            "a": _WRITE | _FLAGS["append"],
            "x": _WRITE | _FLAGS["excl"],
        }[mode[0]]
        if "+" in mode:
            flags |= _FLAGS["rdwr"]
        file = self._do(lfs.file_open, path, int(flags))
        handle, self._next_handle = self._next_handle, self._next_handle + 1
        self._files[handle] = file
        return handle

    def read(self, handle: int, size: int) -> bytes:
        """At most `size` octets; none at the end."""
        return bytes(self._do(lfs.file_read, self._file(handle), size))

    def write(self, handle: int, data: bytes) -> None:
        """All of `data`."""
        self._do(lfs.file_write, self._file(handle), data)

    def seek(self, handle: int, offset: int, whence: int) -> int:
        """The new position."""
        return int(self._do(lfs.file_seek, self._file(handle), offset, whence))

    def sync(self, handle: int) -> None:
        """Make what was written durable."""
        self._do(lfs.file_sync, self._file(handle))

    def close_file(self, handle: int) -> None:
        """Durable, and the handle is gone even when that fails."""
        file = self._file(handle)
        del self._files[handle]
        self._do(lfs.file_close, file)

    def list(self, path: str) -> list[tuple[str, int, int, int]]:
        """Entries as os.ilistdir gives them: name, type, 0, size."""
        directory = self._do(lfs.dir_open, path)
        entries = []
        while (entry := self._do(lfs.dir_read, directory)) is not None:
            if entry.name not in (".", ".."):
                entries.append((entry.name, _DIRECTORY if entry.type == 2 else _REGULAR, 0, entry.size))
        self._do(lfs.dir_close, directory)
        return entries

    def stat(self, path: str) -> tuple[int, ...]:
        """The ten fields of os.stat; littlefs has only type and size."""
        entry = self._do(lfs.stat, path)
        return (_DIRECTORY, *[0] * 9) if entry.type == 2 else (_REGULAR, 0, 0, 0, 0, 0, entry.size, 0, 0, 0)

    def mkdir(self, path: str) -> None:
        """A new directory."""
        self._do(lfs.mkdir, path)

    def remove(self, path: str, directory: bool) -> None:
        """A file or an empty directory. As on the board, either call removes either kind."""
        self._do(lfs.remove, path)

    def rename(self, old: str, new: str) -> None:
        """Atomic; replaces a file."""
        self._do(lfs.rename, old, new)

    def statvfs(self) -> tuple[int, ...]:
        """The ten fields of os.statvfs."""
        free = self.blocks - int(self._do(lfs.fs_size))
        return (self.block_bytes, self.block_bytes, self.blocks, free, free, 0, 0, 0, 0, 255)

    def read_file(self, path: str) -> bytes:
        """All of a file."""
        handle = self.open(path, "r")
        try:
            return self.read(handle, self.stat(path)[6])
        finally:
            self.close_file(handle)

    def write_file(self, path: str, data: bytes) -> None:
        """A file with its directories."""
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts)):
            folder = "/" + "/".join(parts[:depth])
            try:
                self.mkdir(folder)
            except FileExistsError:
                continue
        handle = self.open(path, "w")
        try:
            self.write(handle, data)
        finally:
            self.close_file(handle)

    def _file(self, handle: int) -> lfs.LFSFile:
        if handle not in self._files:
            raise OSError(9, "EBADF")
        return self._files[handle]

    def _do(self, call: Callable[..., Any], *args: Any) -> Any:
        if self.device.dead:
            raise PowerCut
        try:
            return call(self._fs, *args)
        except LittleFSError as error:
            if self.device.dead:
                raise PowerCut from error
            raise OSError(-error.code, str(error)) from error
