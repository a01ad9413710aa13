"""From a site's record to the rounds of settle.attribution: what the ledger's readings become for the pooled engine.

Rounds of STEP_US from the period's start. A round holds the samples sent in it (nominally); a call-quality window or a
test call counts in the round in which it began. Of several witnesses the one that measured most speaks, and the next
one where it was silent. What was not measured is NaN; void samples say nothing.

The provider's edge is its whole set of servers: a round is as good as the best of them (RFC 3263), so that one dead
member is no failure here either. Calls whose target belongs to the segment `provider` are on-net, those of `carrier`
go over the provider's carrier; whom they call is the series' callee. A call that was refused for the asking (4xx, 6xx)
is none, and where several were called in one round the best of them counts.

A control in the segment `provider` is a second provider's, or the other edge of the site's own one where other sites
are served by it. How full the line was is known where the router counts octets and the site's file says what the line
carries. The provider's name leads astray where a site that once found an edge that served it finds an address at which
no site of the fleet was ever served.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from linewitness.model import Fate, OutagePost, QualityWindow, Segment
from linewitness.settle.attribution.rounds import ANCHORS, Column, Flags, Post, Rounds, SiteFacts
from linewitness.settle.grid import (
    STEP_US,
    Grid,
    best,
    calls,
    codes,
    counted,
    loss,
    round_trip,
    served,
    spread,
)
from linewitness.settle.intervals import Interval, intersect, length
from linewitness.settle.router_words import RouterWord
from linewitness.settle.series import Series
from linewitness.settle.timeline import SiteInfo, SiteRecord
from linewitness_wire import codes as wire

MOST_OF_A_ROUND = 0.5
WORST_MOS = 1.0  # of a call in which nothing is heard
ECHOES = 10  # in a round: fewer are too coarse to stand for a stream's loss
DARK = ("anchor1_loss", "anchor2_loss", "anchor3_loss", "edge_loss", "media_loss_up", "media_loss_down",
        "reflector_loss_up", "reflector_loss_down", "second_loss")  # fmt: skip
RESET_POWER, RESET_OTHER = 1.0, 2.0
RIGHT, NOWHERE, ASTRAY = 1.0, 0.0, -1.0


@dataclass(frozen=True, slots=True)
class Common:
    """What the sites' records tell of one another. edges: whose edge a host is; serving: the addresses at which a
    host's signalling ever served anybody."""

    edges: Mapping[str, str] = field(default_factory=dict)
    serving: Mapping[str, frozenset[bytes]] = field(default_factory=dict)


def common(records: Iterable[SiteRecord], infos: Mapping[str, SiteInfo]) -> Common:
    """Return what a fleet's records tell of one another. A host that sites have of two providers is nobody's."""
    owners: defaultdict[str, set[str]] = defaultdict(set)
    serving: defaultdict[str, set[bytes]] = defaultdict(set)
    for record in records:
        for series in record.series:
            if is_edge(series) and series.method != "call":
                owners[series.host].add(infos[record.site].provider)
        for led in record.led:
            if led.served and led.address:
                serving[led.host].add(led.address)
    return Common(
        {host: min(names) for host, names in owners.items() if len(names) == 1},
        {host: frozenset(found) for host, found in serving.items()},
    )


def rounds(record: SiteRecord, info: SiteInfo, period: Interval, fleet: Common | None = None) -> Rounds:
    """Return what a site's witnesses saw in [start_us, end_us), round by round. fleet: None where the site is alone."""
    fleet = common([record], {record.site: info}) if fleet is None else fleet
    grid = Grid(period)
    columns: dict[str, Column] = {}
    for witness, speaks in _speakers(grid, record, period):
        for name, values in _columns(grid, record, witness, info, fleet).items():
            columns[name] = np.where(speaks, values, columns.get(name, np.nan))
    measured = measured_rounds(record, period)
    return Rounds(_facts(record, info, fleet), grid.start_us / 1e6, STEP_US / 1e6, measured, columns)


def measured_rounds(record: SiteRecord, period: Interval) -> Flags:
    """Return which rounds of [start_us, end_us) some witness of the site measured, and the clock places."""
    grid = Grid(period)
    return np.logical_or.reduce([np.zeros(grid.count, bool), *(here for _, here in _speakers(grid, record, period))])


