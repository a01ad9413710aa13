"""One site's rounds as evidence: how much of each path was dead, how much quality each took, what the own controls say.

Everything calibrates itself: a probe that this target never answers is no evidence, and what a healthy day shows
(medians over the period) is taken off. Kept small (float32 and smaller), since a fleet's sites are held side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linewitness.settle.attribution import quality
from linewitness.settle.attribution.rounds import ANCHORS, Column, Flags, Rounds, SiteFacts

Small = NDArray[np.floating[Any]]

ANSWERS_SHARE = 0.3  # a probe that got through in fewer of all rounds is not evidence of anything
ERROR_CODES = (500.0, 700.0)  # SIP: it is the service that fails
REFUSED_CODES = (403.0, 404.0, 405.0, 429.0)  # it is the asking that is refused


@dataclass(slots=True)
class Seen:
    """What a site's readings say; arrays over the rounds, NaN where not measured.

    dead: share of the round in which nothing beyond the gateway answered (None measured: NaN).
    gateway_dead: the same for the gateway itself.
    i_media, i_second, i_reflector: impairments (G.107) of the three streams; excesses are over the site's median.
    sip, second_sip, edge2_sip: share of OPTIONS served, relative to what the loss on the way lets through.
    """

    facts: SiteFacts
    t0_s: float
    step_s: float
    measured: Flags
    values: dict[str, Small]
    _usual: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.measured)

    def __getitem__(self, name: str) -> Small:
        return self.values[name]

    def usual(self, name: str) -> float:
        """Return a column's median over the period, NaN where it was never measured."""
        if name not in self._usual:
            known = self.values[name][self.measured]
            known = known[~np.isnan(known)]
            self._usual[name] = float(np.median(known)) if len(known) else float("nan")
        return self._usual[name]


def see(rounds: Rounds) -> Seen:
    """Return the evidence of one site."""
    out: dict[str, Column] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        _streams(rounds, out)
        _targets(rounds, out)
        _near(rounds, out)
        _signalling(rounds, out)
        _calls(rounds, out)
    small = {name: values.astype(np.float32) for name, values in out.items()}
    # Without an address of its own a witness sees nothing, and nothing of the phones, which keep theirs.
    gone = (rounds.column("link") > 0.5) & (rounds.column("address") < 0.5)
    blind = np.convolve(gone, (1, 1, 1), "same") > 0
    for name in small.keys() - {"boot", "uptime_s", "reset"} if blind.any() else ():
        small[name][blind] = np.nan
    return Seen(rounds.facts, rounds.t0_s, rounds.step_s, rounds.measured & ~blind, small)


def fmin(*columns: Column) -> Column:
    """Return the least of what was measured."""
    return np.asarray(np.fmin.reduce(columns))


def fmax(*columns: Column) -> Column:
    return np.asarray(np.fmax.reduce(columns))


def alive(loss: Column) -> Column:
    """Return a loss column, all NaN if hardly ever anything was answered."""
    known = ~np.isnan(loss)
    if not known.any() or float((loss[known] < 0.6).mean()) < ANSWERS_SHARE:
        return np.full(len(loss), np.nan)
    return loss


def excess(values: Column) -> Column:
    """Return how far values lie above their own median, at least 0."""
    if np.isnan(values).all():
        return values
    return np.maximum(values - np.nanmedian(values), 0.0)


def _streams(rounds: Rounds, out: dict[str, Column]) -> None:
    """Loss, excess delay and jitter, and impairment of the call-like streams."""
    c = rounds.column
    up, down = c("media_loss_up"), c("media_loss_down")
    out["media_loss"] = fmax(up, down)
    out["media_loss_both"] = 1 - (1 - up) * (1 - down)
    given = quality.impairment_of_mos(c("media_mos"))
    own = quality.impairment(out["media_loss"], c("media_rtt"), c("media_jitter"))
    out["i_media"] = np.where(np.isnan(given), own, given)
    up, down = c("reflector_loss_up"), c("reflector_loss_down")
    reflector = alive(fmax(up, down))
    out["reflector_loss"] = reflector
    out["reflector_loss_both"] = 1 - (1 - up) * (1 - down)
    out["i_reflector"] = quality.impairment(reflector, c("reflector_rtt"), c("reflector_jitter"))
    second = alive(c("second_loss"))
    out["second_loss"] = second
    # One figure for both ways: what a call feels is about half of a small loss.
    one_way = 1 - np.sqrt(np.maximum(1 - second, 0.0))
    out["i_second"] = quality.impairment(np.where(second >= 0.999, 1.0, one_way), c("second_rtt"), c("second_jitter"))
    for name in ("media", "reflector", "second"):
        out[f"{name}_jitter"] = c(f"{name}_jitter")
        out[f"{name}_delay"] = excess(c(f"{name}_rtt"))


