"""From a site's rows to what one round showed, in true time: the arrays that a method of attribution works on.

Rows come as the witness wrote them: with its own clock, which may be stepped or count from boot, and with rows absent.
Here each row gets the round it was made in; a round without a row is unmeasured (NaN), never up and never down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulations.branch.world import COLUMN, FIELDS, Line, Readings, World

# Between the round's end and the host's clock: the least time that sending a row takes, s.
FASTEST_S = 1.0


@dataclass(frozen=True, slots=True)
class Observations:
    """One site on the world's grid of rounds. values: [rounds, columns]; measured: the rounds that have a row."""

    site: Line
    t0: float
    step_s: float
    values: Readings
    measured: NDArray[np.bool_]

    def __getitem__(self, column: str) -> NDArray[np.float64]:
        """Return one column over the rounds, NaN where not measured."""
        return self.values[:, COLUMN[column]]

    def begins(self) -> NDArray[np.float64]:
        """Return each round's begin, epoch s."""
        return self.t0 + self.step_s * np.arange(len(self.measured), dtype=np.float64)


def observations(world: World) -> Iterator[Observations]:
    """Yield each site's observations, one site in memory at a time."""
    rounds = int(world.meta.get("T", world.days * 86400 / world.step_s))
    for site, rows in world.each():
        yield place(site, rows, world.t0, world.step_s, rounds)


def place(site: Line, rows: Readings, t0: float, step_s: float, rounds: int) -> Observations:
    """Return a site's rows on the grid of rounds."""
    values = np.full((rounds, len(FIELDS)), np.nan)
    measured = np.zeros(rounds, bool)
    if len(rows):
        at = np.round((true_times(rows, step_s) - t0) / step_s).astype(int)
        inside = (at >= 0) & (at < rounds)
        values[at[inside]] = rows[inside]
        measured[at[inside]] = True
    return Observations(site, t0, step_s, values, measured)


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
