"""Three days without the collector on the boards' real flash: what is kept, how wide, and what it costs the flash.

Tally, Batcher and Journal are the firmware's own, on CPython over a littlefs of the board's size, in which the firmware
lies once as files and once more packed (the second slot). What is measured is the default plan's at the cadence of
failing targets, with signatures as large as real ones; the access line (or the broker alone) is down all the time, and
something changes every three hours.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from littlefs_os import use_flash
from virtual_office import default_targets, firmware

from linewitness_wire import bodies, chain, codes, cose, plan, record
from simulations.board.flash import BlockDevice, Flash
from simulations.board.profile import load_profile
from witness import batches
from witness.batches import Batcher
from witness.journal import Journal
from witness.sample import Sample
from witness.schedule import Slots
from witness.tally import Batch, Tally

SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
SHOTS_A_MINUTE = 10
CHANGE_EVERY = 180  # minutes
WEAR_CYCLES = 100_000
FULL_DETAIL_US = 310_000_000  # batches up to this width keep their call-quality windows apart


@dataclass
class Days:
    """What a run left."""

    journal: Journal
    erases: dict[int, int]
    made: list[tuple[Batch, bytes]] = field(default_factory=list)  # with its COSE_Sign1


class Signer:
    def __init__(self, seed: bytes) -> None:
        self.kid = hashlib.sha256(seed).digest()[:8]


class Sealer:
    """Signs with octets that are no signature but as many."""

    def __init__(self, days: Days) -> None:
        self._days = days

    async def settle(self) -> None:
        for _ in self._days.journal.settle_slices():
            pass

    async def seal(self, batch: Batch, clock: record.Clock, plan_digest: bytes, brief: bool) -> None:
        journal = self._days.journal
        body = encoded(batch)
        counts = (len(batch.body.readings), len(batch.body.events), len(body))
        header = record.Header(
            journal.head.seq + 1, journal.head.digest, journal.boot, batch.start_us, batch.end_us, clock, plan_digest,
            plan_digest, hashlib.sha256(body).digest(), counts, b"\xaa" * 32,
        )  # fmt: skip
        octets = cose.join(journal.kid, record.encode_header(header), bytes(64))
        for _ in journal.append_slices(octets, body, header, batch.quiet, brief):
            pass
        self._days.made.append((batch, octets))


class World:
    """Clock, link and schedule of the batcher, and the probes' samples."""

    def __init__(self, line_is_down: bool) -> None:
        self.now = 0
        self._down = line_is_down
        self._random = random.Random(4)
        self.targets = default_targets()

    def now_us(self) -> int:
        return self.now

    def late_us(self) -> int:
        """How long before the end of a minute its batch is made: never twice the same."""
        return 9 * SECOND - self._random.randrange(2 * SECOND)

    def utc(self, at_us: int) -> record.Clock:
        return record.Clock(1_800_000_000_000_000 + at_us, 25_000 + at_us // 5000, codes.CLOCK_SNTP, at_us // SECOND)

    def take_longest_stall_us(self) -> int:
        return 4_321

    def reading(self, target: int, span_us: int) -> dict[int, int]:
        return {
            record.TARGET: target, record.START_US: 0, record.SPAN_US: span_us, record.UP_US: span_us,
            record.RECONNECTS: 0, record.RSSI_DBM: -55, record.CHANNEL: 6,
        }  # fmt: skip

    def finish(self, readings: list[dict]) -> None:
        """No probe has anything to add."""

    def measure(self, tally: Tally, minute: int) -> None:
        """A minute of every target; in every CHANGE_EVERY-th one of them changes its mind half-way."""
        start_us = self.now
        for shot in range(SHOTS_A_MINUTE):
            for i, target in enumerate(self.targets):
                if target.method in (codes.METHOD_SELF, codes.METHOD_LINK, codes.METHOD_STAMP):
                    continue
                changed = i == 4 and minute % CHANGE_EVERY == 0 and shot >= SHOTS_A_MINUTE // 2
                lost = (self._down and target.segment >= codes.SEGMENT_ACCESS) != changed
                at_us = start_us + (shot * 60 + i) * SECOND // 10
                rtt_us = None if lost else 5_000 + self._random.randrange(30_000)
                tally.add(i, Sample(codes.FATE_LOST if lost else codes.FATE_ANSWERED, at_us, rtt_us, None))
        self.now = start_us + 50 * SECOND - 1
        if not self._down:
            tally.add_window(len(self.targets) - 1, self._window(start_us + 20 * SECOND))

    def _window(self, at_us: int) -> dict[int, object]:
        jitter_us = self._random.randrange(100, 900)
        return {
            record.START_US: at_us, record.SPAN_US: 5 * SECOND, record.SENT: 250, record.ANSWERED: 250,
            record.SELF_DELAYED: 0, record.STALL_US: 4_000, record.LATE: 0, record.DUPLICATE: 0, record.REORDERED: 0,
            record.MALFORMED: 0, record.BURST: [0, 0, 0, 5000, 0], record.BURST_R_MILLI: 1000,
            record.RTT_US: [20_000, 21_000, 23_000, 25_000], record.PDV_US: [3_000, 5_000],
            record.JITTER_US: jitter_us, record.R_CENTI: 9_200, record.MOS_MILLI: 4_390,
            record.LOST_BY_DIRECTION: [0, 0],
        }  # fmt: skip


def live(monkeypatch: pytest.MonkeyPatch, profile_name: str, line_is_down: bool, hours: int) -> Days:
    """Run so many hours without a collector on a fresh board."""
    profile = load_profile(profile_name)
    device = BlockDevice(profile.filesystem_kb * 1024)
    flash = Flash(device, profile)
    for path, octets in firmware().items():
        flash.write_file(path, octets)
    flash.write_file("/slot", b"".join(firmware().values()))
    erases = count_erases(device)
    use_flash(monkeypatch, flash)
    monkeypatch.setattr(batches, "gc", SimpleNamespace(collect=lambda: 0, mem_free=lambda: 60_000))
    block_octets, free = flash.statvfs()[0], flash.statvfs()[3]
    journal = Journal("/journal", block_octets * free, random.Random(1).randbytes, Signer)
    journal.open()
    days = Days(journal, erases)
    world = World(line_is_down)
    tally = Tally(world.now_us, len(world.targets), 0)
    batcher = Batcher(
        world, world, tally, Slots(world, 60), Sealer(days), journal, lambda: None, tally.event,
        lambda text: None, lambda n: 0,
    )  # fmt: skip
    batcher.begin_plan(plan.Plan("s", "w", 1, 60, world.targets, 3, 2, [], []), bytes(range(32)), world)

    async def script() -> None:
        for minute in range(hours * 60):
            world.measure(tally, minute)
            world.now = (minute + 1) * MINUTE - world.late_us()
            assert await batcher.make(False), f"no room after {minute} minutes"
            world.now = (minute + 1) * MINUTE
        await batcher.make()

    asyncio.run(script())
    return days


def count_erases(device: BlockDevice) -> dict[int, int]:
    erases: dict[int, int] = {}
    erase = device.erase

    def counted(cfg: object, block: int) -> int:
        erases[block] = erases.get(block, 0) + 1
        return erase(cfg, block)

    device.erase = counted  # type: ignore[method-assign]
    return erases


def encoded(batch: Batch) -> bytes:
    return bodies.encode(batch.body, batch.end_us - batch.start_us)


def drained(journal: Journal) -> Iterator[tuple[record.Header, record.Body | None]]:
    """Everything that would be sent, in order; the chain is checked on the way."""
    head = chain.START
    while (entry := journal.next()) is not None:
        header = record.decode_header(cose.split(entry.cose).payload)
        head = chain.follow(head, header, cose.digest(entry.cose))
        yield header, None if entry.body is None else bodies.read(header, entry.body)
        journal.acknowledge(entry, None)


@pytest.mark.parametrize(
    ("profile", "line_is_down", "detail_hours"),
    [("esp32-poe", True, 24), ("pico-w", True, 6), ("esp32-poe", False, 12), ("pico-w", False, 6)],
)
def test_three_days_fit_with_full_detail_first_and_no_body_dropped(
    monkeypatch: pytest.MonkeyPatch, profile: str, line_is_down: bool, detail_hours: int
) -> None:
    days = live(monkeypatch, profile, line_is_down, 72)
    told = list(drained(days.journal))
    assert len(told) == len(days.made)
    end_us = 0
    for header, body in told:
        assert header.start_us == end_us
        end_us = header.end_us
        assert body is not None, f"the body of {header.seq} was dropped"
        if header.start_us < detail_hours * HOUR:
            assert header.end_us - header.start_us <= FULL_DETAIL_US
        changed = any(record.SAMPLES in reading for reading in body.readings)
        assert not changed or header.end_us - header.start_us <= MINUTE + 2 * SECOND
    assert end_us > 72 * HOUR - MINUTE
    changes = {header.start_us // MINUTE for header, body in told
               if body and any(record.SAMPLES in reading for reading in body.readings)}  # fmt: skip
    assert len(changes) >= 72 * 60 // CHANGE_EVERY
    # Octets a minute while every detail is kept; a quiet hour of the widest batches.
    early = [(batch, len(octets) + len(encoded(batch))) for batch, octets in days.made
             if HOUR < batch.start_us < detail_hours * HOUR]  # fmt: skip
    minutes = sum(batch.end_us - batch.start_us for batch, _ in early) / MINUTE
    assert sum(octets for _, octets in early) / minutes < 500
    assert max(batch.end_us - batch.start_us for batch, _ in days.made) >= 15 * MINUTE


def test_the_flash_lives_longer_than_ten_years_of_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = 24
    days = live(monkeypatch, "pico-w", False, hours)
    worst_a_year = max(days.erases.values()) * 365 * 24 / hours
    assert WEAR_CYCLES / worst_a_year > 10