def _targets(rounds: Rounds, out: dict[str, Column]) -> None:
    """Per target: the share of the round in which none of its living probes was answered."""
    c = rounds.column
    for name in ANCHORS:
        echo = alive(c(f"{name}_loss"))
        out[f"{name}_echo"] = echo
        out[f"{name}_tcp"] = c(f"{name}_tcp")
        # Echoes are the finer measure; where none is answered, a TCP connect says whether it is the echoes only.
        refused = alive(1 - c(f"{name}_tcp"))
        out[f"{name}_dead"] = np.where(echo >= 0.9, fmin(echo, refused), np.where(np.isnan(echo), refused, echo))
        out[f"{name}_delay"] = excess(c(f"{name}_rtt"))
    out["edge_echo"] = alive(c("edge_loss"))
    out["edge_tcp"] = np.where(np.isnan(alive(1 - c("edge_tcp"))), np.nan, c("edge_tcp"))
    out["edge_delay"] = excess(c("edge_rtt"))
    out["edge_dead"] = fmin(out["edge_echo"], 1 - out["edge_tcp"], alive(1 - c("edge_sip")))
    out["edge2_dead"] = fmin(alive(c("edge2_loss")), alive(1 - c("edge2_sip")))
    out["public_dns"] = c("public_dns_ok")
    echoes = np.stack([out[f"{name}_echo"] for name in ANCHORS])
    known = (~np.isnan(echoes)).sum(axis=0)
    out["anchors_loss"] = np.where(known > 0, np.nansum(echoes, axis=0) / np.maximum(known, 1), np.nan)
    tcp = np.stack([c(f"{name}_tcp") for name in ANCHORS])
    known = (~np.isnan(tcp)).sum(axis=0)
    out["anchors_tcp"] = np.where(known > 0, np.nansum(tcp, axis=0) / np.maximum(known, 1), np.nan)


def _near(rounds: Rounds, out: dict[str, Column]) -> None:
    """What the way shared by all targets shows, and the gateway beside it."""
    c = rounds.column
    anchors_dead = np.stack([out[f"{name}_dead"] for name in ANCHORS])
    anchors = np.fmin.reduce(anchors_dead, axis=0)
    groups = np.stack([anchors, out["reflector_loss"], out["second_loss"], fmin(out["media_loss"], out["edge_dead"])])
    enough = (~np.isnan(groups)).sum(axis=0) >= 2
    out["dead"] = np.where(enough, np.fmin.reduce(groups, axis=0), np.nan)
    streams = np.stack([out["reflector_loss"], out["media_loss"]])
    count = (~np.isnan(streams)).sum(axis=0)
    out["dead_streams"] = np.where(count > 0, np.nansum(streams, axis=0) / np.maximum(count, 1), np.nan)
    echo, tcp = alive(c("gateway_loss")), alive(1 - c("gateway_tcp"))
    out["gateway_echo"] = echo
    out["gateway_tcp"] = 1 - tcp
    out["gateway_dead"] = fmin(echo, tcp)
    out["gateway_delay"] = excess(c("gateway_rtt"))
    out["gateway_jitter"] = c("gateway_jitter")
    out["resolver"] = 1 - alive(1 - c("resolver_ok"))
    out["link"] = c("link")
    out["hop_dead"] = alive(c("hop_loss"))
    out["wan_up"] = c("router_wan_up")
    out["use"] = fmax(c("router_use_up"), c("router_use_down"))
    out["router_uptime_s"] = c("router_uptime_s")
    out["cpu"] = c("router_cpu")
    out["provider_name"] = c("provider_name")
    for name in ("boot", "uptime_s", "reset"):
        out[name] = c(name)


def _signalling(rounds: Rounds, out: dict[str, Column]) -> None:
    """Shares of OPTIONS served, relative to what the loss on the way lets through (single shots)."""
    c = rounds.column
    code = c("edge_code")
    error = (code >= ERROR_CODES[0]) & (code < ERROR_CODES[1])
    # Some servers answer every OPTIONS with 404 or 405 and serve calls: a refusal is what is not their usual answer.
    refused = np.isin(code, REFUSED_CODES) & (code != _usual_code(code, c("edge_sip")))
    share = np.where(error, np.minimum(c("edge_sip"), 0.5), c("edge_sip"))
    # What a single packet survives on the way; where the provider's media is dead, the best of the others tells.
    through = 1 - fmin(out["media_loss_both"], out["reflector_loss_both"], out["second_loss"])
    through = np.where(np.isnan(through), 1.0, np.clip(through, 0.05, 1.0))
    out["sip"] = np.clip(share / through, 0, 1)
    out["sip_error"] = np.where(np.isnan(code), np.nan, error)
    out["sip_refused"] = np.where(np.isnan(code), np.nan, refused)
    out["edge2_sip"] = np.clip((1 - alive(1 - c("edge2_sip"))) / through, 0, 1)
    out["second_sip"] = np.clip((1 - alive(1 - c("second_sip"))) / through, 0, 1)


def _usual_code(code: Column, served: Column) -> float:
    """Return the code that most rounds in which OPTIONS were served had, NaN where none were."""
    codes, counts = np.unique(code[(served > 0.5) & (code > 0)], return_counts=True)
    return float(codes[np.argmax(counts)]) if len(codes) else float("nan")


def _calls(rounds: Rounds, out: dict[str, Column]) -> None:
    c = rounds.column
    out["inside"] = c("inside_call_ok")
    out["outside"] = c("carrier_call_ok")
    out["outside_mos"] = c("carrier_call_mos")
