"""Ed25519 straight from RFC 8032 section 5.1: slow, obvious, sharing no line with the firmware or the host.

Points are affine pairs and every sum costs two divisions. `torsion` gives the eight points of small order, from which
tests make the keys and signatures that libraries disagree about.
"""

from __future__ import annotations

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
IDENTITY = (0, 1)

Point = tuple[int, int]


def h(*parts: bytes) -> bytes:
    return hashlib.sha512(b"".join(parts)).digest()


def number(octets: bytes) -> int:
    return int.from_bytes(octets, "little")


def add(p: Point, q: Point) -> Point:
    """-x^2 + y^2 = 1 + d x^2 y^2, section 5.1.4's addition in affine coordinates."""
    (x1, y1), (x2, y2) = p, q
    k = D * x1 * x2 * y1 * y2 % P
    return (
        (x1 * y2 + x2 * y1) * pow(1 + k, P - 2, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - k, P - 2, P) % P,
    )


def multiply(scalar: int, point: Point) -> Point:
    total = IDENTITY
    for bit in bin(scalar)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def encode(point: Point) -> bytes:
    """Section 5.1.2."""
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode(octets: bytes) -> Point:
    """Section 5.1.3. ValueError where decoding fails."""
    y, sign = number(octets) & (2**255 - 1), octets[31] >> 7
    if y >= P:
        raise ValueError("y is not below p")
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        raise ValueError("not on the curve")
    if x == 0 and sign:
        raise ValueError("x is 0 and its sign is set")
    return (x, y) if x & 1 == sign else (P - x, y)


BASE = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def secret_scalar(seed: bytes) -> int:
    """Section 5.1.5, steps 1 and 2."""
    buffer = bytearray(h(seed)[:32])
    buffer[0] &= 0xF8
    buffer[31] &= 0x7F
    buffer[31] |= 0x40
    return number(buffer)


def public_key(seed: bytes) -> bytes:
    return encode(multiply(secret_scalar(seed), BASE))


def sign(seed: bytes, message: bytes) -> bytes:
    """Section 5.1.6."""
    a = secret_scalar(seed)
    r = number(h(h(seed)[32:], message)) % L
    encoded_r = encode(multiply(r, BASE))
    k = number(h(encoded_r, public_key(seed), message)) % L
    return encoded_r + ((r + k * a) % L).to_bytes(32, "little")


def strict_verdict(key: bytes, message: bytes, signature: bytes) -> bool:
    """Section 5.1.7 with the equation without the cofactor, and no points of small order."""
    if len(key) != 32 or len(signature) != 64:
        return False
    s = number(signature[32:])
    if s >= L:
        return False
    try:
        a, r = decode(key), decode(signature[:32])
    except ValueError:
        return False
    if multiply(8, a) == IDENTITY or multiply(8, r) == IDENTITY:
        return False
    k = number(h(signature[:32], key, message)) % L
    return multiply(s, BASE) == add(r, multiply(k, a))


def torsion() -> list[Point]:
    """The eight points of small order: L * (a point outside the base point's group), and its multiples."""
    y = 2
    while True:
        try:
            generator = multiply(L, decode(y.to_bytes(32, "little")))
        except ValueError:
            generator = IDENTITY
        if multiply(4, generator) != IDENTITY:
            return [multiply(i, generator) for i in range(8)]
        y += 1
