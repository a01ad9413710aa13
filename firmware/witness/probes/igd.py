"""UPnP IGD: what the default gateway says of its line: status, uptime, octet counters, external address.

It talks to the default gateway's address and to no other: the search is unicast, and a LOCATION or controlURL
elsewhere is refused and counted as malformed. Many routers ship with UPnP off: silence is no fault. A sample is
GetStatusInfo with its connection; a UPnP error is FATE_WRONG with its errorCode, or the HTTP status where it has none.

The octet counters are asked for after each sample, the external address with every EXTERNAL_EVERY-th; public(target,
octets) gets its four octets.
"""

import asyncio

from linewitness_wire import codes, plan, record
from witness.sample import Sample, answered, unanswered

from . import http, igd_message
from .base import SingleShot
from .wan import Account, Word

GATEWAY = "gateway"
EXTERNAL_EVERY = 6
BODY_MAX_OCTETS = 2048


class _Body:
    """A SOAP reply's body, up to BODY_MAX_OCTETS."""

    def __init__(self) -> None:
        self.octets = b""

    def take(self, octets: bytes) -> None:
        self.octets = (self.octets + octets)[:BODY_MAX_OCTETS]


class Igd(SingleShot):
    """The default gateway by UPnP: searched through `control`, asked over TCP sockets from the module `socket`."""

    def __init__(self, control, socket, clock, quiet, public) -> None:
        super().__init__()
        self._control = control
        self._socket = socket
        self._clock = clock
        self._quiet = quiet
        self._public = public
        self._address = ""  # whose services these are
        self._services: dict = {}
        self._connection = 0  # which of the gateway's connections is in use
        self._account = Account()
        self._runs = 0

    async def run(self, target: plan.Target, address: str) -> Sample:
        """Ask the gateway at address; return the Sample. One that is not for the gateway is void: it asks nobody."""
        link = self._control.link
        if target.host != GATEWAY:
            return Sample(codes.FATE_VOID, self._clock.now_us(), None, None)
        await self._quiet.over()
        self._clock.watch()
        try:
            await asyncio.sleep_ms(0)
            began_us = self._clock.now_us()
            if not link.is_up():
                return Sample(codes.FATE_VOID, began_us, None, None)
            end_us = began_us + target.timeout_ms * 1000
            if address != self._address:
                self._forget(address)
            if not self._services and not await self._discover(target, address, end_us):
                return unanswered(self._clock, link, began_us)
            return await self._ask(target, end_us)
        finally:
            self._clock.unwatch()

    def extras(self, target: plan.Target) -> "dict":
        """Return the counts since the last call and what the gateway told of itself."""
        extras = super().extras(target)
        extras.update(self._account.take())
        return extras

    def _forget(self, address: str) -> None:
        if address != self._address:
            self._account = Account()
        self._address = address
        self._services = {}

    async def _discover(self, target: plan.Target, address: str, end_us: int) -> bool:
        """Find the gateway's services; return whether it has any."""
        places: list = []

        def judge(octets: bytes) -> "tuple | None":
            try:
                places.append(igd_message.location(octets, address))
            except igd_message.Malformed:
                self.count(target, record.MALFORMED)
                return ()
            return codes.FATE_ANSWERED, None

        peer = self._control.endpoint(address, igd_message.PORT)
        await self._control.ask(igd_message.encode_search(address), peer, judge, self._left_us(end_us))
        if not places:
            return False
        port, path = places[0]
        description = igd_message.Description(address, port)
        try:
            request = http.encode_get("%s:%d" % (address, port), path)
            if await self._exchange(port, request, description.take, end_us) != 200:
                return False
        except (OSError, http.Malformed, asyncio.TimeoutError):
            return False
        except igd_message.Malformed:
            self.count(target, record.MALFORMED)
            return False
        self._services = description.services
        return any(name in self._services for name in igd_message.CONNECTIONS)

    def _left_us(self, end_us: int) -> int:
        return max(1000, end_us - self._clock.now_us())

    async def _exchange(self, port: int, request: bytes, take, end_us: int) -> int:
        waiting = http.exchange(self._socket, self._address, port, request, take)
        return await asyncio.wait_for_ms(waiting, self._left_us(end_us) // 1000 + 1)

    async def _action(self, name: str, action: str, end_us: int) -> tuple:
        """Return (HTTP status, body) of an action of one of the gateway's services."""
        kind, (port, path) = self._services[name]
        body = _Body()
        request = http.encode_post(
            "%s:%d" % (self._address, port), path, kind + "#" + action, igd_message.encode_action(kind, action)
        )
        return await self._exchange(port, request, body.take, end_us), body.octets

    async def _ask(self, target: plan.Target, end_us: int) -> Sample:
        there = [name for name in igd_message.CONNECTIONS if name in self._services]
        name = there[self._connection % len(there)]
        sent_us = self._clock.now_us()
        try:
            status, body = await self._action(name, "GetStatusInfo", end_us)
        except (OSError, http.Malformed, asyncio.TimeoutError) as error:
            self._forget(self._address)
            number = error.errno if isinstance(error, OSError) else None
            return unanswered(self._clock, self._control.link, sent_us, -number if number else None)
        received_us = self._clock.now_us()
        said = igd_message.text(body, b"NewConnectionStatus")
        fate, code = codes.FATE_ANSWERED, None
        if status != 200 or not said:
            fate, code = codes.FATE_WRONG, igd_message.number(body, b"errorCode") or status
        elif said == igd_message.UNCONFIGURED:
            self._connection += 1  # the other connection's turn, where it has two
        sample = answered(self._clock, sent_us, received_us, target.timeout_ms * 1000, fate, code)
        if fate == codes.FATE_ANSWERED and said:
            await self._complete(target, name, body, said, end_us)
        return sample

    async def _complete(self, target: plan.Target, name: str, body: bytes, said: bytes, end_us: int) -> None:
        """Take what GetStatusInfo said, and ask for the rest as far as time is left."""
        flowed: list = [None, None]
        try:
            if igd_message.COMMON in self._services:
                for i in range(2):
                    way = ("Received", "Sent")[i]
                    _, octets = await self._action(igd_message.COMMON, "GetTotalBytes" + way, end_us)
                    flowed[i] = igd_message.number(octets, b"NewTotalBytes" + way.encode())
            if self._runs % EXTERNAL_EVERY == 0:
                _, octets = await self._action(name, "GetExternalIPAddress", end_us)
                external = igd_message.address_octets(igd_message.text(octets, b"NewExternalIPAddress"))
                if external is not None:
                    self._public(target, external)
            self._runs += 1
        except (OSError, http.Malformed, asyncio.TimeoutError):
            self._forget(self._address)
        status = igd_message.STATUSES.get(said, igd_message.STATUS_OTHER)
        uptime_s = igd_message.number(body, b"NewUptime")
        word = Word(self._clock.now_us(), uptime_s, status, flowed[0], flowed[1], None)
        self._account.note(word, 1 << 32)
