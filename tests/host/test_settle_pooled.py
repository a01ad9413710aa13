"""Media alone, signalling alone, a carrier: what only all sites side by side can tell, from batches of whole hours."""

from __future__ import annotations

import functools
import random
from dataclasses import replace

import pytest
from branch_story import EDGE, MINUTE, SECOND, T0, Branch, Fault, Probe
from test_settle import CONTRACT, contains, post
from test_settle_command import fleet, run, store  # noqa: F401

from linewitness.fleet import Fleet
from linewitness.model import OutagePost, Segment, Settlement, Side
from linewitness.report import words
from linewitness.settle import pooled, reopened
from linewitness.settle.account import QUALITY
from linewitness.settle.engine import settle
from linewitness.settle.pool import MEDIA_ONLY, NOT_EXCLUDED, SIGNALLING_ONLY
from linewitness.settle.pooled import Engine, Word
from linewitness.settle.timeline import Batch, SiteInfo, read_site

HOUR = 60 * MINUTE
ECHO, MOBILE, LANDLINE = "9196", "+447700900001", "+441632960002"


def plan_of(probe_us: int, window_us: int) -> tuple[Probe, ...]:
    """Return what a site is probed with, by the distance of single probes and of call-quality windows."""
    anchors = ("192.0.2.1", "198.51.100.1", "203.0.113.77")
    return (
        Probe("gateway", "router", "icmp", period_us=probe_us),
        Probe("gateway", "router", "dns", period_us=probe_us),
        Probe("203.0.113.1", "access", "icmp", period_us=probe_us),
        *(Probe(host, "transit", method, period_us=probe_us) for host in anchors for method in ("icmp", "tcp")),
        Probe("198.51.100.9", "transit", "stamp", control=True, period_us=window_us),
        Probe("192.0.2.200", "provider", "sip", control=True, period_us=probe_us),
        Probe("192.0.2.200", "provider", "icmp", control=True, period_us=probe_us // 3),
        Probe(EDGE, "provider", "sip", period_us=probe_us),
        Probe(EDGE, "provider", "icmp", period_us=probe_us),
        Probe(EDGE, "provider", "stamp", period_us=window_us),
        Probe(EDGE, "provider", "call", period_us=20 * MINUTE, callee=ECHO),
        Probe(EDGE, "carrier", "call", period_us=40 * MINUTE, callee=MOBILE),
        Probe(EDGE, "carrier", "call", period_us=40 * MINUTE + SECOND, callee=LANDLINE),
    )


PROBES, RARELY = plan_of(15 * SECOND, 30 * SECOND), plan_of(60 * SECOND, 120 * SECOND)
ISPS = {"leeds": "isp-one", "york": "isp-two", "hull": "isp-one", "bath": "isp-three", "deal": "isp-two"}
INFOS = {
    site: SiteInfo(site, isp, "acme", "fon" if site in ("bath", "deal") else "tel", True) for site, isp in ISPS.items()
}
START_US, END_US = 60 * MINUTE + 7_123_456, 162 * MINUTE + 31_654_321


Faults = dict[str, tuple[Fault, ...]]


@functools.cache
def batches_of(site: str, faults: tuple[Fault, ...], hours: int) -> tuple[Branch, list[Batch]]:
    probes = PROBES if hours <= 4 else RARELY
    branch = Branch(site, faults, probes, duration_us=hours * HOUR, batch_us=MINUTE if hours <= 4 else 2 * MINUTE)
    return branch, branch.batches()


def told(
    faults: Faults,
    sites: tuple[str, ...] = ("leeds", "york"),
    *,
    posts: tuple[OutagePost, ...] = (),
    hours: int = 4,
    shuffle: random.Random | None = None,
) -> Settlement:
    """Settle some hours of some sites, of which some have faults; shuffle: batches and sites come in any order."""
    period = (T0, T0 + hours * HOUR)
    records = []
    for site in sites:
        branch, batches = batches_of(site, faults.get(site, ()), hours)
        if shuffle is not None:
            batches = shuffle.sample(batches, len(batches))
        records.append(read_site(site, batches, {branch.plan_hash: branch.plan}, *period))
    if shuffle is not None:
        shuffle.shuffle(records)
    return settle(records, INFOS, posts, [CONTRACT], period)


def both(*faults: Fault) -> Faults:
    return {"leeds": faults, "york": faults}


MEDIA = Fault(EDGE, START_US, END_US, ("stamp", "call"))
SIGNALLING = Fault(EDGE, START_US, END_US, ("sip", "call"))


def test_a_healthy_fleet_has_no_verdict() -> None:
    assert told({}).verdicts == ()


def test_media_dead_behind_two_isps_while_signalling_answers_is_the_providers() -> None:
    settlement = told(both(MEDIA), posts=(post(START_US, END_US),))
    assert [(v.site, v.side, v.kind) for v in settlement.verdicts] == [
        ("leeds", Side.PROVIDER, MEDIA_ONLY), ("york", Side.PROVIDER, MEDIA_ONLY),
    ]  # fmt: skip
    for verdict in settlement.verdicts:
        assert contains(verdict.start, START_US)
        assert contains(verdict.end, END_US)
        assert verdict.start.width_us <= 60 * SECOND
        assert verdict.claimable
        assert {e.side for e in verdict.excluded} >= {Side.CUSTOMER, Side.ISP, Side.TRANSIT}
        assert all(e.reason.readings for e in verdict.excluded)


def test_a_media_probe_that_is_down_alone_is_nobodys() -> None:
    settlement = told(both(Fault(EDGE, START_US, END_US, ("stamp",))), posts=(post(START_US, END_US),))
    assert {v.side for v in settlement.verdicts} == {Side.UNDETERMINED}


def test_media_dead_at_one_site_is_nobodys() -> None:
    (verdict, *more) = told({"leeds": (MEDIA,)}).verdicts
    assert (verdict.side, verdict.claimable, more) == (Side.UNDETERMINED, False, [])


def test_signalling_and_calls_dead_behind_two_isps_is_the_providers() -> None:
    settlement = told(both(SIGNALLING))
    assert {(v.side, v.kind) for v in settlement.verdicts} == {(Side.PROVIDER, SIGNALLING_ONLY)}
    assert all(v.caveats == (NOT_EXCLUDED,) and not v.claimable for v in settlement.verdicts)


def test_options_that_are_limited_while_calls_come_about_convict_nobody() -> None:
    settlement = told(both(Fault(EDGE, START_US, END_US, ("sip",))), posts=(post(START_US, END_US),))
    assert {v.side for v in settlement.verdicts} == {Side.UNDETERMINED}
    for verdict in settlement.verdicts:
        (called,) = [r for r in verdict.reasons if "came about" in r.text]
        assert called.readings


def test_the_order_of_batches_and_sites_changes_nothing() -> None:
    faults = {"leeds": (MEDIA,), "york": (MEDIA, Fault("access", 180 * MINUTE, 200 * MINUTE))}
    assert told(faults).to_json() == told(faults, shuffle=random.Random(4)).to_json()


def sides_of(stories: dict[str, tuple[Fault, tuple[Probe, ...]]]) -> tuple[set[Side], str]:
    """Settle three hours of sites that each have one fault and a plan of their own; return sides and all reasons."""
    period = (T0, T0 + 3 * HOUR)
    records = []
    for site, (fault, probes) in stories.items():
        branch = Branch(site, (fault,), probes, duration_us=3 * HOUR, batch_us=MINUTE)
        records.append(read_site(site, branch.batches(), {branch.plan_hash: branch.plan}, *period))
    verdicts = settle(records, INFOS, (), [], period).verdicts
    return {v.side for v in verdicts}, " ".join(r.text for v in verdicts for r in v.reasons)


def test_echoes_and_options_that_are_limited_for_a_minute_convict_nobody() -> None:
    short = Fault(EDGE, START_US, START_US + 2 * MINUTE, ("sip", "icmp"))
    probes = tuple(p for p in PROBES if (p.host, p.method) != (EDGE, "stamp"))
    sides, reasons = sides_of(dict.fromkeys(("leeds", "york"), (short, probes)))
    assert sides == {Side.UNDETERMINED}
    assert "a limiter of what we ask would look the same" in reasons


def test_another_edge_that_fails_at_the_same_time_does_not_agree() -> None:
    other = "192.0.2.101"
    probes = tuple(replace(p, host=other) if p.host == EDGE else p for p in PROBES)
    until_us = START_US + 3 * MINUTE
    sides, reasons = sides_of({
        "leeds": (Fault(EDGE, START_US, until_us), PROBES), "york": (Fault(other, START_US, until_us), probes),
    })  # fmt: skip
    assert sides == {Side.UNDETERMINED}
    assert "no healthy witness behind another ISP saw the same" in reasons


def test_a_short_failure_that_the_second_method_leaves_open_is_nobodys() -> None:
    span = (T0, T0 + 2 * MINUTE)
    words = {"leeds": [Word((T0 - MINUTE, T0 + 9 * MINUTE), None, "no_other_isp", 50, ())]}
    assert Engine({}, frozenset({"leeds"})).objection("leeds", span) == ""
    assert Engine(words, frozenset({"leeds"})).objection("leeds", span) != ""


# --- calls ----------------------------------------------------------------------------------------------------------

EVERYBODY = ("leeds", "york", "bath", "deal")
CALLS_US, CALLED_US = 121 * MINUTE, 279 * MINUTE
OVER = tuple(Fault(callee, CALLS_US, CALLED_US) for callee in (MOBILE, LANDLINE))


def carrier(*faults: Fault) -> Faults:
    """Faults at the two sites of the carrier `tel`."""
    return {"leeds": faults, "york": faults}


def test_calls_over_one_carrier_that_fail_beside_good_ones_inside_are_the_carriers() -> None:
    settlement = told(carrier(*OVER), EVERYBODY, hours=7)
    assert [(v.site, v.side, v.segment) for v in settlement.verdicts] == [
        ("leeds", Side.CARRIER, Segment.CARRIER), ("york", Side.CARRIER, Segment.CARRIER),
    ]  # fmt: skip
    for verdict in settlement.verdicts:
        assert contains(verdict.start, CALLS_US)
        assert contains(verdict.end, CALLED_US)
        assert not verdict.claimable
        (inside,) = [e.reason for e in verdict.excluded if e.side is Side.PROVIDER]
        assert all(c.answered == c.sent > 0 for c in inside.readings)
    account = next(a for a in settlement.accounts if a.site == "leeds")
    assert account.claimed_s == 0
    assert dict(account.not_claimable_s)["carrier"] >= (CALLED_US - CALLS_US) // SECOND


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        (carrier(OVER[0]), ""),  # the other callee was reached: no failure of the carrier at all
        ({"leeds": OVER}, "no healthy witness behind another ISP"),
        (carrier(*(Fault(f.part, f.start_us, f.end_us, (), 486) for f in OVER)), "by the callee itself"),
        (carrier(*OVER, Fault(ECHO, CALLS_US, CALLED_US)), "a rule of the customer's"),
        (dict.fromkeys(EVERYBODY, OVER), "do not show that it was the carrier"),
    ],
)  # fmt: skip
def test_a_carrier_is_not_named_in_doubt(faults: Faults, why: str) -> None:
    verdicts = told(faults, EVERYBODY, hours=7).verdicts
    assert {v.side for v in verdicts} <= {Side.UNDETERMINED}
    assert all(any(why in r.text for r in v.reasons) for v in verdicts)
    assert bool(verdicts) == bool(why)


