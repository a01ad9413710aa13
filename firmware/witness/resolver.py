"""The witness's own resolver: asynchronous, because the stack's blocks for seconds just when DNS is down.

Every query has a random id; an answer counts only from the server asked, with the question echoed. Answers are kept for
their TTL (MIN_TTL_S..MAX_TTL_S) and after it until a newer one comes: while DNS is down a stale answer is given, so
that a target which answers is not reported as lost because its name can't be looked up. That is told by
`Address.stale` and by `failures` (look-ups in a row that no server answered); the DNS targets of the plan carry the
evidence. Only a name that never resolved in this boot raises Unresolved: its sample is `sample.unresolved()`, void.
"""

import asyncio
import struct
from collections import namedtuple

from linewitness_wire import codes
from linewitness_wire.plan import PRIVATE

from . import dns_message
from .dns_message import TYPE_A, TYPE_SRV, BadName
from .malformed import Malformed

PORT = 53
TIMEOUT_US = 2_000_000  # for each server
MIN_TTL_S = 5
MAX_TTL_S = 3600
RETRY_US = 5_000_000  # for so long after a failed look-up the same is said again without asking

Address = namedtuple("Address", ("address", "stale"))


class Unresolved(Exception):
    """No server has ever answered for this name; `rcode` is the last server's answer, None where none came."""

    def __init__(self, name: str, rcode: int | None) -> None:
        super().__init__("%s: %s" % (name, "no answer" if rcode is None else "RCODE %d" % rcode))
        self.rcode = rcode


class _Entry:
    def __init__(self) -> None:
        self.records: list[tuple] | None = None
        self.rcode: int | None = None
        self.expires_us = 0
        self.retry_us = 0
        self.lock = asyncio.Lock()


class Resolver:
    """Looks names up through `control`.

    servers: dotted addresses, asked in their order; assign a new list when the plan or the gateway changes. hosts: the
    addresses of hosts that no server is asked for (the plan's private ones, from the configuration).
    """

    def __init__(
        self, control, clock, urandom, servers: list[str], port: int = PORT, hosts: "dict | None" = None
    ) -> None:
        self.servers = servers
        self._hosts = hosts or {}
        self._port = port
        self.failures = 0
        self.asked = 0  # queries sent
        self._control = control
        self._clock = clock
        self._urandom = urandom
        self._entries: dict[tuple[str, int], _Entry] = {}

    async def address(self, host: str) -> Address:
        """Return the Address of a name (its first A record), a private host or a dotted address. Raises Unresolved."""
        host = self._hosts.get(host, host)
        if host.startswith(PRIVATE):
            raise Unresolved(host, None)
        if dns_message.is_dotted(host):
            return Address(host, False)
        records, stale = await self._look_up(host, TYPE_A)
        return Address(records[0][1], stale)

    async def addresses(self, host: str) -> list[str]:
        """Return all addresses of a name, ascending, or the one of a dotted address. Raises Unresolved."""
        if dns_message.is_dotted(host):
            return [host]
        records, _ = await self._look_up(host, TYPE_A)
        return sorted([record[1] for record in records], key=_numbers)

    async def servers_of(self, name: str) -> list[tuple[str, int]]:
        """Return (host, port) of an SRV name, in an order that is always the same (see places). Raises Unresolved."""
        records, _ = await self._look_up(name, TYPE_SRV)
        ordered = sorted([(record[1], -record[2], record[4].lower(), record[3]) for record in records])
        return [(host, port) for _, _, host, port in ordered if host not in ("", ".")]

    async def _look_up(self, name: str, kind: int) -> tuple[list[tuple], bool]:
        entry = self._entry((name.lower(), kind))
        # Several targets share a name: one look-up serves them all.
        async with entry.lock:
            now_us = self._clock.now_us()
            if now_us >= entry.expires_us and now_us >= entry.retry_us:
                await self._refresh(entry, name, kind)
                now_us = self._clock.now_us()
            if entry.records is None:
                raise Unresolved(name, entry.rcode)
            return entry.records, now_us >= entry.expires_us

    def _entry(self, key: tuple[str, int]) -> _Entry:
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry()
        return entry

    async def _refresh(self, entry: _Entry, name: str, kind: int) -> None:
        """Ask the servers until one has records; keep them, or the last RCODE (None where no server answered)."""
        entry.rcode = None
        for server in self.servers:
            reply = await self._ask(server, name, kind)
            if reply is None:
                continue
            entry.rcode = reply.rcode
            if reply.rcode == dns_message.NO_ERROR and reply.records:
                ttl_s = min([record[0] for record in reply.records])
                entry.records = reply.records
                entry.expires_us = self._clock.now_us() + max(MIN_TTL_S, min(ttl_s, MAX_TTL_S)) * 1_000_000
                self.failures = 0
                return
        entry.retry_us = self._clock.now_us() + RETRY_US
        self.failures = self.failures + 1 if entry.rcode is None else 0

    async def _ask(self, server: str, name: str, kind: int) -> "dns_message.Reply | None":
        try:
            query = dns_message.encode_query(struct.unpack(">H", self._urandom(2))[0], name, kind)
        except BadName:
            return None
        replies: list[dns_message.Reply] = []

        def judge(octets: bytes) -> tuple | None:
            if not dns_message.belongs(octets, query):
                return None
            try:
                replies.append(dns_message.decode_reply(octets, query))
            except Malformed:
                return ()
            return codes.FATE_ANSWERED, None

        self.asked += 1
        # A void sample (the loop stalled) measures nothing, but what the server said is as good.
        await self._control.ask(query, self._control.endpoint(server, self._port), judge, TIMEOUT_US)
        return replies[0] if replies else None


def _numbers(address: str) -> list[int]:
    return [int(number) for number in address.split(".")]
