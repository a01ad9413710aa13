"""Record one run's flash operations, replay a power cut at every one of them, offline.

`FlashLog` starts from the bytes that the device held and takes its operations with the marks set meanwhile (what the
run had acknowledged by then). `images` gives, for every operation and every tear of it, the flash as the cut leaves it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from simulations.board.flash import ERASED, BlockDevice, Operation

# How much of the interrupted operation was done, in percent.
TEARS_PCT = (0, 50, 97)


class Image(NamedTuple):
    """A flash after a power cut at operation `cut_at`, `tear_pct` of it done; `marks` were set before it began."""

    cut_at: int
    tear_pct: int
    octets: bytes
    marks: tuple[object, ...]


class FlashLog:
    """The recording of a device from now on; `stop` ends it."""

    def __init__(self, device: BlockDevice) -> None:
        self._device = device
        self._start = bytes(device.buffer)
        self._marks: list[tuple[int, object]] = []
        self.operations: list[Operation] = []
        device.log = self.operations

    def mark(self, value: object) -> None:
        """Note that `value` is promised to survive every cut from now on."""
        self._marks.append((len(self.operations), value))

    def stop(self) -> None:
        """Record no more."""
        self._device.log = None

    def images_torn_every(self, program_octets: int, erase_octets: int, every: int = 1) -> Iterator[Image]:
        """The flash after a cut at each `every`-th operation, at each multiple of so many octets of it.

        Left out is what equals the image before it: more of the operation was done, but nothing changed by that.
        """
        octets = bytearray(self._start)
        for number, operation in enumerate(self.operations):
            marks = tuple(value for at, value in self._marks if at <= number)
            if number % every == 0:
                step = erase_octets if operation.data is None else program_octets
                torn = bytearray(octets)
                for done in range(0, operation.size, step):
                    if done and not _apply(torn, operation, done, done - step):
                        continue
                    yield Image(number, done * 100 // operation.size, bytes(torn), marks)
            _apply(octets, operation, operation.size)
        yield Image(len(self.operations), 0, bytes(octets), tuple(value for _, value in self._marks))

    def images(self, tears_pct: Sequence[int] = TEARS_PCT, every: int = 1) -> Iterator[Image]:
        """The flash after a cut at each `every`-th operation, with each tear; last, the flash after all of them."""
        octets = bytearray(self._start)
        for number, operation in enumerate(self.operations):
            marks = tuple(value for at, value in self._marks if at <= number)
            if number % every == 0:
                for tear_pct in tears_pct:
                    torn = bytearray(octets)
                    _apply(torn, operation, operation.size * tear_pct // 100)
                    yield Image(number, tear_pct, bytes(torn), marks)
            _apply(octets, operation, operation.size)
        yield Image(len(self.operations), 0, bytes(octets), tuple(value for _, value in self._marks))


def _apply(octets: bytearray, operation: Operation, done: int, since: int = 0) -> bool:
    """Do an operation from octet `since` of it to `done`; whether that changed anything."""
    new = bytes([ERASED]) * operation.size if operation.data is None else operation.data
    place = slice(operation.offset + since, operation.offset + done)
    if octets[place] == new[since:done]:
        return False
    octets[place] = new[since:done]
    return True
