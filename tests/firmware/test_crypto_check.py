"""The host takes exactly the signatures that strict RFC 8032 takes, whatever its library would do."""

from __future__ import annotations

import ast
import json
import os
import random
from pathlib import Path

import ed25519_oracle as oracle
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from linewitness.evidence import ed25519
from witness.crypto.ed25519 import Signer

FILE = Path(__file__).parents[1] / "vectors/ed25519/rfc8032_and_malformed.json"
VECTORS = json.loads(FILE.read_text())
SIGNER = Signer(bytes(range(32)), os.urandom)
MESSAGE = b"a header of at most 256 octets"
SIGNATURE = SIGNER.sign(MESSAGE)


def parts(vector: dict[str, str]) -> tuple[bytes, bytes, bytes]:
    return tuple(bytes.fromhex(vector[name]) for name in ("public_key", "message", "signature"))  # type: ignore[return-value]


def host_verdict(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        ed25519.check(key, message, signature)
    except ed25519.BadSignature:
        return False
    return True


@pytest.mark.parametrize("vector", VECTORS["rfc8032_vectors"], ids=lambda v: v["name"].replace(" ", "_"))
def test_rfc_8032_vectors_are_taken(vector: dict[str, str]) -> None:
    key, message, signature = parts(vector)
    ed25519.check(key, message, signature)
    ed25519.check_key(key)
    assert oracle.strict_verdict(key, message, signature)


@pytest.mark.parametrize("vector", VECTORS["malformed"], ids=lambda v: v["id"])
def test_malformed_vectors_are_refused_for_their_reason(vector: dict[str, str]) -> None:
    assert vector["expected_strict"] == "reject"
    with pytest.raises(ed25519.BadSignature) as refused:
        ed25519.check(*parts(vector))
    assert refused.value.reason == vector["reason"]
    assert not oracle.strict_verdict(*parts(vector))


def test_some_malformed_vectors_would_pass_a_library_alone() -> None:
    """Why the rules are looked at here: without a case that OpenSSL takes, the rules above would be untested."""
    taken = set()
    for vector in VECTORS["malformed"]:
        key, message, signature = parts(vector)
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        except (InvalidSignature, ValueError):
            continue
        taken.add(vector["id"])
    assert {"A_identity", "A_noncanonical_p_plus_1", "A_x0_sign1"} <= taken


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 8 * 64 - 1))
def test_any_flipped_bit_of_a_signature_is_refused(position: int) -> None:
    altered = bytearray(SIGNATURE)
    altered[position // 8] ^= 1 << position % 8
    with pytest.raises(ed25519.BadSignature):
        ed25519.check(SIGNER.public_key, MESSAGE, bytes(altered))


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 8 * 32 - 1))
def test_any_flipped_bit_of_the_key_is_refused(position: int) -> None:
    altered = bytearray(SIGNER.public_key)
    altered[position // 8] ^= 1 << position % 8
    with pytest.raises(ed25519.BadSignature):
        ed25519.check(bytes(altered), MESSAGE, SIGNATURE)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 63, 65, 128])
def test_a_signature_of_another_length_is_refused_with_the_numbers(size: int) -> None:
    with pytest.raises(ed25519.BadSignature, match=f"an Ed25519 signature has 64 octets, not {size}") as refused:
        ed25519.check(SIGNER.public_key, MESSAGE, (SIGNATURE * 2)[:size])
    assert refused.value.reason == ed25519.LENGTH


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused_with_the_numbers(size: int) -> None:
    key = (SIGNER.public_key * 2)[:size]
    with pytest.raises(ed25519.BadSignature, match=f"key has 32 octets, not {size}"):
        ed25519.check(key, MESSAGE, SIGNATURE)
    with pytest.raises(ed25519.BadKey, match=f"key has 32 octets, not {size}"):
        ed25519.check_key(key)


