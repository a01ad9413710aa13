"""Bad quality on the way that all targets share: is it the radio and the LAN, the router, the own line's load, the ISP?

An episode is judged as a whole, by contrasts within it: what the gateway showed on the same radio in the same rounds,
against what the streams beyond it showed; the router's services; how full the line was; whether only UDP suffered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from linewitness.settle.attribution.found import ACCESS, LAN, ROUTER, TRANSIT
from linewitness.settle.attribution.quality import impairment
from linewitness.settle.attribution.rounds import ANCHORS, Flags
from linewitness.settle.attribution.seen import Seen, Small, fmin
from linewitness.settle.attribution.tracks import rolling_mean

SOFT_STAY = 3.5
BAD_AT = 20.0
SPREAD = 8.0
STRONGEST = 1.5
SPARED = 0.02  # share of bad rounds that faults alone may make up
HOPELESS, DIPPED = 60.0, 3.0
DIPS_STAY, IN_DIPS = 6.0, 0.4  # of what comes and goes: the share of rounds that are bad then
DIP_AT = 30.0
FULL_LINE, REFUSING = 0.8, 0.75
ECHOES = 12
LATE_MS = 10.0
QUEUE_MS, QUEUE_MS_LTE = 25.0, 60.0
QUEUE = "queue"  # not a side: a long queue, and nobody says whose packets fill it
UDP = "udp"  # not a side: UDP alone suffers, which the sites beside this one have to tell apart


def near_impairment(seen: Seen) -> Small:
    """Return the impairment that every stream suffered, NaN where fewer than two were measured."""
    streams = np.stack([seen["i_media"], seen["i_second"], seen["i_reflector"]])
    known = (~np.isnan(streams)).sum(axis=0)
    controls = fmin(seen["i_second"], seen["i_reflector"])
    if np.isnan(controls).all():
        controls = anchors_impairment(seen)
        least = np.where(_all_late(seen), seen["i_media"], np.minimum(controls, seen["i_media"]))
        return np.where(np.isnan(controls), np.nan, least).astype(np.float32)
    return np.where(known >= 2, np.fmin.reduce(streams, axis=0), np.nan).astype(np.float32)


def anchors_impairment(seen: Seen) -> Small:
    """Return the impairment that the anchors' echoes tell of, smoothed since they are few: a poor man's control."""
    loss = rolling_mean(seen["anchors_loss"].astype(np.float64), 7)
    delay = rolling_mean(fmin(*(seen[f"anchor{n}_delay"] for n in "123")).astype(np.float64), 7)
    return impairment(1 - np.sqrt(np.clip(1 - loss, 0, 1)), delay, np.zeros(len(seen))).astype(np.float32)


def _all_late(seen: Seen) -> Flags:
    """Return the rounds in which every anchor's echoes were late as the media was: a queue that all of them stand in,
    whose jitter echoes don't tell of."""
    delays = [
        rolling_mean(seen[name].astype(np.float64), 7) for name in ("media_delay", *(f"{a}_delay" for a in ANCHORS))
    ]
    with np.errstate(invalid="ignore"):
        return np.asarray((delays[0] > LATE_MS) & (fmin(*delays[1:]) > 0.5 * delays[0]))


def soft_evidence(seen: Seen, hard: Flags) -> Small:
    """Return log likelihood ratios, by round, that the shared way's quality was too bad for calls."""
    level = near_impairment(seen)
    evidence = np.clip((level - BAD_AT) / SPREAD, -STRONGEST, STRONGEST)
    # Half of all rounds may be whole in a fault that comes and goes: what is far too bad for noise says more.
    evidence = np.where(level > HOPELESS, DIPPED, evidence)
    evidence = np.where(evidence > 0, evidence * _weight(level), evidence)
    return np.where(hard | np.isnan(evidence), 0.0, evidence).astype(np.float32)


def dips_evidence(seen: Seen, hard: Flags) -> Small:
    """Return log likelihood ratios, by round, that the shared way failed now and then: good rounds say little."""
    level = near_impairment(seen)
    bad, known = hard | (level > DIP_AT), hard | ~np.isnan(level)
    usual = max(float(bad[known].mean()) if known.any() else 0.0, 0.01)
    speaks = np.log(IN_DIPS / min(usual, IN_DIPS)), np.log((1 - IN_DIPS) / (1 - min(usual, IN_DIPS)))
    return np.where(known, np.where(bad, *speaks), 0.0).astype(np.float32)


def _weight(level: Small) -> float:
    """Return how much a bad round says at this site, 0..1: little where many are bad on any day (noisy radio)."""
    known = level[~np.isnan(level)]
    usual = float((known > BAD_AT).mean()) if len(known) else 0.0
    return float(np.log(0.75 / np.clip(usual - SPARED, 0.01, 0.6)) / np.log(75.0))


@dataclass(frozen=True, slots=True)
class Contrast:
    """What an episode showed, means over its rounds less what is normal at the site; losses are of the round trip."""

    gateway_loss: float
    gateway_jitter: float
    gateway_delay: float
    beyond_loss: float
    beyond_jitter: float
    beyond_delay: float
    anchors_loss: float
    anchors_clean: int
    anchors_known: int
    anchors_tcp: float
    gateway_tcp: float
    resolver: float
    use: float
    cpu: float
    echo_limited: bool


