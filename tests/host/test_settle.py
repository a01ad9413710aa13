"""Whose side was it: hand-made cases with known truth, fed through encoded batches."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from branch_story import EDGE, GATEWAY, MINUTE, PROBES, REFLECTOR, SECOND, T0, Branch, Fault, Probe

from linewitness.model import Bounds, OutagePost, Segment, Settlement, Side, State, Verdict
from linewitness.settle.contract import load
from linewitness.settle.engine import settle
from linewitness.settle.pool import CLOCK_DISPUTED, NOT_EXCLUDED
from linewitness.settle.timeline import Batch, SiteInfo, read_site
from linewitness_wire import codes, record

INFOS = {
    "leeds": SiteInfo("leeds", "isp-one", "acme"),
    "york": SiteInfo("york", "isp-two", "acme"),
    "hull": SiteInfo("hull", "isp-one", "acme"),
    "bath": SiteInfo("bath", "isp-three", "acme"),
}

CONTRACT = load(
    """
[contract]
name = "acme"
provider = "acme"
time_zone = "UTC"
effective_from = 2026-01-01
[[commitment]]
metric = "availability"
target_percent = 99.999
window = "month"
scope = "site"
[downtime]
starts_at = "failure"
min_continuous_s = 0
rounding = "none"
[[exclusion]]
kind = "maintenance"
clause = "4.2"
notice_h = 48
[credit]
base = "mrc"
cap_percent = 100
[[credit.band]]
from_percent = 0
below_percent = 99.999
percent = 10
""",
    "acme.toml",
)


def told(
    *branches: Branch, posts: tuple[OutagePost, ...] = (), shuffle: int | None = None, **options: Any
) -> Settlement:
    """Settle the branches' stories."""
    period = (T0, T0 + max(b.duration_us for b in branches))
    records = []
    for site in sorted({b.site for b in branches}):
        here = [b for b in branches if b.site == site]
        batches: list[Batch] = [batch for b in here for batch in b.batches()]
        if shuffle is not None:
            random.Random(shuffle).shuffle(batches)
        records.append(read_site(site, batches, {b.plan_hash: b.plan for b in here}, *period))
    return settle(records, INFOS, posts, [CONTRACT], period, **options)


def settled_from(branch: Branch, batches: list[Batch]) -> Settlement:
    """Settle what is left of one branch's batches."""
    period = (T0, T0 + branch.duration_us)
    got = read_site(branch.site, batches, {branch.plan_hash: branch.plan}, *period)
    return settle([got], INFOS, (), [CONTRACT], period)


def post(start_us: int, end_us: int, **changes: Any) -> OutagePost:
    made = OutagePost(
        "acme", "i1", "Calls fail", "major", "resolved", ("Voice",), False, T0 + start_us, T0 + start_us,
        T0 + start_us, T0 + end_us, None, None, T0 + end_us, T0 + end_us, "00" * 32,
    )  # fmt: skip
    return replace(made, **changes)


def contains(bounds: Bounds, truth_us: int) -> bool:
    return bounds.earliest_us <= T0 + truth_us <= bounds.latest_us


def provider_seconds(settlement: Settlement) -> float:
    return sum(v.max_us for v in settlement.verdicts if v.side in (Side.PROVIDER, Side.CARRIER)) / SECOND


def assert_ends(verdict: Verdict, start_us: int, end_us: int, widest_us: int = 4 * SECOND) -> None:
    assert contains(verdict.start, start_us)
    assert contains(verdict.end, end_us)
    assert verdict.start.width_us <= widest_us
    assert verdict.end.width_us <= widest_us


OUT = Fault(EDGE, 100 * SECOND + 123_456, 140 * SECOND + 654_321)


def test_a_quiet_month_has_no_verdict_and_every_segment_up() -> None:
    settlement = told(Branch("leeds"), Branch("york"))
    assert settlement.verdicts == ()
    assert {s.state for s in settlement.spans} == {State.UP}
    assert {s.segment for s in settlement.spans} >= {Segment.LAN, Segment.ROUTER, Segment.ACCESS, Segment.PROVIDER}
    assert all(a.claimed_s == 0 and a.standing == "met" for a in settlement.accounts)


