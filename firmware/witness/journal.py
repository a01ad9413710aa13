"""The witness's flash store: its key, the head of its chain, and every batch that the collector has not acknowledged.

    key             the 32-octet seed | 4 octets of check
    00000001.seg    segments, in the order in which they were begun; each is a row of frames
    state           CBOR [segment, kid, seq, command counter, anchor] | check: written with each command
    brief/          segments and state that were written outside the housekeeping slot, until the next one

    frame: +0 'L' 'W' | +2 kind | +3 flags | +4 seq (4) | +8 octets of part A (2) | +10 of part B (2) | +12 check (4)
           +16 part A | part B          big-endian; check = first 4 octets of SHA-256 over the frame without it
      HEAD  begins each segment. seq and A: the chain before it, A = kid (8) | digest (32) | boot of that batch (4) |
            its end_us (8) | boot count when the segment was begun (4)
      BATCH seq of the batch, A: COSE_Sign1, B: body (empty where it was trimmed); flags: QUIET
      BOOT  seq: the boot count that begins here
      ACK   what is acknowledged, written with the next BATCH or BOOT: seq, A: kid (8) | its segment (4), B: the anchor
            where it is new

Rules, whatever the moment at which the power fails:
- A frame counts when it is whole; reading a segment ends at the first that is not (a torn tail), and what is written
  next begins a new segment. `append` returns after the file was flushed: a batch is durable before it is published.
- The head of the chain is the last whole frame of the newest segment that has one of this key. A key without such a
  head, or whose head is older than what `state` knows to be acknowledged, is retired for a new one with a chain of its
  own: the same number can't be signed twice. A retired key's batches stay until they are acknowledged.
- The newest segment is never deleted, so neither is the newest batch. Acknowledged segments go first, oldest first, and
  only when their room is needed; then bodies (never headers) are dropped, oldest quiet ones first, then oldest.
- Nothing is written but by `open`, `append_slices` and `accept_command_slices`: whoever calls them sees to it that no
  call-quality window runs. Acknowledgements that come in between are written with the next batch.
- What is written while the loop runs is written in slices (see slices), in the slot if it can be. littlefs keeps what
  lies in a folder as a log in two blocks. When one is full it writes what still counts to the other: the more files,
  the longer; with many it parts the log, and now and then it moves it, which another folder's log notes: two or three
  erases in one call. So nothing outside the slot touches the segments' folder: a `brief` append goes into a segment in
  `brief`, and a command's state lies there. That folder is made anew in each slot after it was used, so that its log
  has room for BRIEF_PAGES: it is never full, and no slice erases more than the block that it writes. When the pages
  don't suffice, or room has to be made, what is brief waits for the slot (NotNow). There the files are renamed into
  the folder of the rest, oldest first; `open` does the same after a power cut.
"""

import os
from collections import namedtuple

from linewitness_wire import cbor, chain, cose

from .frames import (
    ACK_FRAME_OCTETS,
    FLAG_QUIET,
    FRAME_HEAD_OCTETS,
    HEAD_FRAME_OCTETS,
    KIND_BATCH,
    KIND_BOOT,
    KIND_HEAD,
    ack_frame,
    check,
    frame,
    head_frame,
    read_frame,
    scan,
)  # fmt: skip
from .slices import (
    BLOCK_ENDS,
    BLOCK_OCTETS,
    at_once,
    blocks_octets,
    copied_octets,
    end_slices,
    read_checked,
    replace_slices,
    write_slices,
)  # fmt: skip

SEGMENT_OCTETS = BLOCK_ENDS[-1]
SEGMENT_ROOM_OCTETS = len(BLOCK_ENDS) * BLOCK_OCTETS
COPIED_MOST_OCTETS = 1024  # of a segment's last block, when it is appended to outside the slot
SEGMENTS_MOST = 40  # with acknowledged ones: the more there are, the longer is a slice in the slot
STEPS_MOST = 4  # in one slot: segments dropped or written again, for room
RESERVE_OCTETS = 40_960  # of the file system, for what is not the journal's and for writing a segment again
BRIEF = "/brief"
BRIEF_PAGES = 14  # of 256 octets: a block has 16, of which the folder's beginning takes one; one is left over
INLINE_MOST_OCTETS = 512  # a file up to this size may lie in its folder's log: three pages each time, not one

