"""How many simultaneous calls a line carries: streams like G.711 calls to our session-reflector, one more at a time.

Each call is a STAMP session (RFC 8762) with a socket of its own: 50 packets a second of 172 octets of UDP payload, 80
kbit/s each way with IP. A step runs n of them side by side and rates each by the E-model (G.107) from what was lost or
later than the jitter buffer; a step holds while the worst call's MOS is at least the limit. The ramp is careful: it
adds one call, or an eighth of what has just held, and halves the distance where that was too many. A step in which most
of a second's packets are missing is ended at once, and after one that lost any the queues get time to drain.

`probe` is the one function that touches the network; `find` decides, and is given it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from linewitness import emodel
from linewitness.reflector import AUTHENTICATED_OCTETS, BASE_OCTETS, HMAC_OCTETS, UNSYNCHRONISED, ntp_time

INTERVAL_S = 0.02
PAYLOAD_OCTETS = 172
CALL_KBITS = 50 * (PAYLOAD_OCTETS + 28) * 8 / 1000
TIMEOUT_S = 1.0
CODECS = {"G.711": (0.0, 4.3), "G.711 PLC": (0.0, 25.1)}
"""Ie and Bpl (ITU-T G.113 Appendix I) of what the calls stand for."""
CALLS_MOST = 500
MISSING = 0.5  # of a second's packets: then a step is ended at once
GRACE_S = 1.0
DRAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class CallResult:
    """One call: packets sent, answered, late beyond the jitter buffer; least round trip; MOS-CQE, 1 where none was."""

    sent: int
    answered: int
    late: int
    rtt_min_us: int | None
    mos: float


@dataclass(frozen=True, slots=True)
class Step:
    """One step: how many calls, whether the worst of them held the limit, and that one."""

    calls: int
    held: bool
    worst: CallResult
    ended_early: bool


@dataclass(frozen=True, slots=True)
class Stream:
    """What one call measured: round trips in microseconds in the order of sending, None for lost."""

    rtts_us: list[int | None]
    ended_early: bool = False


Probe = Callable[[int], list[Stream]]
"""Number of calls -> what each measured. Raises KeyboardInterrupt."""


def rate(stream: Stream, codec: str, buffer_ms: int) -> CallResult:
    """Return a call's result: late is lost, the jitter buffer is set by the least round trip (as on the witness)."""
    answered = [rtt for rtt in stream.rtts_us if rtt is not None]
    if not answered:
        return CallResult(len(stream.rtts_us), 0, 0, None, 1.0)
    least = min(answered)
    pattern = [rtt is None or rtt > least + buffer_ms * 1000 for rtt in stream.rtts_us]
    lost = sum(pattern)
    ie, bpl = CODECS[codec]
    delay_ms = least / 2000 + buffer_ms + INTERVAL_S * 1000
    share = lost / len(pattern)
    rating = emodel.rate(Ta=delay_ms, Ie=ie, Bpl=bpl, Ppl=100 * share, BurstR=_burst_r(pattern))
    late = lost - stream.rtts_us.count(None)
    return CallResult(len(pattern), len(answered), late, least, rating.MOS)


def _burst_r(pattern: Sequence[bool]) -> float:
    """Return BurstR (G.107 7.4): the mean run of losses over that of random loss; 1 where nothing or all was lost."""
    lost = sum(pattern)
    runs = sum(bad and not before for before, bad in zip([False, *pattern], pattern, strict=False))
    if not lost or lost == len(pattern):
        return 1.0
    return lost / runs * (1 - lost / len(pattern))


def find(
    probe: Probe, limit_mos: float, codec: str, buffer_ms: int, most: int, first: int, told: Callable[[Step], None]
) -> list[Step]:
    """Ramp up from `first` calls until a step does not hold or `most` is reached; return every step, told(step) each.

    The answer is the greatest number that held with every smaller one: carried(steps).
    """
    steps: list[Step] = []
    held, failed = 0, most + 1
    calls = first
    while held < failed - 1:
        step = _step(probe(calls), calls, limit_mos, codec, buffer_ms)
        steps.append(step)
        told(step)
        if step.held:
            held = max(held, calls)
        else:
            failed = min(failed, calls)
        calls = (held + failed) // 2 if failed <= most else min(most, held + held // 8 + 1)
        calls = max(calls, held + 1)
    return steps


def _step(streams: list[Stream], calls: int, limit_mos: float, codec: str, buffer_ms: int) -> Step:
    worst = min((rate(stream, codec, buffer_ms) for stream in streams), key=lambda result: result.mos)
    early = any(stream.ended_early for stream in streams)
    return Step(calls, worst.mos >= limit_mos and not early, worst, early)


