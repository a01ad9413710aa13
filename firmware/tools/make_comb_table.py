"""Print firmware/witness/crypto/comb_table.py: the multiples of Ed25519's base point that a signature adds up.

    python firmware/tools/make_comb_table.py > firmware/witness/crypto/comb_table.py

Runs on the host, straight from RFC 8032 section 5.1: affine points, the addition law of section 5.1.4, no shortcuts.
The comb is BLOCKS x TEETH x SPACING = 4 x 5 x 13: 260 digits of +1 or -1. Entry j of block n is
    2^(65 n) * (2^52 + sum over t < 4 of (2 j_t - 1) 2^(13 t)) * B,  j_t = bit t of j,
stored as y+x, y-x, 2dxy, each 32 octets, little-endian, below p.
"""

BLOCKS, TEETH, SPACING = 4, 5, 13
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
BASE_Y = 4 * pow(5, -1, P) % P
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202  # RFC 8032 section 5.1

Point = tuple[int, int]


def add(p: Point, q: Point) -> Point:
    """The sum of two points of the curve -x^2 + y^2 = 1 + d x^2 y^2."""
    (x1, y1), (x2, y2) = p, q
    k = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P,
    )


def negate(p: Point) -> Point:
    return -p[0] % P, p[1]


def doublings(p: Point, times: int) -> Point:
    for _ in range(times):
        p = add(p, p)
    return p


def block(first: Point) -> list[Point]:
    """The sixteen entries of the block whose lowest tooth is `first`."""
    teeth = [doublings(first, SPACING * t) for t in range(TEETH)]
    entries = []
    for j in range(1 << (TEETH - 1)):
        point = teeth[-1]
        for t in range(TEETH - 1):
            point = add(point, teeth[t] if j >> t & 1 else negate(teeth[t]))
        entries.append(point)
    return entries


def table() -> bytes:
    """All entries, block after block: 4 x 16 x 96 octets."""
    octets = b""
    first = (BASE_X, BASE_Y)
    for _ in range(BLOCKS):
        for x, y in block(first):
            for number in ((y + x) % P, (y - x) % P, 2 * D * x * y % P):
                octets += number.to_bytes(32, "little")
        first = doublings(first, TEETH * SPACING)
    return octets


def source() -> str:
    """The text of comb_table.py."""
    octets = table()
    lines = [
        '"""Multiples of Ed25519\'s base point for a comb of 4 x 5 x 13. Made by firmware/tools/make_comb_table.py.',
        "",
        "Entry j of block n stands at octet 96 * (16 n + j): y+x, y-x, 2dxy, each 32 octets, little-endian, below p.",
        '"""',
        "",
        "TABLE = (",
    ]
    for i in range(0, len(octets), 24):
        lines.append('    b"' + "".join(f"\\x{octet:02x}" for octet in octets[i : i + 24]) + '"')
    lines.append(")")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(source(), end="")
