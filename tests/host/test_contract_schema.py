"""The JSON Schema says what contract check says of a contract's shape: it is made from the same definitions."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from linewitness import cli
from linewitness.cli.contract import templates
from linewitness.settle.contract import check
from linewitness.settle.contract_schema import DRAFT, json_schema
from linewitness.settle.contract_tables import TABLES

VALIDATOR = jsonschema.Draft202012Validator(json_schema())
DOCUMENT = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()


def template(name: str) -> str:
    return resources.files("linewitness.settle").joinpath("templates", f"{name}.toml").read_text(encoding="utf-8")


def as_an_editor_sees(value: Any) -> Any:
    """Return TOML's values as JSON's: dates are text."""
    if isinstance(value, dict):
        return {k: as_an_editor_sees(v) for k, v in value.items()}
    if isinstance(value, list):
        return [as_an_editor_sees(v) for v in value]
    return value.isoformat() if isinstance(value, date) else value


def valid(text: str) -> bool:
    return bool(VALIDATOR.is_valid(as_an_editor_sees(tomllib.loads(text))))


def test_it_is_a_schema_of_the_draft_that_it_names() -> None:
    assert json_schema()["$schema"] == DRAFT
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("name", templates())
def test_every_template_validates(name: str) -> None:
    assert valid(template(name))


@pytest.mark.parametrize("name", templates())
def test_a_template_with_any_key_misspelt_does_not(name: str) -> None:
    lines = template(name).splitlines()
    places = [i for i, line in enumerate(lines) if line[:1].isalpha()]
    assert len(places) > 10
    for i in places[len(name) % 3 :: 3]:
        wrong = [*lines]
        key, _, rest = wrong[i].partition(" ")
        wrong[i] = f"{key}x {rest}"
        text = "\n".join(wrong)
        assert not valid(text), wrong[i]
        found, problems = check(text)
        assert found is None
        assert any(p.line == i + 1 and f"did you mean '{key}'?" in p.text for p in problems), (wrong[i], problems)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("availability-flat", 'kind = "flat"', 'kind = "flatt"'),
        ("availability-flat", "target_percent = 99.95", "target_percent = 101"),
        ("availability-flat", "target_percent = 99.95", "limit_mos = 4"),
        ("availability-flat", "percent = 10\n", "step_min = 10\n"),
        ("availability-flat", "effective_from = 2026-01-01", "effective_from = 1"),
        ("mos-monthly-average", "limit_mos = 4.0", "limit_mos = 6"),
        ("mos-monthly-average", 'statistic = "mean"', "# no statistic"),
        ("failover", 'to = "backup"', 'to = "somewhere"'),
        ("availability-service-hours", 'opens = "08:00"', 'opens = "8 am"'),
        ("availability-service-hours", 'days = ["mon"', 'days = ["moonday"'),
        ("compliance", "review_months = 6", "review_months = 0"),
        ("support-priorities", "response_min = 15", "response_min = 0.5"),
    ],
)
def test_what_the_schema_refuses_contract_check_refuses_too(name: str, old: str, new: str) -> None:
    text = template(name)
    assert old in text
    wrong = text.replace(old, new, 1)
    assert not valid(wrong)
    assert check(wrong)[0] is None


def test_the_command_prints_it_and_writes_it_once(tmp_path: Path) -> None:
    shown = CliRunner().invoke(cli.main, ["contract", "schema"])
    assert json.loads(shown.stdout) == json_schema()
    out = tmp_path / "contract.schema.json"
    assert CliRunner().invoke(cli.main, ["contract", "schema", "--out", str(out)]).exit_code == 0
    assert json.loads(out.read_text()) == json_schema()
    assert CliRunner().invoke(cli.main, ["contract", "schema", "--out", str(out)]).exit_code == 1


@pytest.mark.parametrize("table", TABLES)
def test_the_documentation_has_a_row_for_every_key(table: str) -> None:
    part = DOCUMENT.partition(f"\n### `{'[[' if TABLES[table].many else '['}{table}")[2].partition("\n### ")[0]
    missing = [k for k, rule in TABLES[table].keys.items() if f"| `{k}` | {rule.says} |" not in part]
    assert missing == []
