"""Worlds with known truth: the same seed gives the same world, every kind does what its truth says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simulations.branch import world
from simulations.branch.blind import BLIND, draw_style
from simulations.branch.faults import ABROAD, HOME, KINDS
from simulations.branch.fields import COLUMN, FIELDS, Readings
from simulations.branch.generate import Recipe, make, site_readings, site_truth
from simulations.branch.kind import Kind, amount_range
from simulations.branch.schedule import Occurrence, at_local_hour, pieces
from simulations.branch.style import STYLES, Style, parse_style
from simulations.branch.topology import ANCHORS, Site
from simulations.branch.truth import tie_breakers

T0 = 1_789_948_800
STEP_S = 60
START, END = T0 + 7200.0, T0 + 14400.0
INSIDE = slice(121, 239)  # the rounds that the fault covers whole


def office(**changes: object) -> Site:
    """A site that has everything: Wi-Fi for witness and phones, SNMP, test calls, targets that answer."""
    told: dict[str, object] = {
        "id": "s000", "isp": 0, "region": 0, "tech": "dsl", "provider": 0, "edge": 0, "second": 1, "carrier": 0,
        "wifi_witness": True, "wifi_phones": True, "told_phones": True, "snmp": True, "testcall": True, "traced": True,
        "tz_min": 0, "router_limits_icmp": False, "silent_hop1": False, "silent_edge": False,
        "path": {**dict.fromkeys(ANCHORS, 0), "p": "peer", "e2": 0, "q": 1},
    }  # fmt: skip
    return Site(**(told | changes))  # type: ignore[arg-type]


def far_targets(kind: Kind) -> tuple[str, ...]:
    """What `far` is for a kind at the site above."""
    by_scope = {
        "transit": ("a1", "a2", "a3", "x", "e2"), "anchor": ("a1",), "anchor_pair": ("a1", "a2"), "reflector": ("x",),
        "provider": ("p", "e2"), "banned": ("p", "e2"), "tenant": ("p", "e2", "q"), "all": ("p", "e2", "q"),
        "anchors": ("a1", "a2", "a3"), "anchor_reflector": ("a1", "x"), "customers": ("p", "e2"),
        "isp_provider": ("p", "e2"),
    }  # fmt: skip
    return by_scope.get(
        kind.scope, ("p",) if kind.scope in ("edge", "edge_region", "isp_edge", "member", "peering") else ()
    )


def one_fault(name: str, site: Site, share: float = 0.7) -> tuple[Readings, world.Line]:
    """Return a day of readings with one fault of two hours, and its truth line."""
    kind = KINDS[name]
    amounts = []
    for effect in kind.effects:
        low, high = amount_range(effect.partition("=")[2])
        amounts.append(low + share * (high - low))
    fault = Occurrence(
        "f0", kind, START, END, {site.id: far_targets(kind)}, tuple(amounts), {"provider": 0}, ((START, END),), 1
    )
    recipe = Recipe(5, 1, 1, STEP_S, (kind,), Style(), T0)
    rows = site_readings(recipe, 0, site, [fault])
    return rows, site_truth(recipe, site, [site], [fault])[0]


def mean(rows: Readings, column: str) -> float:
    return float(np.nanmean(rows[INSIDE, COLUMN[column]]))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    contents = []
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        make(Recipe(seed, 4, 1, 300, HOME, STYLES["home"]), tmp_path / name)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append([path.read_bytes() for path in files])
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_a_world_reads_back_with_its_sites_and_every_truth_line_inside_it(tmp_path: Path) -> None:
    make(Recipe(8, 12, 2, 120, HOME + ABROAD, STYLES["abroad"]), tmp_path)
    opened, truth = world.open_world(tmp_path), world.open_truth(tmp_path)
    rows = sum(len(part) for _, part in opened.each())
    assert rows == opened.meta["rows"] <= 12 * opened.meta["T"]
    assert set(truth.sla) == {site["id"] for site in opened.sites}
    assert truth.faults
    for line in truth.faults:
        assert T0 <= line["start"] <= line["impact_start"] <= line["impact_end"] <= line["end"] <= T0 + 2 * 86400
    assert not any(name.startswith("_") for post in opened.status for name in post)


def test_there_are_forty_kinds_at_home_and_others_that_home_never_has() -> None:
    assert len({kind.name for kind in HOME}) == len(HOME) >= 40
    assert len(ABROAD) >= 20
    assert len(BLIND) >= 40
    assert len({kind.name for kind in HOME + ABROAD + BLIND}) == len(HOME + ABROAD + BLIND)


def test_each_blind_world_has_a_style_of_its_own_and_reads_back(tmp_path: Path) -> None:
    styles = [draw_style(seed) for seed in range(8)]
    assert len({style.noise for style in styles}) == len(styles)
    assert draw_style(3) == styles[3]
    bare = replace(styles[3], reflectors=0.0, second_legs=0.0, second_every=2, told_witness=0.0)
    make(Recipe(3, 12, 2, 120, HOME + BLIND, bare), tmp_path)
    opened = world.open_world(tmp_path)
    for site, rows in opened.each():
        assert site["probe_link"] is None
        assert np.isnan(rows[:, COLUMN["x_loss_u"]]).all()
        assert np.isnan(rows[:, COLUMN["q_sip"]]).all()
        assert not np.isnan(rows[:, COLUMN["p_sip"]]).all()


def test_a_dead_edge_kills_the_provider_columns_and_no_others() -> None:
    rows, line = one_fault("provider_edge_down", office())
    assert (rows[INSIDE, COLUMN["p_loss"]] == 1).all()
    assert (rows[INSIDE, COLUMN["p_sip"]] == 0).all()
    assert (rows[INSIDE, COLUMN["m_mos"]] == 1).all()
    for column in ("gw_loss", "h1_loss", "a1_loss", "e2_loss", "q_loss"):
        assert mean(rows, column) < 0.1
    assert (line["side"], line["affects_calls"], line["impact_start"], line["impact_end"]) == (
        "provider",
        True,
        START,
        END,
    )


def test_signalling_dies_while_media_lives_and_the_reverse() -> None:
    rows, _ = one_fault("provider_sip_down", office())
    assert (rows[INSIDE, COLUMN["p_sip"]] == 0).all()
    assert mean(rows, "m_mos") > 4
    rows, _ = one_fault("provider_media_dead", office())
    assert mean(rows, "p_sip") > 0.9
    assert (rows[INSIDE, COLUMN["m_mos"]] == 1).all()


def test_a_dead_carrier_shows_in_calls_over_it_alone() -> None:
    rows, line = one_fault("carrier_down", office())
    assert (rows[INSIDE, COLUMN["c_ok"]][~np.isnan(rows[INSIDE, COLUMN["c_ok"]])] == 0).all()
    assert mean(rows, "oc_ok") > 0.7
    assert mean(rows, "p_sip") > 0.9
    assert line["side"] == "carrier"
    assert line["affects_calls"]


def test_wifi_trouble_hurts_wired_phones_in_no_way() -> None:
    _, shared = one_fault("wifi_interference", office())
    rows, alone = one_fault("wifi_interference", office(wifi_phones=False))
    assert shared["affects_calls"]
    assert not alone["affects_calls"]
    assert mean(rows, "gw_loss") > 0.05


def test_asymmetric_loss_is_seen_in_one_direction() -> None:
    rows, _ = one_fault("transit_asymmetric", office())
    assert mean(rows, "x_loss_u") > 0.1
    assert mean(rows, "x_loss_d") < 0.03


def test_a_dead_srv_member_is_no_downtime_and_limits_on_probes_are_nobodys_fault() -> None:
    rows, line = one_fault("provider_srv_member_dead", office())
    assert (rows[INSIDE, COLUMN["p_sip"]] == 0).all()
    assert not line["affects_calls"]
    for name in ("gw_icmp_limited", "options_limited", "provider_blocks_icmp", "callee_down", "anchor_outage"):
        assert not one_fault(name, office())[1]["affects_calls"], name


def test_a_power_cut_leaves_no_rows_and_a_boot_by_power() -> None:
    rows, line = one_fault("power_cut", office())
    assert len(rows) == 1440 - 120
    assert rows[120, COLUMN["reset"]] == 1
    assert rows[120, COLUMN["boot"]] == rows[119, COLUMN["boot"]] + 1
    assert rows[120, COLUMN["seq"]] == rows[119, COLUMN["seq"]] + 1
    assert line["affects_calls"]


def test_rows_of_a_broker_outage_come_late_and_whole() -> None:
    rows, line = one_fault("broker_outage", office())
    late = rows[:, COLUMN["t_rx"]] - rows[:, COLUMN["t"]]
    assert len(rows) == 1440
    assert late[120] > 7000
    assert late[119] < 200
    assert line["side"] == "none"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_changes_what_is_read_or_what_phones_live_through(name: str) -> None:
    """At the strong end of its range, against the same day without it; the noise is drawn from the same seed."""
    site = office(tech=KINDS[name].tech[0]) if KINDS[name].tech else office()
    rows, line = one_fault(name, site, share=1.0)
    quiet = site_readings(Recipe(5, 1, 1, STEP_S, (), Style(), T0), 0, site, [])
    # Outside a fault the draws may differ too (a changed column draws otherwise), so levels inside are compared.
    columns = [
        column for column in FIELDS if not any(np.isnan(part[INSIDE, COLUMN[column]]).all() for part in (rows, quiet))
    ]
    levels = [(mean(rows, column), mean(quiet, column)) for column in columns]
    assert (
        line["affects_calls"]
        or len(rows) != len(quiet)
        or any(abs(now - before) > 0.05 * (1 + abs(before)) for now, before in levels)
        or np.abs(rows[:, :2] - quiet[:, :2]).max() > 10
    )
    if KINDS[name].side == "none":
        assert not line["affects_calls"]


def hitting(kind: str, *sites: Site) -> Occurrence:
    return Occurrence("f0", KINDS[kind], START, END, {s.id: ("p",) for s in sites}, ())


def test_only_a_witness_that_fails_by_another_way_tells_a_provider_from_transit() -> None:
    here = office()
    same_way = office(id="s001", isp=1, path=office().path | {"p": 0})
    alike = office(id="s002", isp=2, path=office().path | {"p": 0})
    peer = office(id="s003", isp=3)
    sites = [here, same_way, alike, peer]
    assert "pooled" in tie_breakers(here, sites, hitting("provider_edge_down", here, peer))
    assert "pooled" not in tie_breakers(here, sites, hitting("provider_edge_down", here))
    assert "pooled" not in tie_breakers(same_way, sites, hitting("provider_edge_down", same_way, alike))
    assert "pooled" in tie_breakers(here, sites, hitting("peering_down", here))


def test_what_only_test_calls_show_is_observable_only_where_there_are_some() -> None:
    assert one_fault("carrier_down", office())[1]["observable"]
    assert not one_fault("carrier_down", office(testcall=False))[1]["observable"]
    assert not one_fault("radar_channel_change", office(wifi_witness=False))[1]["observable"]
    assert not one_fault("phones_dead", office())[1]["observable"]


@pytest.mark.parametrize(("hours", "low", "high"), [("night", 0.5, 4.5), ("office", 8.5, 15.5)])
def test_what_happens_at_night_or_in_office_hours_does_so_by_the_sites_own_clock(
    hours: str, low: float, high: float
) -> None:
    site = office(tz_min=-300)
    rng = np.random.default_rng(1)
    for _ in range(20):
        start = at_local_hour(rng, hours, T0 + 5 * 86400.0, T0, 13 * 86400, [site], {site.id: ()})
        assert low <= (start - 300 * 60) / 3600 % 24 <= high


def test_dips_are_mostly_well_and_lie_within_their_fault() -> None:
    found = pieces(np.random.default_rng(2), "dips", START, END)
    assert found[0][0] == START
    assert found[-1][1] == END
    assert sum(stop - start for start, stop in found) < 0.5 * (END - START)


def test_a_style_takes_single_values_and_refuses_unknown_ones() -> None:
    assert parse_style(["home", "isps=3", "noise=1.5"]) == Style(isps=3, noise=1.5)
    with pytest.raises(KeyError):
        parse_style(["home", "isp=3"])
