"""Days of a board's clock in a simulated world: the firmware's own Clock and Sync on CPython, asked at every moment.

Each day is one boot: a crystal that is wrong by up to CRYSTAL_PPM and drifts with the temperature, ticks that wrap, and
four time servers over paths whose two directions jitter on their own, with spikes and losses. One server lies: by some
milliseconds or by hours, steadily, drifting away, or by leaping at some time of the day. On some days nobody answers
for the first hours. `Day.run()` gives every moment at which UTC was wrong by more than the clock said.
"""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass, field

from witness.clock import Clock
from witness.sample import Sample
from witness.sync import PACKET_OCTETS, POLL_MS, RETRY_MS, UNIX_EPOCH_S, Sync

CRYSTAL_PPM = 160
PERIOD = 1 << 30
DAY_US = 86_400_000_000
START_UTC_US = 1_800_000_000_000_000
SERVERS = 4
LIAR = 3


@dataclass
class Path:
    """One server's two ways: base, mean of the jitter, chance of a spike and of a loss."""

    there_us: int
    back_us: int
    jitter_us: int
    spike: float
    loss: float
    error_us: int  # how wrong an honest server is, within what it says of itself
    root_us: int  # what it says


@dataclass
class Outcome:
    """What a day's readings of the clock showed; the naive clock's beside them."""

    asked: int = 0
    unsynchronised: int = 0
    broken_us: list[int] = field(default_factory=list)  # by how much the bound was broken
    bounds_us: list[int] = field(default_factory=list)
    errors_us: list[int] = field(default_factory=list)
    naive_broken: int = 0
    naive_worst_us: int = 0
    refused: int = 0
    steps: int = 0


