"""SHA-512 (FIPS 180-4), which stock MicroPython's hashlib lacks.

`sha512(octets)` is the whole digest; `digest_slices(octets)` is the same work with a pause after each block of 128
octets, for callers that share their loop with packets. The compression function is viper machine code where that runs
and proves itself on a known digest at import, else its plain twin.
"""

TYPE_CHECKING = False  # type checkers take it for true; MicroPython has no collections.abc
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Compress = Callable[[bytearray, bytes, int], None]

BLOCK_OCTETS = 128

# The initial hash value, FIPS 180-4 section 5.3.5, as eight little-endian words.
_INITIAL = (
    b"\x08\xc9\xbc\xf3\x67\xe6\x09\x6a\x3b\xa7\xca\x84\x85\xae\x67\xbb"
    b"\x2b\xf8\x94\xfe\x72\xf3\x6e\x3c\xf1\x36\x1d\x5f\x3a\xf5\x4f\xa5"
    b"\xd1\x82\xe6\xad\x7f\x52\x0e\x51\x1f\x6c\x3e\x2b\x8c\x68\x05\x9b"
    b"\x6b\xbd\x41\xfb\xab\xd9\x83\x1f\x79\x21\x7e\x13\x19\xcd\xe0\x5b"
)
# SHA-512("abc"), FIPS 180-4's first example: its first eight octets.
_ABC = b"\xdd\xaf\x35\xa1\x93\x61\x7a\xba"


def _pad(octets: bytes) -> bytes:
    """The message with 0x80, zeros and its length in bits (128 bits, big-endian): FIPS 180-4 section 5.1.2."""
    zeros = (BLOCK_OCTETS - 17 - len(octets)) % BLOCK_OCTETS
    return octets + b"\x80" + bytes(zeros + 8) + (8 * len(octets)).to_bytes(8, "big")


def _digest(state: bytearray) -> bytes:
    return b"".join(bytes(reversed(state[i : i + 8])) for i in range(0, 64, 8))


def _agrees(compress: "Compress") -> bool:
    state = bytearray(_INITIAL)
    compress(state, _pad(b"abc"), 0)
    return _digest(state)[:8] == _ABC


def _choose() -> "Compress":
    """The viper compression function if this machine runs it and it gives the known digest, else the plain one."""
    try:
        from .sha512_viper import compress as machine_code

        compress: "Compress" = machine_code  # type: ignore[assignment]  # viper takes any buffer as ptr32 or ptr8
        if _agrees(compress):
            return compress
    except (ImportError, SyntaxError, ValueError):  # no such file, no emitter, code for another machine
        pass
    from .sha512_plain import compress as plain

    return plain


_compress = _choose()


def digest_slices(octets: bytes) -> "Generator[None, None, bytes]":
    """Generator: yields None between blocks and returns the digest of `octets` (64 octets), for `yield from`."""
    padded = _pad(octets)
    state = bytearray(_INITIAL)
    _compress(state, padded, 0)
    for start in range(BLOCK_OCTETS, len(padded), BLOCK_OCTETS):
        yield None
        _compress(state, padded, start)
    return _digest(state)


def sha512(octets: bytes) -> bytes:
    """The SHA-512 digest of `octets`: 64 octets."""
    padded = _pad(octets)
    state = bytearray(_INITIAL)
    for start in range(0, len(padded), BLOCK_OCTETS):
        _compress(state, padded, start)
    return _digest(state)
