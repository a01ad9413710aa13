"""A world: what witnesses at many sites saw, what the status pages said and, for scoring only, the truth. A folder:

    meta.json              fields (column order), t0 (epoch s), step (s), T (rounds), days, sites, seed, profile, rows
    sites.json             what the host was told of each site
    readings/<site>.csv.gz one row a round with a header line; an empty field was not measured
    readings/<site>.npz    the same: float64 [rows, 2] (t, t_rx) and float32 [rows, all columns or all but these two]
    status.jsonl           the providers' posts
    truth.jsonl, truth_sla.json, truth_status.jsonl   only for scoring; what settles never opens them

In memory a site's readings are one float64 array [rows, len(FIELDS)] in the order of rounds, NaN where not measured.
Losses, shares and utilisations are 0..1, times ms unless the name says _s. Writing is canonical: the same world has
the same bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linewitness.errors import CannotDo
from simulations.branch.fields import FIELDS, TIMES, Readings
from simulations.branch.rows import read_rows

Line = dict[str, Any]

# A zip entry carries a time; a fixed one keeps equal worlds equal, byte for byte.
ZIP_DATE = (2020, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class World:
    """A world on disk, opened for settling: everything but the truth. Readings are loaded site by site on demand."""

    path: Path
    meta: Line
    sites: tuple[Line, ...]
    status: tuple[Line, ...]

    @property
    def t0(self) -> float:
        return float(self.meta["t0"])

    @property
    def step_s(self) -> float:
        return float(self.meta["step"])

    @property
    def days(self) -> float:
        return float(self.meta["days"])

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns of its .npz files; a .csv.gz names its own."""
        return tuple(self.meta["fields"])

    @property
    def readings_folder(self) -> Path:
        return self.path / "readings"

    def readings(self, site: str) -> Readings:
        """Return one site's rows, columns in the order of FIELDS."""
        return read_rows(self.readings_folder, site, self.fields)

    def rows(self, site: str) -> Iterator[Line]:
        """Yield one site's rows as {column: value or None}, one at a time."""
        for row in self.readings(site):
            yield {name: None if value != value else float(value) for name, value in zip(FIELDS, row, strict=True)}

    def each(self) -> Iterator[tuple[Line, Readings]]:
        """Yield (site, readings), one site in memory at a time."""
        for site in self.sites:
            yield site, self.readings(site["id"])


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happened; only for scoring."""

    faults: tuple[Line, ...]
    sla: dict[str, Line]


def open_world(path: Path) -> World:
    """Open a world for settling. CannotDo if a file is absent or unreadable."""
    return World(
        path, read_json(path / "meta.json"), tuple(read_json(path / "sites.json")), read_lines(path / "status.jsonl")
    )


def open_truth(path: Path) -> Truth:
    """Open a world's truth. CannotDo if it has none."""
    return Truth(read_lines(path / "truth.jsonl"), read_json(path / "truth_sla.json"))


def read_json(path: Path) -> Any:
    """Return a JSON file's value; CannotDo names the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CannotDo(f"can't read: {error}", str(path), "name a world's folder") from error


def read_lines(path: Path) -> tuple[Line, ...]:
    """Return a JSON-lines file's values; CannotDo names file and line."""
    lines: list[Line] = []
    number = 0
    try:
        for text in path.read_text(encoding="utf-8").splitlines():
            number += 1
            if text.strip():
                lines.append(json.loads(text))
    except OSError as error:
        raise CannotDo(f"can't read: {error}", str(path), "name a world's folder") from error
    except ValueError as error:
        raise CannotDo(f"not JSON: {error}", f"{path}:{number}", "one JSON object a line") from error
    return tuple(lines)


def write_npz(folder: Path, site: str, rows: Readings) -> None:
    """Write a site's rows as .npz."""
    with zipfile.ZipFile(folder / f"{site}.npz", "w") as archive:
        for name, array in (("A", rows[:, :TIMES]), ("B", rows.astype(np.float32))):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue(), compresslevel=1)


def write_csv(folder: Path, site: str, rows: Readings) -> None:
    """Write a site's rows as .csv.gz: times to the millisecond, the rest with 6 significant digits."""
    with (folder / f"{site}.csv.gz").open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        packed.write((",".join(FIELDS) + "\n").encode("ascii"))
        for row in rows.tolist():
            times = [repr(round(value, 3)) for value in row[:TIMES]]
            rest = ["" if value != value else f"{value:.6g}" for value in row[TIMES:]]
            packed.write((",".join(times + rest) + "\n").encode("ascii"))


def write_lines(path: Path, lines: Iterable[Line]) -> None:
    """Write JSON lines, each as it comes."""
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")


def write_json(path: Path, value: object) -> None:
    """Write one JSON value."""
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
