"""The power fails in any flash operation of the whole firmware, at any octet: it recovers and lies about nothing.

bench_power does the same for an hour and for every operation; here a part of the operations is cut at every 16th octet.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from power_cuts import cut_everywhere, scripted

from simulations.board.harness import available_vms

pytestmark = pytest.mark.skipif("wasm" not in available_vms(), reason="virtual time is the wasm machine's: needs Node")


@pytest.mark.parametrize(("profile", "minutes"), [("pico-w", 10), ("esp32-devkitc", 5)])
def test_every_operation_of_some_minutes_and_a_part_of_them_at_every_sixteenth_octet(
    profile: str, minutes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log, office = scripted(tmp_path, minutes, profile)
    assert len(log.operations) > 40
    cuts = cut_everywhere(monkeypatch, log, log.images((0, 50)), office.profile)
    assert cuts.problems == []
    assert cuts.batches >= minutes - 2
    cuts = cut_everywhere(monkeypatch, log, log.images_torn_every(16, 1024, 5), office.profile)
    assert cuts.problems == []
    assert cuts.images > 100


def test_a_flash_that_lost_what_was_published_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log, office = scripted(tmp_path, 5)
    # As if nothing after the first third had reached the flash, while the collector had it all.
    (*_, last) = log.images((0,))
    early = next(image for image in log.images((0,)) if image.cut_at == len(log.operations) // 3)
    forged = early._replace(marks=last.marks)
    cuts = cut_everywhere(monkeypatch, log, iter([forged]), office.profile)
    assert cuts.problems != []
