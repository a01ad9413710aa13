"""COSE_Sign1 with its signature checked: form, then kid, then signature. What was signed is handed back as octets.

The external_aad says what a signature is for, so that none can be shown as another:

    linewitness/1/SITE/WITNESS   a batch, by the witness
    linewitness/1/enrolment      an enrolment record, by the fleet
    linewitness/1/plan           a plan, by the fleet
    linewitness/1/dossier        a dossier's manifest, by the fleet
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from linewitness.evidence import ed25519
from linewitness_wire import cose
from linewitness_wire.errors import BadSignature, WrongKey

AAD_ENROLMENT = b"linewitness/1/enrolment"
AAD_PLAN = b"linewitness/1/plan"
AAD_DOSSIER = b"linewitness/1/dossier"


@dataclass(frozen=True, slots=True)
class Signer:
    """A public key (32 octets) and what signs with it: message octets in, 64 octets of Ed25519 signature out."""

    public_key: bytes
    sign: Callable[[bytes], bytes]

    def seal(self, payload: bytes, external_aad: bytes) -> bytes:
        """Return the COSE_Sign1 of payload."""
        kid = cose.kid(self.public_key)
        message = cose.to_be_signed(cose.protected(kid), external_aad, payload)
        return cose.join(kid, payload, self.sign(message))


def open_signed(octets: bytes, public_key: bytes, external_aad: bytes) -> bytes:
    """Return the payload of a COSE_Sign1 that public_key signed for external_aad. Raises a WireError."""
    parts = cose.split(octets)
    if len(public_key) != ed25519.KEY_OCTETS:
        raise WrongKey(f"the key that should have signed has {len(public_key)} octets, not {ed25519.KEY_OCTETS}")
    wanted = cose.kid(public_key)
    if parts.kid != wanted:
        raise WrongKey(f"kid {parts.kid.hex()}, wanted {wanted.hex()}")
    try:
        ed25519.check(public_key, cose.to_be_signed(parts.protected, external_aad, parts.payload), parts.signature)
    except ed25519.BadSignature as e:
        raise BadSignature(str(e)) from e
    payload: bytes = parts.payload
    return payload
