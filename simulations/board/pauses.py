"""How long the flash stops the machine: what its erases and programs take, and the loop's stalls that come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from simulations.board.flash import BlockDevice
from simulations.board.profile import Profile

PAGE_OCTETS = 256  # of a NOR flash


class Stall(NamedTuple):
    """A time, since that boot, in which the flash held the machine's loop up: from the first erase or program after it
    had last waited for input to the next such wait. So many erases lie in it, and so many octets were programmed."""

    boot: int
    begin_us: int
    end_us: int
    erases: int
    programmed_octets: int


class FlashPauses:
    """now_us counts from the boot. pausing: whether the machine is to wait for what its flash does."""

    def __init__(self, device: BlockDevice, profile: Profile, now_us: Callable[[], int], *, pausing: bool) -> None:
        self.stalls: list[Stall] = []
        self._device = device
        self._profile = profile
        self._now_us = now_us
        self._pausing = pausing
        self._owed_us = 0
        self._loops = False  # it has waited for input in this boot
        self._held_up: tuple[int, int, int] | None = None  # since when; erases and octets programmed before that
        device.on_work = self._works

    @property
    def holds_up(self) -> bool:
        """Whether the flash has worked since the loop last waited for input."""
        return self._held_up is not None

    def forget(self) -> None:
        """The machine is gone: nothing of it waits any more."""
        self._owed_us = 0
        self._loops = False
        self._held_up = None

    @contextmanager
    def unpowered(self) -> Iterator[None]:
        """What is done to the flash meanwhile pauses no machine."""
        owed_us = self._owed_us
        yield
        self._owed_us = owed_us

    def take_us(self) -> int:
        """Return the pause that is owed for what the flash has done since the last answer."""
        owed_us, self._owed_us = self._owed_us, 0
        return owed_us

    def loop_waits(self, boot: int) -> None:
        """The loop waits for input: that ends a stall."""
        if self._held_up is not None:
            begin_us, erases, octets = self._held_up
            counts = (self._device.erases - erases, self._device.programmed_octets - octets)
            self.stalls.append(Stall(boot, begin_us, self._now_us(), *counts))
            self._held_up = None
        self._loops = True

    def _works(self, erases: int, octets: int) -> None:
        if self._held_up is None and self._loops:
            self._held_up = (self._now_us(), self._device.erases, self._device.programmed_octets)
        if self._pausing:
            # A part of a page takes its part of the time, and what each operation costs.
            pages = max(octets, PAGE_OCTETS // 8) / PAGE_OCTETS if octets else 0
            self._owed_us += erases * self._profile.erase_ms * 1000 + round(pages * self._profile.program_us)
