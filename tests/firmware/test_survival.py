"""What the witness lives through, and what it has signed afterwards: crashes, no memory, a full file system.

Each is made by another main.py, which begins the same firmware and does the harm beside it.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest
from collector import Batch
from office import ROOT, TARGETS, Office, make_plan

from linewitness_wire import codes
from simulations.board.harness import available_vms

MAIN = (ROOT / "firmware" / "main.py").read_text()
LED = {"esp32-devkitc": "2", "pico-w": "LED"}  # the pin
PROFILES = pytest.mark.parametrize("profile", sorted(LED))
# Stands in for a firmware that can't run this plan: it dies each time, but in safe mode not.
DIES = """    if crashes < 3 and len(open("/plan.cbor", "rb").read()) == %d:
        raise MemoryError("no room for it")
    from witness.app import App
"""
# Takes all memory that there is, again and again for some seconds, and gives it back.
HOG = """
async def hog():
    await asyncio.sleep_ms(5000)
    if crashes:
        return  # once is enough
    taken = None
    for _ in range(100):
        for size in (4096, 256, 32):
            try:
                while True:
                    taken = (taken, bytearray(size))  # a list would need one piece ever larger
            except MemoryError:
                pass
        try:
            await asyncio.sleep_ms(50)
        except MemoryError:
            pass
    taken = None
    print("hog: given back")
"""
# Fills the file system to the last block, and empties it again: one large file, then some of a block each. (An append
# to a file that meets its end on the way loses what was not stored, and with one block left it still goes on.)
FILLER = """
async def hog():
    import os
    await asyncio.sleep_ms(4000)
    facts = os.statvfs("/")
    with open("/filler", "wb") as file:
        for _ in range(facts[3] - 8):
            file.write(bytes(4096))
            await asyncio.sleep_ms(0)
    for i in range(12):
        try:
            with open("/filler%d" % i, "wb") as file:
                file.write(bytes(2048))
        except OSError as error:
            full = error
    print("hog: full,", full)
    await asyncio.sleep_ms(8000)
    for name in os.listdir("/"):
        if name.startswith("filler"):
            os.remove("/" + name)
    print("hog: given back")
"""


class HarmedOffice(Office):
    """An Office whose board starts by another main.py."""

    def __init__(self, folder: Path, main: str, **options: Any) -> None:
        super().__init__(folder, **options)
        self._main = main

    def _description(self) -> dict[str, Any]:
        description = super()._description()
        path = self.folder / "files" / "main.py"
        path.write_text(self._main)
        description["install"]["/main.py"] = str(path)
        return description


def beside(hog: str) -> str:
    """main.py with a task of ours beside the witness's."""
    main = MAIN.replace("import time\n", "import time\n" + hog)
    return main.replace("asyncio.run(app.run())", "asyncio.run(asyncio.gather(app.run(), hog()))")


def chain_is_whole(office: Office) -> None:
    """Every number once, none left out, nothing refused."""
    numbers = [batch.header.seq for batch in office.batches]
    assert numbers == list(range(1, len(numbers) + 1))
    assert office.refused == []


@PROFILES
def test_a_firmware_that_keeps_crashing_says_so_signed_measures_nothing_and_takes_a_plan(
    profile: str, tmp_path: Path
) -> None:
    old, new = make_plan(TARGETS), make_plan(TARGETS[:5], issued=2)
    main = MAIN.replace("    from witness.app import App\n", DIES % len(old)).replace("PAUSE_S = 10", "PAUSE_S = 0")
    with HarmedOffice(tmp_path, main, plan_octets=old, profile=profile) as office:
        safe = office.wait_for(lambda batch: batch.events(codes.EVENT_SAFE_MODE), 60)
        assert safe.events(codes.EVENT_SAFE_MODE)[0][2:] == [3]
        assert office.board.printed().count("MemoryError: no room for it") == 3
        later = office.wait_for(lambda batch: batch.header.seq >= safe.header.seq + 2)
        assert later.header.boot == safe.header.boot, "it stays up"
        for batch in office.batches:
            assert batch.readings("gateway", TARGETS) == []
        time.sleep(5)
        assert longest_run_of_flashes(office, LED[profile]) == 4
        office.command(1, codes.COMMAND_PLAN, new)
        back = office.wait_for(lambda batch: batch.header.boot > safe.header.boot and batch.readings("edge", TARGETS))
        assert not back.events(codes.EVENT_SAFE_MODE)
        assert not any(entry[0] == "lives" for entry in office.board.client.list_files("/")), "it is forgiven"
        chain_is_whole(office)


def longest_run_of_flashes(office: Office, led: str) -> int:
    """How often the LED flashed between two long pauses, as a person at the branch would count it."""
    lit_us = [at_us for at_us, pin, level in office.board.client.counters()["pin_changes"] if pin == led and level]
    longest = run = 1
    for before_us, after_us in itertools.pairwise(lit_us):
        run = run + 1 if after_us - before_us < 1_000_000 else 1
        longest = max(longest, run)
    return longest


def tells_of_memory(batch: Batch) -> bool:
    """A task that had none, or a board that had to start again for it."""
    tasks = any(event[3] == codes.FAULT_MEMORY for event in batch.events(codes.EVENT_TASK))
    return tasks or any(event[2] == codes.RESET_WATCHDOG for event in batch.events(codes.EVENT_BOOT))


@pytest.mark.skipif("unix" not in available_vms(), reason="only the unix machine has a heap that ends")
@PROFILES
def test_no_memory_for_seconds_is_told_signed_and_costs_no_batch(profile: str, tmp_path: Path) -> None:
    with HarmedOffice(tmp_path, beside(HOG), vm="unix", profile=profile) as office:
        told = office.wait_for(tells_of_memory, 90)
        office.wait_for(lambda batch: batch.header.seq > told.header.seq and batch.readings("edge", TARGETS), 90)
        chain_is_whole(office)


def test_a_full_file_system_is_told_signed_and_what_was_measured_meanwhile_is_not_lost(tmp_path: Path) -> None:
    with HarmedOffice(tmp_path, beside(FILLER)) as office:
        office.board.wait_for_text("hog: given back", 90)
        told = office.wait_for(
            lambda batch: any(event[2] == codes.FAULT_FLASH for event in batch.events(codes.EVENT_FAULT)), 60
        )
        office.wait_for(lambda batch: batch.header.seq > told.header.seq)
        chain_is_whole(office)
        for before, after in itertools.pairwise(office.batches):
            assert after.header.start_us == before.header.end_us, "no time is missing"