def test_own_link_cut_ten_minutes_while_the_provider_is_up_is_no_provider_minute() -> None:
    cut = Fault("access", 100 * SECOND + 77, 700 * SECOND + 77)
    settlement = told(Branch("leeds", (cut,), duration_us=15 * MINUTE), Branch("york", duration_us=15 * MINUTE))
    assert provider_seconds(settlement) == 0
    (verdict,) = settlement.verdicts
    assert (verdict.site, verdict.side, verdict.segment) == ("leeds", Side.ISP, Segment.ACCESS)
    assert_ends(verdict, cut.start_us, cut.end_us)
    account = next(a for a in settlement.accounts if a.site == "leeds")
    assert account.claimed_s == 0
    assert 595 <= dict(account.not_claimable_s)["isp"] <= 605


def test_provider_out_at_two_sites_on_two_isps_is_the_providers() -> None:
    settlement = told(Branch("leeds", (OUT,)), Branch("york", (OUT,)), posts=(post(110 * SECOND, 200 * SECOND),))
    assert [v.side for v in settlement.verdicts] == [Side.PROVIDER, Side.PROVIDER]
    for verdict in settlement.verdicts:
        assert_ends(verdict, OUT.start_us, OUT.end_us)
        assert verdict.claimable
        assert verdict.caveats == ()
        assert {e.side for e in verdict.excluded} == {Side.CUSTOMER, Side.ISP, Side.TRANSIT}
        assert all(e.reason.readings for e in verdict.excluded)
        assert verdict.min_us <= OUT.end_us - OUT.start_us <= verdict.max_us
    account = settlement.accounts[0]
    assert 36 <= account.claimed_s <= 40
    assert account.standing == "breach"
    assert account.credit_percent_milli == 10_000


def test_without_evidence_from_outside_the_verdict_says_so_and_is_claimed_only_by_choice() -> None:
    branches = (Branch("leeds", (OUT,)), Branch("york", (OUT,)))
    for verdict in told(*branches).verdicts:
        assert (verdict.side, verdict.claimable) == (Side.PROVIDER, False)
        assert verdict.caveats == (NOT_EXCLUDED,)
    account = told(*branches).accounts[0]
    assert account.claimed_s == 0
    assert dict(account.not_claimable_s)["provider, not confirmed from outside"] >= 36
    assert all(v.claimable for v in told(*branches, claim_unconfirmed=True).verdicts)


def test_provider_out_at_one_site_only_is_undetermined_with_candidates() -> None:
    for others in ((), (Branch("york"),)):
        (verdict,) = told(Branch("leeds", (OUT,)), *others).verdicts
        assert (verdict.side, verdict.segment, verdict.claimable) == (Side.UNDETERMINED, None, False)
        assert set(verdict.candidates) == {Side.CUSTOMER, Side.ISP, Side.TRANSIT, Side.PROVIDER}
    assert any("reached the same edge" in r.text for r in verdict.reasons)


def test_two_sites_behind_one_isp_do_not_convict_the_provider() -> None:
    settlement = told(Branch("leeds", (OUT,)), Branch("hull", (OUT,)), posts=(post(110 * SECOND, 200 * SECOND),))
    assert [v.side for v in settlement.verdicts] == [Side.UNDETERMINED] * 2


def test_a_third_site_that_reaches_the_edge_speaks_against_the_provider() -> None:
    settlement = told(Branch("leeds", (OUT,)), Branch("york", (OUT,)), Branch("bath"))
    assert {v.side for v in settlement.verdicts} == {Side.UNDETERMINED}


def test_a_post_alone_neither_opens_nor_times_a_verdict() -> None:
    assert told(Branch("leeds"), Branch("york"), posts=(post(10 * SECOND, 250 * SECOND),)).verdicts == ()
    late = told(Branch("leeds", (OUT,)), Branch("york", (OUT,)), posts=(post(0, 290 * SECOND),))
    for verdict in late.verdicts:
        assert_ends(verdict, OUT.start_us, OUT.end_us)