def _speakers(grid: Grid, record: SiteRecord, period: Interval) -> Iterator[tuple[str, Flags]]:
    """Yield (witness, the rounds that it speaks for): the one that measured most first, the others where it did not."""
    told = np.zeros(grid.count, bool)
    for witness in sorted(record.measured, key=lambda w: (-length(record.measured[w]), w)):
        here = grid.shares(intersect(record.measured[witness], [period])) >= MOST_OF_A_ROUND
        # Where the clock is that vague nobody knows which round it was.
        here &= grid.shares(intersect(record.vague.get(witness, ()), [period])) == 0
        if (here & ~told).any():
            yield witness, here & ~told
        told |= here


def posts(current: Sequence[OutagePost]) -> list[Post]:
    """Return the providers' words as the engine takes them: about all edges, from the start that they state."""
    result = []
    for post in current:
        posted_us = post.posted_at_us if post.posted_at_us is not None else post.created_at_us
        said_us = post.started_at_us if post.started_at_us is not None else posted_us
        if posted_us is None or said_us is None or post.impact == "none":
            continue
        end_us = post.resolved_at_us if post.resolved_at_us is not None else post.fetched_at_us
        times = (said_us / 1e6, max(end_us, said_us) / 1e6, posted_us / 1e6)
        result.append(Post(post.provider, None, *times, post.maintenance))
    return result


def _facts(record: SiteRecord, info: SiteInfo, fleet: Common) -> SiteFacts:
    edges = sorted({s.host for s in record.series if is_edge(s) and s.method != "call"})
    seconds = sorted({fleet.edges.get(s.host, s.host) for s in record.series if is_second(s, info, fleet)})
    return SiteFacts(
        info.site, info.isp, info.region, info.provider, ",".join(edges) or None, ",".join(seconds) or None,
        info.carrier, None, not info.wired,
    )  # fmt: skip


def is_edge(series: Series) -> bool:
    """Return whether a series probes the provider's own edge; what its names resolve to does not."""
    return series.segment is Segment.PROVIDER and not series.control and series.method != "dns"


def is_second(series: Series, info: SiteInfo, fleet: Common) -> bool:
    """Return whether a series probes a second provider, as a control."""
    control = series.segment is Segment.PROVIDER and series.control
    return control and fleet.edges.get(series.host) != info.provider


# --- one witness ----------------------------------------------------------------------------------------------------


def _columns(grid: Grid, record: SiteRecord, witness: str, info: SiteInfo, fleet: Common) -> dict[str, Column]:
    mine = [s for s in record.series if s.witness == witness]
    second = [s for s in mine if is_second(s, info, fleet)]
    other = [s for s in mine if s.segment is Segment.PROVIDER and s.control and s not in second]

    def of(segment: Segment, *methods: str) -> list[Series]:
        return [s for s in mine if s.segment is segment and s.method in methods]

    out: dict[str, Column] = {"link": _link(grid, record, witness)}
    gateway = of(Segment.ROUTER, "icmp")
    out["gateway_loss"], out["gateway_rtt"], out["gateway_jitter"] = (
        loss(grid, gateway), round_trip(grid, gateway), spread(grid, gateway),
    )  # fmt: skip
    out["gateway_tcp"] = 1 - loss(grid, of(Segment.ROUTER, "tcp"))
    out["resolver_ok"] = served(grid, of(Segment.ROUTER, "dns"))
    out["public_dns_ok"] = served(grid, of(Segment.TRANSIT, "dns"))
    out["hop_loss"] = loss(grid, of(Segment.ACCESS, "icmp"))
    words = list(record.router.between(grid.start_us, grid.end_us + STEP_US, witness))
    out["router_uptime_s"] = _said(grid, words, lambda w: w.uptime_s)
    out["router_wan_up"] = _said(grid, words, lambda w: w.line_up)
    if info.line_kbits is not None:
        down, up = info.line_kbits
        out["router_use_down"] = np.clip(_said(grid, words, lambda w: w.kbits and w.kbits[0]) / down, 0, 1)
        out["router_use_up"] = np.clip(_said(grid, words, lambda w: w.kbits and w.kbits[1]) / up, 0, 1)
    _boots(grid, record, witness, out)
    for name, host in zip(ANCHORS, sorted({s.host for s in of(Segment.TRANSIT, "icmp")}), strict=False):
        echo, tcp = ([s for s in of(Segment.TRANSIT, m) if s.host == host] for m in ("icmp", "tcp"))
        out[f"{name}_loss"], out[f"{name}_rtt"] = loss(grid, echo), round_trip(grid, echo)
        out[f"{name}_tcp"] = 1 - loss(grid, tcp)
    _edge(grid, [s for s in mine if is_edge(s)], out)
    days = [_streams(day, record, mine, second, witness) for day in grid.days()]  # a day's windows are held at once
    out |= {name: np.concatenate([day[name] for day in days]) for name in days[0]}
    for name, group in (("second", second), ("edge2", other)):
        out[f"{name}_sip"] = best(grid, [s for s in group if s.method.startswith("sip")], served)
    out["edge2_loss"] = 1 - best(grid, [s for s in other if s.method == "icmp"], lambda g, group: 1 - loss(g, group))
    out["provider_name"] = _name(grid, record, witness, fleet, out)
    for kind, segment in (("inside", Segment.PROVIDER), ("carrier", Segment.CARRIER)):
        made = [s for s in of(segment, "call") if not s.control]
        out[f"{kind}_call_ok"] = best(grid, made, lambda g, group: calls(g, group[0]))
    gone = out["link"] < 0.5  # nothing could be sent: nothing got through
    for name in (n for n in DARK if n in out):
        out[name] = np.where(gone & np.isnan(out[name]), 1.0, out[name])
    return {name: values for name, values in out.items() if not np.isnan(values).all()}


