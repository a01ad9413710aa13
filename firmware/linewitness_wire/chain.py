"""The hash chain of a witness: each batch names the one before, so none can be left out, altered or put elsewhere."""

from collections import namedtuple

from .errors import Backwards, Fork, Gap
from .record import NO_PREVIOUS, Header

Head = namedtuple("Head", ("seq", "digest", "boot", "end_us"))
"""The newest batch of a chain: sequence number, SHA-256 of its COSE_Sign1, boot count, end of its time."""

START = Head(0, NO_PREVIOUS, 0, 0)
"""What stands before the first batch of a key."""


def follow(head: Head, header: Header, digest: bytes) -> Head:
    """Return the Head after the batch (header, digest), which must follow head.

    Raises Gap (a later number: something was left out), Backwards (an earlier number, boot or time: reordered or
    replayed), Fork (the same number again, or the right number after another predecessor).
    """
    if header.seq > head.seq + 1:
        raise Gap("seq %d after %d: %d left out" % (header.seq, head.seq, header.seq - head.seq - 1))
    if header.seq == head.seq:
        if digest == head.digest:
            raise Backwards("seq %d twice" % header.seq)
        raise Fork("two batches with seq %d" % header.seq)
    if header.seq < head.seq:
        raise Backwards("seq %d after %d" % (header.seq, head.seq))
    if header.previous != head.digest:
        raise Fork("seq %d does not name the batch with seq %d as its predecessor" % (header.seq, head.seq))
    if header.boot < head.boot:
        raise Backwards("seq %d: boot %d after boot %d" % (header.seq, header.boot, head.boot))
    if header.boot == head.boot and header.start_us < head.end_us:
        raise Backwards("seq %d begins %d us before its predecessor ends" % (header.seq, head.end_us - header.start_us))
    return Head(header.seq, digest, header.boot, header.end_us)
