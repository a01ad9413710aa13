"""Ed25519 signatures (RFC 8032 section 5.1), made on the device in plain Python.

    signer = Signer(seed, os.urandom)        # the 32-octet private key; one multiplication of the base point
    signature = signer.sign(message)         # 64 octets
    for signature in signer.sign_slices(message):
        if signature is None:                # some 80 slices, each at most a fiftieth of the work
            await asyncio.sleep_ms(0)

Verifying is the host's affair. The base point is multiplied by a signed comb (4 blocks x 5 teeth x 13 columns, table of
6 KB in `comb_table`) in extended coordinates (RFC 8032 section 5.1.4). Field elements are integers modulo
p = 2^255 - 19; inside a step they are of either sign and not fully reduced.

Functions named `..._slices` are generators that yield None between slices of work. The inner ones return their result,
for `yield from`; `sign_slices` yields it as its last item, for a loop in a coroutine, which may not `yield from`.

The nonce is derived from the key and the message (section 5.1.6), lives in one generator's frame and is never stored.
Big integers don't take constant time: an attacker on the network can't see that, one with a probe on the board's supply
can (and could read the key from its flash). The one division, whose course depends on its operand most, is blinded.
"""

import hashlib

from .comb_table import TABLE
from .sha512 import digest_slices, sha512

TYPE_CHECKING = False  # type checkers take it for true; MicroPython has no collections.abc
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Slices = Generator[None, None, bytes]
    Urandom = Callable[[int], bytes]

KEY_OCTETS = 32
SIGNATURE_OCTETS = 64
KID_OCTETS = 8

_P = (1 << 255) - 19
_LOW = (1 << 256) - 1
_L = (1 << 252) + 27742317777372353535851937790883648493  # the order of the base point
_BLOCKS = 4
_TEETH = 5
_SPACING = 13
_DIGITS_MAX = (1 << (_BLOCKS * _TEETH * _SPACING)) - 1
_TABLE = memoryview(TABLE)
_EUCLID_STEPS_A_SLICE = 16  # about the work of one addition of points


def _mul(a: int, b: int) -> int:
    """a * b modulo p, |result| < 2^262 for |a|, |b| < 2^256: the inner values of a step.

    2^256 = 38 (mod p): what is above bit 256 is multiplied by 38 and added below. A negative product works as well,
    since & and >> round towards minus infinity together.
    """
    c = a * b
    return (c & _LOW) + 38 * (c >> 256)


def _mul_settle(a: int, b: int) -> int:
    """a * b modulo p, in [0, p): the coordinates that go into the next step.

    One division here costs about what two folds cost, with a quarter of their garbage, and keeps the numbers short.
    """
    return a * b % _P


def _double(point: tuple) -> tuple:
    """2 * point; coordinates (X, Y, Z, T), T = XY/Z. RFC 8032 section 5.1.4 with a = -1."""
    x, y, z, _ = point
    a = _mul(x, x)
    b = _mul(y, y)
    c = _mul(z, z)
    h = a + b
    x += y
    e = h - _mul(x, x)
    g = a - b
    f = c + c + g
    return _mul_settle(e, f), _mul_settle(g, h), _mul_settle(f, g), _mul_settle(e, h)


def _add_entry(point: tuple, digits: bytes, block: int, column: int) -> tuple:
    """point + the table's point for one column of one block: RFC 8032 section 5.1.4 with Z2 = 1.

    The top tooth's digit is the sign of the whole entry; the table holds the positive half.
    """
    position = block * _TEETH * _SPACING + column
    index = 0
    for tooth in range(_TEETH):
        index |= (digits[position >> 3] >> (position & 7) & 1) << tooth
        position += _SPACING
    positive = index & 16
    index = index & 15 if positive else index ^ 15
    start = 96 * (16 * block + index)
    plus = int.from_bytes(_TABLE[start : start + 32], "little")
    minus = int.from_bytes(_TABLE[start + 32 : start + 64], "little")
    x, y, z, t = point
    c = _mul(t, int.from_bytes(_TABLE[start + 64 : start + 96], "little"))
    z += z
    if positive:
        a = _mul(y - x, minus)
        b = _mul(y + x, plus)
        f = z - c
        g = z + c
    else:  # -(x, y) = (-x, y): y+x and y-x change places, 2dxy its sign
        a = _mul(y - x, plus)
        b = _mul(y + x, minus)
        f = z + c
        g = z - c
    e = b - a
    h = b + a
    return _mul_settle(e, f), _mul_settle(g, h), _mul_settle(f, g), _mul_settle(e, h)


