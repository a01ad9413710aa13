# ruff: noqa: E501 (one case a line reads better than a wrapped one)
"""The vectors that need a key: batches with their signatures, enrolment records. Order of the checks: form, kid,
signature, header, body."""

import hashlib

from material import (
    ALL_ONES_Y,
    BATCH_US,
    BODIES,
    BODY_OCTETS,
    CHAIN,
    FIRMWARE,
    FLEET_SEED,
    HEADER,
    HEADER_OCTETS,
    OTHER_SEED,
    SEED,
    SITE,
    SMALL_ORDER,
    WITNESS,
    L,
    changed,
    field_starts,
    flip,
    public,
    sign,
    version_1,
)  # fmt: skip

from linewitness_wire import bodies, cbor, cose


def signed_cases(case):
    """What needs a key: order of the checks is form, kid, signature, header."""
    good = CHAIN[1]
    place = {"public_key": public(SEED).hex(), "site": SITE, "witness": WITNESS}

    def signed(name, octets, expect, why, **changes):
        case(name, "signed", why, expect, octets, **{**place, **changes})

    signed("good_signed", good, "ok", "signed by the witness for its place")
    signed(
        "bad_signed_replayed_onto_another_site", good, "BadSignature", "external_aad names another site", site="york"
    )
    signed(
        "bad_signed_replayed_onto_another_witness",
        good,
        "BadSignature",
        "external_aad names another witness",
        witness="attic",
    )
    signed(
        "bad_signed_kid_of_another_key",
        good,
        "WrongKey",
        "another witness's key is looked up",
        public_key=public(OTHER_SEED).hex(),
    )
    signed(
        "bad_signed_by_another_key",
        sign(HEADER_OCTETS, OTHER_SEED, key_id=cose.kid(public(SEED))),
        "BadSignature",
        "the witness's kid over a stranger's signature",
    )
    signed("bad_signed_without_aad", sign(HEADER_OCTETS, aad=b""), "BadSignature", "external_aad left empty")
    signed(
        "bad_signed_aad_of_enrolment",
        sign(HEADER_OCTETS, aad=b"linewitness/1/enrolment"),
        "BadSignature",
        "signed for another use",
    )
    signed("bad_signed_wrong_kid", flip(good, 8), "WrongKey", "one bit of the kid flipped")
    offset = good.index(HEADER_OCTETS)
    names = (
        "version",
        "seq",
        "previous",
        "boot",
        "start",
        "end",
        "clock",
        "plan",
        "firmware",
        "body",
        "counts",
        "anchor",
    )
    starts = [*field_starts(HEADER_OCTETS), len(HEADER_OCTETS)]
    for key, name in enumerate(names):
        signed(
            f"bad_signed_flip_{name}",
            flip(good, offset + starts[key + 1] - 1),
            "BadSignature",
            f"the lowest bit of field {key} flipped",
        )
    signed("bad_signed_flip_r", flip(good, len(good) - 64), "BadSignature", "one bit of R flipped")
    signed("bad_signed_flip_s", flip(good, len(good) - 32), "BadSignature", "one bit of S flipped")
    s = int.from_bytes(good[-32:], "little")
    signed(
        "bad_signed_s_plus_l",
        good[:-32] + (s + L).to_bytes(32, "little"),
        "BadSignature",
        "S + L: the same equation, a second spelling (RFC 8032 5.1.7 wants S < L)",
    )
    signed("bad_signed_all_zero", good[:-64] + bytes(64), "BadSignature", "R and S are zero")
    for name, key, why in (
        ("small_order_key", SMALL_ORDER, "R = A = neutral, S = 0 verifies anything under a key of small order"),
        ("not_canonical_key", ALL_ONES_Y, "y = p + 1 is a second spelling of y = 1"),
    ):
        octets = cose.join(cose.kid(key), HEADER_OCTETS, SMALL_ORDER + bytes(32))
        signed(f"bad_signed_{name}", octets, "BadSignature", why, public_key=key.hex())
    signed(
        "bad_signed_key_31_octets", good, "WrongKey", "a public key has 32 octets", public_key=place["public_key"][:-2]
    )
    signed("bad_signed_but_no_header", sign(cbor.encode({0: 1})), "OutOfRange", "rightly signed, not a header")
    signed(
        "bad_signed_header_trailing_octet",
        sign(HEADER_OCTETS + b"\0"),
        "TrailingOctets",
        "rightly signed, an octet after the header",
    )
    signed("good_signed_with_body", good, "ok", "the body is the one that the header names", body=BODY_OCTETS.hex())
    old = version_1(BODIES[1])
    named = changed(HEADER, f9=hashlib.sha256(old).digest(), f10=[len(BODIES[1].readings), 0, len(old)])
    named = sign(cbor.encode(named))
    signed("good_signed_with_body_of_version_1", named, "ok", "signed before version 2", body=old.hex())
    signed(
        "bad_signed_another_body",
        good,
        "WrongBody",
        "SHA-256 of the body is another",
        body=bodies.encode(BODIES[0], BATCH_US).hex(),
    )
    signed(
        "bad_signed_body_bit_flipped",
        good,
        "WrongBody",
        "one bit of the body flipped",
        body=flip(BODY_OCTETS, 20).hex(),
    )
    empty = b"\xa3\x00\x01\x01\x80\x02\x80"
    lying = cbor.encode(changed(HEADER, f9=hashlib.sha256(empty).digest(), f10=[1, 0, 7]))
    signed(
        "bad_signed_counts_lie", sign(lying), "OutOfRange", "header counts a reading, body holds none", body=empty.hex()
    )


