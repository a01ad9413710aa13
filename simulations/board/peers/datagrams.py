"""UDP servers for virtual time: they decide with the lab's own code, and answer at the scheduler's time."""

from __future__ import annotations

from collections.abc import Callable

from linewitness import reflector
from simulations.board.ports import Address
from simulations.lab.peers.dns import DnsServer, Zone
from simulations.lab.peers.sip import SipResponder
from simulations.lab.peers.sip_message import Malformed, parse_datagram
from simulations.lab.peers.sntp import SntpServer

UtcUs = Callable[[int], int]
"""UTC in microseconds since 1970 at a time of the scheduler."""


class TimeServer:
    """SNTP. `utc_us` is the truth; `offset_us(now_us)` is how wrong this server is (positive: ahead)."""

    def __init__(self, utc_us: UtcUs, offset_us: UtcUs = lambda now_us: 0) -> None:
        self.utc_us = utc_us
        self.offset_us = offset_us
        self.silent = False
        self.requests = 0
        self._server = SntpServer()

    def datagram(self, data: bytes, source: Address, now_us: int) -> list[tuple[int, bytes]]:
        if self.silent or len(data) < 48:
            return []
        self.requests += 1
        at_ns = (self.utc_us(now_us) + self.offset_us(now_us)) * 1000
        return [(0, self._server.answer(data, at_ns, at_ns))]


class NameServer:
    """DNS over UDP from a zone as the lab's DnsServer has it."""

    def __init__(self, zone: Zone) -> None:
        self._server = DnsServer(zone)

    def datagram(self, data: bytes, source: Address, now_us: int) -> list[tuple[int, bytes]]:
        answer = self._server.answer(data, source, "udp")
        self._server.requests.clear()
        return [] if answer is None else [(0, answer)]


class SipServer:
    """OPTIONS over UDP, answered with `code` (set(code=503), set(silent=True), ...)."""

    def __init__(self) -> None:
        self._server = SipResponder()
        self.set = self._server.set

    def datagram(self, data: bytes, source: Address, now_us: int) -> list[tuple[int, bytes]]:
        if self._server.settings.silent:
            return []
        try:
            request = parse_datagram(data)
            answer = None if request is None else self._server.answer(request, source)
        except Malformed:
            return []
        return [] if answer is None else [(0, answer[0])]


SESSIONS_KEPT = 8


class SessionReflector:
    """STAMP, stateful: a counter for each session by its SSID (RFC 8972 3), the latest few."""

    def __init__(self, utc_us: UtcUs) -> None:
        self._utc_us = utc_us
        self._counters: dict[bytes, int] = {}
        self.packets = 0

    def datagram(self, data: bytes, source: Address, now_us: int) -> list[tuple[int, bytes]]:
        session = data[14:16]
        counter = self._counters.pop(session, 0)
        self._counters[session] = counter + 1
        if len(self._counters) > SESSIONS_KEPT:
            del self._counters[next(iter(self._counters))]
        at = reflector.ntp_time(self._utc_us(now_us) * 1000)
        estimate = reflector.error_estimate(None)
        answer = reflector.reply(data, sequence=counter, received=at, sent=at, estimate=estimate, ttl=64)
        self.packets += 1
        return [] if answer is None else [(0, answer)]
