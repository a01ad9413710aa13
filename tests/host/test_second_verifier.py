"""The document is enough: a verifier written from it alone comes to the same result as ours, dossier by dossier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from evidence_lab import Lab, make_lab, pack_signed, unpack, with_batches
from second_verifier import No, Verifier, body

from linewitness.evidence.verify import verify


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    made = make_lab(tmp_path_factory.mktemp("second"))
    for _ in range(3):
        made.measure(2)
        made.checkpoint()
    return made


VECTORS = Path(__file__).parents[1] / "vectors" / "wire"


def as_in_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): as_in_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_in_json(item) for item in value]
    return f"h'{value.hex()}'" if isinstance(value, bytes) else value


@pytest.mark.parametrize("path", sorted(VECTORS.glob("good_short_body_*.json")), ids=lambda path: path.stem)
def test_both_read_the_same_of_readings_that_leave_something_out(path: Path) -> None:
    case = json.loads(path.read_text())
    assert as_in_json(body(bytes.fromhex(case["hex"]), case["span_us"])[1]) == case["value"][0]


@pytest.mark.parametrize("path", sorted(VECTORS.glob("bad_short_body_*_stated.json")), ids=lambda path: path.stem)
def test_both_refuse_a_reading_that_states_what_it_would_be_without(path: Path) -> None:
    case = json.loads(path.read_text())
    assert case["expect"] == "NotCanonical"
    with pytest.raises(No, match="without"):
        body(bytes.fromhex(case["hex"]), case["span_us"])


def both(octets: bytes, lab: Lab, fingerprint: str | None = None) -> tuple[int, int]:
    """Exit codes of ours and of the second verifier."""
    fingerprint = fingerprint or lab.fingerprint
    root = Path(lab.authority.removeprefix("openssl:")) / "root.pem"
    return verify(octets, fingerprint, lab.root_pem).exit_code, Verifier(octets, fingerprint, root).result()


def test_both_hold_an_honest_dossier(lab: Lab) -> None:
    assert both(lab.dossier(), lab) == (0, 0)
    octets = lab.dossier(sites=("york",))
    assert both(octets, lab) == (4, 4)
    assert Verifier(octets, None, None).result() == verify(octets).exit_code == 4


@pytest.mark.parametrize("i", [0, 2, 5])
def test_both_refuse_a_batch_deleted_or_moved_or_replayed(lab: Lab, i: int) -> None:
    files = unpack(lab.dossier(to_us=lab.start_us + 1))
    name = next(name for name in files if name.startswith("batches/york"))
    assert with_batches(files, name, lambda pairs: pairs) == files
    for change in (
        lambda pairs: pairs[:i] + pairs[i + 1 :],
        lambda pairs: [*pairs, pairs[i % len(pairs)]],
        lambda pairs: [*pairs[:i], *reversed(pairs[i : i + 2]), *pairs[i + 2 :]] if i + 1 < len(pairs) else pairs[:-1],
    ):
        changed = with_batches(files, name, change)
        if changed[name] != files[name]:
            assert both(pack_signed(changed, lab.fleet), lab) == (3, 3)


def test_both_refuse_a_body_of_another_batch(lab: Lab) -> None:
    files = unpack(lab.dossier())
    name = next(name for name in files if name.startswith("batches/leeds"))
    changed = with_batches(files, name, lambda pairs: [(pairs[0][0], pairs[1][1]), *pairs[1:]])
    assert both(pack_signed(changed, lab.fleet), lab) == (3, 3)
    taken_out = with_batches(files, name, lambda pairs: [(pairs[0][0], None), *pairs[1:]])
    assert both(pack_signed(taken_out, lab.fleet), lab) == (4, 4)


def test_both_refuse_another_fleet(lab: Lab) -> None:
    assert both(lab.dossier(), lab, "ab" * 32) == (3, 3)


def test_both_refuse_a_witness_or_a_timestamp_taken_out(lab: Lab) -> None:
    files = unpack(lab.dossier(to_us=lab.start_us))
    without_york = {name: c for name, c in files.items() if "york" not in name}
    assert both(pack_signed(without_york, lab.fleet), lab) == (3, 3)
    assert both(pack_signed({**files, "checkpoints/3.proofs": b"\x80"}, lab.fleet), lab) == (3, 3)
    harmless = {**files, "checkpoints/1.proofs": b"\x80"}  # the later ones prove more
    assert both(pack_signed(harmless, lab.fleet), lab) == (0, 0)
