"""Building a dossier from the ledger: one ZIP file with all that the other side needs to check it and to answer it.

    manifest.cose                    which files, for which period and sites; signed by the fleet key
    README.txt                       how to check it, in words
    batches/LABEL.cborseq            [COSE_Sign1, body or null] of one witness key, in order (RFC 8742)
    checkpoints/N.cbor .tsr .proofs  statement, RFC 3161 response, proofs of heads and items
    enrolments/LABEL.cose            every key ever enrolled, shown or not
    fleet.pub                        the fleet's public key
    plans/SHA256.cbor .cose          the plans that the batches name, and the fleet's signature where published
    snapshots/ outages/ tickets/ claims/ retirements/ contracts/ power/ verdicts/   evidence items by their SHA-256
    summary.json                     what each witness covered, computed from the batches
    ...                              what the caller adds: contract.toml, settlement.json, report.html

LABEL is SITE.WITNESS.KID. The same ledger, period, sites and extra files give the same octets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from linewitness.errors import CannotDo
from linewitness.evidence import summary
from linewitness.evidence.archive import BadArchive, write_archive
from linewitness.evidence.batch import Batch
from linewitness.evidence.checkpoint import HeadLeaf, ItemLeaf, encode_proofs, prove
from linewitness.evidence.enrolment import Enrolment, open_enrolment
from linewitness.evidence.ledgered import Taken, taken
from linewitness.evidence.manifest import NAME as MANIFEST
from linewitness.evidence.manifest import Manifest, entries, seal_manifest
from linewitness.evidence.signed import Signer
from linewitness.evidence.stamps import utc
from linewitness.evidence.verify import fleet_pem
from linewitness.ledger import Item, Ledger, StoredBatch
from linewitness_wire import bodies, cbor, cose, record

FOLDERS = {
    "snapshot": "snapshots",
    "outage": "outages",
    "ticket": "tickets",
    "claim": "claims",
    "retirement": "retirements",
    "contract": "contracts",
    "power": "power",
    "verdict": "verdicts",
}
"""Kinds of items that go into a dossier by their SHA-256: all that the ledger got since the period began."""


@dataclass(slots=True)
class _Key:
    """One witness key and the numbers [first, last] of its batches that the dossier shows."""

    enrolment: Enrolment
    record: bytes
    shown: bool
    first: int = 1
    last: int = 0
    batches: list[Batch] = field(default_factory=list)
    octets: bytes = b""


def build_dossier(
    book: Ledger,
    fleet: Signer,
    from_us: int,
    to_us: int,
    sites: Sequence[str] = (),
    extra: Mapping[str, bytes] | None = None,
) -> bytes:
    """Return the octets of the dossier for [from_us, to_us) UTC and these sites, () for all.

    Raises CannotDo where nobody is enrolled or the files don't fit one archive. What is missing in the ledger is
    missing in the dossier: verify says so.
    """
    keys = _keys(book, fleet, sites)
    stamped = taken(book)
    base = next((c for c in reversed(stamped) if c.stamp.gen_time_us <= from_us), None)
    end = _choose_batches(book, keys, stamped, base, from_us, to_us)
    newest_us = 0
    for key in keys:
        if key.shown:
            newest_us = max(newest_us, _load(book, key))
    plans = {batch.header.plan for key in keys for batch in key.batches}
    files = {**(extra or {}), "README.txt": _readme(fleet, from_us, to_us), "fleet.pub": fleet_pem(fleet.public_key)}
    items = _items(book, plans, from_us)
    files.update({name: item.content for name, item in items.items()})
    for key in keys:
        files[f"enrolments/{key.enrolment.label}.cose"] = key.record
        if key.shown and key.octets:
            files[f"batches/{key.enrolment.label}.cborseq"] = key.octets
    wanted = {item.sha256 for item in items.values()}
    for checkpoint in _choose_checkpoints(stamped, base, end, keys, wanted):
        files.update(_checkpoint_files(checkpoint, keys, wanted, checkpoint is end))
    rows = [summary.Shown(key.enrolment, key.batches, key.shown) for key in keys]
    files[summary.NAME] = summary.summarise(rows, from_us, to_us)
    times = [newest_us, from_us, *(item.recorded_us for item in items.values())]
    created_us = max([*times, *(c.statement.created_us for c in stamped)])
    return _archive(Manifest(created_us, from_us, to_us, fleet.public_key, (), tuple(sorted(sites))), files, fleet)


def _archive(manifest: Manifest, files: Mapping[str, bytes], fleet: Signer) -> bytes:
    listed = sorted(files.items())
    complete = Manifest(
        manifest.created_us, manifest.from_us, manifest.to_us, manifest.fleet_key, entries(listed), manifest.sites
    )
    try:
        return write_archive([(MANIFEST, seal_manifest(complete, fleet)), *listed])
    except BadArchive as e:
        raise CannotDo(str(e), "dossier", "a shorter period, or --site") from e


def _keys(book: Ledger, fleet: Signer, sites: Sequence[str]) -> list[_Key]:
    keys = []
    for enrolled in book.enrolments():
        enrolment = open_enrolment(enrolled.record, fleet.public_key)
        keys.append(_Key(enrolment, enrolled.record, not sites or enrolment.site in sites))
    if not any(key.shown for key in keys):
        raise CannotDo("no witness is enrolled", ", ".join(sites) or "ledger", "linewitness witness enrol")
    return keys


def _choose_batches(
    book: Ledger, keys: Sequence[_Key], stamped: Sequence[Taken], base: Taken | None, from_us: int, to_us: int
) -> Taken | None:
    """Set first and last of each shown key; return the checkpoint at which the dossier ends, None without any.

    That is the first one timestamped at or after the period's end which covers every batch of the period, else the
    newest. The batches go on to its heads, so that none that it covers is missing.
    """
    base_heads = _heads(base)
    shown = [key for key in keys if key.shown]
    for key in shown:
        kid = key.enrolment.kid
        head = base_heads.get(kid)
        key.first = 1 if head is None else head.seq + 1
        key.last = max((batch.seq for batch in book.batches(kid=kid, from_us=from_us, to_us=to_us)), default=0)
    end = None
    for end in stamped:
        heads = _heads(end)
        if end.stamp.gen_time_us >= to_us and all(
            key.last == 0 or (key.enrolment.kid in heads and heads[key.enrolment.kid].seq >= key.last) for key in shown
        ):
            break
    for kid, head in _heads(end).items():
        for key in shown:
            if key.enrolment.kid == kid:
                key.last = max(key.last, head.seq)
    return end


def _heads(checkpoint: Taken | None) -> dict[bytes, HeadLeaf]:
    leaves = checkpoint.leaves() if checkpoint is not None else []
    return {leaf.kid: leaf for leaf in leaves if isinstance(leaf, HeadLeaf)}


def _load(book: Ledger, key: _Key) -> int:
    """Take the key's batches out of the ledger; return when the newest was received."""
    parts, newest_us = [], 0
    for stored in book.batches(kid=key.enrolment.kid):
        if key.first <= stored.seq <= key.last:
            parts.append(cbor.encode([stored.cose, stored.body]))
            key.batches.append(_as_batch(stored))
            newest_us = max(newest_us, stored.received_us)
    key.octets = b"".join(parts)
    return newest_us


