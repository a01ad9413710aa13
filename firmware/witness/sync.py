"""Finds UTC by SNTP (RFC 5905 section 14) with fractions of a second, from a majority of servers.

From each server: offset = ((T2 - T1) + (T3 - T4)) / 2, with T1 and T4 monotonic, so that UTC = monotonic + offset; its
error is at most half of ((T4 - T1) - (T3 - T2)) plus the server's own root distance (half its root delay and its root
dispersion). So each server names an interval in which the true offset lies if it tells the truth.

With n servers in the plan, more than half must agree in one point, and no more than (n - 1) // 2 are thought to lie:
the truth lies in all but so many of the intervals that came. Taken is the least interval that holds every point of
which that can be true; where a server did not answer it is wider, for the liar may be among the few that did. Servers
whose interval does not touch it are refused and reported. One server alone is believed, for want of others.

The answers of a round are some seconds apart, in which the crystal may drift: each is as much wider as it is old.
"""

import struct
from collections import namedtuple

from linewitness_wire import codes

from .clock import Utc, drift_us
from .resolver import Unresolved

PORT = 123
PACKET_OCTETS = 48
UNIX_EPOCH_S = 2_208_988_800  # of 1970 in seconds since 1900
ERA_S = 1 << 32
TIMEOUT_US = 1_000_000
RETRY_MS = (1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000)
POLL_MS = 64_000
COMPLAIN_AFTER = 3  # rounds in a row

Answer = namedtuple("Answer", ("server", "offset_us", "bound_us"))
"""What one server says: its index, UTC - monotonic, and how wrong that may be."""


def request(nonce: bytes) -> bytes:
    """Return a client's packet: version 4, mode 3; its transmit time is a nonce of 8 octets, which tells no time."""
    return b"\x23" + bytes(39) + nonce


def read_reply(octets: bytes, nonce: bytes) -> "tuple | None":
    """Return (receive_utc_us, transmit_utc_us, root_distance_us) of a server's reply to that nonce.

    None for what is no usable reply: of another request, not from a server, unsynchronised or a kiss of death.
    """
    if len(octets) < PACKET_OCTETS or octets[24:32] != nonce:
        return None
    leap, mode, stratum = octets[0] >> 6, octets[0] & 7, octets[1]
    if leap == 3 or mode != 4 or not 1 <= stratum <= 15:
        return None
    root_delay, root_dispersion = struct.unpack(">II", octets[4:12])
    receive_us, transmit_us = _unix_us(octets[32:40]), _unix_us(octets[40:48])
    if transmit_us < receive_us:
        return None
    distance_us = (root_delay * 500_000 >> 16) + (root_dispersion * 1_000_000 >> 16)
    return receive_us, transmit_us, distance_us


def _unix_us(octets: bytes) -> int:
    """Microseconds since 1970 of an NTP timestamp; seconds below 2^31 are those of the era from 2036 on."""
    seconds, fraction = struct.unpack(">II", octets)
    if seconds < ERA_S // 2:
        seconds += ERA_S
    return (seconds - UNIX_EPOCH_S) * 1_000_000 + (fraction * 1_000_000 >> 32)


