"""The events of a signed batch, each at its time: what a witness tells beside its readings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from linewitness_wire import bodies, cose, record
from linewitness_wire.errors import WireError
from linewitness_wire.record import Header


@dataclass(frozen=True, slots=True)
class Told:
    """One event: of the batch with that header, at UTC microseconds (None before the witness knew the time)."""

    header: Header
    at_us: int | None
    kind: int
    details: list[Any]


def events(octets: bytes, body: bytes | None) -> tuple[Header, list[Told]] | None:
    """Return a batch's header and events, in order; a trimmed body has none.

    None for a batch of a later version: it says nothing that is understood here.
    """
    try:
        header = record.decode_header(cose.split(octets).payload)
        found = bodies.read(header, body).events if body is not None and header.counts[1] else []
    except WireError:
        return None
    began_us = None if header.clock.utc_us is None else header.clock.utc_us - header.end_us + header.start_us
    return header, [
        Told(header, None if began_us is None else began_us + after_us, kind, details)
        for kind, after_us, *details in found
    ]
