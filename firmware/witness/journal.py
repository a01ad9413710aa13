"""The witness's flash store: its key, the head of its chain, and every batch that the collector has not acknowledged.

    key             the 32-octet seed | 4 octets of check
    00000001.seg    segments, in the order in which they were begun; each is a row of frames
    state           CBOR [segment, kid, seq, command counter, anchor] | check: what is acknowledged; written rarely

    frame: +0 'L' 'W' | +2 kind | +3 flags | +4 seq (4) | +8 octets of part A (2) | +10 of part B (2) | +12 check (4)
           +16 part A | part B          big-endian; check = first 4 octets of SHA-256 over the frame without it
      HEAD  begins each segment. seq and A: the chain before it, A = kid (8) | digest (32) | boot of that batch (4) |
            its end_us (8) | boot count when the segment was begun (4)
      BATCH seq of the batch, A: COSE_Sign1, B: body (empty where it was trimmed); flags: QUIET
      BOOT  seq: the boot count that begins here

Rules, whatever the moment at which the power fails:
- A frame counts when it is whole; reading a segment ends at the first that is not (a torn tail), and what is written
  next begins a new segment. `append` returns after the file was flushed: a batch is durable before it is published.
- The head of the chain is the last whole frame of the newest segment that has one of this key. A key without such a
  head, or whose head is older than what `state` knows to be acknowledged, is retired for a new one with a chain of its
  own: the same number can't be signed twice. A retired key's batches stay until they are acknowledged.
- The newest segment is never deleted, so neither is the newest batch. Acknowledged segments go first, oldest first, and
  only when their room is needed; then bodies (never headers) are dropped, oldest quiet ones first, then oldest.
"""

import hashlib
import os
import struct
from collections import namedtuple

from linewitness_wire import cbor, chain, cose, record

SEGMENT_OCTETS = 16_384
FRAME_HEAD_OCTETS = 16
HEAD_FRAME_OCTETS = FRAME_HEAD_OCTETS + 56
KIND_HEAD, KIND_BATCH, KIND_BOOT = 1, 2, 3
FLAG_QUIET = 1  # nothing changed in this batch: its body goes first

Entry = namedtuple("Entry", ("kid", "seq", "cose", "body", "segment", "end"))
"""One batch of the journal: kid of its key, sequence number, COSE_Sign1, body or None where it was trimmed; its segment
and the offset behind it."""

_Frame = namedtuple("_Frame", ("kind", "flags", "seq", "part_a", "part_b", "end"))


RESERVE_OCTETS = 65_536  # of the file system, for what is not the journal's and for writing a segment again
BLOCK_OCTETS = 4096  # littlefs gives a file whole blocks


class JournalFull(Exception):
    """There is room for no further header; nothing was written."""


