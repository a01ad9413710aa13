"""TLS connect (RFC 5246): TCP handshake, TLS handshake, then closed; the phases' times and the certificate's end.

To be run in the housekeeping slot (see connection): it takes `quiet`, so that no window, no signature and no second
handshake meets it. The round trip of its sample is both handshakes together, the board's own computing included, so its
stalls make nothing void. With OPTION_AUTHORITY the certificate must be of that authority and bear OPTION_NAME or the
host. FATE_WRONG: refused (-ECONNREFUSED), reset or closed (-ECONNRESET), a certificate that does not hold, an alert
(see connection). FATE_LOST: silence; with -ETIMEDOUT when the TCP connect had been answered.
"""

import errno

from linewitness_wire import codes, plan, record
from witness.sample import Sample

from .base import place_octets
from .connection import Connecting, Connection

OURS = (-errno.ENOMEM, -errno.ENOENT)  # what the witness itself lacks


class Tls(Connecting):
    """TLS connects. tls: see connection.tls_contexts."""

    def __init__(self, socket, clock, link, tls, quiet) -> None:
        super().__init__(socket, clock, link, tls)
        self._quiet = quiet

    async def run(self, target: plan.Target, address: str) -> Sample:
        """Connect once; return the Sample."""
        clock = self._clock
        self.note(target, record.PEER, place_octets(address, target.port))
        async with self._quiet:
            if not self._link.is_up():
                return Sample(codes.FATE_VOID, clock.now_us(), None, None)
            sent_us = clock.now_us()
            until_us = sent_us + target.timeout_ms * 1000
            try:
                connection = await self.open(target, address, target.port, until_us)
            except OSError as e:
                return Sample(codes.FATE_VOID, sent_us, None, -(e.errno or errno.EIO))
            try:
                connected = connection.number == 0
                if connected:
                    await self.secure(target, connection, until_us)
                rtt_us = clock.now_us() - sent_us
            finally:
                connection.close()
        return sample_of(connection, connected, sent_us, rtt_us, self._link)


def sample_of(connection: Connection, connected: bool, sent_us: int, rtt_us: int, link) -> Sample:
    """Return the Sample of a connection that was made or failed."""
    number = connection.number
    if number == 0:
        return Sample(codes.FATE_ANSWERED, sent_us, rtt_us, None)
    if number in OURS or not link.is_up():
        return Sample(codes.FATE_VOID, sent_us, None, number)
    if number == -errno.ETIMEDOUT or (not connected and number != -errno.ECONNREFUSED):
        code = number if connected or number != -errno.ETIMEDOUT else None
        return Sample(codes.FATE_LOST, sent_us, None, code)
    return Sample(codes.FATE_WRONG, sent_us, rtt_us, number)
