"""The ledger on SQLite: one writer, any number of readers, one machine.

store() looks at each batch's neighbours only, so that the work per batch does not grow with the ledger and late
back-fill is as good as a batch in order. What does not fit is kept and found: nothing that was signed is thrown away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from linewitness.errors import CannotDo, UsageProblem
from linewitness.ledger.records import (
    DUPLICATE,
    FORK,
    ITEM_KINDS,
    STORED,
    ChainHead,
    Enrolment,
    Finding,
    Item,
    NewBatch,
    Outcome,
    StoredBatch,
)
from linewitness.ledger.schema import connect, explained, transaction
from linewitness_wire import chain
from linewitness_wire.envelope import encode_batch
from linewitness_wire.errors import Backwards, ChainError, Fork

_NEIGHBOURS = (
    "SELECT seq, digest, previous, boot, start_us, end_us, body IS NULL FROM batch"
    " WHERE enrolment = ? AND seq BETWEEN ? AND ?"
)
_INSERT = (
    "INSERT INTO batch (enrolment, seq, digest, previous, boot, start_us, end_us, utc_us, received_us, cose, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class Ledger:
    """An open ledger. Use it from one thread at a time; close it, or use it as a context manager."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        self._db = connect(path, create=create)
        self._keys: dict[bytes, int] = {}

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --- batches ----------------------------------------------------------------------------------------------------

    def store(self, batches: Sequence[NewBatch]) -> list[Outcome]:
        """Store verified batches of enrolled keys in one durable commit; return what became of each, in order.

        Raises CannotDo with nothing stored (full disk, unenrolled key).
        """
        with explained(self.path), transaction(self._db):
            return [self._store_one(batch) for batch in batches]

    def _store_one(self, new: NewBatch) -> Outcome:
        key, seq = self._key(new.kid), new.header.seq
        near = {row[0]: row for row in self._db.execute(_NEIGHBOURS, (key, seq - 1, seq + 1))}
        same = near.get(seq)
        if same is not None and same[1] == new.digest:
            if same[6] and new.body is not None:  # came without its body before
                self._db.execute("UPDATE batch SET body = ? WHERE enrolment = ? AND seq = ?", (new.body, key, seq))
            return Outcome(DUPLICATE)
        if same is not None:
            text = f"two batches with seq {seq}: {same[1].hex()[:16]} was first, {new.digest.hex()[:16]} came later"
            self._find(Finding("fork", new.site, new.witness, seq, text, new.received_us, _payload(new)))
            return Outcome(FORK, 0, text)
        self._insert(key, new)
        finding = self._check_neighbours(new, near)
        missing = 0
        if seq - 1 not in near and seq > 1:
            before = self._db.execute(
                "SELECT max(seq) FROM batch WHERE enrolment = ? AND seq < ?", (key, seq)
            ).fetchone()
            missing = seq - 1 - (before[0] or 0)
        return Outcome(STORED, missing, finding)

    def _insert(self, key: int, new: NewBatch) -> None:
        h = new.header
        place = (key, h.seq, new.digest, h.previous, h.boot)
        times = (h.start_us, h.end_us, h.clock.utc_us, new.received_us)
        self._db.execute(_INSERT, (*place, *times, new.cose, new.body))

    def _check_neighbours(self, new: NewBatch, near: dict[int, tuple[Any, ...]]) -> str | None:
        """Find a predecessor or successor that does not fit; both stay in the ledger, and the verifier sees both."""
        h = new.header
        steps = []
        before, after = near.get(h.seq - 1), near.get(h.seq + 1)
        if before is not None or h.seq == 1:
            head = chain.START if before is None else chain.Head(before[0], before[1], before[3], before[5])
            steps.append((head, h, new.digest))
        if after is not None:
            successor = h._replace(seq=after[0], previous=after[2], boot=after[3], start_us=after[4], end_us=after[5])
            steps.append((chain.Head(h.seq, new.digest, h.boot, h.end_us), successor, after[1]))
        for head, header, digest in steps:
            try:
                chain.follow(head, header, digest)
            except ChainError as e:
                kind = "fork" if isinstance(e, Fork) else "backwards" if isinstance(e, Backwards) else "gap"
                self._find(Finding(kind, new.site, new.witness, header.seq, str(e), new.received_us))
                return str(e)
        return None

    def batches(
        self,
        site: str | None = None,
        witness: str | None = None,
        kid: bytes | None = None,
        from_us: int | None = None,
        to_us: int | None = None,
    ) -> Iterator[StoredBatch]:
        """Yield batches in chain order: by site, witness, key in order of enrolment, sequence number.

        [from_us, to_us) is UTC: batches that touch it by the witness's own clock. One whose boot had no time yet is
        yielded when it was received at or after from_us, since nobody knows how much earlier it was made.
        """
        where = ["1"]
        values: list[object] = []
        for condition, value in (
            ("e.site = ?", site),
            ("e.witness = ?", witness),
            ("e.kid = ?", kid),
            ("coalesce(b.utc_us, b.received_us) > ?", from_us),
            ("coalesce(b.utc_us - (b.end_us - b.start_us), 0) < ?", to_us),
        ):
            if value is not None:
                where.append(condition)
                values.append(value)
        query = (
            "SELECT e.site, e.witness, e.kid, b.seq, b.digest, b.cose, b.body, b.received_us, b.id"
            " FROM enrolment e JOIN batch b ON b.enrolment = e.id"
            f" WHERE {' AND '.join(where)} ORDER BY e.site, e.witness, e.id, b.seq"
        )
        with explained(self.path):
            for row in self._db.execute(query, values):
                yield StoredBatch(*row)

    def batch(self, kid: bytes, seq: int) -> StoredBatch | None:
        """Return the batch with this number of a key, or None."""
        query = (
            "SELECT e.site, e.witness, e.kid, b.seq, b.digest, b.cose, b.body, b.received_us, b.id"
            " FROM batch b JOIN enrolment e ON b.enrolment = e.id WHERE e.kid = ? AND b.seq = ?"
        )
        with explained(self.path):
            row = self._db.execute(query, (kid, seq)).fetchone()
        return None if row is None else StoredBatch(*row)

    def heads(self) -> list[ChainHead]:
        """Return the newest batch of every key that has sent one, in chain order."""
        query = (
            "SELECT e.site, e.witness, e.kid, b.seq, b.digest, b.boot, b.end_us, b.utc_us, b.received_us, n, b.seq - n"
            " FROM (SELECT enrolment, max(seq) AS newest, count(*) AS n FROM batch GROUP BY enrolment) t"
            " JOIN batch b ON b.enrolment = t.enrolment AND b.seq = newest JOIN enrolment e ON e.id = t.enrolment"
            " ORDER BY e.site, e.witness, e.id"
        )
        with explained(self.path):
            return [ChainHead(*row) for row in self._db.execute(query)]

    # --- enrolments -------------------------------------------------------------------------------------------------

    def enrolments(self) -> list[Enrolment]:
        """Return every key ever enrolled, retired ones too, in the order of their enrolment."""
        query = "SELECT site, witness, kid, public_key, firmware, board, enrolled_us, record, retired_us FROM enrolment"
        with explained(self.path):
            return [Enrolment(*row) for row in self._db.execute(query + " ORDER BY id")]

    def add_enrolment(self, new: Enrolment) -> None:
        """Add a key, and its record as an item. Raises CannotDo where the key is already a witness's."""
        row = (new.site, new.witness, new.kid, new.public_key, new.firmware, new.board, new.enrolled_us, new.record)
        with explained(self.path), transaction(self._db):
            known = self._db.execute("SELECT site, witness FROM enrolment WHERE kid = ?", (new.kid,)).fetchone()
            if known is not None:
                raise CannotDo(f"key {new.kid.hex()} is already enrolled", f"{known[0]}/{known[1]}", "witness list")
            self._db.execute(
                "INSERT INTO enrolment (site, witness, kid, public_key, firmware, board, enrolled_us, record)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            self._add_item("enrolment", f"{new.site}/{new.witness}", new.record, new.enrolled_us)

    def retire(self, kid: bytes, record: bytes, retired_us: int) -> None:
        """End a key's enrolment, and keep the record that says so as an item."""
        with explained(self.path), transaction(self._db):
            row = self._db.execute("SELECT site, witness FROM enrolment WHERE kid = ?", (kid,)).fetchone()
            if row is None:
                raise CannotDo(f"no witness has the key {kid.hex()}", str(self.path), "linewitness witness list")
            self._db.execute("UPDATE enrolment SET retired_us = ? WHERE kid = ?", (retired_us, kid))
            self._add_item("retirement", f"{row[0]}/{row[1]}", record, retired_us)

    def _key(self, kid: bytes) -> int:
        key = self._keys.get(kid)
        if key is None:
            row = self._db.execute("SELECT id FROM enrolment WHERE kid = ?", (kid,)).fetchone()
            if row is None:
                raise CannotDo(f"no witness has the key {kid.hex()}", str(self.path), "linewitness witness enrol")
            key = self._keys[kid] = row[0]
        return key

    # --- items ------------------------------------------------------------------------------------------------------

    def add_item(self, kind: str, name: str, content: bytes, recorded_us: int) -> bytes:
        """Append a piece of evidence durably; return the SHA-256 of its content. kind is one of ITEM_KINDS."""
        with explained(self.path), transaction(self._db):
            return self._add_item(kind, name, content, recorded_us)

    def _add_item(self, kind: str, name: str, content: bytes, recorded_us: int) -> bytes:
        if kind not in ITEM_KINDS:
            raise UsageProblem(f"no items of kind {kind!r}", "ledger", ", ".join(ITEM_KINDS))
        sha256 = hashlib.sha256(content).digest()
        self._db.execute(
            "INSERT INTO item (kind, name, sha256, content, recorded_us) VALUES (?, ?, ?, ?, ?)",
            (kind, name, sha256, content, recorded_us),
        )
        return sha256

    def items(self, kind: str | None = None, after: int | None = None, name: str | None = None) -> Iterator[Item]:
        """Yield items in the order in which they were added, from the row after `after` on."""
        query = (
            "SELECT id, kind, name, sha256, content, recorded_us FROM item"
            " WHERE id > ? AND (? IS NULL OR kind = ?) AND (? IS NULL OR name = ?) ORDER BY id"
        )
        with explained(self.path):
            for row in self._db.execute(query, (after or 0, kind, kind, name, name)):
                yield Item(*row)

    def newest(self, kind: str, name: str | None = None) -> Item | None:
        """Return the item of a kind (and name) that was added last, or None."""
        query = (
            "SELECT id, kind, name, sha256, content, recorded_us FROM item"
            " WHERE kind = ? AND (? IS NULL OR name = ?) ORDER BY id DESC LIMIT 1"
        )
        with explained(self.path):
            row = self._db.execute(query, (kind, name, name)).fetchone()
        return None if row is None else Item(*row)

    def anchor(self) -> bytes | None:
        """Return what goes to the witnesses: the SHA-256 of the newest timestamp over a checkpoint, or None."""
        query = "SELECT sha256 FROM item WHERE kind = 'timestamp' ORDER BY id DESC LIMIT 1"
        with explained(self.path):
            row = self._db.execute(query).fetchone()
        return None if row is None else bytes(row[0])

    # --- findings ---------------------------------------------------------------------------------------------------

    def add_findings(self, findings: Iterable[Finding]) -> None:
        """Keep findings, with what was received as quarantine; the same octets again only count."""
        with explained(self.path), transaction(self._db):
            for finding in findings:
                self._find(finding)

    def _find(self, finding: Finding) -> None:
        f = finding
        sha256 = hashlib.sha256(f.payload if f.payload is not None else f"{f.seq} {f.text}".encode()).digest()
        self._db.execute(
            "INSERT INTO finding (kind, site, witness, seq, text, found_us, payload, count, sha256)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (kind, site, witness, sha256) DO UPDATE SET count = count + 1",
            (f.kind, f.site, f.witness, f.seq, f.text, f.found_us, f.payload, f.count, sha256),
        )

    def findings(self, kind: str | None = None) -> list[Finding]:
        """Return findings in the order in which they were first made."""
        query = "SELECT kind, site, witness, seq, text, found_us, payload, count FROM finding"
        with explained(self.path):
            rows = self._db.execute(query + " WHERE ? IS NULL OR kind = ? ORDER BY id", (kind, kind))
            return [Finding(*row) for row in rows]


def _payload(new: NewBatch) -> bytes:
    return encode_batch(new.cose, new.body)
