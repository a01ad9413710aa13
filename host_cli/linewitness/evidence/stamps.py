"""The checkpoints of a dossier: statement, timestamp and proofs of each, and the order among them."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from linewitness.evidence.checkpoint import (
    HeadLeaf,
    ItemLeaf,
    Proof,
    Statement,
    decode_bundle,
    decode_proofs,
    decode_statement,
)
from linewitness.evidence.findings import Findings
from linewitness.evidence.merkle import NotIncluded
from linewitness.evidence.timestamp import BadTimestamp, Stamp, check_stamp, read_stamp
from linewitness_wire.errors import WireError

FOLDER = "checkpoints/"
SUFFIXES = (".cbor", ".proofs", ".tsr")


@dataclass(frozen=True, slots=True)
class Stamped:
    """A checkpoint whose parts fit together. number counts a ledger's checkpoints from 1; None for one handed in."""

    number: int | None
    statement: Statement
    octets: bytes
    stamp: Stamp
    anchor: bytes
    heads: dict[bytes, HeadLeaf] = field(default_factory=dict)
    items: list[ItemLeaf] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "the checkpoint handed in" if self.number is None else f"checkpoint {self.number}"

    def when(self) -> str:
        """Return the authority's time for people."""
        return utc(self.stamp.gen_time_us)


def utc(us: int) -> str:
    """Return microseconds since 1970 as 2026-10-01T12:00:00Z."""
    try:
        moment = datetime.datetime.fromtimestamp(us // 1_000_000, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return f"{us} us since 1970"
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def read_checkpoints(files: Mapping[str, bytes], tsa_root: bytes | None, findings: Findings) -> list[Stamped]:
    """Return the checkpoints of a dossier in the order of their numbers; what does not hold goes to findings."""
    stems = {name.rsplit(".", 1)[0] for name in files if name.startswith(FOLDER)}
    result = []
    for stem in sorted(stems, key=lambda s: (len(s), s)):
        number = stem.removeprefix(FOLDER)
        parts = [files.get(stem + suffix) for suffix in SUFFIXES]
        if not number.isdecimal() or number.startswith("0") or None in parts:
            findings.refuse("wanted NUMBER.cbor, NUMBER.proofs and NUMBER.tsr", file=stem)
            continue
        statement, proofs, response = (part for part in parts if part is not None)
        try:
            result.append(_stamped(int(number), statement, response, decode_proofs(proofs), tsa_root))
        except (WireError, NotIncluded, BadTimestamp) as e:
            findings.refuse(str(e), file=stem)
    _check_order(result, findings)
    return result


def read_bundle(octets: bytes, tsa_root: bytes | None) -> Stamped:
    """Return a checkpoint that was handed out as a bundle. Raises WireError, NotIncluded or BadTimestamp."""
    bundle = decode_bundle(octets)
    return _stamped(None, bundle.statement, bundle.response, bundle.proofs, tsa_root)


def _stamped(
    number: int | None, octets: bytes, response: bytes, proofs: Sequence[Proof], tsa_root: bytes | None
) -> Stamped:
    statement = decode_statement(octets)
    imprint = hashlib.sha256(octets).digest()
    stamp = read_stamp(response) if tsa_root is None else check_stamp(response, imprint, tsa_root)
    if stamp.imprint != imprint:
        raise BadTimestamp("timestamp: it is over other octets than the statement")
    result = Stamped(number, statement, octets, stamp, hashlib.sha256(response).digest())
    for proof in proofs:
        leaf = proof.check(statement)
        if isinstance(leaf, ItemLeaf):
            result.items.append(leaf)
        elif leaf.kid in result.heads:
            raise NotIncluded(f"two heads of the key {leaf.kid.hex()}")
        else:
            result.heads[leaf.kid] = leaf
    return result


def _check_order(checkpoints: Sequence[Stamped], findings: Findings) -> None:
    for before, after in pairwise(checkpoints):
        file = f"{FOLDER}{after.number}"
        follows = before.number is not None and after.number == before.number + 1
        if follows and after.statement.previous != hashlib.sha256(before.octets).digest():
            findings.refuse(f"does not name checkpoint {before.number} as the one before it", file=file)
        if after.stamp.latest_us < before.stamp.earliest_us:
            findings.refuse(f"timestamped at {after.when()}, checkpoint {before.number} at {before.when()}", file=file)
        for kid, head in before.heads.items():
            later = after.heads.get(kid)
            if later is not None and later.seq < head.seq:
                findings.refuse(
                    f"its head of {head.site}/{head.witness} went back from {head.seq} to {later.seq}", file=file
                )
    for first in checkpoints:
        if (first.number == 1) != (first.statement.previous is None):
            findings.refuse("only checkpoint 1 has none before it", file=f"{FOLDER}{first.number}")


def newest_before(checkpoints: Sequence[Stamped], us: int) -> Stamped | None:
    """Return the newest checkpoint whose genTime is at or before us."""
    older = [checkpoint for checkpoint in checkpoints if checkpoint.stamp.gen_time_us <= us]
    return older[-1] if older else None
