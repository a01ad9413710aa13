"""The witness asks real routers' software: snmpd, miniupnpd, dnsmasq and chronyd in network namespaces, both boards."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from on_board import PRELUDE, board_in

from linewitness_wire import codes
from simulations.board.harness import available_vms
from simulations.lab.netns import Namespaces, cannot_make
from simulations.lab.routers import COMMUNITY, EXTERNAL_ADDRESS, Chronyd, Dnsmasq, Miniupnpd, Snmpd
from simulations.lab.tools import reason_without

REASON = cannot_make() or reason_without("snmpd", "miniupnpd", "dnsmasq", "chronyd", "ping")
pytestmark = [pytest.mark.skipif(REASON is not None, reason=REASON or ""), pytest.mark.xdist_group("namespaces")]

ROUTER, TIME_SERVER, ANCHOR = "192.168.10.1", "192.0.2.3", "192.0.2.1"
NAMES = {"edge.lab": "198.51.100.10"}

MAIN = (
    PRELUDE
    + """
from witness.clock import Utc
from witness.probes.dns import Dns
from witness.probes.igd import Igd
from witness.probes.ntp import Ntp
from witness.probes.snmp import Snmp

def target(name, method, options={}, host="gateway"):
    return plan.Target(name, 4, method, 0, host, 0, 1000, 1000, 800, options)

async def main():
    link, clock = await begin()
    quiet = sockets.Quiet()
    clock.set_utc(Utc(UNIX_US - clock.now_us(), 1000, clock.now_us(), codes.CLOCK_SNTP))
    control = sockets.Datagram(socket, clock, link, 1472, quiet)
    run(control)
    external = []
    probes = {
        "snmp": (Snmp(control, clock, os.urandom, {"ro": COMMUNITY}), "192.168.10.1",
                 target("snmp", 7, {plan.OPTION_SECRET: "ro", plan.OPTION_INDEX: WAN_INDEX})),
        "snmp stranger": (Snmp(control, clock, os.urandom, {"ro": "guess"}), "192.168.10.1",
                          target("stranger", 7, {plan.OPTION_SECRET: "ro", plan.OPTION_INDEX: WAN_INDEX})),
        "igd": (Igd(control, socket, clock, quiet, lambda t, octets: external.append(list(octets))), "192.168.10.1",
                target("igd", 8)),
        "dns": (Dns(control, clock, os.urandom), "192.168.10.1", target("dns", 3, {plan.OPTION_NAME: "edge.lab"})),
        "dns fresh": (Dns(control, clock, os.urandom), "192.168.10.1",
                      target("fresh", 3, {plan.OPTION_NAME: "nowhere.lab", plan.OPTION_FRESH: 1})),
        "ntp": (Ntp(control, clock, os.urandom), "192.0.2.3", target("ntp", 9)),
    }
    for round_ in range(8):
        told = {}
        for name, (probe, address, target_) in probes.items():
            if name == "snmp stranger" and round_:
                continue
            sample = await probe.run(target_, address)
            reading = {record.TARGET: 0, record.START_US: 0, record.SPAN_US: 1}
            reading.update(probe.extras(target_))
            if record.MALFORMED not in reading:
                record.check_reading(reading)
            told[name] = [list(sample), {record.reading_name(k): v for k, v in reading.items() if k > 2}]
        print("TOLD" + json.dumps([told, external]))
        await asyncio.sleep_ms(800)

