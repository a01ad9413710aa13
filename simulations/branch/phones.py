"""What the phones of a site live through: quality and set-up of calls, from the state of the path, without noise.

The quality model is G.107 with defaults for delay (Idd of clause 7.4 approximated as 0.024 d + 0.11 (d - 177.3) above
177.3 ms) and Ie_eff with Bpl 9.5, plus the packets that come too late for a jitter buffer that takes 18 ms of jitter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulations.branch.state import Column, State
from simulations.branch.topology import Site

BAD_MOS = 3.6
BAD_SETUP = 0.3
BPL = 9.5
BUFFER_MS = 20.0
LATE_FROM_MS = 18.0
LATE_PER_MS = 0.0055
BASE_RTT_MS = 45.0
BASE_JITTER_MS = 2.0
BASE_LOSS = 0.002
CHAIN = ("lan", "router", "line", "isp", "udp")


def mos(loss: Column, rtt_ms: Column, jitter_ms: Column) -> Column:
    """Return MOS-CQE of a call with this loss (worse direction, 0..1), round trip and jitter."""
    delay = rtt_ms / 2 + BUFFER_MS
    late = np.clip((jitter_ms - LATE_FROM_MS) * LATE_PER_MS, 0, 1)
    lost = 100 * (1 - (1 - loss) * (1 - late))
    r = 93.2 - 0.024 * delay - 0.11 * np.maximum(delay - 177.3, 0) - 95 * lost / (lost + BPL)
    r = np.clip(r, 0, 100)
    return np.asarray(np.clip(1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6, 1.0, 4.5))


@dataclass(frozen=True, slots=True)
class Lived:
    """Per round: MOS of a call that is up, share of calls that can't be set up, and whether that counts as bad."""

    mos: Column
    setup_failing: Column
    bad: NDArray[np.bool_]


def live(state: State, site: Site) -> Lived:
    """Return what the phones of a site lived through, by the state alone."""
    chain = (*(("phones_radio",) if site.wifi_phones else ()), *CHAIN, "p", "media_p")
    up, down = product(state, chain, ".u"), product(state, chain, ".d")
    delay = np.zeros(state.rounds)
    for part in chain:
        delay = delay + state.added(f"{part}.delay")
    jitter = sum((np.square(state.added(f"{part}.jitter")) for part in chain), np.full(state.rounds, BASE_JITTER_MS**2))
    loss = np.maximum(1 - np.minimum(up, down) * (1 - state.added("carrier_loss")), BASE_LOSS)
    quality = mos(loss, BASE_RTT_MS + delay, np.sqrt(jitter))
    signalling = product(state, chain[:-1], ".u") * product(state, chain[:-1], ".d")
    # A request is sent again several times (RFC 3261 17.1.1): only heavy loss keeps a call from being set up.
    reached = 1 - (1 - signalling) ** 3
    shares = ("sip_p", "register_p", "carrier", "call_any", "sip_any", "phones", "new_flows")
    setup_failing = 1 - reached * product(state, shares, "")
    return Lived(quality, setup_failing, (quality < BAD_MOS) | (setup_failing > BAD_SETUP))


def product(state: State, parts: tuple[str, ...], suffix: str) -> Column:
    """Return the product of the parts' shares, in each round."""
    whole = np.ones(state.rounds)
    for part in parts:
        whole = whole * state.ok(part + suffix)
    return whole
