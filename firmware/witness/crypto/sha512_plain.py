"""SHA-512's compression function (FIPS 180-4 section 6.4.2) in plain Python: the twin of `sha512_viper`.

For virtual machines without a viper emitter. Equal in result and in interface, and some 75 times slower.
"""

from .sha512_constants import K

_MASK = (1 << 64) - 1
_TWICE = (1 << 64) + 1  # x * _TWICE is x twice in a row: a rotation of it is one shift
_K = tuple(int.from_bytes(K[i : i + 8], "little") for i in range(0, 640, 8))


def compress(state: bytearray, octets: bytes, start: int) -> None:
    """Work the block octets[start : start + 128] into `state` (64 octets: eight little-endian 64-bit words)."""
    w = [int.from_bytes(octets[i : i + 8], "big") for i in range(start, start + 128, 8)]
    for i in range(16, 80):
        x = w[i - 15]
        y = w[i - 2]
        xx = x * _TWICE
        yy = y * _TWICE
        sigma0 = ((xx >> 1) ^ (xx >> 8)) & _MASK ^ (x >> 7)
        sigma1 = ((yy >> 19) ^ (yy >> 61)) & _MASK ^ (y >> 6)
        w.append((w[i - 16] + w[i - 7] + sigma0 + sigma1) & _MASK)
    before = [int.from_bytes(state[i : i + 8], "little") for i in range(0, 64, 8)]
    a, b, c, d, e, f, g, h = before
    for i in range(80):
        ee = e * _TWICE
        aa = a * _TWICE
        t1 = h + (((ee >> 14) ^ (ee >> 18) ^ (ee >> 41)) & _MASK) + (g ^ (e & (f ^ g))) + _K[i] + w[i]
        t2 = (((aa >> 28) ^ (aa >> 34) ^ (aa >> 39)) & _MASK) + ((a & b) | (c & (a | b)))
        h = g
        g = f
        f = e
        e = (d + t1) & _MASK
        d = c
        c = b
        b = a
        a = (t1 + t2) & _MASK
    for i, (old, new) in enumerate(zip(before, (a, b, c, d, e, f, g, h))):
        state[8 * i : 8 * i + 8] = ((old + new) & _MASK).to_bytes(8, "little")
