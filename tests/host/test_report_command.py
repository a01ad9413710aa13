"""`linewitness report`: from a ledger or a settlement's file to one HTML file; bad input is one line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import report_cases
from branch_story import Branch
from click.testing import CliRunner
from test_settle_command import ISPS, OUT, fleet, store

from linewitness import cli
from linewitness.fleet import Fleet

__all__ = ["fleet"]  # the fixture


def run(*arguments: object) -> Any:
    return CliRunner().invoke(cli.main, ["report", *map(str, arguments)])


@pytest.fixture
def settled(tmp_path: Path) -> Path:
    path = tmp_path / "march.json"
    path.write_text(report_cases.dispute()[0].to_json(), encoding="utf-8")
    return path


def test_a_ledger_becomes_a_report_the_same_bytes_each_time(fleet: Fleet, tmp_path: Path) -> None:
    for site in ISPS:
        store(fleet, Branch(site, (OUT,)))
    outs = [tmp_path / "a.html", tmp_path / "b.html"]
    for out in outs:
        result = run("--fleet", fleet.root, "--out", out, "--dossier", "march.zip", "--json")
        assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    octets = outs[0].read_bytes()
    assert octets == outs[1].read_bytes()
    assert said["sha256"] == hashlib.sha256(octets).hexdigest()
    assert (said["sites"], said["verdicts"]) == (2, 2)
    assert said["windows"] > 0
    html = octets.decode()
    assert "Provider’s side" in html
    assert "both branches (leeds, york)" in html
    assert f"linewitness verify march.zip --fleet-key {fleet.fingerprint}" in html
    assert "block at the customer&#39;s side not excluded" in html
    assert "line of isp-one" in html


def test_a_settlement_s_file_needs_no_fleet(settled: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    result = run("--settlement", settled, "--out", out, "--fleet", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"wrote {out} (")
    assert "No call-quality windows were handed to this report" in out.read_text()


def test_one_site_of_a_settlement(settled: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    result = run("--settlement", settled, "--site", "york", "--out", out, "--fleet", tmp_path, "--json")
    assert json.loads(result.stdout)["sites"] == 1
    assert "leeds/w1" not in out.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("--settlement", "{dir}/none.json"), 1, "no such file or directory"),
        (("--settlement", "{dir}/bad.json"), 1, "not a settlement: "),
        (("--settlement", "{dir}/march.json", "--site", "paris"), 2, "no site 'paris' in this settlement"),
        (("--settlement", "{dir}/march.json", "--from", "2026-03-01"), 2, "--from and --to choose what is settled"),
        ((), 1, "no fleet.toml here"),
    ],
)
def test_bad_input_is_one_line(settled: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, line: str) -> None:
    (tmp_path / "bad.json").write_text('{"format": 1}')
    filled = [a.format(dir=tmp_path) for a in arguments]
    result = run(*filled, "--out", tmp_path / "r.html", "--fleet", tmp_path)
    assert result.exit_code == code
    assert line in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "r.html").exists()


def test_a_folder_that_is_not_there_is_one_line(settled: Path, tmp_path: Path) -> None:
    result = run("--settlement", settled, "--out", tmp_path / "no" / "r.html", "--fleet", tmp_path)
    assert result.exit_code == 1
    assert "no such file or directory" in result.stderr
