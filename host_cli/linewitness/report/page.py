"""The report as one HTML file that needs nothing else: no script, no font, no image, no network.

`render` does no I/O and gives equal bytes for equal input. The page's policy refuses everything but its own style
sheet, named by its hash, so that nothing that came in as text can load or run anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from linewitness.model import QualityWindow, Settlement, State
from linewitness.report import times, words
from linewitness.report.account import accounts
from linewitness.report.argument import argument
from linewitness.report.charts import by_target, quality
from linewitness.report.drawing import definitions
from linewitness.report.facts import Context, report_zone, zones
from linewitness.report.html import Markup, el, join
from linewitness.report.origins import coverage, statements
from linewitness.report.page_one import page_one
from linewitness.report.style import STYLE
from linewitness.report.timeline import focus, rows_of, stretches, timeline
from linewitness.report.times import Zone

SECTIONS = (
    ("timelines", "Timelines"),
    ("verdicts", "Verdicts in full"),
    ("quality", "Call quality"),
    ("account", "The contract’s month"),
    ("statements", "What the provider’s page said"),
    ("coverage", "Completeness, and how to check"),
)


def render(settlement: Settlement, windows: Sequence[QualityWindow] = (), context: Context | None = None) -> str:
    """Return the report. windows are the call-quality windows of the period, in any order."""
    context = context or Context()
    zone = report_zone(settlement, context)
    bodies = (
        _timelines(settlement, context),
        _verdicts(settlement, context),
        _quality(settlement, windows, context),
        accounts(settlement, context),
        statements(settlement, zone),
        coverage(settlement, context, zone),
    )
    sections = [
        el("section", el("h2", f"{i}. {title}"), body, id=anchor)
        for i, ((anchor, title), body) in enumerate(zip(SECTIONS, bodies, strict=True), 2)
    ]
    links = [el("li", el("a", f"{i}. {title}", href=f"#{anchor}")) for i, (anchor, title) in enumerate(SECTIONS, 2)]
    contents = el("nav", el("ul", *links), aria_label="Contents")
    main = el("main", page_one(settlement, context), contents, *sections)
    page = el("html", _head(settlement, zone), el("body", definitions(), main), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _head(settlement: Settlement, zone: Zone) -> Markup:
    return head(f"linewitness report, {times.day(settlement.start_us, zone)} to {times.day(settlement.end_us, zone)}")


def head(title: str) -> Markup:
    """Return the head of a page that loads nothing and runs nothing."""
    own_style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{own_style}'; base-uri 'none'; form-action 'none'"
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", title),
        el("style", Markup(STYLE)),
    )


# --- timelines ------------------------------------------------------------------------------------------------------


def _timelines(settlement: Settlement, context: Context) -> Markup:
    of_site = zones(settlement, context)
    parts = [_legend(settlement)]
    for site in settlement.sites:
        parts.append(_site(site, settlement, of_site[site]))
    return join(*parts)


def _site(site: str, settlement: Settlement, zone: Zone) -> Markup:
    whole = (settlement.start_us, settlement.end_us)
    missing = [words.SEGMENT_NAMES[s] for s in words.SEGMENT_NAMES if s not in rows_of(site, settlement)]
    note = el("p", f"Not measured at this site at all: {', '.join(missing).lower()}.", cls="note") if missing else None
    parts = [
        el("h3", site),
        el("h4", "The whole period"),
        timeline(site, settlement, whole, zone, f"{site}, whole period"),
        note,
    ]
    for window, numbers in focus(site, settlement):
        links = [
            join(
                ", " if k else "",
                el("a", words.label(n), href=f"#v{n + 1}"),
                f" {words.SIDE_NAMES[settlement.verdicts[n].side].lower()}",
            )
            for k, n in enumerate(numbers)
        ]
        when = f"{times.day(window[0], zone)}, {times.clock(window[0], zone)} to {times.clock(window[1], zone)}: "
        parts.append(el("h4", when, *links))
        parts.append(timeline(site, settlement, window, zone, f"{site}, {words.labels(numbers)}"))
    return el("section", *parts, stretches(site, settlement, zone))


def _legend(settlement: Settlement) -> Markup:
    side = "provider"
    samples = (
        ("up", el("rect", y=7, width=34, height=4, cls="up")),
        ("degraded", el("rect", y=4, width=34, height=10, cls=f"s-{side} thin", fill=f"url(#degraded-{side})")),
        ("down", el("rect", y=1, width=34, height=16, cls=f"s-{side} c")),
        ("not measured", el("rect", y=3, width=34, height=12, fill="url(#unmeasured)")),
        ("end known within these bounds", el("rect", y=1, width=34, height=16, fill=f"url(#out-{side})")),
        ("what the provider says it was", el("rect", y=3, x=1, width=32, height=12, cls="claimed")),
        (
            "its first post, and how long after the failure",
            join(el("line", x1=0, x2=30, y1=9, y2=9, cls="late"), el("line", x1=30, x2=30, y1=1, y2=17, cls="post")),
        ),
    )
    states = [
        el("li", el("svg", drawn, width=34, height=18, aria_hidden="true", focusable="false"), name)
        for name, drawn in samples
    ]
    return el("ul", *states, cls="legend")


# --- verdicts and quality -------------------------------------------------------------------------------------------


def _verdicts(settlement: Settlement, context: Context) -> Markup:
    if not settlement.verdicts:
        measured = any(s.state is not State.UNMEASURED for s in settlement.spans)
        return el(
            "p",
            "There is none: nothing failed in what was measured."
            if measured
            else "There is none: nothing was measured.",
        )
    of_site = zones(settlement, context)
    return join(
        *[argument(i, v, settlement, of_site.get(v.site, times.UTC)) for i, v in enumerate(settlement.verdicts)]
    )


def _quality(settlement: Settlement, windows: Sequence[QualityWindow], context: Context) -> Markup:
    of_site = zones(settlement, context)
    period = (settlement.start_us, settlement.end_us)
    parts = [
        el(
            "p",
            "Each dot is one call-quality window; where there are too many, the median of neighbours with a line "
            "from the best to the worst. MOS-CQE is reckoned from the packets by ITU-T G.107 for the codec and jitter "
            "buffer named; it is not what a listener said. Packets later than the jitter buffer waits count as lost. "
            "A cross is a window whose value is not known: a packet that never came has no round trip.",
            cls="note",
        )
    ]
    for site in settlement.sites:
        groups = by_target(windows, site)
        if groups:
            parts.append(el("h3", site))
        parts += [quality(k, group, settlement, period, of_site[site], site) for k, group in groups.items()]
    return join(*parts) if len(parts) > 1 else el("p", "No call-quality windows were handed to this report.")