def _check(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()[:4]


def _frame(kind: int, flags: int, seq: int, part_a: bytes, part_b: bytes) -> bytes:
    head = struct.pack(">2sBBIHH", b"LW", kind, flags, seq, len(part_a), len(part_b))
    return head + _check(head + part_a + part_b) + part_a + part_b


def _read_frame(file, at: int) -> "_Frame | None":
    """The whole frame that begins at `at`, where the file stands; None for the end of the file or a torn tail."""
    head = file.read(FRAME_HEAD_OCTETS)
    if len(head) < FRAME_HEAD_OCTETS or head[:2] != b"LW":
        return None
    _, kind, flags, seq, length_a, length_b = struct.unpack(">2sBBIHH", head[:12])
    parts = file.read(length_a + length_b)
    if len(parts) < length_a + length_b or _check(head[:12] + parts) != head[12:]:
        return None
    return _Frame(kind, flags, seq, parts[:length_a], parts[length_a:], at + FRAME_HEAD_OCTETS + len(parts))


def _head_frame(kid: bytes, head: chain.Head, boot: int) -> bytes:
    before = kid + head.digest + struct.pack(">IQI", head.boot, head.end_us, boot)
    return _frame(KIND_HEAD, 0, head.seq, before, b"")


def _head_after(frame) -> chain.Head:
    """The head of the chain after a BATCH frame."""
    header = record.decode_header(cose.split(frame.part_a).payload)
    return chain.Head(header.seq, cose.digest(frame.part_a), header.boot, header.end_us)


def _blocks(octets: int) -> int:
    return (octets + BLOCK_OCTETS - 1) // BLOCK_OCTETS * BLOCK_OCTETS


def _frame_follows(file, at: int) -> bool:
    """Whether a whole frame begins anywhere at or after `at`."""
    file.seek(at)
    rest = file.read()
    place = rest.find(b"LW")
    while place >= 0:
        file.seek(at + place)
        if _read_frame(file, at + place) is not None:
            return True
        place = rest.find(b"LW", place + 1)
    return False


def read_checked(path: str) -> "bytes | None":
    """The octets of a file that ends in their check; None where it is missing or torn."""
    try:
        with open(path, "rb") as file:
            octets = file.read()
    except OSError:
        return None
    if len(octets) < 4 or _check(octets[:-4]) != octets[-4:]:
        return None
    return octets[:-4]


def write_checked(path: str, octets: bytes) -> None:
    """Put octets and their check into the place of a file at once: a power cut leaves the old or the new."""
    with open(path + ".new", "wb") as file:
        file.write(octets + _check(octets))
        file.flush()
    os.rename(path + ".new", path)


class Journal:
    """The journal in a folder of its own. free_octets: what the file system has left; make_signer(seed) returns the
    key's signer, which has its `kid`.

    Opened by open(); then `signer`, `kid`, `head` (of the chain), `boot` (this boot's number), `anchor`,
    `command_counter` and `retired` (opening found a key without a valid head) stand.
    """

    def __init__(self, folder: str, free_octets: int, urandom, make_signer) -> None:
        self._folder = folder
        self._room_octets = free_octets - RESERVE_OCTETS
        self._urandom = urandom
        self._make_signer = make_signer
        self._oldest = self._newest = 0
        self._used_octets = 0
        self._appending_at: "int | None" = None  # in the newest segment; None: the next frame begins a new one
        self._trimmed_quiet = 0  # the segments up to this one have lost their quiet bodies
        self._trimmed_all = 0  # ... all their bodies
        self._trims: "list[tuple[int, int, int]]" = []
        self._acknowledged = (0, b"", 0)  # segment, kid, seq; in flash it may be older: then some are sent again
        self._cursor = (0, 0)  # segment and offset of the next frame to send
        self._skip = (b"", 0)  # batches of this key up to this number are not sent from there
        self.signer: "object | None" = None
        self.kid = b""
        self.head = chain.START
        self.boot = 0
        self.anchor: "bytes | None" = None
        self.command_counter = 0
        self.retired = False

    # --- opening ---

    def open(self, begin_boot: bool = True) -> None:
        """Recover key and head from flash, or begin a new chain, and number this boot. Raises OSError."""
        if self._folder.split("/")[-1] not in os.listdir(self._folder[: self._folder.rfind("/")] or "/"):
            os.mkdir(self._folder)
        numbers = self._list()
        self._load_state()
        self._room_octets += self._used_octets
        seed = read_checked(self._folder + "/key")
        if seed is not None:
            self._hold(seed)
        self._recover(numbers)
        if begin_boot:
            self.boot += 1
            self._write(_frame(KIND_BOOT, 0, self.boot, b"", b""), False)
        segment, kid, seq = self._acknowledged
        self._cursor = (max(self._oldest, segment), 0)
        self._skip = (kid, seq)

    def _list(self) -> list:
        """The numbers of the segments, ascending; leftovers of a power cut are removed."""
        numbers = []
        for name in os.listdir(self._folder):
            if name.endswith(".new"):
                os.remove(self._folder + "/" + name)
            elif name.endswith(".seg"):
                number = int(name[:-4])
                size = os.stat(self._segment(number))[6]
                if size < HEAD_FRAME_OCTETS:
                    os.remove(self._segment(number))  # cut before its first frame was whole: nothing was in it
                    continue
                numbers.append(number)
                self._used_octets += _blocks(size)
        numbers.sort()
        if numbers:
            self._oldest, self._newest = numbers[0], numbers[-1]
        return numbers

    def _load_state(self) -> None:
        octets = read_checked(self._folder + "/state")
        fields = None if octets is None else cbor.decode(octets)
        if isinstance(fields, list):
            segment, kid, seq, self.command_counter, self.anchor = fields
            self._acknowledged = (segment, kid, seq)

    def _store_state(self) -> None:
        fields = list(self._acknowledged) + [self.command_counter, self.anchor]
        write_checked(self._folder + "/state", cbor.encode(fields))

    def _recover(self, numbers: list) -> None:
        if numbers:
            kid, head, self.boot, end, torn, damaged = self._scan(self._newest)
            if not torn:
                self._appending_at = end
            known = self._acknowledged
            behind = known[1] == kid and known[2] > head.seq
            if self.kid and kid == self.kid and not damaged and not behind:
                self.head = head
                return
        self.retired = bool(self.kid)
        self._begin_key()

    def _begin_key(self) -> None:
        """Make a new key. The segment that begins its chain is written first: a key without it would be retired."""
        seed = self._urandom(32)
        self._hold(seed)
        self.head = chain.START
        self._begin_segment()
        write_checked(self._folder + "/key", seed)

    def _hold(self, seed: bytes) -> None:
        """Sign with the key of this seed from now on."""
        self.signer = signer = self._make_signer(seed)
        self.kid = signer.kid

    def _scan(self, number: int) -> tuple:
        """(kid, head, boot, end of the whole frames, torn, damaged) of a segment.

        torn: something follows that is no whole frame. damaged: whole frames follow that, or the first is none, so that
        this is no power cut and the head may be older than what was published.
        """
        kid, head, boot, end = b"", chain.START, 0, 0
        with open(self._segment(number), "rb") as file:
            while True:
                frame = _read_frame(file, end)
                if frame is None:
                    break
                if frame.kind == KIND_HEAD:
                    kid = frame.part_a[:8]
                    last_boot, end_us, boot = struct.unpack(">IQI", frame.part_a[40:])
                    head = chain.Head(frame.seq, frame.part_a[8:40], last_boot, end_us)
                elif frame.kind == KIND_BATCH:
                    head = _head_after(frame)
                    boot = max(boot, head.boot)
                elif frame.kind == KIND_BOOT:
                    boot = max(boot, frame.seq)
                end = frame.end
            torn = os.stat(self._segment(number))[6] != end
            damaged = not kid or (torn and _frame_follows(file, end + 1))
        return kid, head, boot, end, torn, damaged

    def _segment(self, number: int) -> str:
        return "%s/%08d.seg" % (self._folder, number)

    # --- writing ---

    def append(self, cose_octets: bytes, body: bytes, header, quiet: bool) -> None:
        """Make the next batch durable and take it for the head.

        Raises JournalFull, OSError or a ChainError; then nothing of it counts and the head stays.
        """
        head = chain.follow(self.head, header, cose.digest(cose_octets))
        try:
            self._write(_frame(KIND_BATCH, FLAG_QUIET if quiet else 0, header.seq, cose_octets, body), True)
        except OSError:
            # What failed may have reached the flash whole: signing its number again would be a fork.
            if self._scan(self._newest)[1].digest != head.digest:
                raise
        self.head = head

    def _write(self, octets: bytes, limited: bool) -> None:
        """Append to the newest segment, or begin one. A BOOT frame is written even where no room is left."""
        at = self._appending_at
        if at is None or at + len(octets) > SEGMENT_OCTETS:
            if limited:
                self._make_room()
            at = self._begin_segment()
        self._appending_at = None  # until it is known to be whole; after a failure a new segment is begun
        with open(self._segment(self._newest), "ab") as file:
            file.write(octets)
            file.flush()
        self._appending_at = at + len(octets)
        self._used_octets += _blocks(self._appending_at) - _blocks(at)

    def _begin_segment(self) -> int:
        """Begin the newest segment with the head of the chain; return how many octets it has."""
        octets = _head_frame(self.kid, self.head, self.boot)
        number = self._newest + 1
        with open(self._segment(number), "wb") as file:
            file.write(octets)
            file.flush()
        self._newest = number
        if not self._oldest:
            self._oldest = number
        self._appending_at = len(octets)
        self._used_octets += _blocks(len(octets))
        return len(octets)

    # --- room ---

    def _make_room(self) -> None:
        """Free what a new segment needs. Raises JournalFull."""
        while self._used_octets + SEGMENT_OCTETS > self._room_octets:
            if self._oldest < min(self._acknowledged[0], self._newest):
                self._drop_oldest()
            elif self._trimmed_quiet < self._newest:
                self._trimmed_quiet = max(self._trimmed_quiet + 1, self._oldest)
                self._trim(self._trimmed_quiet, True)
            elif self._trimmed_all < self._newest:
                self._trimmed_all = max(self._trimmed_all + 1, self._oldest)
                self._trim(self._trimmed_all, False)
            else:
                raise JournalFull("no room for another header in %d octets" % self._room_octets)

    def _drop_oldest(self) -> None:
        path = self._segment(self._oldest)
        try:
            size = os.stat(path)[6]
            os.remove(path)
            self._used_octets -= _blocks(size)
        except OSError:
            pass  # a number that a power cut left out
        self._oldest += 1
        if self._cursor[0] < self._oldest:
            self._cursor = (self._oldest, 0)

    def _trim(self, number: int, quiet_only: bool) -> None:
        """Write a segment again without its (quiet) bodies; a power cut leaves the old or the new."""
        path = self._segment(number)
        dropped = []
        try:
            source = open(path, "rb")
        except OSError:
            return  # a number that a power cut left out
        size = end = 0
        with source, open(path + ".new", "wb") as target:
            while True:
                frame = _read_frame(source, end)
                if frame is None:
                    break
                end = frame.end
                body = frame.part_b
                if body and (frame.flags & FLAG_QUIET or not quiet_only):
                    body = b""
                    dropped.append(frame.seq)
                target.write(_frame(frame.kind, frame.flags, frame.seq, frame.part_a, body))
                size += FRAME_HEAD_OCTETS + len(frame.part_a) + len(body)
            target.flush()
        if not dropped:
            os.remove(path + ".new")
            return
        os.rename(path + ".new", path)
        self._used_octets -= _blocks(end) - _blocks(size)
        self._trims.append((dropped[0], dropped[-1], len(dropped)))
        if number == self._newest:
            self._appending_at = size
        if self._cursor[0] == number:
            self._cursor = (number, 0)

    def take_trims(self) -> list:
        """[(first seq, last seq, how many), ...] of the bodies dropped since the last call."""
        trims, self._trims = self._trims, []
        return trims

    # --- sending ---

    def next(self) -> "Entry | None":
        """The oldest batch that is not acknowledged, None where all are. Moves on only by acknowledge()."""
        while self._cursor[0] <= self._newest and self._cursor[0]:
            segment, at = self._cursor
            try:
                entry = self._entry(segment, at)
            except OSError:
                entry = None  # a number that a power cut left out
            if entry is not None:
                return entry
            if segment == self._newest:
                return None
            self._cursor = (segment + 1, 0)
        return None

    def _entry(self, segment: int, at: int) -> "Entry | None":
        with open(self._segment(segment), "rb") as file:
            first = _read_frame(file, 0)
            kid = first.part_a[:8] if first is not None and first.kind == KIND_HEAD else b""
            file.seek(at)
            while True:
                frame = _read_frame(file, at)
                if frame is None:
                    return None
                at = frame.end
                skipped = kid == self._skip[0] and frame.seq <= self._skip[1]
                if frame.kind == KIND_BATCH and not skipped:
                    return Entry(kid, frame.seq, frame.part_a, frame.part_b or None, segment, frame.end)
                self._cursor = (segment, at)

    def acknowledge(self, entry: Entry, anchor: "bytes | None") -> None:
        """The collector has stored this entry, which next() gave.

        Raises OSError where that could not be remembered; it is then sent again after the next boot.
        """
        self._cursor = (entry.segment, entry.end)
        self._skip = (entry.kid, entry.seq)
        if anchor is not None:
            self.anchor = anchor
        before = self._acknowledged
        if (entry.segment, entry.seq) > (before[0], before[2]) or entry.segment > before[0]:
            self._acknowledged = (entry.segment, entry.kid, entry.seq)
            if entry.segment != before[0]:
                self._store_state()

    def resend(self, seq: int) -> bool:
        """Send again from this number on, of this key. Returns whether the journal still has it."""
        for number in range(self._newest, self._oldest - 1, -1):
            try:
                with open(self._segment(number), "rb") as file:
                    first = _read_frame(file, 0)
            except OSError:
                continue
            if first is None or first.part_a[:8] != self.kid:
                return False
            if first.seq < seq:
                self._cursor = (number, 0)
                self._skip = (self.kid, seq - 1)
                return seq <= self.head.seq
        return False

    def accept_command(self, counter: int) -> None:
        """Remember durably that the command with this counter was taken. Raises OSError."""
        self.command_counter = counter
        self._store_state()