def contrast(seen: Seen, rounds: Flags) -> Contrast:
    """Return an episode's contrasts over the rounds given."""

    def mean(name: str) -> float:
        values = seen[name][rounds]
        return float(np.nanmean(values)) if (~np.isnan(values)).any() else float("nan")

    def above(name: str) -> float:
        return max(mean(name) - seen.usual(name), 0.0) if seen.usual(name) == seen.usual(name) else float("nan")

    def squares(name: str) -> float:
        usual, here = seen.usual(name), seen[name][rounds]
        here = here[~np.isnan(here)]
        if usual != usual or not len(here):
            return float("nan")
        return float(np.sqrt(max(float((here**2).mean()) - usual**2, 0.0)))

    beyond = [above(n) for n in ("reflector_loss_both", "second_loss") if not np.isnan(mean(n))]
    if not beyond:
        beyond = [above("media_loss_both")]
    gateway_loss = above("gateway_echo")
    beyond_loss = float(min(beyond))
    limited = gateway_loss > 1.5 * beyond_loss + 0.06
    jitters = [squares(n) for n in ("reflector_jitter", "second_jitter", "media_jitter")]
    delays = [above(n) for n in ("reflector_delay", "second_delay", "media_delay")]
    return Contrast(
        gateway_loss, squares("gateway_jitter"), above("gateway_delay"), beyond_loss, _least(jitters),
        _least(delays), above("anchors_loss"), *_anchors(seen, rounds, beyond_loss, _least(delays)),
        mean("anchors_tcp"), mean("gateway_tcp"), mean("resolver"),
        mean("use"), above("cpu"), limited,
    )  # fmt: skip


def _least(values: list[float]) -> float:
    known = [value for value in values if value == value]
    return min(known) if known else 0.0


def _anchors(seen: Seen, rounds: Flags, beyond_loss: float, beyond_delay: float) -> tuple[int, int]:
    """Return (clean, known): how many anchors show nothing of the loss or the delay that the streams suffer."""
    clean = known = 0
    if beyond_loss < 0.02 and beyond_delay < 8.0:
        return 0, 0
    for name in ANCHORS:
        echo, delay = seen[f"{name}_echo"], seen[f"{name}_delay"]
        here = echo[rounds]
        here = here[~np.isnan(here)]
        if not len(here):
            continue
        usual = float(np.nanmean(echo[seen.measured]))
        known += 1
        noise = 2.0 * np.sqrt(max(usual, 0.005) / (ECHOES * len(here)))
        lossless = float(here.mean()) - usual < (0.25 * beyond_loss if beyond_loss >= 0.02 else 0.02)
        certain = beyond_loss < 0.02 or noise < 0.4 * beyond_loss
        late = float(np.nanmean(delay[rounds])) if (~np.isnan(delay[rounds])).any() else 0.0
        clean += lossless and certain and (beyond_delay < 8.0 or late < 0.3 * beyond_delay)
    return clean, known


def lan_share(c: Contrast) -> float:
    """Return how much of what calls lost was lost up to the gateway already, 0..1; NaN where that was not measured."""
    zero = np.zeros(1)
    parts = []
    losses = impairment(np.array([c.beyond_loss / 2]), zero, zero)[0] - impairment(zero, zero, zero)[0]
    if not c.echo_limited and not np.isnan(c.gateway_loss):
        parts.append((losses, min(c.gateway_loss / max(c.beyond_loss, 1e-4), 1.0)))
    late = max(c.beyond_jitter - 6.0, 0.0)
    if not np.isnan(c.gateway_jitter):
        parts.append((late, min((c.gateway_jitter / max(c.beyond_jitter, 0.5)) ** 2, 1.0)))
    if not np.isnan(c.gateway_delay):
        parts.append((0.1 * c.beyond_delay, min(c.gateway_delay / max(c.beyond_delay, 1.0), 1.0)))
    weight = sum(w for w, _ in parts)
    return sum(w * share for w, share in parts) / weight if weight > 0 else float("nan")


def where(seen: Seen, c: Contrast) -> tuple[str, str]:
    """Return (side, rule) of an episode of bad quality on the shared way; an empty side: the witness's own radio."""
    share = lan_share(c)
    own_radio = seen.facts.witness_on_wifi is True and seen.facts.phones_on_wifi is False
    near_loss = 0.0 if c.echo_limited or np.isnan(c.gateway_loss) else c.gateway_loss
    sick = (
        (c.gateway_tcp < 0.9 - near_loss)
        + (c.gateway_tcp < REFUSING - near_loss)
        + (c.resolver < 0.88 - near_loss - c.beyond_loss)
        + (c.cpu > 0.25)
    )
    if sick >= 2 and not own_radio:
        return ROUTER, "router_overloaded"
    if share > 0.5:
        if own_radio:
            return (ROUTER, "router_overloaded") if sick >= 2 and c.gateway_tcp < 0.8 else ("", "own_radio")
        return LAN, "lan_quality"
    if sick >= 2:
        return ROUTER, "router_overloaded"
    if c.use > FULL_LINE:
        return LAN, "line_full"
    if c.anchors_known and 0 < c.anchors_clean < c.anchors_known:
        return TRANSIT, "some_anchors_clean"
    if c.anchors_known and c.anchors_clean == c.anchors_known and not c.anchors_tcp < 0.9:
        return UDP, "udp_only"
    if np.isnan(c.use) and c.beyond_delay > (QUEUE_MS_LTE if seen.facts.technology == "lte" else QUEUE_MS):
        return QUEUE, "queue"
    if np.isnan(share):
        return ACCESS, "line_unwatched"
    return ACCESS, "line_quality"
