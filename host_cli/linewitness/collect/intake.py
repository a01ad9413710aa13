"""Is this a batch of a witness of ours? Octets in, a value out; no I/O but the look-up of who is enrolled.

What the checks are, in this order, and what a failure of each is called:

    malformed   the envelope, COSE_Sign1, header or body is not as docs/wire-format.md has it
    unknown     no enrolled key has this kid
    retired     the key was enrolled, and is no more
    misplaced   the key is another place's than the topic's
    forged      the signature is not that of these octets, or the body not the one that was signed

The place in the chain is the ledger's to check, where the neighbours are.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from linewitness.collect import topics
from linewitness.evidence import ed25519
from linewitness.ledger import Enrolment, Finding, NewBatch
from linewitness_wire import bodies, cose, record
from linewitness_wire.envelope import decode_batch
from linewitness_wire.errors import WireError

_LOOK_AGAIN_S = 1.0  # how often an unknown kid makes us read the enrolments again: enrolling needs no restart


class Intake:
    """Judges batches. enrolments is called at the start and again when an unknown key turns up."""

    def __init__(self, enrolments: Callable[[], list[Enrolment]]) -> None:
        self._read = enrolments
        self._known: dict[bytes, Enrolment] = {}
        self._read_at_s = float("-inf")

    def judge(self, topic: str, payload: bytes, received_us: int) -> NewBatch | Finding:
        """Return the batch in an MQTT message, verified and fit to store, or the finding why it is none."""
        site, witness = topics.place(topic) or ("", "")

        def refuse(kind: str, text: str, seq: int | None = None) -> Finding:
            return Finding(kind, site, witness, seq, text, received_us, payload)

        try:
            octets, body = decode_batch(payload)
            signed = cose.split(octets)
        except WireError as e:
            return refuse("malformed", str(e))
        enrolment = self._enrolment(signed.kid)
        if enrolment is None:
            return refuse("unknown", f"no witness has the key {signed.kid.hex()}")
        if enrolment.retired_us is not None:
            return refuse("retired", f"the key {signed.kid.hex()} of {enrolment.site}/{enrolment.witness} is retired")
        if (enrolment.site, enrolment.witness) != (site, witness):
            return refuse(
                "misplaced", f"a batch of {enrolment.site}/{enrolment.witness} on the topic of {site}/{witness}"
            )
        message = cose.to_be_signed(signed.protected, cose.aad(site, witness), signed.payload)
        try:
            ed25519.check(enrolment.public_key, message, signed.signature)
        except ed25519.BadSignature as e:
            return refuse("forged", str(e))
        try:
            header = record.decode_header(signed.payload)
        except WireError as e:
            return refuse("malformed", str(e))
        if body is not None:
            if hashlib.sha256(body).digest() != header.body:
                return refuse("forged", "the body is not the one that the header names", header.seq)
            try:
                bodies.read(header, body)
            except WireError as e:
                return refuse("malformed", str(e), header.seq)
        return NewBatch(site, witness, signed.kid, header, cose.digest(octets), octets, body, received_us)

    def _enrolment(self, kid: bytes) -> Enrolment | None:
        if kid not in self._known and time.monotonic() - self._read_at_s >= _LOOK_AGAIN_S:
            self._known = {e.kid: e for e in self._read()}
            self._read_at_s = time.monotonic()
        return self._known.get(kid)
