"""What should be true after every death, checked on the batches of the ledger; see chaos.py for what happened."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from linewitness.ledger import StoredBatch
from linewitness_wire import bodies, chain, codes, cose, record
from linewitness_wire.errors import WireError

BATCH_S = 2
BOOT_US = 5_000_000  # within which measuring begins
# What was not durable when the power went: at most a batch's time, the signature, and the rounds under way.
DEAD_US = (BATCH_S + 2) * 1_000_000
GAP_US = 5_000_000  # between two samples of a target: the period, its jitter, a lost reply and this machine's load


@dataclass(slots=True)
class Account:
    """What happened, and what should not have (`problems`, one line each)."""

    deaths: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    batches: int = 0
    journalled: int = 0
    acknowledged: int = 0
    sent_again: int = 0
    samples: int = 0
    dead_us: list[int] = field(default_factory=list)
    silent_us: list[int] = field(default_factory=list)
    gap_us: int = 0
    problems: list[str] = field(default_factory=list)


def check_chain(batches: list[StoredBatch], account: Account) -> None:
    """One key, and every number from 1 to the newest, each naming the one before."""
    if len({batch.kid for batch in batches}) != 1:
        account.problems.append("more than one key")
    head = chain.START
    for batch in batches:
        try:
            head = chain.follow(head, record.decode_header(cose.split(batch.cose).payload), batch.digest)
        except WireError as error:
            account.problems.append(f"the chain breaks: {error}")
            return
    if head.seq != len(batches):
        account.problems.append(f"{len(batches)} batches, but the newest is {head.seq}")


def check_coverage(batches: list[StoredBatch], account: Account) -> None:
    """In each boot measuring begins early and goes on without a hole."""
    ends: dict[int, record.Header] = {}
    last_us: dict[tuple[int, int], int] = {}
    for batch in batches:
        header = record.decode_header(cose.split(batch.cose).payload)
        before = ends.get(header.boot)
        if before is None and header.start_us > BOOT_US:
            account.problems.append(f"boot {header.boot} begins to measure after {header.start_us} us")
        if before is not None and header.start_us != before.end_us:
            account.problems.append(f"a hole of {header.start_us - before.end_us} us before batch {batch.seq}")
        ends[header.boot] = header
        _check_body(batch, header, last_us, account)


def check_lives(batches: list[StoredBatch], lives_us: list[tuple[int, int]], account: Account) -> None:
    """Each life's measuring is stored up to DEAD_US before the power went; a life without a batch was too short."""
    headers = [record.decode_header(cose.split(batch.cose).payload) for batch in batches]
    ends_us = [header.clock.utc_us for header in headers if header.clock.utc_us is not None]
    account.lives = len(lives_us)
    for up_us, cut_us in lives_us:
        stored_us = max((end_us for end_us in ends_us if up_us < end_us <= cut_us), default=None)
        if stored_us is None:
            account.silent_us.append(cut_us - up_us)
            if account.silent_us[-1] > BOOT_US + DEAD_US:
                account.problems.append(f"nothing is stored of a life of {account.silent_us[-1]} us")
        else:
            account.dead_us.append(cut_us - stored_us)
            if account.dead_us[-1] > DEAD_US:
                account.problems.append(f"the last {account.dead_us[-1]} us before a power cut are lost")


def _check_body(
    batch: StoredBatch, header: record.Header, last_us: dict[tuple[int, int], int], account: Account
) -> None:
    """The body is there, nothing in it was dropped for want of memory, and its samples follow those before closely."""
    if batch.body is None:
        account.problems.append(f"batch {batch.seq} has lost its body")
        return
    body = bodies.read(header, batch.body)
    for event in body.events:
        if event[0] == codes.EVENT_FAULT and event[2] == codes.FAULT_MEMORY:
            account.problems.append(f"batch {batch.seq}: {event[3]} samples or events dropped")
    for reading in body.readings:
        key = (header.boot, reading[record.TARGET])
        for offset_us in _offsets_us(reading):
            at_us = header.start_us + reading[record.START_US] + offset_us
            gap_us = at_us - last_us.get(key, at_us)
            account.gap_us = max(account.gap_us, gap_us)
            if gap_us > GAP_US:
                account.problems.append(f"no sample of target {key[1]} for {gap_us} us before batch {batch.seq}")
            last_us[key] = at_us
            account.samples += 1


def _offsets_us(reading: dict[int, Any]) -> list[int]:
    """When a reading's samples were sent, from its start; spread over its span where it has counts alone."""
    if record.SAMPLES in reading:
        return [at_us for _, at_us in record.samples(reading[record.SAMPLES])]
    sent = reading.get(record.SENT, 0)
    return [(2 * i + 1) * reading[record.SPAN_US] // (2 * sent) for i in range(sent)]
