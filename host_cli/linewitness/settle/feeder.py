"""From a site's record to the rounds of settle.attribution: what the ledger's readings become for the pooled engine.

Rounds of STEP_US from the period's start. A round holds the samples sent in it (nominally); a call-quality window or a
test call counts in the round in which it began. Of several witnesses the one that measured most speaks, and the next
one where it was silent. What was not measured is NaN; void samples say nothing.

The provider's edge is its whole set of servers: a round is as good as the best of them (RFC 3263), so that one dead
member is no failure here either. Calls whose target belongs to the segment `provider` are on-net, those of `carrier`
go over the provider's carrier; whom they call is the series' callee. A call that was refused for the asking (4xx, 6xx)
is none, and where several were called in one round the best of them counts.

How full the line was is not fed, since the ledger does not say what the line can carry; nor what the provider's name
resolved to, since it holds no addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from linewitness.model import Fate, OutagePost, QualityWindow, Segment
from linewitness.settle.attribution.rounds import ANCHORS, Column, Post, Rounds, SiteFacts
from linewitness.settle.intervals import Interval, intersect, length
from linewitness.settle.series import Series
from linewitness.settle.suspicions import refused
from linewitness.settle.timeline import RouterWord, SiteInfo, SiteRecord

STEP_US = 60_000_000
ECHOES = 10  # in a round: fewer are too coarse to stand for a stream's loss
SERVED_CODE, NO_CODE = 200.0, 0.0
Counts = NDArray[np.int64]


class Grid:
    """The rounds of a period, the last one perhaps shorter than the others."""

    def __init__(self, period: Interval) -> None:
        self.start_us = period[0]
        self.count = -(-(period[1] - period[0]) // STEP_US)

    def rounds(self, at_us: Counts) -> Counts:
        """Return the round of each instant; below 0, or the count and above, it lies outside of the period."""
        return np.asarray((at_us - self.start_us) // STEP_US)

    def mean(self, at_us: Counts, values: Column) -> Column:
        """Return the mean of values at instants for each round, of those that are known."""
        at = self.rounds(at_us)
        there = ~np.isnan(values) & (at >= 0) & (at < self.count)
        total = np.bincount(at[there], values[there], self.count)
        count = np.bincount(at[there], minlength=self.count)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def empty(self) -> Column:
        return np.full(self.count, np.nan)

    def shares(self, intervals: Iterable[Interval]) -> Column:
        """Return which share of each round intervals cover."""
        covered = np.zeros(self.count)
        for start_us, end_us in intervals:
            first, last = (start_us - self.start_us) // STEP_US, (end_us - 1 - self.start_us) // STEP_US
            covered[max(first, 0) : last + 1] += 1.0
            for at, outside_us in (
                (first, start_us - self.start_us - first * STEP_US),
                (last, self.start_us + (last + 1) * STEP_US - end_us),
            ):
                if 0 <= at < self.count:
                    covered[at] -= outside_us / STEP_US
        return np.clip(covered, 0.0, 1.0)


def rounds(record: SiteRecord, info: SiteInfo, period: Interval) -> Rounds:
    """Return what a site's witnesses saw in [start_us, end_us), round by round."""
    grid = Grid(period)
    measured = np.zeros(grid.count, bool)
    columns: dict[str, Column] = {}
    for witness in sorted(record.measured, key=lambda w: (-length(record.measured[w]), w)):
        here = grid.shares(intersect(record.measured[witness], [period])) >= 0.5
        speaks = here & ~measured
        if not speaks.any():
            continue
        for name, values in _columns(grid, record, witness).items():
            columns[name] = np.where(speaks, values, columns.get(name, np.nan))
        measured |= here
    return Rounds(_facts(record, info), grid.start_us / 1e6, STEP_US / 1e6, measured, columns)


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


def _facts(record: SiteRecord, info: SiteInfo) -> SiteFacts:
    edges = sorted({s.host for s in record.series if is_edge(s) and s.method != "call"})
    seconds = sorted({s.host for s in record.series if s.segment is Segment.PROVIDER and s.control})
    return SiteFacts(
        info.site, info.isp, info.region, info.provider, ",".join(edges) or None, ",".join(seconds) or None,
        info.carrier, None, not info.wired,
    )  # fmt: skip


def is_edge(series: Series) -> bool:
    """Return whether a series probes the provider's own edge; what its names resolve to does not."""
    return series.segment is Segment.PROVIDER and not series.control and series.method != "dns"


# --- one witness ----------------------------------------------------------------------------------------------------


