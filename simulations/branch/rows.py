"""A site's rows, read block by block from either form, from the begin or from where an earlier reading left off.

Rows come in the order of FIELDS, whatever order and columns the file has; columns that it lacks are NaN.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linewitness.errors import CannotDo
from simulations.branch.fields import COLUMN, FIELDS, TIMES, Readings
from simulations.branch.numbers import numbers
from simulations.branch.tape import Mark, Part, Tape, gzip_part, zip_parts

BLOCK_ROWS = 1440
TEXT_OCTETS = 1 << 17  # of .csv, a block
DAMAGED = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile)
NPY_PREFIX = 10  # magic, version and length of the header, version 1
NPZ_NEEDS = "one float64 array of times and one float32 array"
CSV_NEEDS = "one header, then numbers or empty fields"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block of rows begins in a site's file. marks: one a part; row: rows before it; fields: what is there."""

    marks: tuple[Mark, ...]
    row: int
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows, [rows, len(FIELDS)] with each column contiguous, and where they begin (None: nobody asked)."""

    rows: Readings
    place: Place | None


def blocks(
    folder: Path, site: str, fields: tuple[str, ...], start: Place | None = None, marking: bool = False
) -> Generator[Block]:
    """Yield a site's rows from a place on (None: all). marking: say of each block where it begins, which costs memory.

    CannotDo names a file that is absent, damaged or of another shape.
    """
    npz, text = folder / f"{site}.npz", folder / f"{site}.csv.gz"
    if not npz.exists() and not text.exists():
        raise CannotDo("a site has no readings", f"{text} or {npz.name}", "leave the site out of sites.json")
    path, needs = (npz, NPZ_NEEDS) if npz.exists() else (text, CSV_NEEDS)
    try:
        yield from _npz(path, fields, start, marking) if path is npz else _csv(path, start, marking)
    except DAMAGED as error:
        raise CannotDo(f"not readings: {error}", str(path), needs) from error


def read_rows(folder: Path, site: str, fields: tuple[str, ...]) -> Readings:
    """Return all rows of a site, [rows, len(FIELDS)]. CannotDo as `blocks`."""
    return joined([block.rows for block in blocks(folder, site, fields)])


def joined(parts: list[Readings]) -> Readings:
    """Return blocks as one array, each column contiguous."""
    if not parts:
        return np.empty((len(FIELDS), 0)).T
    return parts[0] if len(parts) == 1 else np.concatenate([part.T for part in parts], axis=1).T


def ordered(rows: NDArray[np.floating], fields: tuple[str, ...]) -> Readings:
    """Return rows in the order of FIELDS, each column contiguous."""
    columns = np.empty((len(FIELDS), len(rows)))
    if fields == FIELDS:
        columns[:] = rows.T
        return columns.T
    columns[:] = np.nan
    for source, name in enumerate(fields):
        if name in COLUMN:
            columns[COLUMN[name]] = rows[:, source]
    return columns.T


@dataclass(frozen=True, slots=True)
class _Array:
    """An array of an .npz file. header: octets before its numbers; columns_first: it lies column after column."""

    part: Part
    header: int
    dtype: np.dtype[np.floating]
    rows: int
    width: int
    columns_first: bool


class _Reader:
    """Reads an array's rows onward. One that lies column after column is read whole: there are no rows to go by."""

    def __init__(self, array: _Array, mark: Mark | None, row: int) -> None:
        self._array = array
        self.tape = Tape(array.part, mark)
        if mark is None:
            self.tape.read(array.header)
        self._begin: Mark | None = None
        if array.columns_first:
            self._begin = self.tape.mark()
            self._left = self._numbers(array.rows).reshape((array.rows, array.width), order="F")[row:]

    def mark(self) -> Mark:
        return self.tape.mark() if self._begin is None else self._begin

    def read(self, rows: int) -> NDArray[np.floating]:
        """Return the next rows, [rows, width]. ValueError if there are fewer."""
        if self._begin is None:
            return self._numbers(rows).reshape(rows, self._array.width)
        taken, self._left = self._left[:rows], self._left[rows:]
        return taken

    def _numbers(self, rows: int) -> NDArray[np.floating]:
        return np.frombuffer(self.tape.read(rows * self._array.width * self._array.dtype.itemsize), self._array.dtype)


def _npz(path: Path, fields: tuple[str, ...], start: Place | None, marking: bool) -> Iterator[Block]:
    arrays = [_array(part) for part in zip_parts(path)]
    # By type, not by name: the two names are a habit of the writer.
    (times,) = (array for array in arrays if array.dtype == np.float64)
    (rest,) = (array for array in arrays if array.dtype == np.float32)
    if times.rows != rest.rows or times.width < TIMES or rest.width not in (len(fields), len(fields) - TIMES):
        raise ValueError(
            f"{times.rows} rows of {times.width} times, {rest.rows} rows of {rest.width} columns; "
            f"meta.json names {len(fields)}"
        )
    first = start.row if start else 0
    marks = start.marks if start else (None, None)
    one, other = (_Reader(array, mark, first) for array, mark in zip((times, rest), marks, strict=True))
    with one.tape, other.tape:
        for row in range(first, times.rows, BLOCK_ROWS):
            place = Place((one.mark(), other.mark()), row, fields) if marking else None
            count = min(BLOCK_ROWS, times.rows - row)
            whole = np.empty((count, len(fields)))
            whole[:, TIMES:] = other.read(count)[:, TIMES - len(fields) :]
            whole[:, :TIMES] = one.read(count)[:, :TIMES]
            yield Block(ordered(whole, fields), place)


def _array(part: Part) -> _Array:
    """Return what an entry's header says. ValueError if it is no array of rows of numbers."""
    with Tape(part) as tape:
        start = tape.read(NPY_PREFIX)
        header = start + tape.read(int.from_bytes(start[8:10], "little"))
    file = BytesIO(header)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array that is not in version 1.0 of the format")
    shape, columns_first, dtype = np.lib.format.read_array_header_1_0(file)
    rows, width = shape if len(shape) == 2 else (0, 0)
    return _Array(part, len(header), dtype, rows, width, columns_first)


def _csv(path: Path, start: Place | None, marking: bool) -> Iterator[Block]:
    marks = start.marks if start else (None,)
    with Tape(gzip_part(path), marks[0]) as tape:
        fields, rest = (start.fields, b"") if start else _header(tape)
        row, over = start.row if start else 0, False
        while not over:
            place = Place((tape.mark(rest),), row, fields) if marking else None
            more = tape.read(TEXT_OCTETS)
            over = len(more) < TEXT_OCTETS
            lines, newline, rest = (rest + more).rpartition(b"\n")
            if over and rest:
                lines, newline, rest = lines + newline + rest, b"\n", b""
            if not lines:
                continue
            values = numbers(lines + b"\n", len(fields), row + 2)
            row += len(values)
            yield Block(ordered(values, fields), place)


def _header(tape: Tape) -> tuple[tuple[str, ...], bytes]:
    """Return the names in a file's first line, and the octets that were read beyond it."""
    head, _, rest = tape.read(TEXT_OCTETS).partition(b"\n")
    return tuple(head.decode("ascii").strip().split(",")), rest
