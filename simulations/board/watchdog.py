"""The hardware watchdog: once started it resets the board unless it is fed in time; a reset or a power cut ends it."""

from __future__ import annotations

from collections.abc import Callable

from simulations.board.scheduler import Timer


class Watchdog:
    """`call_later(us, callback)` is the scheduler's; `bark` resets the board."""

    def __init__(self, call_later: Callable[[int, Callable[[], None]], Timer], bark: Callable[[], None]) -> None:
        self._call_later = call_later
        self._bark = bark
        self._timeout_us = 0
        self._timer: Timer | None = None

    @property
    def is_on(self) -> bool:
        """Whether it was started since the last reset."""
        return self._timer is not None

    def start(self, timeout_ms: int) -> None:
        """From now on it has to be fed."""
        self._timeout_us = timeout_ms * 1000
        self.feed()

    def feed(self) -> None:
        """Its time begins anew; nothing while it is off."""
        if self._timer is not None:
            self._timer.cancel()
        if self._timeout_us:
            self._timer = self._call_later(self._timeout_us, self._bark)

    def stop(self) -> None:
        """The power is gone, or the processor is reset."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timeout_us = None, 0
