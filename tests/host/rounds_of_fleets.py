"""Hand-made fleets as rounds: healthy sites, and what makes parts of them fail for a stretch."""

from __future__ import annotations

from typing import Any

import numpy as np

from linewitness.settle.attribution.found import Found
from linewitness.settle.attribution.rounds import Column, Rounds, SiteFacts

ROUNDS, STEP_S, T0_S = 400, 60.0, 1_790_000_000.0
AT = slice(200, 230)
CALL_EVERY = 10


def site(name: str, isp: str = "a", provider: str = "acme", **facts: Any) -> Rounds:
    """Return a healthy wired site that has everything but SNMP."""
    rng = np.random.default_rng(sum(map(ord, name)))
    told: dict[str, Any] = {
        "region": "north", "edge": "0", "second": "other", "carrier": "tel", "technology": "fibre",
        "witness_on_wifi": False, "phones_on_wifi": False,
    }  # fmt: skip
    columns: dict[str, Column] = {name: np.ones(ROUNDS) for name in (
        "link", "gateway_tcp", "resolver_ok", "public_dns_ok", "provider_name", "anchor1_tcp", "anchor2_tcp",
        "anchor3_tcp", "edge_tcp", "edge_sip", "edge2_sip", "second_sip",
    )}  # fmt: skip
    for loss in ("gateway", "hop", "anchor1", "anchor2", "anchor3", "edge", "edge2", "second"):
        columns[f"{loss}_loss"] = np.zeros(ROUNDS)
    for way in ("media", "reflector"):
        columns[f"{way}_loss_up"], columns[f"{way}_loss_down"] = np.zeros(ROUNDS), np.zeros(ROUNDS)
    for rtt in ("gateway", "anchor1", "anchor2", "anchor3", "edge", "media", "second", "reflector"):
        columns[f"{rtt}_rtt"] = 20 + rng.exponential(0.3, ROUNDS)
    for jitter in ("gateway", "media", "second", "reflector"):
        columns[f"{jitter}_jitter"] = 1 + rng.exponential(0.1, ROUNDS)
    columns["edge_code"] = np.full(ROUNDS, 200.0)
    due = np.arange(ROUNDS) % CALL_EVERY == sum(map(ord, name)) % CALL_EVERY
    for call in ("inside", "carrier"):
        columns[f"{call}_call_ok"] = np.where(due, 1.0, np.nan)
    columns["boot"], columns["uptime_s"] = np.full(ROUNDS, 7.0), 9000 + STEP_S * np.arange(ROUNDS)
    columns["reset"] = np.zeros(ROUNDS)
    return Rounds(SiteFacts(name, isp, provider=provider, **told | facts), T0_S, STEP_S, np.ones(ROUNDS, bool), columns)


def fleet(count: int = 8, isps: str = "ab", **facts: Any) -> list[Rounds]:
    return [site(f"s{i:02}", isps[i % len(isps)], **facts) for i in range(count)]


def put(where: Rounds, at: slice, **values: float) -> None:
    for name, value in values.items():
        where.columns[name][at] = value


def fail_calls(where: Rounds, at: slice, *names: str) -> None:
    for name in names:
        column = where.columns[f"{name}_call_ok"]
        column[at] = np.where(np.isnan(column[at]), np.nan, 0.0)


def edge_dead(where: Rounds, at: slice = AT) -> None:
    put(where, at, edge_loss=1, edge_tcp=0, edge_sip=0, edge_code=0, media_loss_up=1, media_loss_down=1)
    fail_calls(where, at, "inside", "carrier")


def sip_dead(where: Rounds, at: slice = AT) -> None:
    put(where, at, edge_sip=0, edge_code=0)


def line_dead(where: Rounds, at: slice = AT) -> None:
    edge_dead(where, at)
    put(where, at, **{f"anchor{n}_loss": 1 for n in "123"}, **{f"anchor{n}_tcp": 0 for n in "123"}, edge2_sip=0,
        edge2_loss=1, second_sip=0, second_loss=1, reflector_loss_up=1, reflector_loss_down=1, public_dns_ok=0,
        hop_loss=1)  # fmt: skip


def lossy(where: Rounds, at: slice, loss: float, *streams: str) -> None:
    for name in streams:
        if name == "second":
            put(where, at, second_loss=1 - (1 - loss) ** 2)
        elif name.startswith("anchor"):
            put(where, at, **{f"{name}_loss": 1 - (1 - loss) ** 2})
        else:
            put(where, at, **{f"{name}_loss_up": loss, f"{name}_loss_down": loss})


def sides(found: list[Found]) -> set[str]:
    return {f.side for f in found}


def gone(where: Rounds, at: slice, *, reset: float, boots: bool = True) -> None:
    """Take rows away; the witness comes back with a new boot, or the same."""
    where.measured[at] = False
    for column in where.columns.values():
        column[at] = np.nan
    if boots:
        where.columns["boot"][at.stop :] += 1
        where.columns["uptime_s"][at.stop :] = 20 + STEP_S * np.arange(ROUNDS - at.stop)
        where.columns["reset"][at.stop] = reset
