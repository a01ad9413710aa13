"""Merkle trees, checkpoints, timestamps, summaries and archives: what each promises on its own."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
from evidence_lab import Lab, make_lab
from hypothesis import given
from hypothesis import strategies as st

from linewitness.errors import CannotDo, Refused
from linewitness.evidence import merkle
from linewitness.evidence.archive import BadArchive, read_archive, write_archive
from linewitness.evidence.authority import make_test_authority, request_timestamp
from linewitness.evidence.checkpoint import (
    HeadLeaf,
    ItemLeaf,
    Proof,
    decode_bundle,
    decode_leaf,
    decode_statement,
    make_statement,
    prove,
)
from linewitness.evidence.manifest import parse_fingerprint
from linewitness.evidence.summary import place, ranges, union_us
from linewitness.evidence.timestamp import BadTimestamp, check_stamp, read_stamp
from linewitness_wire import cbor, codes, record
from linewitness_wire.errors import OutOfRange, WireError

MERKLE = json.loads((Path(__file__).parent.parent / "vectors" / "merkle.json").read_text())
LEAVES = [bytes.fromhex(leaf) for leaf in MERKLE["leaves"]]


# --- Merkle tree ----------------------------------------------------------------------------------------------------


def test_roots_are_those_of_rfc_9162() -> None:
    assert merkle.root([]).hex() == MERKLE["empty_root"]
    for size, root in MERKLE["roots"]["by_tree_size"].items():
        assert merkle.root(LEAVES[: int(size)]).hex() == root
    for size, root in MERKLE["larger"]["roots"].items():
        assert merkle.root([i.to_bytes(2, "little") for i in range(int(size))]).hex() == root


@pytest.mark.parametrize("proof", MERKLE["inclusion"]["proofs"])
def test_inclusion_paths_are_those_of_rfc_9162(proof: dict) -> None:
    size, index = proof["tree_size"], proof["leaf_index"]
    path = merkle.inclusion_path(LEAVES[:size], index)
    assert [node.hex() for node in path] == proof["path"]
    merkle.check_inclusion(LEAVES[index], index, size, path, merkle.root(LEAVES[:size]))


@pytest.mark.parametrize("case", [c for c in MERKLE["negative"] if "prefix" not in c["case"]])
def test_wrong_inclusion_proofs_are_refused(case: dict) -> None:
    leaf = next(octets for octets in LEAVES if merkle.leaf_hash(octets).hex() == case["leaf_hash"])
    path = [bytes.fromhex(node) for node in case["path"]]
    with pytest.raises((merkle.NotIncluded, OutOfRange)):
        merkle.check_inclusion(leaf, case["leaf_index"], case["tree_size"], path, merkle.root(LEAVES))


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40), st.data())
def test_every_leaf_of_any_tree_is_proved_and_no_other(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path, root = merkle.inclusion_path(leaves, index), merkle.root(leaves)
    merkle.check_inclusion(leaves[index], index, len(leaves), path, root)
    with pytest.raises(merkle.NotIncluded):
        merkle.check_inclusion(leaves[index] + b"x", index, len(leaves), path, root)


# --- checkpoint -----------------------------------------------------------------------------------------------------

HEADS = [HeadLeaf("york", "attic", bytes(8), 9, bytes(32)), HeadLeaf("leeds", "desk", b"\1" * 8, 4, b"\2" * 32)]
ITEM = ItemLeaf("plan", "leeds/desk", b"\3" * 32, 5)


def test_heads_come_first_in_the_order_of_their_names() -> None:
    octets, leaves = make_statement(HEADS, [ITEM], b"before", 7)
    assert [decode_leaf(leaf) for leaf in leaves] == [HEADS[1], HEADS[0], ITEM]
    statement = decode_statement(octets)
    assert (statement.created_us, statement.tree_size, statement.heads) == (7, 3, 2)
    assert statement.previous == hashlib.sha256(b"before").digest()
    for i, proof in enumerate(prove(leaves, range(3))):
        assert proof.check(statement) == decode_leaf(leaves[i])


def test_an_item_can_not_stand_among_the_heads() -> None:
    leaves = [ITEM.encode(), HEADS[0].encode()]
    octets, _ = make_statement([], [], None, 7)
    honest = decode_statement(octets)
    lying = type(honest)(7, 2, merkle.root(leaves), None, 1)
    with pytest.raises(OutOfRange, match="heads are the first 1"):
        Proof(leaves[0], 0, tuple(merkle.inclusion_path(leaves, 0))).check(lying)


@pytest.mark.parametrize(
    "value",
    [
        {0: 1, 1: 1, 2: 1, 3: bytes(32), 4: None},
        {0: 1, 1: 1, 2: 1, 3: bytes(32), 4: None, 5: 2},
        {0: 1, 1: 1, 2: 1, 3: bytes(31), 4: None, 5: 0},
        {0: 1, 1: -1, 2: 1, 3: bytes(32), 4: None, 5: 0},
        {0: 1, 1: 1, 2: 1, 3: bytes(32), 4: bytes(31), 5: 0},
        {0: 2, 1: 1, 2: 1, 3: bytes(32), 4: None, 5: 0},
        {0: 1, 1: 1, 2: 1, 3: bytes(32), 4: None, 5: 0, 6: 0},
        [],
    ],
)
def test_a_malformed_statement_is_refused(value: object) -> None:
    with pytest.raises(WireError):
        decode_statement(cbor.encode(value))


# --- timestamps -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tsa")
    make_test_authority(folder)
    return folder


@pytest.fixture
def over_http(authority: Path) -> Iterator[str]:
    """A timestamp authority over HTTP (RFC 3161 3.4): openssl answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/tsa" or self.headers["Content-Type"] != "application/timestamp-query":
                self.send_error(415)
                return
            (authority / "query").write_bytes(query)
            command = ["openssl", "ts", "-reply", "-queryfile", "query", "-config", "openssl.cnf", "-out", "reply"]
            subprocess.run(command, cwd=authority, check=True, capture_output=True)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write((authority / "reply").read_bytes())

        def log_message(self, *arguments: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_timestamp_is_had_over_http(over_http: str, authority: Path) -> None:
    root = (authority / "root.pem").read_bytes()
    response = request_timestamp(f"{over_http}/tsa", b"statement", root)
    stamp = check_stamp(response, hashlib.sha256(b"statement").digest(), root)
    assert stamp.is_test
    assert stamp.earliest_us < stamp.gen_time_us < stamp.latest_us
    with pytest.raises(CannotDo, match="415"):
        request_timestamp(f"{over_http}/elsewhere", b"statement", root)


def test_a_timestamp_holds_for_its_octets_and_root_alone(authority: Path, tmp_path: Path) -> None:
    root = (authority / "root.pem").read_bytes()
    response = request_timestamp(f"openssl:{authority}", b"statement")
    with pytest.raises(BadTimestamp, match="Mismatch"):
        check_stamp(response, hashlib.sha256(b"another").digest(), root)
    make_test_authority(tmp_path)
    with pytest.raises(BadTimestamp, match="verify"):
        check_stamp(response, hashlib.sha256(b"statement").digest(), (tmp_path / "root.pem").read_bytes())
    with pytest.raises(Refused):
        request_timestamp(f"openssl:{authority}", b"statement", (tmp_path / "root.pem").read_bytes())
    with pytest.raises(BadTimestamp, match="DER"):
        read_stamp(response + b"\0")


def test_a_checkpoint_without_its_timestamp_changes_nothing(tmp_path: Path) -> None:
    lab: Lab = make_lab(tmp_path)
    lab.measure(1)
    working = lab.authority
    lab.authority = "http://127.0.0.1:9/"
    with pytest.raises(CannotDo):
        lab.checkpoint()
    assert lab.book.newest("checkpoint") is None
    assert lab.book.anchor() is None
    lab.authority = working
    first, second = lab.checkpoint(), lab.checkpoint()
    assert (first.number, second.number) == (1, 2)
    assert second.statement.previous == hashlib.sha256(first.record.statement).digest()
    assert second.statement.tree_size == second.statement.heads == 2  # nothing new
    assert first.statement.tree_size > first.statement.heads
    assert lab.book.anchor() == hashlib.sha256(second.response).digest()
    assert len(decode_bundle(second.bundle()).proofs) == 2


# --- summary --------------------------------------------------------------------------------------------------------


def header(seq: int, boot: int, start_us: int, end_us: int, utc_us: int | None) -> record.Header:
    clock = record.Clock(None, None, 0, None) if utc_us is None else record.Clock(utc_us, 1, codes.CLOCK_SNTP, 0)
    zeros = bytes(32)
    return record.Header(seq, zeros, boot, start_us, end_us, clock, zeros, zeros, zeros, (0, 0, 0), None)


def test_batches_before_the_first_synchronisation_are_placed_by_the_next_of_their_boot() -> None:
    headers = [
        header(1, 1, 0, 10, None),
        header(2, 1, 10, 20, 1020),
        header(3, 1, 20, 30, None),
        header(4, 2, 0, 10, None),
    ]
    assert place(headers) == ([(1000, 1010), (1010, 1020), (1020, 1030)], 10)


def test_coverage_counts_each_moment_once_and_only_inside_the_period() -> None:
    assert union_us([(0, 10), (5, 12), (20, 40)], 2, 30) == 20
    assert union_us([], 0, 10) == 0


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_exactly_their_numbers(numbers: set[int]) -> None:
    spelt = ranges(sorted(numbers))
    assert [n for first, last in spelt for n in range(first, last + 1)] == sorted(numbers)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(spelt))


