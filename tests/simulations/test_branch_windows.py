"""A world that is read and judged in windows: nearly all verdicts are the same, and none is worse."""

from __future__ import annotations

from pathlib import Path

import pytest

from linewitness.settle.attribution.windows import Window
from simulations.branch import measures, methods, score, world
from simulations.branch.faults import HOME
from simulations.branch.generate import Recipe, make
from simulations.branch.style import STYLES

CUTS = (1100, 1800)  # rounds
PARTS = [
    Window(0, 1500, 0, CUTS[0], 700), Window(700, 2200, *CUTS, 1400), Window(1400, 2880, CUTS[1], 2880, None),
]  # fmt: skip


def test_a_world_is_settled_as_well_in_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(Recipe(78, 20, 2, 60, HOME, STYLES["home"]), tmp_path / "w")
    opened = world.open_world(tmp_path / "w")
    whole = tuple(methods.settle(opened))
    monkeypatch.setattr(methods, "windows", lambda rounds, step_s, sites: PARTS)
    verdicts = tuple(methods.settle(opened))
    cuts = [opened.t0 + at * opened.step_s for at in CUTS]
    assert any(line["start"] < cut < line["end"] for line in verdicts for cut in cuts)
    one, other = ({tuple(line.values()) for line in said} for said in (whole, verdicts))
    assert len(one & other) > 0.9 * len(one | other)
    before, after = (measures.measures(score.records(tmp_path / "w", said)) for said in (whole, verdicts))
    assert after["FB_worse"] <= before["FB_worse"] + 0.001
    assert after["acc_ident"] >= before["acc_ident"] - 0.03
