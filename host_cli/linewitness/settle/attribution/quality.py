"""How much of a call's quality a path takes away: G.107's impairments from loss, delay and jitter.

R = 93.2 - I; I is Idd (clause 7.4, as 0.024 d + 0.11 (d - 177.3) above 177.3 ms), plus Ie_eff = 95 Ppl / (Ppl + Bpl)
with Bpl 9.5 (what the feeders' MOS assumes), plus the packets that come too late for a jitter buffer. A call is bad
below MOS 3.6, which is I above 23.
"""

from __future__ import annotations

import numpy as np

from linewitness.settle.attribution.rounds import Column

R0 = 93.2
BAD_IMPAIRMENT = 23.1  # R 70.1, MOS 3.6
DEAD_IMPAIRMENT = 93.2
BPL = 9.5
BUFFER_MS = 20.0
LATE_FROM_MS = 18.0
LATE_PER_MS = 0.0055


def mos(r: Column) -> Column:
    """Return MOS-CQE of R (G.107 annex B)."""
    r = np.clip(r, 0.0, 100.0)
    return np.asarray(np.clip(1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6, 1.0, 4.5))


_R_TABLE = np.linspace(6.5, 100.0, 600)  # below R 6.5 the formula falls under MOS 1
_MOS_TABLE = np.maximum.accumulate(mos(_R_TABLE))


def impairment_of_mos(value: Column) -> Column:
    """Return I of a MOS, NaN where that is NaN."""
    return np.where(np.isnan(value), np.nan, R0 - np.interp(value, _MOS_TABLE, _R_TABLE))


def impairment(loss: Column, rtt_ms: Column, jitter_ms: Column) -> Column:
    """Return I of a path; NaN where loss is NaN; an unknown delay or jitter adds nothing; all lost: DEAD_IMPAIRMENT."""
    delay = np.nan_to_num(rtt_ms, nan=0.0) / 2 + BUFFER_MS
    late = np.clip((np.nan_to_num(jitter_ms, nan=0.0) - LATE_FROM_MS) * LATE_PER_MS, 0, 1)
    lost = 100 * (1 - (1 - loss) * (1 - late))
    whole = 0.024 * delay + 0.11 * np.maximum(delay - 177.3, 0) + 95 * lost / (lost + BPL)
    return np.asarray(np.where(loss >= 0.999, DEAD_IMPAIRMENT, np.minimum(whole, DEAD_IMPAIRMENT)))
