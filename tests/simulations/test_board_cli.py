"""`board run` by hand and from scripts: what it prints, how it ends, and what it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulations.board.config import parse_config
from simulations.board.harness import available_vms
from simulations.board.reactor import Reactor
from simulations.board.settings import make_network
from simulations.board.topology import TopologyError
from tests.simulations.board_world import office


def board(folder: Path, name: str, **table: Any) -> Path:
    path = folder / f"{name}.json"
    (folder / "main.py").write_text("print('hello')\n")
    path.write_text(json.dumps({"vm": available_vms()[-1], "install": {"/main.py": "main.py"}, **table}))
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("boards", [1, 2])
def test_a_background_job_that_ignores_interrupts_ends_by_one(
    tmp_path: Path, number: signal.Signals, boards: int
) -> None:
    paths = [board(tmp_path, f"board-{n}") for n in range(boards)]
    process = subprocess.Popen(
        [sys.executable, "-m", "simulations.board", "run", "--json", *map(str, paths)], stdout=subprocess.PIPE,
        text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    assert process.stdout is not None
    said: list[dict[str, Any]] = []
    printed = dict.fromkeys([path.stem for path in paths], "")
    while not all("hello" in text for text in printed.values()):
        said.append(json.loads(process.stdout.readline()))
        printed[said[-1]["board"]] += said[-1].get("printed", "")
    process.send_signal(number)
    assert process.wait(20) == 0
    process.stdout.close()
    serials = {each["serial"] for each in said if "serial" in each}
    assert len(serials) == boards
    assert all(each.startswith("socket://127.0.0.1:") for each in serials)


def test_a_topology_is_emulated_without_being_told_and_never_silently_left_out(tmp_path: Path) -> None:
    topology = office()
    del topology["mode"]
    settings = parse_config({"network": topology}, tmp_path).settings
    _, addresses = make_network(settings, Reactor(), lambda: True)
    assert addresses[0] == "192.168.1.50"
    settings = parse_config({"network": topology | {"mode": "real"}}, tmp_path).settings
    with pytest.raises(TopologyError, match=r"network.mode is real, but there are network.links"):
        make_network(settings, Reactor(), lambda: True)
    settings = parse_config({"network": topology | {"mode": "reel"}}, tmp_path).settings
    with pytest.raises(TopologyError, match="'reel'; try: real or emulated"):
        make_network(settings, Reactor(), lambda: True)


def test_what_it_refuses_is_one_line(tmp_path: Path) -> None:
    path = board(tmp_path, "odd", network=office() | {"mode": "real"})
    done = subprocess.run(
        [sys.executable, "-m", "simulations.board", "run", str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert 'mode = "emulated"' in done.stderr
