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


def sticky(evidence: Column, stay: float) -> Flags:
    """Return the failed rounds of each row of evidence [rows, rounds] (log likelihood ratios, failed over whole)."""
    rows, rounds = evidence.shape
    speaking = evidence.max(axis=1, initial=0.0) > 0.0
    if not speaking.all():
        states = np.zeros((rows, rounds), bool)
        if speaking.any():
            states[speaking] = sticky(evidence[speaking], stay)
        return states
    by_round = np.ascontiguousarray(evidence.T)
    lead = np.empty_like(by_round)
    current = np.full(rows, -stay, by_round.dtype)
    for index in range(rounds):
        current = by_round[index] + np.clip(current, -stay, stay)
        lead[index] = current
    states = np.empty((rounds, rows), bool)
    if not rounds:
        return states.T
    now = lead[-1] > 0
    states[-1] = now
    for index in range(rounds - 2, -1, -1):
        now = lead[index] > np.where(now, -stay, stay)
        states[index] = now
    return np.ascontiguousarray(states.T)


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