def _edge(grid: Grid, edge: Sequence[Series], out: dict[str, Column]) -> None:
    """The set of the provider's servers: the best of them."""
    echo = [s for s in edge if s.method == "icmp"]
    out["edge_loss"] = 1 - best(grid, echo, lambda g, group: 1 - loss(g, group))
    out["edge_rtt"] = round_trip(grid, echo)
    connects = [s for s in edge if s.method in ("tcp", "tls")]
    out["edge_tcp"] = best(grid, connects, lambda g, group: 1 - loss(g, group))
    asked = [s for s in edge if s.method.startswith("sip")]
    out["edge_sip"] = best(grid, asked, served)
    out["edge_code"] = codes(grid, asked)


def _streams(
    grid: Grid, record: SiteRecord, mine: Sequence[Series], others: Sequence[Series], witness: str
) -> dict[str, Column]:
    """The call-like streams. Windows within calls speak for the provider's media where nothing else measures it.

    others: the series of a second provider.
    """
    targets = {s.target for s in others}
    calls = {s.target for s in mine if s.method == "call"}
    streams = [s for s in record.windows.streams if s.witness == witness]
    theirs = {s.target for s in streams if s.segment is Segment.PROVIDER and not s.control}
    asked = theirs - calls or theirs
    windows = list(record.windows.about(grid.start_us, grid.end_us, witness))
    media = [w for w in windows if w.segment is Segment.PROVIDER and not w.control and w.target in asked]
    own = [w for w in windows if w.control and w.segment is not Segment.PROVIDER and w.target not in calls]
    second = [w for w in windows if w.target in targets]
    out: dict[str, Column] = {}
    for name, found in (("media", media), ("reflector", own)):
        up, down = zip(*(_lost(w) for w in found), strict=True) if found else ((), ())
        out[f"{name}_loss_up"], out[f"{name}_loss_down"] = _mean(grid, found, up), _mean(grid, found, down)
        _delays(grid, name, found, out)
    both = [1 - (1 - up) * (1 - down) for up, down in map(_lost, second)]
    echo = [s for s in others if s.method == "icmp"]
    streamed = _mean(grid, second, both)
    enough = counted(grid, echo, Fate.LOST, Fate.ANSWERED) >= ECHOES
    out["second_loss"] = np.where(np.isnan(streamed) & enough, loss(grid, echo), streamed)
    _delays(grid, "second", second, out)
    out["second_rtt"] = np.where(np.isnan(out["second_rtt"]), round_trip(grid, echo), out["second_rtt"])
    over = [w for w in windows if w.segment is Segment.CARRIER]
    out["carrier_call_mos"] = _mean(grid, over, [_milli(w.mos_milli) for w in over])
    return out


def _delays(grid: Grid, name: str, found: Sequence[QualityWindow], out: dict[str, Column]) -> None:
    out[f"{name}_rtt"] = _mean(grid, found, [_milli(w.rtt_us[1]) if w.rtt_us else np.nan for w in found])
    out[f"{name}_jitter"] = _mean(grid, found, [_milli(w.jitter_us) for w in found])
    if name == "media":
        out["media_mos"] = _mean(grid, found, [WORST_MOS if _silent(w) else _milli(w.mos_milli) for w in found])


