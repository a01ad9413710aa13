"""Cut the power in every flash operation of a scripted time of the whole firmware, and look at what recovers.

The firmware runs once on the MicroPython machine, in virtual time, while every program and erase of its flash is on
record, with what the collector had by then. Each image that a cut would have left is then opened by the firmware's own
Journal on CPython: recovery alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from littlefs_os import use_flash
from virtual_office import SITE, WITNESS, VirtualOffice, make_plan, slow_targets

from linewitness_wire import bodies, chain, codes, cose, record
from linewitness_wire.errors import WireError
from simulations.board.flash import BlockDevice, Flash
from simulations.board.flashlog import FlashLog, Image
from witness.journal import Journal

AAD = cose.aad(SITE, WITNESS)


class RealKey:
    """What the journal wants of a signer, from another library."""

    def __init__(self, seed: bytes) -> None:
        self.public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
        self.kid = cose.kid(self.public.public_bytes_raw())


@dataclass
class Cuts:
    """What the cuts did."""

    images: int = 0
    operations: int = 0
    batches: int = 0
    problems: list[str] = field(default_factory=list)


def scripted(folder: Path, minutes: int, profile: str = "pico-w") -> tuple[FlashLog, VirtualOffice]:
    """Run the firmware: batches, a command, an outage of the line with its back-fill, a reset, all within the time."""
    with VirtualOffice(folder, make_plan(slow_targets()), profile) as office:
        log = FlashLog(office.device.block_device)
        known = 0

        def newer() -> bool:
            return len(office.batches) > known

        def live(seconds: float) -> None:
            nonlocal known
            end_us = office.now_us + round(seconds * 1_000_000)
            while office.now_us < end_us:
                office.run_until(newer, (end_us - office.now_us) / 1e6, must=False)
                for batch in office.batches[known:]:
                    log.mark((batch.kid, batch.header.seq, batch.digest))
                known = len(office.batches)

        fifth = minutes * 60 / 5
        live(fifth)
        office.command(1, codes.COMMAND_RESEND, 1)
        live(fifth)
        office.link(down=True)
        live(fifth)
        office.link(down=False)
        live(fifth)
        office.device.reset()
        live(fifth)
        log.stop()
        assert office.store.refused == []
    return log, office


def cut_everywhere(monkeypatch: pytest.MonkeyPatch, log: FlashLog, images: Iterator[Image], profile: Any) -> Cuts:
    """Recover from each image."""
    cuts = Cuts(operations=len(log.operations))
    free_octets = 0  # of the first: counting them takes longer than recovering
    for image in images:
        cuts.images += 1
        device = BlockDevice(len(image.octets))
        device.buffer[:] = image.octets
        flash = Flash(device, profile)
        use_flash(monkeypatch, flash)
        where = f"operation {image.cut_at}, {image.tear_pct} % done"
        if flash.formatted:
            cuts.problems.append(f"{where}: the file system is gone")
            continue
        try:
            if not free_octets:
                block_octets, _, _, free_blocks, *_ = flash.statvfs()
                free_octets = block_octets * free_blocks
            cuts.batches = max(cuts.batches, _recover(free_octets, image))
        except (AssertionError, OSError, WireError) as error:
            cuts.problems.append(f"{where}: {type(error).__name__}: {error}")
        device.buffer = bytearray()  # the library keeps what it mounted
    return cuts


def _recover(free_octets: int, image: Image) -> int:
    """Open the journal as a boot does; raises unless everything published is there and the chain goes on."""
    journal = Journal("/journal", free_octets, lambda n: b"n" * n, RealKey)
    journal.open()
    marks: list[Any] = list(image.marks)
    if marks:
        assert not journal.retired, "the key was retired"
        assert journal.kid == marks[-1][0], "another key"
        assert journal.head.seq >= max(seq for _, seq, _ in marks), "a published number would be signed again"
    head = None
    found: dict[int, bytes] = {}
    entry = None
    # From the oldest that is there: what is acknowledged may be sent again.
    journal._cursor, journal._skip = (journal._oldest, 0), (b"", 0)
    while (entry := journal.next(entry)) is not None:
        sign1 = cose.split(entry.cose)
        header = record.decode_header(sign1.payload)
        digest = cose.digest(entry.cose)
        if head is not None:
            head = chain.follow(head, header, digest)
        else:
            head = chain.Head(header.seq, digest, header.boot, header.end_us)
        if entry.body is not None:
            bodies.read(header, entry.body)
        found[header.seq] = digest
    for _, seq, digest in marks:
        assert found.get(seq, digest) == digest, f"another batch {seq}"
    if head is not None:
        assert head == journal.head, "the head is not the newest batch"
        key = journal.signer
        assert isinstance(key, RealKey)
        key.public.verify(sign1.signature, cose.to_be_signed(sign1.protected, AAD, sign1.payload))
    return len(found)