def test_a_carrier_that_only_the_second_method_names_stays_undetermined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "names", lambda _, site, span: Word(span, Segment.CARRIER, "carrier", 99, ()))
    verdicts = told({"leeds": OVER}, EVERYBODY, hours=7).verdicts
    assert [(v.site, v.side) for v in verdicts] == [("leeds", Side.UNDETERMINED)]


def test_calls_that_fail_while_options_are_answered_are_told_and_accuse_nobody() -> None:
    settlement = told(both(Fault(ECHO, CALLS_US, CALLED_US)), hours=7)
    assert [(v.side, v.candidates) for v in settlement.verdicts] == [
        (Side.UNDETERMINED, (Side.CUSTOMER, Side.PROVIDER))
    ] * 2  # fmt: skip
    for verdict in settlement.verdicts:
        assert contains(verdict.start, CALLS_US)
        assert contains(verdict.end, CALLED_US)
        assert ECHO in verdict.reasons[0].text


@pytest.mark.parametrize("code", [503, None])
def test_calls_inside_and_over_the_carrier_that_fail_together_are_nobodys_by_either_method(code: int | None) -> None:
    fault = Fault(EDGE, CALLS_US, CALLED_US, ("call",), code)
    settlement = told(carrier(fault), EVERYBODY, hours=7)
    assert [(v.site, v.side, v.candidates) for v in settlement.verdicts] == [
        (site, Side.UNDETERMINED, (Side.CUSTOMER, Side.PROVIDER)) for site in ("leeds", "york")
    ]  # fmt: skip
    for verdict in settlement.verdicts:
        assert any("behind another ISP, failed meanwhile as well" in r.text for r in verdict.reasons)
        assert not any("no healthy witness" in r.text for r in verdict.reasons)
    records = []
    for site in EVERYBODY:
        branch, batches = batches_of(site, (fault,) if site in ("leeds", "york") else (), 7)
        records.append(read_site(site, batches, {branch.plan_hash: branch.plan}, T0, T0 + 7 * HOUR))
    words = pooled.ask(records, INFOS, (), (T0, T0 + 7 * HOUR)).words
    assert sorted(words) == ["leeds", "york"]
    assert all([(w.side, w.rule) for w in said] == [(Side.UNDETERMINED, "calls_or_rule")] for said in words.values())


