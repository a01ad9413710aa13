"""One virtual hour of everything that goes wrong; a day and a month are a benchmark (bench_soak)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from soak import soak
from trend import Sample, slope
from virtual_office import STALL_LIMIT_US, VirtualOffice, make_plan, thin_targets

from simulations.board.harness import available_vms

pytestmark = pytest.mark.skipif("wasm" not in available_vms(), reason="virtual time is the wasm machine's: needs Node")


@pytest.mark.parametrize(
    ("profile", "vm"), [("pico-w", "wasm"), ("esp32-devkitc", available_vms()[-1])], ids=["pico-w", "esp32-devkitc"]
)
def test_an_hour_of_faults_loses_nothing_but_what_was_not_durable_at_a_power_cut(
    profile: str, vm: str, tmp_path: Path
) -> None:
    # 64-bit objects are twice as large, and collecting every 16 KB costs that machine most of its time.
    unix: dict[str, Any] = {"heap_kb": 1024, "spare": {"/boot.py": b""}} if vm == "unix" else {}
    with VirtualOffice(tmp_path, make_plan(thin_targets()), profile, vm=vm, **unix) as office:
        account = soak(office, 1, seed=11, fault_every_s=180)
    assert account.problems == []
    assert sum(account.faults.values()) >= 5
    assert account.windows > 2
    assert account.restarts == 0
    assert account.stall_in_windows_us < 5_000
    assert account.most_extras_an_hour <= 21
    # What these are counted against did happen: signatures, handshakes, erases, and each erase alone.
    assert account.signatures >= account.batches
    assert account.handshakes >= 2
    assert account.erases > 50
    assert account.most_erases_in_a_stall == 1
    assert account.stall_outside_us <= STALL_LIMIT_US


def test_a_slope_is_that_within_boots() -> None:
    steady = [Sample(boot, hour, 1000 * boot + hour % 2) for boot in (1, 2, 3) for hour in range(10)]
    found = slope(steady)
    assert found.per_hour is not None
    assert found.half_width is not None
    assert abs(found.per_hour) < found.half_width
    grown = slope([each._replace(value=each.value + 7 * each.hours) for each in steady])
    assert grown.per_hour is not None
    assert grown.per_hour - found.half_width < 7 < grown.per_hour + found.half_width
    assert grown.per_hour > found.half_width
    assert slope([Sample(1, 0, 5), Sample(2, 1, 6)]).per_hour is None
