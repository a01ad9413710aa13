"""No task stays dead, none stays stuck, and the watchdog is fed only while all of them make progress."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from fast_clock import FastClock

from linewitness_wire import codes
from witness.supervise import BACK_OFF_S, MAX_FAILURES, Supervisor

SECOND = 1_000_000


class Bench:
    def __init__(self) -> None:
        self.clock = FastClock()
        self.events: list[tuple[int, ...]] = []
        self.said: list[str] = []
        self.fed_us: list[int] = []
        self.ticks = 0
        self.supervisor = Supervisor(
            self.clock, lambda *event: self.events.append(event), lambda text, error: self.said.append(text),
            lambda: self.fed_us.append(self.clock.now), self.tick,
        )  # fmt: skip

    def tick(self) -> None:
        self.ticks += 1

    def run(self, script: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            task = asyncio.create_task(self.supervisor.run())
            await script()
            task.cancel()

        asyncio.run(main())


def test_a_task_that_raises_is_started_again_after_a_growing_pause_and_reported() -> None:
    bench = Bench()
    starts: list[int] = []

    async def fails(progress: Any) -> None:
        starts.append(bench.clock.now)
        raise ValueError("broken")

    async def script() -> None:
        bench.supervisor.start(5, fails, 30)
        await bench.clock.run_to(120 * SECOND)

    bench.run(script)
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    for gap, wanted_s in zip(gaps, BACK_OFF_S, strict=False):
        # The crash is seen, and the start made, at the next look of a second each.
        assert wanted_s * SECOND <= gap <= (wanted_s + 2) * SECOND
    assert bench.events[:2] == [(codes.EVENT_TASK, 5, codes.FAULT_CRASH, restarts) for restarts in (1, 2)]
    assert "task 5: crash" in bench.said[0]


def test_faults_are_told_apart() -> None:
    bench = Bench()
    raised: list[Exception] = [MemoryError(), OSError(5), OSError(28), OSError(110), ValueError()]

    async def fails(progress: Any) -> None:
        if raised:
            raise raised.pop(0)
        await asyncio.Event().wait()

    async def script() -> None:
        bench.supervisor.start(5, fails, 3600)
        await bench.clock.run_to(60 * SECOND)

    bench.run(script)
    assert [event[2] for event in bench.events] == [
        codes.FAULT_MEMORY, codes.FAULT_FLASH, codes.FAULT_FLASH, codes.FAULT_NETWORK, codes.FAULT_CRASH,
    ]  # fmt: skip


def test_a_silent_task_is_stopped_and_started_again() -> None:
    bench = Bench()
    lives: list[str] = []

    async def hangs_once(progress: Any) -> None:
        lives.append("begun")
        try:
            while True:
                await bench.clock.sleep_ms(500)
                if len(lives) > 2:
                    progress()
        except asyncio.CancelledError:
            lives.append("stopped")
            raise

    async def script() -> None:
        bench.supervisor.start(5, hangs_once, 10)
        await bench.clock.run_to(120 * SECOND)

    bench.run(script)
    assert lives[:3] == ["begun", "stopped", "begun"]
    assert bench.events == [(codes.EVENT_TASK, 5, codes.FAULT_STUCK, 1)]


def test_the_watchdog_is_fed_while_all_is_well_and_not_when_a_task_never_lives() -> None:
    bench = Bench()

    async def lives(progress: Any) -> None:
        while True:
            progress()
            await bench.clock.sleep_ms(1000)

    async def never(progress: Any) -> None:
        raise ValueError

    async def script() -> None:
        bench.supervisor.start(1, lives, 10)
        await bench.clock.run_to(100 * SECOND)
        assert len(bench.fed_us) >= 99
        assert max(b - a for a, b in zip(bench.fed_us, bench.fed_us[1:], strict=False)) <= 2 * SECOND
        bench.supervisor.start(2, never, 10)
        await bench.clock.run_to((100 + MAX_FAILURES * (BACK_OFF_S[-1] + 2)) * SECOND)
        fed = len(bench.fed_us)
        await bench.clock.run_to((200 + MAX_FAILURES * (BACK_OFF_S[-1] + 2)) * SECOND)
        assert len(bench.fed_us) == fed

    bench.run(script)


def test_stopping_lets_each_task_clean_up_and_leaves_the_others() -> None:
    bench = Bench()
    ended: list[int] = []

    def task(code: int) -> Callable[[Any], Awaitable[None]]:
        async def run(progress: Any) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(code)

        return run

    async def script() -> None:
        for code in (1, 32, 33):
            bench.supervisor.start(code, task(code), 3600)
        await bench.clock.run_to(2 * SECOND)
        stopping = asyncio.create_task(bench.supervisor.stop(32))
        await bench.clock.run_to(3 * SECOND)
        await stopping
        assert ended == [32, 33]
        await bench.clock.run_to(10 * SECOND)

    bench.run(script)
    assert bench.events == []


def test_an_errand_is_tried_again_until_it_has_ended_well_and_then_forgotten() -> None:
    bench = Bench()
    begun: list[int] = []

    async def errand(argument: int) -> None:
        begun.append(argument)
        await bench.clock.sleep_ms(100)
        if len(begun) < 3:
            raise OSError(5)

    async def script() -> None:
        bench.supervisor.send(40, errand, 10, 0)
        await bench.clock.run_to(60 * SECOND)
        bench.supervisor.send(40, errand, 10, 8)
        await bench.clock.run_to(120 * SECOND)

    bench.run(script)
    assert begun == [0, 0, 0, 8]
    assert bench.events == [(codes.EVENT_TASK, 40, codes.FAULT_FLASH, restarts) for restarts in (1, 2)]
    assert len(bench.fed_us) >= 119


def test_a_stuck_task_whose_clean_up_fails_is_reported_once() -> None:
    bench = Bench()
    lives: list[int] = []

    async def hangs_once(progress: Any) -> None:
        lives.append(bench.clock.now)
        try:
            if len(lives) == 1:
                await asyncio.Event().wait()
            while True:
                progress()
                await bench.clock.sleep_ms(500)
        finally:
            if len(lives) == 1:
                raise ValueError("clean-up")

    async def script() -> None:
        bench.supervisor.start(5, hangs_once, 10)
        await bench.clock.run_to(60 * SECOND)

    bench.run(script)
    assert len(lives) == 2
    assert bench.events == [(codes.EVENT_TASK, 5, codes.FAULT_STUCK, 1)]
