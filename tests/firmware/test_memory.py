"""The default plan in a hard heap of which it fills five sixths, and within its budget of live memory.

The unix machine of the tests has 8-octet words, both have the firmware in the heap: how much a board needs the
benchmarks `heap` and `hour` measure, on 32-bit machines with the firmware frozen in.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from virtual_office import VirtualOffice, default_targets, make_plan

from linewitness_wire import codes
from simulations.board.harness import available_vms
from simulations.board.vms import pointer_octets, unix_binary

HEAP_KB = 160  # of 4-octet words, beside the runtime's; some 20 KB more than live at once
LIVE_OCTETS = 240_000  # on the 32-bit machine, loaded from files; some 50,000 of it are the runtime's own

PLAN = make_plan(default_targets())
hard_heap = pytest.mark.skipif(
    "unix" not in available_vms() or pointer_octets(unix_binary()) != 8, reason="needs a 64-bit unix MicroPython"
)


def office(folder: Path, spare: dict[str, bytes]) -> VirtualOffice:
    return VirtualOffice(folder, PLAN, "esp32-devkitc", vm="unix", heap_kb=HEAP_KB, spare=spare)


@hard_heap
def test_no_allocation_fails_in_a_heap_that_is_nearly_full(tmp_path: Path) -> None:
    with office(tmp_path, {}) as branch:
        branch.run_s(150)
        branch.run_until(branch.caught_up, 120)
        events = [event for batch in branch.batches for event in batch.body.events]
        assert "MemoryError" not in branch.text
        assert branch.device.boots == 1
        assert len(branch.batches) >= 2
        assert branch.holes() == []
        assert [event for event in events if event[0] in (codes.EVENT_TASK, codes.EVENT_FAULT)] == []


@hard_heap
def test_the_heap_is_small_enough_to_show_what_collecting_rarely_does(tmp_path: Path) -> None:
    with office(tmp_path, {"/boot.py": b""}) as branch:
        branch.run_until(lambda: "MemoryError" in branch.text, 150)


@pytest.mark.skipif("wasm" not in available_vms(), reason="the 32-bit machine needs Node")
def test_what_lives_keeps_within_its_budget(tmp_path: Path) -> None:
    with VirtualOffice(tmp_path, PLAN, "esp32-devkitc", vm="wasm") as branch:
        branch.run_s(70)
        live: list[int] = []
        branch.device.ask_heap(live.append)
        branch.run_until(lambda: live, 60)
        assert 100_000 < live[0] < LIVE_OCTETS
