"""What a site's routers said of themselves, kept page by page (settle.pages), in the order of (time, witness)."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from linewitness.settle.pages import Pages, Table

NONE = -1
FOREVER_US = 1 << 62


@dataclass(frozen=True, slots=True)
class RouterWord:
    """What a router said of itself at an instant: seconds since it started, whether its line was up, and kbit/s down
    and up through it since it was asked before; None: not said."""

    witness: str
    at_us: int
    uptime_s: int | None
    line_up: bool | None
    kbits: tuple[float, float] | None = None


class RouterWords:
    """All words of one site's routers."""

    def __init__(self, pages: Pages | None = None) -> None:
        self._pages = Pages() if pages is None else pages
        self._tables: dict[str, Table] = {}

    def add(self, word: RouterWord) -> None:
        if word.witness not in self._tables:
            self._tables[word.witness] = Table(self._pages, 5)
        down, up = (NONE, NONE) if word.kbits is None else map(_bits, word.kbits)
        uptime_s, line_up = (NONE if value is None else int(value) for value in (word.uptime_s, word.line_up))
        self._tables[word.witness].append(word.at_us, uptime_s, line_up, down, up)

    def close(self) -> None:
        for table in self._tables.values():
            table.close()

    def __iter__(self) -> Iterator[RouterWord]:
        return self.between(-FOREVER_US, FOREVER_US)

    def between(self, start_us: int, end_us: int, witness: str | None = None) -> Iterator[RouterWord]:
        """Yield the words of [start_us, end_us): of one witness's router, or of all."""
        each = (
            _each(name, table, table.before(start_us), table.before(end_us))
            for name, table in self._tables.items() if witness in (None, name)
        )  # fmt: skip
        return heapq.merge(*each, key=lambda word: (word.at_us, word.witness))


def _each(witness: str, table: Table, first: int, last: int) -> Iterator[RouterWord]:
    for part in table.parts(first, last):
        for at_us, uptime_s, line_up, down, up in part.tolist():
            yield RouterWord(
                witness, at_us, None if uptime_s == NONE else uptime_s, None if line_up == NONE else bool(line_up),
                None if down == NONE else (_number(down), _number(up)),
            )  # fmt: skip


def _bits(value: float) -> int:
    """Return a float's octets as a whole number; those of no number that is counted are NONE's."""
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


def _number(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<q", bits))[0])
