"""Settlements to report on, made by hand: a dispute, a month, nothing wrong, nothing at all, hostile text."""

from __future__ import annotations

import dataclasses
import enum
import random
from typing import Any

from linewitness.model import (
    Account,
    Bounds,
    Breach,
    Citation,
    Coverage,
    Exclusion,
    Finding,
    OutagePost,
    QualityWindow,
    Reason,
    Segment,
    SegmentSpan,
    Settlement,
    Side,
    State,
    Verdict,
)
from linewitness.report import Checkpoint, Context, Deadline, SiteFacts

S = 1_000_000
DAY_S = 86_400
MARCH_US = 1_772_323_200 * S  # 2026-03-01T00:00:00Z
MORNING_US = MARCH_US + 2 * DAY_S * S + 10 * 3600 * S  # 3 March, 10:00
HOSTILE = "<script>alert('x')</script>\"'&\u202e"


def bounds(at_s: float, width_s: float, origin_us: int = MORNING_US) -> Bounds:
    return Bounds(origin_us + int((at_s - width_s / 2) * S), origin_us + int((at_s + width_s / 2) * S))


def cite(target: str, segment: Segment, sent: int, answered: int, witness: str = "w1") -> Citation:
    return Citation(witness, 214, 219, target, segment, sent, answered, 0, 0)


def provider_verdict(site: str, start: Bounds, end: Bounds, claimable: bool = True) -> Verdict:
    clean = cite("anchor-1", Segment.TRANSIT, 27, 27)
    return Verdict(
        site,
        Segment.PROVIDER,
        Side.PROVIDER,
        start,
        end,
        95,
        (
            Reason(
                "no reply from the provider's edge by ICMP, SIP and the media reflector for 13 rounds",
                (cite("edge-icmp", Segment.PROVIDER, 13, 0), cite("edge-options", Segment.PROVIDER, 3, 0)),
            ),
            Reason("a second branch on another internet provider saw the same within 0.4 s"),
        ),
        (),
        (
            Exclusion(
                Side.CUSTOMER, Reason("the gateway answered throughout", (cite("gateway", Segment.ROUTER, 27, 27),))
            ),
            Exclusion(
                Side.ISP, Reason("the first hop answered throughout", (cite("isp-hop", Segment.ACCESS, 27, 27),))
            ),
            Exclusion(
                Side.TRANSIT, Reason("two anchors and our own reflector with the call's packets were clean", (clean,))
            ),
        ),
        ("block at the customer's side not excluded",) if not claimable else (),
        claimable,
    )


def customer_verdict(site: str, segment: Segment, start: Bounds, end: Bounds) -> Verdict:
    what = {
        Segment.ROUTER: "the gateway and everything beyond it did not reply, the switch did",
        Segment.LAN: "the witness's own link was down (link_down in seq 301, link_up in seq 302)",
    }[segment]
    return Verdict(
        site,
        segment,
        Side.CUSTOMER,
        start,
        end,
        99,
        (Reason(what, (cite("gateway", segment, 12, 0),)),),
        (),
        (
            Exclusion(
                Side.PROVIDER, Reason("what lies beyond a cut was not measured: no second of it is the provider's")
            ),
        ),
        (),
        False,
    )


MEASURED = (
    Segment.POWER,
    Segment.ENDPOINT,
    Segment.LAN,
    Segment.ROUTER,
    Segment.ACCESS,
    Segment.TRANSIT,
    Segment.PROVIDER,
)


