"""TCP connect (RFC 9293): the time until the handshake is done, then closed at once.

A refusal (RST) is a reply of the host that its service fails: FATE_WRONG with -ECONNREFUSED. lwIP reports a reset
during the handshake as ECONNRESET; both are the refusal that they are. Everything else is FATE_LOST with its -errno.

A non-blocking socket tells writability only; whether it is connected or in error, the next call on it says.
"""

import asyncio
import errno

from linewitness_wire import codes, plan
from witness.sample import Sample, answered, unanswered, within
from witness.sockets import Ready

from .base import SingleShot

IN_PROGRESS = (errno.EINPROGRESS, errno.EAGAIN, 119)  # 119: EINPROGRESS of the ESP32's C library
REFUSALS = (errno.ECONNREFUSED, errno.ECONNRESET)


class Tcp(SingleShot):
    """TCP connects; each opens a socket of its own from the module `socket`."""

    def __init__(self, socket, clock, link) -> None:
        super().__init__()
        self._socket = socket
        self._clock = clock
        self._link = link

    async def run(self, target: plan.Target, address: str) -> Sample:
        """Connect once; return the Sample."""
        peer = self._socket.getaddrinfo(address, target.port)[0][-1]  # a dotted address: asks no name server
        if not self._link.is_up():
            return Sample(codes.FATE_VOID, self._clock.now_us(), None, None)
        try:
            sock = self._socket.socket(self._socket.AF_INET, self._socket.SOCK_STREAM)
        except OSError as e:
            return Sample(codes.FATE_VOID, self._clock.now_us(), None, -(e.errno or errno.EIO))
        self._clock.watch()
        try:
            await asyncio.sleep_ms(0)  # lets the clock begin to watch before anything is in flight
            return await self._connect(sock, peer, target.timeout_ms * 1000)
        finally:
            self._clock.unwatch()
            sock.close()

    async def _connect(self, sock, peer: object, timeout_us: int) -> Sample:
        sock.setblocking(False)
        sent_us = self._clock.now_us()
        number = _errno_of(sock.connect, peer)
        if number in IN_PROGRESS:
            if not await within(timeout_us, Ready(sock, write=True).wait):
                return unanswered(self._clock, self._link, sent_us)
            received_us = self._clock.now_us()
            number = _errno_of(sock.recv, 1)
            if number == errno.EAGAIN:
                number = 0
        else:
            received_us = self._clock.now_us()
        if number == 0:
            return answered(self._clock, sent_us, received_us, timeout_us, codes.FATE_ANSWERED, None)
        if number in REFUSALS:
            return answered(self._clock, sent_us, received_us, timeout_us, codes.FATE_WRONG, -number)
        return unanswered(self._clock, self._link, sent_us, -number)


def _errno_of(call, argument) -> int:
    """Return 0, or the errno with which a call on a socket failed."""
    try:
        call(argument)
    except OSError as e:
        return e.errno or errno.EIO
    return 0