def _columns(grid: Grid, record: SiteRecord, witness: str) -> dict[str, Column]:
    mine = [s for s in record.series if s.witness == witness]

    def of(segment: Segment, *methods: str) -> list[Series]:
        return [s for s in mine if s.segment is segment and s.method in methods]

    out: dict[str, Column] = {"link": _link(grid, record, witness)}
    gateway = of(Segment.ROUTER, "icmp")
    out["gateway_loss"], out["gateway_rtt"], out["gateway_jitter"] = (
        _loss(grid, gateway), _rtt(grid, gateway, "rtt_mean_us"), _spread(grid, gateway),
    )  # fmt: skip
    out["gateway_tcp"] = 1 - _loss(grid, of(Segment.ROUTER, "tcp"))
    out["resolver_ok"] = _served(grid, of(Segment.ROUTER, "dns"))
    out["public_dns_ok"] = _served(grid, of(Segment.TRANSIT, "dns"))
    out["hop_loss"] = _loss(grid, of(Segment.ACCESS, "icmp"))
    words = [w for w in record.router if w.witness == witness]
    out["router_uptime_s"] = _said(grid, words, lambda w: w.uptime_s)
    out["router_wan_up"] = _said(grid, words, lambda w: w.line_up)
    for name, host in zip(ANCHORS, sorted({s.host for s in of(Segment.TRANSIT, "icmp")}), strict=False):
        echo, tcp = ([s for s in of(Segment.TRANSIT, m) if s.host == host] for m in ("icmp", "tcp"))
        out[f"{name}_loss"], out[f"{name}_rtt"] = _loss(grid, echo), _rtt(grid, echo, "rtt_mean_us")
        out[f"{name}_tcp"] = 1 - _loss(grid, tcp)
    _edge(grid, [s for s in mine if is_edge(s)], out)
    _streams(grid, record, mine, witness, out)
    second = [s for s in mine if s.segment is Segment.PROVIDER and s.control]
    out["second_sip"] = _best(grid, [s for s in second if s.method.startswith("sip")], _served)
    for kind, segment in (("inside", Segment.PROVIDER), ("carrier", Segment.CARRIER)):
        made = [s for s in of(segment, "call") if not s.control]
        out[f"{kind}_call_ok"] = _best(grid, made, lambda g, group: _calls(g, group[0]))
    return {name: values for name, values in out.items() if not np.isnan(values).all()}


def _edge(grid: Grid, edge: Sequence[Series], out: dict[str, Column]) -> None:
    """The set of the provider's servers: the best of them."""
    echo = [s for s in edge if s.method == "icmp"]
    out["edge_loss"] = 1 - _best(grid, echo, lambda g, group: 1 - _loss(g, group))
    out["edge_rtt"] = _rtt(grid, echo, "rtt_mean_us")
    connects = [s for s in edge if s.method in ("tcp", "tls")]
    out["edge_tcp"] = _best(grid, connects, lambda g, group: 1 - _loss(g, group))
    asked = [s for s in edge if s.method.startswith("sip")]
    out["edge_sip"] = _best(grid, asked, _served)
    out["edge_code"] = _codes(grid, asked)


def _streams(grid: Grid, record: SiteRecord, mine: Sequence[Series], witness: str, out: dict[str, Column]) -> None:
    """The call-like streams. Windows within calls speak for the provider's media where nothing else measures it."""
    calls = {s.target for s in mine if s.method == "call"}
    windows = [w for w in record.windows if w.witness == witness]
    theirs = [w for w in windows if w.segment is Segment.PROVIDER and not w.control]
    own = [w for w in windows if w.control and w.segment is not Segment.PROVIDER and w.target not in calls]
    second = [w for w in windows if w.control and w.segment is Segment.PROVIDER]
    for name, found in (("media", [w for w in theirs if w.target not in calls] or theirs), ("reflector", own)):
        up, down = zip(*(_lost(w) for w in found), strict=True) if found else ((), ())
        out[f"{name}_loss_up"], out[f"{name}_loss_down"] = _mean(grid, found, up), _mean(grid, found, down)
        _delays(grid, name, found, out)
    both = [1 - (1 - up) * (1 - down) for up, down in map(_lost, second)]
    echo = [s for s in mine if s.segment is Segment.PROVIDER and s.control and s.method == "icmp"]
    streamed = _mean(grid, second, both)
    enough = _counted(grid, echo, Fate.LOST, Fate.ANSWERED) >= ECHOES
    out["second_loss"] = np.where(np.isnan(streamed) & enough, _loss(grid, echo), streamed)
    _delays(grid, "second", second, out)
    out["second_rtt"] = np.where(np.isnan(out["second_rtt"]), _rtt(grid, echo, "rtt_mean_us"), out["second_rtt"])
    over = [w for w in windows if w.segment is Segment.CARRIER]
    out["carrier_call_mos"] = _mean(grid, over, [_milli(w.mos_milli) for w in over])


def _delays(grid: Grid, name: str, found: Sequence[QualityWindow], out: dict[str, Column]) -> None:
    out[f"{name}_rtt"] = _mean(grid, found, [_milli(w.rtt_us[1]) if w.rtt_us else np.nan for w in found])
    out[f"{name}_jitter"] = _mean(grid, found, [_milli(w.jitter_us) for w in found])
    if name == "media":
        out["media_mos"] = _mean(grid, found, [_milli(w.mos_milli) for w in found])


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