def test_router_fault_is_the_customers() -> None:
    fault = Fault("router", 60 * SECOND + 5, 85 * SECOND + 500_000)
    settlement = told(Branch("leeds", (fault,)), Branch("york"))
    (verdict,) = settlement.verdicts
    assert (verdict.segment, verdict.side) == (Segment.ROUTER, Side.CUSTOMER)
    assert_ends(verdict, fault.start_us, fault.end_us)
    states = {s.state for s in settlement.spans if s.site == "leeds" and s.segment is Segment.PROVIDER}
    assert states == {State.UP, State.UNMEASURED}


def test_a_second_host_on_the_lan_tells_router_from_lan() -> None:
    probes = (*PROBES, Probe("10.0.0.2", "lan", "icmp"))
    router = told(Branch("leeds", (Fault("router", MINUTE, 90 * SECOND),), probes)).verdicts
    lan = told(Branch("leeds", (Fault("lan", MINUTE, 90 * SECOND),), probes)).verdicts
    assert [v.segment for v in router] == [Segment.ROUTER]
    assert [v.segment for v in lan] == [Segment.LAN]
    assert any("another host on the LAN did" in r.text for r in router[0].reasons)


def test_wifi_drop_is_the_customers_lan() -> None:
    fault = Fault("link", 60 * SECOND + 400_000, 84 * SECOND + 250_000)
    (verdict,) = told(Branch("leeds", (fault,)), Branch("york")).verdicts
    assert (verdict.segment, verdict.side) == (Segment.LAN, Side.CUSTOMER)
    assert_ends(verdict, fault.start_us, fault.end_us)


def test_icmp_rate_limit_at_the_router_convicts_nobody() -> None:
    settlement = told(Branch("leeds", (Fault(GATEWAY, MINUTE, 2 * MINUTE, ("icmp",)),)))
    assert settlement.verdicts == ()
    states = {s.state for s in settlement.spans if s.segment is Segment.ROUTER}
    assert states == {State.UP, State.DEGRADED}


def test_a_gateway_that_answers_nothing_is_up_while_the_world_answers_through_it() -> None:
    assert told(Branch("leeds", (Fault(GATEWAY, MINUTE, 2 * MINUTE),))).verdicts == ()


def test_reflector_down_only_convicts_nobody() -> None:
    down = Fault(REFLECTOR, MINUTE, 4 * MINUTE)
    assert told(Branch("leeds", (down,)), Branch("york", (down,))).verdicts == ()


def test_reflector_down_together_with_the_provider_leaves_it_undetermined() -> None:
    both = (OUT, replace(OUT, part=REFLECTOR))
    settlement = told(Branch("leeds", both), Branch("york", both))
    assert {v.side for v in settlement.verdicts} == {Side.UNDETERMINED}


def test_options_filtered_while_the_edge_answers_otherwise_is_undetermined() -> None:
    silent = replace(OUT, methods=("sip",))
    settlement = told(Branch("leeds", (silent,)), Branch("york", (silent,)))
    assert {v.side for v in settlement.verdicts} == {Side.UNDETERMINED}
    assert provider_seconds(settlement) == 0


def test_icmp_to_the_provider_alone_gives_no_verdict() -> None:
    silent = replace(OUT, methods=("icmp",))
    assert told(Branch("leeds", (silent,)), Branch("york", (silent,))).verdicts == ()


def test_server_errors_at_two_sites_are_the_providers_own_word() -> None:
    errors = replace(OUT, methods=("sip",), code=503)
    for verdict in told(Branch("leeds", (errors,)), Branch("york", (errors,))).verdicts:
        assert (verdict.side, verdict.claimable) == (Side.PROVIDER, True)
        assert_ends(verdict, errors.start_us, errors.end_us)