def _invert_slices(z: int, urandom: "Urandom") -> "Generator[None, None, int]":
    """1/z modulo p, of any size and sign; z is not 0 modulo p.

    Half-extended Euclid on z times a random factor, so that its course tells nothing about z.
    """
    blind = 1 + int.from_bytes(urandom(31), "little")
    r0, r1 = _P, _mul(z, blind) % _P
    t0, t1 = 0, 1
    while r1 > 1:
        for _ in range(_EUCLID_STEPS_A_SLICE):
            q, r = divmod(r0, r1)
            r0, r1 = r1, r
            t0, t1 = t1, t0 - q * t1
            if r1 <= 1:
                break
        yield None
    return t1 * blind


def _multiply_base_slices(scalar: int, urandom: "Urandom") -> "Slices":
    """The encoding (32 octets, RFC 8032 section 5.1.2) of scalar * B; 0 <= scalar < L."""
    # Written with digits +1 and -1 a number is odd; adding L, which is odd, changes nothing but that.
    if not scalar & 1:
        scalar += _L
    digits = ((scalar + _DIGITS_MAX) >> 1).to_bytes(33, "little")
    point = (0, 1, 1, 0)
    for column in range(_SPACING - 1, -1, -1):
        for block in range(_BLOCKS):
            point = _add_entry(point, digits, block, column)
            yield None
        if column:
            point = _double(point)
            yield None
    x, y, z, _ = point
    inverse = yield from _invert_slices(z, urandom)
    sign = x * inverse % _P & 1
    return (y * inverse % _P | sign << 255).to_bytes(32, "little")


def _run(slices: "Slices") -> bytes:
    """Run a generator of slices in one go; its result."""
    while True:
        try:
            next(slices)
        except StopIteration as end:
            return end.value


class Signer:
    """One Ed25519 private key, ready to sign.

    `public_key`: 32 octets. `kid`: first 8 octets of SHA-256(public_key), the key's name in COSE headers.
    """

    def __init__(self, seed: bytes, urandom: "Urandom", public_key: bytes | None = None) -> None:
        """`seed`: 32 random octets, RFC 8032's private key, else ValueError. `urandom(n)` gives n random octets.

        `public_key`: the seed's, where it is known; finding it takes as long as a signature.
        """
        if len(seed) != KEY_OCTETS:
            raise ValueError("an Ed25519 seed has 32 octets, not %d" % len(seed))
        self._urandom = urandom
        digest = sha512(seed)
        # Clamping, section 5.1.5: a multiple of 8 with bit 254 set. Modulo L it is the same multiple of the base point.
        clamped = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | (1 << 254)
        self._scalar = clamped % _L
        self._prefix = digest[32:]
        self.public_key = public_key or _run(_multiply_base_slices(self._scalar, urandom))
        self.kid = hashlib.sha256(self.public_key).digest()[:KID_OCTETS]

    def _sign_slices(self, message: bytes) -> "Slices":
        """RFC 8032 section 5.1.6, with its step numbers."""
        digest = yield from digest_slices(self._prefix + message)  # 2
        yield None
        r = int.from_bytes(digest, "little") % _L
        yield None
        encoded_r = yield from _multiply_base_slices(r, self._urandom)  # 3
        yield None
        digest = yield from digest_slices(encoded_r + self.public_key + message)  # 4
        yield None
        k = int.from_bytes(digest, "little") % _L
        return encoded_r + ((r + k * self._scalar) % _L).to_bytes(32, "little")  # 5, 6

    def sign_slices(self, message: bytes) -> "Generator[bytes | None, None, None]":
        """Generator: yields None between slices of work and, last, the signature of `message`: 64 octets."""
        signature = yield from self._sign_slices(message)
        yield signature

    def sign(self, message: bytes) -> bytes:
        """The signature of `message`: 64 octets, all in one go."""
        return _run(self._sign_slices(message))


def public_key(seed: bytes, urandom: "Urandom") -> bytes:
    """The public key (32 octets) of a 32-octet seed."""
    return Signer(seed, urandom).public_key
