"""Enrolment: whose key is it? Asked of the board over its own serial line, answered with a proof of possession.

The enrolment's record is evidence.enrolment's. A retirement's is a COSE_Sign1 by the fleet key with external_aad
"linewitness/1/retirement" over {0: 1, 1: site, 2: witness, 3: public key, 4: retired_utc_us}.
"""

from __future__ import annotations

import secrets as randomness
from dataclasses import dataclass
from typing import Any

from linewitness.device.prompt import Prompt
from linewitness.errors import Refused
from linewitness.evidence import ed25519
from linewitness.evidence.enrolment import Enrolment as Record
from linewitness.evidence.enrolment import seal_enrolment
from linewitness.evidence.signed import Signer
from linewitness.ledger import Enrolment
from linewitness_wire import cbor, cose

NONCE_OCTETS = 32
SIGNING_TIMEOUT_S = 120  # key generation and a signature on the slowest board, many times over
AAD_RETIREMENT = b"linewitness/1/retirement"

_SHOW = "import witness.identity\nwitness.identity.show('%s')"
_BOARD = "import json\nfrom witness.board import BOARDS\nprint(BOARDS[json.load(open('/config.json'))['board']][0])"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a board proved about itself: its public key, and what it says of its firmware and kind."""

    public_key: bytes
    firmware: bytes
    board: int


def ask_identity(prompt: Prompt, site: str, witness: str) -> Identity:
    """Return the identity of the board behind prompt. Raises Refused for a proof that fails, CannotDo for no answer."""
    nonce = randomness.token_bytes(NONCE_OCTETS)
    statement = prompt.ask(_SHOW % nonce.hex(), timeout_s=SIGNING_TIMEOUT_S)
    return check_statement(statement, site, witness, nonce, prompt.ask(_BOARD), prompt.port)


def check_statement(statement: Any, site: str, witness: str, nonce: bytes, board: int, where: str) -> Identity:
    """Return the identity in a statement for this place and nonce, made by the holder of its key. Raises Refused."""
    try:
        place = (statement["site"], statement["witness"])
        public_key, kid, said_nonce, signature, firmware = (
            bytes.fromhex(statement[name]) for name in ("public_key", "kid", "nonce", "signature", "firmware")
        )
    except (TypeError, KeyError, ValueError) as e:
        raise Refused(f"not an enrolment statement: {e!r}", where, "linewitness witness flash") from e
    if place != (site, witness):
        raise Refused(f"this board is {'/'.join(map(str, place))}", where, f"the board of {site}/{witness}")
    if said_nonce != nonce or len(firmware) != 32:
        raise Refused("the statement answers another question than ours", where, "linewitness witness flash")
    message = b"linewitness/1/enrol\0" + site.encode() + b"\0" + witness.encode() + b"\0" + nonce
    try:
        ed25519.check_key(public_key)
        ed25519.check(public_key, message, signature)
    except (ed25519.BadKey, ed25519.BadSignature) as e:
        raise Refused(f"the board does not prove its key: {e}", where, "linewitness witness flash") from e
    if kid != cose.kid(public_key):
        raise Refused("the board's kid is not its key's", where, "linewitness witness flash")
    return Identity(public_key, firmware, board)


def enrolment_of(identity: Identity, site: str, witness: str, now_us: int, fleet: Signer) -> Enrolment:
    """Return the enrolment of an identity with its record, signed by the fleet key. Raises a WireError."""
    key, firmware, board = identity.public_key, identity.firmware, identity.board
    record = seal_enrolment(Record(site, witness, key, firmware, now_us, board), fleet)
    return Enrolment(site, witness, cose.kid(key), key, firmware, board, now_us, record)


def retirement_of(known: Enrolment, now_us: int, fleet: Signer) -> bytes:
    """Return the record, signed by the fleet key, that ends an enrolment."""
    payload = cbor.encode({0: 1, 1: known.site, 2: known.witness, 3: known.public_key, 4: now_us})
    return fleet.seal(payload, AAD_RETIREMENT)