def _as_batch(stored: StoredBatch) -> Batch:
    """Return a stored batch as a Batch; the ledger holds only what was verified when it came in."""
    header = record.decode_header(cose.split(stored.cose).payload)
    return Batch(header, None if stored.body is None else bodies.read(header, stored.body), stored.digest)


def _items(book: Ledger, plans: set[bytes], from_us: int) -> dict[str, Item]:
    """Return the items that go in, by their file's name."""
    result: dict[str, Item] = {}
    for item in book.items():
        name = None
        if item.kind == "plan" and item.sha256 in plans:
            name = f"plans/{item.sha256.hex()}.cbor"
        elif item.kind == "publication":
            digest = hashlib.sha256(cose.split(item.content).payload).digest()
            name = f"plans/{digest.hex()}.cose" if digest in plans else None
        elif item.kind in FOLDERS and (item.recorded_us >= from_us or item.kind == "contract"):
            name = f"{FOLDERS[item.kind]}/{item.sha256.hex()}"
        if name is not None and name not in result:
            result[name] = item
    return result


def _choose_checkpoints(
    stamped: Sequence[Taken], base: Taken | None, end: Taken | None, keys: Sequence[_Key], wanted: set[bytes]
) -> list[Taken]:
    """From base to end, and the older ones that are a batch's anchor or cover an item."""
    if end is None:
        return []
    anchors = {batch.header.anchor for key in keys for batch in key.batches}
    result = []
    for checkpoint in stamped[: end.number]:
        covers = any(isinstance(leaf, ItemLeaf) and leaf.sha256 in wanted for leaf in checkpoint.leaves())
        if base is None or checkpoint.number >= base.number or checkpoint.anchor in anchors or covers:
            result.append(checkpoint)
    return result


def _checkpoint_files(checkpoint: Taken, keys: Sequence[_Key], wanted: set[bytes], is_end: bool) -> dict[str, bytes]:
    """The three files of a checkpoint; the last one of a dossier proves every head, the others those that are shown."""
    shown = {key.enrolment.kid for key in keys if key.shown}
    indices = [
        i
        for i, leaf in enumerate(checkpoint.leaves())
        if (is_end or leaf.kid in shown if isinstance(leaf, HeadLeaf) else leaf.sha256 in wanted)
    ]
    stem = f"checkpoints/{checkpoint.number}"
    return {
        f"{stem}.cbor": checkpoint.record.statement,
        f"{stem}.tsr": checkpoint.response,
        f"{stem}.proofs": encode_proofs(prove(checkpoint.record.leaves, indices)),
    }


def _readme(fleet: Signer, from_us: int, to_us: int) -> bytes:
    fingerprint = hashlib.sha256(fleet.public_key).hexdigest()
    grouped = " ".join(fingerprint[i : i + 4] for i in range(0, 64, 4))
    text = f"""\
Evidence of a telephone line, measured by linewitness from {utc(from_us)} to {utc(to_us)}.

Every reading in batches/ was signed by the board that made it, at the time it was made; checkpoints/ holds the proofs,
by a timestamp authority, of when each signature existed. To check all of it, with a program that you trust:

    pip install linewitness
    linewitness verify THIS_FILE --fleet-key FINGERPRINT --tsa-root ROOT.pem

FINGERPRINT is the SHA-256 of the customer's key (fleet.pub). Have it from the contract or by telephone, not from here;
this file claims to be made with
    {grouped}
ROOT.pem is the root certificate of the timestamp authority. Have it from the authority.

A timestamp alone can be checked with OpenSSL:
    openssl ts -verify -data checkpoints/1.cbor -in checkpoints/1.tsr -CAfile ROOT.pem

The format is open (docs/wire-format.md of linewitness): you may write your own verifier. Exit codes: 0 all holds,
3 something was altered, left out, put in or moved (the witness and the number are named), 4 nothing is refused but
something could not be checked. summary.json says what each witness covered and what it did not.
"""
    return text.encode()
