"""DNS (RFC 1035): one A query over UDP to the target, which is a resolver: the router's, or a public one.

The name asked for is OPTION_NAME. With OPTION_FRESH a random label stands before it, so that no cache can answer and
the answer has come through the line. NXDOMAIN is an answer: the resolver works (a fresh label has no records). Every
other RCODE but 0 is FATE_WRONG; the code is the RCODE.
"""

import struct

from linewitness_wire import codes, plan, record
from witness import dns_message
from witness.malformed import Malformed

from .base import SingleShot

PORT = 53


class Dns(SingleShot):
    """DNS queries through `control`."""

    def __init__(self, control, clock, urandom) -> None:
        super().__init__()
        self._control = control
        self._urandom = urandom

    def run(self, target: plan.Target, address: str):
        """Ask once: return what to await for the Sample. Raises dns_message.BadName for a plan whose name is none."""
        name = target.options.get(plan.OPTION_NAME, "")
        if target.options.get(plan.OPTION_FRESH):
            name = self._urandom(8).hex() + "." + name
        number = struct.unpack(">H", self._urandom(2))[0]
        query = dns_message.encode_query(number, name, dns_message.TYPE_A)

        def judge(octets: bytes) -> tuple | None:
            if not dns_message.belongs(octets, query):
                return None
            try:
                rcode = dns_message.decode_reply(octets, query).rcode
            except Malformed:
                self.count(target, record.MALFORMED)
                return ()
            if rcode == dns_message.NO_ERROR:
                return codes.FATE_ANSWERED, None
            if rcode == dns_message.NXDOMAIN:
                return codes.FATE_ANSWERED, rcode
            return codes.FATE_WRONG, rcode

        peer = self._control.endpoint(address, target.port or PORT)
        return self._control.ask(query, peer, judge, target.timeout_ms * 1000)
