"""Merkle tree hash and inclusion proofs of RFC 9162 2.1 with SHA-256 (the same as RFC 6962 2.1).

empty tree   SHA-256("")
leaf         SHA-256(00 | octets)
node         SHA-256(01 | left | right), split at the largest power of two below the number of leaves
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from linewitness_wire.errors import OutOfRange


class NotIncluded(ValueError):
    """The path does not lead from the leaf to the root."""


def leaf_hash(octets: bytes) -> bytes:
    """Return the hash of a leaf, 32 octets."""
    return hashlib.sha256(b"\x00" + octets).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node, 32 octets."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the tree's root (RFC 9162 2.1.1)."""
    return _root([leaf_hash(leaf) for leaf in leaves])


def _root(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = _split(len(hashes))
    return node_hash(_root(hashes[:k]), _root(hashes[k:]))


def _split(n: int) -> int:
    """Return the largest power of two smaller than n. Requires n >= 2."""
    return 1 << (n - 1).bit_length() - 1


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes from the leaf's sibling to the root's child (RFC 9162 2.1.3.1). Requires 0 <= index < size."""
    return _path([leaf_hash(leaf) for leaf in leaves], index)


def inclusion_paths(leaves: Sequence[bytes], indices: Sequence[int]) -> list[list[bytes]]:
    """Return the inclusion_path of each index; the leaves are hashed once."""
    hashes = [leaf_hash(leaf) for leaf in leaves]
    return [_path(hashes, index) for index in indices]


def _path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    if len(hashes) <= 1:
        return []
    k = _split(len(hashes))
    if index < k:
        return [*_path(hashes[:k], index), _root(hashes[k:])]
    return [*_path(hashes[k:], index - k), _root(hashes[:k])]


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], wanted_root: bytes) -> None:
    """Return if leaf is number index of the tree of that size and root (RFC 9162 2.1.3.2). Raises NotIncluded."""
    if not 0 <= index < size:
        raise OutOfRange(f"leaf {index} of a tree of {size}")
    fn, sn, r = index, size - 1, leaf_hash(leaf)
    for p in path:
        if sn == 0:
            raise NotIncluded(f"leaf {index} of {size}: the path is too long")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            r = node_hash(r, p)
        fn >>= 1
        sn >>= 1
    if sn:
        raise NotIncluded(f"leaf {index} of {size}: the path is too short")
    if r != wanted_root:
        raise NotIncluded(f"leaf {index} of {size}: the path leads to {r.hex()}, the root is {wanted_root.hex()}")
