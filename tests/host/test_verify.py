"""What a verifier refuses: any one batch deleted, altered, moved, put in or replayed, tried for every batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from evidence_lab import (
    SECOND_US,
    Lab,
    Pairs,
    make_lab,
    pack,
    pack_signed,
    signer,
    split_batches,
    unpack,
    with_batches,
)

from linewitness.evidence.verify import Verdict, verify
from linewitness_wire import cose

BATCHES = 6  # of each of two witnesses
PLACES = ("leeds/desk", "york/attic")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Two witnesses, six batches each, a checkpoint after three and one at the end."""
    made = make_lab(tmp_path_factory.mktemp("lab"))
    made.measure(3)
    made.checkpoint()
    made.measure(3)
    made.checkpoint()
    return made


@pytest.fixture(scope="module")
def dossier(lab: Lab) -> bytes:
    return lab.dossier()


def check(octets: bytes, lab: Lab, **more: object) -> Verdict:
    return verify(octets, lab.fingerprint, lab.root_pem, **more)  # type: ignore[arg-type]


def refusals(verdict: Verdict) -> set[tuple[str | None, int | None]]:
    return {(finding.witness, finding.seq) for finding in verdict.findings if finding.severity == "refused"}


def lines(verdict: Verdict) -> str:
    return "\n".join(finding.line() for finding in verdict.findings)


def batch_files(files: dict[str, bytes]) -> list[str]:
    return [name for name in files if name.startswith("batches/")]


def test_an_honest_dossier_holds(dossier: bytes, lab: Lab) -> None:
    verdict = check(dossier, lab)
    assert verdict.exit_code == 0, lines(verdict)
    assert verdict.batches == 2 * BATCHES
    assert [row["batches"] for row in verdict.witnesses] == [BATCHES, BATCHES]
    assert [row["covered_s"] for row in verdict.witnesses] == [6, 6]
    assert "test authority" in lines(verdict)


def test_without_the_fleet_key_or_the_root_it_is_incomplete(dossier: bytes, lab: Lab) -> None:
    for more in ({}, {"fleet_key": lab.fingerprint}, {"tsa_root": lab.root_pem}):
        verdict = verify(dossier, **more)
        assert verdict.exit_code == 4, lines(verdict)


def test_the_same_ledger_gives_the_same_octets(dossier: bytes, lab: Lab) -> None:
    assert lab.dossier() == dossier


def delete(pairs: Pairs, i: int) -> Pairs:
    return pairs[:i] + pairs[i + 1 :]


def alter(pairs: Pairs, i: int) -> Pairs:
    octets, body = pairs[i]
    changed = bytearray(octets)
    changed[-100] ^= 1  # in the signed header
    return [*pairs[:i], (bytes(changed), body), *pairs[i + 1 :]]


def alter_body(pairs: Pairs, i: int) -> Pairs:
    octets, body = pairs[i]
    assert body is not None
    return [*pairs[:i], (octets, body[:-8] + bytes([body[-8] ^ 1]) + body[-7:]), *pairs[i + 1 :]]


def reorder(pairs: Pairs, i: int) -> Pairs:
    j = (i + 1) % len(pairs)
    moved = list(pairs)
    moved[i], moved[j] = moved[j], moved[i]
    return moved


def insert_forged(pairs: Pairs, i: int) -> Pairs:
    """A batch with the same header, signed by a stranger's key under the witness's kid."""
    octets, body = pairs[i]
    parts = cose.split(octets)
    message = cose.to_be_signed(parts.protected, cose.aad("leeds", "desk"), parts.payload)
    forged = cose.join(parts.kid, parts.payload, signer("stranger").sign(message))
    return [*pairs[:i], (forged, body), *pairs[i:]]


def replay_at_once(pairs: Pairs, i: int) -> Pairs:
    return [*pairs[: i + 1], pairs[i], *pairs[i + 1 :]]


def replay_at_the_end(pairs: Pairs, i: int) -> Pairs:
    return [*pairs, pairs[i]]


def replay_in_place_of_the_next(pairs: Pairs, i: int) -> Pairs:
    j = (i + 1) % len(pairs)
    return [*pairs[:j], pairs[i], *pairs[j + 1 :]]


