"""Virtual time: hours pass in seconds, exactly and the same each time, with in-process peers behind the links."""

import time

import pytest

from simulations.board.harness import available_vms, run_on_board
from simulations.board.topology import TopologyError
from tests.simulations.board_world import CONNECT_WIFI, office

pytestmark = pytest.mark.skipif("wasm" not in available_vms(), reason="virtual time is the wasm machine's: needs Node")

ECHO = "python:tests.simulations.board_world:EchoPeer"


def world(loss_pct: float = 0) -> dict[str, object]:
    network = office()
    network["links"]["access"] |= {"loss_pct": loss_pct}
    network["nodes"]["edge"] |= {"udp": {"5060": ECHO}, "tcp_peers": {"5061": ECHO}}
    return network


def test_an_hour_of_sleeping_tasks_takes_an_hour_of_virtual_time_alone() -> None:
    main = """
import asyncio, time
woken = 0
async def task(period_ms):
    global woken
    while True:
        await asyncio.sleep_ms(period_ms)
        woken += 1
async def main():
    start_s, start_ms = time.time(), time.ticks_ms()
    for n in range(5):
        asyncio.create_task(task(10000 + 1000 * n))
    await asyncio.sleep(3600)
    print(time.time() - start_s, time.ticks_diff(time.ticks_ms(), start_ms), woken)
asyncio.run(main())
"""
    start_s = time.monotonic()
    printed = run_on_board("wasm", {}, main, virtual_clock=True)
    assert time.monotonic() - start_s < 30
    wall_s, ticks_ms, woken = (int(word) for word in printed.split())
    assert wall_s == 3600
    # A wake-up that is a few microseconds late moves all after it, as on a board.
    whole = sum(3600 // period_s for period_s in (10, 11, 12, 13, 14))
    assert whole - 5 <= woken <= whole
    assert 3_600_000 <= ticks_ms < 3_600_010


def test_traffic_in_virtual_time_is_exact_and_repeatable() -> None:
    main = (
        CONNECT_WIFI
        + """
async def main():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(0.5)
    rtts_us, lost = [], []
    for n in range(300):
        start = time.ticks_us()
        s.sendto(b"%d" % n, ("198.51.100.10", 5060))
        try:
            s.recv(10)
            rtts_us.append(time.ticks_diff(time.ticks_us(), start))
        except OSError:
            lost.append(n)
        await asyncio.sleep_ms(1000)
    print(min(rtts_us), max(rtts_us), lost)
asyncio.run(main())
"""
    )
    first, second = (run_on_board("wasm", {}, main, network=world(3), virtual_clock=True) for _ in range(2))
    assert first == second
    least_us, most_us, lost = first.split(" ", 2)
    assert 13_000 <= int(least_us) <= int(most_us) <= 13_100
    assert 5 < lost.count(",") < 40


def test_streams_and_busy_waits_work_in_virtual_time() -> None:
    main = (
        CONNECT_WIFI
        + """
async def main():
    reader, writer = await asyncio.open_connection("198.51.100.10", 5061)
    for n in range(3):
        writer.write(b"line %d\\n" % n)
        await writer.drain()
        print(await reader.readline())
        await asyncio.sleep(600)
    writer.close()
    await writer.wait_closed()
    start = time.ticks_us()
    while time.ticks_diff(time.ticks_us(), start) < 20000:
        pass
    before = time.time_ns()
    await asyncio.sleep_ms(10)
    print("spun", 10 <= (time.time_ns() - before) // 1000000 <= 11)
asyncio.run(main())
"""
    )
    printed = run_on_board("wasm", {}, main, network=world(), virtual_clock=True)
    assert printed.splitlines() == ["b'line 0\\n'", "b'line 1\\n'", "b'line 2\\n'", "spun True"]


def test_a_peer_of_the_kernel_is_refused_in_virtual_time() -> None:
    with pytest.raises(TopologyError, match="virtual time cannot wait for"):
        run_on_board("wasm", {}, "print(1)", network=office(), virtual_clock=True)
