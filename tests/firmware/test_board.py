"""What the firmware says of each board is what its file in hardware/boards says."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

from linewitness import diary
from linewitness_wire import codes

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = (ROOT / "firmware" / "witness" / "board.py").read_text()
FILES = sorted((ROOT / "hardware" / "boards").glob("*.toml"))


def boards() -> dict[str, Any]:
    """BOARDS of board.py, which CPython can't import: it imports machine."""
    wanted = ("Kind", "_WIFI", "_ETHERNET", "BOARDS")
    body = [
        node
        for node in ast.parse(SOURCE).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in wanted
    ]
    namespace: dict[str, Any] = {"codes": codes}
    exec("from collections import namedtuple\n" + ast.unparse(ast.Module(body, [])), namespace)
    return {name: namespace["Kind"](*fields) for name, fields in namespace["BOARDS"].items()}


def test_every_board_is_known_under_a_code_of_its_own() -> None:
    assert sorted(boards()) == [path.stem for path in FILES]
    assert len({kind.code for kind in boards().values()}) == len(FILES)
    assert {kind.code: name for name, kind in boards().items()} == diary.BOARDS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_boot_event_claims_what_the_board_can(path: Path) -> None:
    table = tomllib.loads(path.read_text())
    kind = boards()[path.stem]
    can = table["capabilities"]
    for name, bit in (("raw_icmp", codes.CAN_RAW_ICMP), ("dscp", codes.CAN_DSCP), ("ttl", codes.CAN_TTL),
                      ("ethernet", codes.CAN_ETHERNET), ("bssid", codes.CAN_BSSID)):  # fmt: skip
        assert bool(kind.capabilities & bit) == can[name], name
    assert kind.led == table["pins"]["led"]
    assert kind.watchdog_ms <= can["watchdog_max_ms"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_probes_leave_the_uplink_a_socket_and_one_for_what_takes_turns(path: Path) -> None:
    table = tomllib.loads(path.read_text())
    assert boards()[path.stem].connects == table["network"]["tcp_sockets"] - 2
