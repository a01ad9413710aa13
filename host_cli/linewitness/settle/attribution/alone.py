"""One site by itself: its near side judged, the evidence on what lies beyond it, and of its columns what others need.

This is all that is done with a site's readings as they are; a fleet holds only what is kept here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from linewitness.settle.attribution import near, soft
from linewitness.settle.attribution.found import Found
from linewitness.settle.attribution.rounds import Flags, Rounds
from linewitness.settle.attribution.seen import Seen, Small, see
from linewitness.settle.attribution.tracks import add_dips, episodes, sticky

SIP_STAY, NAMES_STAY = 3.5, 4.0
RIGHT = 1  # the provider's name led to a right address
# Columns that only the site's own near side is judged by: by far most of what is seen, and not held on to.
OF_THE_NEAR_SIDE = frozenset((
    "dead", "dead_streams", "gateway_echo", "gateway_tcp", "gateway_dead", "gateway_delay", "gateway_jitter", "link",
    "resolver", "hop_dead", "wan_up", "use", "router_uptime_s", "cpu", "boot", "uptime_s", "reset", "public_dns",
    "provider_name", "reflector_loss", "reflector_loss_both", "reflector_jitter", "reflector_delay", "second_loss",
    "second_jitter", "second_delay", "media_jitter", "edge_dead", "anchor1_tcp",
    "anchor2_tcp", "anchor3_tcp", "anchors_loss", "anchors_tcp",
))  # fmt: skip


@dataclass(slots=True)
class Alone:
    """What one site says by itself; states and evidence over its rounds, as in Fleet. evidence: of sip and media."""

    seen: Seen
    hard: Flags
    soft: Flags
    usable: Flags
    edge2: Flags
    second: Flags
    names: Flags
    evidence: dict[str, Small]
    found: list[Found]
    found_soft: list[Found]


def alone(rounds: Rounds) -> Alone:
    """Return what one site's readings say by themselves."""
    seen = see(rounds)
    hard = _track(near.dead_evidence(seen), near.DEAD_STAY)
    grazed = np.nan_to_num(seen["dead"], nan=0.0) > 0.08
    bad = _track(soft.soft_evidence(seen, hard), soft.SOFT_STAY)
    add_dips(bad, hard | bad, _track(soft.dips_evidence(seen, hard), soft.DIPS_STAY))
    usable = seen.measured & ~hard & ~grazed
    clear = usable & ~bad
    read = Alone(
        seen, hard, bad, clear,
        _track(_share(seen, usable, "edge2_sip"), SIP_STAY), _track(_share(seen, usable, "second_sip"), SIP_STAY),
        _track(_astray(seen, hard), NAMES_STAY), {"sip": _sip(seen, usable), "media": _media(seen, clear)},
        near.power_cuts(seen) + near.cuts(seen, hard), _soft(seen, hard, bad),
    )  # fmt: skip
    _let_go(seen)
    return read


def _let_go(seen: Seen) -> None:
    """Drop what no other site's verdict needs; of what was never measured keep no more than that."""
    for name in [*seen.values]:
        if name in OF_THE_NEAR_SIDE:
            del seen.values[name]
        elif np.isnan(seen[name]).all():
            seen.values[name] = np.broadcast_to(np.float32(np.nan), len(seen))


def _track(evidence: Small, stay: float) -> Flags:
    return np.asarray(sticky(evidence[np.newaxis], stay)[0])


def _soft(seen: Seen, hard: Flags, states: Flags) -> list[Found]:
    """Return the episodes of bad quality on the shared way."""
    found = []
    for first, last in episodes(states, seen.step_s):
        inside = np.zeros(len(seen), bool)
        inside[first:last] = states[first:last]
        inside &= seen.measured & ~hard
        if not inside.any():
            continue
        side, rule = soft.where(seen, soft.contrast(seen, inside))
        if side:
            start_s, end_s = (seen.t0_s + at * seen.step_s for at in (first, last))
            found.append(Found(seen.facts.site, start_s, end_s, int(first), int(last), side, rule))
    return found


def _astray(seen: Seen, hard: Flags) -> Small:
    """Return evidence that the site could not get the provider's right address."""
    told = seen["provider_name"]
    return np.where(np.isnan(told) | hard, 0.0, np.where(told < RIGHT, 2.5, -2.5)).astype(np.float32)


def _sip(seen: Seen, usable: Flags) -> Small:
    """Return evidence that signalling failed; an answered error says more than a silence."""
    evidence = _share(seen, usable, "sip")
    told = usable & (seen["sip_error"] == 1) & (seen["sip"] < 0.9)
    return np.where(told, np.maximum(evidence, 2.5), evidence)


def _share(seen: Seen, usable: Flags, name: str) -> Small:
    """Return evidence from a share of requests that were served: a call is kept from being set up below 0.7."""
    evidence = np.clip((0.7 - seen[name]) * 5.0, -1.5, 3.5)
    return np.where(usable & ~np.isnan(evidence), evidence, 0.0).astype(np.float32)


def _media(seen: Seen, usable: Flags) -> Small:
    """Return evidence that the media to the provider was too bad for calls while the shared way was not."""
    level, shared = seen["i_media"], soft.near_impairment(seen)
    shared = np.where(np.isnan(shared), 0.0, shared)
    mild = np.minimum((level - soft.BAD_AT) / soft.SPREAD, (level - shared - 8.0) / 6.0)
    gone = seen["media_loss"] >= 0.9
    hopeless = (level > soft.HOPELESS) & (level - shared > 0.5 * soft.HOPELESS)
    evidence = np.clip(mild, -soft.STRONGEST, soft.STRONGEST)
    evidence = np.where(gone, 3.5, np.where(hopeless, soft.DIPPED, evidence))
    return np.where(usable & ~np.isnan(evidence), evidence, 0.0).astype(np.float32)
