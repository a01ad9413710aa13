"""Some calls fail and others come about: the provider or its carrier only by both methods, and never as downtime."""

from __future__ import annotations

import pytest
from branch_story import EDGE, MINUTE, Fault
from test_settle import contains
from test_settle_pooled import ECHO, END_US, LANDLINE, MOBILE, POOR_UNTIL_US, START_US, Faults, both, told

from linewitness.model import Settlement, Side, Verdict
from linewitness.settle.account import QUALITY
from linewitness.settle.pool import NOT_EXCLUDED

SITES = ("leeds", "york", "hull")


def some(part: str, *methods: str, lost_ppm: int = 600_000, end_us: int = POOR_UNTIL_US) -> Fault:
    return Fault(part, START_US, end_us, methods, lost_ppm=lost_ppm)


def blamed(settlement: Settlement) -> list[Verdict]:
    return [v for v in settlement.verdicts if v.side in (Side.PROVIDER, Side.CARRIER)]


def test_signalling_and_calls_that_fail_in_part_behind_two_isps_are_the_providers_and_no_downtime() -> None:
    failing = (some(EDGE, "sip", "tcp"), Fault(EDGE, START_US, POOR_UNTIL_US, ("call",)))
    settlement = told(dict.fromkeys(SITES, failing), SITES)
    named = [v for v in blamed(settlement) if v.kind == QUALITY]
    assert {v.site for v in named} == set(SITES)
    for verdict in named:
        assert verdict.side is Side.PROVIDER
        assert not verdict.claimable
        assert verdict.caveats == (NOT_EXCLUDED,)
        assert contains(verdict.start, START_US)
        assert contains(verdict.end, POOR_UNTIL_US)
        assert {e.side for e in verdict.excluded} >= {Side.CUSTOMER, Side.ISP, Side.TRANSIT}
        assert all(e.reason.readings for e in verdict.excluded)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(dict.fromkeys(SITES, (some(EDGE, "sip"),)), id="calls-come-about"),
        pytest.param({"leeds": (some(EDGE, "sip", "call"),)}, id="at-one-site"),
        pytest.param({s: (some(EDGE, "sip", "call"),) for s in ("leeds", "hull")}, id="behind-one-isp"),
        pytest.param(dict.fromkeys(SITES, (some("transit"),)), id="controls-fail-as-well"),
    ],
)
def test_what_fails_in_part_and_may_be_something_else_is_not_the_providers(faults: Faults) -> None:
    assert [v for v in blamed(told(faults, SITES)) if v.kind == QUALITY] == []


def test_the_own_reflectors_trouble_for_a_while_hides_no_poor_media_beside_it() -> None:
    poor_media = Fault(EDGE, START_US, POOR_UNTIL_US, ("stamp", "icmp", "call"), lost_ppm=200_000)
    elsewhere = Fault("198.51.100.9", START_US + 5 * MINUTE, START_US + 13 * MINUTE, lost_ppm=300_000)
    named = blamed(told(dict.fromkeys(SITES, (poor_media, elsewhere)), SITES))
    assert {(v.site, v.side, v.kind) for v in named} == {(s, Side.PROVIDER, QUALITY) for s in SITES}


def test_a_trouble_of_the_way_that_spoils_half_of_all_windows_is_not_the_providers() -> None:
    shared = [Fault(part, START_US, POOR_UNTIL_US, ("stamp",), lost_ppm=60_000) for part in (EDGE, "198.51.100.9")]
    assert blamed(told(both(*shared))) == []


def spoilt(*callees: str) -> tuple[Fault, ...]:
    return tuple(some(callee, "call", lost_ppm=200_000, end_us=END_US) for callee in callees)


def test_poor_calls_over_a_carrier_beside_good_ones_inside_are_the_carriers_and_no_downtime() -> None:
    settlement = told(dict.fromkeys(SITES, spoilt(MOBILE, LANDLINE)), (*SITES, "bath"))
    assert [(v.site, v.side, v.kind) for v in settlement.verdicts] == [
        (site, Side.CARRIER, QUALITY) for site in sorted(SITES)
    ]  # fmt: skip
    for verdict in settlement.verdicts:
        assert not verdict.claimable
        assert contains(verdict.start, START_US)
        assert contains(verdict.end, END_US)
        (inside,) = [e.reason for e in verdict.excluded if e.side is Side.PROVIDER]
        assert all(c.answered == c.sent > 0 for c in inside.readings)
    assert all(a.not_claimable_s == () for a in settlement.accounts)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(dict.fromkeys(SITES, spoilt(MOBILE)), id="one-callee"),
        pytest.param({"leeds": spoilt(MOBILE, LANDLINE)}, id="one-site"),
        pytest.param(dict.fromkeys(SITES, spoilt(MOBILE, LANDLINE, ECHO)), id="calls-inside-as-well"),
    ],
)
def test_poor_calls_that_may_be_something_else_are_not_the_carriers(faults: Faults) -> None:
    assert blamed(told(faults, (*SITES, "bath"))) == []
