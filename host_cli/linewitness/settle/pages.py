"""Columns of whole numbers kept page by page, packed, on a shelf that the caller provides: months in little memory.

A Table takes rows of numbers one by one and is closed once; then it is only asked. Every full page is packed and put on
the shelf; of each only its first and last key stay at hand. A shelf may be memory (Held) or a file of the caller's: a
packed page has about a sixth of its numbers' size. The pages that were asked for last are kept unpacked.

Rows are in the order of their first column, late ones in their place; rows with equal keys keep the order in which they
came. Nothing here does any I/O.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

PAGE_ROWS = 4096
UNPACKED_OCTETS = 24 << 20
FASTEST = 1  # of zlib's levels


class Shelf(Protocol):
    """Where octets are put to be got again."""

    def put(self, octets: bytes) -> int:
        """Keep octets; return their place."""

    def get(self, place: int) -> bytes:
        """Return what was put there."""


class Held:
    """A shelf in memory."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []

    def put(self, octets: bytes) -> int:
        self._kept.append(octets)
        return len(self._kept) - 1

    def get(self, place: int) -> bytes:
        return self._kept[place]


class Pages:
    """Packs pages onto one shelf, for all tables that share it, and keeps those unpacked that were asked for last."""

    def __init__(self, shelf: Shelf | None = None) -> None:
        self._shelf = Held() if shelf is None else shelf
        self._unpacked: OrderedDict[int, Numbers] = OrderedDict()
        self._octets = 0

    def put(self, page: Numbers) -> int:
        """Keep [rows, columns]; return the place."""
        return self._shelf.put(_pack(page))

    def get(self, place: int, columns: int) -> Numbers:
        page = self._unpacked.get(place)
        if page is not None:
            self._unpacked.move_to_end(place)
            return page
        page = _unpack(self._shelf.get(place), columns)
        self._unpacked[place] = page
        self._octets += page.nbytes
        while self._octets > UNPACKED_OCTETS and len(self._unpacked) > 1:
            self._octets -= self._unpacked.popitem(last=False)[1].nbytes
        return page


def _pack(page: Numbers) -> bytes:
    """Return each column's differences, the octets of equal weight side by side: most of them are 0."""
    steps = np.diff(page, axis=0, prepend=np.zeros((1, page.shape[1]), np.int64))
    octets = np.ascontiguousarray(steps.T).view(np.uint8).reshape(-1, 8)
    return zlib.compress(np.ascontiguousarray(octets.T).tobytes(), FASTEST)


def _unpack(packed: bytes, columns: int) -> Numbers:
    octets = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(8, -1)
    steps = np.ascontiguousarray(octets.T).view(np.int64).reshape(columns, -1)
    return np.ascontiguousarray(np.cumsum(steps, axis=1).T)


