"""What befalls a witness's board, each under the Pico W's and an ESP32's limits, and what it has signed afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from collector import Batch
from virtual_office import ANCHORS, EDGE, VirtualOffice, default_targets, make_plan, target

from linewitness_wire import codes, plan, record
from simulations.board.flash import Flash

PROFILES = pytest.mark.parametrize("profile", ["pico-w", "esp32-devkitc"])
BATCH_S = 12
FOLDER = 0x4000  # of an entry of os.ilistdir
PM_NONE = 0
ICMP, TCP = codes.METHOD_ICMP, codes.METHOD_TCP
GATEWAY = target("gateway", codes.SEGMENT_ROUTER, ICMP, "gateway", period_ms=5_000)
FEW = [
    target("self", codes.SEGMENT_WITNESS, codes.METHOD_SELF, "", period_ms=60_000),
    GATEWAY,
    target("edge", codes.SEGMENT_PROVIDER, ICMP, EDGE, period_ms=5_000),
]


def newest(office: VirtualOffice) -> Batch:
    return office.batches[-1]


def wait(office: VirtualOffice, wanted: Callable[[Batch], object], limit_s: float = 240) -> Batch:
    """The next batch to come that is as wanted."""
    known = len(office.batches)
    found: Batch = office.run_until(lambda: next((b for b in office.batches[known:] if wanted(b)), None), limit_s)
    return found


def flashed(flash: Flash, folder: str = "") -> dict[str, bytes]:
    """What `witness flash` puts onto a board: all files but what the witness itself wrote."""
    found = {}
    for name, kind, _, _ in flash.list(folder or "/"):
        path = f"{folder}/{name}"
        if kind == FOLDER:
            found |= flashed(flash, path) if path != "/journal" else {}
        else:
            found[path] = flash.read_file(path)
    return found


def measures(batch: Batch) -> bool:
    return any(reading.get(record.ANSWERED) for reading in batch.readings("gateway", FEW))


def chain_is_whole(office: VirtualOffice) -> None:
    """One key, every number once, nothing refused."""
    assert office.store.refused == []
    assert len({batch.kid for batch in office.batches}) == 1
    assert [batch.header.seq for batch in office.batches] == list(range(1, len(office.batches) + 1))


@PROFILES
def test_the_boot_event_says_why_the_board_started(profile: str, tmp_path: Path) -> None:
    with VirtualOffice(tmp_path, make_plan(FEW, BATCH_S), profile, tls=False) as office:
        first = wait(office, lambda batch: batch.events(codes.EVENT_BOOT))
        assert first.events(codes.EVENT_BOOT)[0][2] == codes.RESET_POWER
        # A Pico calls a reset by its pin or its program the watchdog's.
        hard = codes.RESET_WATCHDOG if profile == "pico-w" else codes.RESET_HARD
        # Both ports call a brown-out power that came on; three in a row are no crashes.
        brownouts = [("brown-out", codes.RESET_POWER)] * 3
        for cause, told in [("WDT_RESET", codes.RESET_WATCHDOG), ("HARD_RESET", hard), *brownouts]:
            if cause == "brown-out":
                office.device.power_off(cause)
                office.device.power_on()
            else:
                office.device.reset(cause)
            after = wait(office, lambda batch: batch.events(codes.EVENT_BOOT))
            assert after.events(codes.EVENT_BOOT)[0][2] == told, cause
            assert office.device.nic.values["pm"] == PM_NONE, "saving power falsifies every round trip"
        assert wait(office, measures).header.boot == 6
        assert not any(batch.events(codes.EVENT_SAFE_MODE) for batch in office.batches)
        chain_is_whole(office)


@PROFILES
def test_a_spoilt_plan_is_told_signed_and_another_one_is_taken(profile: str, tmp_path: Path) -> None:
    old, new = make_plan(FEW, BATCH_S), make_plan(FEW, BATCH_S, issued=2)
    with VirtualOffice(tmp_path, old, profile, tls=False) as office:
        wait(office, measures)
        office.device.power_off()
        with office.device.unpowered_flash() as flash:
            flash.write_file("/plan.cbor", old[:40] + bytes([old[40] ^ 0x55]) + old[41:])
        office.device.power_on()
        told = wait(office, lambda batch: batch.events(codes.EVENT_BOOT))
        assert [event[2:] for event in told.events(codes.EVENT_FAULT)] == [[codes.FAULT_CONFIG, 1]]
        assert told.header.plan == bytes(32)
        assert not told.events(codes.EVENT_PLAN)
        assert office.text.count("not a plan") == 1
        later = wait(office, lambda batch: batch.header.seq >= told.header.seq + 2)
        assert (later.header.boot, later.body.readings) == (told.header.boot, [])
        office.command(1, codes.COMMAND_PLAN, new)
        back = wait(office, measures)
        assert back.header.plan == plan.digest(new)
        assert any(e[2:] == [1, codes.COMMAND_PLAN, 0] for b in office.batches for e in b.events(codes.EVENT_COMMAND))
        chain_is_whole(office)


@PROFILES
def test_a_spoilt_configuration_is_one_line_and_signs_nothing_until_it_is_mended(profile: str, tmp_path: Path) -> None:
    with VirtualOffice(tmp_path, make_plan(FEW, BATCH_S), profile, tls=False) as office:
        wait(office, measures)
        office.device.power_off()
        with office.device.unpowered_flash() as flash:
            good = flash.read_file("/config.json")
            flash.write_file("/config.json", good[: len(good) // 2])
        before, said = newest(office).header.seq, len(office.text)
        office.device.power_on()
        office.run_s(60)
        lines = [line for line in office.text[said:].splitlines() if line.startswith("witness: ")]
        assert len(lines) == 1
        assert lines[0].startswith("witness: not JSON (/config.json); try: correct the site file on the host and run")
        assert newest(office).header.seq == before
        office.device.power_off()
        with office.device.unpowered_flash() as flash:
            flash.write_file("/config.json", good)
        office.device.power_on()
        assert wait(office, measures).header.boot == 2  # the start between signed nothing and counted nothing
        chain_is_whole(office)


@pytest.mark.parametrize(
    ("profile", "damaged"), [("pico-w", [0]), ("esp32-devkitc", [1]), ("pico-w", [0, 1]), ("esp32-devkitc", [0, 1])]
)
def test_a_damaged_superblock_never_forks_the_chain(profile: str, damaged: list[int], tmp_path: Path) -> None:
    """littlefs keeps it twice, and the root with it. Where the newer one is gone, or both, the board does not begin
    until it is flashed again; it then goes on with its chain, or with a new key."""
    with VirtualOffice(tmp_path, make_plan(FEW, BATCH_S), profile, tls=False) as office:
        first = wait(office, measures)
        office.device.power_off()
        with office.device.unpowered_flash() as flash:
            files = flashed(flash)
        size = office.profile.block_bytes
        for block in damaged:
            office.device.block_device.buffer[block * size : (block + 1) * size] = b"\xa5" * size
        office.device.power_on()
        known = len(office.batches)
        office.run_s(60)
        if len(office.batches) == known:  # there is nobody left to sign
            office.device.power_off()
            with office.device.unpowered_flash() as flash:
                for path, octets in files.items():
                    flash.write_file(path, octets)
            office.device.power_on()
        again = wait(office, measures)
        assert office.store.refused == []
        assert damaged != [0, 1] or again.kid != first.kid
        if again.kid == first.kid:
            chain_is_whole(office)
        else:
            assert next(batch for batch in office.batches if batch.kid == again.kid).header.seq == 1


@PROFILES
def test_a_full_file_system_costs_no_reading_and_refuses_a_plan_by_its_name(profile: str, tmp_path: Path) -> None:
    with VirtualOffice(tmp_path, make_plan(FEW, BATCH_S), profile, tls=False) as office:
        wait(office, measures)
        office.store.acknowledge = False  # what is acknowledged would make room
        flash = office.device.flash
        with office.device.pauses.unpowered():  # eight seconds of pauses would be the watchdog's business
            flash.write_file("/filler", bytes(4096 * (flash.statvfs()[3] - 8)))
            for i in range(12):
                with contextlib.suppress(OSError):
                    flash.write_file(f"/filler{i}", bytes(2048))
        office.command(1, codes.COMMAND_PLAN, make_plan(default_targets(), BATCH_S, issued=2))  # takes a block
        office.run_s(60)
        held = len(office.batches)
        office.store.acknowledge = True
        for name, *_ in flash.list("/"):
            if name.startswith("filler"):
                flash.remove(f"/{name}", False)
        office.run_until(lambda: len(office.batches) > held + 6 and office.caught_up(), 400)
        told = [event[2] for batch in office.batches for event in batch.events(codes.EVENT_FAULT)]
        assert codes.FAULT_FLASH in told
        chain_is_whole(office)
        assert office.holes() == []
        answers = [event[2:] for batch in office.batches for event in batch.events(codes.EVENT_COMMAND)]
        assert answers == [[1, codes.COMMAND_PLAN, codes.FAULT_FLASH]]
        assert newest(office).header.plan == plan.digest(make_plan(FEW, BATCH_S))


@PROFILES
def test_connects_that_hang_leave_the_uplink_its_socket_and_are_lost_not_void(profile: str, tmp_path: Path) -> None:
    hanging = [
        target(f"hole-{i}", codes.SEGMENT_TRANSIT, TCP, host, 81 + i, period_ms=2_000, timeout_ms=4_000)
        for i, host in enumerate(ANCHORS * 2)
    ]
    with VirtualOffice(tmp_path, make_plan([*FEW, *hanging], BATCH_S), profile, tls=False) as office:
        for host in ANCHORS:
            office.network.topology.nodes[host].tcp = "drop"
        wait(office, measures)
        office.broker_stops()
        office.run_s(60)
        office.broker_starts()
        office.run_until(office.caught_up, 200)
        assert "ENOMEM" not in office.text
        chain_is_whole(office)
        assert office.holes() == []
        whole = office.batches[1:]
        sent = {each.name: 0 for each in hanging}
        for batch in whole:
            for each in hanging:
                for reading in batch.readings(each.name, [*FEW, *hanging]):
                    assert reading[record.ANSWERED] == 0
                    assert reading.get(record.SELF_DELAYED, 0) == 0
                    sent[each.name] += reading[record.SENT]
        # Each has its turn, however few may be under way.
        assert min(sent.values()) * 2 >= max(sent.values()) >= 4


MAIN = """
import asyncio
from witness import lives
from witness.board import reset_cause
from witness.probes.dns import Dns