# --- calls that break up --------------------------------------------------------------------------------------------


POOR_UNTIL_US = START_US + 35 * MINUTE


def lossy(part: str, *methods: str) -> Fault:
    return Fault(part, START_US, POOR_UNTIL_US, methods, lost_ppm=200_000)


def poor(faults: Faults, sites: tuple[str, ...] = ("leeds", "york", "hull")) -> list[tuple[str, Side]]:
    """Return (site, side) of the verdicts, all of which have to be about poor calls, never downtime nor claimed."""
    settlement = told(faults, sites)
    for verdict in settlement.verdicts:
        assert (verdict.kind, verdict.claimable) == (QUALITY, False)
        assert contains(verdict.start, START_US)
        assert contains(verdict.end, POOR_UNTIL_US)
        assert verdict.reasons[0].readings
        assert words.claim(verdict)[1].startswith("no downtime")
    assert settlement.breaches == ()
    assert all(a.claimed_s == 0 and a.not_claimable_s == () for a in settlement.accounts)
    return [(v.site, v.side) for v in settlement.verdicts]


def test_loss_that_the_gateway_shows_too_is_the_customers_and_else_the_lines() -> None:
    assert poor({"leeds": (lossy("lan"),)}) == [("leeds", Side.CUSTOMER)]
    assert poor({"leeds": (lossy("access"),)}) == [("leeds", Side.ISP)]