def test_server_errors_at_a_single_site_need_the_providers_own_post() -> None:
    branch = Branch("leeds", (replace(OUT, methods=("sip",), code=503),))
    assert [v.side for v in told(branch).verdicts] == [Side.UNDETERMINED]
    settlement = told(branch, posts=(post(120 * SECOND, 200 * SECOND),))
    assert [v.side for v in settlement.verdicts] == [Side.PROVIDER]


def test_a_dead_anchor_does_not_hide_the_provider_but_two_failing_with_it_do() -> None:
    long_dead = Fault("203.0.113.77", 10 * SECOND, 290 * SECOND)
    settlement = told(Branch("leeds", (OUT, long_dead)), Branch("york", (OUT,)))
    assert {v.side for v in settlement.verdicts} == {Side.PROVIDER}
    shared = (OUT, replace(OUT, part="203.0.113.77"), replace(OUT, part="198.51.100.1"))
    settlement = told(Branch("leeds", shared), Branch("york", shared))
    assert {v.side for v in settlement.verdicts} == {Side.UNDETERMINED}


def test_a_router_fault_inside_a_provider_outage_is_cut_out_of_it() -> None:
    out = Fault(EDGE, 60 * SECOND, 180 * SECOND)
    router = Fault("router", 100 * SECOND, 130 * SECOND)
    settlement = told(Branch("leeds", (out, router)), Branch("york", (out,)), claim_unconfirmed=True)
    leeds = [v for v in settlement.verdicts if v.site == "leeds"]
    assert [v.side for v in leeds] == [Side.PROVIDER, Side.CUSTOMER, Side.PROVIDER]
    for v in leeds:
        if v.side is Side.PROVIDER:
            assert v.end.earliest_us <= T0 + router.start_us or v.start.latest_us >= T0 + router.end_us
    account = next(a for a in settlement.accounts if a.site == "leeds")
    assert 80 <= account.claimed_s <= 90
    assert dict(account.not_claimable_s)["customer"] >= 30


def test_a_provider_outage_that_ends_earlier_elsewhere_is_named_only_while_both_see_it() -> None:
    long = replace(OUT, end_us=OUT.end_us + 60 * SECOND)
    settlement = told(Branch("leeds", (long,)), Branch("york", (OUT,)))
    leeds = [v for v in settlement.verdicts if v.site == "leeds"]
    assert [v.side for v in leeds] == [Side.PROVIDER, Side.UNDETERMINED]
    assert leeds[0].min_us <= OUT.end_us - OUT.start_us


def test_broker_down_three_hours_loses_nothing_and_blames_nobody() -> None:
    hours: Any = {"duration_us": 200 * MINUTE, "batch_us": MINUTE, "probes": SLOW}
    quick = told(Branch("leeds", **hours), Branch("york", **hours))
    late = told(*(Branch(s, broker_down=(10 * MINUTE, 190 * MINUTE), **hours) for s in ("leeds", "york")), shuffle=4)
    assert late == quick
    assert late.verdicts == ()
    assert [c.unmeasured_s for c in late.coverage] == [0, 0]


def test_readings_before_the_first_synchronisation_are_placed_afterwards() -> None:
    branch = Branch("leeds", (Fault("router", MINUTE, 90 * SECOND),), synced_us=200 * SECOND)
    (verdict,) = told(branch).verdicts
    (exact,) = told(replace_branch(branch, synced_us=0)).verdicts
    assert_ends(verdict, MINUTE, 90 * SECOND)
    assert verdict.start.width_us > exact.start.width_us


def test_a_boot_that_was_never_synchronised_is_unknown() -> None:
    settlement = told(Branch("leeds", (OUT,), synced_us=10**12), Branch("york", (OUT,)))
    assert [v.side for v in settlement.verdicts] == [Side.UNDETERMINED]
    assert any(f.kind == "clock_never_set" for f in settlement.findings)
    account = next(a for a in settlement.accounts if a.site == "leeds")
    assert (account.up_s, account.unknown_s) == (0, account.total_s)


