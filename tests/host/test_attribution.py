"""Whose side was it, from rounds: hand-made fleets, one rule a test, each with what must not be said."""

from __future__ import annotations

import numpy as np
import pytest

from linewitness.settle.attribution.attribute import attribute
from linewitness.settle.attribution.found import ACCESS, LAN, POWER, PROVIDER, ROUTER, TRANSIT, UNDETERMINED
from linewitness.settle.attribution.rounds import Post, Rounds
from tests.host.rounds_of_fleets import (
    AT,
    ROUNDS,
    STEP_S,
    T0_S,
    edge_dead,
    fail_calls,
    fleet,
    gone,
    line_dead,
    lossy,
    put,
    sides,
    site,
)


def test_a_healthy_fleet_gets_no_verdict() -> None:
    assert attribute(fleet()) == []


def test_an_edge_dead_behind_two_isps_is_the_providers_with_ends_finer_than_a_round() -> None:
    sites = fleet()
    for one in sites:
        edge_dead(one)
        put(one, slice(199, 200), media_loss_up=0.25, media_loss_down=0.25, edge_sip=0.8)
    found = attribute(sites)
    assert sides(found) == {PROVIDER}
    assert {f.site for f in found} == {one.facts.site for one in sites}
    for f in found:
        assert abs(f.start_s - (T0_S + 199.75 * STEP_S)) < 15
        assert abs(f.end_s - (T0_S + AT.stop * STEP_S)) < 15


def test_a_sick_witness_convicts_nobody() -> None:
    sites = fleet()
    edge_dead(sites[0])
    found = attribute(sites)
    assert sides(found) == {UNDETERMINED}
    assert all(PROVIDER in f.candidates and "customer" in f.candidates for f in found)


@pytest.mark.parametrize("count", [1, 2])
def test_sites_of_one_isp_alone_never_accuse_the_provider(count: int) -> None:
    sites = fleet(count, "a")
    for one in sites:
        edge_dead(one)
    assert sides(attribute(sites)) == {UNDETERMINED}


def test_an_error_code_is_the_providers_own_word() -> None:
    alone = site("s00")
    put(alone, AT, edge_sip=0, edge_code=503)
    assert sides(attribute([alone])) == {PROVIDER}


def test_an_error_code_speaks_of_its_own_time_and_of_no_silence_before_and_after() -> None:
    (one,) = fleet(1)
    put(one, slice(180, 260), edge_sip=0, edge_code=0)
    put(one, slice(195, 250), edge_code=503)
    named = [f for f in attribute([one]) if f.side == PROVIDER]
    assert [(f.first, f.last) for f in named] == [(195, 250)]


def test_media_and_echoes_lost_at_two_sites_alone_may_be_two_lines() -> None:
    sites = fleet(3)
    for one in sites:
        lossy(one, AT, 0.3, "media")
        put(one, AT, edge_loss=0.5)
    assert sides(attribute(sites, without=frozenset({"calls"}))) == {PROVIDER}
    assert sides(attribute(sites[:2], without=frozenset({"calls"}))) == {UNDETERMINED}


def test_a_refusal_to_be_asked_is_nobodys_fault() -> None:
    sites = fleet()
    for one in sites:
        put(one, AT, edge_sip=0.3, edge_code=403)
    assert attribute(sites) == []


def test_one_isps_way_to_the_provider_is_transit() -> None:
    sites = fleet(9, "abc")
    for one in sites:
        if one.facts.isp == "a":
            edge_dead(one)
    found = attribute(sites)
    assert sides(found) == {TRANSIT}
    assert {f.site for f in found} == {one.facts.site for one in sites if one.facts.isp == "a"}


def test_a_transit_network_that_other_targets_cross_is_transit() -> None:
    sites = fleet()
    for one in sites[:6]:
        edge_dead(one)
        put(one, AT, anchor2_loss=1, anchor2_tcp=0, reflector_loss_up=1, reflector_loss_down=1)
    assert sides(attribute(sites)) == {TRANSIT}


def test_echoes_that_are_limited_are_no_fault() -> None:
    sites = fleet()
    for one in sites:
        put(one, AT, gateway_loss=1, edge_loss=1, hop_loss=1)
    assert attribute(sites) == []


def test_a_dead_edge_whose_calls_succeed_by_another_is_no_downtime() -> None:
    sites = fleet()
    for one in sites:
        put(one, AT, edge_loss=1, edge_tcp=0, edge_sip=0, edge_code=0, media_loss_up=1, media_loss_down=1)
    assert attribute(sites) == []


