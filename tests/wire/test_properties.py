"""Properties over any record: round trips, one spelling, cbor2 as a second reader, no flipped bit passes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from linewitness.evidence.batch import check_batch
from linewitness.evidence.signed import Signer
from linewitness_wire import bodies, cbor, chain, codes, cose, envelope, record
from linewitness_wire.errors import UnknownField, WireError

VECTORS = Path(__file__).parent.parent / "vectors" / "wire"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = Signer(KEY.public_key().public_bytes_raw(), KEY.sign)

COUNTS = {record.SELF_DELAYED, record.LATE, record.DUPLICATE, record.REORDERED, record.MALFORMED}
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.integers(0, 2**64 - 1), inner, max_size=5),
    max_leaves=20,
).filter(lambda value: _depth(value) <= cbor.MAX_DEPTH)
digests = st.binary(min_size=32, max_size=32)
u16, u32, u48, u63 = (st.integers(0, 2**n - 1) for n in (16, 32, 48, 63))
clocks = st.just(record.Clock(None, None, codes.CLOCK_NONE, None)) | st.builds(
    record.Clock, u63, u48, st.just(codes.CLOCK_SNTP), u32
)


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(item) for item in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(item) for item in value), default=0)
    return 0


@st.composite
def headers(draw: st.DrawFn) -> record.Header:
    start, end = sorted((draw(u63), draw(u63)))
    counts = (draw(u16), draw(u16), draw(st.integers(0, record.BODY_MAX_OCTETS)))
    return record.Header(
        draw(st.integers(1, 2**32 - 1)), draw(digests), draw(st.integers(1, 2**32 - 1)), start, end, draw(clocks),
        draw(digests), draw(digests), draw(digests), counts, draw(st.none() | digests),
    )  # fmt: skip


@st.composite
def readings(draw: st.DrawFn) -> dict[int, object]:
    fates = draw(st.lists(st.integers(0, 3), max_size=12))
    times = sorted(draw(st.lists(st.integers(0, 0x3FFF), min_size=len(fates), max_size=len(fates))))
    answered = sum(fate in (codes.FATE_ANSWERED, codes.FATE_WRONG) for fate in fates)
    low, mean, p95, high = sorted(draw(st.lists(u32, min_size=4, max_size=4)))
    reading: dict[int, object] = {
        record.TARGET: draw(st.integers(0, 255)), record.START_US: draw(u48), record.SPAN_US: draw(u48),
        record.SENT: len(fates), record.ANSWERED: answered, record.SELF_DELAYED: fates.count(codes.FATE_VOID),
        record.SAMPLES: b"".join(record.pack_sample(f, t * 10_000) for f, t in zip(fates, times, strict=True)),
    }  # fmt: skip
    if answered:
        reading[record.RTT_US] = [low, mean, p95, high]
        reading[record.LATE] = draw(st.integers(0, answered))
    if draw(st.booleans()):
        seen = sorted(draw(st.sets(st.integers(-99, 700))))
        reading[record.CODES] = [[code, draw(st.integers(1, 9))] for code in seen]
    return reading


any_bodies = st.builds(
    record.Body,
    st.lists(readings(), max_size=4),
    st.lists(st.builds(lambda at, target, failing: [codes.EVENT_STATE, at, target, failing], u48,
                       st.integers(0, 255), st.integers(0, 1)), max_size=4),
)  # fmt: skip


def without_zeros(reading: dict[int, object]) -> dict[int, object]:
    return {key: value for key, value in reading.items() if value != 0 or key not in COUNTS}


@given(values)
def test_a_value_comes_back_from_its_octets(value: object) -> None:
    assert cbor.decode(cbor.encode(value)) == value


@given(values)
def test_cbor2_reads_the_same_value(value: object) -> None:
    assert cbor2.loads(cbor.encode(value)) == value


@given(st.binary(max_size=40))
def test_what_is_read_has_one_spelling(octets: bytes) -> None:
    try:
        value = cbor.decode(octets)
    except WireError:
        return
    assert cbor.encode(value) == octets
    assert cbor2.loads(octets) == value


@given(headers())
def test_a_header_comes_back_from_at_most_256_octets(header: record.Header) -> None:
    octets = record.encode_header(header)
    assert len(octets) <= record.HEADER_MAX_OCTETS
    assert record.decode_header(octets) == header


@given(any_bodies, u48)
def test_a_body_comes_back_from_its_octets(body: record.Body, span_us: int) -> None:
    """But for counts of 0, which say what their absence says."""
    octets = bodies.encode(body, span_us)
    assert bodies.decode(octets, span_us) == record.Body([without_zeros(r) for r in body.readings], body.events)
    assert bodies.encode(bodies.decode(octets, span_us), span_us) == octets


keys = st.sampled_from([0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 18, 19, 20, 23, 24])
fields = st.dictionaries(keys, st.integers(-1, 3) | st.just(1000), max_size=9)
arrays = st.fixed_dictionaries({}, optional={
    5: st.lists(st.integers(-1, 3), min_size=4, max_size=4), 15: st.lists(st.integers(0, 6), min_size=2, max_size=2),
    16: st.lists(st.integers(0, 1), min_size=2, max_size=2), 17: st.lists(st.integers(0, 2), min_size=5, max_size=5),
})  # fmt: skip


@given(st.lists(st.builds(lambda one, other: one | other, fields, arrays), max_size=3), st.integers(0, 4))
@settings(max_examples=300)
def test_a_body_that_is_taken_has_one_spelling(readings: list[dict[int, object]], span_us: int) -> None:
    """Whatever stands in the fields that may be left out: it is refused, or it is what encode() writes of its value."""
    octets = cbor.encode({0: 2, 1: readings, 2: []})
    try:
        body = bodies.decode(octets, span_us)
    except WireError:
        return
    assert bodies.encode(body, span_us) == octets


@given(st.none() | st.integers(max_value=-1) | st.integers(min_value=256) | st.text() | st.binary() | st.floats())
def test_a_field_that_there_is_none_of_is_refused_as_such(key: object) -> None:
    with pytest.raises(UnknownField):
        record.check_fields({key: 1})


@given(digests, digests, u48)
def test_an_acknowledgement_comes_back_for_its_witness_only(secret: bytes, digest: bytes, seq: int) -> None:
    ack = envelope.Ack(seq, digest, None)
    frame = envelope.encode_ack(secret, "leeds", "desk", ack)
    assert envelope.decode_ack(secret, "leeds", "desk", frame) == ack
    with pytest.raises(WireError):
        envelope.decode_ack(secret, "leeds", "attic", frame)


@given(st.lists(any_bodies, min_size=1, max_size=4))
@settings(max_examples=20)
def test_a_chain_of_any_bodies_is_followed(contents: list[record.Body]) -> None:
    head = chain.START
    for seq, body in enumerate(contents, 1):
        octets = bodies.encode(body, 0)
        clock = record.Clock(None, None, codes.CLOCK_NONE, None)
        counts = (len(body.readings), len(body.events), len(octets))
        header = record.Header(
            seq, head.digest, 1, seq, seq, clock, bytes(32), bytes(32), hashlib.sha256(octets).digest(), counts, None
        )
        signed = SIGNER.seal(record.encode_header(header), cose.aad("leeds", "desk"))
        batch = check_batch(signed, octets, SIGNER.public_key, "leeds", "desk")
        head = chain.follow(head, batch.header, batch.digest)
    assert head.seq == len(contents)


def test_no_flipped_bit_of_a_batch_or_its_body_passes() -> None:
    """Each bit of a signed batch and of its body, one at a time."""
    case = json.loads((VECTORS / "good_signed_with_body.json").read_text())
    signed, body = bytes.fromhex(case["hex"]), bytes.fromhex(case["body"])
    place = bytes.fromhex(case["public_key"]), case["site"], case["witness"]
    check_batch(signed, body, *place)
    for octets, check in (
        (signed, lambda flipped: check_batch(flipped, body, *place)),
        (body, lambda flipped: check_batch(signed, flipped, *place)),
    ):
        for bit in range(8 * len(octets)):
            flipped = bytearray(octets)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(WireError):
                check(bytes(flipped))