def test_a_clock_step_into_the_future_is_found_and_repaired() -> None:
    stepped = Branch("leeds", (OUT,), steps=((150 * SECOND, 3600 * SECOND), (200 * SECOND, -3600 * SECOND)))
    settlement = told(stepped, Branch("york", (OUT,)))
    assert any(f.kind == "clock_step" for f in settlement.findings)
    assert [v.side for v in settlement.verdicts] == [Side.PROVIDER] * 2
    for verdict in settlement.verdicts:
        assert_ends(verdict, OUT.start_us, OUT.end_us)


def test_a_clock_step_that_cannot_be_settled_is_carried_in_the_bounds() -> None:
    stepped = Branch("leeds", (OUT,), steps=((150 * SECOND, -60 * SECOND),))
    (verdict,) = [v for v in told(stepped, Branch("york")).verdicts if v.site == "leeds"]
    assert contains(verdict.start, OUT.start_us)
    assert contains(verdict.end, OUT.end_us)
    assert not verdict.claimable


def test_a_clock_ahead_of_the_hosts_is_flagged_and_nothing_of_it_claimed() -> None:
    ahead = Branch("leeds", (OUT,), clock_error_us=30 * SECOND)
    later = replace(OUT, start_us=OUT.start_us + 30 * SECOND)
    settlement = told(ahead, Branch("york", (later,)), claim_unconfirmed=True)
    assert any(f.kind == "clock_disputed" for f in settlement.findings)
    for verdict in settlement.verdicts:
        assert verdict.site != "leeds" or not verdict.claimable
        assert verdict.site != "leeds" or CLOCK_DISPUTED in verdict.caveats


def test_a_silent_witness_is_unmeasured_and_accuses_nobody() -> None:
    branch = Branch("leeds", (OUT,))
    batches = [b for b in branch.batches() if not 7 <= b.header.seq <= 12]
    settled = settled_from(branch, batches)
    witness = [s for s in settled.spans if s.segment is Segment.WITNESS]
    assert [s.state for s in witness] == [State.UP, State.UNMEASURED, State.UP]
    assert settled.coverage[0].gaps == ((7, 12),)
    assert settled.coverage[0].unmeasured_s == 60
    assert provider_seconds(settled) == 0


def test_trimmed_bodies_are_unmeasured() -> None:
    branch = Branch("leeds")
    batches = [replace(b, body=None) if b.header.seq in (5, 6) else b for b in branch.batches()]
    got = read_site("leeds", batches, {branch.plan_hash: branch.plan}, T0, T0 + branch.duration_us)
    assert (got.coverage[0].trimmed, got.coverage[0].unmeasured_s, got.coverage[0].gaps) == (2, 20, ())


def test_void_samples_say_nothing() -> None:
    branch = Branch("leeds")
    batches = []
    for b in branch.batches():
        readings = [void(r) if 5 <= b.header.seq <= 9 else r for r in b.body.readings]
        batches.append(replace(b, body=record.Body(readings, b.body.events)))
    settled = settled_from(branch, batches)
    assert settled.verdicts == ()
    assert State.UNMEASURED in {s.state for s in settled.spans if s.segment is Segment.PROVIDER}
    assert 40 <= settled.accounts[0].unknown_s - (settled.accounts[0].total_s - 300) <= 60


def void(reading: dict) -> dict:
    gone = {k: v for k, v in reading.items() if k != record.RTT_US}
    gone[record.ANSWERED], gone[record.SELF_DELAYED] = 0, reading[record.SENT]
    if record.SAMPLES in reading:
        times = record.samples(reading[record.SAMPLES])
        gone[record.SAMPLES] = b"".join(record.pack_sample(codes.FATE_VOID, t) for _, t in times)
    return gone


def test_targets_that_never_answered_are_named_and_are_no_evidence() -> None:
    mute = Fault(EDGE, 0, 10 * MINUTE, ("icmp",))
    settlement = told(Branch("leeds", (mute, OUT)), Branch("york", (mute, OUT)))
    assert {v.side for v in settlement.verdicts} == {Side.PROVIDER}
    assert any(f.kind == "never_answered" and "icmp" in f.text for f in settlement.findings)
    assert all(any("never answered" in c for c in v.caveats) for v in settlement.verdicts)