CHANGES = (
    delete, alter, alter_body, reorder, insert_forged, replay_at_once, replay_at_the_end, replay_in_place_of_the_next
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("i", range(BATCHES))
@pytest.mark.parametrize("witness", [0, 1])
def test_any_change_to_any_batch_is_refused_by_name(
    dossier: bytes, lab: Lab, witness: int, i: int, change: Callable[[Pairs, int], Pairs]
) -> None:
    """Once as whoever lacks the fleet key does it, once as the customer does it, who signs the manifest again."""
    files = unpack(dossier)
    changed = with_batches(files, batch_files(files)[witness], lambda pairs: change(pairs, i))
    named = {(PLACES[witness], seq) for seq in (i + 1, (i + 1) % BATCHES + 1)}
    packed = [pack(changed)] if change in (alter, alter_body) else [pack(changed), pack_signed(changed, lab.fleet)]
    for octets in packed:
        for verdict in (check(octets, lab), verify(octets)):
            assert verdict.exit_code == 3, lines(verdict)
            found = refusals(verdict)
            if change in (reorder, replay_in_place_of_the_next):  # two places are touched; either names it
                assert found & named, lines(verdict)
            else:
                assert (PLACES[witness], i + 1) in found, lines(verdict)
            assert not any(place == PLACES[1 - witness] for place, _ in found), lines(verdict)


@pytest.mark.parametrize("i", range(BATCHES))
def test_a_batch_replayed_onto_another_site_is_refused(dossier: bytes, lab: Lab, i: int) -> None:
    files = unpack(dossier)
    leeds, york = batch_files(files)
    foreign = split_batches(files[leeds])[i]
    changed = with_batches(files, york, lambda pairs: [*pairs[:i], foreign, *pairs[i + 1 :]])
    verdict = check(pack_signed(changed, lab.fleet), lab)
    assert verdict.exit_code == 3
    assert ("york/attic", i + 1) in refusals(verdict), lines(verdict)


def test_any_flipped_octet_of_the_file_is_refused(dossier: bytes, lab: Lab) -> None:
    """One bit of every 61st octet, and of every octet of the first entry's header and the directory's end."""
    for i in [*range(60), *range(60, len(dossier) - 22, 61), *range(len(dossier) - 22, len(dossier))]:
        flipped = dossier[:i] + bytes([dossier[i] ^ 1]) + dossier[i + 1 :]
        assert verify(flipped, lab.fingerprint).exit_code == 3, i


def test_a_file_cut_short_is_refused(dossier: bytes, lab: Lab) -> None:
    for size in (0, 1, 3, 100, len(dossier) // 2, len(dossier) - 1):
        assert check(dossier[:size], lab).exit_code == 3
    assert check(dossier + b"\0", lab).exit_code == 3


def test_an_altered_octet_names_the_batch(dossier: bytes, lab: Lab) -> None:
    files = unpack(dossier)
    name = batch_files(files)[0]
    octets, _ = split_batches(files[name])[3]
    i = dossier.index(octets) + len(octets) - 10
    verdict = check(dossier[:i] + bytes([dossier[i] ^ 0x40]) + dossier[i + 1 :], lab)
    assert verdict.exit_code == 3
    assert ("leeds/desk", 4) in refusals(verdict), lines(verdict)


def test_a_dossier_made_again_under_fresh_keys(tmp_path: Path, lab: Lab) -> None:
    """Nothing in it contradicts itself: only the fingerprint, had by another way, unmasks it."""
    forged = make_lab(tmp_path, keys="fresh ")
    forged.measure(BATCHES)
    forged.checkpoint()
    octets = forged.dossier()
    assert verify(octets, lab.fingerprint, forged.root_pem).exit_code == 3
    assert verify(octets, lab.fingerprint).exit_code == 3
    assert verify(octets, None, forged.root_pem).exit_code == 4
    assert verify(octets).exit_code == 4
    assert verify(octets, lab.fingerprint, lab.root_pem).exit_code == 3


@pytest.mark.parametrize("lost", range(1, BATCHES + 1))
def test_last_batches_cut_off_and_signed_again_are_refused(dossier: bytes, lab: Lab, lost: int) -> None:
    files = unpack(dossier)
    name = batch_files(files)[0]
    changed = with_batches(files, name, lambda pairs: pairs[:-lost])
    verdict = check(pack_signed(changed, lab.fleet), lab)
    assert verdict.exit_code == 3
    assert ("leeds/desk", BATCHES - lost + 1) in refusals(verdict), lines(verdict)


def test_with_the_timestamp_cut_off_too_one_handed_in_earlier_refuses_it(
    dossier: bytes, lab: Lab, tmp_path: Path
) -> None:
    later = make_lab(tmp_path, keys="later ")
    later.measure(3)
    later.checkpoint()
    later.measure(3)
    handed_in = later.checkpoint().bundle()
    files = unpack(later.dossier(to_us=later.start_us + 30 * SECOND_US))
    for name in batch_files(files):
        files = with_batches(files, name, lambda pairs: pairs[:3])
    cut = pack_signed({name: c for name, c in files.items() if not name.startswith("checkpoints/2")}, later.fleet)
    alone = check(cut, later)
    assert alone.exit_code == 4, lines(alone)
    assert "not covered" in lines(alone)
    verdict = check(cut, later, checkpoints=[handed_in])
    assert verdict.exit_code == 3
    assert ("leeds/desk", 4) in refusals(verdict), lines(verdict)


def test_a_witness_left_out_is_refused(dossier: bytes, lab: Lab) -> None:
    files = {name: c for name, c in unpack(dossier).items() if "york" not in name}
    verdict = check(pack_signed(files, lab.fleet), lab)
    assert verdict.exit_code == 3
    assert ("york/attic", BATCHES) in refusals(verdict), lines(verdict)