def carried(steps: Sequence[Step]) -> int:
    """Return how many calls the line carried: the most that held below the fewest that did not, 0 for none."""
    failed = min((step.calls for step in steps if not step.held), default=None)
    held = [step.calls for step in steps if step.held and (failed is None or step.calls < failed)]
    return max(held, default=0)


# --- packets --------------------------------------------------------------------------------------------------------


class _Call:
    """One call on the wire: its socket, what it sent and when, and what came back."""

    def __init__(self, address: tuple[str, int], key: bytes | None) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.connect(address)
        self._key = key
        self._ssid = (secrets.randbelow(0xFFFF) + 1).to_bytes(2, "big")
        self.sent_ns: list[int] = []
        self.rtts_us: list[int | None] = []

    def send(self) -> None:
        """Send the next packet; one that the stack refuses is lost."""
        number = struct.pack(">I", len(self.sent_ns))
        stamp = ntp_time(time.time_ns()) + struct.pack(">H", UNSYNCHRONISED) + self._ssid
        if self._key is None:
            packet = number + stamp
            packet += bytes(BASE_OCTETS - len(packet))
        else:
            packet = number + bytes(12) + stamp
            packet += bytes(AUTHENTICATED_OCTETS - HMAC_OCTETS - len(packet))
            packet += hmac.digest(self._key, packet, hashlib.sha256)[:HMAC_OCTETS]
        padding = PAYLOAD_OCTETS - len(packet) - 4
        packet += struct.pack(">BBH", 0x80, 1, padding) + bytes(padding)
        self.sent_ns.append(time.monotonic_ns())
        self.rtts_us.append(None)
        try:
            self.sock.send(packet)
        except OSError:
            return

    def receive(self) -> None:
        """Take all replies that are there."""
        at = 24 if self._key is None else 48
        while True:
            try:
                octets = self.sock.recv(2048)
            except OSError:  # nothing more, or a refusal of the reflector's host: both are no reply
                return
            if len(octets) < PAYLOAD_OCTETS or (self._key is not None and not self._authentic(octets)):
                continue
            number = int.from_bytes(octets[at : at + 4], "big")
            if number < len(self.sent_ns) and self.rtts_us[number] is None:
                self.rtts_us[number] = (time.monotonic_ns() - self.sent_ns[number]) // 1000

    def _authentic(self, octets: bytes) -> bool:
        signed = octets[: AUTHENTICATED_OCTETS - HMAC_OCTETS]
        wanted = hmac.digest(self._key or b"", signed, hashlib.sha256)[:HMAC_OCTETS]
        return hmac.compare_digest(wanted, octets[len(signed) : AUTHENTICATED_OCTETS])

    def missing(self, last: int) -> float:
        """Return the share of the packets before the newest ten of which no reply came, of the last `last` of them."""
        settled = self.rtts_us[:-10][-last:]
        return settled.count(None) / len(settled) if settled else 0.0


def probe_reflector(address: tuple[str, int], key: bytes | None, seconds: float) -> Probe:
    """Return the Probe of a session-reflector at address (host, port): `seconds` of so many calls side by side."""

    def probe(calls: int) -> list[Stream]:
        made = [_Call(address, key) for _ in range(calls)]
        try:
            streams = _run(made, seconds)
            if any(None in stream.rtts_us for stream in streams):
                time.sleep(DRAIN_S)
            return streams
        finally:
            for call in made:
                call.sock.close()

    return probe


def _run(calls: list[_Call], seconds: float) -> list[Stream]:
    """Send each call's packets at their own times, the calls spread over an interval; wait for the last replies."""
    begin_s = time.monotonic()
    due = [begin_s + i * INTERVAL_S / len(calls) for i in range(len(calls))]
    end_s = begin_s + seconds
    early = False
    while not early and (now_s := time.monotonic()) < end_s:
        for i, call in enumerate(calls):
            if due[i] <= now_s:
                call.send()
                due[i] += INTERVAL_S
        _take(calls, max(0.0, min(due) - time.monotonic()))
        early = now_s - begin_s > GRACE_S and min(call.missing(50) for call in calls) > MISSING
    last_s = time.monotonic() + TIMEOUT_S
    while (left_s := last_s - time.monotonic()) > 0 and any(None in call.rtts_us for call in calls):
        _take(calls, left_s)
    limit_us = int(TIMEOUT_S * 1e6)
    return [Stream([rtt if rtt is None or rtt <= limit_us else None for rtt in c.rtts_us], early) for c in calls]


def _take(calls: list[_Call], wait_s: float) -> None:
    ready, _, _ = select.select([call.sock for call in calls], [], [], min(wait_s, 0.02))
    for call in calls:
        if call.sock in ready:
            call.receive()