def agree(answers: list, servers: int) -> "tuple | None":
    """Return (offset_us, bound_us) on which more than half of so many servers agree; None where they don't."""
    truthful = max(1, len(answers) - (servers - 1) // 2)
    deepest = 0
    edges = []
    for answer in answers:
        edges.append((answer.offset_us - answer.bound_us, 0))
        edges.append((answer.offset_us + answer.bound_us, 1))
    edges.sort()
    depth = 0
    low_us: "int | None" = None
    high_us = 0
    for at_us, leaves in edges:
        if leaves:
            if depth >= truthful:
                high_us = at_us
            depth -= 1
        else:
            depth += 1
            deepest = max(deepest, depth)
            if depth >= truthful and low_us is None:
                low_us = at_us
    if low_us is None or deepest < servers // 2 + 1:
        return None
    return (low_us + high_us) // 2, (high_us - low_us + 1) // 2 + 1


class Sync:
    """Keeps a Clock synchronised. set_rtc(utc_us) sets the port's own clock, by which TLS judges certificates.

    Without a majority the witness goes on measuring in monotonic time and asks again; log(text) says so once.
    """

    def __init__(self, clock, control, resolver, urandom, event, set_rtc, log) -> None:
        self._clock = clock
        self._control = control
        self._resolver = resolver
        self._urandom = urandom
        self._event = event
        self._set_rtc = set_rtc
        self._log = log
        self._refused: "dict" = {}

    async def run(self, servers: list, progress) -> None:
        """Synchronise with these servers (addresses or names) for ever; progress() after each round."""
        failures = 0
        while True:
            taken = await self.synchronise(servers)
            progress()
            failures = 0 if taken else min(failures + 1, len(RETRY_MS))
            if failures == COMPLAIN_AFTER:
                self._log(
                    "clock: no majority of the time servers agrees (%s); try: name servers in plan.time_servers that "
                    "this network can reach" % ", ".join(servers)
                )
            wait_ms = POLL_MS if taken else RETRY_MS[failures - 1]
            await self._clock.sleep_ms(wait_ms)

    async def synchronise(self, servers: list) -> bool:
        """Ask every server once; return whether a majority agreed."""
        came: "list[tuple]" = []
        for i in range(len(servers)):
            answer = await self._ask(i, servers[i])
            if answer is not None:
                came.append((answer, self._clock.now_us()))
        now_us = self._clock.now_us()
        answers = [
            Answer(answer.server, answer.offset_us, answer.bound_us + drift_us(now_us - at_us))
            for answer, at_us in came
        ]
        agreed = agree(answers, len(servers))
        if agreed is None:
            return False
        self._take(answers, agreed[0], agreed[1])
        return True

    def _take(self, answers: list, offset_us: int, bound_us: int) -> None:
        first = not self._clock.synchronised
        step_us = self._clock.set_utc(Utc(offset_us, bound_us, self._clock.now_us(), codes.CLOCK_SNTP))
        if first:
            self._event(codes.EVENT_CLOCK_SET, 0, bound_us, codes.CLOCK_SNTP)
        elif step_us is not None:
            self._event(codes.EVENT_CLOCK_STEP, step_us)
        if first or step_us is not None:
            self._set_rtc(offset_us + self._clock.now_us())
        for answer in answers:
            outlier = abs(answer.offset_us - offset_us) > answer.bound_us + bound_us
            if outlier and not self._refused.get(answer.server):
                self._event(codes.EVENT_CLOCK_REFUSED, answer.server, answer.offset_us - offset_us)
            self._refused[answer.server] = outlier

    async def _ask(self, index: int, server: str) -> "Answer | None":
        try:
            address = (await self._resolver.address(server)).address
        except Unresolved:
            return None
        nonce = self._urandom(8)
        replies = []

        def judge(octets):
            reply = read_reply(octets, nonce)
            if reply is None:
                return None
            replies.append(reply)
            return codes.FATE_ANSWERED, None

        # A void Sample (the loop stalled) has no round trip: the server is asked again in the next round.
        sample = await self._control.ask(request(nonce), self._control.endpoint(address, PORT), judge, TIMEOUT_US)
        if sample.rtt_us is None or not replies:
            return None
        receive_us, transmit_us, distance_us = replies[0]
        # Both stamps are the server's: what it held the packet does not count.
        held_us = min(transmit_us - receive_us, sample.rtt_us)
        middle_us = sample.sent_us + sample.rtt_us // 2
        offset_us = (receive_us + transmit_us) // 2 - middle_us
        return Answer(index, offset_us, (sample.rtt_us - held_us + 1) // 2 + distance_us + drift_us(sample.rtt_us) + 1)
