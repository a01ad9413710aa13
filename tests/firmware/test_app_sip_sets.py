"""The whole witness with TLS and a set of SIP servers: a dead member is told from an outage, in what was signed."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from office import EDGE, ZONE, Office, make_plan, target

from linewitness_wire import codes, plan, record
from simulations.board.harness import available_vms

SET = {
    "_sip._udp.voxcloud.example": {"SRV": ["10 0 5060 edge.voxcloud.example.", "20 0 5070 edge.voxcloud.example."]},
    "edge.voxcloud.example": {"A": [EDGE]},
}
PROVIDER = codes.SEGMENT_PROVIDER
TARGETS = [
    target("edge-1", PROVIDER, codes.METHOD_SIP_UDP, "voxcloud.example", options={plan.OPTION_MEMBER: 1}),
    target("edge-2", PROVIDER, codes.METHOD_SIP_UDP, "voxcloud.example", options={plan.OPTION_MEMBER: 2}),
    target("edge-3", PROVIDER, codes.METHOD_SIP_UDP, "voxcloud.example", options={plan.OPTION_MEMBER: 3}),
    target("edge-tcp", PROVIDER, codes.METHOD_SIP_TCP, EDGE, 5060),
    target("broker-tls", PROVIDER, codes.METHOD_TLS, "broker.lab", 8883, timeout_ms=900),
]


def place(address: str, port: int) -> bytes:
    return bytes(int(n) for n in address.split(".")) + port.to_bytes(2, "big")


@pytest.mark.parametrize(("vm", "profile"), [(available_vms()[-1], "pico-w")])
def test_each_server_of_a_set_has_its_own_reading_and_handshakes_their_slot(
    vm: str, profile: str, tmp_path: Path
) -> None:
    with Office(tmp_path, vm=vm, profile=profile, plan_octets=make_plan(TARGETS, batch_s=4)) as office:
        office.peers.set("dns", zone={**ZONE, **SET})
        batch = office.wait_for(
            lambda batch: (
                all(batch.readings(t.name, TARGETS) for t in TARGETS)
                and batch.readings("edge-1", TARGETS)[0][record.ANSWERED]
                and batch.readings("broker-tls", TARGETS)[0][record.ANSWERED]
                and record.PEER in batch.readings("edge-2", TARGETS)[0]
            )
        )
        alive, dead, nobody, tcp, tls = (batch.readings(t.name, TARGETS)[0] for t in TARGETS)
    assert alive[record.PEER] == place(EDGE, 5060)
    assert dead[record.PEER] == place(EDGE, 5070)
    assert (dead[record.ANSWERED], dead.get(record.SELF_DELAYED, 0) < dead[record.SENT]) == (0, True)
    # There is no third server: that is no measurement.
    assert nobody[record.SELF_DELAYED] == nobody[record.SENT]
    assert record.PEER not in nobody
    # What listens there takes connections and says nothing.
    assert tcp[record.ANSWERED] == 0
    assert -errno.ETIMEDOUT in [code for code, _ in tcp[record.CODES]]
    assert tcp[record.CONNECT_US][0] > 0
    # The batch has one housekeeping slot, two where its end was late, though the period would allow four handshakes.
    assert 1 <= tls[record.SENT] <= 2
    assert tls[record.HANDSHAKE_US][0] > tls[record.CONNECT_US][0] > 0
    assert tls[record.CERTIFICATE][0] == 0
    assert tls[record.CERTIFICATE][1] > 1_700_000_000
