"""The journal's promises: nothing durable is lost, no number is signed twice under one key, whatever the power does."""

from __future__ import annotations

from pathlib import Path

import pytest
from journals import BODY, append, check_chain, drain, fill, make, run

from linewitness_wire import chain
from witness import journal as journal_module
from witness.journal import BLOCK_OCTETS, RESERVE_OCTETS, SEGMENT_ROOM_OCTETS, JournalFull


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
