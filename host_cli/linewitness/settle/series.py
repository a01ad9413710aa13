"""What one target showed, sample by sample, in columns: small enough for months, quick to ask about an interval.

A Series is filled by a feeder (settle.timeline from signed batches) and only asked afterwards. A *reply* is an answer
or a wrong answer: it proves that the path works both ways. An answer proves the service as well. What is void says
nothing and is only counted.

Times: a sample's nominal instant of sending is in the column; its row holds the slack around it and the longest round
trip of the reading. An instant is [nominal - slack, nominal + slack + quantum].
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linewitness.model import Bounds, Citation, Fate, Sample, Segment

Times = NDArray[np.int64]
UNKNOWN = 0xFFFFFFFF  # what a column of Rows holds for None; a round trip that long is none
UNKNOWN_CODE = -(1 << 31)


class Row(NamedTuple):
    """What the samples of one reading share."""

    seq: int
    boot: int
    slack_us: int
    quantum_us: int
    rtt_max_us: int | None
    code: int | None
    rtt_min_us: int | None = None
    rtt_mean_us: int | None = None


class Rows:
    """Rows, column by column: a tuple each would take five times the memory, and a site's month has a million."""

    __slots__ = ("_boot", "_code", "_quantum", "_rtt", "_seq", "_slack")

    def __init__(self) -> None:
        self._seq, self._boot, self._quantum = array("I"), array("I"), array("I")
        self._slack, self._code = array("q"), array("i")
        self._rtt = (array("I"), array("I"), array("I"))  # max, min, mean

    def __len__(self) -> int:
        return len(self._seq)

    def __getitem__(self, at: int) -> Row:
        longest, least, mean = (None if column[at] == UNKNOWN else column[at] for column in self._rtt)
        code = None if self._code[at] == UNKNOWN_CODE else self._code[at]
        return Row(
            self._seq[at], self._boot[at], self._slack[at], self._quantum[at], longest, code, least, mean
        )  # fmt: skip

    def append(self, row: Row) -> None:
        self._seq.append(row.seq)
        self._boot.append(row.boot)
        self._slack.append(row.slack_us)
        self._quantum.append(row.quantum_us)
        self._code.append(UNKNOWN_CODE if row.code is None else row.code)
        for column, value in zip(self._rtt, (row.rtt_max_us, row.rtt_min_us, row.rtt_mean_us), strict=True):
            column.append(UNKNOWN if value is None else value)

    @property
    def codes(self) -> NDArray[np.float64]:
        """The code of each row, NaN where it has none."""
        return np.where(np.equal(self._code, UNKNOWN_CODE), np.nan, self._code)

    @property
    def rtt_min_us(self) -> NDArray[np.float64]:
        return np.where(np.equal(self._rtt[1], UNKNOWN), np.nan, self._rtt[1])

    @property
    def rtt_mean_us(self) -> NDArray[np.float64]:
        return np.where(np.equal(self._rtt[2], UNKNOWN), np.nan, self._rtt[2])


class Point(NamedTuple):
    """One sample: nominal time of sending, series and row."""

    at_us: int
    series: Series
    row: Row

    @property
    def earliest_us(self) -> int:
        return self.at_us - self.row.slack_us

    @property
    def latest_us(self) -> int:
        return self.at_us + self.row.slack_us + self.row.quantum_us


@dataclass(slots=True)
class Column:
    """Times in ascending order, and the row of each."""

    at_us: array[int] = field(default_factory=lambda: array("q"))
    row: array[int] = field(default_factory=lambda: array("I"))

    @property
    def times(self) -> Times:
        return np.asarray(self.at_us, np.int64)

    def add(self, at_us: int, row: int) -> None:
        self.at_us.append(at_us)
        self.row.append(row)

    def sort(self) -> None:
        """Put late data in its place; equal times keep the order of their rows."""
        if any(self.at_us[i] > self.at_us[i + 1] for i in range(len(self.at_us) - 1)):
            pairs = sorted(zip(self.at_us, self.row, strict=True))
            self.at_us = array("q", (p[0] for p in pairs))
            self.row = array("I", (p[1] for p in pairs))

    def count(self, start_us: int, end_us: int) -> int:
        """Return how many lie in [start_us, end_us)."""
        first, last = self.between(start_us, end_us)
        return last - first

    def between(self, start_us: int, end_us: int) -> tuple[int, int]:
        """Return [first, last): which of them lie in [start_us, end_us)."""
        first = bisect_left(self.at_us, start_us)
        return first, max(first, bisect_left(self.at_us, end_us))

    def last_at_or_before(self, at_us: int) -> int | None:
        i = bisect_right(self.at_us, at_us)
        return i - 1 if i else None

    def first_after(self, at_us: int) -> int | None:
        i = bisect_right(self.at_us, at_us)
        return i if i < len(self.at_us) else None


