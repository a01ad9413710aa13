"""The tools that bench_probes lays side by side: the firmware's window and test call on a virtual board, irtt, fping.

Each runs one window of PACKETS packets, 20 ms apart, from the branch to FAR, and gives what it says of each packet.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "firmware"))

from on_board import PRELUDE, board_in
from probe_judge import Told

from simulations.lab import baselines
from simulations.lab.netns import Namespaces

FAR, STAMP_PORT, IRTT_PORT, SIP_PORT, RTP_PORT = "192.0.2.1", 862, 2112, 5060, 6000
PACKETS, INTERVAL_US = 250, 20_000
PAYLOAD_OCTETS = 172
ANSWERED, TOO_LATE, VOID = 1, 2, 3  # states of witness.probes.window

# What a board runs; what the firmware keeps of each packet is told to the bench.
MAIN = (
    PRELUDE
    + """
from witness.probes import window

class Told(window.Window):
    def close(self, link_up):
        super().close(link_up)
        print("EACH", json.dumps([list(self._rtt_us), list(self._state)]))

async def main():
    link, clock = await begin()
    quiet = sockets.Quiet()
    media = sockets.Datagram(socket, clock, link, 512, None, os.urandom)
    run(media)
    WHAT
    reading = await probe.run(target, "FAR")
    words = {record.reading_name(k): v for k, v in reading.items() if not isinstance(v, bytes)}
    print("READING", json.dumps(words))

asyncio.run(main())
"""
)
STAMP = """from witness.probes import stamp
    stamp.Window = Told
    probe = stamp.Stamp(media, quiet, clock, os.urandom, {})
    target = plan.Target("t", 4, codes.METHOD_STAMP, 0, "FAR", STAMP_PORT, 1000, 1000, 2000,
        {plan.OPTION_PACKETS: PACKETS})
"""
CALL = """from witness.probes import call
    call.Window = Told
    control = sockets.Datagram(socket, clock, link, 1472, quiet, os.urandom)
    run(control)
    probe = call.Call(control, media, quiet, clock, os.urandom, "bench", {})
    target = plan.Target("t", 4, codes.METHOD_CALL, 0, "FAR", SIP_PORT, 1000, 1000, 8000,
        {plan.OPTION_EXTENSION: "9196", plan.OPTION_SECONDS: PACKETS // 50, plan.OPTION_ECHO: 1})
"""


BARE = """
import json, network, socket, struct, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("office", "secret")
while not wlan.isconnected():
    time.sleep_ms(10)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(1)
peer = socket.getaddrinfo("FAR", RTP_PORT)[0][-1]
packet = bytearray(172)
rtts_us = []
for number in range(PACKETS):
    struct.pack_into(">H", packet, 2, number)
    time.sleep_ms(5)
    sent_us = time.ticks_us()
    sock.sendto(packet, peer)
    try:
        sock.recvfrom(512)
        rtts_us.append(time.ticks_diff(time.ticks_us(), sent_us))
    except OSError:
        rtts_us.append(None)
print("BARE", json.dumps(rtts_us))
"""


def program(what: str) -> str:
    """The board's main.py for STAMP, CALL or BARE (nothing but a socket: what is the virtual board's own share)."""
    text = what if what == BARE else MAIN.replace("WHAT", what)
    values = {
        "STAMP_PORT": STAMP_PORT, "SIP_PORT": SIP_PORT, "RTP_PORT": RTP_PORT, "FAR": FAR, "PACKETS": PACKETS,
    }  # fmt: skip
    for name, value in values.items():
        text = re.sub(rf"\b{name}\b", str(value), text)
    return text


def witness(lab: Namespaces, folder: Path, vm: str, what: str) -> Told:
    """Boot a board in the branch, let it measure one window, and take what it says."""
    process = board_in(lab, "branch-probe", folder, vm, program(what))
    assert process.stdout is not None
    said: list[str] = []
    packets: list[list[int]] = []
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("EACH"):
                packets = json.loads(line.removeprefix("EACH"))
            elif line.startswith("BARE"):
                return Told(json.loads(line.removeprefix("BARE")))
            elif line.startswith("READING") and packets:
                rtts_us, states = packets
                return Told(
                    [rtt if state == ANSWERED else None for rtt, state in zip(rtts_us, states, strict=True)],
                    {n for n, state in enumerate(states) if state == VOID},
                    json.loads(line.removeprefix("READING")),
                )
        raise RuntimeError(f"the board on {vm} ended: {''.join(said)[-800:]}")
    finally:
        process.terminate()
        process.communicate(timeout=10)


def irtt(lab: Namespaces) -> Told:
    duration_s = PACKETS * INTERVAL_US / 1e6
    prefix = lab.command("branch-probe")
    address = (FAR, IRTT_PORT)
    return Told(baselines.irtt(address, duration_s=duration_s, payload_octets=PAYLOAD_OCTETS, wait_s=2, prefix=prefix))


def fping(lab: Namespaces) -> Told:
    octets = PAYLOAD_OCTETS - 8  # as long as the others' packets
    prefix = lab.command("branch-probe")
    return Told(baselines.fping(FAR, count=PACKETS, timeout_ms=2000, payload_octets=octets, prefix=prefix))


@contextlib.contextmanager
def reflector(lab: Namespaces) -> Iterator[None]:
    """`linewitness reflect` at the far end."""
    bind = ("--bind", f"{FAR}:{STAMP_PORT}", "--allow", "100.64.10.0/24")
    process = lab.start("anchors", sys.executable, "-u", "-m", "linewitness", "reflect", *bind)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "reflecting" in line:
                break
        else:
            raise RuntimeError("the reflector did not start")
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=5)
