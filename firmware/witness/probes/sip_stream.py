"""SIP OPTIONS over TCP and TLS: a connection for each, one request, its response, closed.

What holds for SIP over UDP holds here (see sip). The round trip is that of the request; connect and TLS handshake stand
in the reading's phases. A connection that fails is the sample, as in tls: FATE_WRONG when refused, reset or not
trusted, FATE_LOST for silence. Over TLS it is to be run in the housekeeping slot and takes `quiet`.
"""

import errno

from linewitness_wire import codes, plan, record
from witness.sample import Sample, answered, unanswered

from . import sip_message
from .connection import Connecting, Connection, loop_turn
from .sip import Options
from .tls import sample_of

MESSAGE_OCTETS = 4096  # a longer response is malformed


class SipStream(Options):
    """SIP OPTIONS over connections that `connecting` opens; secured where there is a `quiet`."""

    def __init__(self, connecting: Connecting, quiet, clock, link, urandom, contact: str, secrets: dict) -> None:
        super().__init__(clock, link, urandom, contact, secrets)
        self._connecting = connecting
        self._quiet = quiet
        self.transport = "TCP" if quiet is None else "TLS"

    def resolved(self, target: plan.Target, took_us: int) -> None:
        """Keep how long a server took to give the target's address."""
        self._connecting.resolved(target, took_us)

    def extras(self, target: plan.Target) -> dict:
        """Return what the connections and the requests add to the reading."""
        extras = super().extras(target)
        extras.update(self._connecting.extras(target))
        return extras

    async def once(self, target: plan.Target, address: str, request: bytes, branch: str) -> Sample:
        """Connect, ask, take the response; return the Sample."""
        if self._quiet is None:
            return await self._once(target, address, request, branch)
        async with self._quiet:
            return await self._once(target, address, request, branch)

    async def _once(self, target: plan.Target, address: str, request: bytes, branch: str) -> Sample:
        clock, link = self._clock, self._link
        sent_us = clock.now_us()
        if not link.is_up():
            return Sample(codes.FATE_VOID, sent_us, None, None)
        until_us = sent_us + target.timeout_ms * 1000
        try:
            connection = await self._connecting.open(target, address, self.port_of(target), until_us)
        except OSError as e:
            return Sample(codes.FATE_VOID, sent_us, None, -(e.errno or errno.EIO))
        try:
            connected = connection.number == 0
            if connected and self._quiet is not None:
                await self._connecting.secure(target, connection, until_us)
            if connection.number:
                return sample_of(connection, connected, sent_us, clock.now_us() - sent_us, link)
            return await self._exchange(target, connection, request, branch, until_us)
        finally:
            connection.close()

    async def _exchange(self, target, connection: Connection, request: bytes, branch: str, until_us: int) -> Sample:
        clock = self._clock
        clock.watch()
        try:
            await loop_turn()
            sent_us = clock.now_us()
            await connection.send(request, until_us)
            heard = b""
            while connection.number == 0:
                octets = await connection.receive(until_us)
                received_us = clock.now_us()
                heard += octets
                end = _message_end(heard)
                while octets and end:
                    verdict = self.judge(target, heard[:end], branch) if end > 0 else ()
                    if verdict:
                        return answered(clock, sent_us, received_us, until_us - sent_us, *verdict)
                    heard = heard[end:] if end > 0 else b""
                    end = _message_end(heard)
                if len(heard) > MESSAGE_OCTETS:
                    self.count(target, record.MALFORMED)
                    heard = b""
            number = connection.number
            if number == -errno.ETIMEDOUT:
                return unanswered(clock, self._link, sent_us, number)
            return answered(clock, sent_us, clock.now_us(), until_us - sent_us, codes.FATE_WRONG, number)
        finally:
            clock.unwatch()


def _message_end(octets: bytes) -> int:
    """Return how many octets the first message has, 0 while it is not whole, -1 where it can't be told (18.3)."""
    end = octets.find(b"\r\n\r\n")
    if end < 0:
        return 0
    if end == 0:
        return 4  # a keep-alive (RFC 5626 4.4.1)
    length = sip_message.content_length(octets[:end])
    if length is None:
        return -1
    whole = end + 4 + length
    return whole if len(octets) >= whole else 0