@dataclass(slots=True, eq=False)
class Series:
    """All samples of one target of one witness.

    callee: whom a test call calls; member: which server of the host's set (RFC 3263), 0 where the plan names none.
    """

    site: str
    witness: str
    target: str
    segment: Segment
    method: str
    control: bool
    host: str
    period_us: int
    timeout_us: int
    callee: str = ""
    member: int = 0
    rows: Rows = field(default_factory=Rows)
    columns: dict[Fate, Column] = field(default_factory=lambda: {fate: Column() for fate in Fate})

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.witness, self.target, self.method, self.host)

    @property
    def server(self) -> str:
        """The one server that is probed, in words."""
        return f"{self.host} (server {self.member})" if self.member else self.host

    def add(self, fate: Fate, at_us: int, row: int) -> None:
        self.columns[fate].add(at_us, row)

    def sort(self) -> None:
        for column in self.columns.values():
            column.sort()

    @property
    def ever_replied(self) -> bool:
        return bool(self.columns[Fate.ANSWERED].at_us or self.columns[Fate.WRONG].at_us)

    def point(self, fate: Fate, i: int) -> Point:
        column = self.columns[fate]
        return Point(column.at_us[i], self, self.rows[column.row[i]])

    def points(self, fate: Fate, start_us: int, end_us: int) -> Iterator[Point]:
        """Yield the samples of that fate sent in [start_us, end_us), nominally."""
        at_us = self.columns[fate].at_us
        for i in range(bisect_left(at_us, start_us), bisect_left(at_us, end_us)):
            yield self.point(fate, i)

    def last_before(self, fates: tuple[Fate, ...], at_us: int) -> Point | None:
        """Return the last sample of one of the fates sent at or before at_us."""
        found = [self.point(f, i) for f in fates if (i := self.columns[f].last_at_or_before(at_us)) is not None]
        return max(found, key=lambda p: p.at_us, default=None)

    def first_after(self, fates: tuple[Fate, ...], at_us: int) -> Point | None:
        """Return the first sample of one of the fates sent after at_us."""
        found = [self.point(f, i) for f in fates if (i := self.columns[f].first_after(at_us)) is not None]
        return min(found, key=lambda p: p.at_us, default=None)

    def count(self, fate: Fate, start_us: int, end_us: int) -> int:
        return self.columns[fate].count(start_us, end_us)

    def longest_rtt_us(self, before_us: int) -> int:
        """Return the longest round trip of the last reading with a reply, the loss threshold where there is none."""
        last = self.last_before(REPLIED, before_us)
        if last is None or last.row.rtt_max_us is None:
            return self.timeout_us
        return min(last.row.rtt_max_us, self.timeout_us)

    def cite(self, start_us: int, end_us: int) -> Citation | None:
        """Return the counts of the samples sent in [start_us, end_us), nominally; None where there is none."""
        counts = {fate: self.count(fate, start_us, end_us) for fate in Fate}
        total = sum(counts.values())
        if not total:
            return None
        seqs = [p.row.seq for fate in Fate for p in _ends(self, fate, start_us, end_us)]
        return Citation(
            self.witness, min(seqs), max(seqs), self.target, self.segment, total, counts[Fate.ANSWERED],
            counts[Fate.WRONG], counts[Fate.VOID],
        )  # fmt: skip

    def samples(self, start_us: int, end_us: int) -> list[Sample]:
        """Return the samples sent in [start_us, end_us) one by one, for a chart or a table."""
        found = [(p, fate) for fate in Fate for p in self.points(fate, start_us, end_us)]
        found.sort(key=lambda pair: (pair[0].at_us, pair[1]))
        return [
            Sample(
                self.site, self.witness, p.row.seq, p.row.boot, self.target, self.segment, self.method, self.control,
                Bounds(p.earliest_us, p.latest_us), fate,
                p.row.rtt_max_us if fate in REPLIED else None, None if fate is Fate.ANSWERED else p.row.code,
            )
            for p, fate in found
        ]  # fmt: skip


REPLIED = (Fate.ANSWERED, Fate.WRONG)
SERVED = (Fate.ANSWERED,)
LOST = (Fate.LOST,)
BAD = (Fate.LOST, Fate.WRONG)


def _ends(series: Series, fate: Fate, start_us: int, end_us: int) -> list[Point]:
    at_us = series.columns[fate].at_us
    first, after = bisect_left(at_us, start_us), bisect_left(at_us, end_us)
    return [series.point(fate, i) for i in {first, after - 1}] if after > first else []
