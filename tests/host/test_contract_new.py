"""A new contract is made from a template or from answers, is checked, and is never written over another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from linewitness import cli
from linewitness.cli.contract import templates
from linewitness.settle.contract import load


def run(folder: Path, *arguments: str, answers: str = "") -> Any:
    (folder / "contracts").mkdir(exist_ok=True)
    return CliRunner().invoke(cli.main, ["contract", "new", *arguments, "--fleet", str(folder)], input=answers)


def test_a_template_and_its_values_make_a_contract_without_a_question(tmp_path: Path) -> None:
    result = run(
        tmp_path, "acme", "--from-template", "availability-flat", "--set", "contract.provider=acme",
        "--set", "commitment[0].target_percent=99.9", "--set", "contract.sole_remedy=true",
        "--set", "claim.fields=account, log", "--set", "cap.percent=50", "--set", "cap.combine=sum", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    path = tmp_path / "contracts" / "acme.toml"
    assert json.loads(result.stdout)["file"] == str(path)
    text = path.read_text()
    made = load(text, str(path))
    assert (made.name, made.provider, made.commitments[0].target_ppm) == ("acme", "acme", 999_000)
    assert made.claim is not None
    assert made.claim.fields == ("account", "log")
    assert made.cap is not None
    assert made.sole_remedy
    assert "# TEMPLATE." in text
    assert "# as in the sites' files" in text


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    assert run(tmp_path, "acme", "--from-template", "failover").exit_code == 0
    before = (tmp_path / "contracts" / "acme.toml").read_bytes()
    again = run(tmp_path, "acme", "--from-template", "compliance")
    assert again.exit_code == 1
    assert "file exists" in again.stderr
    assert (tmp_path / "contracts" / "acme.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("setting", "code", "text"),
    [
        ("contract.provder=acme", 2, "did you mean 'provider'?"),
        ("contrct.provider=acme", 2, "did you mean 'contract'?"),
        ("commitment[0].target_percent=lots", 2, "wanted a whole number or a number, got 'lots'"),
        ("commitment[0].target_percent=101", 2, "wanted at most 100"),
        ("downtime.starts_at=fallure", 2, "did you mean 'failure'?"),
        ("commitment[4].window=month", 2, "numbered from 0 without a gap"),
        ("contract.provider", 2, "wanted KEY=VALUE"),
        ("contract.time_zone=Europe/Leeds", 3, "no IANA time zone"),
        ("priority[0].name=P1", 3, "priority[0].hours: is missing"),
    ],
)
def test_what_can_not_stand_there_is_refused_and_nothing_is_written(
    tmp_path: Path, setting: str, code: int, text: str
) -> None:
    result = run(tmp_path, "acme", "--from-template", "availability-flat", "--set", setting)
    assert (result.exit_code, result.stderr.count("\n")) == (code, 1)
    assert text in result.stderr
    assert list((tmp_path / "contracts").iterdir()) == []


def test_without_a_template_it_asks_and_leaves_out_what_the_paper_does_not_have(tmp_path: Path) -> None:
    answers = ["2"]  # availability-flat
    answers += ["acme", "Europe/Nowhere"]  # provider; a zone is refused at the end, not while asking
    answers[-1] = "Europe/Berlin"
    answers += ["", ""]  # effective_from, measure_of_record
    answers += ["y", "https://example.com/sla.pdf", "7", "", ""]  # source
    answers += ["", "99.9", "", "", "3.1"]  # commitment
    answers += ["sometimes", "ticket", "", "", "", ""]  # downtime, the first answer is no word of it
    answers += ["y", "", "4.1", "24", "n", "y", "", "4.3", "n"]  # exclusions: the second and the fourth are not there
    answers += ["y", "", "", "", "", "5.1", ""]  # credit
    answers += ["n"]  # claim
    result = run(tmp_path, "acme", answers="\n".join(answers) + "\n")
    assert result.exit_code == 0, result.output
    assert "wanted one of failure, detection, ticket, notice, got 'sometimes'" in result.stderr
    made = load((tmp_path / "contracts" / "acme.toml").read_text(), "acme.toml")
    assert (made.provider, made.time_zone, made.downtime.starts_at) == ("acme", "Europe/Berlin", "ticket")
    assert [(e.kind, e.clause) for e in made.exclusions] == [("maintenance", "4.1"), ("access_isp", "4.3")]
    assert made.exclusions[0].notice_h == 24
    assert (made.credits[0].clause, made.claim) == ("5.1", None)


def test_answers_that_end_are_one_line_that_says_how_to_do_without(tmp_path: Path) -> None:
    result = run(tmp_path, "acme", answers="2\n")
    assert result.exit_code == 2
    assert "--from-template NAME" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", templates())
def test_every_template_says_that_it_is_one_and_makes_a_contract(tmp_path: Path, name: str) -> None:
    result = run(tmp_path, "acme", "--from-template", name, "--set", "contract.provider=acme")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "contracts" / "acme.toml").read_text()
    assert text.startswith("#:schema ./contract.schema.json\n# TEMPLATE. These are not the terms of any provider")
    assert load(text, "acme.toml").provider == "acme"
    assert "still 'fill-in'" in result.stdout
