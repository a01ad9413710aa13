"""Checkpoints in the ledger: take a new one, read back those that are timestamped.

A checkpoint is two items: "checkpoint", a checkpoint.Record, and "timestamp", the authority's response, named by the
SHA-256 of the first. One without its timestamp (the program ended between the two) counts for nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from linewitness.errors import Refused
from linewitness.evidence.checkpoint import (
    Bundle,
    HeadLeaf,
    ItemLeaf,
    Leaf,
    Record,
    Statement,
    decode_leaf,
    decode_record,
    decode_statement,
    make_statement,
    prove,
)
from linewitness.evidence.timestamp import BadTimestamp, Stamp, read_stamp
from linewitness.ledger import Ledger
from linewitness_wire.errors import WireError

OWN_KINDS = ("checkpoint", "timestamp")  # these chain by themselves and are no leaves


@dataclass(frozen=True, slots=True)
class Taken:
    """A timestamped checkpoint of the ledger; number counts from 1."""

    number: int
    record: Record
    response: bytes
    stamp: Stamp

    @property
    def statement(self) -> Statement:
        return decode_statement(self.record.statement)

    @property
    def anchor(self) -> bytes:
        """What goes to the witnesses: SHA-256 of the timestamp response."""
        return hashlib.sha256(self.response).digest()

    def leaves(self) -> list[Leaf]:
        return [decode_leaf(leaf) for leaf in self.record.leaves]

    def bundle(self) -> bytes:
        """Return the octets to hand to the other side: statement, timestamp and the proof of every head."""
        proofs = prove(self.record.leaves, range(self.statement.heads))
        return Bundle(self.record.statement, self.response, proofs).encode()


def taken(book: Ledger) -> list[Taken]:
    """Return the timestamped checkpoints in their order. Raises Refused for one that can't be read."""
    responses = {item.name: item.content for item in book.items("timestamp")}
    result: list[Taken] = []
    for item in book.items("checkpoint"):
        response = responses.get(item.sha256.hex())
        if response is not None:
            try:
                result.append(Taken(len(result) + 1, decode_record(item.content), response, read_stamp(response)))
            except (WireError, BadTimestamp) as e:
                raise Refused(f"checkpoint {len(result) + 1} can't be read: {e}", "ledger", "a backup of it") from e
    return result


def take_checkpoint(book: Ledger, timestamp: Callable[[bytes], bytes], now_us: int) -> Taken:
    """Put a new checkpoint and its timestamp into the ledger, and return it.

    timestamp turns the statement's octets into a response over their SHA-256; nothing is written where it raises.
    """
    before = taken(book)
    last = before[-1] if before else None
    heads = [HeadLeaf(head.site, head.witness, head.kid, head.seq, head.digest) for head in book.heads()]
    fresh = list(book.items(after=last.record.last_row if last else 0))
    leaves = [
        ItemLeaf(item.kind, item.name, item.sha256, item.recorded_us) for item in fresh if item.kind not in OWN_KINDS
    ]
    statement, encoded = make_statement(heads, leaves, last.record.statement if last else None, now_us)
    last_row = fresh[-1].row if fresh else last.record.last_row if last else 0
    record = Record(statement, encoded, last_row)
    response = timestamp(statement)
    name = book.add_item("checkpoint", f"{len(before) + 1}", record.encode(), now_us)
    book.add_item("timestamp", name.hex(), response, now_us)
    return Taken(len(before) + 1, record, response, read_stamp(response))
