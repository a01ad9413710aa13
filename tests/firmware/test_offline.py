"""A witness without its collector, in virtual time: all that happens meanwhile is told afterwards, in order, no hole.

The three days on the real flash sizes are in test_journal_days.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from virtual_office import VirtualOffice, filesystem_kb, make_plan, slow_targets

from linewitness_wire import codes, record
from simulations.board.harness import available_vms

pytestmark = pytest.mark.skipif("wasm" not in available_vms(), reason="virtual time is the wasm machine's: needs Node")

OFFLINE_S = 60 * 60


def test_what_happens_without_the_line_is_told_in_order_and_without_a_hole(tmp_path: Path) -> None:
    with VirtualOffice(tmp_path, make_plan(slow_targets()), "pico-w", filesystem_kb=filesystem_kb(20)) as office:
        office.run_s(130)
        before = len(office.batches)
        office.link(down=True)
        office.run_s(OFFLINE_S)
        office.link(down=False)
        office.run_until(lambda: len(office.batches) > before + 5 and office.caught_up(), 600)
        office.run_s(240)  # the rounds that make the targets clear
    told = office.batches[before:]
    assert office.store.refused == []
    assert office.holes() == []
    assert office.disturbed_windows() == []
    minutes = [round((batch.header.end_us - batch.header.start_us) / 60e6) for batch in told]
    assert 5 in minutes
    assert not any(batch.trimmed for batch in told)
    # The outage's beginning and its end are told sample by sample, in batches that are no wider than a minute.
    for change in (1, 0):
        (at,) = {i for i, batch in enumerate(told) for e in batch.events(codes.EVENT_STATE) if e[2:] == [4, change]}
        assert minutes[at] <= 1
    widest = max(told, key=lambda batch: batch.header.end_us - batch.header.start_us)
    assert widest.octets <= 600
    away = [batch for batch in told if batch.header.end_us < told[0].header.start_us + OFFLINE_S * 1_000_000]
    assert max(batch.octets for batch, wide in zip(told[: len(away)], minutes, strict=False) if wide == 1) <= 500
    for name, answered in (("gateway", True), ("isp-hop", False), ("edge", False)):
        (reading,) = widest.readings(name, slow_targets())
        assert reading[record.SENT] >= 4
        assert (reading[record.ANSWERED] > 0) == answered


def test_a_broker_that_is_away_while_the_network_works_costs_no_reading(tmp_path: Path) -> None:
    with VirtualOffice(tmp_path, make_plan(slow_targets()), "pico-w") as office:
        office.run_s(70)
        office.broker_stops()
        office.run_s(600)
        assert not any(batch.events(codes.EVENT_STATE) for batch in office.batches)
        office.broker_starts()
        office.run_until(office.caught_up, 300)
        for batch in office.batches[2:]:
            (edge,) = batch.readings("edge", slow_targets())
            assert edge[record.ANSWERED] == edge[record.SENT] - edge.get(record.SELF_DELAYED, 0)
    assert office.holes() == []
    assert office.store.refused == []
    assert [state for _, state in office.states].count("online") >= 2
