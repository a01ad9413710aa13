"""The journal on a board's flash: power cut at each operation, how long it holds the loop up, what waits for a slot."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from journals import BODY, FREE, append, check_chain, drain, make, randoms, run, sign_next
from littlefs_os import use_flash

from simulations.board.flash import BlockDevice, Flash
from simulations.board.flashlog import FlashLog
from simulations.board.profile import load_profile
from witness.journal import BLOCK_OCTETS, RESERVE_OCTETS, SEGMENT_ROOM_OCTETS, Journal, NotNow

PICO = load_profile("pico-w")
FLASH_OCTETS = 72 * 4096
LITTLE_FREE = RESERVE_OCTETS + 3 * SEGMENT_ROOM_OCTETS


def script(journal: Journal, mark: Callable[[object], None]) -> None:
    """Two segments' worth of batches, published as soon as durable, acknowledged late, with commands in between; some
    outside the slot, two of them before the next."""
    mark(("key", journal.kid))
    for i in range(48):
        octets, header = sign_next(journal)
        run(journal.append_slices(octets, b"b" * BODY, header, i % 3 != 0, i in (5, 6, 9, 21, 22)))
        mark(("durable", journal.kid, journal.head.seq, octets))
        if i % 20 == 18:
            run(journal.accept_command_slices(journal.command_counter + 1))
            mark(("command", journal.command_counter))
        if i % 2:
            entry = journal.next()
            assert entry is not None
            mark(("acknowledged", entry.seq))
            journal.acknowledge(entry, None)


def use_image(monkeypatch: pytest.MonkeyPatch, octets: bytes) -> BlockDevice:
    device = BlockDevice(FLASH_OCTETS)
    device.buffer[:] = octets
    use_flash(monkeypatch, Flash(device, PICO))
    return device


def test_a_power_cut_at_every_flash_operation_loses_nothing_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    device = use_image(monkeypatch, b"\xff" * FLASH_OCTETS)
    log = FlashLog(device)
    random = randoms()
    script(make("/journal", LITTLE_FREE, random=random), log.mark)
    script(make("/journal", LITTLE_FREE, random=random), log.mark)
    log.stop()
    images = 0
    for image in log.images((0, 60)):
        use_image(monkeypatch, image.octets)
        check_recovery(make("/journal", LITTLE_FREE, random=lambda n: b"new" + bytes(n - 3)), image.marks)
        images += 1
    assert images > 800


def check_recovery(journal: Journal, marks: tuple) -> None:
    keys = [mark[1] for mark in marks if mark[0] == "key"]
    if keys:
        assert journal.kid == keys[-1]
        assert not journal.retired
    durable = [mark for mark in marks if mark[0] == "durable"]
    commands = [mark[1] for mark in marks if mark[0] == "command"]
    acknowledged = max((mark[1] for mark in marks if mark[0] == "acknowledged"), default=0)
    if durable:
        assert journal.head.seq in (durable[-1][2], durable[-1][2] + 1)
    if commands:
        assert journal.command_counter in (commands[-1], commands[-1] + 1)
    append(journal)
    entries = drain(journal)
    check_chain(entries)
    found = {entry.seq: entry.cose for entry in entries}
    for _, _, seq, octets in durable:
        if seq > acknowledged:
            assert found[seq] == octets


class Measured:
    """A journal on the flash of a board; `slices` of the newest append: (erases, octets programmed) of each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, profile_name: str, segments: int) -> None:
        self.profile = profile = load_profile(profile_name)
        device = BlockDevice(profile.filesystem_kb * 1024)
        use_flash(monkeypatch, Flash(device, profile))
        self.slices: list[tuple[int, int]] = []
        self._now = [0, 0]
        device.on_work = self._work
        self.journal = make("/journal", RESERVE_OCTETS + segments * SEGMENT_ROOM_OCTETS)

    def _work(self, erases: int, octets: int) -> None:
        self._now[0] += erases
        self._now[1] += octets

    def append(self, body_octets: int, brief: bool) -> None:
        octets, header = sign_next(self.journal)
        self.measure(self.journal.append_slices(octets, b"b" * body_octets, header, True, brief))

    def measure(self, slices: Iterator[None]) -> None:
        self.slices, self._now[:] = [], [0, 0]
        for _ in slices:
            self._end_slice()
        self._end_slice()

    def _end_slice(self) -> None:
        self.slices.append((self._now[0], self._now[1]))
        self._now[:] = [0, 0]

    def longest_us(self) -> float:
        erase_us, page_us = self.profile.erase_ms * 1000, self.profile.program_us
        return max(erases * erase_us + octets * page_us / 256 for erases, octets in self.slices)