Entry = namedtuple("Entry", ("kid", "seq", "cose", "body", "segment", "end", "trims"))
"""One batch of the journal: kid of its key, sequence number, COSE_Sign1, body or None where it was trimmed; its segment
and the offset behind it, as it was after so many trims."""


class JournalFull(Exception):
    """There is room for no further header; nothing was written."""


class NotNow(Exception):
    """This has to wait for the next housekeeping slot; nothing was written that counts."""


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
        self._settled = 0  # the segments behind this one lie in `brief`
        self._brief_pages = 0  # that the log of `brief` still has room for
        self._used_octets = 0
        self._unused_octets = 0  # of segments that were followed by another before they were full
        self._appending_at: "int | None" = None  # in the newest segment; None: the next frame begins a new one
        self._trimmed_quiet = 0  # the segments up to this one have lost their quiet bodies
        self._trimmed_all = 0  # ... all their bodies
        self._trims: "list[tuple[int, int, int]]" = []
        self._trim_count = 0
        self._acknowledged = (0, b"", 0)  # segment, kid, seq; in flash it may be older: then some are sent again
        self._noted: "tuple | None" = None  # newest segment, acknowledged and anchor, as the last ACK frame has them
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
        try:
            os.remove(self._folder + "/none")
        except OSError:
            pass  # by which littlefs ends what a cut left half done: before, it may list too little of a folder
        at_once(self.settle_slices())
        numbers = self._list()
        self._load_state()
        self._room_octets += self._used_octets
        seed = read_checked(self._folder + "/key")
        if seed is not None:
            self._hold(seed)
        self._recover(numbers)
        if begin_boot:
            self.boot += 1
            boot = frame(KIND_BOOT, 0, self.boot, b"", b"")
            # Written even where no room is left.
            at_once(self._write_slices(boot, self._begins(boot), False))
        segment, kid, seq = self._acknowledged
        self._cursor = (max(self._oldest, segment), 0)
        self._skip = (kid, seq)

    def _list(self) -> list:
        """The numbers of the segments, ascending; leftovers of a power cut are removed."""
        numbers = []
        for name in os.listdir(self._folder):
            path = self._folder + "/" + name
            if name.endswith(".new"):
                os.remove(path)
            elif name.endswith(".seg"):
                number = int(name[:-4])
                size = os.stat(path)[6]
                if size < HEAD_FRAME_OCTETS:
                    os.remove(path)  # cut before its first frame was whole: nothing was in it
                    continue
                numbers.append(number)
                self._used_octets += blocks_octets(size)
        numbers.sort()
        if numbers:
            self._oldest, self._newest = numbers[0], numbers[-1]
        self._settled = self._newest
        return numbers

    def _load_state(self) -> None:
        octets = read_checked(self._folder + "/state")
        fields = None if octets is None else cbor.decode(octets)
        if isinstance(fields, list):
            segment, kid, seq, self.command_counter, self.anchor = fields
            self._acknowledged = (segment, kid, seq)

    def _recover(self, numbers: list) -> None:
        if numbers:
            found = self._scan(self._newest)
            self.boot = found.boot
            if not found.torn:
                self._appending_at = found.end
            self._note_acknowledged(found, numbers)
            known = self._acknowledged
            behind = known[1] == found.kid and known[2] > found.head.seq
            if self.kid and found.kid == self.kid and not found.damaged and not behind:
                self.head = found.head
                return
        self.retired = bool(self.kid)
        self._begin_key()

    def _note_acknowledged(self, found, numbers: list) -> None:
        """Take what the last ACK frame says, where `state` does not know better."""
        if found.acknowledged is None and len(numbers) > 1:
            found = self._scan(numbers[-2])  # the power failed before the newest segment had a frame of its own
        said = found.acknowledged
        known = self._acknowledged
        if said is not None and (said[0] > known[0] or (said[0] == known[0] and said[2] > known[2])):
            self._acknowledged = said
            self.anchor = found.anchor or self.anchor

    def _begin_key(self) -> None:
        """Make a new key. The segment that begins its chain is written first: a key without it would be retired."""
        seed = self._urandom(32)
        self._hold(seed)
        self.head = chain.START
        at_once(self._begin_segment_slices())
        at_once(replace_slices(self._folder + "/key", seed + check(seed)))

    def _hold(self, seed: bytes) -> None:
        """Sign with the key of this seed from now on."""
        self.signer = signer = self._make_signer(seed)
        self.kid = signer.kid

    def _scan(self, number: int):
        """frames.Found of a segment."""
        path = self._segment(number)
        octets = os.stat(path)[6]
        with open(path, "rb") as file:
            return scan(file, octets)

    def _segment(self, number: int) -> str:
        return "%s%s/%08d.seg" % (self._folder, "" if number <= self._settled else BRIEF, number)

    # --- writing ---

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits for settle_slices()."""
        return self._brief_pages == BRIEF_PAGES

    def settle_slices(self):
        """In the slot: take what was written outside it into the folder of the rest, and make `brief` anew."""
        if self.is_settled:
            return
        folder = self._folder + BRIEF
        self._brief_pages = 0
        if BRIEF[1:] in os.listdir(self._folder):
            for name in sorted(os.listdir(folder)):
                path = folder + "/" + name
                if name.endswith(".seg") or read_checked(path) is not None:
                    os.rename(path, self._folder + "/" + name)
                else:
                    os.remove(path)  # cut off: the command was not taken
                if name.endswith(".seg"):
                    self._settled = int(name[:-4])
                yield None
            os.rmdir(folder)
            yield None
        self._settled = self._newest
        try:
            os.mkdir(folder)
        except OSError:
            return  # a full file system: until there is room again, everything waits for the slot
        self._brief_pages = BRIEF_PAGES
        yield None

    def append_slices(self, cose_octets: bytes, body: bytes, header, quiet: bool, brief: bool = False):
        """Make the next batch durable and take it for the head; at the end of the slices, never before, it is. brief:
        outside the slot, where no slice may be long.

        Raises JournalFull, NotNow, OSError or a ChainError; then nothing of it counts and the head stays.
        """
        head = chain.follow(self.head, header, cose.digest(cose_octets))
        octets = frame(KIND_BATCH, FLAG_QUIET if quiet else 0, header.seq, cose_octets, body)
        try:
            if brief:
                copied = copied_octets(self._appending_at or 0)
                begins = self._begins(octets) or self._newest == self._settled or copied > COPIED_MOST_OCTETS
                self._check_brief(begins, octets)
            else:
                yield from self.settle_slices()
                begins = self._begins(octets)
                yield from self._make_room_slices(begins)
            yield from self._write_slices(octets, begins, brief)
        except OSError:
            # What failed may have reached the flash whole: signing its number again would be a fork.
            if self._scan(self._newest).head.digest != head.digest:
                raise
        self.head = head

    def _begins(self, octets: bytes) -> bool:
        """Whether this frame does not go into the newest segment."""
        at = self._appending_at
        return at is None or at + ACK_FRAME_OCTETS + len(octets) > SEGMENT_OCTETS

    def _check_brief(self, begins: bool, octets: bytes) -> None:
        """Raise NotNow where this can't be written but in the slot."""
        new_octets = blocks_octets(HEAD_FRAME_OCTETS + ACK_FRAME_OCTETS + len(octets)) if begins else BLOCK_OCTETS
        if self._brief_pages < (5 if begins else 3) or self._used_octets + new_octets > self._room_octets:
            raise NotNow("a batch outside the slot: %d pages left" % self._brief_pages)

    def _write_slices(self, octets: bytes, begins: bool, brief: bool):
        """Append to the newest segment, or begin one."""
        if begins:
            if self._appending_at is not None:
                self._unused_octets += SEGMENT_ROOM_OCTETS - blocks_octets(self._appending_at)
            yield from self._begin_segment_slices(brief)
        at = self._appending_at or 0  # never None here
        noted = (self._newest, self._acknowledged, self.anchor)
        if noted != self._noted and self._acknowledged[0]:
            known = self._noted is not None and self._noted[0] == self._newest and self._noted[2] == self.anchor
            octets = ack_frame(*self._acknowledged, None if known else self.anchor) + octets
        self._appending_at = None  # until it is known to be whole; after a failure a new segment is begun
        end = at + len(octets)
        if brief:
            self._brief_pages -= 1 if end > INLINE_MOST_OCTETS else 3
        with open(self._segment(self._newest), "ab") as file:
            yield from write_slices(file, at, octets)
            yield from end_slices(file)
        self._appending_at = end
        self._used_octets += blocks_octets(end) - blocks_octets(at)
        self._noted = noted

    def _begin_segment_slices(self, brief: bool = False):
        """Begin the newest segment with the head of the chain."""
        octets = head_frame(self.kid, self.head, self.boot)
        number = self._newest + 1
        if brief:
            self._brief_pages -= 2
        with open("%s%s/%08d.seg" % (self._folder, BRIEF if brief else "", number), "wb") as file:
            yield None
            file.write(octets)
            file.flush()
        yield None
        self._newest = number
        if not brief:
            self._settled = number
        if not self._oldest:
            self._oldest = number
        self._appending_at = len(octets)
        self._used_octets += blocks_octets(len(octets))

    # --- room ---

    @property
    def fill_percent(self) -> int:
        """How much of the room is taken by what is not acknowledged, the segment in which it begins left out."""
        full = self._newest - max(self._oldest, self._acknowledged[0])
        return max(0, full * SEGMENT_ROOM_OCTETS - self._unused_octets) * 100 // max(self._room_octets, 1)

    def _make_room_slices(self, begins: bool):
        """Free what a new segment needs, and of what is acknowledged as much as what comes outside the slot will need.
        Raises JournalFull, and NotNow where there is more to do than a slot has time for."""
        for _ in range(STEPS_MOST):
            left_octets = self._room_octets - self._used_octets
            many = self._newest - self._oldest >= SEGMENTS_MOST
            droppable = self._oldest < min(self._acknowledged[0], self._newest)
            if droppable and (many or left_octets < 2 * SEGMENT_ROOM_OCTETS):
                self._drop_oldest()
                yield None
            elif not begins or left_octets >= SEGMENT_ROOM_OCTETS:
                return
            elif self._trimmed_quiet < self._newest:
                self._trimmed_quiet = max(self._trimmed_quiet + 1, self._oldest)
                yield from self._trim_slices(self._trimmed_quiet, True)
            elif self._trimmed_all < self._newest:
                self._trimmed_all = max(self._trimmed_all + 1, self._oldest)
                yield from self._trim_slices(self._trimmed_all, False)
            else:
                raise JournalFull("no room for another header in %d octets" % self._room_octets)
        if begins and self._room_octets - self._used_octets < SEGMENT_ROOM_OCTETS:
            raise NotNow("more room is to be made")

    def _drop_oldest(self) -> None:
        path = self._segment(self._oldest)
        try:
            size = os.stat(path)[6]
            os.remove(path)
            self._used_octets -= blocks_octets(size)
        except OSError:
            pass  # a number that a power cut left out
        self._oldest += 1
        if self._cursor[0] < self._oldest:
            self._cursor = (self._oldest, 0)

    def _trim_slices(self, number: int, quiet_only: bool):
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
                each = read_frame(source, end)
                if each is None:
                    break
                end = each.end
                body = each.part_b
                if body and each.kind == KIND_BATCH and (each.flags & FLAG_QUIET or not quiet_only):
                    body = b""
                    dropped.append(each.seq)
                yield from write_slices(target, size, frame(each.kind, each.flags, each.seq, each.part_a, body))
                size += FRAME_HEAD_OCTETS + len(each.part_a) + len(body)
            target.flush()
        yield None
        if not dropped:
            os.remove(path + ".new")
            return
        os.rename(path + ".new", path)
        self._used_octets -= blocks_octets(end) - blocks_octets(size)
        self._trims.append((dropped[0], dropped[-1], len(dropped)))
        self._trim_count += 1
        if number == self._newest:
            self._appending_at = size
        if self._cursor[0] == number:
            self._cursor = (number, 0)

    def take_trims(self) -> list:
        """[(first seq, last seq, how many), ...] of the bodies dropped since the last call."""
        trims, self._trims = self._trims, []
        return trims

    # --- sending ---

    def next(self, after: "Entry | None" = None) -> "Entry | None":
        """The oldest batch that is not acknowledged, or the one that follows `after`; None where there is no more."""
        segment, at = self._cursor if after is None else self._behind(after)
        if segment == self._newest and at == self._appending_at:
            return None  # as most of the time: the flash is not asked each second
        skip = self._skip if after is None else (after.kid, after.seq)
        entry = None
        while segment and segment <= self._newest:
            try:
                entry, at = self._entry(segment, at, skip)
            except OSError:
                entry = None  # a number that a power cut left out
            if entry is not None or segment == self._newest:
                break
            segment, at = segment + 1, 0
        if after is None:
            self._cursor = (segment, at)
        return entry

    def _behind(self, entry: Entry) -> tuple:
        """Segment and offset behind an entry; where a trim may have moved it, the segment's start."""
        return entry.segment, entry.end if entry.trims == self._trim_count else 0

    def _entry(self, segment: int, at: int, skip: tuple) -> tuple:
        """The first BATCH from `at` on that is not to be skipped, or None, and where it begins."""
        with open(self._segment(segment), "rb") as file:
            first = read_frame(file, 0)
            kid = first.part_a[:8] if first is not None and first.kind == KIND_HEAD else b""
            file.seek(at)
            while True:
                each = read_frame(file, at)
                if each is None:
                    return None, at
                if each.kind == KIND_BATCH and not (kid == skip[0] and each.seq <= skip[1]):
                    body = each.part_b or None
                    return Entry(kid, each.seq, each.part_a, body, segment, each.end, self._trim_count), at
                at = each.end

    def acknowledge(self, entry: Entry, anchor: "bytes | None") -> None:
        """The collector has stored this entry, and every one before it. Durable with the next batch."""
        self._cursor = self._behind(entry)
        self._skip = (entry.kid, entry.seq)
        if anchor is not None:
            self.anchor = anchor
        before = self._acknowledged
        if entry.segment > before[0] or (entry.segment == before[0] and entry.seq > before[2]):
            self._acknowledged = (entry.segment, entry.kid, entry.seq)
            if entry.segment == self._newest:
                self._unused_octets = 0

    def resend(self, seq: int) -> bool:
        """Send again from this number on, of this key. Returns whether the journal still has it."""
        for number in range(self._newest, self._oldest - 1, -1):
            try:
                with open(self._segment(number), "rb") as file:
                    first = read_frame(file, 0)
            except OSError:
                continue
            if first is None or first.part_a[:8] != self.kid:
                return False
            if first.seq < seq:
                self._cursor = (number, 0)
                self._skip = (self.kid, seq - 1)
                return seq <= self.head.seq
        return False

    def accept_command_slices(self, counter: int):
        """Remember durably that the command with this counter was taken. Raises NotNow or OSError."""
        if self._brief_pages < 2:
            raise NotNow("a command outside the slot: %d pages left" % self._brief_pages)
        self._brief_pages -= 2
        state = cbor.encode(list(self._acknowledged) + [counter, self.anchor])
        with open(self._folder + BRIEF + "/state", "wb") as file:  # what was there stays until the file is closed
            yield None
            file.write(state + check(state))
        self.command_counter = counter