@pytest.mark.parametrize(
    ("seconds", "standing", "due_percent_milli"), [(40, "breach", 10_000), (28, "possible", 0), (24, "met", 0)]
)
def test_forty_seconds_breach_five_nines_and_twenty_four_do_not(
    seconds: int, standing: str, due_percent_milli: int
) -> None:
    out = replace(OUT, end_us=OUT.start_us + seconds * SECOND)
    settlement = told(Branch("leeds", (out,)), Branch("york", (out,)), posts=(post(100 * SECOND, 200 * SECOND),))
    assert [(a.standing, a.credit_percent_milli) for a in settlement.accounts] == [(standing, due_percent_milli)] * 2
    assert all(a.claimed_s <= seconds <= a.claimed_max_s for a in settlement.accounts)


@pytest.mark.parametrize("seed", range(6))
def test_random_faults_are_bounded_and_nothing_of_the_customers_becomes_the_providers(seed: int) -> None:
    rng = random.Random(seed)
    faults = []
    at = 20 * SECOND
    for _ in range(4):
        at += rng.randrange(10 * SECOND, 40 * SECOND)
        end = at + rng.randrange(6 * SECOND, 30 * SECOND)
        faults.append(Fault(rng.choice(["router", "access", "link", EDGE]), at, end))
        at = end
    settlement = told(Branch("leeds", tuple(faults)), Branch("york", tuple(f for f in faults if f.part == EDGE)))
    sides = {"router": Side.CUSTOMER, "link": Side.CUSTOMER, "access": Side.ISP, EDGE: Side.PROVIDER}
    got = [v for v in settlement.verdicts if v.site == "leeds"]
    assert [v.side for v in got] == [sides[f.part] for f in faults]
    for verdict, fault in zip(got, faults, strict=True):
        assert_ends(verdict, fault.start_us, fault.end_us)


SLOW = tuple(
    replace(p, period_us=(2 if p.host == EDGE and p.method == "icmp" else 5 if p.method == "icmp" else 10) * SECOND)
    for p in PROBES
)


@pytest.mark.parametrize("seed", range(12))
def test_at_slow_rounds_on_lossy_lines_the_provider_is_never_blamed_for_others_faults(seed: int) -> None:
    rng = random.Random(f"slow {seed}")
    parts = ["router", "access", "link", "lan", GATEWAY, REFLECTOR, "192.0.2.1", "203.0.113.77", "transit"]
    branches = []
    shared = [rng.randrange(20, 250) * SECOND + rng.randrange(SECOND) for _ in range(3)]
    for site in ("leeds", "york"):  # the same moments at both sites: as hard as chance can make it
        faults = tuple(Fault(rng.choice(parts), at, at + rng.randrange(2 * SECOND, 60 * SECOND)) for at in shared)
        branches.append(Branch(site, faults, rng.choice([SLOW, PROBES]), loss_ppm=rng.choice([0, 10_000, 50_000])))
    settlement = told(*branches, claim_unconfirmed=True, posts=(post(0, 300 * SECOND),))
    assert provider_seconds(settlement) == 0


def test_the_order_of_late_data_does_not_matter() -> None:
    branches = (Branch("leeds", (OUT, Fault("router", 200 * SECOND, 230 * SECOND))), Branch("york", (OUT,)))
    texts = {told(*branches, shuffle=seed).to_json() for seed in (None, 1, 2, 3)}
    assert len(texts) == 1


def test_a_settlement_survives_its_own_json() -> None:
    settlement = told(Branch("leeds", (OUT,)), Branch("york", (OUT,)), posts=(post(0, 200 * SECOND),))
    assert Settlement.from_json(settlement.to_json()) == settlement


def replace_branch(branch: Branch, **changes: Any) -> Branch:
    return replace(branch, **changes)
