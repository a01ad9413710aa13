"""A witness for hours or weeks of virtual time, with faults at random moments; then the account of what it kept.

Faults, drawn by a seed, each repaired after a while: the access line down or lossy, Wi-Fi away, the broker stopped,
mute or half open, the collector deaf, a time server that leaps, the provider's SIP refusing, a reset, a power cut. What
may be missing afterwards is only what was not durable when the power went. The live heap is measured again and again,
always with everything well and in the same second of the minute, so that what grows shows.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from trend import Sample, Slope, slope
from virtual_office import MINUTE_US, VirtualOffice, in_slot

from linewitness_wire import codes, record

REPAIR_S = (20, 600)
WARM_UP_US = 1_200_000_000  # after a boot: the first use of what is loaded and kept when it is needed
HEAP_PHASE_US = 5_000_000  # into the minute
HELD_US = 300_000_000 + 120_000_000  # what may not be durable yet: a joined batch, and the one after it


@dataclass
class Account:
    """What happened; `problems` should be empty."""

    hours: float = 0
    faults: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    trimmed: int = 0
    boots: int = 0
    restarts: int = 0  # of tasks
    windows: int = 0
    heaps: list[Sample] = field(default_factory=list)  # live octets after a collection
    lost_us: int = 0  # measured and not told: at power cuts and resets
    disturbed: int = 0  # windows that an erase, a program, a handshake or a signature met
    signatures: int = 0
    handshakes: int = 0
    stall_in_windows_us: int = 0  # as the witness itself signed it
    stall_us: int = 0  # by the flash, in a housekeeping slot
    stall_outside_us: int = 0  # ... outside of them
    most_erases_in_a_stall: int = 0
    erases: int = 0
    most_extras_an_hour: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def heap_median_octets(self) -> int:
        values = sorted(each.value for each in self.heaps)
        return int(values[len(values) // 2]) if values else 0

    @property
    def heap_slope(self) -> Slope:
        """Octets an hour, by the measurements after WARM_UP_US."""
        return slope(each for each in self.heaps if each.hours * 3_600_000_000 >= WARM_UP_US)


Fault = Callable[[], Callable[[], object]]


def faults(office: VirtualOffice) -> dict[str, Fault]:
    """Name -> breaks it and returns what repairs it."""

    def line_down() -> Callable[[], object]:
        office.link("access", down=True)
        return lambda: office.link("access", down=False)

    def line_lossy() -> Callable[[], object]:
        office.link("access", loss_pct=10)
        return lambda: office.link("access", loss_pct=0)

    def half_open() -> Callable[[], object]:
        office.link("transit", down=True)
        return lambda: office.link("transit", down=False)

    def wifi_away() -> Callable[[], object]:
        office.device.nic.drop()
        return office.device.nic.restore

    def broker_stopped() -> Callable[[], object]:
        office.broker_stops()
        return office.broker_starts

    def broker_mute() -> Callable[[], object]:
        office.broker.mute = True
        return lambda: setattr(office.broker, "mute", False)

    def collector_deaf() -> Callable[[], object]:
        office.store.acknowledge = False
        return lambda: setattr(office.store, "acknowledge", True)

    def time_leaps() -> Callable[[], object]:
        office.times[0].offset_us = lambda now_us: 3_600_000_000
        return lambda: setattr(office.times[0], "offset_us", lambda now_us: 0)

    def sip_refuses() -> Callable[[], object]:
        office.sip.set(code=503)
        return lambda: office.sip.set(code=200)

    def reset() -> Callable[[], object]:
        office.device.reset()
        return lambda: None

    def power_cut() -> Callable[[], object]:
        office.device.power_off()
        return office.device.power_on

    every = (line_down, line_lossy, half_open, wifi_away, broker_stopped, broker_mute, collector_deaf, time_leaps,
             sip_refuses, reset, power_cut)  # fmt: skip
    return {each.__name__: each for each in every}


def soak(
    office: VirtualOffice, hours: float, seed: int, fault_every_s: float, heap_every_s: float = 600,
    real_s: float = 1e9,
) -> Account:  # fmt: skip
    """Run, break, repair; then let everything catch up and take the account. Ends early after so much real time."""
    source = random.Random(seed)
    account = Account(hours)
    ways = faults(office)
    end_us = office.now_us + round(hours * 3600e6)
    stop_s = time.monotonic() + real_s
    while office.now_us < end_us and time.monotonic() < stop_s:
        _live(office, account, source.uniform(0.5, 1.5) * fault_every_s, heap_every_s)
        way = source.choice(sorted(ways))
        account.faults[way] += 1
        repair = ways[way]()
        office.run_s(source.uniform(*REPAIR_S))
        repair()
    account.hours = round(office.now_us / 3600e6, 1)
    office.run_until(office.caught_up, 3600)
    _settle(office, account)
    return account


def _live(office: VirtualOffice, account: Account, seconds: float, heap_every_s: float) -> None:
    """Let so many seconds pass with nothing broken, and measure the heap on the way."""
    end_us = office.now_us + round(seconds * 1_000_000)
    while end_us - office.now_us > 2 * MINUTE_US:
        to_phase_us = (HEAP_PHASE_US - office.device.now_us()) % MINUTE_US
        office.run_s(min(heap_every_s, (end_us - office.now_us) / 1_000_000 - 60) // 60 * 60 + to_phase_us / 1_000_000)
        if office.caught_up() and office.states[-1][1] == "online":
            account.heaps.append(_heap(office))
    office.run_s(max(0, end_us - office.now_us) / 1_000_000)


def _heap(office: VirtualOffice) -> Sample:
    answers: list[int] = []
    boot, at_us = office.device.boots, office.device.now_us()
    office.device.ask_heap(answers.append)
    office.run_until(lambda: answers, 60)
    return Sample(boot, at_us / 3_600_000_000, answers[0])


def _settle(office: VirtualOffice, account: Account) -> None:
    batches, problems = office.batches, account.problems
    account.batches, account.trimmed = len(batches), sum(batch.trimmed for batch in batches)
    problems += office.store.refused + office.holes()
    _check_stalls(office, account)
    if len({batch.kid for batch in batches}) != 1:
        problems.append("more than one key")
    if [batch.header.seq for batch in batches] != list(range(1, len(batches) + 1)):
        problems.append("numbers are missing")
    offs = [event for event in office.device.events if event["kind"] == "off"]
    problems += [f"reset by the watchdog at {event['at_us']}" for event in offs if event["cause"] == "WDT_RESET"]
    events = [event for batch in batches for event in batch.body.events]
    account.restarts = sum(event[0] == codes.EVENT_TASK for event in events)
    if account.restarts:
        problems.append(f"{account.restarts} tasks were started again")
    told = sum(event[4] for event in events if event[0] == codes.EVENT_TRIMMED)
    if told != account.trimmed:
        problems.append(f"{account.trimmed} bodies are missing, {told} were told")
    problems += [f"dropped for want of memory: {event}" for event in events
                 if event[0] == codes.EVENT_FAULT and event[2] == codes.FAULT_MEMORY]  # fmt: skip
    _check_boots(office, account)
    readings = [reading for batch in batches for reading in batch.body.readings]
    windows = [reading for reading in readings if record.SENT in reading and record.STALL_US in reading]
    account.windows = len(windows)
    account.stall_in_windows_us = max((reading[record.STALL_US] for reading in windows), default=0)
    account.most_extras_an_hour = _most_extras(office)


def _check_stalls(office: VirtualOffice, account: Account) -> None:
    """Nothing holds the loop up for long outside the slots; in a window nothing does."""
    disturbed = office.disturbed_windows()
    account.disturbed = len({window for window, _ in disturbed})
    account.problems += [f"window {window} met {what}" for window, what in disturbed]
    kinds = Counter(each.kind for each in office.disturbances)
    account.signatures, account.handshakes, account.erases = kinds["signature"], kinds["handshake"], kinds["erase"]
    for stall in office.device.pauses.stalls:
        length_us = stall.end_us - stall.begin_us
        account.most_erases_in_a_stall = max(account.most_erases_in_a_stall, stall.erases)
        if in_slot(stall.begin_us):
            account.stall_us = max(account.stall_us, length_us)
        else:
            account.stall_outside_us = max(account.stall_outside_us, length_us)
    account.problems += [f"the loop was held up: {stall}" for stall in office.long_stalls()]


def _check_boots(office: VirtualOffice, account: Account) -> None:
    """In each boot measuring begins early and is told up to what was not durable when it ended."""
    ends: dict[int, int] = {}
    starts: dict[int, int] = {}
    for batch in office.batches:
        starts.setdefault(batch.header.boot, batch.header.start_us)
        ends[batch.header.boot] = batch.header.end_us
    account.boots = len(starts)
    account.problems += [f"boot {boot} begins after {us} us" for boot, us in starts.items() if us > 5_000_000]
    powered_us = None
    lives: list[int] = []
    for event in office.device.events:
        if event["kind"] == "boot":
            powered_us = event["at_us"]
        elif event["kind"] == "off" and powered_us is not None:
            lives.append(event["at_us"] - powered_us)
            powered_us = None
    for boot, life_us in enumerate(lives, 1):
        missing_us = life_us - ends.get(boot, 0)
        account.lost_us += missing_us
        if missing_us > HELD_US:
            account.problems.append(f"the last {missing_us} us of boot {boot} are missing")


def _most_extras(office: VirtualOffice) -> int:
    """Batches in an hour of one boot beyond one a minute, at the most."""
    most = 0
    batches = office.batches
    first = 0
    for last in range(len(batches)):
        while (batches[first].header.boot != batches[last].header.boot
               or batches[last].header.end_us - batches[first].header.end_us > 3_600_000_000):  # fmt: skip
            first += 1
        span_us = batches[last].header.end_us - batches[first].header.end_us
        most = max(most, last - first - span_us // 60_000_000)
    return most