asyncio.run(main())
"""
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Namespaces]:
    with ExitStack() as stack:
        lab = stack.enter_context(Namespaces())
        router = lab.command("branch-router")
        stack.enter_context(Snmpd((ROUTER, 161), prefix=router))
        stack.enter_context(Miniupnpd((ROUTER, 5000), "br-lan", "wan0", prefix=router))
        stack.enter_context(Dnsmasq((ROUTER, 53), NAMES, prefix=router))
        stack.enter_context(Chronyd((TIME_SERVER, 123), prefix=lab.command("anchors")))
        yield lab


def octets_of_wan(lab: Namespaces) -> tuple[int, int]:
    """(in, out) of wan0 as the kernel counts them."""
    counters = (f"/sys/class/net/wan0/statistics/{way}_bytes" for way in ("rx", "tx"))
    read = lab.run("branch-router", "cat", *counters).stdout.split()
    return int(read[0]), int(read[1])


def board(lab: Namespaces, folder: Path, vm: str, profile: str) -> subprocess.Popen[str]:
    index = lab.run("branch-router", "cat", "/sys/class/net/wan0/ifindex").stdout.strip()
    main = MAIN.replace("WAN_INDEX", index).replace("COMMUNITY", repr(COMMUNITY))
    main = main.replace("UNIX_US", str(time.time_ns() // 1000))
    return board_in(lab, "branch-probe", folder, vm, main, profile)


def rounds(process: subprocess.Popen[str]) -> Iterator[Any]:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("TOLD"):
            yield json.loads(line.removeprefix("TOLD"))
        if "Error" in line:
            break
    raise AssertionError("the board ended: " + "".join(said)[-1500:])


CASES = [(vm, profile) for vm in available_vms()[:1] for profile in ("pico-w", "esp32-devkitc")]


@pytest.mark.parametrize(("vm", "profile"), CASES)
def test_routers_of_others_are_understood(lab: Namespaces, tmp_path: Path, vm: str, profile: str) -> None:
    before = octets_of_wan(lab)
    process = board(lab, tmp_path, vm, profile)
    told: list[dict[str, Any]] = []
    try:
        for i, (said, told_external) in enumerate(rounds(process)):
            told.append(said)
            external = told_external
            if i == 0:
                lab.run("branch-host", "ping", "-n", "-q", "-c", "20", "-i", "0.02", "-s", "1000", ANCHOR)
            if i == 4:
                after = octets_of_wan(lab)
                lab.run("branch-router", "ip", "link", "set", "wan0", "down")
            if i == 7:
                break
    finally:
        process.terminate()
        process.communicate(timeout=10)
        lab.run("branch-router", "ip", "link", "set", "wan0", "up")
        lab.run("branch-router", "ip", "route", "add", "default", "via", "100.64.10.1")
    fates = {
        name: {(said[name][0][0], said[name][0][3]) for said in told[1:5]} - {(codes.FATE_VOID, None)}
        for name in told[1]
    }
    answered = {(codes.FATE_ANSWERED, None)}
    assert fates["snmp"] == fates["igd"] == fates["dns"] == fates["ntp"] == answered
    assert fates["dns fresh"] == {(codes.FATE_ANSWERED, 3)}
    assert told[0]["snmp stranger"][0][0] == codes.FATE_LOST  # net-snmp stays silent to a wrong community
    assert {tuple(octets) for octets in external} == {tuple(int(part) for part in EXTERNAL_ADDRESS.split("."))}
    for name in ("snmp", "igd"):
        readings = [s[name][1] for s in told]
        counted = [r["octets"] for r in readings[:5] if "octets" in r]
        # Nothing is counted twice, and 20 echoes of 1 KB each way are there. net-snmp renews its counters every few
        # seconds, which is why this takes some.
        for way in (0, 1):
            assert 20_000 <= sum(octets[way] for octets in counted) <= after[way] - before[way]
        assert max(r["peak_kbits"][1] for r in readings[:5] if "peak_kbits" in r) > 20
        assert readings[1]["wan_status"] == 1
        assert 2 in {r.get("wan_status") for r in readings[5:]}
        assert all(r.get("restarts") == 0 for r in readings[:5])
    assert all(r["in_errors"] == 0 for r in (s["snmp"][1] for s in told[1:5]))
    offset = told[1]["ntp"][1]
    assert abs(offset["offset_us"]) < 60_000_000  # our clock was set when the board was made
    assert 0 < offset["root_distance_us"] < 1_000_000
