"""The ledger's promises: durable, idempotent, in chain order, and nothing that was signed is thrown away."""

from __future__ import annotations

import sqlite3

import pytest
from simulated_witness import MINUTE_US, SimulatedWitness

from linewitness import ledger
from linewitness.errors import CannotDo, Refused, UsageProblem
from linewitness.ledger import DUPLICATE, FORK, STORED, Finding


@pytest.fixture
def book(tmp_path):
    with ledger.open("sqlite:ledger.sqlite", tmp_path, create=True) as opened:
        yield opened


@pytest.fixture
def witness(book):
    simulated = SimulatedWitness()
    book.add_enrolment(simulated.enrolment())
    return simulated


def test_what_was_signed_comes_back_octet_for_octet(book, witness):
    new = [witness.new_batch() for _ in range(3)]
    assert [o.status for o in book.store(new)] == [STORED] * 3
    got = list(book.batches())
    assert [(b.seq, b.cose, b.body, b.digest) for b in got] == [(n.header.seq, n.cose, n.body, n.digest) for n in new]
    assert book.findings() == []


def test_a_batch_stored_twice_is_there_once(book, witness):
    new = witness.new_batch()
    book.store([new])
    assert [o.status for o in book.store([new, new])] == [DUPLICATE, DUPLICATE]
    assert len(list(book.batches())) == 1


def test_late_back_fill_ends_in_chain_order_without_a_finding(book, witness):
    new = [witness.new_batch() for _ in range(5)]
    first = book.store([new[0], new[4]])
    assert first[1].missing == 3
    assert book.heads()[0].missing == 3
    book.store([new[3], new[1], new[2]])
    assert [b.seq for b in book.batches()] == [1, 2, 3, 4, 5]
    assert [b.row for b in book.batches()] == [1, 4, 5, 3, 2]  # as they arrived
    assert book.heads()[0].missing == 0
    assert book.findings() == []


def test_a_second_batch_with_one_number_is_a_fork_and_kept(book, witness):
    book.store([witness.new_batch()])
    twin = SimulatedWitness(readings=3)
    other = twin.new_batch()
    assert book.store([other])[0].status == FORK
    (finding,) = book.findings("fork")
    assert (finding.seq, finding.site, finding.witness) == (1, "leeds", "w1")
    assert other.cose in finding.payload
    assert len(list(book.batches())) == 1


def test_a_wrong_predecessor_is_a_fork_found_from_either_side(book, witness):
    one, two, three = witness.new_batch(), witness.new_batch(previous=bytes(31) + b"\1"), witness.new_batch()
    outcomes = book.store([one, three, two])
    assert outcomes[2].status == STORED
    assert "does not name" in outcomes[2].finding
    assert [f.seq for f in book.findings("fork")] == [2]


def test_a_body_that_comes_later_is_filled_in(book, witness):
    new = witness.new_batch()
    without = type(new)(*[getattr(new, f) if f != "body" else None for f in new.__slots__])
    book.store([without])
    book.store([new])
    assert next(book.batches()).body == new.body


def test_batches_are_found_by_place_key_and_time(book, witness):
    other = SimulatedWitness("york", "w2")
    book.add_enrolment(other.enrolment())
    book.store([w.new_batch() for _ in range(4) for w in (witness, other)])
    assert [b.seq for b in book.batches(site="york")] == [1, 2, 3, 4]
    assert {b.site for b in book.batches(kid=witness.kid)} == {"leeds"}
    start = witness.start_utc_us
    within = book.batches(site="leeds", from_us=start + MINUTE_US, to_us=start + 3 * MINUTE_US)
    assert [b.seq for b in within] == [2, 3]


def test_a_full_disk_stores_nothing_of_the_group_and_says_so(book, witness):
    pages = book._db.execute("PRAGMA page_count").fetchone()[0]
    book._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    group = [witness.new_batch() for _ in range(200)]
    with pytest.raises(CannotDo, match=r"disk full: nothing was stored .*ledger.sqlite.*; try: free space"):
        book.store(group)
    assert list(book.batches()) == []
    book._db.execute("PRAGMA max_page_count = 1000000")
    assert len(book.store(group)) == 200


def test_items_keep_their_order_and_their_hash(book):
    digests = [book.add_item("snapshot", "https://status.example", octets, 5) for octets in (b"a", b"b", b"a")]
    items = list(book.items("snapshot"))
    assert [i.sha256 for i in items] == digests
    assert [i.content for i in book.items(after=items[0].row)] == [b"b", b"a"]
    assert book.newest("snapshot").row == items[-1].row
    with pytest.raises(UsageProblem, match="no items of kind 'gossip'"):
        book.add_item("gossip", "x", b"", 0)


def test_the_anchor_is_the_digest_of_the_newest_timestamp_response(book):
    assert book.anchor() is None
    digest = book.add_item("checkpoint", "1", b"root", 1)
    assert book.anchor() is None
    response = book.add_item("timestamp", digest.hex(), b"token", 2)
    assert book.anchor() == response


def test_quarantine_counts_the_same_octets_once(book):
    found = Finding("forged", "leeds", "w1", 7, "bad signature", 1, b"octets")
    book.add_findings([found, found])
    book.add_findings([found])
    assert [(f.count, f.payload) for f in book.findings()] == [(3, b"octets")]


def test_a_key_is_one_witness_s_only(book, witness):
    with pytest.raises(CannotDo, match=r"already enrolled \(leeds/w1\)"):
        book.add_enrolment(SimulatedWitness().enrolment())
    book.retire(witness.kid, b"retired", 99)
    assert book.enrolments()[0].retired_us == 99
    assert [i.kind for i in book.items()] == ["enrolment", "retirement"]


def test_what_is_no_ledger_is_refused_in_one_line(tmp_path):
    with pytest.raises(CannotDo, match="no ledger here"):
        ledger.open("sqlite:absent.sqlite", tmp_path)
    (tmp_path / "text.sqlite").write_text("hello" * 500)
    with pytest.raises(CannotDo, match="not an SQLite file"):
        ledger.open("sqlite:text.sqlite", tmp_path)
    with sqlite3.connect(tmp_path / "other.sqlite") as db:
        db.execute("CREATE TABLE t (x)")
    with pytest.raises(Refused, match="no linewitness ledger"):
        ledger.open("sqlite:other.sqlite", tmp_path)
    ledger.open("sqlite:newer.sqlite", tmp_path, create=True).close()
    with sqlite3.connect(tmp_path / "newer.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(Refused, match="schema version 99, wanted 1"):
        ledger.open("sqlite:newer.sqlite", tmp_path)
    with pytest.raises(UsageProblem, match="no store for this ledger url"):
        ledger.open("postgresql://db", tmp_path)


def test_commits_survive_a_power_cut(book):
    settings = [
        book._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "page_size")
    ]
    assert settings == ["wal", 2, 16384]


def test_a_ledger_on_a_read_only_medium_can_be_read(tmp_path, monkeypatch):
    with ledger.open("sqlite:ledger.sqlite", tmp_path, create=True) as book:
        book.add_item("contract", "acme", b"text", 1)
    monkeypatch.setattr("linewitness.ledger.schema.os.access", lambda *_: False)
    with ledger.open("sqlite:ledger.sqlite", tmp_path) as book:
        assert [item.content for item in book.items("contract")] == [b"text"]
        with pytest.raises(CannotDo):
            book.add_item("contract", "acme", b"other", 2)
    (tmp_path / "ledger.sqlite-wal").write_bytes(b"commits")
    with pytest.raises(CannotDo, match="newest batches are still in its log"):
        ledger.open("sqlite:ledger.sqlite", tmp_path)
