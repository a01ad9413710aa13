"""Keeps every task of the witness alive, and the hardware watchdog fed only while all of them make progress.

A task is `coroutine(progress)`, which calls progress() as it goes, at least every limit_s. One that ends, raises or is
silent for longer is stopped, reported as EVENT_TASK (task code, fault code, restarts so far), and started again after
a back-off of 1 s that doubles to 60 s and begins anew after a minute of good life. A task that failed MAX_FAILURES
times in a row keeps the watchdog from being fed: the board resets (RP2: 8,388 ms after the last meal).

An errand is a task that ends, `coroutine(argument)`: once it has, it is forgotten, so that what is done now and then
takes memory only then.
"""

import asyncio
import errno

from linewitness_wire import codes

CHECK_MS = 1_000
BACK_OFF_S = (1, 2, 4, 8, 15, 30, 60)
GOOD_LIFE_S = 60
MAX_FAILURES = 20


class _Task:
    """Its times are in whole seconds: microseconds of more than 18 minutes take an object each."""

    restart_at_s = 0  # where `task` is None
    failures = 0  # in a row

    def __init__(self, clock, code: int, coroutine, limit_s: int, argument: "int | None" = None) -> None:
        self.clock = clock
        self.code = code
        self.coroutine = coroutine
        self.limit_s = limit_s
        self.argument = argument  # of an errand
        self.started_s = self.progress_s = 0
        self.task: "asyncio.Task | None" = None

    def progress(self) -> None:
        self.progress_s = self.clock.now_us() // 1_000_000


def fault_of(error: Exception) -> int:
    """Return the fault code of what a task raised."""
    if isinstance(error, MemoryError):
        return codes.FAULT_MEMORY
    if isinstance(error, OSError):
        full = error.args and error.args[0] in (errno.EIO, 28)
        return codes.FAULT_FLASH if full else codes.FAULT_NETWORK
    return codes.FAULT_CRASH


class Supervisor:
    """event(kind, *details) and log(text, error) hear of what failed; feed() feeds the watchdog; tick() runs each
    second."""

    def __init__(self, clock, event, log, feed, tick) -> None:
        self._clock = clock
        self._event = event
        self._log = log
        self._feed = feed
        self._tick = tick
        self._tasks: "list[_Task]" = []
        self._restarts: "dict[int, int]" = {}  # by the code of a task that ever failed

    def start(self, code: int, coroutine, limit_s: int) -> None:
        """Supervise one more task from now on."""
        self._add(_Task(self._clock, code, coroutine, limit_s))

    def send(self, code: int, coroutine, limit_s: int, argument: int) -> None:
        """Supervise an errand: it is started again until it has ended well once."""
        self._add(_Task(self._clock, code, coroutine, limit_s, argument))

    async def stop(self, first_code: int) -> None:
        """Stop and forget the tasks whose code is first_code or above."""
        going = [task for task in self._tasks if task.code >= first_code]
        self._tasks = [task for task in self._tasks if task.code < first_code]
        for task in going:
            if task.task is not None:
                task.task.cancel()
        # Each runs its own clean-up when it is next scheduled.
        while not all(task.task is None or task.task.done() for task in going):
            await self._clock.sleep_ms(1)

    async def run(self) -> None:
        """Look after the tasks for ever."""
        while True:
            self._tick()
            healthy = True
            for task in self._tasks[:]:
                healthy = self._look_after(task) and healthy
            if healthy:
                self._feed()
            await self._clock.sleep_ms(CHECK_MS)

    def _add(self, task: _Task) -> None:
        self._tasks.append(task)
        self._begin(task)

    def _begin(self, task: _Task) -> None:
        task.progress()
        task.started_s = task.progress_s
        task.task = asyncio.create_task(self._live(task))

    async def _live(self, task: _Task) -> None:
        """One life of a task. What ended it is reported, unless that was a stop."""
        try:
            await task.coroutine(task.progress if task.argument is None else task.argument)
        except Exception as error:
            self._ended(task, error)
        else:
            self._ended(task)

    def _ended(self, task: _Task, error: "Exception | None" = None) -> None:
        if task.task is not asyncio.current_task():
            return  # stopped before; this was its clean-up
        if error is not None:
            self._failed(task, fault_of(error), error)
        elif task.argument is None:
            self._failed(task, codes.FAULT_CRASH, None)
        else:
            self._tasks.remove(task)

    def _look_after(self, task: _Task) -> bool:
        """Do what one task needs; return whether the watchdog may be fed for it."""
        now_s = self._clock.now_us() // 1_000_000
        if task.task is None:
            if now_s >= task.restart_at_s:
                self._begin(task)
        elif now_s - task.progress_s > task.limit_s:
            task.task.cancel()
            self._failed(task, codes.FAULT_STUCK, None)
        return task.failures < MAX_FAILURES

    def _failed(self, task: _Task, fault: int, error: "Exception | None") -> None:
        now_s = self._clock.now_us() // 1_000_000
        if now_s - task.started_s > GOOD_LIFE_S:
            task.failures = 0
        wait_s = BACK_OFF_S[min(task.failures, len(BACK_OFF_S) - 1)]
        task.failures += 1
        task.restart_at_s = now_s + wait_s + 1  # of the second that has begun
        task.task = None
        self._restarts[task.code] = restarts = self._restarts.get(task.code, 0) + 1
        self._event(codes.EVENT_TASK, task.code, fault, restarts)
        self._log("task %d: %s; started again in %d s" % (task.code, codes.FAULT_NAMES[fault], wait_s), error)
