"""The witness's clock set by chronyd: the error bound that it signs contains the truth over paths that are not even."""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack
from typing import Any

import pytest
from on_board import PRELUDE

from linewitness_wire import codes
from simulations.board.device import Device
from simulations.board.emulated import EmulatedNetwork
from simulations.board.harness import available_vms, package_files, run_on_board
from simulations.free_ports import free_port
from simulations.lab.routers import Chronyd
from simulations.lab.tools import reason_without

NEEDED = reason_without("chronyd") or ("" if os.geteuid() == 0 else "chronyd wants root")
THERE_MS, BACK_MS = 24, 4  # of the access line: half the difference is what no client can see
SERVERS = ("192.0.2.3", "192.0.2.4", "192.0.2.5")

MAIN = (
    PRELUDE
    + """
from witness.resolver import Resolver
from witness.sync import Sync

async def main():
    link, clock = await begin()
    control = sockets.Datagram(socket, clock, link, 1472, sockets.Quiet())
    run(control)
    events = []
    sync = Sync(clock, control, Resolver(control, clock, os.urandom, []), os.urandom, lambda *e: events.append(list(e)),
                lambda utc_us: None, print)
    told = []
    for _ in range(100):  # on a busy machine most rounds may be void
        if not await sync.synchronise(SERVERS):
            continue
        before_us = clock.now_us()
        truth_us = time.time_ns() // 1000
        after_us = clock.now_us()
        stamp = clock.utc(before_us)
        told.append([stamp.utc_us - truth_us, after_us - before_us, stamp.bound_us, stamp.source])
        if len(told) == 5:
            break
        await asyncio.sleep_ms(100)
    print(json.dumps([told, events]))

asyncio.run(main())
"""
)


def office(ports: list[int]) -> dict[str, Any]:
    return {
        "mode": "emulated",
        "address": "192.168.1.50",
        "links": {"lan": {"delay_ms": 1}, "access": {"delay_ms": THERE_MS, "jitter_ms": 1}},
        "nodes": {
            "gateway": {"address": "192.168.1.1", "via": ["lan"]},
            **{
                f"time-{i}": {"address": host, "via": ["lan", "access"], "udp": {"123": f"127.0.0.1:{port}"}}
                for i, (host, port) in enumerate(zip(SERVERS, ports, strict=True))
            },
        },
    }


@pytest.mark.skipif(bool(NEEDED), reason=NEEDED)
@pytest.mark.parametrize(
    ("vm", "profile"), list(zip((available_vms() * 2)[-2:], ("pico-w", "esp32-devkitc"), strict=True))
)
def test_the_bound_contains_the_truth(vm: str, profile: str) -> None:
    def begun(device: Device) -> None:
        """The line is slow in one direction only, and the board's own wall clock, which nothing here sets, is right."""
        assert isinstance(device.network, EmulatedNetwork)
        device.network.topology.set_link("access", {"delay_ms": BACK_MS}, "down")
        device.wall_offset_us += time.time_ns() // 1000 - device.wall_us()

    ports = [free_port() for _ in SERVERS]
    files = {**package_files("firmware/linewitness_wire"), **package_files("firmware/witness")}
    with ExitStack() as servers:
        for port in ports:
            servers.enter_context(Chronyd(("127.0.0.1", port)))
        main = MAIN.replace("SERVERS", repr(list(SERVERS)))
        said = run_on_board(vm, files, main, profile=profile, network=office(ports), timeout_s=60, begun=begun)
    told, events = json.loads(said.splitlines()[-1])
    assert len(told) == 5
    for error_us, took_us, bound_us, source in told:
        assert source == codes.CLOCK_SNTP
        assert abs(error_us) <= bound_us + took_us
    assert min(bound_us for _, _, bound_us, _ in told) < 60_000
    # Ten milliseconds of the error are the line's own: what a bound is for.
    assert any(abs(error_us) > 5_000 for error_us, *_ in told)
    assert [event[0] for event in events] == [codes.EVENT_CLOCK_SET], "no server is refused, no step is told"
