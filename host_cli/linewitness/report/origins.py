"""Where it all comes from: the provider's page as it was fetched, coverage of the witnesses, and how to check it."""

from __future__ import annotations

from linewitness.model import Finding, OutagePost, Settlement
from linewitness.report import times, words
from linewitness.report.facts import Context
from linewitness.report.html import Child, Markup, el, join, table
from linewitness.report.timeline import lateness
from linewitness.report.times import Zone


def digest(text: str) -> Markup:
    return el("code", text, cls="hash")


# --- the provider's page --------------------------------------------------------------------------------------------


def _about_posts(settlement: Settlement) -> list[Finding]:
    providers = {p.provider for p in settlement.outages}
    return [f for f in settlement.findings if f.subject in providers]


def statements(settlement: Settlement, zone: Zone) -> Markup:
    """Return the provider's posts as fetched and what was found about them."""
    if not settlement.outages:
        return el(
            "p",
            "No post of the provider’s status page was collected for this period. That is not the same as: it "
            "posted none.",
        )
    headings = (
        "Incident",
        "They say it began",
        "It ended",
        "First posted",
        "After our first failing reading",
        "Fetched by us",
        "SHA-256 of what was fetched",
    )
    rows = [_post(p, settlement, zone) for p in settlement.outages]
    return join(
        table(headings, rows, f"Posts as they were fetched, {zone.label}", "posts"),
        findings(
            _about_posts(settlement),
            zone,
            "What was found about these posts",
            "No post was late, back-dated or edited, as far as it was fetched.",
        ),
    )


def _post(p: OutagePost, settlement: Settlement, zone: Zone) -> tuple[Child, ...]:
    i = words.about(p, settlement)
    late: Child = "–" if i is None else join("at least ", lateness(p, settlement), " (", _link(i), ")")
    kind = "maintenance" if p.maintenance else f"impact {p.impact}"
    parts = f"{', '.join(p.components)}; " if p.components else ""
    name = join(el("b", p.name), el("div", f"{p.provider}, {p.incident}: {kind}, {parts}{p.status}", cls="note"))
    start_us, end_us = p.started_at_us, p.resolved_at_us
    if p.maintenance and start_us is None:
        start_us, end_us = p.scheduled_for_us, p.scheduled_until_us
    return (
        name,
        times.stamp(start_us, zone),
        times.stamp(end_us, zone),
        times.stamp(p.posted_at_us if p.posted_at_us is not None else p.created_at_us, zone),
        late,
        times.stamp(p.fetched_at_us, zone),
        digest(p.snapshot_sha256),
    )


def _link(verdict: int) -> Markup:
    return el("a", words.label(verdict), href=f"#v{verdict + 1}")


def findings(found: list[Finding], zone: Zone, heading: str, none: str) -> Markup:
    """Return findings as a table under a heading."""
    if not found:
        return join(el("h3", heading), el("p", none))
    rows = [(f.kind.replace("_", " "), f.subject, times.stamp(f.at_us, zone), f.text) for f in found]
    return join(el("h3", heading), table(("Finding", "Of", "When", "What"), rows, f"{heading}, {zone.label}", "found"))


# --- coverage and how to check --------------------------------------------------------------------------------------


def coverage(settlement: Settlement, context: Context, zone: Zone) -> Markup:
    """Return how complete the record is, and how the other side checks it."""
    posts = _about_posts(settlement)
    others = [f for f in settlement.findings if f not in posts]
    return join(
        _witnesses(settlement),
        findings(others, zone, "Findings about witnesses, clocks and gaps", "None."),
        _checkpoints(context),
        _how_to_check(settlement, context),
    )


def _witnesses(settlement: Settlement) -> Markup:
    rows = []
    for c in settlement.coverage:
        span = "none" if c.first_seq is None else f"{c.first_seq}–{c.last_seq}"
        gaps = ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in c.gaps) or "none"
        plans = join(*[el("div", digest(p)) for p in c.plans]) if c.plans else "none"
        rows.append(
            (
                f"{c.site}/{c.witness}",
                span,
                c.batches,
                gaps,
                c.trimmed,
                times.seconds(c.measured_s),
                times.seconds(c.unmeasured_s),
                plans,
            )
        )
    if not rows:
        return el("p", "No witness covered any of this period.")
    headings = ("Witness", "Batches", "Held", "Missing", "Trimmed", "Measured", "Not measured", "Plans (SHA-256)")
    return table(headings, rows, "Witnesses of the period and how complete their chains are")


def _checkpoints(context: Context) -> Markup:
    heading = el("h3", "Checkpoints")
    if not context.checkpoints:
        return join(heading, el("p", "None was handed to this report."))
    rows = []
    for c in context.checkpoints:
        stamped = (
            "no timestamp"
            if c.stamped_us is None
            else (
                f"{times.stamp(c.stamped_us[0], times.UTC)} to {times.stamp(c.stamped_us[1], times.UTC)}"
                + (", test authority" if c.is_test else "")
            )
        )
        rows.append(
            (times.stamp(c.created_us, times.UTC), c.tree_size, digest(c.root), digest(c.statement_sha256), stamped)
        )
    headings = ("Made", "Leaves", "Merkle root", "SHA-256 that was stamped", "Third party’s time")
    return join(heading, table(headings, rows, "Roots over the ledger and when a third party saw them, UTC"))


def _how_to_check(settlement: Settlement, context: Context) -> Markup:
    file = context.dossier or "DOSSIER.zip"
    key = context.fleet_key or "FINGERPRINT"
    told = (
        "the fingerprint below, which you should have from the customer by another way than this file"
        if context.fleet_key
        else "the fingerprint, which the customer gives you by another way"
    )
    return join(
        el("h3", "How to check this without us"),
        el(
            "p",
            "This page is an account of the evidence, not the evidence. The signed batches are in the dossier; the "
            "program below needs nothing of ours but that file, ",
            told,
            ", and the timestamp authority’s root.",
        ),
        el("pre", el("code", f"linewitness verify {file} --fleet-key {key} --tsa-root ROOT.pem"), tabindex="0"),
        el(
            "p",
            "Fleet key’s fingerprint (SHA-256): ",
            digest(context.fleet_key) if context.fleet_key else "not handed in",
        ),
        el(
            "p",
            "What is bounded and what is not: a batch cannot be changed, left out, reordered or replayed afterwards "
            "without the program naming it. Whoever holds a board could make one sign what it did not see; what "
            "bounds that is time told by others (anchors in the batches, timestamps over the checkpoints), the plan "
            "published before the term, and completeness.",
        ),
        el(
            "p",
            f"Settled by “{settlement.method}”, written by {context.software}. The same readings give the same "
            "verdicts and this same page, byte for byte.",
            cls="note",
        ),
    )
