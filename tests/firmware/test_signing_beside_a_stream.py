"""Signing beside 50 packets a second costs none of them, with a receive queue of four datagrams, for it is cut so fine.

The firmware never does both at once; this shows what its slices are worth. A slice is given the time that the slowest
board may need for one. On the unix machine alone: it looks for datagrams in each pass of its loop, as a board does; the
other one in each 64th, so that 5 ms a pass are too long for it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from on_board import PRELUDE

from simulations.board.device import Device
from simulations.board.emulated import EmulatedNetwork
from simulations.board.harness import available_vms, package_files, run_on_board
from simulations.board.peers.datagrams import SessionReflector

pytestmark = pytest.mark.skipif("unix" not in available_vms(), reason="no unix MicroPython")

PACKETS, SLICE_MS = 150, 5
FAR = "198.51.100.10"
NETWORK = {
    "mode": "emulated", "address": "192.168.1.50", "links": {"line": {"delay_ms": 10, "jitter_ms": 2}}, "seed": 3,
    "nodes": {
        "gateway": {"address": "192.168.1.1", "via": []},
        "far": {"address": FAR, "via": ["line"], "udp": {"862": "python:stamp"}},
    },
}  # fmt: skip

MAIN = (
    PRELUDE
    + """
from witness.crypto.ed25519 import Signer
from witness.probes.stamp import Stamp

signer = Signer(bytes(range(32)), os.urandom)
signatures = []

async def sign():
    while True:
        number = 0
        for signature in signer.sign_slices(bytes((len(signatures),)) * 256):
            if signature is not None:
                signatures.append(signature.hex())
                break
            time.sleep_ms(SLICE_MS)
            number += 1
            if number % SLICES_BETWEEN_PAUSES == 0:
                await asyncio.sleep_ms(0)

async def main():
    link, clock = await begin()
    media = sockets.Datagram(socket, clock, link, 512)
    run(media)
    stamp = Stamp(media, sockets.Quiet(), clock, os.urandom, {})
    busy = asyncio.create_task(sign())
    target = plan.Target("t", 4, codes.METHOD_STAMP, 0, "FAR", 0, 1000, 1000, 1000, {plan.OPTION_PACKETS: PACKETS})
    window = await stamp.run(target, "FAR")
    busy.cancel()
    print(json.dumps([window[record.SENT], window[record.ANSWERED], window[record.SELF_DELAYED], signatures,
                      signer.public_key.hex()]))

asyncio.run(main())
"""
)


def stream(slices_between_pauses: int) -> tuple[list[Any], int, int]:
    """What the board said, how many packets came to the reflector, how many found the queue full."""
    peers: list[SessionReflector] = []

    def begun(device: Device) -> None:
        assert isinstance(device.network, EmulatedNetwork)
        peers.append(SessionReflector(lambda now_us: 1_800_000_000_000_000 + now_us))
        device.network.peers.put("stamp", peers[0])

    values = {"SLICE_MS": SLICE_MS, "SLICES_BETWEEN_PAUSES": slices_between_pauses, "FAR": FAR}
    main = MAIN.replace("OPTION_PACKETS: PACKETS", f"OPTION_PACKETS: {PACKETS}")
    for name, value in values.items():
        main = main.replace(name, str(value))
    files = {**package_files("firmware/linewitness_wire"), **package_files("firmware/witness")}
    counted: dict[str, int] = {}
    said = run_on_board(
        "unix", files, main, profile="pico-w", network=NETWORK, virtual_clock=True, counted=counted, begun=begun
    )
    return json.loads(said.splitlines()[-1]), peers[0].packets, counted["queue_drops"]


def test_nothing_of_a_stream_is_lost_while_signing() -> None:
    (sent, answered, void, signatures, public_key), arrived, drops = stream(1)
    assert (sent, arrived, drops) == (PACKETS, PACKETS, 0)
    assert answered + void == sent
    assert len(signatures) >= 5
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
    for i, signature in enumerate(signatures):
        key.verify(bytes.fromhex(signature), bytes((i,)) * 256)


def test_with_longer_slices_the_queue_overflows() -> None:
    _, _, drops = stream(16)
    assert drops > 0
