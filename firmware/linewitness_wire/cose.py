"""COSE_Sign1 (RFC 9052 4.2) around a header, in the one form that linewitness writes and reads.

    D2 84                       tag 18, array of 4
      <protected: bstr>         {1: -19, 4: kid}     alg Ed25519 (RFC 9864), kid 8 octets
      A0                        no unprotected header
      <payload: bstr>           the header, deterministic CBOR
      58 40 <signature>         64 octets

Signed is Sig_structure = ["Signature1", protected, external_aad, payload] with external_aad =
"linewitness/1/SITE/WITNESS": a batch replayed onto another place does not verify there. This module has no keys:
signing and verifying are the caller's.
"""

import hashlib
from collections import namedtuple

from . import cbor
from .errors import NotCanonical, OutOfRange, TrailingOctets, Truncated, UnknownVersion, WrongType

ALG_ED25519 = -19  # RFC 9864; -9 (ESP256) is kept for secure elements
KID_OCTETS = 8
NAME_MAX_OCTETS = 32
SIGNATURE_OCTETS = 64
PAYLOAD_MAX_OCTETS = 65536

Sign1 = namedtuple("Sign1", ("kid", "protected", "payload", "signature"))
"""The parts of a COSE_Sign1, as octets."""


def kid(public_key: bytes) -> bytes:
    """Return the key identifier: the first 8 octets of SHA-256 of the 32-octet public key."""
    return hashlib.sha256(public_key).digest()[:KID_OCTETS]


def check_name(name: str, what: str) -> None:
    """Return nothing; raise OutOfRange unless name (of a site or a witness) is 1..32 of A-Z a-z 0-9 - and _.

    A slash would let one place's external_aad spell another's.
    """
    if not 1 <= len(name) <= NAME_MAX_OCTETS:
        raise OutOfRange("%s: wanted 1..%d characters, got %d" % (what, NAME_MAX_OCTETS, len(name)))
    for c in name:
        if not ("a" <= c <= "z" or "A" <= c <= "Z" or "0" <= c <= "9" or c in "-_"):
            raise OutOfRange("%s: wanted letters, digits, - and _, got %r" % (what, name))


def aad(site: str, witness: str) -> bytes:
    """Return the external_aad that binds a batch to its place, 'linewitness/1/<site>/<witness>' in ASCII."""
    check_name(site, "site")
    check_name(witness, "witness")
    return ("linewitness/1/%s/%s" % (site, witness)).encode()


def protected(key_id: bytes) -> bytes:
    """Return the protected header {1: -19, 4: kid}: 13 octets, the same for every batch of a key."""
    if len(key_id) != KID_OCTETS:
        raise OutOfRange("kid: wanted %d octets, got %d" % (KID_OCTETS, len(key_id)))
    return b"\xa2\x01\x32\x04\x48" + key_id


def to_be_signed(protected_octets: bytes, external_aad: bytes, payload: bytes) -> bytes:
    """Return the Sig_structure (RFC 9052 4.4) that is signed."""
    return cbor.encode(["Signature1", protected_octets, external_aad, payload])


def join(key_id: bytes, payload: bytes, signature: bytes) -> bytes:
    """Return the COSE_Sign1 octets of a payload and its signature."""
    if len(signature) != SIGNATURE_OCTETS:
        raise OutOfRange("signature: wanted %d octets, got %d" % (SIGNATURE_OCTETS, len(signature)))
    return b"\xd2\x84" + cbor.encode(protected(key_id)) + b"\xa0" + cbor.encode(payload) + cbor.encode(signature)


def split(octets: bytes) -> Sign1:
    """Return the Sign1 of octets. Raises a WireError unless they are exactly of the form above; checks no signature."""
    if len(octets) > PAYLOAD_MAX_OCTETS + 128:
        raise OutOfRange("COSE_Sign1: %d octets are too many" % len(octets))
    if len(octets) < 2:
        raise Truncated("COSE_Sign1: wanted a tagged array, got %d octets" % len(octets))
    if octets[0] != 0xD2 or octets[1] != 0x84:
        raise WrongType("COSE_Sign1: wanted d284, got %02x%02x" % (octets[0], octets[1]))
    head, i = cbor.decode_prefix(octets, 2)
    unprotected, i = cbor.decode_prefix(octets, i)
    payload, i = cbor.decode_prefix(octets, i)
    signature, i = cbor.decode_prefix(octets, i)
    if i != len(octets):
        raise TrailingOctets("COSE_Sign1: %d octets after it" % (len(octets) - i))
    if not isinstance(head, bytes) or not isinstance(payload, bytes) or not isinstance(signature, bytes):
        raise WrongType("COSE_Sign1: protected header, payload and signature are octet strings")
    if unprotected != {}:
        raise NotCanonical("COSE_Sign1: the unprotected header is not an empty map")
    if len(signature) != SIGNATURE_OCTETS:
        raise OutOfRange("signature: wanted %d octets, got %d" % (SIGNATURE_OCTETS, len(signature)))
    return Sign1(_kid_of(head), head, payload, signature)


def _kid_of(head: bytes) -> bytes:
    """Return the kid of a protected header, which must be spelt as protected() spells it."""
    if len(head) < 5 + KID_OCTETS:
        raise Truncated("protected header: wanted 13 octets, got %d" % len(head))
    if len(head) > 5 + KID_OCTETS:
        raise TrailingOctets("protected header: wanted 13 octets, got %d" % len(head))
    if head[:3] != b"\xa2\x01\x32":
        raise UnknownVersion("protected header: alg is not -19 (Ed25519)")
    if head[3:5] != b"\x04\x48":
        raise WrongType("protected header: no kid of 8 octets")
    return head[5:]


def digest(octets: bytes) -> bytes:
    """Return SHA-256 of a COSE_Sign1: what the next batch names as its predecessor."""
    return hashlib.sha256(octets).digest()
