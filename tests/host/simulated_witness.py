"""A witness without a board: signs and chains real batches under its own key, for tests and benchmarks of the host."""

from __future__ import annotations

import hashlib
import time

from nacl.signing import SigningKey

from linewitness.ledger import Enrolment, NewBatch
from linewitness_wire import bodies, codes, cose, record
from linewitness_wire.envelope import encode_batch

MINUTE_US = 60_000_000


class SimulatedWitness:
    """Batches of one minute each from seq 1 on; `start_utc_us` is when the first begins."""

    def __init__(self, site: str = "leeds", witness: str = "w1", *, seed: int = 1, readings: int = 12) -> None:
        self.site, self.witness, self.readings = site, witness, readings
        self.key = SigningKey(hashlib.sha256(f"{site}/{witness}/{seed}".encode()).digest())
        self.public_key = bytes(self.key.verify_key)
        self.kid = cose.kid(self.public_key)
        self.seq, self.previous, self.boot, self.now_us = 0, record.NO_PREVIOUS, 1, 0
        self.start_utc_us = 1_790_000_000_000_000
        self.plan = hashlib.sha256(b"plan").digest()
        self.events: list[list[int]] = []  # of every batch to come

    def enrolment(self) -> Enrolment:
        firmware = hashlib.sha256(b"firmware").digest()
        return Enrolment(
            self.site, self.witness, self.kid, self.public_key, firmware, 1, self.start_utc_us, b"record of " + self.kid
        )

    def body(self) -> bytes:
        rtt = [20_000 + self.seq, 21_000 + self.seq, 24_000 + self.seq, 30_000 + self.seq]
        readings = [
            {
                record.TARGET: target,
                record.START_US: 0,
                record.SPAN_US: MINUTE_US,
                record.SENT: 6,
                record.ANSWERED: 6,
                record.RTT_US: rtt,
                record.SAMPLES: b"".join(record.pack_sample(codes.FATE_ANSWERED, i * 10_000_000) for i in range(6)),
            }
            for target in range(self.readings)
        ]
        return bodies.encode(record.Body(readings, self.events), MINUTE_US)

    def batch(self, *, previous: bytes | None = None, anchor: bytes | None = None) -> tuple[bytes, bytes]:
        """Return (cose, body) of the next batch, and move on."""
        body = self.body()
        self.seq += 1
        start, self.now_us = self.now_us, self.now_us + MINUTE_US
        clock = record.Clock(self.start_utc_us + self.now_us, 20_000, codes.CLOCK_SNTP, 30)
        header = record.Header(
            self.seq,
            self.previous if previous is None else previous,
            self.boot,
            start,
            self.now_us,
            clock,
            self.plan,
            hashlib.sha256(b"firmware").digest(),
            hashlib.sha256(body).digest(),
            (self.readings, len(self.events), len(body)),
            anchor,
        )
        octets = self.sign(record.encode_header(header))
        self.previous = cose.digest(octets)
        return octets, body

    def sign(self, payload: bytes) -> bytes:
        """Return the COSE_Sign1 of a payload under this witness's key and place."""
        message = cose.to_be_signed(cose.protected(self.kid), cose.aad(self.site, self.witness), payload)
        return cose.join(self.kid, payload, self.key.sign(message).signature)

    def payload(self) -> bytes:
        """Return the MQTT payload of the next batch."""
        return encode_batch(*self.batch())

    def new_batch(self, **changes: object) -> NewBatch:
        """Return the next batch as the collector hands it to the ledger."""
        octets, body = self.batch(**changes)
        return stored_form(self, octets, body)

    @property
    def topic(self) -> str:
        return f"linewitness/1/{self.site}/{self.witness}/batch"


def stored_form(witness: SimulatedWitness, octets: bytes, body: bytes | None) -> NewBatch:
    header = record.decode_header(cose.split(octets).payload)
    received_us = time.time_ns() // 1000
    return NewBatch(witness.site, witness.witness, witness.kid, header, cose.digest(octets), octets, body, received_us)
