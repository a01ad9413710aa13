"""The enrolment record: the fleet's word that a key belongs to a witness at a site.

    {0: version 1, 1: site, 2: witness, 3: public key (32), 4: firmware SHA-256 (32), 5: enrolled_utc_us, 6: board code}

Deterministic CBOR, signed as a COSE_Sign1 by the fleet key with external_aad "linewitness/1/enrolment".
"""

from __future__ import annotations

from dataclasses import dataclass

from linewitness_wire import cbor, cose
from linewitness_wire.errors import BadSignature, OutOfRange, UnknownField, UnknownVersion, WrongType

from linewitness.evidence import ed25519
from linewitness.evidence.signed import AAD_ENROLMENT, Signer, open_signed

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
    fields = {0: VERSION, 1: e.site, 2: e.witness, 3: e.public_key, 4: e.firmware, 5: e.enrolled_utc_us, 6: e.board}
    octets: bytes = cbor.encode(fields)
    decode_enrolment(octets)
    return octets


def decode_enrolment(octets: bytes) -> Enrolment:
    """Return the Enrolment of octets, unsigned. Raises a WireError; a key of small or mixed order is BadSignature."""
    fields = cbor.decode(octets)
    if not isinstance(fields, dict):
        raise WrongType("enrolment: wanted a map")
    if fields.get(0) != VERSION or isinstance(fields.get(0), bool):
        raise UnknownVersion(f"enrolment: wanted version {VERSION}, got {fields.get(0)!r}")
    if max(fields) >= _FIELDS:
        raise UnknownField(f"enrolment: no field {max(fields)} in version {VERSION}")
    if len(fields) != _FIELDS:
        raise OutOfRange(f"enrolment: wanted {_FIELDS} fields, got {len(fields)}")
    for key, kind in ((1, str), (2, str), (3, bytes), (4, bytes), (5, int), (6, int)):
        if isinstance(fields[key], bool) or not isinstance(fields[key], kind):
            raise WrongType(f"enrolment: field {key} is a {type(fields[key]).__name__}")
    cose.check_name(fields[1], "enrolment: site")
    cose.check_name(fields[2], "enrolment: witness")
    for key in (3, 4):
        if len(fields[key]) != 32:
            raise OutOfRange(f"enrolment: field {key}: wanted 32 octets, got {len(fields[key])}")
    for key, high in ((5, 2**63 - 1), (6, 0xFFFF)):
        if not 0 <= fields[key] <= high:
            raise OutOfRange(f"enrolment: field {key}: wanted 0..{high}, got {fields[key]}")
    try:
        ed25519.check_key(fields[3])
    except ed25519.BadKey as e:
        raise BadSignature(f"enrolment: {e}") from e
    return Enrolment(*(fields[key] for key in range(1, _FIELDS)))


def seal_enrolment(enrolment: Enrolment, fleet: Signer) -> bytes:
    """Return the signed record, a COSE_Sign1."""
    return fleet.seal(encode_enrolment(enrolment), AAD_ENROLMENT)


def open_enrolment(octets: bytes, fleet_key: bytes) -> Enrolment:
    """Return the Enrolment that the fleet key (32 octets) signed. Raises a WireError."""
    return decode_enrolment(open_signed(octets, fleet_key, AAD_ENROLMENT))
