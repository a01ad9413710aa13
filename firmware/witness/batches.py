"""Makes a batch when one is due: in the slot that ends the plan's batch time, and early when something changed.

Each change of state may add one batch, after a random delay of 0-5 s so that the witnesses of one outage don't all send
at once: at most one in EXTRA_GAP_US and EXTRAS_AN_HOUR. A batch that could not be made durable (flash full or failing)
is kept and sealed again later; meanwhile the tally goes on, and thins itself when it must.

Without the collector the journal fills. Then batches in which nothing changes are joined (see wide), up to WIDENED:
what changes ends them at once, and is never joined.
"""

import asyncio
import gc

from linewitness_wire import codes, record
from linewitness_wire.errors import WireError

from .journal import JournalFull, NotNow
from .tally import Batch

EXTRA_GAP_US = 10_000_000
EXTRA_DELAY_US = 5_000_000
EXTRAS_AN_HOUR = 20
HOUR_US = 3_600_000_000
LOOK_US = 1_000_000
# Percent of the journal's room -> the longest batch.
WIDENED = ((51, 3_600_000_000), (42, 900_000_000), (5, 300_000_000))
WIDER_US = 10_000_000  # what such a batch may be longer: batches don't end on the second
SPLIT_US = 2_000_000  # what is left after an early end is worth a batch of its own from here on


class Batcher:
    """made() is called after each durable batch. Set by begin_plan(), before which no batch can be made: `schedule`,
    `plan` and `plan_digest`, those in force."""

    def __init__(self, clock, link, tally, slots, signer, journal, made, event, log, random) -> None:
        self._clock = clock
        self._link = link
        self._tally = tally
        self._slots = slots
        self._signer = signer
        self._journal = journal
        self._made = made
        self._event = event
        self._log = log
        self._random = random
        self._lock = asyncio.Lock()
        self._queue: "list[tuple]" = []  # batches that are not durable yet, each with its plan's hash
        self._held: "Batch | None" = None  # the batch after those, which may be joined with the next
        self._due_us = 0
        self._extra_us: "int | None" = None
        self._extras_us: "list[int]" = []
        self._waits = False  # something of the queue, for the slot
        self._faults = 0
        self._unsound = 0

    def begin_plan(self, plan, plan_digest: bytes, schedule) -> None:
        """From now on batches are made as this plan says."""
        self.plan = plan
        self.plan_digest = plan_digest
        self.schedule = schedule
        self._due_us = self._slots.next_batch_us()

    def hurry(self) -> None:
        """Something changed: make a batch before its time, if the limits allow another."""
        now_us = self._clock.now_us()
        self._extras_us = [at_us for at_us in self._extras_us if now_us - at_us < HOUR_US]
        if self._extra_us is not None or len(self._extras_us) >= EXTRAS_AN_HOUR:
            return
        at_us = now_us + self._random(EXTRA_DELAY_US)
        if self._extras_us:
            at_us = max(at_us, self._extras_us[-1] + EXTRA_GAP_US)
        if at_us < self._due_us:
            self._extra_us = at_us
            self._extras_us.append(at_us)

    async def run(self, progress) -> None:
        """Make batches, for ever."""
        while True:
            progress()
            now_us = self._clock.now_us()
            extra = self._extra_us is not None and now_us >= self._extra_us
            if now_us >= self._due_us or extra or self._tally.is_full:
                await self.make(False)
            elif self._slots.may_write() and (self._waits or not self._journal.is_settled):
                async with self._lock:
                    await self._seal_all()
            await self._clock.sleep_until(min(self._next_us(), self._clock.now_us() + LOOK_US))

    def _next_us(self) -> int:
        return self._due_us if self._extra_us is None else min(self._due_us, self._extra_us)

    async def make(self, all_of_it: bool = True) -> bool:
        """Make a batch of all that is decided now (several, where one would be too long); whether all are durable.

        all_of_it: what may wait to be joined with the next batch as well.
        """
        async with self._lock:
            self._extra_us = None
            self._due_us = self._slots.next_batch_us()
            gc.collect()
            while await self._seal_all():
                batch = self._tally.close(self._further)
                if batch is not None:
                    self._drop_unsound(batch.body.readings)
                    self._hold(batch)
                    if self._clock.now_us() - batch.end_us >= SPLIT_US:
                        self._release(False)
                        continue
                self._release(all_of_it)
                return await self._seal_all()
            self._tally.thin()
            return False

    def _widened_us(self) -> int:
        """How long a batch may become by being joined with those after it, as full as the journal is."""
        fill_percent = self._journal.fill_percent
        for percent, length_us in WIDENED:
            if fill_percent >= percent:
                return length_us
        return 0

    def _hold(self, batch) -> None:
        """Take the next batch: joined with the one that was held back for it, or in its place."""
        held = self._held
        if held is not None:
            from .wide import join

            joined = join(held, batch)
            if joined is not None:
                self._held = joined
                return
            self._queue.append((held, self.plan_digest))
        self._held = batch

    def _release(self, at_once: bool) -> None:
        """Queue what is held back unless it may wait for more of the same."""
        held = self._held
        if held is None:
            return
        widened_us = 0 if at_once else self._widened_us()
        if widened_us:
            from .wide import is_plain

            wider_us = held.end_us - held.start_us + self.plan.batch_s * 1_000_000
            if wider_us <= widened_us + WIDER_US and is_plain(held):
                return
        self._queue.append((held, self.plan_digest))
        self._held = None

    def _drop_unsound(self, readings: list) -> None:
        """Drop and report what no witness may sign: a fault of ours in one reading must not silence the others."""
        for reading in readings[:]:
            try:
                record.check_reading(reading)
            except WireError as error:
                readings.remove(reading)
                self._unsound += 1
                self._log("a reading of target %s was dropped: %s" % (reading.get(record.TARGET), error))
                self._event(codes.EVENT_FAULT, codes.FAULT_PROTOCOL, self._unsound)

    async def _seal_all(self) -> bool:
        """Make durable what is queued; whether all of it is."""
        self._waits = False
        try:
            if self._slots.may_write():
                await self._signer.settle()
            while self._queue:
                batch, plan_digest = self._queue[0]
                brief = not self._slots.may_write()
                await self._signer.seal(batch, self._clock.utc(batch.end_us), plan_digest, brief)
                self._queue.pop(0)
                self._faults = 0
                for first, last, count in self._journal.take_trims():
                    self._event(codes.EVENT_TRIMMED, first, last, count)
                self._made()
        except NotNow:
            self._waits = True
            return False
        except (JournalFull, OSError) as error:
            self._faults += 1
            if self._faults == 1:
                self._log("journal: %s; try: see that the collector runs and acknowledges" % error)
                self._event(codes.EVENT_FAULT, codes.FAULT_FLASH, 1)
            return False
        return True

    def _further(self, start_us: int, end_us: int, readings: list) -> list:
        """The witness's own readings, beside the counts that the probes keep for theirs."""
        self.schedule.finish(readings)
        span_us = end_us - start_us
        own = []
        for i in range(len(self.plan.targets)):
            method = self.plan.targets[i].method
            if method == codes.METHOD_LINK:
                own.append(self._link.reading(i, span_us))
            elif method == codes.METHOD_SELF:
                own.append({
                    record.TARGET: i, record.START_US: 0, record.SPAN_US: span_us, record.HEAP_FREE: gc.mem_free(),
                    record.STALL_US: self._clock.take_longest_stall_us(),
                })  # fmt: skip
        return own
