"""One world, two feeders: told as rows, and as the signed batches of a ledger, it gives the engine the same values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from replayed_world import LOOSE, UNTOLD, Replayed, alike, info_of, replayed, with_facts_of
from test_outages import SITE
from test_settle_command import fleet, store  # noqa: F401

from linewitness.fleet import Fleet
from linewitness.model import Segment, Side
from linewitness.settle import feeder, pooled
from linewitness.settle.attribution.attribute import attribute
from linewitness.settle.attribution.rounds import Rounds
from linewitness.settle.attribution.windows import Window
from linewitness.settle.intervals import core, subtract, union
from linewitness.settle.timeline import Head, SiteRecord, read_site
from linewitness.settling import settle_fleet
from simulations.branch import faults, generate, methods, world
from simulations.branch.feed import Feed
from simulations.branch.style import STYLES
from simulations.branch.world import Line

ROUNDS, SITES, STEP_S = 200, 5, 60
KINDS = (
    "provider_edge_down,provider_sip_down,provider_media_dead,provider_sip_errors,provider_dns_gone,line_cut,"
    "wifi_interference,uplink_saturation,router_reboot,power_cut,resolver_lies,peering_down,ap_reboot,"
    "boot_without_time,anchor_outage"
)


class Told(NamedTuple):
    """The first ROUNDS rounds of one world, both ways."""

    sites: list[Replayed]
    period: tuple[int, int]
    rows: dict[str, Rounds]
    records: dict[str, SiteRecord]
    readings: dict[str, Rounds]
    truth: tuple[Line, ...]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    path: Path = tmp_path_factory.mktemp("world")
    style = replace(STYLES["home"], isps=2, providers=2, regions=1, rate=14.0, testcalls=1.0)
    generate.make(generate.Recipe(5, SITES, 1, STEP_S, faults.select(KINDS), style), path)
    made = world.open_world(path)
    sites = replayed(made, ROUNDS)
    period = (int(made.t0 * 1e6), int((made.t0 + ROUNDS * STEP_S) * 1e6))
    records = {s.site: read_site(s.site, s.batches(), {s.plan_hash: s.plan}, *period) for s in sites}
    infos = {s.site: info_of(s.line) for s in sites}
    fleet_wide = feeder.common(records.values(), infos)
    readings = {site: feeder.rounds(record, infos[site], period, fleet_wide) for site, record in records.items()}
    rows = {seen.site["id"]: methods.rounds(seen) for seen in Feed(made).window(0, ROUNDS, None)}
    return Told(sites, period, rows, records, readings, world.open_truth(path).faults)


def test_readings_become_the_very_values_that_rows_become(told: Told) -> None:
    for site, rows in told.rows.items():
        readings = told.readings[site]
        assert (rows.measured == readings.measured).all()
        for name in set(rows.columns) - UNTOLD:
            same = alike(name, rows, readings)
            assert same.mean() >= LOOSE.get(name, 1.0), f"{site}: {name}: {np.flatnonzero(~same)[:5]}"


def test_the_engine_says_the_same_of_both(told: Told) -> None:
    # A site's file has no room for traces; its access technology and where the phones hang are not asked for.
    same_facts = [with_facts_of(rows, told.readings[site]) for site, rows in told.rows.items()]
    by_rows, by_readings = (attribute(fed, blocks_told=True) for fed in (same_facts, told.readings.values()))
    assert len(by_rows) > 20
    assert {"provider", "access", "customer_lan", "transit"} <= {f.side for f in by_rows}
    assert [(f.site, f.side, f.rule) for f in by_rows] == [(f.site, f.side, f.rule) for f in by_readings]
    for one, other in zip(by_rows, by_readings, strict=True):
        assert abs(one.start_s - other.start_s) <= STEP_S
        assert abs(one.end_s - other.end_s) <= STEP_S


def test_a_signed_ledger_names_the_provider_only_where_it_was(told: Told, fleet: Fleet) -> None:  # noqa: F811
    for path in (fleet.root / "sites").glob("*.toml"):
        path.unlink()
    infos = {s.site: info_of(s.line) for s in told.sites}
    for site in told.sites:
        info = infos[site.site]
        text = SITE.replace('"leeds"', f'"{info.site}"').replace("isp-one", info.isp)
        text = text.replace('"acme"', f'"{info.provider}"\ncarrier = "{info.carrier}"\nregion = "{info.region}"')
        text = text.replace('"ethernet"', '"ethernet"' if info.wired else '"wifi"\nssid = "office"')
        assert info.line_kbits is not None
        text = text.replace("[plan]", "[line]\ndown_kbits = {}\nup_kbits = {}\n[plan]".format(*info.line_kbits))
        (fleet.root / "sites" / f"{info.site}.toml").write_text(text)
        store(fleet, site)
    settlement = settle_fleet(fleet, *told.period)
    named = [v for v in settlement.verdicts if v.side is Side.PROVIDER]
    assert named
    for verdict in named:
        real = union(  # of failures that overlap one verdict may tell
            (round((fault["start"] - STEP_S) * 1e6), round((fault["end"] + STEP_S) * 1e6))
            for fault in told.truth if (fault["site"], fault["side"]) == (verdict.site, "provider")
        )  # fmt: skip
        assert subtract([core(verdict)], real) == []
    assert {v.side for v in settlement.verdicts} > {Side.CUSTOMER, Side.UNDETERMINED}


def test_batches_read_one_by_one_say_what_they_say_held_together(told: Told) -> None:
    site = told.sites[0]
    plans = {site.plan_hash: site.plan}
    heads = [Head(b.witness, b.header, b.received_us) for b in site.batches()]
    streamed = read_site(site.site, iter(site.batches()), plans, *told.period, iter(heads))
    held = told.records[site.site]
    assert feeder.common([streamed], {site.site: info_of(site.line)}) == feeder.common(
        [held], {site.site: info_of(site.line)}
    )
    for name in ("links", "measured", "boots", "ran", "led", "coverage", "findings"):
        assert getattr(streamed, name) == getattr(held, name)
    assert list(streamed.windows) == list(held.windows)
    assert list(streamed.router) == list(held.router)
    assert [s.samples(*told.period) for s in streamed.series] == [s.samples(*told.period) for s in held.series]


def test_a_ledger_judged_in_windows_is_judged_as_a_whole(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    infos = {s.site: info_of(s.line) for s in told.sites}
    whole = pooled.ask(list(told.records.values()), infos, (), told.period)
    parts = [Window(0, 160, 0, 130, 100), Window(100, ROUNDS, 130, ROUNDS, None)]
    monkeypatch.setattr(pooled, "windows", lambda *_: parts)
    cut = pooled.ask(list(told.records.values()), infos, (), told.period)
    ends_us = told.period[0] + 100 * STEP_S * 1_000_000
    assert whole.heard == cut.heard == set(told.records)
    for site in told.records:
        early = [(w.span, w.segment) for w in whole.words.get(site, ()) if w.span[1] < ends_us]
        assert early == [(w.span, w.segment) for w in cut.words.get(site, ()) if w.span[1] < ends_us]
    accused = {w.rule for words in cut.words.values() for w in words if w.segment is Segment.PROVIDER}
    assert accused <= {w.rule for words in whole.words.values() for w in words if w.segment is Segment.PROVIDER}
