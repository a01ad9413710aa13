"""Power, resets and flash: what is durable survives every cut, causes are told, the watchdog bites."""

import pytest

from simulations.board.device import Device, Settings
from simulations.board.flash import BlockDevice, Flash, PowerCut
from simulations.board.flashlog import FlashLog
from simulations.board.harness import available_vms
from simulations.board.profile import load_profile
from tests.simulations.board_world import play, powered

vms = pytest.mark.parametrize("vm", available_vms())
PICO = load_profile("pico-w")


def fresh_flash(blocks: int = 32) -> tuple[BlockDevice, Flash]:
    device = BlockDevice(blocks * PICO.block_bytes)
    return device, Flash(device, PICO)


def append(flash: Flash, path: str, data: bytes) -> None:
    handle = flash.open(path, "ab")
    flash.write(handle, data)
    flash.close_file(handle)


def mounted(octets: bytes) -> Flash:
    device = BlockDevice(len(octets))
    device.buffer[:] = octets
    return Flash(device, PICO)


def test_every_cut_of_appends_keeps_what_was_closed() -> None:
    device, flash = fresh_flash()
    log = FlashLog(device)
    for n in range(20):
        append(flash, "/journal", b"%060d\n" % n)
        log.mark(n)
    log.stop()
    images = list(log.images())
    assert len(images) == 3 * len(log.operations) + 1 > 100
    for image in images:
        flash = mounted(image.octets)
        assert not flash.formatted
        held = flash.read_file("/journal") if image.marks else b""
        for n in image.marks:
            assert held[61 * n : 61 * (n + 1)] == b"%060d\n" % n


def test_a_file_rewritten_in_place_with_flushes_is_caught_by_some_cut() -> None:
    device, flash = fresh_flash()
    flash.write_file("/head", b"old" * 1000)
    log = FlashLog(device)
    handle = flash.open("/head", "wb")
    flash.sync(handle)
    flash.write(handle, b"new" * 1000)
    flash.close_file(handle)
    log.stop()
    contents = {mounted(image.octets).read_file("/head") for image in log.images()}
    assert b"" in contents
    assert contents >= {b"old" * 1000, b"new" * 1000}


def test_a_live_cut_tears_the_operation_and_refuses_all_after_it() -> None:
    device, flash = fresh_flash()
    flash.write_file("/a", b"kept")
    device.cut_after(1)
    with pytest.raises(PowerCut):
        flash.write_file("/b", b"x" * 9000)
    with pytest.raises(PowerCut):
        flash.read_file("/a")
    assert mounted(bytes(device.buffer)).read_file("/a") == b"kept"


COUNTER = """
import machine
try:
    n = int(open("/count").read())
except OSError:
    n = 0
with open("/count.new", "w") as file:
    file.write(str(n + 1))
import os
os.rename("/count.new", "/count")
print("boot", n, {0})
"""


@vms
def test_resets_tell_their_cause_and_keep_the_flash(vm: str) -> None:
    main = (
        COUNTER.replace("{0}", "machine.reset_cause()")
        + """
import time
if n == 0:
    machine.reset()
if n == 1:
    machine.WDT(timeout=100)
while True:
    time.sleep_ms(20)
"""
    )
    with powered(main, vm, flash_pause=False) as (device, printed):
        play(device, "boot 2", printed)
        device.power_off()
        device.power_on()
        play(device, "boot 3", printed)
        device.reset()
        play(device, "boot 4", printed)
        assert [event["cause"] for event in device.events if event["kind"] == "boot"] == [
            "PWRON_RESET",
            "HARD_RESET",
            "WDT_RESET",
            "PWRON_RESET",
            "HARD_RESET",
        ]
    # esp32: 1 power-on, 2 hard, 3 watchdog.
    assert printed.decode().splitlines() == ["boot 0 1", "boot 1 2", "boot 2 3", "boot 3 1", "boot 4 2"]