def _lost(w: QualityWindow) -> tuple[float, float]:
    """Return a window's loss each way. Where the reflector does not tell them apart each is half of it, in logarithms;
    what came too late for the jitter buffer is lost on the way back."""
    counted = w.sent - w.self_delayed
    if counted <= 0:
        return np.nan, np.nan
    heard = max(0, w.answered - w.late)
    if w.lost_forward is not None and w.lost_backward is not None and heard:
        arrived = max(1, counted - w.lost_forward)
        return min(w.lost_forward / counted, 1.0), max(0.0, 1 - heard / arrived)
    way = 1 - float(np.sqrt(heard / counted)) if heard <= counted else 0.0
    return way, way


def _silent(w: QualityWindow) -> bool:
    return w.sent > w.self_delayed and w.answered <= w.late


def _milli(value: int | None) -> float:
    return np.nan if value is None else value / 1000


def _mean(grid: Grid, windows: Sequence[QualityWindow], values: Sequence[float]) -> Column:
    """Return the mean of windows' values in each round, of those that are known."""
    starts = np.array([(w.start.earliest_us + w.start.latest_us) // 2 for w in windows], np.int64)
    return grid.mean(starts, np.array(values, np.float64))


def _said(grid: Grid, words: Sequence[RouterWord], value: Callable[[RouterWord], float | None]) -> Column:
    """Return the newest word of each round."""
    result = grid.empty()
    for word in words:
        said, at = value(word), (word.at_us - 1 - grid.start_us) // STEP_US  # it speaks of what was before
        if said is not None and 0 <= at < grid.count:
            result[at] = float(said)
    return result


def _boots(grid: Grid, record: SiteRecord, witness: str, out: dict[str, Column]) -> None:
    """Boot count, uptime at the round's start and, in the first round of a boot that says so, its cause."""
    starts = grid.start_us + STEP_US * np.arange(grid.count, dtype=np.int64)
    for name in ("boot", "uptime_s", "reset"):
        out[name] = grid.empty()
    here = grid.shares(record.measured[witness]) > 0
    for ran in sorted((r for r in record.ran if r.witness == witness), key=lambda r: r.boot):
        since = here & (starts + STEP_US > ran.began_us)
        out["boot"][since] = ran.boot
        out["uptime_s"][since] = np.maximum(starts[since] - ran.began_us, 0) / 1e6
        out["reset"][since] = 0.0
    for boot in (b for b in record.boots if b.witness == witness):
        first = np.flatnonzero(out["boot"] == boot.boot)
        if len(first):
            power = boot.cause in (wire.RESET_POWER, wire.RESET_BROWNOUT)
            out["reset"][first[0]] = RESET_POWER if power else RESET_OTHER


def _name(grid: Grid, record: SiteRecord, witness: str, fleet: Common, out: Mapping[str, Column]) -> Column:
    """Where the provider's name led: the best of a round's words, where a resolver answered at all."""
    mine = [led for led in record.led if led.witness == witness]
    found = {led.host for led in mine if led.served}
    result = grid.empty()
    for led in mine:
        first, last = (led.start_us - grid.start_us) // STEP_US, (led.end_us - 1 - grid.start_us) // STEP_US
        told = slice(max(first, 0), max(last + 1, 0))
        if led.address is None:
            result[told] = np.fmax(result[told], NOWHERE)
        elif not led.address or led.address in fleet.serving.get(led.host, ()):
            result[told] = np.fmax(result[told], RIGHT)
        elif led.host in found:
            result[told] = np.fmax(result[told], ASTRAY)
    resolvers = np.stack([out["resolver_ok"], out["public_dns_ok"]])
    asked, answered = ~np.isnan(resolvers), resolvers > 0
    silent: Flags = asked.any(axis=0) & ~answered.any(axis=0)
    return np.where(silent, np.nan, result)


def _link(grid: Grid, record: SiteRecord, witness: str) -> Column:
    """Return the share of each round in which the witness's link was up."""
    down: list[Interval] = []
    since_us: int | None = None
    for change in (c for c in record.links if c.witness == witness):
        if not change.up and since_us is None:
            since_us = change.at.earliest_us
        elif change.up and since_us is not None:
            down.append((since_us, change.at.latest_us))
            since_us = None
    if since_us is not None:
        down.append((since_us, grid.end_us))
    return 1 - grid.shares(down)