def test_poor_media_behind_two_isps_beside_clean_reflectors_is_the_providers() -> None:
    media = lossy(EDGE, "stamp", "icmp", "call")
    assert poor(dict.fromkeys(("leeds", "york", "hull"), (media,))) == [
        ("hull", Side.PROVIDER), ("leeds", Side.PROVIDER), ("york", Side.PROVIDER),
    ]  # fmt: skip


@pytest.mark.parametrize("sites", [("leeds",), ("leeds", "hull")])
def test_poor_media_behind_one_isp_is_not_the_providers(sites: tuple[str, ...]) -> None:
    media = lossy(EDGE, "stamp", "icmp", "call")
    assert Side.PROVIDER not in {side for _, side in poor(dict.fromkeys(sites, (media,)))}


def test_a_limiter_of_echoes_is_nobodys_poor_calls() -> None:
    assert poor({"leeds": (lossy("gateway", "icmp"), lossy(EDGE, "icmp"))}) == []


# --- a real ledger --------------------------------------------------------------------------------------------------


def test_a_ledger_settled_by_an_older_method_is_reopened_by_its_name(fleet: Fleet) -> None:  # noqa: F811
    for site in ("leeds", "york"):
        store(fleet, batches_of(site, (MEDIA,), 4)[0])
    first = run(fleet, "--json", "--no-record")
    assert first.exit_code == 0, first.output
    settlement = Settlement.from_json(first.stdout)
    assert [(v.side, v.kind) for v in settlement.verdicts] == [(Side.PROVIDER, MEDIA_ONLY)] * 2
    older = replace(settlement, method="linewitness rules 3", verdicts=(), breaches=())
    with fleet.ledger() as ledger:
        inputs = reopened.Inputs(480, "", 480, "", "", "", "", False)
        ledger.add_item("verdict", "older", reopened.record_of(older, inputs).encode(), T0)
    again = Settlement.from_json(run(fleet, "--json").stdout)
    told_of = [f.text for f in again.findings if f.kind == "reopened" and "was no failure" in f.text]
    assert len(told_of) == 2
    assert all("the method, linewitness rules 3 then and linewitness rules 6 now" in text for text in told_of)
