"""A checkpoint: what the ledger holds at one moment, as one number that a timestamp authority signs.

    leaf       [0, site, witness, kid, seq, digest]   the head of one witness key's chain: SHA-256 of its newest batch
               [1, kind, name, sha256, recorded_us]   one item of evidence, new since the checkpoint before
    statement  {0: version 1, 1: created_us, 2: tree size, 3: root, 4: SHA-256 of the statement before or null,
                5: number of heads}
    record     {0: version 1, 1: statement, 2: [leaf, ...], 3: last item's row}   as the ledger keeps it
    bundle     {0: version 1, 1: statement, 2: timestamp response, 3: [[leaf, index, [hash, ...]], ...]}   to hand out

Leaves and statement are deterministic CBOR. Heads come first, sorted by (site, witness, kid); a head commits to every
batch before it through the hash chain. The RFC 3161 imprint is SHA-256 of the statement's octets; the anchor that goes
to the witnesses is SHA-256 of the timestamp response, which nobody can know before the authority has signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from linewitness.evidence import merkle
from linewitness.evidence.fields import UTC_MAX_US, decode_fields, encode_fields, items, number, octets_of, typed
from linewitness_wire import cbor, cose
from linewitness_wire.errors import OutOfRange

HEAD = 0
ITEM = 1
TREE_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True, order=True)
class HeadLeaf:
    """The newest batch of one witness key at the checkpoint."""

    site: str
    witness: str
    kid: bytes
    seq: int
    digest: bytes

    def encode(self) -> bytes:
        octets: bytes = cbor.encode([HEAD, self.site, self.witness, self.kid, self.seq, self.digest])
        return octets


@dataclass(frozen=True, slots=True)
class ItemLeaf:
    """One item of evidence: its kind and name in the ledger, SHA-256 of its octets, and when the ledger got it."""

    kind: str
    name: str
    sha256: bytes
    recorded_us: int

    def encode(self) -> bytes:
        octets: bytes = cbor.encode([ITEM, self.kind, self.name, self.sha256, self.recorded_us])
        return octets


Leaf = HeadLeaf | ItemLeaf


@dataclass(frozen=True, slots=True)
class Statement:
    """What is timestamped: when by our clock (us since 1970), the tree, and the statement before it."""

    created_us: int
    tree_size: int
    root: bytes
    previous: bytes | None
    heads: int

    def encode(self) -> bytes:
        return encode_fields(self.created_us, self.tree_size, self.root, self.previous, self.heads)


@dataclass(frozen=True, slots=True)
class Proof:
    """A leaf and its way to the root."""

    leaf: bytes
    index: int
    path: tuple[bytes, ...]

    def check(self, statement: Statement) -> Leaf:
        """Return the leaf, which is in the statement's tree. Raises a WireError or merkle.NotIncluded."""
        leaf = decode_leaf(self.leaf)
        merkle.check_inclusion(self.leaf, self.index, statement.tree_size, self.path, statement.root)
        if isinstance(leaf, HeadLeaf) != (self.index < statement.heads):
            raise OutOfRange(f"leaf {self.index}: heads are the first {statement.heads} leaves, and only they")
        return leaf


def decode_leaf(octets: bytes) -> Leaf:
    """Return the leaf of octets. Raises a WireError."""
    value = cbor.decode(octets)
    if not isinstance(value, list) or not value:
        raise OutOfRange("leaf: wanted an array")
    if value[0] == HEAD and not isinstance(value[0], bool):
        _, site, witness, kid, seq, digest = items(value, (int, str, str, bytes, int, bytes), "head")
        cose.check_name(site, "head: site")
        cose.check_name(witness, "head: witness")
        number(seq, 1, 2**32 - 1, "head: seq")
        return HeadLeaf(site, witness, octets_of(kid, 8, "head: kid"), seq, octets_of(digest, 32, "head: digest"))
    _, kind, name, sha256, recorded_us = items(value, (int, str, str, bytes, int), "item")
    number(value[0], ITEM, ITEM, "item: leaf type")
    number(recorded_us, 0, UTC_MAX_US, "item: recorded_us")
    return ItemLeaf(kind, name, octets_of(sha256, 32, "item: sha256"), recorded_us)


