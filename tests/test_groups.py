"""Tests of one group run in one process, as `make test` runs them: some tell one board's life in order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GROUPED = """
import os
import pytest

@pytest.mark.xdist_group("a life")
@pytest.mark.parametrize("day", range(8))
def test_a_day(day, tmp_path_factory):
    path = tmp_path_factory.getbasetemp().parent / "workers"
    with path.open("a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + chr(10))
"""


def test_a_group_stays_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "test_grouped.py").write_text(GROUPED)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "--basetemp", "base"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    workers = (tmp_path / "base" / "workers").read_text().split()
    assert len(workers) == 8
    assert len(set(workers)) == 1
