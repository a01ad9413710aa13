"""Waits for descriptors and timers; the board's process has one."""

from __future__ import annotations

import selectors
from collections.abc import Callable

from simulations.board.scheduler import RealScheduler, Scheduler, VirtualScheduler

Call = Callable[[], None]


class Reactor:
    """Descriptor call-backs over a scheduler. In virtual time descriptors are only polled: see `turn`."""

    def __init__(self, scheduler: Scheduler | None = None) -> None:
        self.scheduler = scheduler or RealScheduler()
        # select() takes microseconds; epoll would round up to milliseconds.
        self._selector = selectors.SelectSelector()

    def watch(self, fd: int, *, read: Call | None = None, write: Call | None = None) -> None:
        """Call `read` when `fd` is readable and `write` when it is writable, until it is watched anew or forgotten."""
        self.forget(fd)
        mask = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        if mask:
            self._selector.register(fd, mask, (read, write))

    def forget(self, fd: int) -> None:
        """Watch `fd` no more; nothing if it was not watched."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def turn(self, until_us: int | None, *, may_advance: bool) -> None:
        """Wait for descriptors, for the next timer or until `until_us`, then run what is due.

        In virtual time with `may_advance` and no descriptor ready, the clock goes to the next of these at once;
        without, it stands, and the wait is for a descriptor alone.
        """
        scheduler = self.scheduler
        due_us = [time_us for time_us in (scheduler.next_due_us(), until_us) if time_us is not None]
        next_us = min(due_us) if due_us else None
        if isinstance(scheduler, VirtualScheduler):
            overdue = next_us is not None and next_us <= scheduler.now_us()
            jumps = may_advance and next_us is not None
            happened = self._select(0 if jumps or overdue else None)
            if not happened and jumps and next_us is not None:
                scheduler.advance_to(max(next_us, scheduler.now_us()))
        else:
            self._select(None if next_us is None else max(0, next_us - scheduler.now_us()) / 1_000_000)
        scheduler.run_due()

    def _select(self, timeout_s: float | None) -> bool:
        if timeout_s is None and not self._selector.get_map():
            raise RuntimeError("nothing to wait for")
        ready = self._selector.select(timeout_s)
        for key, mask in ready:
            # A call-back before this one may have forgotten or replaced it.
            if self._selector.get_map().get(key.fd) is not key:
                continue
            read, write = key.data
            if mask & selectors.EVENT_READ and read is not None:
                read()
            elif mask & selectors.EVENT_WRITE and write is not None:
                write()
        return bool(ready)
