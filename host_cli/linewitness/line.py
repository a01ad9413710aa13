"""What the signed batches say of a site's line: public addresses and their changes, backup access, NAT behind NAT.

A router (UPnP IGD) and a server outside (STUN) both tell the public address. Where the router's is a private one or
another than the server saw, somebody translates once more between them: double NAT, or the ISP's (RFC 6598).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from linewitness.survey import CARRIER_GRADE, PRIVATE
from linewitness.told import events
from linewitness_wire import codes
from linewitness_wire import plan as wire
from linewitness_wire.errors import WireError


@dataclass(frozen=True, slots=True)
class Change:
    """One change: at UTC microseconds (None before the witness knew the time), who told it, what."""

    witness: str
    at_us: int | None
    source: str
    what: str


@dataclass(frozen=True, slots=True)
class LineFacts:
    """All changes in order, and what follows from the newest of each source."""

    changes: tuple[Change, ...]
    findings: tuple[str, ...]


def facts(batches: Iterable[tuple[str, bytes, bytes | None]], plan_of: Callable[[bytes], bytes | None]) -> LineFacts:
    """Return what batches (witness, COSE_Sign1, body) tell; plan_of gives a plan's octets by its digest, or None."""
    changes: list[Change] = []
    newest: dict[tuple[str, str], str] = {}
    for witness, octets, body in batches:
        for told in (events(octets, body) or (None, ()))[1]:
            if told.kind == codes.EVENT_PUBLIC_ADDRESS:
                method = _method(plan_of(told.header.plan), told.details[0])
                address = ".".join(map(str, told.details[1]))
                newest[witness, method] = address
                changes.append(Change(witness, told.at_us, method, address))
            elif told.kind == codes.EVENT_BACKUP:
                what = "on backup access" if told.details[0] else "on the usual line"
                changes.append(Change(witness, told.at_us, "backup", what))
    return LineFacts(tuple(changes), tuple(_findings(newest)))


def _method(plan: bytes | None, target: int) -> str:
    """Return how a plan's target is measured; "unknown" for a plan that is not here or of a later version."""
    try:
        targets = wire.decode_plan(plan).targets if plan is not None else []
    except WireError:
        targets = []
    return codes.METHOD_NAMES[targets[target].method] if target < len(targets) else "unknown"


def _findings(newest: dict[tuple[str, str], str]) -> list[str]:
    result = []
    for witness in sorted({witness for witness, _ in newest}):
        router, outside = newest.get((witness, "igd")), newest.get((witness, "stun"))
        if router is not None and any(ipaddress.ip_address(router) in network for network in PRIVATE):
            result.append(f"{witness}: double NAT: the router's own public address is the private {router}")
        elif router is not None and ipaddress.ip_address(router) in CARRIER_GRADE:
            result.append(f"{witness}: carrier-grade NAT: the router's own public address is {router} (RFC 6598)")
        elif router is not None and outside is not None and router != outside:
            result.append(f"{witness}: double NAT: the router says {router}, a server outside saw {outside}")
    return result