# --- archive --------------------------------------------------------------------------------------------------------

names = st.text("abc/.", min_size=1, max_size=6).filter(lambda n: not {"", ".", ".."} & set(n.split("/")))


@given(st.dictionaries(names, st.binary(max_size=50), max_size=5))
def test_any_zip_tool_reads_what_is_written(files: dict[str, bytes]) -> None:
    octets = write_archive(files.items())
    assert read_archive(octets) == (files, [])
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../up", "a//b", "a\\b", "c:x", "n\u00e4me", "a\n"])
def test_names_that_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(BadArchive):
        write_archive([(name, b"")])


def test_a_file_hidden_between_entries_is_refused() -> None:
    octets = write_archive([("a", b"1"), ("b", b"2")])
    second = octets.index(b"PK\x03\x04", 4)
    with pytest.raises(BadArchive):
        read_archive(octets[:second] + b"hidden" + octets[second:])
    with pytest.raises(BadArchive):
        read_archive(octets + b"comment")
    with pytest.raises(BadArchive, match="two files"):
        read_archive(write_archive([("a", b"1"), ("a", b"2")]))


def test_a_fingerprint_may_be_grouped() -> None:
    plain = "ab" * 32
    assert parse_fingerprint(" ".join(["ABAB"] * 16)) == plain
    assert parse_fingerprint(":".join(["ab"] * 32)) == plain
    with pytest.raises(WireError, match="64 hex digits"):
        parse_fingerprint("ab")
