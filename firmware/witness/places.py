"""Where a target is: its host's address, and for SIP the server of a set that it stands for (RFC 3263).

A SIP target whose port is 0 and whose host is a name means the set of servers that the host's SRV records name, each
with its A records; without SRV records the host's own A records, at the transport's port. A client would draw by weight
among equal priorities; a witness has to mean the same server every time, so the order is by priority, weight (greatest
first), name and port, and by address within a name. OPTION_MEMBER says which of the set, from 1. A set with fewer
members has no such place: that is no measurement.
"""

from collections import namedtuple

from linewitness_wire import codes, plan

from .dns_message import is_dotted
from .resolver import Unresolved

GATEWAY = "gateway"
SERVICES = {
    codes.METHOD_SIP_UDP: ("_sip._udp.", 5060),
    codes.METHOD_SIP_TCP: ("_sip._tcp.", 5060),
    codes.METHOD_SIP_TLS: ("_sips._tcp.", 5061),
    codes.METHOD_CALL: ("_sip._udp.", 5060),
}

Place = namedtuple("Place", ("address", "port", "took_us"))
"""Dotted address, port (the target's own, or its SRV record's), and how long servers took to say so: None where none
was asked."""


class Places:
    """Finds places. resolver: see resolver; gateway(): dotted address or None."""

    def __init__(self, resolver, gateway, clock) -> None:
        self._resolver = resolver
        self._gateway = gateway
        self._clock = clock

    async def find(self, target) -> "Place | None":
        """Return the Place of a target; None where there is none now. Raises Unresolved."""
        if target.host == GATEWAY:
            address = self._gateway()
            return None if address is None else Place(address, target.port, None)
        asked = self._resolver.asked
        began_us = self._clock.now_us()
        service = SERVICES.get(target.method)
        private = target.host.startswith(plan.PRIVATE)  # no name: it has no records
        if service is None or target.port or private or is_dotted(target.host):
            member = target.options.get(plan.OPTION_MEMBER, 0)
            if member:
                found = await self._member([(target.host, target.port)], member)
            else:
                found = ((await self._resolver.address(target.host)).address, target.port)
        else:
            found = await self._of_set(target, service)
        if found is None:
            return None
        took_us = self._clock.now_us() - began_us if self._resolver.asked != asked else None
        return Place(found[0], found[1], took_us)

    async def _of_set(self, target, service: tuple) -> "tuple | None":
        prefix, port = service
        try:
            servers = await self._resolver.servers_of(prefix + target.host)
        except Unresolved:
            servers = [(target.host, port)]  # RFC 3263 4.2: no SRV records
        return await self._member(servers, target.options.get(plan.OPTION_MEMBER, 1))

    async def _member(self, servers: list, member: int) -> "tuple | None":
        """Return (address, port) of a member, from 1; a name without an address counts as one member. Raises Unresolved
        where the member is that one."""
        for host, port in servers:
            try:
                addresses = await self._resolver.addresses(host)
            except Unresolved:
                if member == 1:
                    raise
                member -= 1
                continue
            if member <= len(addresses):
                return addresses[member - 1], port
            member -= len(addresses)
        return None


def at_place(target, place: Place):
    """Return the target with the place's port; with its address too where the host is a private one, no name."""
    private = target.host.startswith(plan.PRIVATE)
    if place.port == target.port and not private:
        return target
    host = place.address if private else target.host
    return plan.Target(*(target[:4] + (host, place.port) + target[6:]))
