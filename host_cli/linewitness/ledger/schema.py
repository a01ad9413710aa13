"""The SQLite schema, its version, and what SQLite's refusals mean.

One row per signed batch in an ordinary rowid table at 16 KiB pages: the layout with the least overhead for blobs of
this size. WAL so that readers never wait for the collector; synchronous=FULL so that a commit survives a power cut.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from linewitness.errors import CannotDo, Refused

VERSION = 1
APPLICATION_ID = 0x4C57_4C31  # "LWL1"

SCHEMA = """
CREATE TABLE enrolment (
  id INTEGER PRIMARY KEY, site TEXT NOT NULL, witness TEXT NOT NULL, kid BLOB NOT NULL UNIQUE,
  public_key BLOB NOT NULL, firmware BLOB NOT NULL, board INTEGER NOT NULL, enrolled_us INTEGER NOT NULL,
  record BLOB NOT NULL, retired_us INTEGER
);
CREATE TABLE batch (
  id INTEGER PRIMARY KEY, enrolment INTEGER NOT NULL REFERENCES enrolment (id), seq INTEGER NOT NULL,
  digest BLOB NOT NULL, previous BLOB NOT NULL, boot INTEGER NOT NULL, start_us INTEGER NOT NULL,
  end_us INTEGER NOT NULL, utc_us INTEGER, received_us INTEGER NOT NULL, cose BLOB NOT NULL, body BLOB
);
CREATE UNIQUE INDEX batch_chain ON batch (enrolment, seq);
CREATE TABLE item (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, sha256 BLOB NOT NULL, recorded_us INTEGER NOT NULL,
  content BLOB NOT NULL
);
CREATE INDEX item_kind ON item (kind, id);
CREATE TABLE finding (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, site TEXT NOT NULL, witness TEXT NOT NULL, seq INTEGER,
  text TEXT NOT NULL, found_us INTEGER NOT NULL, sha256 BLOB NOT NULL, count INTEGER NOT NULL, payload BLOB
);
CREATE UNIQUE INDEX finding_once ON finding (kind, site, witness, sha256);
"""


def connect(path: Path, *, create: bool) -> sqlite3.Connection:
    """Return a connection to the ledger in path. Raises CannotDo, or Refused for a file that is no ledger of ours."""
    if not create and not path.exists():
        raise CannotDo("no ledger here", str(path), "linewitness init FLEET")
    with explained(path):
        # Autocommit: a group commit is an explicit BEGIN IMMEDIATE ... COMMIT. One thread at a time, the caller's.
        address = path.resolve().as_uri() + ("" if create or _writable(path) else "?mode=ro&immutable=1")
        db = sqlite3.connect(address, uri=True, timeout=10, isolation_level=None, check_same_thread=False)
        if create and not db.execute("SELECT 1 FROM sqlite_schema").fetchone():
            _make(db)
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            raise Refused("an SQLite file, but no linewitness ledger", str(path), "the path in fleet.toml: ledger: url")
        if version != VERSION:
            wanted = f"ledger has schema version {version}, wanted {VERSION}"
            raise Refused(wanted, str(path), "the linewitness that wrote it")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
    return db


def _writable(path: Path) -> bool:
    """Return whether the ledger can be written. Raises CannotDo for one that can't and has commits still in its log."""
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return True
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise CannotDo("a read-only ledger whose newest batches are still in its log", str(path), "a writable copy")
    return False


def _make(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA page_size = 16384")
    db.execute("PRAGMA journal_mode = WAL")
    with transaction(db):
        for statement in SCHEMA.split(";\n"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it, durably, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # some errors (disk full) have rolled back already
            db.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's refusals into one line each."""
    try:
        yield
    except sqlite3.DatabaseError as e:
        code = getattr(e, "sqlite_errorcode", 0) & 0xFF
        what, hint = _MEANINGS.get(code, (f"ledger: {e}", "check the disk"))
        raise CannotDo(what, str(path), hint) from e


_MEANINGS = {
    sqlite3.SQLITE_FULL: ("disk full: nothing was stored", "free space; witnesses keep what was not acknowledged"),
    sqlite3.SQLITE_IOERR: ("disk error: nothing was stored", "check the disk and its free space"),
    sqlite3.SQLITE_BUSY: ("ledger is locked by another program", "end the other writer"),
    sqlite3.SQLITE_LOCKED: ("ledger is locked by another program", "end the other writer"),
    sqlite3.SQLITE_CANTOPEN: ("ledger can't be opened", "check the path and its permissions"),
    sqlite3.SQLITE_READONLY: ("ledger can't be written", "check the file's owner and permissions"),
    sqlite3.SQLITE_PERM: ("ledger can't be opened", "check the file's owner and permissions"),
    sqlite3.SQLITE_CORRUPT: ("ledger is damaged", "restore it from its backup"),
    sqlite3.SQLITE_NOTADB: ("not an SQLite file", "the path in fleet.toml: ledger: url"),
}
