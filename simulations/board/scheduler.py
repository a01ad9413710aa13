"""The board's clock and its timers, in microseconds.

`RealScheduler` is CLOCK_MONOTONIC. `VirtualScheduler` stands still until it is told to go on: then nothing that uses
kernel sockets may take part, for their answers come in real time.
"""

from __future__ import annotations

import heapq
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(order=True, slots=True)
class Timer:
    """A call at `due_us`; those of the same microsecond run in the order in which they were set."""

    due_us: int
    order: int
    call: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Make it never run."""
        self.cancelled = True


class Scheduler(ABC):
    """Timers over a clock that a subclass gives."""

    virtual = False

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._order = itertools.count()

    @abstractmethod
    def now_us(self) -> int:
        """The clock, never going back."""

    def call_at(self, due_us: int, call: Callable[[], None]) -> Timer:
        """Run `call` at `due_us`, or as soon after as run_due is called."""
        timer = Timer(due_us, next(self._order), call)
        heapq.heappush(self._heap, timer)
        return timer

    def call_later(self, delay_us: int, call: Callable[[], None]) -> Timer:
        """Run `call` in `delay_us`."""
        return self.call_at(self.now_us() + delay_us, call)

    def next_due_us(self) -> int | None:
        """When the next timer is due."""
        while self._heap and self._heap[0].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0].due_us if self._heap else None

    def run_due(self) -> None:
        """Run what is due."""
        while (due_us := self.next_due_us()) is not None and due_us <= self.now_us():
            heapq.heappop(self._heap).call()


class RealScheduler(Scheduler):
    """CLOCK_MONOTONIC, the clock that Node and the unix machine read as well."""

    def now_us(self) -> int:
        return time.monotonic_ns() // 1000


class VirtualScheduler(Scheduler):
    """A clock that is set; starts at 0."""

    virtual = True

    def __init__(self) -> None:
        super().__init__()
        self._now_us = 0

    def now_us(self) -> int:
        return self._now_us

    def advance_to(self, time_us: int) -> None:
        """Go on to `time_us`; going back is refused."""
        if time_us < self._now_us:
            raise ValueError(f"virtual time cannot go back from {self._now_us} to {time_us}")
        self._now_us = time_us
