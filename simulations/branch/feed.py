"""From a site's rows to what one round showed, in true time: the arrays that a method of attribution works on.

Rows come as the witness wrote them: with its own clock, which may be stepped or count from boot, and with rows absent.
Here each row gets the round it was made in; a round without a row is unmeasured (NaN), never up and never down.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulations.branch.fields import COLUMN, Readings
from simulations.branch.rows import Place, blocks, joined
from simulations.branch.world import Line, World

# Between the round's end and the host's clock: the least time that sending a row takes, s.
FASTEST_S = 1.0


@dataclass(frozen=True, slots=True)
class Observations:
    """One site on the world's grid of rounds, or on a window of it. rows, at: rows and the round of each; measured: the
    rounds that have one."""

    site: Line
    t0: float
    step_s: float
    rows: Readings
    at: NDArray[np.int64]
    measured: NDArray[np.bool_]

    def __getitem__(self, column: str) -> NDArray[np.float64]:
        """Return one column over the rounds, NaN where not measured."""
        values = self.rows[:, COLUMN[column]]
        if self.measured.all() and len(values) == len(self.measured):
            return values
        placed = np.full(len(self.measured), np.nan)
        placed[self.at] = values
        return placed

    def begins(self) -> NDArray[np.float64]:
        """Return each round's begin, epoch s."""
        return self.t0 + self.step_s * np.arange(len(self.measured), dtype=np.float64)


def rounds_of(world: World) -> int:
    """Return how many rounds a world has."""
    return int(world.meta.get("T", world.days * 86400 / world.step_s))


def observations(world: World) -> Iterator[Observations]:
    """Yield each site's observations, one site in memory at a time."""
    return Feed(world).window(0, rounds_of(world), None)


class Feed:
    """Reads a world's sites window by window, each site's file once (but for what windows share)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._starts: dict[str, Place] = {}

    def window(self, first: int, last: int, following: int | None) -> Iterator[Observations]:
        """Yield each site's observations in the rounds [first, last), one site in memory at a time.

        following: the first round of the next window that will be asked for, None: this is the last one.
        """
        world = self._world
        for site in world.sites:
            rows = self._rows(site["id"], first, last, following)
            yield place(site, rows, world.t0 + first * world.step_s, world.step_s, last - first)

    def _rows(self, site: str, first: int, last: int, following: int | None) -> Readings:
        """Return a site's rows from a little before `first` until `last` is reached; for the last window all."""
        world = self._world
        parts: list[Readings] = []
        begins: list[tuple[int, Place]] = []
        count = 0
        start = self._starts.get(site)
        with closing(blocks(world.readings_folder, site, world.fields, start, following is not None)) as found:
            for block in found:
                if block.place is not None:
                    begins.append((count, block.place))
                parts.append(block.rows)
                count += len(block.rows)
                # A round has one row at the most: before there are so many, the last can't have been reached.
                if following is not None and count >= last - first and self._reached(joined(parts), last):
                    break
        rows = joined(parts)
        if following is not None and begins:
            times = true_times(rows, world.step_s)
            # One round of slack: in the next window a boot's offset may come out a little different.
            before = world.t0 + (following - 1) * world.step_s
            sooner = [where for row, where in begins if times[row] < before]
            self._starts[site] = sooner[-1] if sooner else begins[0][1]
        return rows

    def _reached(self, rows: Readings, last: int) -> bool:
        world = self._world
        return bool(true_times(rows, world.step_s)[-1] >= world.t0 + last * world.step_s)


def place(site: Line, rows: Readings, t0: float, step_s: float, rounds: int) -> Observations:
    """Return a site's rows on the grid of rounds from t0 on."""
    measured = np.zeros(rounds, bool)
    at = np.round((true_times(rows, step_s) - t0) / step_s).astype(np.int64)
    inside = (at >= 0) & (at < rounds)
    if not inside.all():
        rows, at = rows[inside], at[inside]
    measured[at] = True
    return Observations(site, t0, step_s, rows, at, measured)


def true_times(rows: Readings, step_s: float) -> NDArray[np.float64]:
    """Return each row's begin in true time, epoch s.

    Within one boot the uptime runs truly, so a boot has one offset from uptime to time. It is the median over its rows
    of (the host's time of receipt, less the round and the sending) among the rows that came at once; receipt can only
    be late, so the smallest differences are the prompt ones. Where the boot's own clock was synchronised in most rows
    and agrees with that within two rounds, its median is the finer one and is taken.
    """
    times = np.empty(len(rows))
    boots = rows[:, COLUMN["boot"]]
    for boot in np.unique(boots):
        mine = boots == boot
        up, clock, received = (rows[mine, COLUMN[name]] for name in ("up_s", "t", "t_rx"))
        arrived = received - up
        offset = float(np.quantile(arrived, 0.02)) - step_s - FASTEST_S
        synced = rows[mine, COLUMN["ntp_ok"]] == 1
        if synced.any():
            own = float(np.median((clock - up)[synced]))
            if abs(own - offset) < 2 * step_s:
                offset = own
        times[mine] = up + offset
    return times
