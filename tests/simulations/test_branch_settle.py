"""Our method on small worlds: nobody is accused falsely, most is told, and evidence can be taken away."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations.branch import measures, methods, score, world
from simulations.branch.faults import HOME
from simulations.branch.generate import Recipe, make
from simulations.branch.style import STYLES


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("world") / "w"
    make(Recipe(77, 20, 2, 60, HOME, STYLES["home"]), path)
    return path


def test_a_small_world_is_settled_without_a_false_accusation(place: Path) -> None:
    verdicts = tuple(methods.settle(world.open_world(place)))
    found = measures.measures(score.records(place, verdicts))
    assert found["FB_worse"] <= 0.005
    assert found["acc_ident"] > 0.7
    assert found["wrong_ident"] < 0.05
    assert verdicts == tuple(methods.settle(world.open_world(place)))


@pytest.mark.parametrize("source", ["reflector", "second", "calls"])
def test_taking_a_source_away_costs_verdicts_but_accuses_nobody_falsely(place: Path, source: str) -> None:
    verdicts = tuple(methods.settle(world.open_world(place), without=frozenset({source})))
    found = measures.measures(score.records(place, verdicts))
    assert verdicts
    assert found["FB_worse"] <= 0.02


def test_single_sites_accuse_hardly_anybody(place: Path) -> None:
    verdicts = tuple(methods.settle(world.open_world(place), pooling=False))
    found = measures.measures(score.records(place, verdicts))
    assert found["FB_worse"] <= 0.005
    assert any(line["side"] == "inconclusive" for line in verdicts)
