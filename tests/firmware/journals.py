"""Journals for tests: made, appended to, drained and checked."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from linewitness_wire import chain, codes, cose, record
from witness.journal import RESERVE_OCTETS, SEGMENT_ROOM_OCTETS, Entry, Journal, NotNow

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
