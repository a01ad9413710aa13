"""summary.json: what each witness covered, computed from the signed batches alone, so that all can compute it again.

One object, keys sorted, indented by one space, ASCII, a line feed at the end:

    version 1; from_utc_us, to_utc_us: the period [from, to)
    witnesses, sorted by (site, witness, kid); of each:
      site, witness, kid (hex), enrolled_utc_us
      shown          whether its batches are in the dossier
      batches, first_seq, last_seq (null without batches), boots
      covered_s      whole seconds of the period inside some batch, by the witness's own clock
      unplaced_s     whole seconds of batches of boots that never knew the time: unknown for claims
      bodies_missing [[first, last], ...] sequence numbers whose readings are not in the dossier
      trimmed        [[first, last], ...] as the witness itself said in its events, sorted
      plans          [[first seq, SHA-256 in hex], ...] one entry for each change of plan
      firmware       likewise

A batch with a clock is placed by it: its end_us is utc_us. One without is placed by the next batch of its boot that has
a clock, else by the last one before. covered_s is the length of the union of [start, end) in UTC, cut to the period.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from linewitness.evidence.batch import Batch
from linewitness.evidence.enrolment import Enrolment
from linewitness_wire import codes
from linewitness_wire.record import Header

NAME = "summary.json"


@dataclass(frozen=True, slots=True)
class Shown:
    """One witness key of a dossier: its batches in the order of their numbers, none where they are not shown."""

    enrolment: Enrolment
    batches: Sequence[Batch]
    shown: bool


def summarise(witnesses: Iterable[Shown], from_us: int, to_us: int) -> bytes:
    """Return the octets of summary.json."""
    ordered = sorted(witnesses, key=lambda w: (w.enrolment.site, w.enrolment.witness, w.enrolment.kid))
    value = {
        "version": 1,
        "from_utc_us": from_us,
        "to_utc_us": to_us,
        "witnesses": [_witness(witness, from_us, to_us) for witness in ordered],
    }
    return (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True) + "\n").encode()


def _witness(witness: Shown, from_us: int, to_us: int) -> dict[str, object]:
    batches = witness.batches
    headers = [batch.header for batch in batches]
    intervals, unplaced_us = place(headers)
    return {
        "site": witness.enrolment.site,
        "witness": witness.enrolment.witness,
        "kid": witness.enrolment.kid.hex(),
        "enrolled_utc_us": witness.enrolment.enrolled_utc_us,
        "shown": witness.shown,
        "batches": len(headers),
        "first_seq": headers[0].seq if headers else None,
        "last_seq": headers[-1].seq if headers else None,
        "boots": len({header.boot for header in headers}),
        "covered_s": union_us(intervals, from_us, to_us) // 1_000_000,
        "unplaced_s": unplaced_us // 1_000_000,
        "bodies_missing": ranges(batch.header.seq for batch in batches if batch.body is None),
        "trimmed": stated_trims(batches),
        "plans": _changes([(header.seq, header.plan) for header in headers]),
        "firmware": _changes([(header.seq, header.firmware) for header in headers]),
    }


def place(headers: Sequence[Header]) -> tuple[list[tuple[int, int]], int]:
    """Return ([start, end) in UTC of each batch that can be placed, microseconds of those that can't)."""
    offsets: list[int | None] = [
        None if header.clock.source == codes.CLOCK_NONE else header.clock.utc_us - header.end_us for header in headers
    ]
    for order in (range(len(headers) - 2, -1, -1), range(1, len(headers))):
        for i in order:
            neighbour = i + 1 if order.step < 0 else i - 1
            if offsets[i] is None and headers[i].boot == headers[neighbour].boot:
                offsets[i] = offsets[neighbour]
    intervals, unplaced_us = [], 0
    for header, offset in zip(headers, offsets, strict=True):
        if offset is None:
            unplaced_us += header.end_us - header.start_us
        else:
            intervals.append((header.start_us + offset, header.end_us + offset))
    return intervals, unplaced_us


def union_us(intervals: Iterable[tuple[int, int]], from_us: int, to_us: int) -> int:
    """Return the length of the union of half-open intervals, cut to [from_us, to_us)."""
    total, reached = 0, from_us
    for start, end in sorted(intervals):
        start, end = max(start, reached), min(end, to_us)
        if end > start:
            total += end - start
            reached = end
    return total


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Return ascending numbers as [[first, last], ...]."""
    result: list[list[int]] = []
    for n in numbers:
        if result and n == result[-1][1] + 1:
            result[-1][1] = n
        else:
            result.append([n, n])
    return result


def stated_trims(batches: Iterable[Batch]) -> list[list[int]]:
    """Return the ranges that the witness said it trimmed, sorted, each once."""
    said = {
        (event[2], event[3])
        for batch in batches
        if batch.body is not None
        for event in batch.body.events
        if event[0] == codes.EVENT_TRIMMED
    }
    return [list(pair) for pair in sorted(said)]


def _changes(values: Sequence[tuple[int, bytes]]) -> list[list[object]]:
    result: list[list[object]] = []
    last = None
    for seq, value in values:
        if value != last:
            result.append([seq, value.hex()])
            last = value
    return result