def enrolment_cases(case):
    """COSE_Sign1 by the fleet key, external_aad linewitness/1/enrolment."""
    fields = {0: 1, 1: SITE, 2: WITNESS, 3: public(SEED), 4: FIRMWARE, 5: 1_789_000_000_000_000, 6: 1}
    fleet = {"fleet_key": public(FLEET_SEED).hex()}

    def enrolment(name, why, expect, value, seed=FLEET_SEED, aad=b"linewitness/1/enrolment"):
        octets = value if isinstance(value, bytes) else cbor.encode(value)
        case(name, "enrolment", why, expect, sign(octets, seed, aad), **fleet)

    enrolment("good_enrolment", "a witness, its key and its place", "ok", fields)
    bad = [
        ("of_another_fleet", "WrongKey", "signed by a stranger's fleet key", fields, {"seed": OTHER_SEED}),
        ("signed_as_a_batch", "BadSignature", "signed for another use", fields, {"aad": cose.aad(SITE, WITNESS)}),
        ("version_2", "UnknownVersion", "a version of the future", changed(fields, f0=2), {}),
        ("without_board", "OutOfRange", "field 6 is missing", changed(fields, f6=changed), {}),
        ("field_7", "UnknownField", "version 1 has the fields 0..6", changed(fields, f7=0), {}),
        ("site_with_slash", "OutOfRange", "a slash could spell another place", changed(fields, f1="a/b"), {}),
        ("key_31_octets", "OutOfRange", "a public key has 32 octets", changed(fields, f3=bytes(31)), {}),
        ("small_order_key", "BadSignature", "anything verifies under a key of small order", changed(fields, f3=SMALL_ORDER), {}),
        ("time_negative", "OutOfRange", "before 1970", changed(fields, f5=-1), {}),
        ("board_true", "WrongType", "true is not the integer 1", changed(fields, f6=True), {}),
        ("trailing_octet", "TrailingOctets", "one octet after the map", cbor.encode(fields) + b"\0", {}),
    ]  # fmt: skip
    for name, expect, why, value, how in bad:
        enrolment(f"bad_enrolment_{name}", why, expect, value, **how)
