"""Strict verification of Ed25519 signatures (RFC 8032 section 5.1.7) and of the keys that are enrolled.

Libraries differ on odd keys and signatures ("Taming the many EdDSAs", SSR 2020), and a signature that one verifier
takes and another refuses is no evidence. `check` takes a signature only if every rule holds:

1. the key has 32 octets and the signature, R then S, 64;
2. S < L, the order of the base point (else whoever holds a signature makes a second one, S + L);
3. A (the key) and R decode as section 5.1.3 says: y < p, a point of the curve, no sign bit where x = 0;
4. neither A nor R is of small order (under such a key one signature holds for every message);
5. S * B = R + k * A without the cofactor, k = SHA-512(R || A || message) over the octets as received.

`check_key` is for enrolment: it refuses keys with a part of small order as well, of which `check` takes a share.
Rules 1 to 4 are looked at here, whatever the library does; rule 5 is libsodium's work, through PyNaCl.
"""

from __future__ import annotations

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

KEY_OCTETS = 32
SIGNATURE_OCTETS = 64

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_1 = pow(2, (_P - 1) // 4, _P)
_Y_MASK = 2**255 - 1
# y of the points of order 1, 2, 4 and 8 (two of them); each is of small order with either sign.
_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset({1, _P - 1, 0, _Y_OF_ORDER_8, _P - _Y_OF_ORDER_8})

LENGTH = "length"
S_TOO_LARGE = "S>=L"
A_NOT_DECODED = "A non-canonical or not on curve"
R_NOT_DECODED = "R non-canonical or not on curve"
A_SMALL_ORDER = "A small order"
R_SMALL_ORDER = "R small order"
A_MIXED_ORDER = "A mixed order"
EQUATION = "equation"


class Ed25519Error(Exception):
    """A key or signature that is refused; `reason` is one of this module's constants."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class BadSignature(Ed25519Error):
    """The signature is not one of this message under this key."""


class BadKey(Ed25519Error):
    """The octets are not a public key that may be enrolled."""


def check(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Return if `signature` (64 octets) is the strict Ed25519 signature of `message` under `public_key` (32 octets).

    Raises BadSignature, whose `reason` names the first rule that fails.
    """
    if len(public_key) != KEY_OCTETS:
        raise BadSignature(LENGTH, f"an Ed25519 key has {KEY_OCTETS} octets, not {len(public_key)}")
    if len(signature) != SIGNATURE_OCTETS:
        raise BadSignature(LENGTH, f"an Ed25519 signature has {SIGNATURE_OCTETS} octets, not {len(signature)}")
    encoded_r = signature[:32]
    if int.from_bytes(signature[32:], "little") >= _L:
        raise BadSignature(S_TOO_LARGE, "the signature's S is not below the group's order")
    _check_encoding(public_key, "key", A_NOT_DECODED, A_SMALL_ORDER)
    _check_encoding(encoded_r, "signature's R", R_NOT_DECODED, R_SMALL_ORDER)
    try:
        VerifyKey(public_key).verify(message, signature)
    except BadSignatureError:
        raise _why_refused(public_key, encoded_r) from None


def check_key(public_key: bytes) -> None:
    """Return if `public_key` (32 octets) is a point of the base point's own group, of order L. Raises BadKey.

    Takes some milliseconds: once for each key, not for each signature.
    """
    if len(public_key) != KEY_OCTETS:
        raise BadKey(LENGTH, f"an Ed25519 key has {KEY_OCTETS} octets, not {len(public_key)}")
    point = _decode(public_key)
    if point is None:
        raise BadKey(A_NOT_DECODED, "the key is not the encoding of a point of the curve")
    if point[1] in _SMALL_ORDER_Y:
        raise BadKey(A_SMALL_ORDER, "the key is of small order: one signature would hold for every message")
    if not _is_identity(_multiply(_L, point)):
        raise BadKey(A_MIXED_ORDER, "the key has a part of small order: verifiers would disagree about its signatures")


def _check_encoding(encoded: bytes, name: str, not_decoded: str, small_order: str) -> None:
    """Rules 3 and 4 as far as they need no square root."""
    number = int.from_bytes(encoded, "little")
    y = number & _Y_MASK
    if y >= _P or (number >> 255 and y in (1, _P - 1)):  # x is 0 at y = 1 and y = -1 only
        raise BadSignature(not_decoded, f"the {name} is not the canonical encoding of a point")
    if y in _SMALL_ORDER_Y:
        raise BadSignature(small_order, f"the {name} is of small order")


def _why_refused(public_key: bytes, encoded_r: bytes) -> BadSignature:
    if _decode(public_key) is None:
        return BadSignature(A_NOT_DECODED, "the key is not a point of the curve")
    if _decode(encoded_r) is None:
        return BadSignature(R_NOT_DECODED, "the signature's R is not a point of the curve")
    return BadSignature(EQUATION, "the signature does not match the message under this key")


def _decode(encoded: bytes) -> tuple[int, int] | None:
    """The point (x, y) that 32 octets stand for, or None: RFC 8032 section 5.1.3."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & _Y_MASK
    if y >= _P:
        return None
    u = y * y - 1
    v = _D * y * y + 1
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if (v * x * x + u) % _P == 0:
        x = x * _SQRT_MINUS_1 % _P
    if (v * x * x - u) % _P != 0 or (x == 0 and sign):
        return None
    return (x if x & 1 == sign else _P - x), y


_Projective = tuple[int, int, int]


def _add(p: _Projective, q: _Projective) -> _Projective:
    """The sum of two points (X, Y, Z), x = X/Z, y = Y/Z, by the complete addition law of section 5.1.4."""
    x1, y1, z1 = p
    x2, y2, z2 = q
    a = z1 * z2 % _P
    b = a * a % _P
    c = x1 * x2 % _P
    d = y1 * y2 % _P
    e = _D * c * d % _P
    f = b - e
    g = b + e
    return a * f * ((x1 + y1) * (x2 + y2) - c - d) % _P, a * g * (d + c) % _P, f * g % _P


def _multiply(scalar: int, point: tuple[int, int]) -> _Projective:
    total: _Projective = (0, 1, 1)
    power: _Projective = (*point, 1)
    while scalar:
        if scalar & 1:
            total = _add(total, power)
        power = _add(power, power)
        scalar >>= 1
    return total


def _is_identity(point: _Projective) -> bool:
    x, y, z = point
    return x == 0 and y == z