class Table:
    """Rows of so many whole numbers (64 bits each). ordered: by the first one."""

    def __init__(self, pages: Pages, columns: int, *, ordered: bool = True) -> None:
        self._pages, self._columns, self._ordered = pages, columns, ordered
        self._rows = array("q")  # of the page that is not full yet
        self._count = 0
        self._places = array("q")
        self._ends = array("q", [0])  # how many rows there are before each page, and after the last one
        self._firsts, self._lasts = array("q"), array("q")  # each page's least and greatest key

    def __len__(self) -> int:
        return self._count

    def append(self, *row: int) -> None:
        self._rows.extend(row)
        self._count += 1
        if self._count - self._ends[-1] == PAGE_ROWS:
            self._seal()

    def close(self) -> None:
        """Put late rows in their place. After this nothing is appended, before it nothing is asked."""
        if self._rows:
            self._seal()
        if self._ordered and any(self._lasts[i] > self._firsts[i + 1] for i in range(len(self._places) - 1)):
            self._put_in_order()

    def _seal(self) -> None:
        page = np.array(self._rows, np.int64).reshape(-1, self._columns)
        self._rows = array("q")
        self._put(_in_order(page) if self._ordered else page)

    def _put(self, page: Numbers) -> None:
        self._add(self._pages.put(page), len(page), int(page[0, 0]), int(page[-1, 0]))

    def _add(self, place: int, rows: int, first: int, last: int) -> None:
        self._places.append(place)
        self._ends.append(self._ends[-1] + rows)
        self._firsts.append(first)
        self._lasts.append(last)

    def _put_in_order(self) -> None:
        """Merge pages that reach over one another; the others stay as they are."""
        count = len(self._places)
        reached = np.maximum.accumulate(np.array(self._lasts))
        ahead = np.minimum.accumulate(np.array(self._firsts)[::-1])[::-1]
        fences = [0, *(i for i in range(1, count) if reached[i - 1] <= ahead[i]), count]
        before = Table(self._pages, self._columns)
        before._places, before._ends, before._firsts, before._lasts = (
            self._places, self._ends, self._firsts, self._lasts,
        )  # fmt: skip
        self._places, self._ends, self._firsts, self._lasts = array("q"), array("q", [0]), array("q"), array("q")
        for first, after in pairwise(fences):
            if after - first == 1:
                rows = before._ends[after] - before._ends[first]
                self._add(before._places[first], rows, before._firsts[first], before._lasts[first])
                continue
            merged = _in_order(np.concatenate([before.page(i) for i in range(first, after)]))
            for at in range(0, len(merged), PAGE_ROWS):
                self._put(merged[at : at + PAGE_ROWS])

    # --- asking -----------------------------------------------------------------------------------------------------

    def page(self, number: int) -> Numbers:
        """Return [rows, columns] of a page."""
        return self._pages.get(self._places[number], self._columns)

    def row(self, at: int) -> Numbers:
        """Return one row; IndexError where there is none."""
        if not 0 <= at < self._count:
            raise IndexError(f"row {at} of {self._count}")
        number = bisect_right(self._ends, at) - 1
        return np.asarray(self.page(number)[at - self._ends[number]])

    def before(self, key: int) -> int:
        """Return how many rows have a key below this one."""
        number = bisect_left(self._lasts, key)
        if number == len(self._places):
            return self._count
        if self._firsts[number] >= key:
            return self._ends[number]
        return self._ends[number] + int(np.searchsorted(self.page(number)[:, 0], key, "left"))

    def until(self, key: int) -> int:
        """Return how many rows have this key or one below."""
        return self.before(key + 1)

    def parts(self, first: int, last: int) -> Iterator[Numbers]:
        """Yield the rows [first, last), by number, page by page."""
        if first < last:
            for number in range(bisect_right(self._ends, first) - 1, bisect_left(self._ends, last)):
                begin = self._ends[number]
                yield self.page(number)[max(first - begin, 0) : last - begin]

    def between(self, first: int, last: int) -> Numbers:
        """Return the rows [first, last), by number."""
        return np.concatenate([np.zeros((0, self._columns), np.int64), *self.parts(first, last)])

    def take(self, at: Numbers, column: int) -> Numbers:
        """Return one column of the rows of those numbers."""
        result = np.zeros(len(at), np.int64)
        numbers = np.searchsorted(self._ends, at, "right") - 1
        for number in np.unique(numbers):
            mine = numbers == number
            result[mine] = self.page(int(number))[at[mine] - self._ends[int(number)], column]
        return result

    def following(self, keys: Numbers, none: int) -> Numbers:
        """Return for each of ascending keys the least key of a row that is above it, none where there is none."""
        result = np.full(len(keys), none, np.int64)
        numbers = np.searchsorted(np.array(self._lasts), keys, "right")  # the first page that reaches beyond the key
        for number in np.unique(numbers[numbers < len(self._places)]):
            first, after = np.searchsorted(numbers, [number, number + 1])
            mine = self.page(int(number))[:, 0]
            result[first:after] = mine[np.searchsorted(mine, keys[first:after], "right")]
        return result


def _in_order(page: Numbers) -> Numbers:
    """Return rows by their first column, those of equal keys as they came."""
    keys = page[:, 0]
    return page if (keys[1:] >= keys[:-1]).all() else page[np.argsort(keys, kind="stable")]
