"""What the collector takes and what it refuses, and under which name it keeps what it refused."""

from __future__ import annotations

import pytest
from simulated_witness import SimulatedWitness, stored_form

from linewitness.collect.intake import Intake
from linewitness.ledger import Finding, NewBatch
from linewitness_wire.envelope import encode_batch


@pytest.fixture
def witness():
    return SimulatedWitness()


@pytest.fixture
def intake(witness):
    return Intake(lambda: [witness.enrolment()])


def test_a_genuine_batch_is_taken_octet_for_octet(intake, witness):
    octets, body = witness.batch()
    got = intake.judge(witness.topic, encode_batch(octets, body), 77)
    assert isinstance(got, NewBatch)
    assert (got.cose, got.body, got.header.seq, got.received_us, got.kid) == (octets, body, 1, 77, witness.kid)


def test_a_trimmed_body_is_taken(intake, witness):
    octets, _ = witness.batch()
    got = intake.judge(witness.topic, encode_batch(octets, None), 0)
    assert isinstance(got, NewBatch)
    assert got.body is None


def test_every_flipped_octet_is_refused(intake, witness):
    payload = witness.payload()
    for i in range(len(payload)):
        altered = bytearray(payload)
        altered[i] ^= 1
        got = intake.judge(witness.topic, bytes(altered), 0)
        assert isinstance(got, Finding), f"octet {i} does not matter"
        assert got.kind in ("malformed", "unknown", "forged")
        assert got.payload == bytes(altered)


def test_refusals_have_their_own_names(intake, witness):
    octets, body = witness.batch()
    payload = encode_batch(octets, body)
    stranger = SimulatedWitness(seed=2)
    other_body = SimulatedWitness(readings=2).body()
    cases = {
        "malformed": (witness.topic, payload[:-1]),
        "unknown": (stranger.topic, stranger.payload()),
        "misplaced": ("linewitness/1/york/w1/batch", payload),
        "forged": (witness.topic, encode_batch(octets[:-1] + bytes([octets[-1] ^ 1]), body)),
    }
    assert {kind: intake.judge(*case, 0).kind for kind, case in cases.items()} == {kind: kind for kind in cases}
    swapped = intake.judge(witness.topic, encode_batch(octets, other_body), 0)
    assert (swapped.kind, swapped.seq, swapped.text) == ("forged", 1, "the body is not the one that the header names")


def test_a_retired_key_is_refused_as_retired(witness):
    enrolment = witness.enrolment()
    retired = type(enrolment)(*[getattr(enrolment, f) if f != "retired_us" else 5 for f in enrolment.__slots__])
    assert Intake(lambda: [retired]).judge(witness.topic, witness.payload(), 0).kind == "retired"


def test_a_batch_of_one_place_is_none_of_another_even_under_its_key(witness):
    elsewhere = SimulatedWitness("york", "w1")
    moved = Intake(lambda: [SimulatedWitness().enrolment()])
    elsewhere.key, elsewhere.kid = witness.key, witness.kid  # signs for york with the key enrolled for leeds
    got = moved.judge(witness.topic, elsewhere.payload(), 0)
    assert got.kind == "forged"


def test_a_witness_enrolled_while_we_run_is_known_at_once(witness, monkeypatch):
    known = []
    intake = Intake(lambda: list(known))
    monkeypatch.setattr("linewitness.collect.intake._LOOK_AGAIN_S", 0.0)
    assert intake.judge(witness.topic, witness.payload(), 0).kind == "unknown"
    known.append(witness.enrolment())
    assert isinstance(intake.judge(witness.topic, witness.payload(), 0), NewBatch)


def test_the_stored_form_of_the_test_double_is_that_of_the_collector(intake, witness):
    octets, body = witness.batch()
    got = intake.judge(witness.topic, encode_batch(octets, body), 5)
    twin = stored_form(witness, octets, body)
    assert [getattr(got, f) for f in got.__slots__[:-1]] == [getattr(twin, f) for f in twin.__slots__[:-1]]
