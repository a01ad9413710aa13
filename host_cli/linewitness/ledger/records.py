"""What the ledger holds, as values. Times are UTC in microseconds since 1970; digests and keys are octets."""

from __future__ import annotations

from dataclasses import dataclass

from linewitness_wire.record import Header

ITEM_KINDS = (
    "snapshot",  # one fetch of a status page, raw
    "outage",  # what the provider's status page said, normalised
    "plan",  # the octets of a plan that a witness got; name SITE/WITNESS; its SHA-256 stands in the batches
    "publication",  # a signed plan as published before a term
    "contract",  # the contract as it stood
    "ticket",  # what was reported and answered; name: provider, tab, number
    "claim",  # what was asked for a month, and what came of it; name: contract, tab, month
    "reminder",  # what was told to whom; name: channel, tab, key
    "enrolment",  # COSE_Sign1 by the fleet key: this key is this witness; name SITE/WITNESS
    "retirement",  # COSE_Sign1 by the fleet key: from now on it is not; name SITE/WITNESS
    "checkpoint",  # a Merkle root over the ledger
    "timestamp",  # RFC 3161 token over a checkpoint; name: SHA-256 of the checkpoint's octets in hex
    "verdict",  # what settling said
    "capacity",  # how many calls a site's line carried, as measured; name: SITE
    "power",  # what a power monitor at a site said; name: SITE/MONITOR
)

STORED = "stored"
DUPLICATE = "duplicate"
FORK = "fork"


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch that was verified and is to be stored. body is None where it was trimmed."""

    site: str
    witness: str
    kid: bytes
    header: Header
    digest: bytes
    cose: bytes
    body: bytes | None
    received_us: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a NewBatch: STORED, DUPLICATE (already there: nothing written) or FORK (kept in quarantine).

    missing counts the sequence numbers not (yet) there right before it; finding says what does not fit, if anything.
    All three are durable, so all three may be acknowledged.
    """

    status: str
    missing: int = 0
    finding: str | None = None


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch as it was received; row numbers the ledger's batches in the order of their arrival."""

    site: str
    witness: str
    kid: bytes
    seq: int
    digest: bytes
    cose: bytes
    body: bytes | None
    received_us: int
    row: int


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The newest batch of a key, and how complete what stands before it is.

    [seq, digest, boot, end_us] are those of linewitness_wire.chain.Head; batches counts what is stored, missing the
    sequence numbers from 1 to seq that are not; utc_us is the witness's own time at end_us, None when never set.
    """

    site: str
    witness: str
    kid: bytes
    seq: int
    digest: bytes
    boot: int
    end_us: int
    utc_us: int | None
    received_us: int
    batches: int
    missing: int


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One key of one witness: record is the COSE_Sign1 by the fleet key that says so."""

    site: str
    witness: str
    kid: bytes
    public_key: bytes
    firmware: bytes
    board: int
    enrolled_us: int
    record: bytes
    retired_us: int | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of evidence other than a batch; row grows with every item."""

    row: int
    kind: str
    name: str
    sha256: bytes
    content: bytes
    recorded_us: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit: kind is a short word (fork, backwards, forged, malformed, unknown, retired...).

    topic says where it came from, payload is what was received when that is not in the ledger otherwise (quarantine),
    count how often the same octets came.
    """

    kind: str
    site: str
    witness: str
    seq: int | None
    text: str
    found_us: int
    payload: bytes | None = None
    count: int = 1
