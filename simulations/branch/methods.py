"""Our own method on a world: its rows become the very rounds that a ledger's readings become, then one attribution.

`settle(world)` is what `python -m simulations.branch settle` runs. A benchmark takes evidence away with `without` (of
linewitness.settle.attribution.rounds.SOURCES, and "posts") or lets every site stand alone (`pooling=False`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from linewitness.settle.attribution.attribute import attribute
from linewitness.settle.attribution.rounds import Column, Post, Rounds, SiteFacts
from linewitness.settle.attribution.windows import Window, attribute_onward, windows
from simulations.branch import baselines
from simulations.branch.feed import Feed, Observations, rounds_of
from simulations.branch.world import Line, World

SIDES = {"undetermined": "inconclusive"}
POSTS = "posts"

COLUMNS = {
    "link": "link", "ip_ok": "address", "gw_loss": "gateway_loss", "gw_rtt": "gateway_rtt", "gw_jit": "gateway_jitter",
    "gw_tcp": "gateway_tcp", "dns_r_ok": "resolver_ok", "dns_a_ok": "public_dns_ok", "pdns": "provider_name",
    "r_up_s": "router_uptime_s", "r_wan": "router_wan_up", "r_util_u": "router_use_up", "r_util_d": "router_use_down",
    "r_cpu": "router_cpu", "h1_loss": "hop_loss",
    "a1_loss": "anchor1_loss", "a1_rtt": "anchor1_rtt", "a1_tcp": "anchor1_tcp",
    "a2_loss": "anchor2_loss", "a2_rtt": "anchor2_rtt", "a2_tcp": "anchor2_tcp",
    "a3_loss": "anchor3_loss", "a3_rtt": "anchor3_rtt", "a3_tcp": "anchor3_tcp",
    "p_loss": "edge_loss", "p_rtt": "edge_rtt", "p_tcp": "edge_tcp", "p_sip": "edge_sip", "p_code": "edge_code",
    "m_loss_u": "media_loss_up", "m_loss_d": "media_loss_down", "m_rtt": "media_rtt", "m_jit": "media_jitter",
    "m_mos": "media_mos", "e2_sip": "edge2_sip", "e2_loss": "edge2_loss",
    "q_sip": "second_sip", "q_loss": "second_loss", "q_rtt": "second_rtt", "q_jit": "second_jitter",
    "q_mos": "second_mos", "x_loss_u": "reflector_loss_up", "x_loss_d": "reflector_loss_down",
    "x_rtt": "reflector_rtt", "x_jit": "reflector_jitter", "oc_ok": "inside_call_ok", "c_ok": "carrier_call_ok",
    "c_mos": "carrier_call_mos", "boot": "boot", "up_s": "uptime_s", "reset": "reset",
}  # fmt: skip
TARGETS = {
    "a1": "anchor1",
    "a2": "anchor2",
    "a3": "anchor3",
    "x": "reflector",
    "p": "edge",
    "e2": "edge2",
    "q": "second",
}


def settle(world: World, pooling: bool = True, without: frozenset[str] = frozenset()) -> Iterator[Line]:
    """Yield the verdicts on a world, window after window."""
    posts = () if POSTS in without else tuple(map(post, world.status))
    feed = Feed(world)

    def sites(window: Window) -> Iterator[Rounds]:
        return map(rounds, feed.window(window.first, window.last, window.following))

    parts = windows(rounds_of(world), world.step_s, len(world.sites))
    judge = partial(attribute, posts=posts, pooling=pooling, without=without - {POSTS})
    for found in attribute_onward(parts, sites, judge):
        yield {
            "site": found.site, "start": round(found.start_s, 1), "end": round(found.end_s, 1),
            "side": SIDES.get(found.side, found.side), "confidence": round(found.confidence, 4), "rule": found.rule,
        }  # fmt: skip


def rounds(seen: Observations) -> Rounds:
    """Return one site's rows as rounds."""
    columns: dict[str, Column] = {name: seen[field] for field, name in COLUMNS.items()}
    return Rounds(facts(seen.site), seen.t0, seen.step_s, seen.measured, columns)


def facts(site: Line) -> SiteFacts:
    """Return what the host was told of a site."""
    path = site.get("path")
    return SiteFacts(
        site["id"], word(site.get("isp")), word(site.get("region")), word(site.get("provider")),
        word(site.get("edge")), word(site.get("second")), word(site.get("carrier")), word(site.get("tech")),
        wifi(site.get("probe_link")), wifi(site.get("phones_link")),
        None if path is None else {TARGETS[t]: str(via) for t, via in path.items() if t in TARGETS and via is not None},
    )  # fmt: skip


def word(value: object) -> str | None:
    return None if value is None else str(value)


def wifi(link: str | None) -> bool | None:
    return None if link is None else link == "wifi"


def post(line: Line) -> Post:
    """Return a status post; what it leaves out of its times is taken from the time of posting."""
    posted = float(line["posted_at"]) if line.get("posted_at") is not None else 0.0
    started = float(line["started_at"]) if line.get("started_at") is not None else posted
    ended = float(line["resolved_at"]) if line.get("resolved_at") is not None else started
    return Post(str(line["provider"]), word(line.get("edge")), started, ended, posted, bool(line.get("scheduled")))


METHODS: dict[str, Callable[[World], Iterator[Line]]] = {"linewitness": settle, **baselines.METHODS}
