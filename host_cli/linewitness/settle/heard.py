"""The call-quality windows of a site, kept page by page (settle.pages): months of them in little memory.

They come one by one, in whatever order; closed, they are in the order of (start, witness, target, seq).
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from linewitness.model import Bounds, QualityWindow, Segment
from linewitness.settle.pages import Numbers, Pages, Table

NONE = -(1 << 62)
START, LATEST, END_EARLIEST, END, SEQ, SENT, ANSWERED, SELF_DELAYED = range(8)
PLAIN = ("late", "duplicate", "reordered", "stall_us", "jitter_us", "lost_forward", "lost_backward", "burst_r_milli",
         "r_centi", "mos_milli")  # fmt: skip
TOLD = SELF_DELAYED + 1
RTT = TOLD + len(PLAIN)
PDV = RTT + 4
COLUMNS = PDV + 2


class Stream(NamedTuple):
    """What the windows of one target share."""

    site: str
    witness: str
    target: str
    segment: Segment
    control: bool
    codec: str
    buffer_ms: int | None


class Counted(NamedTuple):
    """Windows together: batches first_seq..last_seq, packets."""

    first_seq: int
    last_seq: int
    sent: int
    answered: int
    self_delayed: int


class Windows:
    """All windows of one site."""

    def __init__(self, pages: Pages | None = None) -> None:
        self._pages = Pages() if pages is None else pages
        self._tables: dict[Stream, Table] = {}
        self._widest_us = 0  # of all starts' bounds

    @classmethod
    def of(cls, windows: Iterable[QualityWindow]) -> Windows:
        """Return windows that are there already."""
        result = cls()
        for w in windows:
            result.add(w)
        result.close()
        return result

    def add(self, w: QualityWindow) -> None:
        stream = Stream(w.site, w.witness, w.target, w.segment, w.control, w.codec, w.buffer_ms)
        if stream not in self._tables:
            self._tables[stream] = Table(self._pages, COLUMNS)
        self._widest_us = max(self._widest_us, w.start.width_us)
        self._tables[stream].append(*_row(w))

    def close(self) -> None:
        for table in self._tables.values():
            table.close()

    @property
    def streams(self) -> Collection[Stream]:
        """Of what there are windows."""
        return self._tables.keys()

    def __len__(self) -> int:
        return sum(len(table) for table in self._tables.values())

    def __iter__(self) -> Iterator[QualityWindow]:
        return heapq.merge(*(_each(*item, 0, len(item[1])) for item in self._tables.items()), key=_order)

    def begun(self, start_us: int, end_us: int, witness: str | None = None) -> Iterator[QualityWindow]:
        """Yield the windows that began in [start_us, end_us), at the earliest; of one witness, or of all."""
        each = [
            _each(stream, table, table.before(start_us), table.before(end_us))
            for stream, table in self._tables.items() if witness in (None, stream.witness)
        ]  # fmt: skip
        return heapq.merge(*each, key=_order)

    def about(self, start_us: int, end_us: int, witness: str) -> Iterator[QualityWindow]:
        """Yield a witness's windows that began in [start_us, end_us), in the middle of the bounds."""
        return (
            w for w in self.begun(start_us - self._widest_us, end_us, witness)
            if start_us <= (w.start.earliest_us + w.start.latest_us) // 2 < end_us
        )  # fmt: skip

    def within(self, start_us: int, end_us: int) -> Iterator[QualityWindow]:
        """Yield the windows that lie in [start_us, end_us] for certain."""
        return (w for w in self.begun(start_us, end_us + 1) if w.end.latest_us <= end_us)

    def counted(self, witness: str, target: str, start_us: int, end_us: int) -> Counted | None:
        """Return all packets of a target's windows that lie in [start_us, end_us] for certain; None: no window."""
        result: Counted | None = None
        for stream, table in self._tables.items():
            if (stream.witness, stream.target) == (witness, target):
                for part in table.parts(table.before(start_us), table.before(end_us + 1)):
                    result = _added(result, part[part[:, END] <= end_us])
        return result


def _added(before: Counted | None, rows: Numbers) -> Counted | None:
    if not len(rows):
        return before
    seqs, sums = rows[:, SEQ], rows[:, [SENT, ANSWERED, SELF_DELAYED]].sum(axis=0).tolist()
    here = Counted(int(seqs.min()), int(seqs.max()), *sums)
    if before is None:
        return here
    first, last = min(before.first_seq, here.first_seq), max(before.last_seq, here.last_seq)
    return Counted(first, last, *(a + b for a, b in zip(before[2:], here[2:], strict=True)))


def _order(w: QualityWindow) -> tuple[Bounds, str, str, int]:
    return w.start, w.witness, w.target, w.seq


def _row(w: QualityWindow) -> Iterator[int]:
    known = (
        w.start.earliest_us, w.start.latest_us, w.end.earliest_us, w.end.latest_us, w.seq, w.sent, w.answered,
        w.self_delayed, *(getattr(w, name) for name in PLAIN), *(w.rtt_us or [None] * 4), *(w.pdv_us or [None] * 2),
    )  # fmt: skip
    return (NONE if value is None else value for value in known)


def _each(stream: Stream, table: Table, first: int, last: int) -> Iterator[QualityWindow]:
    """Yield the windows [first, last) of a stream, by number."""
    for part in table.parts(first, last):
        for row in part.tolist():
            yield _window(stream, [None if value == NONE else value for value in row])


def _window(stream: Stream, row: list[Any]) -> QualityWindow:
    """Return a window again from the row that was made of it."""
    late, duplicate, reordered, stall_us, jitter_us, forward, backward, burst_r, r_centi, mos = row[TOLD:RTT]
    rtt_us, pdv_us = tuple(row[RTT:PDV]), tuple(row[PDV:])
    return QualityWindow(
        stream.site, stream.witness, row[SEQ], stream.target, stream.segment, stream.control,
        Bounds(row[START], row[LATEST]), Bounds(row[END_EARLIEST], row[END]), row[SENT], row[ANSWERED], late,
        duplicate, reordered, row[SELF_DELAYED], stall_us, None if None in rtt_us else rtt_us, jitter_us,
        None if None in pdv_us else pdv_us, forward, backward, burst_r, r_centi, mos, stream.codec, stream.buffer_ms,
    )  # fmt: skip
