"""The state machine: from how much each round speaks for `failed` to the rounds in which it was.

Two states, sticky: going in and coming out each cost `stay` (logarithm of the odds against a change in one
round), and the sequence of states with the greatest sum wins (Viterbi). So n rounds are needed to enter and to
leave, fewer when each says more. Rounds that say nothing (0) keep the state they are in.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from linewitness.settle.attribution.rounds import Column, Flags

MOSTLY = 0.5
NEAR_ENOUGH_S = 300.0  # episodes of one kind that are closer are one


def sticky(evidence: Column, stay: float) -> Flags:
    """Return the failed rounds of each row of evidence [rows, rounds] (log likelihood ratios, failed over whole)."""
    states = np.zeros(evidence.shape, bool)
    for row, found in zip(evidence, states, strict=True):
        _sticky_row(row, found, stay)
    return states


def _sticky_row(evidence: Column, states: Flags, stay: float) -> None:
    """Set one row's failed rounds, from round to round only where something speaks for it.

    Once the lead of `failed` over `whole` is down at -stay, what came before is forgotten, and until a round speaks for
    `failed` it stays there: nearly all of a healthy year is skipped.
    """
    low, high = evidence.dtype.type(-stay), evidence.dtype.type(stay)
    over = 0
    for first in np.flatnonzero(evidence > 0.0).tolist():
        if first < over:
            continue
        lead, leads = low, []
        # In the evidence's own precision: shares of a few probes add up to ties, which another one would break.
        for value in evidence[first:]:
            lead = value + (high if lead > high else lead if lead > low else low)
            leads.append(lead)
            if lead <= low:
                break
        over = first + len(leads)
        failed = lead > 0.0
        found = [failed]
        for lead in reversed(leads[:-1]):
            failed = lead > (low if failed else high)
            found.append(failed)
        states[first:over] = found[::-1]


def add_dips(states: Flags, known: Flags, dipping: Flags) -> None:
    """Add to states the stretches in which it failed now and then, but for those that mostly failed as is known: dips
    make those no longer."""
    for first, last in runs(dipping):
        if known[first:last].mean() < MOSTLY:
            states[first:last] = True


def runs(flags: Flags) -> NDArray[np.int64]:
    """Return [n, 2]: first round and round after the last of each stretch of True."""
    padded = np.concatenate(([0], flags.astype(np.int8), [0]))
    return np.flatnonzero(np.diff(padded)).reshape(-1, 2)


def bridged(flags: Flags, gap: int) -> Flags:
    """Return flags with the gaps of at most `gap` rounds between two stretches filled."""
    filled = flags.copy()
    found = runs(flags)
    for (_, end), (start, _) in pairwise(found):
        if start - end <= gap:
            filled[end:start] = True
    return filled


def episodes(states: Flags, step_s: float) -> NDArray[np.int64]:
    """Return [n, 2] of one site's episodes: stretches closer than NEAR_ENOUGH_S are one."""
    return runs(bridged(states, round(NEAR_ENOUGH_S / step_s)))


def rolling_mean(values: Column, width: int) -> Column:
    """Return the mean over `width` rounds about each, of what was measured; NaN where nothing was."""
    known = ~np.isnan(values)
    total = np.cumsum(np.concatenate(([0.0], np.where(known, values, 0.0))))
    count = np.cumsum(np.concatenate(([0], known.astype(np.int64))))
    index = np.arange(len(values))
    low, high = np.maximum(index - width // 2, 0), np.minimum(index + width // 2 + 1, len(values))
    n = count[high] - count[low]
    with np.errstate(invalid="ignore"):
        return np.where(n > 0, (total[high] - total[low]) / np.maximum(n, 1), np.nan)
