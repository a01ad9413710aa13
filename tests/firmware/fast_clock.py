"""Simulated time for the witness's tasks on CPython."""

from __future__ import annotations

import asyncio


class FastClock:
    """Simulated time: whoever sleeps is woken in the order of due times, at once."""

    def __init__(self) -> None:
        self.now = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._number = 0

    def now_us(self) -> int:
        return self.now

    async def sleep_until(self, at_us: int) -> None:
        if at_us <= self.now:
            return
        self._number += 1
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((at_us, self._number, waiting))
        await waiting

    async def sleep_ms(self, duration_ms: int) -> None:
        await self.sleep_until(self.now + duration_ms * 1000)

    async def run_to(self, end_us: int) -> None:
        while True:
            for _ in range(8):
                await asyncio.sleep(0)
            self._sleepers = [entry for entry in self._sleepers if not entry[2].done()]
            if not self._sleepers or min(self._sleepers)[0] > end_us:
                self.now = end_us
                return
            entry = min(self._sleepers, key=lambda item: item[:2])
            self._sleepers.remove(entry)
            self.now = max(self.now, entry[0])
            entry[2].set_result(None)
