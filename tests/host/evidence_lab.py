"""A small fleet with real keys, a real ledger and a real timestamp authority (openssl), and an adversary of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linewitness import ledger
from linewitness.evidence import summary
from linewitness.evidence.archive import read_archive, write_archive
from linewitness.evidence.authority import request_timestamp
from linewitness.evidence.batch import Batch
from linewitness.evidence.dossier import build_dossier
from linewitness.evidence.enrolment import Enrolment, open_enrolment, seal_enrolment
from linewitness.evidence.ledgered import Taken, take_checkpoint
from linewitness.evidence.manifest import NAME as MANIFEST
from linewitness.evidence.manifest import Manifest, entries, peek_manifest, seal_manifest
from linewitness.evidence.signed import AAD_PLAN, Signer
from linewitness.ledger import Ledger, NewBatch
from linewitness_wire import bodies, cbor, codes, cose, plan, record

SECOND_US = 1_000_000
FIRMWARE = hashlib.sha256(b"firmware").digest()


def now_us() -> int:
    return time.time_ns() // 1000


def signer(name: str) -> Signer:
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    return Signer(key.public_key().public_bytes_raw(), key.sign)


class Witness:
    """Signs and chains batches of one second, whose clock is right within `bound_us`."""

    def __init__(self, site: str, name: str, *, keys: str = "", start_utc_us: int) -> None:
        self.site, self.name, self.bound_us, self.start_utc_us = site, name, 20 * SECOND_US, start_utc_us
        self.signer = signer(f"{keys}{site}/{name}")
        self.seq, self.previous = 0, record.NO_PREVIOUS
        self.plan = plan.encode_plan(
            plan.Plan(
                site, name, 1_790_000_000_000_000, 1,
                [plan.Target("gateway", codes.SEGMENT_ROUTER, codes.METHOD_ICMP, codes.ROLE_SUBJECT, "gateway", 0,
                             1000, 1000, 500, {})],
                3, 3, [], [],
            )
        )  # fmt: skip

    def enrolment(self) -> Enrolment:
        return Enrolment(self.site, self.name, self.signer.public_key, FIRMWARE, self.start_utc_us - SECOND_US, 1)

    def batch(
        self, anchor: bytes | None = None, *, utc_us: int | None = None, events: list[list[object]] | None = None
    ) -> tuple[bytes, bytes]:
        """Return (COSE_Sign1, body) of the next batch, and move on."""
        self.seq += 1
        rtt_us = [400, 420, 450, 460 + self.seq]
        reading = {record.TARGET: 0, record.START_US: 0, record.SPAN_US: SECOND_US, record.SENT: 1, record.ANSWERED: 1,
                   record.RTT_US: rtt_us}  # fmt: skip
        body = bodies.encode(record.Body([reading], events or []), SECOND_US)
        end_us = self.seq * SECOND_US
        clock = record.Clock(utc_us or self.start_utc_us + end_us, self.bound_us, codes.CLOCK_SNTP, 5)
        header = record.Header(
            self.seq, self.previous, 1, end_us - SECOND_US, end_us, clock, plan.digest(self.plan), FIRMWARE,
            hashlib.sha256(body).digest(), (1, len(events or []), len(body)), anchor,
        )  # fmt: skip
        octets = self.signer.seal(record.encode_header(header), cose.aad(self.site, self.name))
        self.previous = cose.digest(octets)
        return octets, body

    def new_batch(self, anchor: bytes | None = None, **how: object) -> NewBatch:
        octets, body = self.batch(anchor, **how)  # type: ignore[arg-type]
        header = record.decode_header(cose.split(octets).payload)
        kid = cose.kid(self.signer.public_key)
        return NewBatch(self.site, self.name, kid, header, self.previous, octets, body, now_us())


@dataclass
class Lab:
    """A ledger and who writes to it."""

    book: Ledger
    fleet: Signer
    authority: str
    witnesses: list[Witness]
    start_us: int

    @property
    def root_pem(self) -> bytes:
        return (Path(self.authority.removeprefix("openssl:")) / "root.pem").read_bytes()

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.fleet.public_key).hexdigest()

    def measure(self, batches: int) -> None:
        """Let every witness make some batches; they know the newest timestamp."""
        for witness in self.witnesses:
            self.book.store([witness.new_batch(self.book.anchor()) for _ in range(batches)])

    def checkpoint(self) -> Taken:
        return take_checkpoint(self.book, lambda octets: request_timestamp(self.authority, octets), now_us())

    def dossier(self, *, from_us: int | None = None, to_us: int | None = None, sites: tuple[str, ...] = ()) -> bytes:
        from_us = self.start_us - 3600 * SECOND_US if from_us is None else from_us
        return build_dossier(self.book, self.fleet, from_us, self.start_us if to_us is None else to_us, sites)


def make_lab(
    folder: Path,
    places: tuple[tuple[str, str], ...] = (("leeds", "desk"), ("york", "attic")),
    *,
    keys: str = "",
    publish: bool = True,
) -> Lab:
    """A fleet whose witnesses began six seconds ago; start_us is a whole second that every timestamp comes after."""
    folder.mkdir(parents=True, exist_ok=True)
    start_us = now_us() // SECOND_US * SECOND_US
    fleet = signer(f"{keys}fleet")
    book = ledger.open("sqlite:ledger.sqlite", folder, create=True)
    witnesses = [Witness(site, name, keys=keys, start_utc_us=start_us - 6 * SECOND_US) for site, name in places]
    for witness in witnesses:
        e = witness.enrolment()
        book.add_enrolment(
            ledger.Enrolment(e.site, e.witness, e.kid, e.public_key, e.firmware, e.board, e.enrolled_utc_us,
                             seal_enrolment(e, fleet))
        )  # fmt: skip
        book.add_item("plan", f"{witness.site}/{witness.name}", witness.plan, start_us)
        if publish:
            book.add_item("publication", f"{witness.site}/{witness.name}", fleet.seal(witness.plan, AAD_PLAN), start_us)
    return Lab(book, fleet, f"openssl:{folder / 'authority'}", witnesses, start_us)


# --- the adversary --------------------------------------------------------------------------------------------------

Pairs = list[tuple[bytes, bytes | None]]


def unpack(octets: bytes) -> dict[str, bytes]:
    files, altered = read_archive(octets)
    assert not altered
    return files


def pack(files: dict[str, bytes]) -> bytes:
    """The files under the manifest they have, as whoever lacks the fleet key can do it."""
    return write_archive([(MANIFEST, files[MANIFEST]), *sorted((n, c) for n, c in files.items() if n != MANIFEST)])


def pack_signed(files: dict[str, bytes], fleet: Signer) -> bytes:
    """The files with summary and manifest made anew, as the customer can do it, who holds the fleet key."""
    old = peek_manifest(files[MANIFEST])
    listed = {name: content for name, content in files.items() if name != MANIFEST}
    shown = []
    for name, content in listed.items():
        if name.startswith("enrolments/"):
            enrolment = open_enrolment(content, fleet.public_key)
            octets = listed.get(f"batches/{enrolment.label}.cborseq", b"")
            shown.append(summary.Shown(enrolment, _readable(split_batches(octets)), True))
    listed[summary.NAME] = summary.summarise(shown, old.from_us, old.to_us)
    ordered = sorted(listed.items())
    manifest = Manifest(old.created_us, old.from_us, old.to_us, fleet.public_key, entries(ordered), old.sites)
    return write_archive([(MANIFEST, seal_manifest(manifest, fleet)), *ordered])


def _readable(pairs: Pairs) -> list[Batch]:
    batches = []
    for octets, body in pairs:
        header = record.decode_header(cose.split(octets).payload)
        batches.append(Batch(header, None if body is None else bodies.read(header, body), cose.digest(octets)))
    return batches


def split_batches(octets: bytes) -> Pairs:
    pairs: Pairs = []
    i = 0
    while i < len(octets):
        value, i = cbor.decode_prefix(octets, i)
        pairs.append((value[0], value[1]))  # type: ignore[index]
    return pairs


def join_batches(pairs: Pairs) -> bytes:
    return b"".join(cbor.encode([octets, body]) for octets, body in pairs)


def with_batches(files: dict[str, bytes], name: str, change: Callable[[Pairs], Pairs]) -> dict[str, bytes]:
    return {**files, name: join_batches(change(split_batches(files[name])))}
