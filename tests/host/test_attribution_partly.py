"""What fails now and then, in part or for a part of a site's neighbours: hand-made fleets, one rule a test."""

from __future__ import annotations

import numpy as np

from linewitness.settle.attribution.attribute import attribute
from linewitness.settle.attribution.found import ACCESS, LAN, PROVIDER, ROUTER, TRANSIT, UNDETERMINED
from linewitness.settle.attribution.rounds import Rounds
from tests.host.rounds_of_fleets import (
    AT,
    ROUNDS,
    STEP_S,
    T0_S,
    edge_dead,
    fail_calls,
    fleet,
    line_dead,
    lossy,
    put,
    sides,
    sip_dead,
    site,
)

DIPS = [slice(at, at + 1) for at in range(200, 240, 4)]
LONG = slice(200, 260)
STREAMS = ("media", "second", "reflector", "anchor1", "anchor2", "anchor3")


def edge_dips(where: Rounds) -> None:
    """One minute in four loses most of what goes to the edge, and nothing else."""
    for at in DIPS:
        put(where, at, edge_loss=0.7, edge_sip=0.2, edge_code=200, media_loss_up=0.7, media_loss_down=0.7)


def test_a_line_that_fails_one_minute_in_four_is_one_trouble_of_the_line() -> None:
    sites = fleet()
    for at in DIPS:
        lossy(sites[0], at, 0.3, *STREAMS)
    found = attribute(sites)
    assert [f.side for f in found] == [ACCESS]
    assert found[0].start_s <= T0_S + 200 * STEP_S
    assert found[0].end_s >= T0_S + 236 * STEP_S


def test_one_bad_minute_in_an_hour_is_no_trouble() -> None:
    sites = fleet()
    for at in range(100, 340, 60):
        lossy(sites[0], slice(at, at + 1), 0.3, *STREAMS)
    assert attribute(sites) == []


def test_an_edge_that_dips_in_requests_and_media_at_once_is_the_providers() -> None:
    sites = fleet()
    for one in sites:
        edge_dips(one)
    found = attribute(sites)
    assert {(f.side, f.rule) for f in found} == {(PROVIDER, "pooled_dips")}
    assert {f.site for f in found} == {one.facts.site for one in sites}


def test_dips_that_most_calls_are_spared_are_no_downtime() -> None:
    sites = fleet(16)
    for one in sites:
        edge_dips(one)
        calls = one.columns["carrier_call_ok"]
        calls[200:240:2], one.columns["carrier_call_mos"] = 1.0, np.where(np.isnan(calls), np.nan, 4.3)
        one.columns["carrier_call_mos"][200:240:2] = 4.3
    assert PROVIDER not in sides(attribute(sites))


def test_dips_at_two_sites_convict_nobody() -> None:
    sites = fleet()
    for one in sites[:2]:
        edge_dips(one)
    assert PROVIDER not in sides(attribute(sites))


def test_a_witness_without_an_address_says_nothing_of_its_site() -> None:
    sites = fleet()
    sites[0].columns["address"] = np.ones(ROUNDS)
    line_dead(sites[0])
    put(sites[0], AT, gateway_loss=1, gateway_tcp=0, resolver_ok=0)
    assert sides(attribute(sites)) == {ROUTER}
    put(sites[0], AT, address=0)
    assert attribute(sites) == []


def test_a_gateway_that_was_dead_first_and_back_before_its_line_started_again() -> None:
    sites = fleet()
    line_dead(sites[0], slice(200, 206))
    put(sites[0], slice(200, 202), gateway_loss=1, gateway_tcp=0, resolver_ok=0)
    assert sides(attribute(sites)) == {ROUTER}


def test_a_gateway_that_takes_few_connects_while_it_echoes_is_at_fault_itself() -> None:
    sites = fleet()
    lossy(sites[0], AT, 0.15, *STREAMS)
    put(sites[0], AT, gateway_tcp=0.4, gateway_loss=0.02)
    assert sides(attribute(sites)) == {ROUTER}


def test_calls_that_fail_at_all_sites_of_an_isp_and_region_are_its_line() -> None:
    sites = [site(f"s{i:02}", "abc"[i % 3]) for i in range(12)]
    for one in sites:
        if one.facts.isp == "a":
            fail_calls(one, LONG, "inside", "carrier")
    found = attribute(sites)
    assert {(f.site, f.side, f.rule) for f in found} == {
        (f"s{i:02}", ACCESS, "calls_of_this_isp") for i in (0, 3, 6, 9)
    }


def test_calls_that_fail_at_one_site_are_its_own_where_a_neighbour_calls_and_else_open() -> None:
    neighboured = [site(f"s{i:02}", "ab"[i % 2]) for i in range(8)]
    alone = [site(f"s{i:02}", "abc"[min(i, 1 + i % 2)]) for i in range(8)]
    for sites, side in ((neighboured, ROUTER), (alone, UNDETERMINED)):
        fail_calls(sites[0], LONG, "inside", "carrier")
        found = attribute(sites)
        assert [(f.site, f.side) for f in found] == [("s00", side)]


def test_an_isps_sites_of_one_region_that_alone_fail_are_its_way_from_there() -> None:
    sites = [site(f"s{i:02}", "ab"[i % 2], region=("north", "south")[i // 2 % 2]) for i in range(16)]
    for one in sites:
        if (one.facts.isp, one.facts.region) == ("a", "north"):
            edge_dead(one)
    found = attribute(sites)
    assert {(f.side, f.rule) for f in found} == {(TRANSIT, "region_of_an_isp")}
    assert len({f.site for f in found}) == 4


def test_a_queue_at_offices_of_all_isps_at_once_is_no_isps() -> None:
    sites = [site(f"s{i:02}", "abcd"[i % 4]) for i in range(16)]
    for one in sites[:12]:
        for name in ("media", "second", "reflector"):
            put(one, AT, **{f"{name}_rtt": 220, f"{name}_jitter": 60})
        put(one, AT, anchor1_rtt=220, anchor2_rtt=220, anchor3_rtt=220)
    found = attribute(sites)
    assert sides(found) == {UNDETERMINED}
    assert {frozenset(f.candidates) for f in found} == {frozenset(("customer", ACCESS))}


def test_a_queue_that_only_anchors_can_tell_of_is_still_the_shared_way() -> None:
    bare = site("s00")
    for name in [*bare.columns]:
        if name.startswith(("second", "reflector")):
            del bare.columns[name]
    put(bare, AT, media_rtt=220, media_jitter=60, anchor1_rtt=220, anchor2_rtt=220, anchor3_rtt=220)
    bare.columns["router_use_up"] = np.full(ROUNDS, 0.1)
    put(bare, AT, router_use_up=0.99)
    found = attribute([bare, *fleet()[1:]])
    assert [(f.site, f.side) for f in found] == [("s00", LAN)]


def test_few_sites_of_another_provider_that_fail_beside_many_are_no_rule_of_the_fleet() -> None:
    sites = fleet(20) + [site(f"t{i:02}", "ab"[i % 2], provider="beta") for i in range(40)]
    for one in sites[:20]:
        sip_dead(one)
        fail_calls(one, AT, "inside", "carrier")
    for one in sites[20:22]:
        sip_dead(one)
        fail_calls(one, AT, "inside", "carrier")
    said = {f.site: f.side for f in attribute(sites)}
    assert ROUTER not in said.values()
    for one in sites[20:40]:
        sip_dead(one)
        fail_calls(one, AT, "inside", "carrier")
    assert sides(attribute(sites)) == {ROUTER}
