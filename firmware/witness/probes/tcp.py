"""TCP connect (RFC 9293): the time until the handshake is done, then closed at once.

A refusal (RST) is a reply of the host that its service fails: FATE_WRONG with -ECONNREFUSED. lwIP reports a reset
during the handshake as ECONNRESET; both are the refusal that they are. Everything else is FATE_LOST with its -errno.
"""

import errno

from linewitness_wire import codes, plan, record
from witness.sample import Sample, answered, unanswered

from .base import place_octets
from .connection import Connecting, loop_turn


class Tcp(Connecting):
    """TCP connects; each opens a socket of its own from the module `socket`."""

    async def run(self, target: plan.Target, address: str) -> Sample:
        """Connect once; return the Sample."""
        clock, link = self._clock, self._link
        if not link.is_up():
            return Sample(codes.FATE_VOID, clock.now_us(), None, None)
        self.note(target, record.PEER, place_octets(address, target.port))
        clock.watch()
        connection = None
        try:
            await loop_turn()
            sent_us = clock.now_us()
            timeout_us = target.timeout_ms * 1000
            connection = await self.open(target, address, target.port, sent_us + timeout_us)
            received_us = clock.now_us()
            number = connection.number
            if number == 0:
                return answered(clock, sent_us, received_us, timeout_us, codes.FATE_ANSWERED, None)
            if number == -errno.ECONNREFUSED:
                return answered(clock, sent_us, received_us, timeout_us, codes.FATE_WRONG, number)
            return unanswered(clock, link, sent_us, None if number == -errno.ETIMEDOUT else number)
        except OSError as e:  # no socket to be had
            return Sample(codes.FATE_VOID, clock.now_us(), None, -(e.errno or errno.EIO))
        finally:
            clock.unwatch()
            if connection is not None:
                connection.close()
