"""What simple methods say, to be measured beside ours. Neither pools over sites; both name a side for every bad round.

naive: one round at a time: the gateway answers and the provider doesn't, so it was the provider.
baseline-b: segment differences at one site as monitoring products do: the nearest segment that is bad owns what lies
behind it, judged after three bad rounds (two failing calls), with anchors and a second provider as controls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from simulations.branch.feed import Observations, observations
from simulations.branch.world import Line, World

Cells = NDArray[np.bool_]

LOSS = 0.5
QUALITY_LOSS = 0.03
QUALITY_JITTER_MS = 30.0
BAD_MOS = 3.6
DEBOUNCE = 3
CONFIDENCE_NAIVE = 0.9
CONFIDENCE_DIFFERENCES = 0.8


def naive(world: World) -> Iterator[Line]:
    """Yield the verdicts of rule (a): gateway fine and provider bad, so the provider; gateway bad, so the customer."""
    for seen in observations(world):
        gateway_bad = seen["gw_loss"] >= LOSS
        provider_bad = (seen["p_sip"] < LOSS) | (seen["m_mos"] < BAD_MOS) | (seen["c_ok"] == 0)
        yield from spans(seen, "customer", gateway_bad, CONFIDENCE_NAIVE)
        yield from spans(seen, "provider", provider_bad & ~gateway_bad, CONFIDENCE_NAIVE)


def differences(world: World) -> Iterator[Line]:
    """Yield the verdicts of rule (b): the first bad segment on the way out, debounced."""
    for seen in observations(world):
        left = np.ones(len(seen.measured), bool)
        for side, bad in segments(seen):
            mine = debounced(bad & left, DEBOUNCE)
            left &= ~mine
            yield from spans(seen, side, mine, CONFIDENCE_DIFFERENCES)


def segments(seen: Observations) -> Iterator[tuple[str, Cells]]:
    """Yield (side, rounds in which that segment looks bad) from the office outward."""
    yield "customer_power", powered_off(seen)
    yield "customer_lan", (seen["link"] == 0) | (seen["gw_tcp"] == 0) | (seen["gw_jit"] > QUALITY_JITTER_MS)
    anchors = np.stack([bad_anchor(seen, number) for number in "123"])
    poor = (worst(seen, "x_loss_u", "x_loss_d") > QUALITY_LOSS) & (seen["q_loss"] > QUALITY_LOSS)
    yield "access", (anchors.sum(axis=0) >= 2) | poor
    second_bad = (seen["q_sip"] < LOSS) | (seen["q_loss"] > 2 * QUALITY_LOSS)
    media_bad = seen["m_mos"] < BAD_MOS
    signalling_bad = seen["p_sip"] < LOSS
    yield "transit", (media_bad | signalling_bad) & (second_bad | anchors.any(axis=0))
    yield "provider", (media_bad | signalling_bad) & ~second_bad
    yield "carrier", held(seen["c_ok"] == 0, seen["c_ok"]) & ~held(seen["oc_ok"] == 0, seen["oc_ok"])


def powered_off(seen: Observations) -> Cells:
    """Return the rounds without a row that end in a boot by power."""
    off = np.zeros(len(seen.measured), bool)
    rows = np.flatnonzero(seen.measured)
    for before, after in pairwise(rows):
        if after - before > 1 and seen["reset"][after] == 1:
            off[before + 1 : after] = True
    return off


def bad_anchor(seen: Observations, number: str) -> Cells:
    return np.asarray((seen[f"a{number}_loss"] >= LOSS) & (seen[f"a{number}_tcp"] < 1))


def worst(seen: Observations, *columns: str) -> NDArray[np.float64]:
    return np.max([seen[column] for column in columns], axis=0)


def held(bad: Cells, made: NDArray[np.float64]) -> Cells:
    """Return for every round whether the latest two of a sparse test's runs were bad."""
    runs = np.flatnonzero(~np.isnan(made))
    twice = np.concatenate(([False], bad[runs][1:] & bad[runs][:-1]))
    latest = np.searchsorted(runs, np.arange(len(made)), side="right")
    return np.concatenate(([False], twice[: len(runs)]))[latest]


def debounced(bad: Cells, rounds: int) -> Cells:
    """Return runs of bad rounds that are at least that long; a single good round between two doesn't end a run."""
    bridged = bad.copy()
    bridged[1:-1] |= bad[:-2] & bad[2:]
    edges = np.flatnonzero(np.diff(np.concatenate(([False], bridged, [False])).astype(int)))
    for start, end in edges.reshape(-1, 2):
        if end - start < rounds:
            bridged[start:end] = False
    return bridged


def spans(seen: Observations, side: str, bad: Cells, confidence: float) -> Iterator[Line]:
    """Yield a verdict for each run of rounds."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], bad, [False])).astype(int)))
    for start, end in edges.reshape(-1, 2):
        begin, stop = (seen.t0 + seen.step_s * int(at) for at in (start, end))
        yield {"site": seen.site["id"], "start": begin, "end": stop, "side": side, "confidence": confidence}


METHODS: dict[str, Callable[[World], Iterator[Line]]] = {"naive": naive, "baseline-b": differences}
