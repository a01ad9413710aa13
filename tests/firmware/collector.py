"""The collector's half of a test office: takes batches, checks form and chain, and acknowledges what it has stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from linewitness_wire import bodies, chain, codes, cose, envelope, plan, record


@dataclass(frozen=True)
class Batch:
    """One verified batch; arrived_us is when it came, by whatever clock the collector was given."""

    kid: bytes
    header: record.Header
    body: record.Body
    digest: bytes
    sign1: cose.Sign1
    octets: int = 0
    trimmed: bool = False
    arrived_us: int = 0

    def check_signature(self, public_key: Ed25519PublicKey, site: str, witness: str) -> None:
        """Raises InvalidSignature unless the key signed this batch for this place."""
        assert cose.kid(public_key.public_bytes_raw()) == self.kid
        message = cose.to_be_signed(self.sign1.protected, cose.aad(site, witness), self.sign1.payload)
        public_key.verify(self.sign1.signature, message)

    def readings(self, name: str, targets: list[plan.Target]) -> list[dict[int, Any]]:
        """The readings of one target."""
        index = [t.name for t in targets].index(name)
        return [reading for reading in self.body.readings if reading[record.TARGET] == index]

    def events(self, kind: int) -> list[list[Any]]:
        """The events of one kind."""
        return [event for event in self.body.events if event[0] == kind]


def fates(reading: dict[int, Any]) -> list[int]:
    """The fates of a reading's samples: in their order where it tells them one by one, else by its counts."""
    if record.SAMPLES in reading:
        return [fate for fate, _ in record.samples(reading[record.SAMPLES])]
    void = reading.get(record.SELF_DELAYED, 0)
    lost = reading[record.SENT] - reading[record.ANSWERED] - void
    return [codes.FATE_ANSWERED] * reading[record.ANSWERED] + [codes.FATE_VOID] * void + [codes.FATE_LOST] * lost


class Collector:
    """`acknowledge` False: a deaf one, which stores and says nothing."""

    def __init__(self, secret: bytes, site: str, witness: str) -> None:
        self._place = (secret, site, witness)
        self._heads: dict[bytes, chain.Head] = {}
        self._digests: set[bytes] = set()
        self.batches: list[Batch] = []
        self.refused: list[str] = []
        self.repeated = 0
        self.acknowledge = True
        self.anchor: bytes | None = None

    def take(self, payload: bytes, arrived_us: int = 0) -> bytes | None:
        """Store a batch; return the frame of its acknowledgement, None for none. Raises ValueError for a bad one."""
        octets, body_octets = envelope.decode_batch(payload)
        sign1 = cose.split(octets)
        header = record.decode_header(sign1.payload)
        digest = cose.digest(octets)
        head = self._heads.get(sign1.kid, chain.START)
        if header.seq > head.seq:
            self._heads[sign1.kid] = chain.follow(head, header, digest)
            body = record.Body([], []) if body_octets is None else bodies.read(header, body_octets)
            self._digests.add(digest)
            self.batches.append(
                Batch(sign1.kid, header, body, digest, sign1, len(payload), body_octets is None, arrived_us)
            )
        elif digest not in self._digests:
            raise ValueError(f"fork at {header.seq}")
        else:
            self.repeated += 1
        if not self.acknowledge:
            return None
        return envelope.encode_ack(*self._place, envelope.Ack(header.seq, digest, self.anchor))
