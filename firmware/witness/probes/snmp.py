"""SNMP v2c (RFC 3416): one Get of a router's uptime and of its WAN interface's status, errors and octet counters.

OPTION_SECRET names the community, OPTION_INDEX is the interface's ifIndex. v2c authenticates nobody: a reading is what
the router said, nothing more. Any Response is FATE_ANSWERED; one with an error-status is FATE_WRONG with it as code. A
router without 64-bit counters is asked for the 32-bit ones from then on.
"""

import struct

from linewitness_wire import codes, plan, record
from witness.malformed import Malformed
from witness.sample import Sample

from . import snmp_message as snmp
from .base import SingleShot
from .wan import Account, Word

PORT = 161


class UnknownSecret(Exception):
    """The plan names a community that this witness does not hold."""


class Snmp(SingleShot):
    """SNMP Gets through `control`; secrets: {name: community}."""

    def __init__(self, control, clock, urandom, secrets: "dict[str, str]") -> None:
        super().__init__()
        self._control = control
        self._clock = clock
        self._urandom = urandom
        self._secrets = secrets
        self._accounts: "dict[str, Account]" = {}
        self._narrow: "list[str]" = []  # targets without 64-bit counters

    async def run(self, target: plan.Target, address: str) -> Sample:
        """Ask once; return the Sample. Raises UnknownSecret."""
        name = target.options.get(plan.OPTION_SECRET, "")
        if name not in self._secrets:
            raise UnknownSecret("the plan names the secret %r, which the configuration does not have" % name)
        number = struct.unpack(">I", self._urandom(4))[0] & 0x7FFFFFFF
        oids = self._oids(target)
        responses: list = []

        def judge(octets: bytes) -> "tuple | None":
            try:
                response = snmp.decode_response(octets)
            except Malformed:
                self.count(target, record.MALFORMED)
                return ()
            if response.request_id != number:
                return None
            responses.append(response)
            return (codes.FATE_WRONG, response.error) if response.error else (codes.FATE_ANSWERED, None)

        request = snmp.encode_get(number, self._secrets[name].encode(), oids)
        peer = self._control.endpoint(address, target.port or PORT)
        sample = await self._control.ask(request, peer, judge, target.timeout_ms * 1000)
        if responses and not responses[0].error:
            self._note(target, oids, dict(responses[0].values))
        return sample

    def _oids(self, target: plan.Target) -> tuple:
        index = target.options.get(plan.OPTION_INDEX, 1)
        octets = (snmp.IF_HC_IN_OCTETS, snmp.IF_HC_OUT_OCTETS)
        if target.name in self._narrow:
            octets = (snmp.IF_IN_OCTETS, snmp.IF_OUT_OCTETS)
        columns = (snmp.IF_OPER_STATUS,) + octets + (snmp.IF_IN_ERRORS,)
        return (snmp.SYS_UPTIME,) + tuple([snmp.column(oid, index) for oid in columns])

    def _note(self, target: plan.Target, oids: tuple, values: dict) -> None:
        told = []
        for oid in oids:
            value = values.get(oid)
            told.append(value if isinstance(value, int) else None)
        ticks, status, octets_in, octets_out, errors = told
        narrow = target.name in self._narrow
        uptime_s = None if ticks is None else ticks // 100
        if status is not None and not 1 <= status <= 7:
            status = None
        word = Word(self._clock.now_us(), uptime_s, status, octets_in, octets_out, errors)
        self._accounts.setdefault(target.name, Account()).note(word, 1 << (32 if narrow else 64))
        if not narrow and octets_in is None:
            self._narrow.append(target.name)

    def extras(self, target: plan.Target) -> "dict":
        """Return the counts since the last call and what the router told of itself."""
        extras = super().extras(target)
        account = self._accounts.get(target.name)
        if account is not None:
            extras.update(account.take())
        return extras