class Day:
    """One day of one board; everything follows from the seed."""

    def __init__(self, seed: int) -> None:
        self._random = source = random.Random(f"day {seed}")
        self._true_us = 0
        self._ticks = float(source.randrange(PERIOD))
        self._base_ppm = source.uniform(-1, 1) * (CRYSTAL_PPM - 15)
        self._phase = source.uniform(0, 2 * math.pi)
        self._paths = [self._path() for _ in range(SERVERS)]
        self._late_us = source.choice([0, 0, 0, source.randrange(DAY_US // 4)])
        self._lie = source.choice(["small", "large", "drift", "leap"])
        self._lie_us = source.choice([-1, 1]) * round(10 ** source.uniform(3, 10))
        self._leap_at_us = source.randrange(DAY_US)
        self.outcome = Outcome()
        self.clock = Clock(lambda: int(self._ticks) % PERIOD, self._ticks_diff, None)
        self._naive: tuple[int, int, int] | None = None  # local, offset, half the round trip
        self._sync = Sync(self.clock, self, self, source.randbytes, self._event, lambda utc_us: None, lambda text: None)

    def _path(self) -> Path:
        source = self._random
        root_us = source.randrange(100, 20_000)
        return Path(
            source.randrange(2_000, 60_000), source.randrange(2_000, 60_000), source.choice([100, 2_000, 15_000]),
            source.choice([0, 0.02]), source.choice([0, 0.05, 0.3]), source.randint(-root_us, root_us) * 9 // 10,
            root_us,
        )  # fmt: skip

    @staticmethod
    def _ticks_diff(end: int, start: int) -> int:
        return (end - start + PERIOD // 2) % PERIOD - PERIOD // 2

    def _pass(self, duration_us: int) -> None:
        """Let true time pass; the crystal has its own idea of it."""
        ppm = self._base_ppm + 15 * math.sin(2 * math.pi * self._true_us / DAY_US + self._phase)
        self._true_us += duration_us
        self._ticks += duration_us * (1 + ppm / 1e6)
        self.clock.now_us()  # as the stall detector's task does

    # --- what Sync is given: resolver and socket ---

    async def address(self, server: str) -> Day:
        self._server = int(server)
        return self

    @property
    def _utc_us(self) -> int:
        return START_UTC_US + self._true_us

    def endpoint(self, address: object, port: int) -> int:
        return self._server

    async def ask(self, request: bytes, server: int, judge, timeout_us: int) -> Sample:  # type: ignore[no-untyped-def]
        """One request over the server's path."""
        source, path = self._random, self._paths[server]
        sent_us = self.clock.now_us()
        there_us, back_us = (
            base + round(source.expovariate(1 / path.jitter_us)) + (300_000 if source.random() < path.spike else 0)
            for base in (path.there_us, path.back_us)
        )
        if source.random() < path.loss or self._true_us < self._late_us or there_us + back_us > timeout_us:
            self._pass(timeout_us)
            return Sample(0, sent_us, None, None)
        self._pass(there_us)
        reply = self._reply(request[40:48], server)
        self._pass(back_us)
        assert judge(reply) is not None
        return Sample(1, sent_us, self.clock.now_us() - sent_us, None)

    def _reply(self, nonce: bytes, server: int) -> bytes:
        path = self._paths[server]
        at_us = self._utc_us + path.error_us + (self._lie_now_us() if server == LIAR else 0)
        stamp = ((at_us // 1_000_000 + UNIX_EPOCH_S) % (1 << 32)).to_bytes(4) + (
            (at_us % 1_000_000 << 32) // 1_000_000
        ).to_bytes(4)
        root = (path.root_us * 65_536 // 1_000_000 + 1).to_bytes(4)
        reply = bytes((0x24, 2, 6, 0xEC)) + bytes(4) + root + bytes(4) + stamp + nonce + stamp + stamp
        assert len(reply) == PACKET_OCTETS
        return reply

    def _lie_now_us(self) -> int:
        if self._lie == "small":
            return self._lie_us % 40_000 - 20_000
        if self._lie == "large":
            return self._lie_us
        if self._lie == "drift":
            return self._true_us * 500 // 1_000_000
        return self._lie_us if self._true_us > self._leap_at_us else 0

    def _event(self, kind: int, *details: int) -> None:
        if kind == 7:
            self.outcome.refused += 1
        if kind == 6:
            self.outcome.steps += 1

    # --- the day ---

    def run(self, length_us: int = DAY_US) -> Outcome:
        """Synchronise as the firmware does for a day; look at the clock before and after each round."""
        loop = asyncio.new_event_loop()
        names = [str(i) for i in range(SERVERS)]
        failures = 0
        try:
            while self._true_us < length_us:
                taken = loop.run_until_complete(self._sync.synchronise(names))
                self._look()
                self._ask_naively()
                failures = 0 if taken else min(failures + 1, len(RETRY_MS))
                wait_us = (POLL_MS if taken else RETRY_MS[failures - 1]) * 1000
                for _ in range(4):
                    self._pass(wait_us // 4)
                    self._look()
        finally:
            loop.close()
        return self.outcome

    def _look(self) -> None:
        outcome, now_us = self.outcome, self.clock.now_us()
        outcome.asked += 1
        if self._naive is not None:
            at_us, offset_us, half_us = self._naive
            naive_us = abs(now_us + offset_us - self._utc_us)
            outcome.naive_worst_us = max(outcome.naive_worst_us, naive_us)
            outcome.naive_broken += naive_us > half_us + (now_us - at_us) * 200 // 1_000_000
        stamp = self.clock.utc(now_us)
        if stamp.utc_us is None or stamp.bound_us is None:
            outcome.unsynchronised += 1
            return
        error_us = abs(stamp.utc_us - self._utc_us)
        outcome.errors_us.append(error_us)
        outcome.bounds_us.append(stamp.bound_us)
        if error_us > stamp.bound_us:
            outcome.broken_us.append(error_us - stamp.bound_us)

    def _ask_naively(self) -> None:
        """What a client of one server does: believe its last answer to half a round trip. The server is any of them."""
        server = self._random.randrange(SERVERS)
        path = self._paths[server]
        if self._random.random() < path.loss or self._true_us < self._late_us:
            return
        there_us = path.there_us + round(self._random.expovariate(1 / path.jitter_us))
        back_us = path.back_us + round(self._random.expovariate(1 / path.jitter_us))
        lie_us = self._lie_now_us() if server == LIAR else 0
        now_us = self.clock.now_us()
        offset_us = self._utc_us + (there_us - back_us) // 2 + path.error_us + lie_us - now_us
        self._naive = (now_us, offset_us, (there_us + back_us) // 2)
