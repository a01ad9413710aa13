"""Dossiers of real ledgers: where they begin and end, what they say is missing, clocks that deny the timestamps."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from evidence_lab import SECOND_US, Lab, make_lab, now_us, pack_signed, split_batches, unpack, with_batches

from linewitness.errors import CannotDo
from linewitness.evidence.verify import Verdict, verify
from linewitness_wire import codes


def check(octets: bytes, lab: Lab) -> Verdict:
    return verify(octets, lab.fingerprint, lab.root_pem)


def lines(verdict: Verdict) -> str:
    return "\n".join(finding.line() for finding in verdict.findings)


ONE = (("leeds", "desk"),)


def next_second() -> None:
    time.sleep(1.05)


@pytest.fixture(scope="module")
def second_month(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, bytes]:
    """A dossier whose period begins after three batches and a timestamp."""
    lab = make_lab(tmp_path_factory.mktemp("second"), ONE)
    lab.measure(3)
    first = lab.checkpoint()
    lab.measure(6)  # three of them after the timestamp, by a clock that is seconds ahead within its bound
    next_second()
    lab.checkpoint()
    from_us = first.stamp.gen_time_us
    return lab, lab.dossier(from_us=from_us, to_us=from_us + SECOND_US)


def test_a_dossier_begins_where_an_earlier_timestamp_vouches(second_month: tuple[Lab, bytes]) -> None:
    lab, octets = second_month
    verdict = check(octets, lab)
    assert verdict.exit_code == 0, lines(verdict)
    assert (verdict.witnesses[0]["first_seq"], verdict.witnesses[0]["last_seq"]) == (4, 9)


@pytest.mark.parametrize("keep", [slice(1, None), slice(2, None), slice(0, 0)])
def test_its_first_batches_can_not_be_left_out(second_month: tuple[Lab, bytes], keep: slice) -> None:
    lab, octets = second_month
    files = unpack(octets)
    name = next(name for name in files if name.startswith("batches/"))
    changed = with_batches(files, name, lambda pairs: pairs[keep])
    verdict = check(pack_signed(changed, lab.fleet), lab)
    assert verdict.exit_code == 3
    assert "refused: leeds/desk seq 4: batch" in lines(verdict)


def test_without_the_vouching_timestamp_it_is_refused(second_month: tuple[Lab, bytes]) -> None:
    lab, octets = second_month
    files = {name: c for name, c in unpack(octets).items() if not name.startswith("checkpoints/1")}
    verdict = check(pack_signed(files, lab.fleet), lab)
    assert verdict.exit_code == 3
    assert "refused: leeds/desk seq 1: batch 1 is missing" in lines(verdict)


def test_a_tail_after_the_last_timestamp_is_incomplete(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, ONE)
    lab.measure(2)
    lab.checkpoint()
    lab.measure(2)
    verdict = check(lab.dossier(to_us=now_us() + 60 * SECOND_US), lab)
    assert verdict.exit_code == 4
    assert "incomplete: leeds/desk seq 3: batches 3..4 are not covered by a timestamp" in lines(verdict)


def test_without_any_timestamp_it_is_incomplete(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, ONE)
    lab.measure(2)
    verdict = verify(lab.dossier(), lab.fingerprint)
    assert verdict.exit_code == 4
    assert "no timestamped checkpoint" in lines(verdict)


def test_a_site_of_its_own_shows_who_else_was_enrolled(tmp_path: Path) -> None:
    lab = make_lab(tmp_path)
    lab.measure(2)
    lab.checkpoint()
    octets = lab.dossier(sites=("york",))
    verdict = check(octets, lab)
    assert verdict.exit_code == 4
    assert "incomplete: leeds/desk: enrolled, but its batches are not in this dossier" in lines(verdict)
    assert not any(name.startswith("batches/leeds") for name in unpack(octets))
    assert [row["shown"] for row in verdict.witnesses] == [False, True]


def test_readings_taken_out_are_named(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, ONE)
    lab.measure(4)
    lab.checkpoint()
    files = unpack(lab.dossier())
    name = next(name for name in files if name.startswith("batches/"))
    taken_out = with_batches(files, name, lambda pairs: [*pairs[:2], (pairs[2][0], None), *pairs[3:]])
    verdict = check(pack_signed(taken_out, lab.fleet), lab)
    assert verdict.exit_code == 4
    assert "leeds/desk seq 3: the readings of 3..3 are not here, and the witness says nothing" in lines(verdict)
    assert verdict.witnesses[0]["bodies_missing"] == [[3, 3]]


def test_readings_that_the_witness_trimmed_are_named_as_such(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, ONE)
    witness = lab.witnesses[0]
    trimmed = [witness.new_batch() for _ in range(2)]
    says_so = witness.new_batch(events=[[codes.EVENT_TRIMMED, 0, 1, 2, 2]])
    lab.book.store([*(type(b)(**{**_fields(b), "body": None}) for b in trimmed), says_so])
    lab.checkpoint()
    verdict = check(lab.dossier(), lab)
    assert verdict.exit_code == 4
    assert "leeds/desk seq 1: the readings of 1..2 are gone: trimmed by the witness" in lines(verdict)
    assert verdict.witnesses[0]["trimmed"] == [[1, 2]]


def _fields(batch: object) -> dict[str, object]:
    return {name: getattr(batch, name) for name in batch.__dataclass_fields__}  # type: ignore[attr-defined]


def test_a_batch_that_claims_a_time_after_the_timestamp_that_covers_it(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, ONE)
    lab.measure(1)
    lab.book.store([lab.witnesses[0].new_batch(utc_us=now_us() + 60 * SECOND_US)])
    lab.checkpoint()
    verdict = check(lab.dossier(), lab)
    assert verdict.exit_code == 3
    assert "refused: leeds/desk seq 2: its clock says" in lines(verdict)


def test_a_batch_that_claims_a_time_before_its_anchor(tmp_path: Path) -> None:
    """A batch made now under an old date: the anchor in it did not exist then."""
    lab = make_lab(tmp_path, ONE)
    lab.measure(1)
    anchor = lab.checkpoint().anchor
    lab.book.store([lab.witnesses[0].new_batch(anchor, utc_us=now_us() - 3000 * SECOND_US)])
    lab.checkpoint()
    verdict = check(lab.dossier(), lab)
    assert verdict.exit_code == 3
    assert "refused: leeds/desk seq 2: its clock says" in lines(verdict)
    assert "names checkpoint 1" in lines(verdict)


def test_an_anchor_that_nobody_knows_is_incomplete(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, ONE)
    lab.book.store([lab.witnesses[0].new_batch(b"\7" * 32)])
    lab.checkpoint()
    verdict = check(lab.dossier(), lab)
    assert verdict.exit_code == 4
    assert "name a timestamp that is not in the dossier" in lines(verdict)


def test_a_timestamp_of_another_checkpoint_is_refused(second_month: tuple[Lab, bytes]) -> None:
    lab, octets = second_month
    files = unpack(octets)
    files["checkpoints/1.tsr"] = files["checkpoints/2.tsr"]
    verdict = check(pack_signed(files, lab.fleet), lab)
    assert verdict.exit_code == 3
    assert "Mismatch between messages" in lines(verdict)


def test_a_plan_that_was_not_published_is_noted(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, ONE, publish=False)
    lab.measure(1)
    lab.checkpoint()
    verdict = check(lab.dossier(), lab)
    assert verdict.exit_code == 0
    assert "was not published" in lines(verdict)


def test_a_gap_in_the_ledger_is_a_gap_in_the_dossier(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, ONE)
    batches = [lab.witnesses[0].new_batch() for _ in range(4)]
    lab.book.store([batches[0], batches[1], batches[3]])
    lab.checkpoint()
    verdict = check(lab.dossier(), lab)
    assert verdict.exit_code == 3
    assert "refused: leeds/desk seq 3: batch 3 is missing" in lines(verdict)


def test_a_dossier_of_nobody_is_one_clear_error(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, ())
    with pytest.raises(CannotDo, match="no witness is enrolled"):
        lab.dossier()


def test_snapshots_and_the_callers_files_go_in(tmp_path: Path) -> None:
    from linewitness.evidence.dossier import build_dossier

    lab = make_lab(tmp_path, ONE)
    lab.measure(1)
    lab.book.add_item("snapshot", "status page", b"<html>", lab.start_us)
    lab.checkpoint()
    lab.book.add_item("verdict", "of the period", b"what settling said after the checkpoint", lab.start_us)
    octets = build_dossier(
        lab.book, lab.fleet, lab.start_us - 60 * SECOND_US, lab.start_us, (), {"settlement.json": b"{}\n"}
    )
    files = unpack(octets)
    assert b"<html>" in [content for name, content in files.items() if name.startswith("snapshots/")]
    assert next(c for name, c in files.items() if name.startswith("verdicts/")).startswith(b"what settling said")
    assert files["settlement.json"] == b"{}\n"
    assert json.loads(files["summary.json"])["witnesses"][0]["batches"] == 1
    assert len(split_batches(next(c for n, c in files.items() if n.startswith("batches/")))) == 1
    assert check(octets, lab).exit_code == 0
