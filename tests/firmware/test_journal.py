"""The journal's promises: nothing durable is lost, no number is signed twice under one key, whatever the power does."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from littlefs_os import use_flash

from linewitness_wire import chain, codes, cose, record
from simulations.board.flash import BlockDevice, Flash
from simulations.board.flashlog import FlashLog
from simulations.board.profile import load_profile
from witness import journal as journal_module
from witness.journal import BLOCK_OCTETS, RESERVE_OCTETS, SEGMENT_ROOM_OCTETS, Entry, Journal, JournalFull, NotNow

FREE = RESERVE_OCTETS + 40 * SEGMENT_ROOM_OCTETS
BODY = 700


class FakeSigner:
    def __init__(self, seed: bytes) -> None:
        assert len(seed) == 32
        self.kid = hashlib.sha256(seed).digest()[:8]


def randoms() -> Callable[[int], bytes]:
    counter = itertools.count(1)
    return lambda n: hashlib.shake_128(b"%d" % next(counter)).digest(n)


Random = Callable[[int], bytes]


def make(folder: str | Path, free: int = FREE, begin_boot: bool = True, random: Random | None = None) -> Journal:
    journal = Journal(str(folder), free, random or randoms(), FakeSigner)
    journal.open(begin_boot)
    return journal


def sign_next(journal: Journal, start_us: int | None = None) -> tuple[bytes, record.Header]:
    head = journal.head
    if start_us is None:
        start_us = head.end_us if head.boot == journal.boot else 0
    header = record.Header(
        head.seq + 1, head.digest, journal.boot, start_us, start_us + 1000,
        record.Clock(None, None, codes.CLOCK_NONE, None), bytes(32), bytes(32), bytes(32), (0, 0, 0), journal.anchor,
    )  # fmt: skip
    return cose.join(journal.kid, record.encode_header(header), bytes(64)), header


def append(journal: Journal, quiet: bool = True, body_octets: int = BODY) -> bytes:
    """In the slot; in the next one when that one has no time for it."""
    octets, header = sign_next(journal)
    while True:
        try:
            run(journal.append_slices(octets, b"b" * body_octets, header, quiet))
        except NotNow:
            continue
        return octets


def run(slices: Iterator[None]) -> None:
    for _ in slices:
        pass


def fill(journal: Journal) -> None:
    for _ in range(1000):
        append(journal)


def drain(journal: Journal) -> list[Entry]:
    """Acknowledge everything that is left to send."""
    entries = []
    while (entry := journal.next()) is not None:
        entries.append(entry)
        journal.acknowledge(entry, None)
    return entries


def check_chain(entries: list[Entry]) -> None:
    """What is in the journal is, key by key, one chain without a hole or a fork."""
    heads: dict[bytes, chain.Head] = {}
    for entry in entries:
        header = record.decode_header(cose.split(entry.cose).payload)
        assert header.seq == entry.seq
        if entry.kid in heads:
            heads[entry.kid] = chain.follow(heads[entry.kid], header, cose.digest(entry.cose))
        else:
            heads[entry.kid] = chain.Head(header.seq, cose.digest(entry.cose), header.boot, header.end_us)


def test_what_was_appended_comes_back_in_order_after_a_boot(tmp_path: Path) -> None:
    journal = make(tmp_path / "journal")
    written = [append(journal) for _ in range(60)]
    again = make(tmp_path / "journal")
    assert again.kid == journal.kid
    assert again.head == journal.head
    assert again.boot == journal.boot + 1
    entries = drain(again)
    assert [entry.cose for entry in entries] == written
    assert {entry.body for entry in entries} == {b"b" * BODY}


def test_a_boot_without_a_batch_still_counts(tmp_path: Path) -> None:
    assert [make(tmp_path / "journal").boot for _ in range(4)] == [1, 2, 3, 4]


def test_showing_the_identity_first_keeps_the_key_and_counts_no_boot(tmp_path: Path) -> None:
    shown = make(tmp_path / "journal", begin_boot=False)
    booted = make(tmp_path / "journal", random=lambda n: b"x" * n)
    assert booted.kid == shown.kid
    assert not booted.retired
    assert booted.boot == 1


def test_acknowledged_batches_are_not_sent_again_in_this_boot_and_few_after_it(tmp_path: Path) -> None:
    journal = make(tmp_path / "journal")
    for _ in range(60):
        append(journal)
    for _ in range(50):
        entry = journal.next()
        assert entry is not None
        journal.acknowledge(entry, b"a" * 32)
    left = journal.next()
    assert left is not None
    assert left.seq == 51
    append(journal)  # carries what is acknowledged to flash
    for begin_boot in (True, True, False):
        again = make(tmp_path / "journal", begin_boot=begin_boot)
        left = again.next()
        assert left is not None
        assert left.seq == 51
        assert again.anchor == b"a" * 32
    assert drain(again)[-1].seq == 61


def test_what_is_acknowledged_is_known_although_the_newest_segment_was_cut_off(tmp_path: Path) -> None:
    journal = make(tmp_path / "journal")
    for _ in range(10):
        append(journal)
    drain(journal)
    append(journal)
    # A new segment of which only the HEAD came to be written.
    run(journal._begin_segment_slices())
    again = make(tmp_path / "journal", begin_boot=False)
    assert [entry.seq for entry in drain(again)] == [11]


def test_several_are_under_way_and_a_trim_between_loses_none(tmp_path: Path) -> None:
    journal = make(tmp_path / "journal", RESERVE_OCTETS + 4 * SEGMENT_ROOM_OCTETS)
    for _ in range(30):
        append(journal)
    first = journal.next()
    assert first is not None
    second = journal.next(first)
    assert second is not None
    third = journal.next(second)
    assert third is not None
    assert [first.seq, second.seq, third.seq] == [1, 2, 3]
    while not (trims := journal.take_trims()):
        append(journal)
    assert trims[0][0] == 1  # the segment in which they stood was written again
    fourth = journal.next(third)
    assert fourth is not None
    assert fourth.seq == 4
    for entry in (first, second, third):
        journal.acknowledge(entry, None)
    assert [entry.seq for entry in drain(journal)] == list(range(4, journal.head.seq + 1))


def test_a_torn_tail_is_cut_off_at_every_octet_and_the_chain_goes_on(tmp_path: Path) -> None:
    journal = make(tmp_path / "journal")
    for _ in range(3):
        append(journal, body_octets=40)
    ends = []
    while (entry := journal.next()) is not None:
        ends.append(entry.end)
        journal.acknowledge(entry, None)
    segment = tmp_path / "journal" / "00000001.seg"
    whole = segment.read_bytes()
    for length in range(ends[0], len(whole) + 1):
        folder = tmp_path / str(length)
        folder.mkdir()
        (folder / "key").write_bytes((tmp_path / "journal" / "key").read_bytes())
        (folder / "00000001.seg").write_bytes(whole[:length])
        again = make(folder, begin_boot=False)
        assert again.kid == journal.kid
        assert again.head.seq == sum(end <= length for end in ends)
        append(again, body_octets=40)
        entries = drain(make(folder, begin_boot=False))
        assert [entry.seq for entry in entries] == list(range(1, again.head.seq + 1))
        check_chain(entries)


def test_a_key_whose_segments_are_gone_is_retired(tmp_path: Path) -> None:
    journal = make(tmp_path / "journal")
    append(journal)
    (tmp_path / "journal" / "00000001.seg").unlink()
    again = make(tmp_path / "journal", random=lambda n: b"x" * n)
    assert again.retired
    assert again.kid != journal.kid
    assert again.head == chain.START


def test_a_hole_before_the_tail_is_damage_and_retires_the_key(tmp_path: Path) -> None:
    journal = make(tmp_path / "journal")
    for _ in range(3):
        append(journal)
    entry = journal.next()
    assert entry is not None
    segment = tmp_path / "journal" / "00000001.seg"
    octets = bytearray(segment.read_bytes())
    octets[entry.end + 40] ^= 1  # in the second batch: the third is whole
    segment.write_bytes(octets)
    again = make(tmp_path / "journal", random=lambda n: b"x" * n)
    assert again.retired
    assert again.kid != journal.kid


def test_a_head_older_than_what_was_acknowledged_retires_the_key(tmp_path: Path) -> None:
    journal = make(tmp_path / "journal")
    append(journal)
    before = (tmp_path / "journal" / "00000001.seg").read_bytes()
    append(journal)
    drain(journal)
    run(journal.accept_command_slices(1))
    (tmp_path / "journal" / "00000001.seg").write_bytes(before)
    again = make(tmp_path / "journal", random=lambda n: b"x" * n)
    assert again.retired
    assert again.command_counter == 1


def test_a_retired_key_s_batches_are_still_sent(tmp_path: Path) -> None:
    journal = make(tmp_path / "journal")
    old = [append(journal) for _ in range(3)]
    (tmp_path / "journal" / "key").unlink()
    again = make(tmp_path / "journal", random=lambda n: b"x" * n)
    new = [append(again) for _ in range(2)]
    entries = drain(again)
    assert [entry.cose for entry in entries] == old + new
    assert {entry.kid for entry in entries} == {journal.kid, again.kid}


def test_when_full_quiet_bodies_go_first_then_all_bodies_and_never_a_header(tmp_path: Path) -> None:
    journal = make(tmp_path / "journal", RESERVE_OCTETS + 4 * SEGMENT_ROOM_OCTETS)
    written = []
    trimmed: list[int] = []
    for i in range(100):
        written.append(append(journal, quiet=i % 4 != 0))
        for first, last, count in journal.take_trims():
            trimmed.append(count)
            assert first <= last
    entries = drain(journal)
    assert [entry.cose for entry in entries] == written
    assert sum(trimmed) == sum(entry.body is None for entry in entries) > 0
    kept = {entry.seq for entry in entries if entry.body is not None}
    oldest_quiet = min(seq for seq in kept if (seq - 1) % 4 != 0)
    assert all(seq in kept or (seq - 1) % 4 != 0 or seq < oldest_quiet for seq in range(1, 101))


def test_without_room_for_another_header_nothing_is_written_and_acknowledging_helps(tmp_path: Path) -> None:
    journal = make(tmp_path / "journal", RESERVE_OCTETS + 3 * SEGMENT_ROOM_OCTETS)
    with pytest.raises(JournalFull):
        fill(journal)
    used = sum(path.stat().st_size for path in (tmp_path / "journal").iterdir())
    assert used <= 3 * SEGMENT_ROOM_OCTETS + BLOCK_OCTETS
    head = journal.head
    entries = drain(journal)
    assert entries[-1].seq == head.seq
    check_chain(entries)
    append(journal)
    assert journal.head.seq == head.seq + 1


def test_acknowledged_batches_can_be_sent_again_while_they_are_there(tmp_path: Path) -> None:
    journal = make(tmp_path / "journal")
    written = [append(journal) for _ in range(40)]
    drain(journal)
    assert journal.resend(17)
    assert [entry.cose for entry in drain(journal)] == written[16:]
    assert not journal.resend(41)
    assert journal.next() is None


def test_the_batch_that_a_failing_flash_wrote_whole_is_taken_and_not_signed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make(tmp_path / "journal")
    append(journal)
    real = open

    class FailsToFlush:
        def __init__(self, path: str, mode: str) -> None:
            self._file = real(path, mode)

        def __enter__(self) -> FailsToFlush:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def write(self, octets: bytes) -> None:
            self._file.write(octets)

        def seek(self, offset: int) -> None:
            self._file.seek(offset)

        def flush(self) -> None:
            raise OSError(5)

    monkeypatch.setattr(
        journal_module, "open", lambda path, mode: (FailsToFlush if mode == "ab" else real)(path, mode), raising=False
    )
    append(journal)
    monkeypatch.undo()
    assert journal.head.seq == 2
    append(journal)
    entries = drain(make(tmp_path / "journal"))
    assert [entry.seq for entry in entries] == [1, 2, 3]
    check_chain(entries)


# --- the power, cut at every operation of the flash ---

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