@vms
def test_firmware_recovers_from_live_cuts_at_each_of_its_first_operations(vm: str) -> None:
    main = COUNTER.replace("{0}", "'done'")
    with powered(main, vm, flash_pause=False) as (device, printed):
        play(device, "boot 0", printed)
        for cut in range(6):
            device.power_off()
            device.power_on()
            device.cut_after(cut)
            while device.machine is not None and not device.idle():
                device.turn(device.scheduler.now_us() + 50_000)
        device.power_off()
        device.power_on()
        del printed[:]
        play(device, "done", printed)
    # Each boot counted one, or lost its own count alone; none lost what an earlier one had renamed.
    assert 0 < int(printed.split()[1]) <= 7


@vms
def test_a_flash_file_is_the_same_board_in_another_process(vm: str, tmp_path) -> None:
    path = tmp_path / "board.flash"
    main = COUNTER.replace("{0}", "machine.unique_id().hex()")
    lines = []
    for _ in range(2):
        printed = bytearray()
        device = Device(Settings(load_profile("esp32-poe"), vm=vm, flash=path, flash_pause=False), printed.extend)
        with device.unpowered_flash() as flash:
            flash.write_file("/main.py", main.encode())
        device.power_on()
        play(device, "boot", printed)
        device.close()
        lines.append(printed.decode().split())
    assert [line[1] for line in lines] == ["0", "1"]
    assert lines[0][2] == lines[1][2]


@vms
def test_nvs_keeps_what_was_committed(vm: str) -> None:
    main = """
import esp32
nvs = esp32.NVS("witness")
try:
    blob = bytearray(8)
    n = nvs.get_blob("key", blob)
    print("held", nvs.get_i32("boots"), bytes(blob[:n]))
    try:
        nvs.get_i32("lost")
    except OSError as error:
        print("no", error.errno)
except OSError as error:
    nvs.set_i32("boots", -7)
    nvs.set_blob("key", b"abc")
    nvs.commit()
    nvs.set_i32("lost", 1)
    print("first", error.errno)
"""
    with powered(main, vm) as (device, printed):
        play(device, "first", printed)
        device.power_off()
        device.power_on()
        play(device, "no", printed)
    assert printed.decode().splitlines() == ["first -4354", "held -7 b'abc'", "no -4354"]


@vms
def test_an_erase_stalls_the_machine_for_the_profiles_time(vm: str) -> None:
    main = """
import time
start = time.ticks_ms()
with open("/big", "wb") as file:
    file.write(bytes(5 * 4096))
print("took", time.ticks_diff(time.ticks_ms(), start))
"""
    with powered(main, vm) as (device, printed):
        play(device, "took", printed)
        erases = device.block_device.erases
    assert erases >= 5
    assert int(printed.split()[1]) >= 5 * 45


@pytest.mark.skipif("unix" not in available_vms(), reason="needs a unix micropython")
def test_the_unix_machines_heap_is_the_profiles() -> None:
    main = """
blocks = []
try:
    while True:
        blocks.append(bytearray(1000))
except MemoryError:
    held = len(blocks)
    blocks = None
    print("held", held)
"""
    held = {}
    for profile in ("esp32-devkitc", "pico-w"):
        with powered(main, "unix", profile) as (device, printed):
            play(device, "held", printed)
        held[profile] = int(printed.split()[1])
    # Octet strings are as large on 8-octet words as on the board's 4, so twice the profile's heap holds more of them.
    assert 180 < held["esp32-devkitc"] < 240
    assert held["pico-w"] - held["esp32-devkitc"] == pytest.approx(100, abs=6)


@vms
def test_the_live_heap_is_measured_while_the_firmware_runs(vm: str) -> None:
    main = """
import asyncio
held = bytearray(20000)
async def main():
    print("runs")
    while True:
        bytearray(1000)
        await asyncio.sleep_ms(5)
asyncio.run(main())
"""
    sizes = []
    for held in (20000, 30000):
        answers: list[int] = []
        with powered(main.replace("20000", str(held)), vm) as (device, printed):
            play(device, "runs", printed)
            device.ask_heap(answers.append)
            while not answers:
                device.turn(device.scheduler.now_us() + 20_000)
        sizes.append(answers[0])
    assert 9_900 <= sizes[1] - sizes[0] <= 12_000
