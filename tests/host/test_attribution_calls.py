"""What test calls tell of carriers, and of a silence to OPTIONS: hand-made fleets, one rule a test."""

from __future__ import annotations

import numpy as np

from linewitness.settle.attribution.attribute import attribute
from linewitness.settle.attribution.calls import Calls, differ
from linewitness.settle.attribution.found import CARRIER, PROVIDER, ROUTER, UNDETERMINED
from linewitness.settle.attribution.rounds import Rounds
from tests.host.rounds_of_fleets import AT, STEP_S, T0_S, fail_calls, fleet, lossy, sides, sip_dead, site


def test_options_that_are_limited_while_calls_succeed_are_no_fault() -> None:
    sites = fleet()
    for one in sites:
        sip_dead(one)
    assert attribute(sites) == []


def test_signalling_that_fails_with_its_calls_is_the_providers() -> None:
    sites = fleet()
    for one in sites:
        sip_dead(one)
        fail_calls(one, AT, "inside", "carrier")
    assert sides(attribute(sites)) == {PROVIDER}


def test_signalling_without_test_calls_cannot_be_told_from_a_limiter() -> None:
    sites = fleet()
    for one in sites:
        sip_dead(one)
    assert sides(attribute(sites, without=frozenset({"calls"}))) == {UNDETERMINED}