def site_spans(
    site: str,
    period: tuple[int, int],
    down: list[tuple[Segment, Bounds, Bounds]],
    other: list[tuple[Segment, State, Bounds, Bounds]] | None = None,
) -> list[SegmentSpan]:
    """Up but for what is given, and what lies beyond a cut is not measured while it lasts."""
    result = []
    for i, segment in enumerate(MEASURED):
        troubled = [(State.DOWN, a, b) for s, a, b in down if s is segment]
        troubled += [(State.UNMEASURED, a, b) for s, a, b in down if s in MEASURED[:i] and s is not Segment.PROVIDER]
        troubled += [(st, a, b) for s, st, a, b in other or [] if s is segment]
        at = Bounds(period[0], period[0])
        for state, start, end in sorted(troubled, key=lambda t: t[1]):
            result += [SegmentSpan(site, segment, State.UP, at, start), SegmentSpan(site, segment, state, start, end)]
            at = end
        result.append(SegmentSpan(site, segment, State.UP, at, Bounds(period[1], period[1])))
    return result


def account(site: str, claimed_s: int, customer_s: int, unknown_s: int = 3, excluded_s: int = 0) -> Account:
    total_s = 31 * DAY_S
    downtime_ppm = -(-claimed_s * 1_000_000 // total_s)
    return Account(
        site,
        "voxcloud-2026",
        "availability",
        "2026-03",
        "Europe/London",
        MARCH_US,
        MARCH_US + total_s * S,
        total_s,
        total_s - claimed_s - customer_s - unknown_s - excluded_s,
        claimed_s,
        claimed_s + 3,
        claimed_s,
        (("7.2 announced maintenance", excluded_s),) if excluded_s else (),
        (("customer", customer_s),) if customer_s else (),
        unknown_s,
        1_000_000 - downtime_ppm,
        999_990,
        claimed_s * 100_000 <= total_s,
        5_000 if claimed_s > 26 else 0,
        total_s,
        ((MARCH_US, MARCH_US + claimed_s * S),) if claimed_s else (),
    )


def post(at_us: int, started_us: int, resolved_us: int | None, incident: str = "n4njzfn1mqy0") -> OutagePost:
    return OutagePost(
        "VoxCloud",
        incident,
        "Calls fail for some customers",
        "major",
        "resolved",
        ("SIP edge", "Media"),
        False,
        at_us,
        at_us + 2 * S,
        started_us,
        resolved_us,
        None,
        None,
        at_us + 900 * S,
        at_us + 60 * S,
        "5f" * 32,
    )


def quality_windows(
    site: str, period: tuple[int, int], every_s: int, down: list[tuple[int, int]], seed: int = 7
) -> list[QualityWindow]:
    """Windows to the provider and to our own reflector; everything is lost to the provider while down."""
    rng = random.Random(f"{seed} {site}")
    result = []
    for target, control in (("edge-media", False), ("own-reflector", True)):
        for i, at in enumerate(range(period[0] + 3 * S, period[1] - 5 * S, every_s * S)):
            dark = not control and any(a < at + 5 * S and at < b for a, b in down)
            rtt = None if dark else (18_000 + rng.randrange(900), 21_000 + rng.randrange(4000), 26_000, 31_000)
            late = 0 if dark else rng.choice((0, 0, 0, 0, 1, 2))
            result.append(
                QualityWindow(
                    site,
                    "w1",
                    200 + i,
                    target,
                    Segment.PROVIDER if not control else Segment.TRANSIT,
                    control,
                    Bounds(at, at),
                    Bounds(at + 5 * S, at + 5 * S),
                    250,
                    0 if dark else 250,
                    late,
                    0,
                    0,
                    0,
                    900,
                    rtt,
                    None if dark else 800,
                    None,
                    None,
                    None,
                    None if dark else 1000,
                    None if dark else 9200,
                    None if dark else 4380 - 60 * late - rng.randrange(30),
                    "G.711",
                    60,
                )
            )
    return result


def coverage(site: str, gaps: tuple[tuple[int, int], ...] = (), trimmed: int = 0, unmeasured_s: int = 0) -> Coverage:
    return Coverage(
        site,
        "w1",
        100,
        460,
        361 - sum(b - a + 1 for a, b in gaps),
        trimmed,
        3600 - unmeasured_s,
        unmeasured_s,
        gaps,
        ("ab" * 32,) if not gaps else ("ab" * 32, "cd" * 32),
    )


CONTEXT = Context(
    "linewitness 0.1.0",
    "Hartwell & Sons",
    "9c" * 32,
    "hartwell-2026-03.zip",
    (
        SiteFacts("leeds", "Europe/London", "Northnet", "VoxCloud", "Telia"),
        SiteFacts("york", "Europe/London", "Cityfibre", "VoxCloud", None),
    ),
    (
        Checkpoint(MORNING_US - 600 * S, 412, "1a" * 32, "2b" * 32, (MORNING_US - 598 * S, MORNING_US - 596 * S), True),
        Checkpoint(MORNING_US + 3900 * S, 431, "3c" * 32, "4d" * 32, None, False),
    ),
    (
        Deadline(
            "voxcloud-2026", "2026-03", MARCH_US + 61 * DAY_S * S, "30 days from the last day of the month, clause 9.1"
        ),
    ),
)


def dispute() -> tuple[Settlement, list[QualityWindow], Context]:
    """One hour, two sites: the provider for 25 s at both, posted late; a router in one, Wi-Fi in the other."""
    period = (MORNING_US, MORNING_US + 3600 * S)
    a, b = bounds(151.4, 1.3), bounds(176.9, 1.4)
    c, d = bounds(151.6, 1.1), bounds(176.8, 1.6)
    router, router_end = bounds(1290, 1.2), bounds(1318, 2.0)
    wifi, wifi_end = bounds(2402, 0.4), bounds(2427, 2.4)
    dim, dim_end = bounds(2900, 3), bounds(3080, 4)
    verdicts = (
        provider_verdict("leeds", a, b),
        provider_verdict("york", c, d),
        customer_verdict("leeds", Segment.ROUTER, router, router_end),
        customer_verdict("york", Segment.LAN, wifi, wifi_end),
        Verdict(
            "york",
            None,
            Side.UNDETERMINED,
            dim,
            dim_end,
            40,
            (Reason("only the media probe lost packets; no control of its kind ran in the same seconds"),),
            (Side.ISP, Side.PROVIDER),
            (),
            ("no control of the same kind in these seconds",),
            False,
        ),
    )
    spans = site_spans(
        "leeds",
        period,
        [(Segment.PROVIDER, a, b), (Segment.ROUTER, router, router_end)],
        [(Segment.ENDPOINT, State.UNMEASURED, bounds(2000, 0), bounds(2600, 0))],
    )
    spans += site_spans(
        "york",
        period,
        [(Segment.PROVIDER, c, d), (Segment.LAN, wifi, wifi_end)],
        [(Segment.PROVIDER, State.DEGRADED, dim, dim_end)],
    )
    settlement = Settlement(
        "linewitness rules 1",
        *period,
        ("leeds", "york"),
        tuple(spans),
        verdicts,
        (Breach("leeds", "availability", a, b, 0), Breach("york", "availability", c, d, 1)),
        (account("leeds", 24, 29), account("york", 24, 26, 180, 1800)),
        (post(MORNING_US + 1000 * S, MORNING_US + 960 * S, MORNING_US + 1500 * S),),
        (coverage("leeds", ((301, 301), (310, 312)), 2, 24), coverage("york")),
        (
            Finding(
                "post_late",
                "VoxCloud",
                MORNING_US + 1002 * S,
                "n4njzfn1mqy0: first posted 14 min 11 s after our first failing reading",
            ),
            Finding("clock_step_reported", "york/w1", MORNING_US + 2410 * S, "clock stepped by 40 ms"),
            Finding("trimmed", "leeds/w1", MORNING_US + 900 * S, "the bodies of 2 batches were dropped"),
        ),
    )
    windows = [
        w for site in ("leeds", "york") for w in quality_windows(site, period, 30, [(a.earliest_us, b.latest_us)])
    ]
    return settlement, windows, CONTEXT


def month(
    sites: int = 2, breaches: int = 12, windows_every_s: int = 1800
) -> tuple[Settlement, list[QualityWindow], Context]:
    """March 2026: breaches a site, of all sorts."""
    period = (MARCH_US, MARCH_US + 31 * DAY_S * S)
    rng = random.Random(3)
    names = tuple(f"branch-{i + 1:02d}" for i in range(sites)) if sites > 2 else ("leeds", "york")
    spans: list[SegmentSpan] = []
    verdicts: list[Verdict] = []
    windows: list[QualityWindow] = []
    posts = []
    shared = [rng.randrange(DAY_S, 30 * DAY_S) for _ in range(breaches // 3)]
    for name in names:
        down = []
        for at in shared:
            down.append((Segment.PROVIDER, bounds(at, 1.5, MARCH_US), bounds(at + 30 + at % 200, 2, MARCH_US)))
        for _ in range(breaches - len(shared)):
            at = rng.randrange(DAY_S, 30 * DAY_S)
            segment = rng.choice((Segment.ROUTER, Segment.LAN))
            down.append((segment, bounds(at, 1.5, MARCH_US), bounds(at + rng.randrange(20, 4000), 3, MARCH_US)))
        down.sort(key=lambda d: d[1])
        verdicts += [
            provider_verdict(name, a, b) if s is Segment.PROVIDER else customer_verdict(name, s, a, b)
            for s, a, b in down
        ]
        night = [
            (s, State.UNMEASURED, bounds(12 * DAY_S, 0, MARCH_US), bounds(12.6 * DAY_S, 0, MARCH_US)) for s in MEASURED
        ]
        spans += site_spans(name, period, down, night)
        windows += quality_windows(
            name, period, windows_every_s, [(a.earliest_us, b.latest_us) for s, a, b in down if s is Segment.PROVIDER]
        )
    for i, at in enumerate(shared):
        posts.append(post(MARCH_US + (at + 700) * S, MARCH_US + (at + 600) * S, MARCH_US + (at + 1200) * S, f"inc{i}"))
    settlement = Settlement(
        "linewitness rules 1",
        *period,
        names,
        tuple(spans),
        tuple(verdicts),
        tuple(Breach(v.site, "availability", v.start, v.end, i) for i, v in enumerate(verdicts) if v.claimable),
        tuple(account(n, 500, 7000, 51_840, 3600) for n in names),
        tuple(posts),
        tuple(coverage(n) for n in names),
        (),
    )
    context = dataclasses.replace(
        CONTEXT, sites=tuple(SiteFacts(n, "Europe/London", "Northnet", "VoxCloud", None) for n in names)
    )
    return settlement, windows, context


def nothing_wrong() -> tuple[Settlement, list[QualityWindow], Context]:
    period = (MORNING_US, MORNING_US + 3600 * S)
    spans = [s for site in ("leeds", "york") for s in site_spans(site, period, [])]
    settlement = Settlement(
        "linewitness rules 1",
        *period,
        ("leeds", "york"),
        tuple(spans),
        (),
        (),
        (account("leeds", 0, 0, 0),),
        (),
        (coverage("leeds"), coverage("york")),
        (),
    )
    return settlement, quality_windows("leeds", period, 30, []), CONTEXT


def empty() -> tuple[Settlement, list[QualityWindow], Context]:
    return Settlement("linewitness rules 1", 0, 0, (), (), (), (), (), (), (), ()), [], Context()


def hostile() -> tuple[Settlement, list[QualityWindow], Context]:
    """The dispute with markup in every text that somebody else could have written."""
    settlement, windows, context = dispute()
    return _poison(settlement), [_poison(w) for w in windows], _poison(context)


def _poison(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value
    if isinstance(value, str):
        return value + HOSTILE
    if isinstance(value, tuple):
        return tuple(_poison(v) for v in value)
    if dataclasses.is_dataclass(value):
        return dataclasses.replace(
            value, **{f.name: _poison(getattr(value, f.name)) for f in dataclasses.fields(value)}
        )
    return value
