"""`open` and `os` over the virtual board's littlefs: the journal on CPython, on a flash that can be cut."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import pytest

from simulations.board.flash import Flash
from witness import journal, slices


class LittleFile:
    """A binary file as MicroPython's."""

    def __init__(self, flash: Flash, path: str, mode: str) -> None:
        self._flash = flash
        self._handle: int | None = flash.open(path, mode)

    def read(self, size: int = -1) -> bytes:
        assert self._handle is not None
        return self._flash.read(self._handle, size if size >= 0 else 1 << 20)

    def write(self, octets: bytes) -> int:
        assert self._handle is not None
        self._flash.write(self._handle, bytes(octets))
        return len(octets)

    def flush(self) -> None:
        assert self._handle is not None
        self._flash.sync(self._handle)

    def seek(self, offset: int, whence: int = 0) -> int:
        assert self._handle is not None
        return self._flash.seek(self._handle, offset, whence)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._handle is not None:
            handle, self._handle = self._handle, None
            self._flash.close_file(handle)


class LittleOs:
    """The functions of `os` that the firmware uses, and `open`."""

    def __init__(self, flash: Flash) -> None:
        self._flash = flash

    def open(self, path: str, mode: str = "r") -> LittleFile:
        return LittleFile(self._flash, path, mode)

    def listdir(self, path: str) -> list[str]:
        return [entry[0] for entry in self._flash.list(path)]

    def mkdir(self, path: str) -> None:
        self._flash.mkdir(path)

    def remove(self, path: str) -> None:
        self._flash.remove(path, False)

    def rmdir(self, path: str) -> None:
        self._flash.remove(path, True)

    def rename(self, old: str, new: str) -> None:
        self._flash.rename(old, new)

    def stat(self, path: str) -> tuple[int, ...]:
        return self._flash.stat(path)


def use_flash(monkeypatch: pytest.MonkeyPatch, flash: Flash) -> None:
    """Let the journal write to this flash."""
    little = LittleOs(flash)
    for module in (journal, slices):
        monkeypatch.setattr(module, "os", little)
        monkeypatch.setattr(module, "open", little.open, raising=False)
