"""Code is in memory while it works and no longer, and what a probe knows outlives it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulations.board.harness import available_vms, package_files, run_on_board

MAIN = """
import asyncio, json, sys
from linewitness_wire import codes
from witness.crypto.ed25519 import Signer
from witness.loading import CRYPTO, OnDemand, Room, SignerOnDemand, forget, modules_of
from witness.sockets import Quiet

class Target:
    name = "t"

class Probe:  # stands for any: what it knows is its attributes
    def __init__(self, method, parts):
        self.method, self.rounds, self._retry_at_us, self.told = method, 0, {}, parts[0]
    async def run(self, target, address):
        global most
        self.rounds += 1
        self.told["runs"] = self.told.get("runs", 0) + 1
        going.append(self.method)
        most = max(most, len([method for method in going if method in rare]))
        seen[self.method] = loaded(self.method)
        await asyncio.sleep_ms(20)
        going.remove(self.method)
        self._retry_at_us[target.name] = 7
        if address == "fails":
            raise OSError(5)
        return [self.rounds, address]
    def extras(self, target):
        return {"rounds": self.rounds}
    def retry_at_us(self, target):
        return self._retry_at_us.get(target.name, 0)

rare = (codes.METHOD_SNMP, codes.METHOD_IGD, codes.METHOD_NTP, codes.METHOD_STUN)
going, seen, most = [], {}, 0

def loaded(method):
    return all("witness." + name in sys.modules for name in modules_of(method))

def left(method):
    return [name for name in modules_of(method) if "witness." + name in sys.modules]

async def main():
    told, room = {}, Room(Quiet(), Probe)
    room.parts = (told,)
    methods = rare + (codes.METHOD_STAMP, codes.METHOD_CALL, codes.METHOD_SIP_UDP, codes.METHOD_DNS)
    probes = {method: OnDemand(method, room) for method in methods}
    sip, stamp, snmp = probes[codes.METHOD_SIP_UDP], probes[codes.METHOD_STAMP], probes[codes.METHOD_SNMP]
    told["before"] = [left(method) for method in methods]
    told["first"] = await snmp.run(Target, "a")
    told["second"] = await snmp.run(Target, "b")
    told["retry"] = [snmp.retry_at_us(Target), probes[codes.METHOD_IGD].retry_at_us(Target)]
    told["extras"] = snmp.extras(Target)
    try:
        await snmp.run(Target, "fails")
    except OSError as error:
        told["failed"] = [error.errno, left(codes.METHOD_SNMP)]
    await asyncio.gather(*[probes[method].run(Target, "c") for method in rare])
    told["most"] = most
    told["after"] = left(codes.METHOD_SNMP) + left(codes.METHOD_IGD)
    await sip.run(Target, "d")
    told["frequent"] = loaded(codes.METHOD_SIP_UDP)
    await stamp.run(Target, "e")
    told["window over"] = left(codes.METHOD_SIP_UDP) + left(codes.METHOD_STAMP)
    told["beside"] = await asyncio.gather(stamp.run(Target, "f"), sip.run(Target, "g"))
    told["beside over"] = left(codes.METHOD_SIP_UDP)
    await probes[codes.METHOD_CALL].run(Target, "h")
    told["seen"] = [seen.get(method, "never") for method in methods if method != codes.METHOD_DNS]
    told["all over"] = [left(method) for method in methods]

    run = [method for method in methods if method != codes.METHOD_DNS]
    told["rounds"] = told["runs"], sum([probes[method].extras(Target)["rounds"] for method in run])
    plain = Signer(bytes(range(32)), lambda n: bytes(n))
    forget(*CRYPTO)
    signer = SignerOnDemand(bytes(range(32)), lambda n: bytes(n), room)
    await sip.run(Target, "i")
    *slices, signature = list(signer.sign_slices(b"a batch"))
    told["room for signing"] = left(codes.METHOD_SIP_UDP)
    told["signed"] = [signature == plain.sign(b"a batch"), signer.public_key == plain.public_key,
                      signer.kid == plain.kid, slices.count(None) == len(slices) > 60]
    told["crypto"] = [name for name in CRYPTO if "witness." + name in sys.modules]
    print(json.dumps(told))

asyncio.run(main())
"""


@pytest.fixture(scope="module", params=available_vms())
def told(request: pytest.FixtureRequest) -> dict[str, Any]:
    files = {**package_files("firmware/linewitness_wire"), **package_files("firmware/witness")}
    return json.loads(run_on_board(request.param, files, MAIN, timeout_s=60).splitlines()[-1])


def test_a_probes_modules_are_there_while_a_round_runs_and_let_go_after_it(told: dict[str, Any]) -> None:
    assert told["seen"] == [True] * 7
    assert told["before"] == told["all over"] == [[]] * 8
    assert told["after"] == []


def test_what_a_probe_knows_is_kept_from_one_round_to_the_next(told: dict[str, Any]) -> None:
    assert [told["first"], told["second"]] == [[1, "a"], [2, "b"]]
    assert told["extras"] == {"rounds": 2}
    assert told["retry"] == [7, 0]
    assert told["rounds"] == [12, 12]


def test_a_round_that_fails_leaves_nothing_behind(told: dict[str, Any]) -> None:
    assert told["failed"] == [5, []]


def test_of_the_rare_ones_one_at_a_time_is_in_memory(told: dict[str, Any]) -> None:
    assert told["most"] == 1


def test_the_frequent_ones_stay_until_a_window_needs_the_room(told: dict[str, Any]) -> None:
    assert told["frequent"]
    assert told["window over"] == []
    assert told["beside"] == [[2, "f"], [2, "g"]]
    assert told["beside over"] == []


def test_a_signature_is_the_same_and_its_code_goes(told: dict[str, Any]) -> None:
    assert told["signed"] == [True] * 4
    assert told["crypto"] == told["room for signing"] == []
