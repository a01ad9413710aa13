"""One batch with everything checked that can be checked without its neighbours: signature, header, body."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from linewitness.evidence.signed import open_signed
from linewitness_wire import bodies, cose, record
from linewitness_wire.errors import WireError, WrongBody


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that verified: header, body (None where it was trimmed) and SHA-256 of the COSE_Sign1."""

    header: record.Header
    body: record.Body | None
    digest: bytes


def check_batch(octets: bytes, body: bytes | None, public_key: bytes, site: str, witness: str) -> Batch:
    """Return the Batch of a COSE_Sign1 and its body. Raises a WireError; checks are made in the order of the format.

    Form, kid and signature of the COSE_Sign1 for this site and witness; the header; SHA-256 of the body; the body;
    the header's counts.
    """
    header = record.decode_header(open_signed(octets, public_key, cose.aad(site, witness)))
    return Batch(header, None if body is None else check_body(header, body), cose.digest(octets))


def check_body(header: record.Header, octets: bytes) -> record.Body:
    """Return the Body that the header names. Raises a WireError."""
    digest = hashlib.sha256(octets).digest()
    if digest != header.body:
        raise WrongBody(f"the header names the body {header.body.hex()}, this one is {digest.hex()}")
    return bodies.read(header, octets)


def peek_seq(octets: bytes) -> int | None:
    """Return the number that a batch claims, None where none can be read; unchecked, so for messages only."""
    try:
        seq: int = record.decode_header(cose.split(octets).payload).seq
    except WireError:
        return None
    return seq