def _milli(value: int | None) -> float:
    return np.nan if value is None else value / 1000


# --- columns of counts ----------------------------------------------------------------------------------------------


def _placed(grid: Grid, series: Series, *fates: Fate) -> tuple[Counts, Counts]:
    """Return (instants, their rows) of the samples of those fates."""
    times, rows = [], []
    for column in (series.columns[f] for f in fates if series.columns[f].at_us):
        times.append(np.frombuffer(column.at_us, np.int64))
        rows.append(np.frombuffer(column.row, f"u{column.row.itemsize}").astype(np.int64))
    if not times:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    at_us, row = np.concatenate(times), np.concatenate(rows)
    inside = (at_us >= grid.start_us) & (at_us < grid.start_us + grid.count * STEP_US)
    return at_us[inside], row[inside]


def _counted(grid: Grid, group: Sequence[Series], *fates: Fate) -> Counts:
    result = np.zeros(grid.count, np.int64)
    for series in group:
        result += np.bincount(grid.rounds(_placed(grid, series, *fates)[0]), minlength=grid.count)
    return result


def _share(part: Counts, whole: Counts) -> Column:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _loss(grid: Grid, group: Sequence[Series]) -> Column:
    """Return the share that nothing answered."""
    lost = _counted(grid, group, Fate.LOST)
    return _share(lost, lost + _counted(grid, group, Fate.ANSWERED, Fate.WRONG))


def _served(grid: Grid, group: Sequence[Series]) -> Column:
    """Return the share that was answered as it should be."""
    served = _counted(grid, group, Fate.ANSWERED)
    return _share(served, served + _counted(grid, group, Fate.LOST, Fate.WRONG))


def _best(grid: Grid, group: Sequence[Series], value: Callable[[Grid, list[Series]], Column]) -> Column:
    """Return the best of the series in each round, of what was measured."""
    result = grid.empty()
    for series in group:
        result = np.fmax(result, value(grid, [series]))
    return result


def _calls(grid: Grid, series: Series) -> Column:
    """Return 1 where a call came about, 0 where it failed; those refused for the asking are not there."""
    result = grid.empty()
    for fate in (Fate.LOST, Fate.WRONG, Fate.ANSWERED):  # the good one of a round is written last
        at_us, rows = _placed(grid, series, fate)
        counts = np.array([fate is Fate.ANSWERED or not refused(series.rows[row].code) for row in rows], bool)
        result[grid.rounds(at_us[counts])] = float(fate is Fate.ANSWERED)
    return result


def _codes(grid: Grid, group: Sequence[Series]) -> Column:
    """Return the highest SIP status of each round, 200 where none is kept, 0 where nothing was answered."""
    result = np.where(_counted(grid, group, Fate.LOST) > 0, NO_CODE, np.nan)
    for series in group:
        known = np.array([SERVED_CODE if r.code is None or r.code < 0 else r.code for r in series.rows])
        at_us, rows = _placed(grid, series, Fate.ANSWERED, Fate.WRONG)
        np.fmax.at(result, grid.rounds(at_us), known[rows] if len(rows) else np.zeros(0))
    return result


def _rtt(grid: Grid, group: Sequence[Series], name: str) -> Column:
    """Return the mean of the readings' round trips in ms, weighed by what was answered."""
    at_us, values = [np.zeros(0, np.int64)], [np.zeros(0)]
    for series in group:
        known = np.array([np.nan if (v := getattr(r, name)) is None else v / 1000 for r in series.rows])
        times, rows = _placed(grid, series, Fate.ANSWERED, Fate.WRONG)
        if len(rows):
            at_us.append(times)
            values.append(known[rows])
    return grid.mean(np.concatenate(at_us), np.concatenate(values))


def _spread(grid: Grid, group: Sequence[Series]) -> Column:
    """Return the mean delay above the least in ms, which is RFC 3550's jitter where delays are spread exponentially."""
    return np.asarray(_rtt(grid, group, "rtt_mean_us") - _rtt(grid, group, "rtt_min_us"))


def _mean(grid: Grid, windows: Sequence[QualityWindow], values: Sequence[float]) -> Column:
    """Return the mean of windows' values in each round, of those that are known."""
    starts = np.array([(w.start.earliest_us + w.start.latest_us) // 2 for w in windows], np.int64)
    return grid.mean(starts, np.array(values, np.float64))


def _said(grid: Grid, words: Sequence[RouterWord], value: Callable[[RouterWord], float | None]) -> Column:
    """Return the newest word of each round."""
    result = grid.empty()
    for word in words:
        said, at = value(word), (word.at_us - grid.start_us) // STEP_US
        if said is not None and 0 <= at < grid.count:
            result[at] = float(said)
    return result


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
        down.append((since_us, grid.start_us + grid.count * STEP_US))
    return 1 - grid.shares(down)
