"""The frames of a journal's segments, octet for octet; the grid is drawn in journal.py. No file is opened here."""

import hashlib
import struct
from collections import namedtuple

from linewitness_wire import chain, cose, record

FRAME_HEAD_OCTETS = 16
KIND_HEAD, KIND_BATCH, KIND_BOOT, KIND_ACK = 1, 2, 3, 4
FLAG_QUIET = 1  # nothing changed in this batch: its body goes first
HEAD_FRAME_OCTETS = FRAME_HEAD_OCTETS + 56
ACK_FRAME_OCTETS = FRAME_HEAD_OCTETS + 44  # at most

Frame = namedtuple("Frame", ("kind", "flags", "seq", "part_a", "part_b", "end"))

Found = namedtuple("Found", ("kid", "head", "boot", "end", "torn", "damaged", "acknowledged", "anchor"))
"""What the whole frames of a segment say. end: of the last of them. torn: something follows that is no whole frame.
damaged: whole frames follow that, or the first is none, so that this is no power cut and the head may be older than
what was published. acknowledged: (segment, kid, seq) or None."""


def check(octets: bytes) -> bytes:
    """Four octets by which torn and damaged ones are told."""
    return hashlib.sha256(octets).digest()[:4]


def frame(kind: int, flags: int, seq: int, part_a: bytes, part_b: bytes) -> bytes:
    """Return the octets of a frame."""
    head = struct.pack(">2sBBIHH", b"LW", kind, flags, seq, len(part_a), len(part_b))
    return head + check(head + part_a + part_b) + part_a + part_b


def read_frame(file, at: int) -> "Frame | None":
    """The whole frame that begins at `at`, where the file stands; None for the end of the file or a torn tail."""
    head = file.read(FRAME_HEAD_OCTETS)
    if len(head) < FRAME_HEAD_OCTETS or head[:2] != b"LW":
        return None
    _, kind, flags, seq, length_a, length_b = struct.unpack(">2sBBIHH", head[:12])
    parts = file.read(length_a + length_b)
    if len(parts) < length_a + length_b or check(head[:12] + parts) != head[12:]:
        return None
    return Frame(kind, flags, seq, parts[:length_a], parts[length_a:], at + FRAME_HEAD_OCTETS + len(parts))


def head_frame(kid: bytes, head: chain.Head, boot: int) -> bytes:
    """The HEAD frame of a segment that is begun after `head`."""
    before = kid + head.digest + struct.pack(">IQI", head.boot, head.end_us, boot)
    return frame(KIND_HEAD, 0, head.seq, before, b"")


def ack_frame(segment: int, kid: bytes, seq: int, anchor: "bytes | None") -> bytes:
    """The ACK frame that says what is acknowledged by now; the anchor where it is new."""
    return frame(KIND_ACK, 0, seq, kid + struct.pack(">I", segment), anchor or b"")


def scan(file, octets: int) -> Found:
    """Read all frames of a segment of so many octets."""
    kid, head, boot, end = b"", chain.START, 0, 0
    acknowledged = anchor = None
    while True:
        each = read_frame(file, end)
        if each is None:
            break
        if each.kind == KIND_HEAD:
            kid = each.part_a[:8]
            last_boot, end_us, boot = struct.unpack(">IQI", each.part_a[40:])
            head = chain.Head(each.seq, each.part_a[8:40], last_boot, end_us)
        elif each.kind == KIND_BATCH:
            header = record.decode_header(cose.split(each.part_a).payload)
            head = chain.Head(header.seq, cose.digest(each.part_a), header.boot, header.end_us)
            boot = max(boot, head.boot)
        elif each.kind == KIND_BOOT:
            boot = max(boot, each.seq)
        elif each.kind == KIND_ACK:
            acknowledged = (struct.unpack(">I", each.part_a[8:])[0], each.part_a[:8], each.seq)
            anchor = each.part_b or anchor
        end = each.end
    torn = octets != end
    damaged = not kid or (torn and _frame_follows(file, end + 1))
    return Found(kid, head, boot, end, torn, damaged, acknowledged, anchor)


def _frame_follows(file, at: int) -> bool:
    """Whether a whole frame begins anywhere at or after `at`."""
    file.seek(at)
    rest = file.read()
    place = rest.find(b"LW")
    while place >= 0:
        file.seek(at + place)
        if read_frame(file, at + place) is not None:
            return True
        place = rest.find(b"LW", place + 1)
    return False
