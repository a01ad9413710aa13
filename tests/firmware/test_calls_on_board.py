"""Test calls, TLS and SIP over TLS on the virtual board, within the limits of a Pico W and of an ESP32.

Two UDP sockets, receive queues of 4 and 6 datagrams, what TLS takes from the heap: the profile's, enforced by the
board. The WebAssembly machine has no MD5, so the proxy asks for SHA-256.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from linewitness_wire import codes
from simulations.board.harness import available_vms, package_files, run_on_board
from simulations.lab.certificates import Authority
from simulations.lab.sip_daemons import Kamailio, OpensslServer, SippCallee, kamailio_modules
from simulations.lab.tools import reason_without

NEEDED = reason_without("sipp", "openssl", "kamailio") or ("" if kamailio_modules() else "no kamailio modules")

MAIN = """
import asyncio, json, os, socket, sys, time
from linewitness_wire import codes, plan, record
from witness import sockets
from witness.clock import Clock
from witness.config import Config
from witness.loading import OnDemand, Room, modules_of
from witness.probing import Parts, make_probe

class Link:
    def is_up(self): return True
    def address(self): return "127.0.0.1"

def target(method, port, options, host="localhost"):
    return plan.Target("t", 7, method, 0, host, port, 60000, 60000, 4000, options)

def words(reading):
    reading[record.TARGET] = reading[record.START_US] = 0
    reading.setdefault(record.SPAN_US, 1)
    record.check_reading(reading)
    return {record.reading_name(k): v.hex() if isinstance(v, bytes) else v for k, v in reading.items()}

async def main():
    clock, link, quiet = Clock(time.ticks_us, time.ticks_diff, asyncio.sleep_ms), Link(), sockets.Quiet()
    control = sockets.Datagram(socket, clock, link, 1472, quiet, os.urandom)
    media = sockets.Datagram(socket, clock, link, 512, None, os.urandom)
    tasks = [asyncio.create_task(clock.run(lambda: None)), asyncio.create_task(control.run()),
             asyncio.create_task(media.run())]
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
        more = True
    except OSError:
        more = False
    config = Config("leeds", "w1", "b", {}, {}, b"", [], [], {"sip": "probe7:s3cret-Pass"}, {})
    parts = Parts(socket, clock, link, control, media, None, quiet, os.urandom, config, None)
    told = {"more_udp": more}
    room = Room(quiet, make_probe)
    room.parts = parts
    call = OnDemand(codes.METHOD_CALL, room)
    options = {plan.OPTION_EXTENSION: "9196", plan.OPTION_SECONDS: 3, plan.OPTION_ECHO: 1, plan.OPTION_NAME: "lab",
               plan.OPTION_SECRET: "sip", plan.OPTION_REGISTER: 1}
    for _ in range(3):  # on a busy machine most packets of a call may be void
        told["call"] = words(await call.run(target(codes.METHOD_CALL, @PROXY@, options), "127.0.0.1"))
        if told["call"].get("answered", 0) >= 100:
            break
    told["left"] = [name for name in modules_of(codes.METHOD_CALL) if "witness." + name in sys.modules]
    trusted = {plan.OPTION_AUTHORITY: "lab"}
    tls, sip = make_probe(codes.METHOD_TLS, parts), make_probe(codes.METHOD_SIP_TLS, parts)
    for what, probe, t in (
        ("tls", tls, target(codes.METHOD_TLS, @TLS@, trusted)),
        ("tls of another name", tls, target(codes.METHOD_TLS, @TLS@, trusted, "edge.example")),
        ("tls unchecked", tls, target(codes.METHOD_TLS, @TLS@, {})),
        ("sip", sip, target(codes.METHOD_SIP_TLS, @SIP_TLS@, trusted)),
    ):
        told[what] = [list(await probe.run(t, "127.0.0.1")), words(probe.extras(t))]
    print(json.dumps(told))

asyncio.run(main())
"""


@pytest.mark.skipif(bool(NEEDED), reason=NEEDED)
@pytest.mark.parametrize(("vm", "profile"), list(zip((available_vms() * 2)[-2:], ("pico-w", "esp32-poe"), strict=True)))
def test_calls_and_handshakes_within_a_boards_limits(vm: str, profile: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue_server("edge", ("localhost",))
    program: dict[str, Any] = {**package_files("firmware/linewitness_wire"), **package_files("firmware/witness")}
    program["authority-lab.der"] = authority.certificate.public_bytes(Encoding.DER)
    with (
        SippCallee() as callee,
        Kamailio(callee=callee.address, tls=files, algorithm="SHA-256") as proxy,
        OpensslServer(*files) as server,
    ):
        ports = {"PROXY": proxy.address[1], "TLS": server.address[1], "SIP_TLS": proxy.tls_port}
        main = MAIN
        for name, port in ports.items():
            main = main.replace(f"@{name}@", str(port))
        counted: dict[str, int] = {}
        said = run_on_board(vm, program, main, profile=profile, timeout_s=60, counted=counted)
        told = json.loads(said.splitlines()[-1])
    assert told["more_udp"] == (profile != "pico-w")
    call = told["call"]
    assert call["call"] == codes.CALL_DONE
    assert told["left"] == []  # the call's code went with it
    assert call["sent"] == 150
    # What this board lost itself it does not call a loss; the far end's packets have no such account.
    assert call["answered"] + call["self_delayed"] == 150
    assert call["answered"] >= 100
    assert call["media_in"][0] - call["media_in"][1] <= counted["queue_drops"]
    assert 4300 < call["mos_milli"] <= 4410
    for what, checked in (("tls", 1), ("tls unchecked", 0)):
        assert (told[what][0][0], told[what][1]["certificate"][0]) == (codes.FATE_ANSWERED, checked)
    assert told["tls of another name"][0][0] == codes.FATE_WRONG
    assert told["tls of another name"][0][3] <= codes.TLS_UNTRUSTED
    assert told["sip"][0][0] in (codes.FATE_ANSWERED, codes.FATE_VOID)
    assert told["sip"][1]["handshake_us"][0] > 0
