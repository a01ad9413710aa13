"""The witness's clock: monotonic microseconds without a wrap, UTC with an error bound, and how long the loop stalled.

`now_us()` is the only time in the firmware; it counts from boot. The port's tick counter wraps (every 17.9 minutes on
ESP32 and RP2), so it must be read more often than half of that: the stall detector's own task sees to it.

UTC is an offset to now_us() with a bound on its error. The bound is what the servers' answers allow (half the round
trip and their root distance, RFC 5905 section 10) and DRIFT_PPM of the time since. `sync.py` finds it, `set_utc()`
takes it over.

A stall is a time in which the loop ran no task though one was due. While somebody watches (a sample is in flight), the
clock's own task wakes every WATCH_MS and what it is late by is a stall; `stall_us_since()` tells it to the probes,
which decide what it spoilt.
"""

import asyncio
import time
from collections import namedtuple

from linewitness_wire import codes
from linewitness_wire.record import Clock as UtcStamp

DRIFT_PPM = 200  # crystals of these boards are sold as 20 to 100 ppm, over temperature and age
WATCH_MS = 5
SLACK_US = 1_000  # sleep_ms ends up to a millisecond late by itself
STALLS_KEPT = 8

Utc = namedtuple("Utc", ("offset_us", "bound_us", "at_us", "source"))
"""UTC = monotonic + offset_us, within bound_us, as found at monotonic at_us."""


def drift_us(duration_us: int) -> int:
    """How wrong the crystal may have become over a duration."""
    return duration_us * DRIFT_PPM // 1_000_000


class Clock:
    """Monotonic time, UTC and stalls, from the ticks_us, ticks_diff and sleep_ms of a port."""

    def __init__(self, ticks_us, ticks_diff, sleep_ms) -> None:
        self._ticks_us = ticks_us
        self._ticks_diff = ticks_diff
        self._sleep_ms = sleep_ms
        self._last = ticks_us()
        self._now_us = 0
        self._utc: "Utc | None" = None
        self._watchers = 0
        self._poked = asyncio.Event()
        self._due_us: "int | None" = None  # when the watching task should wake, None while it does not watch
        self._stalls: "list[tuple[int, int]]" = []  # the last (end_us, length_us), oldest first
        self._longest_us = 0

    def now_us(self) -> int:
        """Microseconds since boot. Never goes back."""
        ticks = self._ticks_us()
        passed = self._ticks_diff(ticks, self._last)
        if passed > 0:
            self._now_us += passed
            self._last = ticks
        return self._now_us

    async def sleep_until(self, at_us: int) -> None:
        """Return at monotonic at_us or up to a millisecond after; at once when it is past."""
        while True:
            left_us = at_us - self.now_us()
            if left_us <= 0:
                return
            await self._sleep_ms(min((left_us + 999) // 1000, 60_000))

    def sleep_ms(self, duration_ms: int):
        """To be awaited at once: it is over after duration_ms."""
        return self._sleep_ms(duration_ms)

    # --- UTC ---

    def set_utc(self, utc: Utc) -> int | None:
        """Take over what the servers agreed on. Returns the step in microseconds where it contradicts what stood.

        A worse bound than that which still stands is not taken, unless the two contradict one another.
        """
        before = self._utc
        if before is None:
            self._utc = utc
            return None
        allowed_us = self.bound_at(utc.at_us) + utc.bound_us
        step_us = utc.offset_us - before.offset_us
        if abs(step_us) > allowed_us:
            self._utc = utc
            return step_us
        if utc.bound_us <= self.bound_at(utc.at_us):
            self._utc = utc
        return None

    @property
    def synchronised(self) -> bool:
        return self._utc is not None

    def bound_at(self, at_us: int) -> int:
        """The error bound of UTC at monotonic at_us. Requires `synchronised`."""
        utc = self._utc
        assert utc is not None, "not synchronised"
        return utc.bound_us + drift_us(abs(at_us - utc.at_us)) + 1

    def utc_at(self, at_us: int) -> int | None:
        """UTC at monotonic at_us in microseconds since 1970, None before the first synchronisation."""
        return None if self._utc is None else self._utc.offset_us + at_us

    def utc(self, at_us: int) -> UtcStamp:
        """What a batch that ends at monotonic at_us says of UTC."""
        utc = self._utc
        if utc is None or utc.offset_us + at_us < 0:
            return UtcStamp(None, None, codes.CLOCK_NONE, None)
        age_s = max(0, at_us - utc.at_us) // 1_000_000
        return UtcStamp(utc.offset_us + at_us, self.bound_at(at_us), utc.source, age_s)

    # --- stalls ---

    def watch(self) -> None:
        """From now on a stall spoils something; each call is paired with one of unwatch()."""
        self._watchers += 1
        self._poked.set()

    def unwatch(self) -> None:
        """One watcher less."""
        self._watchers -= 1

    def poke(self) -> None:
        """Let the watching task run once, so that it can show progress while nobody watches."""
        self._poked.set()

    def stall_us_since(self, since_us: int) -> int:
        """The longest stall since since_us, what of it lies after; 0 where there was none.

        One that has just ended, and that the watching task has not noticed yet, is included.
        """
        longest_us = 0
        for end_us, length_us in self._stalls:
            longest_us = max(longest_us, min(length_us, end_us - since_us))
        if self._due_us is not None:
            now_us = self.now_us()
            longest_us = max(longest_us, min(now_us - self._due_us - SLACK_US, now_us - since_us))
        return longest_us

    def take_longest_stall_us(self) -> int:
        """The longest stall since the last call, while somebody watched."""
        longest_us = self._longest_us
        self._longest_us = 0
        return longest_us

    async def run(self, progress) -> None:
        """Look for stalls, for ever; calls progress() as it goes."""
        while True:
            progress()
            if not self._watchers:
                self._poked.clear()
                await self._poked.wait()
                continue
            self._due_us = self.now_us() + WATCH_MS * 1000
            await self._sleep_ms(WATCH_MS)
            now_us = self.now_us()
            late_us = now_us - self._due_us - SLACK_US
            self._due_us = None
            if late_us > 0:
                self._note(now_us, late_us)

    def _note(self, end_us: int, length_us: int) -> None:
        self._longest_us = max(self._longest_us, length_us)
        if length_us > WATCH_MS * 1000 // 2:
            if len(self._stalls) == STALLS_KEPT:
                self._stalls.pop(0)
            self._stalls.append((end_us, length_us))


def port_clock() -> Clock:
    """Return the clock of this board."""
    return Clock(time.ticks_us, time.ticks_diff, asyncio.sleep_ms)
