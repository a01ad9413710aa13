"""The E-model calculator agrees with every vector of ITU-T G.107, and says what it was given."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from linewitness import emodel
from linewitness.cli import main

VECTORS = Path(__file__).parent.parent / "vectors" / "emodel"
G107 = json.loads((VECTORS / "g107.json").read_text())
TABLES = json.loads((VECTORS / "g107_tables.json").read_text())


@pytest.mark.parametrize("vector", G107["vectors"], ids=lambda v: v["id"])
def test_rating_and_mos_equal_the_recommendation(vector: dict) -> None:
    rating = emodel.rate(**vector["inputs"])
    for term, tolerance in (("R", 0.01), ("MOS", 0.005), ("Ro", 0.01), ("Is", 0.01), ("Id", 0.01), ("Ie_eff", 0.01)):
        assert getattr(rating, term) == pytest.approx(vector["computed"][term], abs=tolerance), term


@pytest.mark.parametrize("vector", G107["vectors"], ids=lambda v: v["id"])
def test_the_command_takes_every_input_by_its_symbol(vector: dict) -> None:
    options = [word for symbol, value in vector["inputs"].items() for word in (f"--{symbol}", str(value))]
    result = CliRunner().invoke(main, ["mos", "--json", *options])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["R"] == pytest.approx(vector["computed"]["R"], abs=0.01)
    assert answer["MOS"] == pytest.approx(vector["computed"]["MOS"], abs=0.005)
    assert answer["inputs"] == vector["inputs"]


def test_parameters_are_those_of_the_recommendation() -> None:
    ours = {p.symbol: (p.default, p.low, p.high) for p in emodel.PARAMETERS if p.symbol != "Bpl"}
    theirs = {p["symbol"]: (p["default"], p["min"], p["max"]) for p in TABLES["parameters"] if p["symbol"] != "Bpl"}
    assert ours == theirs


@pytest.mark.parametrize("row", G107["mapping"], ids=lambda row: str(row["R"]))
def test_mos_of_r_is_annex_b(row: dict) -> None:
    assert emodel.mos_of(row["R"]) == pytest.approx(row["MOS"], abs=1e-4)


@pytest.mark.parametrize("row", TABLES["inverse"], ids=lambda row: str(row["MOS"]))
def test_r_of_mos_is_appendix_i(row: dict) -> None:
    assert emodel.r_of(row["MOS"]) == pytest.approx(row["R"], abs=1e-3)


def test_a_value_out_of_range_is_computed_and_named() -> None:
    result = CliRunner().invoke(main, ["mos", "--json", "--Ppl", "35"])
    assert json.loads(result.stdout)["outside_range"] == ["Ppl"]
    assert "--Ppl 35 is outside the permitted 0..20" in result.stderr


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_what_is_no_number_is_wrong_usage(value: str) -> None:
    result = CliRunner().invoke(main, ["mos", "--json", "--Ie", value])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["where"] == "--Ie"


def test_inputs_without_a_rating_are_one_line_and_exit_code_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "linewitness", "mos", "--mT", "0", "--Ta", "5"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: these inputs have no rating")
