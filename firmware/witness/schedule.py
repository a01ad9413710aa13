"""When each target is probed, when the loop may be held up, and whether a target is failing.

Slots: the witness's own time is cut into minutes (into the batch's time where that is shorter). The last ten seconds of
each (a quarter of a shorter one) are the housekeeping slot, in which no call-quality window runs: signing, flash
erases and TLS handshakes belong there.

Rounds: a target is probed every period_ms, with a jitter of up to an eighth of it so that witnesses and targets don't
march in step; every fast_period_ms while any target of its segment fails that has answered in this boot (what never
answered, such as a router with UPnP off, would keep it fast for ever). fail_rounds bad rounds in a row make a target
failing, clear_rounds good ones make it clear; either is an event. A void round says nothing. Call-quality windows keep
their period, and never overlap. TCP connects that hang are held to the board's few sockets. What waited for a window's
end begins a few at a time: together they would fill the small boards' receive queues, and take the most memory of all.
"""

import asyncio
from array import array

from linewitness_wire import codes, plan, record

from .dns_message import is_dotted
from .manners import BESIDE_WINDOWS, Manners
from .places import Places, at_place
from .resolver import Unresolved
from .sample import unresolved

MINUTE_US = 60_000_000
SLOT_US = 10_000_000
WINDOW_METHODS = (codes.METHOD_STAMP, codes.METHOD_CALL)
CONNECT_METHODS = (codes.METHOD_TCP, codes.METHOD_SIP_TCP)  # each holds a socket for as long as its server is silent
CONNECT_WAIT_US = 100_000  # until the next look for a free one
SLOT_METHODS = (codes.METHOD_TLS, codes.METHOD_SIP_TLS)  # handshakes
WINDOW_TAIL_US = 500_000  # what a window needs beyond its last packet, beside its loss threshold
CALL_TAIL_US = 4_000_000  # ... a test call: echoes and BYE
LOOK_US = 1_000_000  # what is due may change: by a failure
AT_ONCE, APART_MS = 4, 50  # so many rounds begin together, the next so much later


class Slots:
    """The housekeeping slots of a plan; begin_plan() when another comes into force."""

    def __init__(self, clock, batch_s: int) -> None:
        self._clock = clock
        self.begin_plan(batch_s)

    def begin_plan(self, batch_s: int) -> None:
        """Cut the time as a plan with batches of batch_s wants it."""
        self._cycle_us = MINUTE_US if batch_s >= 60 else batch_s * 1_000_000
        self._slot_us = SLOT_US if batch_s >= 60 else self._cycle_us // 4
        self._batch_us = (batch_s * 1_000_000 + self._cycle_us - 1) // self._cycle_us * self._cycle_us

    def left_us(self) -> int:
        """How much of the slot is left; 0 outside."""
        into_us = self._clock.now_us() % self._cycle_us - (self._cycle_us - self._slot_us)
        return self._slot_us - into_us if into_us >= 0 else 0

    def may_write(self) -> bool:
        """Whether enough of a slot is left to sign and write whatever there is: three tenths, 3 s of 10 s."""
        return self.left_us() * 10 >= self._slot_us * 3

    def until_us(self) -> int:
        """How long until the next slot begins; 0 inside."""
        return max(0, self._cycle_us - self._slot_us - self._clock.now_us() % self._cycle_us)

    def fits(self, length_us: int) -> bool:
        """Whether a window may begin now. One that never fits (a plan's mistake) may begin anywhere outside."""
        if self.left_us():
            return False
        return self.until_us() >= length_us or length_us > self._cycle_us - self._slot_us

    def next_batch_us(self) -> int:
        """When the slot begins in which the next batch is made."""
        now_us = self._clock.now_us()
        due_us = now_us - now_us % self._batch_us + self._batch_us - self._slot_us
        return due_us if due_us > now_us else due_us + self._batch_us


class Rounds:
    """Which targets fail, by the plan's fail_rounds and clear_rounds; changed(target, failing) hears of each change."""

    def __init__(self, the_plan, changed) -> None:
        self._plan = the_plan
        self._changed = changed
        self._run = bytearray(len(the_plan.targets))  # rounds in a row that contradict the state
        self._failing = bytearray(len(the_plan.targets))
        self._known = bytearray(len(the_plan.targets))  # has answered

    def note(self, target: int, good: bool) -> None:
        """One more round of a target that was a measurement."""
        if good:
            self._known[target] = 1
        if good != bool(self._failing[target]):
            self._run[target] = 0
            return
        self._run[target] = min(255, self._run[target] + 1)
        wanted = self._plan.clear_rounds if good else self._plan.fail_rounds
        if self._run[target] >= wanted:
            self._run[target] = 0
            self._failing[target] = 0 if good else 1
            self._changed(target, not good)

    def segment_fails(self, segment: int) -> bool:
        """Whether any target of the segment fails that has answered before."""
        for i in range(len(self._failing)):
            if self._failing[i] and self._known[i] and self._plan.targets[i].segment == segment:
                return True
        return False


