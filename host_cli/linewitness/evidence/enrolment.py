"""The enrolment record: the fleet's word that a key belongs to a witness at a site.

    {0: version 1, 1: site, 2: witness, 3: public key (32), 4: firmware SHA-256 (32), 5: enrolled_utc_us, 6: board code}

Deterministic CBOR, signed as a COSE_Sign1 by the fleet key with external_aad "linewitness/1/enrolment".
"""

from __future__ import annotations

from dataclasses import dataclass

from linewitness.evidence import ed25519
from linewitness.evidence.fields import UTC_MAX_US, decode_fields, encode_fields, number, octets_of
from linewitness.evidence.signed import AAD_ENROLMENT, Signer, open_signed
from linewitness_wire import cose
from linewitness_wire.errors import BadSignature

VERSION = 1
_FIELDS = 7


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Names as check_name wants them, public_key and firmware 32 octets each, UTC in us since 1970, board 0..65535."""

    site: str
    witness: str
    public_key: bytes
    firmware: bytes
    enrolled_utc_us: int
    board: int

    @property
    def kid(self) -> bytes:
        """The key identifier that its batches bear, 8 octets."""
        kid: bytes = cose.kid(self.public_key)
        return kid

    @property
    def label(self) -> str:
        """SITE.WITNESS.KID, the name of the witness key in a dossier."""
        return f"{self.site}.{self.witness}.{self.kid.hex()}"


def encode_enrolment(enrolment: Enrolment) -> bytes:
    """Return the deterministic CBOR of an Enrolment; raises a WireError rather than write one that would be refused."""
    e = enrolment
    octets = encode_fields(e.site, e.witness, e.public_key, e.firmware, e.enrolled_utc_us, e.board)
    decode_enrolment(octets)
    return octets


def decode_enrolment(octets: bytes) -> Enrolment:
    """Return the Enrolment of octets, unsigned. Raises a WireError; a key of small or mixed order is BadSignature."""
    site, witness, public_key, firmware, enrolled_utc_us, board = decode_fields(
        octets, "enrolment", (str, str, bytes, bytes, int, int)
    )
    cose.check_name(site, "enrolment: site")
    cose.check_name(witness, "enrolment: witness")
    octets_of(public_key, 32, "enrolment: public key")
    octets_of(firmware, 32, "enrolment: firmware")
    number(enrolled_utc_us, 0, UTC_MAX_US, "enrolment: enrolled_utc_us")
    number(board, 0, 0xFFFF, "enrolment: board")
    try:
        ed25519.check_key(public_key)
    except ed25519.BadKey as e:
        raise BadSignature(f"enrolment: {e}") from e
    return Enrolment(site, witness, public_key, firmware, enrolled_utc_us, board)


def seal_enrolment(enrolment: Enrolment, fleet: Signer) -> bytes:
    """Return the signed record, a COSE_Sign1."""
    return fleet.seal(encode_enrolment(enrolment), AAD_ENROLMENT)


def open_enrolment(octets: bytes, fleet_key: bytes) -> Enrolment:
    """Return the Enrolment that the fleet key (32 octets) signed. Raises a WireError."""
    return decode_enrolment(open_signed(octets, fleet_key, AAD_ENROLMENT))
