"""Completeness against the timestamps: nothing that a checkpoint covers may be missing, altered or out of its time.

Let the base be the newest checkpoint of the dossier that was timestamped at or before the period's beginning, and B a
witness key's head in it (0 where there is none). Of every key that is shown the dossier holds each batch from B + 1 to
the greatest head that any checkpoint proves. The last checkpoint proves the heads of all keys, so none is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from linewitness.evidence.checkpoint import HeadLeaf
from linewitness.evidence.enrolment import Enrolment
from linewitness.evidence.findings import Findings
from linewitness.evidence.manifest import Manifest
from linewitness.evidence.stamps import FOLDER, Stamped, newest_before, utc
from linewitness.evidence.walk import Walk
from linewitness_wire import codes, record


def check_roll(checkpoints: Sequence[Stamped], enrolments: Mapping[bytes, Enrolment], findings: Findings) -> None:
    """The last checkpoint accounts for every witness key, and every head that is proved is of an enrolled key."""
    if checkpoints and len(checkpoints[-1].heads) != checkpoints[-1].statement.heads:
        last = checkpoints[-1]
        findings.refuse(
            f"covers {last.statement.heads} witness keys, the dossier accounts for {len(last.heads)}:"
            " a witness was left out",
            file=f"{FOLDER}{last.number}",
        )
    for checkpoint in checkpoints:
        for kid, head in checkpoint.heads.items():
            known = enrolments.get(kid)
            if known is None or (known.site, known.witness) != (head.site, head.witness):
                findings.refuse(
                    f"{checkpoint.name} covers its key {kid.hex()}, of which no enrolment is here",
                    f"{head.site}/{head.witness}",
                    head.seq,
                )


def check_complete(
    walk: Walk,
    checkpoints: Sequence[Stamped],
    handed_in: Sequence[Stamped],
    base: Stamped | None,
    manifest: Manifest,
    findings: Findings,
) -> None:
    """Every batch from the base's head to the greatest head that is proved, and each head the batch that it was."""
    kid = walk.enrolment.kid
    base_head = base.heads.get(kid) if base is not None else None
    after = 0 if base_head is None else base_head.seq
    first = walk.first_seq
    if first is not None and first > after + 1 and not walk.bad.issuperset(range(after + 1, first)):
        whence = f"{after} was timestamped at {base.when()}" if base and after else "nothing vouches for what follows"
        findings.refuse(
            f"batch {after + 1} is missing: {whence}; the file begins with {first}", walk.witness, after + 1
        )
    named = False
    for checkpoint in (*checkpoints, *handed_in):
        head = checkpoint.heads.get(kid)
        if head is None or head.seq < after or head.seq in walk.bad:
            continue
        later = checkpoint.number is None and checkpoint.stamp.gen_time_us > manifest.to_us
        if head.seq > walk.last_seq and head.seq > after:
            if not later and not named:
                _missing(walk, head, checkpoint, after, findings)
                named = True
        else:
            _same(walk, head, checkpoint, findings)


def _missing(walk: Walk, head: HeadLeaf, checkpoint: Stamped, after: int, findings: Findings) -> None:
    missing = max(walk.last_seq, after) + 1
    what = f"batch {missing} is" if missing == head.seq else f"batches {missing}..{head.seq} are"
    findings.refuse(
        f"{what} missing: {checkpoint.name}, timestamped at {checkpoint.when()}, covers them", walk.witness, missing
    )


def _same(walk: Walk, head: HeadLeaf, checkpoint: Stamped, findings: Findings) -> None:
    digest = walk.digest_of(head.seq)
    if digest is not None and digest != head.digest:
        what = f"is not the batch that {checkpoint.name} covers, timestamped at {checkpoint.when()}"
        findings.refuse(what, walk.witness, head.seq)


def check_times(walk: Walk, checkpoints: Sequence[Stamped], handed_in: Sequence[Stamped], findings: Findings) -> None:
    """A batch was made after its anchor and before the first timestamp that covers it: its clock may not deny that."""
    anchors = {checkpoint.anchor: checkpoint for checkpoint in (*handed_in, *checkpoints)}
    kid = walk.enrolment.kid
    covering = [c for c in (*checkpoints, *handed_in) if kid in c.heads]
    covering.sort(key=lambda c: c.stamp.latest_us)
    unknown: list[int] = []
    i = 0
    for batch in walk.batches:
        header = batch.header
        if header.anchor is not None:
            anchor = anchors.get(header.anchor)
            if anchor is None:
                unknown.append(header.seq)
            else:
                _after_anchor(walk, header, anchor, findings)
        while i < len(covering) and covering[i].heads[kid].seq < header.seq:
            i += 1
        if i < len(covering):
            _before_cover(walk, header, covering[i], findings)
    if unknown:
        findings.incomplete(
            f"batches {unknown[0]}..{unknown[-1]} name a timestamp that is not in the dossier ({len(unknown)} batches)",
            walk.witness,
            unknown[0],
        )


def _before_cover(walk: Walk, header: record.Header, cover: Stamped, findings: Findings) -> None:
    if header.clock.source == codes.CLOCK_NONE:
        return
    if header.clock.utc_us - header.clock.bound_us > cover.stamp.latest_us:
        findings.refuse(
            f"its clock says {utc(header.clock.utc_us)}, but {cover.name} covered it at {cover.when()} already",
            walk.witness,
            header.seq,
        )


def _after_anchor(walk: Walk, header: record.Header, anchor: Stamped, findings: Findings) -> None:
    head = anchor.heads.get(walk.enrolment.kid)
    if head is not None and head.seq >= header.seq:
        findings.refuse(
            f"names the timestamp of {anchor.name} as made before it, but that covers it", walk.witness, header.seq
        )
    if header.clock.source == codes.CLOCK_NONE:
        return
    latest_us = header.clock.utc_us + header.clock.bound_us
    if latest_us < anchor.stamp.earliest_us:
        findings.refuse(
            f"its clock says {utc(header.clock.utc_us)}, but it names {anchor.name}, which was made at {anchor.when()}",
            walk.witness,
            header.seq,
        )


def check_tail(walks: Sequence[Walk], checkpoints: Sequence[Stamped], to_us: int, findings: Findings) -> None:
    """What no timestamp covers is not refused, but named."""
    if not checkpoints:
        findings.incomplete("no timestamped checkpoint: nothing says when these batches were made")
        return
    if checkpoints[-1].stamp.gen_time_us < to_us:
        last = checkpoints[-1].when()
        findings.incomplete(f"the tail of the period (to {utc(to_us)}) is not covered: last timestamp {last}")
    for walk in walks:
        kid = walk.enrolment.kid
        covered = max((c.heads[kid].seq for c in checkpoints if kid in c.heads), default=0)
        if walk.batches and walk.batches[-1].header.seq > covered:
            first = max(covered + 1, walk.batches[0].header.seq)
            findings.incomplete(
                f"batches {first}..{walk.batches[-1].header.seq} are not covered by a timestamp", walk.witness, first
            )


def base_of(checkpoints: Sequence[Stamped], manifest: Manifest) -> Stamped | None:
    """Return the checkpoint that the period stands on, None where it reaches back to the first batch."""
    return newest_before(checkpoints, manifest.from_us)
