"""The whole witness on the wired board, the one for claims about quality: what it signs of its cable."""

from __future__ import annotations

from pathlib import Path

import pytest
from collector import fates
from virtual_office import EDGE, VirtualOffice, make_plan, target

from linewitness_wire import codes, record
from simulations.board.harness import available_vms

pytestmark = pytest.mark.skipif("wasm" not in available_vms(), reason="virtual time is the wasm machine's: needs Node")

BATCH_S = 12
TARGETS = [
    target("link", codes.SEGMENT_LAN, codes.METHOD_LINK, "", period_ms=10_000),
    target("gateway", codes.SEGMENT_ROUTER, codes.METHOD_ICMP, "gateway", period_ms=2_000),
    target("edge", codes.SEGMENT_PROVIDER, codes.METHOD_ICMP, EDGE, period_ms=2_000),
]


def test_a_cable_that_is_pulled_is_told_and_nothing_is_called_lost_meanwhile(tmp_path: Path) -> None:
    with VirtualOffice(tmp_path, make_plan(TARGETS, BATCH_S), "esp32-poe", tls=False) as office:
        office.run_until(lambda: len(office.batches) >= 3, 120)
        first, *_ = office.batches
        (boot,) = first.events(codes.EVENT_BOOT)
        assert boot[4] & codes.CAN_ETHERNET
        up = [event[2:] for batch in office.batches for event in batch.events(codes.EVENT_LINK_UP)]
        assert up == [[0, 0]]  # a wire has neither signal nor channel
        whole = office.batches[-1]
        (link,) = whole.readings("link", TARGETS)
        assert record.RSSI_DBM not in link
        assert record.CHANNEL not in link
        assert link[record.UP_US] == whole.header.end_us - whole.header.start_us
        for name in ("gateway", "edge"):
            (reading,) = whole.readings(name, TARGETS)
            assert reading[record.ANSWERED] + reading.get(record.SELF_DELAYED, 0) == reading[record.SENT] > 0
        known = len(office.batches)
        office.device.nic.drop()
        office.run_s(40)
        office.device.nic.restore()
        office.run_until(lambda: len(office.batches) > known + 6 and office.caught_up(), 300)
        later = office.batches[known:]
        assert len([event for batch in later for event in batch.events(codes.EVENT_LINK_DOWN)]) == 1
        assert [event[2:] for batch in later for event in batch.events(codes.EVENT_LINK_UP)] == [[0, 0]]
        said = [fate for batch in later for reading in batch.readings("gateway", TARGETS) for fate in fates(reading)]
        assert said.count(codes.FATE_VOID) >= 10
        assert said.count(codes.FATE_LOST) <= 1  # the one that was on its way
        assert not any(batch.events(codes.EVENT_STATE) for batch in office.batches)
        assert office.holes() == []
        assert office.store.refused == []