kept = Dns.run
runs = []

async def starved(self, target, address):
    runs.append(1)
    if 3 <= len(runs) < 6:
        bytearray(1 << 30)  # more than any board has
    return await kept(self, target, address)

Dns.run = starved
from witness.app import App
asyncio.run(App(lives.begin(reset_cause())).run())
"""


@PROFILES
def test_one_task_without_memory_is_told_and_started_again_while_the_others_go_on(profile: str, tmp_path: Path) -> None:
    targets = [t for t in default_targets() if t.method in (codes.METHOD_SELF, ICMP)]
    dns = target("dns", codes.SEGMENT_ROUTER, codes.METHOD_DNS, "gateway", 53, period_ms=5_000,
                 options={plan.OPTION_NAME: "example.com"})  # fmt: skip
    with VirtualOffice(
        tmp_path, make_plan([*targets, dns], BATCH_S), profile, tls=False, spare={"/main.py": MAIN.encode()}
    ) as office:  # fmt: skip
        office.run_until(lambda: len(office.batches) >= 8, 400)
        tasks = [event[2:] for batch in office.batches for event in batch.events(codes.EVENT_TASK)]
        index = len(targets)
        assert tasks == [[32 + index, codes.FAULT_MEMORY, n] for n in (1, 2, 3)]
        assert not any(event[0] == codes.EVENT_STATE for batch in office.batches for event in batch.body.events)
        every = [*targets, dns]
        for batch in office.batches[1:]:
            for name in ("gateway", "edge", "dns"):
                for reading in batch.readings(name, every):
                    void = reading.get(record.SELF_DELAYED, 0)
                    assert reading[record.ANSWERED] + void == reading[record.SENT], "lost to nobody but itself"
        assert newest(office).readings("dns", every)[0][record.ANSWERED] >= 1
        chain_is_whole(office)
        assert office.holes() == []