def carriers() -> list[Rounds]:
    return [site(f"s{i:02}", "ab"[i % 2], carrier=("tel", "fon")[i // 2 % 2]) for i in range(16)]


LONG = slice(200, 260)


def test_calls_over_one_carrier_that_fail_beside_good_ones_inside_are_the_carriers() -> None:
    sites = carriers()
    for one in sites:
        if one.facts.carrier == "tel":
            fail_calls(one, LONG, "carrier")
    found = attribute(sites)
    assert sides(found) == {CARRIER}
    assert {f.site for f in found} == {one.facts.site for one in sites if one.facts.carrier == "tel"}


def test_a_callee_that_is_down_for_every_carrier_is_nobodys_fault() -> None:
    sites = carriers()
    for one in sites:
        fail_calls(one, LONG, "carrier")
    assert attribute(sites) == []


def test_one_sites_own_failing_calls_are_not_the_providers() -> None:
    sites = fleet()
    fail_calls(sites[0], slice(200, 300), "inside", "carrier")
    assert sides(attribute(sites)) == {ROUTER}


def test_a_sites_carrier_is_told_though_the_callee_inside_is_down_for_everybody() -> None:
    sites = carriers()
    for one in sites:
        fail_calls(one, slice(0, 400), "inside")
        if one.facts.carrier == "tel":
            fail_calls(one, LONG, "carrier")
    assert CARRIER in sides([f for f in attribute(sites) if f.start_s >= T0_S + 190 * STEP_S])


def test_the_only_carrier_is_told_by_the_same_callee_answering_in_another_region() -> None:
    sites = [site(f"s{i:02}", "ab"[i % 2], region=("north", "south")[i // 2 % 2]) for i in range(16)]
    for one in sites:
        if one.facts.region == "north":
            fail_calls(one, LONG, "carrier")
    found = attribute(sites)
    assert sides(found) == {CARRIER}
    assert {f.site for f in found} == {one.facts.site for one in sites if one.facts.region == "north"}


def test_the_only_carrier_failing_everywhere_may_be_the_callee() -> None:
    sites = fleet(16)
    for one in sites:
        fail_calls(one, LONG, "carrier")
    assert sides(attribute(sites)) == {UNDETERMINED}


def test_a_carriers_failure_ends_for_a_site_where_its_own_calls_come_about() -> None:
    sites = carriers()
    mended, still = [one for one in sites if one.facts.carrier == "tel"][:2]
    for one in sites:
        if one.facts.carrier == "tel" and one is not mended:
            fail_calls(one, LONG, "carrier")
    fail_calls(mended, slice(200, 230), "carrier")
    ends = {f.site: f.end_s for f in attribute(sites)}
    assert ends[mended.facts.site] < T0_S + 240 * STEP_S < ends[still.facts.site]


def test_sites_whose_calls_come_about_are_not_part_of_a_failure_that_others_calls_show() -> None:
    sites = [site(f"s{i:02}", "ab"[i % 2], region=("north", "south")[i // 2 % 2]) for i in range(16)]
    for one in sites:
        sip_dead(one, LONG)
        if one.facts.region == "north":
            fail_calls(one, LONG, "inside", "carrier")
    found = attribute(sites)
    assert {f.site for f in found if f.side == PROVIDER} == {
        one.facts.site for one in sites if one.facts.region == "north"
    }


def test_a_longer_silence_to_options_adds_nothing_to_a_failure_of_media() -> None:
    sites = fleet(16)
    short, long = slice(200, 230), slice(200, 300)
    for one in sites:
        sip_dead(one, long)
        lossy(one, short, 1.0, "media")
        fail_calls(one, short, "inside", "carrier")
    found = attribute(sites)
    assert PROVIDER in sides(found)
    assert all(f.end_s < T0_S + 233 * STEP_S for f in found if f.side == PROVIDER)


def test_an_error_to_options_is_no_failure_while_calls_come_about() -> None:
    sites = fleet(16)
    for one in sites:
        one.columns["edge_code"][LONG] = 503.0
        one.columns["edge_sip"][LONG] = 0.0
    assert attribute(sites) == []
    for one in sites:
        fail_calls(one, LONG, "inside", "carrier")
    assert sides(attribute(sites)) == {PROVIDER}


def test_failures_beyond_chance_are_told_from_others_at_any_number_of_calls() -> None:
    def calls(made: int, failed: int) -> Calls:
        return Calls(np.zeros(made, np.int64), np.arange(made), np.arange(made) < failed)

    assert differ(calls(8, 6), calls(30, 1))
    assert not differ(calls(8, 2), calls(30, 3))
    assert not differ(calls(100, 60), calls(36, 14)), "a busy callee fails calls over all carriers"
    assert not differ(calls(4, 4), calls(3, 0)), "three calls say little"
    # A thousand sites make more calls than a float could count the choices among.
    assert differ(calls(20_000, 1_800), calls(50_000, 1_000))
    assert not differ(calls(20_000, 400), calls(50_000, 1_000))


def only_caller(sites: list[Rounds]) -> Rounds:
    """Leave test calls to the first site alone."""
    for one in sites[1:]:
        for name in ("inside_call_ok", "carrier_call_ok"):
            one.columns[name][:] = np.nan
    return sites[0]


def test_one_sites_calls_tell_of_a_silence_that_they_fail_with_and_with_nothing_else() -> None:
    sites = fleet()
    caller = only_caller(sites)
    for one in sites:
        sip_dead(one, LONG)
    fail_calls(caller, LONG, "inside", "carrier")
    assert sides(attribute(sites)) == {PROVIDER}
    fail_calls(caller, slice(170, 260), "inside", "carrier")
    assert PROVIDER not in sides(attribute(sites)), "its calls failed before: a trouble of its own"


def test_one_sites_calls_tell_of_media_that_they_are_poor_with_and_with_nothing_else() -> None:
    sites = fleet()
    caller = only_caller(sites)
    caller.columns["carrier_call_mos"] = np.where(np.isnan(caller.columns["carrier_call_ok"]), np.nan, 4.3)
    for one in sites:
        lossy(one, LONG, 0.3, "media")
    mos = caller.columns["carrier_call_mos"]
    mos[LONG] = np.minimum(mos[LONG], 2.0)
    assert sides(attribute(sites)) == {PROVIDER}
    mos[170:200] = np.minimum(mos[170:200], 2.0)
    assert PROVIDER not in sides(attribute(sites))


def test_calls_over_a_carrier_that_fail_behind_one_isp_alone_may_be_its_lines() -> None:
    sites = carriers()
    for one in sites:
        if one.facts.carrier == "tel" and one.facts.isp == "a":
            fail_calls(one, LONG, "carrier")
    found = attribute(sites)
    assert found
    assert CARRIER not in sides(found)


def test_media_that_only_the_probe_lost_is_its_far_ends_trouble() -> None:
    sites = fleet(16)
    for one in sites:
        one.columns["carrier_call_mos"] = np.where(np.isnan(one.columns["carrier_call_ok"]), np.nan, 4.3)
        lossy(one, LONG, 0.3, "media")
    assert attribute(sites) == []
    for one in sites:
        one.columns["carrier_call_mos"][LONG] = np.minimum(one.columns["carrier_call_mos"][LONG], 2.0)
    assert sides(attribute(sites)) == {PROVIDER}


def test_media_that_only_the_probe_lost_stays_open_where_no_calls_are_made() -> None:
    sites = fleet(16)
    for one in sites:
        lossy(one, LONG, 0.3, "media")
    assert sides(attribute(sites, without=frozenset({"calls"}))) == {UNDETERMINED}


def test_a_callee_that_one_providers_sites_alone_call_is_not_told_from_their_only_carrier() -> None:
    sites = [
        site(f"s{i:02}", "ab"[i % 2], ("acme", "zeta")[i // 2 % 2], carrier=("tel", "fon")[i // 2 % 2])
        for i in range(16)
    ]
    for one in sites:
        if one.facts.carrier == "tel":
            fail_calls(one, LONG, "carrier")
    assert sides(attribute(sites)) == {UNDETERMINED}
