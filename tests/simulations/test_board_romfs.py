"""Code in place: the firmware as one ROMFS image that the board executes from its flash."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from linewitness.device.firmware import compile_firmware
from linewitness.device.install import Installed, install
from linewitness.device.prompt import Prompt
from linewitness.device.romfs import build_image
from simulations.board.client import Board

KIB = 1024
# What importing every module of the firmware may take of a 32-bit heap. A budget, so that it can't creep: lower it when
# a diet has worked; raise it only beside what it buys.
IN_PLACE_BUDGET_KIB, LOADED_BUDGET_KIB = 112, 216
IMPORT_ALL = """
import asyncio, gc
async def main():
    before = gc.mem_alloc()
    for name in NAMES:
        __import__(name)
    gc.collect()
    await asyncio.sleep_ms(30)
    await asyncio.sleep_ms(30)
    print("all modules: %d octets; %s; measured" % (gc.mem_alloc() - before, FIRST.__file__))
asyncio.run(main())
"""
FACTS = """
import json, witness.identity as i
print(json.dumps([i.firmware_digest().hex(), i.in_place(), i.__file__]))
"""


def import_all(folder: Path, *, in_place: bool) -> tuple[int, str]:
    """Octets of heap of all modules of the firmware, and the file that one of them was read from."""
    files = {path: octets for path, octets in compile_firmware("").items() if path.startswith("/lib/")}
    names = sorted(path.removeprefix("/lib/").removesuffix(".mpy").replace("/", ".") for path in files)
    names = [name.removesuffix(".__init__") for name in names]
    main = f"import asyncio, socket, ssl, json, hashlib, machine, network\nNAMES = {names!r}\n" + IMPORT_ALL
    main = main.replace("FIRST.__file__", "__import__('witness.tally').tally.__file__")
    board = folder / "board"
    board.mkdir()
    if in_place:
        (board / "board.romfs").write_bytes(build_image(files).ljust(512 * KIB, b"\xff"))
        files = {}
    for path, octets in {**files, "/main.py": main.encode()}.items():
        target = folder / "files" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(octets)
    entries = {f"/{path.name}": str(path) for path in (folder / "files").iterdir()}
    with Board({"profile": "esp32-devkitc", "install": entries, "romfs": in_place}, board) as running:
        printed = running.wait_for_text("; measured", 60)
    found = re.search(r"all modules: (\d+) octets; (\S+); measured", printed)
    assert found, printed
    return int(found[1]), found[2]


def test_code_in_place_takes_half_the_memory_and_no_more_than_its_budget(tmp_path: Path) -> None:
    octets = {}
    for in_place, budget_kib, begins in ((True, IN_PLACE_BUDGET_KIB, "/rom/lib/"), (False, LOADED_BUDGET_KIB, "/lib/")):
        folder = tmp_path / str(in_place)
        folder.mkdir()
        octets[in_place], file = import_all(folder, in_place=in_place)
        assert file.startswith(begins)
        assert octets[in_place] < budget_kib * KIB
    assert octets[True] < octets[False] * 0.6


@pytest.fixture
def board(tmp_path: Path):
    with Board({"profile": "esp32-devkitc", "romfs": True}, tmp_path / "board") as board:
        yield board


def flash(board: Board) -> Installed:
    with Prompt(board.repl) as prompt:
        return install(prompt, "esp32-devkitc", "wifi", lambda kind: {"/plan.cbor": b"plan", "/main.py": b"pass\n"})


def test_a_board_with_the_partition_gets_the_firmware_in_place(board: Board) -> None:
    first = flash(board)
    assert first.in_place
    assert first.octets > 60_000
    with Prompt(board.repl) as prompt:
        digest, in_place, file = prompt.ask(FACTS)
        assert (digest, in_place) == (first.firmware.hex(), True)
        assert file == "/rom/lib/witness/identity.mpy"
        assert prompt.hashes(["/lib"], ()) == {}
    again = flash(board)
    assert (again.written, again.octets) == (0, 0)
    assert again.firmware == first.firmware


def test_what_was_loaded_before_makes_room_for_what_is_in_place(board: Board) -> None:
    with Prompt(board.repl) as prompt:
        prompt.write("/lib/witness/tally.mpy", b"of an older release")
    assert flash(board).removed == 1


def test_an_image_is_the_same_for_the_same_files_in_any_order() -> None:
    files = {"/lib/b/c.mpy": b"1", "/lib/a/__init__.mpy": b"2", "/lib/a/d/e.mpy": b"3", "/main.py": b"4"}
    image = build_image(files)
    assert image == build_image(dict(reversed(files.items())))
    assert image.startswith(b"\xd2\xcd\x31")
    assert b"main.py" not in image
