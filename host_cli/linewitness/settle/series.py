"""What one target showed, sample by sample, in columns: quick to ask about an interval.

Samples are kept page by page (settle.pages). A Series is filled by a feeder (settle.timeline from signed batches) and
only asked afterwards. A *reply* is an answer or a wrong answer: it proves that the path works both ways. An answer
proves the service as well. What is void says nothing and is only counted.

Times: a sample's nominal instant of sending is in the column; its row holds the slack around it and the longest round
trip of the reading. An instant is [nominal - slack, nominal + slack + quantum].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from linewitness.model import Bounds, Citation, Fate, Sample, Segment
from linewitness.settle.pages import Numbers, Pages, Table

UNKNOWN = 1 << 40  # what a table holds for None; no round trip is that long, no code that high


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
    """Rows by number, column by column."""

    __slots__ = ("_table",)

    def __init__(self, pages: Pages) -> None:
        self._table = Table(pages, len(Row._fields), ordered=False)

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, at: int) -> Row:
        values: list[Any] = [None if value == UNKNOWN else value for value in self._table.row(at).tolist()]
        return Row(*values)

    def append(self, row: Row) -> int:
        """Keep a row; return its number."""
        self._table.append(*[UNKNOWN if value is None else value for value in row])
        return len(self._table) - 1

    def close(self) -> None:
        self._table.close()

    def values(self, name: str, at: Numbers) -> NDArray[np.float64]:
        """Return one field of the rows of those numbers, NaN where it is None."""
        found = self._table.take(at, Row._fields.index(name))
        return np.where(found == UNKNOWN, np.nan, found)


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


class Column:
    """Times in ascending order, and the number of the row of each."""

    __slots__ = ("_table",)

    def __init__(self, pages: Pages) -> None:
        self._table = Table(pages, 2)

    def __len__(self) -> int:
        return len(self._table)

    def add(self, at_us: int, row: int) -> None:
        self._table.append(at_us, row)

    def close(self) -> None:
        self._table.close()

    def at(self, number: int) -> tuple[int, int]:
        """Return (time, row) of one of them."""
        at_us, row = self._table.row(number).tolist()
        return at_us, row

    def between(self, start_us: int, end_us: int) -> tuple[int, int]:
        """Return [first, last): which of them lie in [start_us, end_us)."""
        first = self._table.before(start_us)
        return first, max(first, self._table.before(end_us))

    def count(self, start_us: int, end_us: int) -> int:
        """Return how many lie in [start_us, end_us)."""
        first, last = self.between(start_us, end_us)
        return last - first

    def times(self, first: int, last: int) -> Numbers:
        """Return the times of [first, last), by number."""
        return self._table.between(first, last)[:, 0]

    def placed(self, start_us: int, end_us: int) -> tuple[Numbers, Numbers]:
        """Return the times in [start_us, end_us), and the rows of them."""
        found = self._table.between(*self.between(start_us, end_us))
        return found[:, 0], found[:, 1]

    def each_page(self) -> Iterator[Numbers]:
        """Yield all times in ascending order, some thousands at once."""
        return (page[:, 0] for page in self._table.parts(0, len(self._table)))

    def following(self, at_us: Numbers, none: int) -> Numbers:
        """Return for each of ascending instants the first time after it, none where there is none."""
        return self._table.following(at_us, none)

    def last_at_or_before(self, at_us: int) -> int | None:
        i = self._table.until(at_us)
        return i - 1 if i else None

    def first_after(self, at_us: int) -> int | None:
        i = self._table.until(at_us)
        return i if i < len(self._table) else None


@dataclass(slots=True, eq=False)
class Series:
    """All samples of one target of one witness.

    callee: whom a test call calls; member: which server of the host's set (RFC 3263), 0 where the plan names none;
    pages: where its samples are kept.
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
    pages: Pages = field(default_factory=Pages, repr=False)
    rows: Rows = field(init=False)
    columns: dict[Fate, Column] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = Rows(self.pages)
        self.columns = {fate: Column(self.pages) for fate in Fate}

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.witness, self.target, self.method, self.host)

    @property
    def server(self) -> str:
        """The one server that is probed, in words."""
        return f"{self.host} (server {self.member})" if self.member else self.host

    def add(self, fate: Fate, at_us: int, row: int) -> None:
        self.columns[fate].add(at_us, row)

    def close(self) -> None:
        """Put late samples in their place; after this the series is only asked."""
        self.rows.close()
        for column in self.columns.values():
            column.close()

    @property
    def ever_replied(self) -> bool:
        return any(len(self.columns[fate]) for fate in REPLIED)

    def point(self, fate: Fate, i: int) -> Point:
        at_us, row = self.columns[fate].at(i)
        return Point(at_us, self, self.rows[row])

    def points(self, fate: Fate, start_us: int, end_us: int) -> Iterator[Point]:
        """Yield the samples of that fate sent in [start_us, end_us), nominally."""
        return (self.point(fate, i) for i in range(*self.columns[fate].between(start_us, end_us)))

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
    first, after = series.columns[fate].between(start_us, end_us)
    return [series.point(fate, i) for i in {first, after - 1}] if after > first else []
