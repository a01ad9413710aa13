"""The worked example of docs/wire-format.md, made from the material of the golden vectors.

python tests/wire/worked_example.py      prints the section
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "vectors" / "wire"))

from material import (
    ANCHOR,
    BODY_OCTETS,
    CHAIN,
    FIRMWARE,
    FLEET_SEED,
    HEADER_OCTETS,
    PLAN_OCTETS,
    SECRET,
    SEED,
    SITE,
    WITNESS,
    public,
    sign,
)  # fmt: skip

from linewitness.evidence.checkpoint import HeadLeaf, ItemLeaf, make_statement, prove
from linewitness_wire import cbor, cose, envelope

WIDTH = 56  # octets a line


def hexadecimal(octets: bytes) -> str:
    text = octets.hex()
    return "\n".join("    " + text[i : i + 2 * WIDTH] for i in range(0, len(text), 2 * WIDTH))


def example() -> str:
    """Return section 16 below its heading."""
    parts = cose.split(CHAIN[1])
    enrolment = cbor.encode({0: 1, 1: SITE, 2: WITNESS, 3: public(SEED), 4: FIRMWARE, 5: 1_789_000_000_000_000, 6: 1})
    heads = [HeadLeaf(SITE, WITNESS, parts.kid, 3, cose.digest(CHAIN[2]))]
    item = ItemLeaf("publication", f"{SITE}/{WITNESS}", hashlib.sha256(PLAN_OCTETS).digest(), 1_790_000_000_000_000)
    statement, leaves = make_statement(heads, [item], None, 1_790_000_240_000_000)
    proof = prove(leaves, [0])[0]
    ack = envelope.encode_ack(SECRET, SITE, WITNESS, envelope.Ack(2, cose.digest(CHAIN[1]), ANCHOR))
    rows = [
        ("Witness key (RFC 8032 7.1 TEST 1): secret", SEED),
        ("public", public(SEED)),
        ("kid", parts.kid),
        ("Fleet key (RFC 8032 7.1 TEST 2): public", public(FLEET_SEED)),
        (f"Plan of {SITE}/{WITNESS}, two targets", PLAN_OCTETS),
        ("its SHA-256", hashlib.sha256(PLAN_OCTETS).digest()),
        ("Body of batch 2: four readings, no event", BODY_OCTETS),
        ("its SHA-256", hashlib.sha256(BODY_OCTETS).digest()),
        ("Batch 1, of which batch 2 is the next", CHAIN[0]),
        ("its digest", cose.digest(CHAIN[0])),
        ("Header of batch 2", HEADER_OCTETS),
        ("Sig_structure", cose.to_be_signed(parts.protected, cose.aad(SITE, WITNESS), parts.payload)),
        ("signature", parts.signature),
        ("COSE_Sign1 of batch 2", CHAIN[1]),
        ("its digest", cose.digest(CHAIN[1])),
        ("ack of batch 2 with an anchor, under the secret 000102..1f", ack),
        ("Enrolment record, payload", enrolment),
        ("COSE_Sign1 by the fleet key", sign(enrolment, FLEET_SEED, b"linewitness/1/enrolment")),
        ("Checkpoint over batch 3 and one item: leaf 0, a head", leaves[0]),
        ("leaf 1, an item", leaves[1]),
        ("path of leaf 0", b"".join(proof.path)),
        ("statement", statement),
        ("imprint", hashlib.sha256(statement).digest()),
    ]
    return "\n\n".join(f"{title} ({len(octets)} octets):\n\n{hexadecimal(octets)}" for title, octets in rows)


if __name__ == "__main__":
    print(example())