def test_media_that_dies_behind_two_isps_while_signalling_lives_is_the_providers() -> None:
    sites = fleet()
    for one in sites:
        lossy(one, AT, 1.0, "media")
        fail_calls(one, AT, "inside", "carrier")
    assert sides(attribute(sites)) == {PROVIDER}


def test_two_providers_that_fail_in_one_moment_have_one_cause_that_is_neither() -> None:
    sites = [site(f"s{i:02}", "ab"[i % 2], ("acme", "zeta")[i // 2 % 2]) for i in range(12)]
    for one in sites:
        edge_dead(one)
    assert PROVIDER not in sides(attribute(sites))


def test_missing_rows_are_a_power_cut_only_where_the_next_boot_says_so() -> None:
    cut, crashed, trimmed = fleet(3)
    gone(cut, AT, reset=1)
    gone(crashed, AT, reset=2)
    gone(trimmed, AT, reset=0, boots=False)
    found = attribute([cut, crashed, trimmed])
    assert [(f.site, f.side) for f in found] == [(cut.facts.site, POWER)]


def test_a_line_that_is_cut_behind_a_living_gateway_is_access() -> None:
    sites = fleet()
    line_dead(sites[0])
    assert sides(attribute(sites)) == {ACCESS}


def test_a_dead_gateway_is_the_customers() -> None:
    sites = fleet()
    line_dead(sites[0])
    put(sites[0], AT, gateway_loss=1, gateway_tcp=0, resolver_ok=0)
    assert sides(attribute(sites)) == {ROUTER}


def test_the_witness_own_radio_is_nobodys_fault_where_phones_are_wired() -> None:
    radio = site("s00", witness_on_wifi=True)
    line_dead(radio)
    put(radio, AT, gateway_loss=1, gateway_tcp=0, resolver_ok=0, link=0)
    shared = site("s01", witness_on_wifi=True, phones_on_wifi=True)
    line_dead(shared)
    put(shared, AT, gateway_loss=1, gateway_tcp=0, resolver_ok=0, link=0)
    assert [(f.site, f.side) for f in attribute([radio, shared])] == [("s01", LAN)]


def test_loss_that_the_gateway_shows_is_the_lans_and_else_the_lines() -> None:
    streams = ("media", "second", "reflector", "anchor1", "anchor2", "anchor3")
    near, far = fleet(2)
    lossy(near, AT, 0.08, *streams)
    put(near, AT, gateway_loss=0.15)
    lossy(far, AT, 0.08, *streams)
    assert [(f.site, f.side) for f in attribute([near, far])] == [("s00", LAN), ("s01", ACCESS)]


def test_a_full_line_is_the_customers_where_the_router_says_so_and_else_undetermined() -> None:
    told, untold = fleet(2)
    for one in (told, untold):
        for name in ("media", "second", "reflector"):
            put(one, AT, **{f"{name}_rtt": 320, f"{name}_jitter": 60})
        put(one, AT, anchor1_rtt=320, anchor2_rtt=320, anchor3_rtt=320)
    told.columns["router_use_up"] = np.full(ROUNDS, 0.1)
    put(told, AT, router_use_up=0.99)
    found = attribute([told, untold])
    assert [(f.site, f.side) for f in found] == [("s00", LAN), ("s01", UNDETERMINED)]
    assert set(found[1].candidates) == {"customer", ACCESS}


def test_a_name_that_is_gone_behind_all_isps_is_the_providers_where_calls_fail_with_it() -> None:
    sites = several_providers()
    for one in sites:
        if one.facts.provider == "acme":
            put(one, AT, provider_name=0)
    assert attribute(sites) == [], "calls came about: a filter in front of our resolvers"
    assert sides(attribute(sites, without=frozenset({"calls"}))) == {UNDETERMINED}
    for one in sites:
        if one.facts.provider == "acme":
            fail_calls(one, AT, "inside", "carrier")
    assert PROVIDER in sides(attribute(sites))


def test_a_name_that_is_gone_at_one_site_is_the_customers() -> None:
    alone = fleet()
    put(alone[0], AT, provider_name=-1)
    assert sides(attribute(alone)) == {ROUTER}


def test_an_anchor_and_the_reflector_may_be_out_without_anybodys_fault() -> None:
    sites = fleet()
    for one in sites:
        put(one, AT, anchor1_loss=1, anchor1_tcp=0, reflector_loss_up=1, reflector_loss_down=1)
    assert attribute(sites) == []


def test_the_order_of_sites_does_not_matter() -> None:
    sites = fleet()
    for one in sites:
        edge_dead(one)
    line_dead(sites[3], slice(300, 320))
    assert attribute(sites) == attribute(sites[::-1])


def test_without_pooling_each_site_stands_alone() -> None:
    sites = fleet()
    for one in sites:
        edge_dead(one)
    assert PROVIDER not in sides(attribute(sites, pooling=False))


def several_providers() -> list[Rounds]:
    return [site(f"s{i:02}", "ab"[i % 2], ("acme", "zeta")[i // 2 % 2]) for i in range(12)]


def test_sip_that_falls_silent_to_two_providers_with_its_calls_is_a_rule_of_the_customers() -> None:
    sites = several_providers()
    for late, one in enumerate(sites):
        at = slice(200 + late % 4, 260)  # a push takes minutes to reach all
        put(one, at, edge_sip=0, edge_code=0)
        fail_calls(one, at, "inside", "carrier")
    assert sides(attribute(sites)) == {ROUTER}


def test_sip_that_falls_silent_to_two_providers_while_calls_come_about_is_the_probes_own() -> None:
    sites = several_providers()
    for one in sites:
        put(one, slice(200, 260), edge_sip=0, edge_code=0)
    assert attribute(sites) == []


def test_all_edges_of_a_provider_out_of_reach_may_be_the_customers_block_until_its_own_post_says_otherwise() -> None:
    sites = several_providers()
    for one in sites:
        if one.facts.provider == "acme":
            edge_dead(one)
            put(one, AT, edge2_sip=0, edge2_loss=1)
    found = attribute(sites)
    assert sides(found) == {UNDETERMINED}
    assert all({"customer", PROVIDER} <= set(f.candidates) for f in found)
    start_s, end_s = T0_S + AT.start * STEP_S, T0_S + AT.stop * STEP_S
    posted = Post("acme", None, start_s, end_s, start_s + 300, maintenance=False)
    assert sides(attribute(sites, [posted])) == {PROVIDER}
    assert sides(attribute(sites, blocks_told=True)) == {PROVIDER}


def test_a_way_that_fails_for_all_sites_of_some_isps_and_none_of_others_accuses_no_provider() -> None:
    sites = fleet(12, "abcd")
    for one in sites:
        if one.facts.isp in "ab":
            edge_dead(one)
    assert PROVIDER not in sides(attribute(sites))


def test_sites_that_no_edge_of_a_provider_serves_beside_more_that_it_does_may_be_banned() -> None:
    sites = fleet(12)
    for one in sites[:3]:
        edge_dead(one)
        put(one, AT, edge2_sip=0)
    assert sides(attribute(sites)) == {UNDETERMINED}
    for one in sites[:3]:
        put(one, AT, edge2_sip=1)
    assert sides(attribute(sites)) == {PROVIDER}, "its other edge serves them"


def test_who_refuses_our_requests_may_refuse_our_calls_and_media() -> None:
    sites = fleet()
    for one in sites:
        put(one, AT, edge_code=403, media_loss_up=1, media_loss_down=1)
        fail_calls(one, AT, "inside", "carrier")
    assert PROVIDER not in sides(attribute(sites))


def test_a_server_that_answers_every_request_with_404_refuses_nothing() -> None:
    sites = fleet()
    for one in sites:
        one.columns["edge_code"][:] = 404.0
        put(one, AT, media_loss_up=1, media_loss_down=1)
        fail_calls(one, AT, "inside", "carrier")
    assert sides(attribute(sites)) == {PROVIDER}


def test_one_isps_way_and_a_site_elsewhere_by_chance_are_not_the_provider() -> None:
    sites = [site(f"s{i:02}", "a" if i < 3 else "b") for i in range(17)]
    for one in sites[:5]:
        lossy(one, AT, 0.3, "media")
        put(one, AT, edge_loss=0.5)
    assert PROVIDER not in sides(attribute(sites))


def test_a_site_where_more_failed_does_not_confirm_that_media_did() -> None:
    sites = fleet(6)
    for one in sites[::2]:
        lossy(one, AT, 0.3, "media")
        put(one, AT, edge_loss=0.5)
    for one in sites[1::2]:
        edge_dead(one)
    found = {f.site: f.side for f in attribute(sites)}
    assert all(found.get(one.facts.site) != PROVIDER for one in sites[::2])


def test_a_witness_that_lost_power_while_the_router_did_not_was_unplugged() -> None:
    (one,) = fleet(1)
    one.columns["router_uptime_s"] = 9000 + STEP_S * np.arange(ROUNDS)
    gone(one, AT, reset=1)
    assert attribute([one]) == []
