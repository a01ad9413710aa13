"""The batches of one witness key, from first to last: each one's signature, header and body, and the chain between.

A file is a CBOR sequence (RFC 8742) of [COSE_Sign1, body or null], in the order of the sequence numbers. A bad batch is
named once and the walk goes on behind it, so that one alteration gives one finding and not one for each batch after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from linewitness.evidence.batch import Batch, check_batch, check_body, peek_seq
from linewitness.evidence.enrolment import Enrolment
from linewitness.evidence.findings import Findings
from linewitness.evidence.summary import ranges, stated_trims
from linewitness_wire import cbor, chain
from linewitness_wire.errors import Gap, WireError, WrongType


@dataclass(slots=True)
class Walk:
    """What the file of one witness key holds: the batches that verified, in order, and the numbers that did not."""

    enrolment: Enrolment
    batches: list[Batch] = field(default_factory=list)
    bad: set[int] = field(default_factory=set)
    digests: dict[int, bytes] = field(default_factory=dict)

    @property
    def witness(self) -> str:
        return f"{self.enrolment.site}/{self.enrolment.witness}"

    @property
    def first_seq(self) -> int | None:
        return self.batches[0].header.seq if self.batches else None

    @property
    def last_seq(self) -> int:
        """The greatest number seen, good or bad; 0 without any."""
        return max([self.batches[-1].header.seq if self.batches else 0, *self.bad])

    def digest_of(self, seq: int) -> bytes | None:
        """Return the SHA-256 of the batch with this number, also of the one right before the first; None if unknown."""
        if not self.batches:
            return None
        first = self.batches[0].header
        if seq == first.seq - 1:
            previous: bytes = first.previous
            return previous
        return self.digests.get(seq)


def walk(enrolment: Enrolment, octets: bytes, findings: Findings) -> Walk:
    """Return the Walk over a batch file; what does not hold goes to findings."""
    result = Walk(enrolment)
    head: chain.Head | None = None
    i = 0
    while i < len(octets):
        following = 1 if head is None else head.seq + 1
        try:
            value, i = cbor.decode_prefix(octets, i)
            signed, body = _pair(value)
        except WireError as e:
            findings.refuse(f"the file can't be read on from octet {i}: {e}", result.witness, following)
            result.bad.add(following)
            break
        try:
            batch = check_batch(signed, None, enrolment.public_key, enrolment.site, enrolment.witness)
        except WireError as e:
            seq = peek_seq(signed) or following
            findings.refuse(f"{type(e).__name__}: {e}", result.witness, seq)
            result.bad.add(seq)
            continue
        follower = _follow(head, batch, result, findings)
        if follower is None:
            continue
        head = follower
        result.digests[batch.header.seq] = batch.digest
        result.batches.append(_with_body(batch, body, result, findings))
    _name_missing_bodies(result, findings)
    return result


def _pair(value: object) -> tuple[bytes, bytes | None]:
    if isinstance(value, list) and len(value) == 2:
        signed, body = value
        if isinstance(signed, bytes) and (body is None or isinstance(body, bytes)):
            return signed, body
    raise WrongType("wanted [COSE_Sign1, body or null]")


def _follow(head: chain.Head | None, batch: Batch, result: Walk, findings: Findings) -> chain.Head | None:
    """Return the new head; None where the batch has no place here (a replay or a second one with its number)."""
    header = batch.header
    place = chain.Head(header.seq, batch.digest, header.boot, header.end_us)
    if head is None:  # nothing before it in the file: a checkpoint has to vouch for its predecessor
        head = chain.START if header.seq == 1 else chain.Head(header.seq - 1, header.previous, header.boot, 0)
    if header.seq > head.seq + 1 and result.bad.issuperset(range(head.seq + 1, header.seq)):
        return place  # all between are named already, and what they hashed to is not known
    try:
        follower: chain.Head = chain.follow(head, header, batch.digest)
    except Gap as e:
        missing = f"{head.seq + 1}..{header.seq - 1}" if header.seq - head.seq > 2 else f"{head.seq + 1}"
        findings.refuse(f"batch {missing} is missing: {e}", result.witness, head.seq + 1)
        result.bad.update(range(head.seq + 1, header.seq))
        return place
    except WireError as e:
        findings.refuse(f"{type(e).__name__}: {e}", result.witness, header.seq)
        result.bad.add(header.seq)
        return place if header.seq == head.seq + 1 else None
    return follower


def _with_body(batch: Batch, body: bytes | None, result: Walk, findings: Findings) -> Batch:
    if body is None:
        return batch
    try:
        return Batch(batch.header, check_body(batch.header, body), batch.digest)
    except WireError as e:
        findings.refuse(f"{type(e).__name__}: {e}", result.witness, batch.header.seq)
        return batch


def _name_missing_bodies(result: Walk, findings: Findings) -> None:
    stated = stated_trims(result.batches)
    gone = [batch.header.seq for batch in result.batches if batch.body is None and batch.header.seq not in result.bad]
    trimmed = [seq for seq in gone if any(first <= seq <= last for first, last in stated)]
    for first, last in ranges(trimmed):
        findings.incomplete(f"the readings of {first}..{last} are gone: trimmed by the witness", result.witness, first)
    for first, last in ranges(seq for seq in gone if seq not in set(trimmed)):
        findings.incomplete(
            f"the readings of {first}..{last} are not here, and the witness says nothing of trimming them",
            result.witness,
            first,
        )
