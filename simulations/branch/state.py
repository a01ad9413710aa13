"""The parts of one site's path over time, and what faults do to them.

A part is a column over the rounds: `.u` and `.d` are the share of packets that survive upward and downward, other
multiplicative columns the share of attempts that succeed, additive ones ms or a plain amount, set ones a value (NaN =
nothing set). A column nobody touched is absent and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from simulations.branch.schedule import Occurrence
from simulations.branch.topology import Site

Column = NDArray[np.float64]

ADDED = ("delay", "jitter", "pdd", "carrier_loss", "util_u", "util_d", "cpu")
SET = (
    "pdns",
    "witness_off",
    "reboot_router",
    "dropped",
    "held",
    "unsynced",
    "wan",
    "clock_s",
    "code_p",
    "code_e2",
    "code_q",
)
# A witness that was off for any part of a round has no row; the others need half a round to show.
AT_ONCE = ("witness_off", "dropped", "reboot_router")


class State:
    """Columns over rounds [first, first + rounds) of one site."""

    def __init__(self, rounds: int, first: int = 0) -> None:
        self.rounds = rounds
        self.first = first
        self.columns: dict[str, Column] = {}

    def ok(self, name: str) -> Column | float:
        """Return the share that survives or succeeds, 1 where nothing happened."""
        return self.columns.get(name, 1.0)

    def added(self, name: str) -> Column | float:
        """Return the amount added, 0 where nothing happened."""
        return self.columns.get(name, 0.0)

    def value(self, name: str) -> Column:
        """Return the value set, NaN where nothing set it."""
        return self.columns.get(name, np.full(self.rounds, np.nan))

    def multiply(self, name: str, at: slice, share: Column) -> None:
        self.columns.setdefault(name, np.ones(self.rounds))[at] *= share

    def add(self, name: str, at: slice, amount: Column) -> None:
        self.columns.setdefault(name, np.zeros(self.rounds))[at] += amount

    def put(self, name: str, at: slice, touched: NDArray[np.bool_], value: float) -> None:
        self.columns.setdefault(name, np.full(self.rounds, np.nan))[at][touched] = value


def overlap(occurrence: Occurrence, t0: float, step_s: float, rounds: int) -> tuple[int, Column]:
    """Return (first round, share of each round from there on that the fault covers)."""
    first = int((occurrence.start - t0) // step_s)
    last = min(rounds, int(np.ceil((occurrence.end - t0) / step_s)))
    begins = t0 + step_s * np.arange(first, last)
    covered = np.zeros(last - first)
    for a, b in occurrence.pieces:
        covered += np.clip(np.minimum(b, begins + step_s) - np.maximum(a, begins), 0, None)
    return first, covered / step_s


def envelope(occurrence: Occurrence, t0: float, step_s: float, first: int, count: int) -> Column:
    """Return how strong the fault is in each round: 1 where flat; the mean of the noisy shape is about 1."""
    shape = occurrence.kind.shape
    if shape in ("flat", "flap"):
        return np.ones(count)
    middle = t0 + step_s * (np.arange(first, first + count) + 0.5)
    phase = np.clip((middle - occurrence.start) / (occurrence.end - occurrence.start), 0, 1)
    if shape == "bell":
        return np.asarray(np.sin(np.pi * phase) ** 0.7)
    if shape == "ramp":
        return np.minimum(1.0, phase / 0.7)
    rng = np.random.default_rng(occurrence.texture_seed)
    # A knot every 5 minutes: what varies within a fault varies over minutes, whatever the cadence.
    knots = int((occurrence.end - occurrence.start) // 300) + 3
    slow = np.interp((middle - occurrence.start) / 300, np.arange(knots), rng.normal(0, 0.35, knots))
    return np.asarray(np.exp(slow + rng.normal(0, 0.12, count)))


def apply(state: State, site: Site, occurrence: Occurrence, t0: float, step_s: float, rounds: int) -> None:
    """Change a site's state by one fault; rounds is the length of the world."""
    first, covered = overlap(occurrence, t0, step_s, rounds)
    strength = envelope(occurrence, t0, step_s, first, len(covered))
    lo, hi = max(first, state.first), min(first + len(covered), state.first + state.rounds)
    if lo >= hi:
        return
    covered, strength = covered[lo - first : hi - first], strength[lo - first : hi - first]
    at = slice(lo - state.first, hi - state.first)
    for effect, amount in zip(occurrence.kind.effects, occurrence.amounts, strict=True):
        for name in resolve(effect.partition("=")[0], site, occurrence.hits[site.id]):
            change(state, name, at, amount, covered, strength)


def resolve(name: str, site: Site, far: tuple[str, ...]) -> Iterable[str]:
    """Yield the columns that an effect's name means at a site."""
    part, dot, what = name.partition(".")
    if part == "radio":
        if site.wifi_witness:
            yield f"witness_radio.{what}"
        if site.wifi_phones:
            yield f"phones_radio.{what}"
    elif part == "far":
        yield from (f"{target}.{what}" for target in far)
    elif part.startswith("far_"):
        yield from (f"{part[4:]}_{target}{dot}{what}" for target in far)
    elif part == "icmp_anchor":
        yield from (f"icmp_{target}" for target in far)
    else:
        yield name


def change(state: State, name: str, at: slice, amount: float, covered: Column, strength: Column) -> None:
    """Apply one amount to one column."""
    part, _, what = name.rpartition(".")
    if what in ("down", "loss", "loss_u", "loss_d"):
        share = 1.0 - np.minimum(amount * strength, 1.0) * covered
        for direction in "ud" if what in ("down", "loss") else what[-1]:
            state.multiply(f"{part}.{direction}", at, share)
    elif what in ADDED:
        state.add(name, at, amount * strength * covered)
    elif name in SET:
        state.put(name, at, covered > (0.0 if name in AT_ONCE else 0.5), amount)
    else:
        state.multiply(name, at, 1.0 - np.minimum(amount * strength, 1.0) * covered)