def test_every_point_of_small_order_is_refused_as_key_and_as_r() -> None:
    points = oracle.torsion()
    assert len(set(points)) == 8
    for point in points:
        encoded = oracle.encode(point)
        with pytest.raises(ed25519.BadSignature) as refused:
            ed25519.check(encoded, MESSAGE, SIGNATURE)
        assert refused.value.reason == ed25519.A_SMALL_ORDER
        with pytest.raises(ed25519.BadSignature) as refused:
            ed25519.check(SIGNER.public_key, MESSAGE, encoded + SIGNATURE[32:])
        assert refused.value.reason == ed25519.R_SMALL_ORDER
        with pytest.raises(ed25519.BadKey) as refused_key:
            ed25519.check_key(encoded)
        assert refused_key.value.reason == ed25519.A_SMALL_ORDER


def crooked(chance: random.Random, r_extra: oracle.Point, a_extra: oracle.Point) -> tuple[bytes, bytes, bytes]:
    """A signature by the holder of the scalar, with points of small order added to R and to A."""
    a, r = chance.randrange(1, oracle.L), chance.randrange(1, oracle.L)
    key = oracle.encode(oracle.add(oracle.multiply(a, oracle.BASE), a_extra))
    encoded_r = oracle.encode(oracle.add(oracle.multiply(r, oracle.BASE), r_extra))
    message = chance.randbytes(20)
    k = oracle.number(oracle.h(encoded_r, key, message)) % oracle.L
    return key, message, encoded_r + ((r + k * a) % oracle.L).to_bytes(32, "little")


def test_the_equation_is_the_one_without_the_cofactor() -> None:
    """With the cofactor, every one of these would be taken: the signer could later say that it does not hold."""
    chance = random.Random(5)
    for extra in oracle.torsion()[1:]:
        key, message, signature = crooked(chance, extra, oracle.IDENTITY)
        ed25519.check_key(key)
        with pytest.raises(ed25519.BadSignature) as refused:
            ed25519.check(key, message, signature)
        assert refused.value.reason == ed25519.EQUATION


def test_keys_of_mixed_order_are_refused_at_enrolment() -> None:
    """A share of their signatures is strictly valid, so that only enrolment can keep them out."""
    chance = random.Random(6)
    verdicts = []
    for extra in oracle.torsion()[1:]:
        key, message, signature = crooked(chance, oracle.IDENTITY, extra)
        verdicts.append(host_verdict(key, message, signature))
        assert verdicts[-1] == oracle.strict_verdict(key, message, signature)
        with pytest.raises(ed25519.BadKey) as refused:
            ed25519.check_key(key)
        assert refused.value.reason == ed25519.A_MIXED_ORDER
    assert True in verdicts
    assert False in verdicts


BAD_KEYS = [vector for vector in VECTORS["malformed"] if vector["reason"].startswith("A ")]


@pytest.mark.parametrize("vector", BAD_KEYS, ids=lambda v: v["id"])
def test_malformed_keys_are_refused_at_enrolment(vector: dict[str, str]) -> None:
    with pytest.raises(ed25519.BadKey) as refused:
        ed25519.check_key(bytes.fromhex(vector["public_key"]))
    assert refused.value.reason == vector["reason"]


@settings(max_examples=40, deadline=None)
@given(key=st.binary(min_size=32, max_size=32))
def test_check_key_agrees_with_the_oracle_on_random_octets(key: bytes) -> None:
    try:
        point = oracle.decode(key)
        wanted = point != oracle.IDENTITY and oracle.multiply(oracle.L, point) == oracle.IDENTITY
    except ValueError:
        wanted = False
    try:
        ed25519.check_key(key)
        taken = True
    except ed25519.BadKey:
        taken = False
    assert taken == wanted


def test_the_verifier_imports_nothing_but_an_ed25519_library() -> None:
    tree = ast.parse(Path(ed25519.__file__).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"__future__", "nacl.exceptions", "nacl.signing"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