def decode_statement(octets: bytes) -> Statement:
    """Return the Statement of octets. Raises a WireError."""
    created_us, size, root, previous, heads = decode_fields(
        octets, "statement", (int, int, bytes, (bytes, type(None)), int)
    )
    number(created_us, 0, UTC_MAX_US, "statement: created_us")
    number(size, 0, TREE_MAX, "statement: tree size")
    number(heads, 0, size, "statement: heads")
    octets_of(root, 32, "statement: root")
    if previous is not None:
        octets_of(previous, 32, "statement: previous")
    return Statement(created_us, size, root, previous, heads)


def make_statement(
    heads: Sequence[HeadLeaf], new_items: Sequence[ItemLeaf], previous: bytes | None, created_us: int
) -> tuple[bytes, list[bytes]]:
    """Return (statement octets, leaves in their order); previous is the octets of the statement before, or None."""
    leaves = [head.encode() for head in sorted(heads)] + [item.encode() for item in new_items]
    before = None if previous is None else hashlib.sha256(previous).digest()
    statement = Statement(created_us, len(leaves), merkle.root(leaves), before, len(heads))
    return statement.encode(), leaves


def prove(leaves: Sequence[bytes], indices: Sequence[int]) -> list[Proof]:
    """Return the proofs of some leaves of a checkpoint."""
    paths = merkle.inclusion_paths(leaves, indices)
    return [Proof(leaves[i], i, tuple(path)) for i, path in zip(indices, paths, strict=True)]


# --- as the ledger keeps it, as it is handed out --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """A checkpoint in the ledger: all leaves, and the row of the newest item that it or one before it covers."""

    statement: bytes
    leaves: list[bytes]
    last_row: int

    def encode(self) -> bytes:
        return encode_fields(self.statement, self.leaves, self.last_row)


def decode_record(octets: bytes) -> Record:
    """Return the Record of octets. Raises a WireError."""
    statement, leaves, last_row = decode_fields(octets, "checkpoint record", (bytes, list, int))
    return Record(statement, [typed(leaf, bytes, "checkpoint record: leaf") for leaf in leaves], last_row)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A timestamped checkpoint with the proofs that its reader needs."""

    statement: bytes
    response: bytes
    proofs: list[Proof]

    def encode(self) -> bytes:
        return encode_fields(self.statement, self.response, _plain(self.proofs))


def decode_bundle(octets: bytes) -> Bundle:
    """Return the Bundle of octets. Raises a WireError."""
    statement, response, proofs = decode_fields(octets, "checkpoint bundle", (bytes, bytes, list))
    return Bundle(statement, response, _proofs(proofs))


def encode_proofs(proofs: Sequence[Proof]) -> bytes:
    """Return the CBOR array [[leaf, index, [hash, ...]], ...]."""
    octets: bytes = cbor.encode(_plain(proofs))
    return octets


def decode_proofs(octets: bytes) -> list[Proof]:
    """Return the proofs of such an array. Raises a WireError."""
    return _proofs(cbor.decode(octets))


def _plain(proofs: Sequence[Proof]) -> list[list[object]]:
    return [[proof.leaf, proof.index, list(proof.path)] for proof in proofs]


def _proofs(value: object) -> list[Proof]:
    proofs = []
    for one in typed(value, list, "proofs"):
        leaf, index, path = items(one, (bytes, int, list), "proof")
        number(index, 0, TREE_MAX, "proof: index")
        proofs.append(Proof(leaf, index, tuple(octets_of(node, 32, "proof: hash") for node in path)))
    return proofs