class Schedule:
    """Runs the probes of a plan.

    probes: {method: probe} as the probes' protocol has them; gateway(): dotted address or None; random(n) -> 0..n-1;
    changed(target, failing) hears of each change of state; while metered() no window runs. A round takes memory only
    while it runs: send(target, coroutine, limit_s) runs coroutine(target), again if it failed. connects: how many
    targets may hold a TCP socket at a time; what is due then waits, so that the uplink always finds one.
    """

    def __init__(
        self, clock, link, the_plan, probes, resolver, tally, slots, random, changed, metered, send, connects
    ) -> None:  # fmt: skip
        self._clock = clock
        self._link = link
        self._plan = the_plan
        self._probes = probes
        self._places = Places(resolver, link.gateway, clock)
        self._tally = tally
        self._slots = slots
        self._random = random
        self._rounds = Rounds(the_plan, changed)
        self._manners = Manners(clock, the_plan)
        self._metered = metered
        self._send = send
        self._connects = connects
        self._began_us = array("Q", [0] * len(the_plan.targets))  # each target's last round
        self._due_us = array("Q", [0] * len(the_plan.targets))  # ... and next one, unless its segment fails
        self._busy = bytearray(len(the_plan.targets))  # a round is on its way
        self._window = asyncio.Lock()
        self._over = asyncio.Event()  # no window is running
        self._over.set()
        self._probed: "list[int]" = []  # once it runs
        self._more = False  # more was due at the last look than begins at once

    def probed(self) -> list:
        """The targets that are sent something, by a method that this board has."""
        targets = self._plan.targets
        return [i for i in range(len(targets)) if targets[i].method in self._probes]

    def finish(self, readings: list) -> None:
        """Add to the readings of a batch, but for windows, what probes kept beside samples. The address of a server is
        told where the plan has a name for it; a private host stays so."""
        for reading in readings:
            target = self._plan.targets[reading[record.TARGET]]
            if not is_window(target):
                extras = self._probes[target.method].extras(target)
                if target.host.startswith(plan.PRIVATE) or is_dotted(target.host):
                    extras.pop(record.PEER, None)
                reading.update(extras)

    async def run(self, progress) -> None:
        """Send every target its rounds, each when it is due, for ever."""
        self._probed = self.probed()
        for i in self._probed:
            # The first rounds are spread over one period.
            self._began_us[i] = self._clock.now_us()
            self._due_us[i] = self._began_us[i] + self._random(self._period_us(i))
        while True:
            progress()
            await self._clock.sleep_until(self._begin_due())

    def _begin_due(self) -> int:
        """Send targets that are due their next round, AT_ONCE of them at most; return when to look again."""
        now_us = self._clock.now_us()
        look_us = now_us + LOOK_US
        begun = 0
        for i in self._probed:
            wait_us = self._next_us(i) - now_us
            if wait_us <= 0 and not self._busy[i]:
                wait_us = self._must_wait_us(i)
                if not wait_us:
                    if begun == AT_ONCE:
                        self._more = True
                        return now_us + APART_MS * 1000
                    begun += 1
                    self._begin(i)
                    wait_us = self._next_us(i) - now_us
            if wait_us > 0:
                look_us = min(look_us, now_us + wait_us)
        self._more = False
        return look_us

    def _next_us(self, index: int) -> int:
        """When the next round of a target is due: that may change, so whoever waits for it looks again."""
        target = self._plan.targets[index]
        due_us = self._due_us[index]
        if not is_window(target) and self._rounds.segment_fails(target.segment):
            due_us = min(due_us, self._began_us[index] + target.fast_period_ms * 1000)
        if target.method != codes.METHOD_STAMP:
            # A server that asked to be left alone is.
            due_us = max(due_us, self._probes[target.method].retry_at_us(target))
        return due_us

    def _must_wait_us(self, index: int) -> int:
        """How long a target that is due has to wait for the slot or for its end; 0 if it need not."""
        target = self._plan.targets[index]
        if target.method in SLOT_METHODS:
            return 0 if self._slots.left_us() else self._slots.until_us()
        if target.method in CONNECT_METHODS:
            return 0 if self._may_connect(index) else CONNECT_WAIT_US
        if not is_window(target):
            # What has to wait for a window's end, at which this is asked again, takes no memory before it.
            return 0 if self._over.is_set() or target.method in BESIDE_WINDOWS else LOOK_US
        if self._window.locked():
            return LOOK_US
        return 0 if self._slots.fits(window_us(target)) else self._slots.left_us() or self._slots.until_us()

    def _may_connect(self, index: int) -> bool:
        """Whether one of the board's places for connections is free for a target that is due: who waits longest goes
        first."""
        free = self._connects
        due_us = self._next_us(index)
        for i in self._probed:
            if i != index and self._plan.targets[i].method in CONNECT_METHODS:
                if self._busy[i] or self._next_us(i) < due_us:
                    free -= 1
        return free > 0

    def _begin(self, index: int) -> None:
        """Send the next round of a target on its way."""
        self._busy[index] = 1
        self._note_begin(index)
        target = self._plan.targets[index]
        run = self._run_window if is_window(target) else self._run_shot
        self._send(index, run, target.period_ms * 2 // 1000 + 120)

    def _note_begin(self, index: int) -> None:
        period_us = self._period_us(index)
        self._began_us[index] = now_us = self._clock.now_us()
        self._due_us[index] = now_us + period_us - period_us // 8 + self._random(period_us // 4)

    def _end(self, index: int) -> None:
        """A round of a target is over: begin the next one where that is due."""
        self._busy[index] = 0
        if self._next_us(index) <= self._clock.now_us() and not self._must_wait_us(index):
            self._begin(index)

    def _period_us(self, index: int) -> int:
        target = self._plan.targets[index]
        fast = not is_window(target) and self._rounds.segment_fails(target.segment)
        return (target.fast_period_ms if fast else target.period_ms) * 1000

    async def _run_shot(self, index: int) -> None:
        target = self._plan.targets[index]
        probe = self._probes[target.method]
        await self._manners.turn(index, self._over.wait)
        self._tally.sending(index)
        done = False
        try:
            place = await self._place(target)
            if place is None:
                sample = unresolved(self._clock.now_us())
            else:
                sample = await probe.run(at_place(target, place), place.address)
            self._tally.add(index, sample)
            done = True
        finally:
            if not done:
                self._tally.given_up(index)
        self._manners.note(index, sample.fate, probe.retry_at_us(target))
        if sample.fate != codes.FATE_VOID:
            self._rounds.note(index, sample.fate == codes.FATE_ANSWERED)
        self._end(index)

    async def _place(self, target):
        """Return the Place of a target, None where there is none now."""
        try:
            place = await self._places.find(target)
        except Unresolved:
            return None
        if place is not None and place.took_us is not None and not is_window(target):
            self._probes[target.method].resolved(target, place.took_us)
        return place

    async def _run_window(self, index: int) -> None:
        target = self._plan.targets[index]
        place = await self._place(target)
        if place is None or not self._link.is_up() or self._metered():
            self._busy[index] = 0
            return  # nothing was sent: the time stays unmeasured
        async with self._window:
            await self._window_may_begin(target)
            self._tally.sending(index)
            self._over.clear()
            done = False
            try:
                reading = await self._probes[target.method].run(at_place(target, place), place.address)
                self._tally.add_window(index, reading)
                done = True
            finally:
                self._over.set()
                if not done:
                    self._tally.given_up(index)
        good = is_good(reading)
        if good is not None:
            self._rounds.note(index, good)
        self._busy[index] = 0
        self._begin_due()
        while self._more:
            await self._clock.sleep_ms(APART_MS)
            self._begin_due()

    async def _window_may_begin(self, target) -> None:
        length_us = window_us(target)
        while not self._slots.fits(length_us):
            wait_us = self._slots.left_us() or self._slots.until_us()
            await self._clock.sleep_ms(wait_us // 1000 + 1)


def is_window(target) -> bool:
    """Whether a target is probed by call-quality windows, not by single shots."""
    return target.method in WINDOW_METHODS


def is_good(reading: dict) -> "bool | None":
    """Whether a window's reading is a good round of its target; None where the witness spoilt it."""
    outcome = reading.get(record.CALL)
    if outcome is not None:
        return None if outcome == codes.CALL_NOT_SENT else outcome == codes.CALL_DONE
    if reading[record.SENT] <= reading.get(record.SELF_DELAYED, 0):
        return None
    return reading[record.ANSWERED] > 0


def window_us(target) -> int:
    """How long a call-quality window of a target takes, its loss threshold included."""
    if target.method == codes.METHOD_CALL:
        seconds = target.options.get(plan.OPTION_SECONDS, plan.CALL_SECONDS_LEAST)
        return seconds * 1_000_000 + target.timeout_ms * 1000 + CALL_TAIL_US
    packets = target.options.get(plan.OPTION_PACKETS, 250)
    interval_ms = target.options.get(plan.OPTION_INTERVAL_MS, 20)
    return (packets * interval_ms + target.timeout_ms) * 1000 + WINDOW_TAIL_US
