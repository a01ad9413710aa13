"""One virtual hour of everything that goes wrong; a day and a month are a benchmark (bench_soak)."""

from __future__ import annotations

from pathlib import Path

import pytest
from soak import soak
from virtual_office import VirtualOffice, make_plan, thin_targets

from simulations.board.harness import available_vms

pytestmark = pytest.mark.skipif("wasm" not in available_vms(), reason="virtual time is the wasm machine's: needs Node")


def test_an_hour_of_faults_loses_nothing_but_what_was_not_durable_at_a_power_cut(tmp_path: Path) -> None:
    with VirtualOffice(tmp_path, make_plan(thin_targets()), "pico-w") as office:
        account = soak(office, 1, seed=11, fault_every_s=180)
    assert account.problems == []
    assert sum(account.faults.values()) >= 5
    assert account.windows > 2
    assert account.restarts == 0
    assert account.stall_in_windows_us < 5_000
    assert account.most_extras_an_hour <= 21