@pytest.mark.parametrize("profile_name", ["pico-w", "esp32-devkitc"])
def test_no_slice_outside_the_slot_holds_the_loop_up_for_50_ms_or_erases_twice(
    profile_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long enough that a folder's log was parted and moved, with more segments than one log is fast with."""
    measured = Measured(monkeypatch, profile_name, 40)
    journal = measured.journal
    source = random.Random(profile_name)
    longest_us = {True: 0.0, False: 0.0}
    erases_most = {True: 0, False: 0}
    waited = segments_most = 0
    for command in range(1, 4_001):
        brief = source.random() < 0.3
        try:
            if brief and source.random() < 0.1:
                measured.measure(journal.accept_command_slices(command))
            else:
                measured.append(source.choice((150, 400, 900, 2_000)), brief)
        except NotNow:
            assert brief
            waited += 1
            continue
        longest_us[brief] = max(longest_us[brief], measured.longest_us())
        erases_most[brief] = max(erases_most[brief], *(erases for erases, _ in measured.slices))
        segments_most = max(segments_most, journal._newest - journal._oldest + 1)
        if source.random() < 0.02:
            drain(journal)
    assert longest_us[True] < 50_000
    assert erases_most[True] == 1
    assert erases_most[False] > 1  # such slices there are
    assert segments_most > 40
    assert 0 < waited < 100


def test_what_is_brief_waits_for_the_slot_when_the_log_of_its_folder_fills(tmp_path: Path) -> None:
    journal = make(tmp_path / "j")
    written = [append(journal)]

    def brief() -> None:
        octets, header = sign_next(journal)
        run(journal.append_slices(octets, b"b" * 1_500, header, False, True))
        written.append(octets)

    for _ in range(3):
        for _ in range(4):
            brief()
        with pytest.raises(NotNow):
            brief()
        run(journal.settle_slices())
    run(journal.accept_command_slices(5))
    for _ in range(2):
        brief()
    # A power cut before the slot: what was written outside it is there, and goes to where the rest is.
    again = make(tmp_path / "j")
    assert again.command_counter == 5
    assert again.head == journal.head
    assert list((tmp_path / "j" / "brief").iterdir()) == []
    assert [entry.cose for entry in drain(again)] == written


def test_a_flash_without_room_for_the_folder_of_what_is_brief_still_takes_batches_in_the_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make(tmp_path / "j")
    octets, header = sign_next(journal)
    run(journal.append_slices(octets, b"b", header, False, True))

    def full(path: str) -> None:
        raise OSError(28)

    monkeypatch.setattr(os, "mkdir", full)
    append(journal)
    octets, header = sign_next(journal)
    with pytest.raises(NotNow):
        run(journal.append_slices(octets, b"b", header, False, True))
    monkeypatch.undo()
    append(journal)
    assert journal.is_settled
    octets, header = sign_next(journal)
    run(journal.append_slices(octets, b"b", header, False, True))
    check_chain(drain(make(tmp_path / "j")))
    assert journal.head.seq == 4


def test_a_command_that_was_cut_off_was_not_taken(tmp_path: Path) -> None:
    journal = make(tmp_path / "j")
    run(journal.accept_command_slices(5))
    run(journal.settle_slices())
    next(journal.accept_command_slices(6))
    assert journal.command_counter == 5
    assert make(tmp_path / "j").command_counter == 5


def test_no_more_acknowledged_segments_are_kept_than_a_directory_is_written_fast_with(tmp_path: Path) -> None:
    journal = make(tmp_path / "j", RESERVE_OCTETS + 90 * SEGMENT_ROOM_OCTETS)
    for _ in range(3):
        for _ in range(450):
            append(journal)
        drain(journal)
    append(journal)
    for _ in range(20):
        append(journal)
    assert 38 <= len(list((tmp_path / "j").glob("*.seg"))) <= 42


def test_segments_begun_early_count_for_what_they_take(tmp_path: Path) -> None:
    journal = make(tmp_path / "j")
    for i in range(60):
        octets, header = sign_next(journal)
        run(journal.append_slices(octets, b"b" * 1_500, header, True, i % 2 == 1))
    sizes = [path.stat().st_size for path in sorted((tmp_path / "j").glob("*.seg"))]
    blocks = sum(-(-size // BLOCK_OCTETS) for size in sizes[:-1])
    assert len(sizes) > 15
    assert 0 <= journal.fill_percent * FREE // 100 - (blocks - 1) * BLOCK_OCTETS < FREE // 50 + SEGMENT_ROOM_OCTETS
    drain(journal)
    append(journal)
    assert journal.fill_percent == 0
