"""Verification of a dossier: octets in, a Verdict out. No I/O, no clock, nothing of ours but the wire format.

In this order: the archive's form; the manifest's signature and each file's SHA-256; the fleet's enrolments; the
checkpoints and their timestamps; every batch with its signature and chain; completeness and time against the
timestamps; the plans; the summary, computed again. A finding names the witness and the sequence number. What makes a
dossier refused, what only incomplete, is listed in docs/wire-format.md, section 14.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linewitness.evidence import complete, summary
from linewitness.evidence.archive import BadArchive, read_archive
from linewitness.evidence.enrolment import Enrolment, open_enrolment
from linewitness.evidence.findings import Finding, Findings
from linewitness.evidence.manifest import NAME as MANIFEST
from linewitness.evidence.manifest import Manifest, entries, peek_manifest
from linewitness.evidence.merkle import NotIncluded
from linewitness.evidence.signed import AAD_DOSSIER, AAD_PLAN, open_signed
from linewitness.evidence.stamps import Stamped, read_bundle, read_checkpoints, utc
from linewitness.evidence.timestamp import BadTimestamp
from linewitness.evidence.walk import Walk, walk
from linewitness_wire import plan
from linewitness_wire.errors import WireError

FLEET_KEY_PREFIX = bytes.fromhex("302a300506032b6570032100")  # SubjectPublicKeyInfo of Ed25519 (RFC 8410 4)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verification says. exit_code 0 holds, 3 refused, 4 nothing refused but incomplete."""

    exit_code: int
    findings: list[Finding]
    fleet_key: str | None
    from_utc_us: int | None
    to_utc_us: int | None
    files: int
    batches: int
    timestamps: list[dict[str, Any]]
    witnesses: list[dict[str, Any]]


def verify(
    octets: bytes,
    fleet_key: str | None = None,
    tsa_root: bytes | None = None,
    checkpoints: Sequence[bytes] = (),
) -> Verdict:
    """Return the Verdict over a dossier's octets.

    fleet_key is the fingerprint (64 hex digits) got by another way than the dossier, tsa_root the authority's root in
    PEM, checkpoints the bundles that were handed in earlier. Raises nothing for a dossier that does not hold.
    """
    findings = Findings()
    try:
        files, altered = read_archive(octets)
    except BadArchive as e:
        findings.refuse(f"not a dossier: {e}")
        return _nothing(findings)
    for name in altered:
        findings.refuse("the file was altered: its CRC-32 does not match", file=name)
    manifest = _manifest(files, fleet_key, findings)
    if manifest is None:
        return _nothing(findings)
    _check_files(manifest, files, findings)
    enrolments = _enrolments(manifest, files, findings)
    stamped = read_checkpoints(files, tsa_root, findings)
    handed_in = _handed_in(checkpoints, tsa_root, findings)
    if tsa_root is None:
        findings.incomplete("the timestamps' authority was not checked: no --tsa-root")
    walks = _walks(manifest, files, enrolments, findings)
    base = complete.base_of(stamped, manifest)
    complete.check_roll(stamped, {e.kid: e for e in enrolments.values()}, findings)
    shown = [one for one in walks if _in_scope(manifest, one.enrolment)]
    for one in shown:
        complete.check_complete(one, stamped, handed_in, base, manifest, findings)
        complete.check_times(one, stamped, handed_in, findings)
    complete.check_tail(shown, stamped, manifest.to_us, findings)
    _check_plans(manifest, files, walks, stamped, findings)
    witnesses = _check_summary(manifest, files, walks, findings)
    if not any(one["covered_s"] for one in witnesses if one["shown"]):
        findings.incomplete("no reading lies in the period: nothing was measured, and nothing can be claimed from it")
    stamp_rows = _stamp_rows(stamped, findings)
    return Verdict(
        findings.exit_code,
        findings.found,
        manifest.fingerprint,
        manifest.from_us,
        manifest.to_us,
        len(files),
        sum(len(one.batches) for one in walks),
        stamp_rows,
        witnesses,
    )


def _nothing(findings: Findings) -> Verdict:
    return Verdict(findings.exit_code, findings.found, None, None, None, 0, 0, [], [])


def _manifest(files: Mapping[str, bytes], fleet_key: str | None, findings: Findings) -> Manifest | None:
    octets = files.get(MANIFEST)
    if octets is None or next(iter(files)) != MANIFEST:
        findings.refuse(f"not a dossier: its first file is not {MANIFEST}")
        return None
    try:
        manifest = peek_manifest(octets)
    except WireError as e:
        findings.refuse(f"{type(e).__name__}: {e}", file=MANIFEST)
        return None
    try:
        open_signed(octets, manifest.fleet_key, AAD_DOSSIER)
    except WireError as e:
        findings.refuse(f"{type(e).__name__}: {e}", file=MANIFEST)
    if fleet_key is None:
        findings.incomplete("the origin was not checked: no --fleet-key; whoever made the dossier chose its key")
    elif manifest.fingerprint != fleet_key:
        findings.refuse(f"made with the fleet key {manifest.fingerprint}, not with {fleet_key}", file=MANIFEST)
    return manifest


def _check_files(manifest: Manifest, files: Mapping[str, bytes], findings: Findings) -> None:
    listed = {entry.name: entry for entry in manifest.files}
    got = {entry.name: entry for entry in entries([(n, c) for n, c in files.items() if n != MANIFEST])}
    for name in sorted(listed.keys() | got.keys()):
        if name not in got:
            findings.refuse("the manifest lists it, the dossier lacks it", file=name)
        elif name not in listed:
            findings.refuse("the manifest does not list it", file=name)
        elif got[name] != listed[name]:
            findings.refuse("not the file that the manifest lists: its SHA-256 or size is another", file=name)
    if [name for name in files if name != MANIFEST] != sorted(got):
        findings.refuse("the files are not in the order of their names")
    if files.get("fleet.pub") != fleet_pem(manifest.fleet_key):
        findings.refuse("not the key of the manifest", file="fleet.pub")


def fleet_pem(public_key: bytes) -> bytes:
    """Return fleet.pub: the key as SubjectPublicKeyInfo in PEM (RFC 8410), one line of base64."""
    text = base64.b64encode(FLEET_KEY_PREFIX + public_key)
    return b"-----BEGIN PUBLIC KEY-----\n" + text + b"\n-----END PUBLIC KEY-----\n"


def _enrolments(manifest: Manifest, files: Mapping[str, bytes], findings: Findings) -> dict[str, Enrolment]:
    result = {}
    for name, octets in files.items():
        if not name.startswith("enrolments/"):
            continue
        try:
            enrolment = open_enrolment(octets, manifest.fleet_key)
        except WireError as e:
            findings.refuse(f"{type(e).__name__}: {e}", file=name)
            continue
        if name != f"enrolments/{enrolment.label}.cose":
            findings.refuse(f"enrols {enrolment.label}", file=name)
        result[enrolment.label] = enrolment
    return result


def _handed_in(bundles: Sequence[bytes], tsa_root: bytes | None, findings: Findings) -> list[Stamped]:
    result = []
    for i, octets in enumerate(bundles, 1):
        try:
            result.append(read_bundle(octets, tsa_root))
        except (WireError, NotIncluded, BadTimestamp) as e:
            findings.refuse(f"the checkpoint handed in (number {i}) does not hold: {e}")
    return result


def _in_scope(manifest: Manifest, enrolment: Enrolment) -> bool:
    return not manifest.sites or enrolment.site in manifest.sites


def _walks(
    manifest: Manifest, files: Mapping[str, bytes], enrolments: Mapping[str, Enrolment], findings: Findings
) -> list[Walk]:
    for name in files:
        label = name.removeprefix("batches/").removesuffix(".cborseq")
        if name.startswith("batches/") and (not name.endswith(".cborseq") or label not in enrolments):
            findings.refuse("batches of a key of which no valid enrolment is here", file=name)
    walks = []
    for label, enrolment in sorted(enrolments.items()):
        octets = files.get(f"batches/{label}.cborseq")
        if octets is not None and not _in_scope(manifest, enrolment):
            findings.refuse("batches of a site that the manifest does not show", file=f"batches/{label}.cborseq")
        if not _in_scope(manifest, enrolment):
            findings.incomplete("enrolled, but its batches are not in this dossier", _place(enrolment))
        walks.append(walk(enrolment, octets or b"", findings))
    return walks


def _place(enrolment: Enrolment) -> str:
    return f"{enrolment.site}/{enrolment.witness}"


def _check_plans(
    manifest: Manifest,
    files: Mapping[str, bytes],
    walks: Sequence[Walk],
    stamped: Sequence[Stamped],
    findings: Findings,
) -> None:
    times = {leaf.sha256: one.stamp.gen_time_us for one in reversed(stamped) for leaf in one.items}
    for one in walks:
        for digest in dict.fromkeys(batch.header.plan for batch in one.batches):
            octets = files.get(f"plans/{digest.hex()}.cbor")
            if octets is None:
                findings.incomplete(f"its plan {digest.hex()[:16]} is not in the dossier", one.witness)
                continue
            try:
                _check_plan(one, octets, digest)
                published = files.get(f"plans/{digest.hex()}.cose")
                if published is None:
                    findings.note(f"its plan {digest.hex()[:16]} was not published", one.witness)
                    continue
                if open_signed(published, manifest.fleet_key, AAD_PLAN) != octets:
                    findings.refuse("signs another plan", file=f"plans/{digest.hex()}.cose")
            except WireError as e:
                findings.refuse(f"{type(e).__name__}: {e}", one.witness, file=f"plans/{digest.hex()}.cbor")
                continue
            when = times.get(hashlib.sha256(published).digest())
            if when is None or when > manifest.from_us:
                known = "no timestamp covers it" if when is None else f"timestamped at {utc(when)}"
                findings.note(f"its plan {digest.hex()[:16]} was not published before the period: {known}", one.witness)


def _check_plan(one: Walk, octets: bytes, digest: bytes) -> None:
    if plan.digest(octets) != digest:
        raise WireError("the file's SHA-256 is not its name")
    decoded = plan.decode_plan(octets)
    if (decoded.site, decoded.witness) != (one.enrolment.site, one.enrolment.witness):
        raise WireError(f"the plan is that of {decoded.site}/{decoded.witness}")


def _check_summary(
    manifest: Manifest, files: Mapping[str, bytes], walks: Sequence[Walk], findings: Findings
) -> list[dict[str, Any]]:
    """Compute summary.json again, and where the dossier's own says other numbers, name the batches between."""
    rows = [summary.Shown(one.enrolment, one.batches, _in_scope(manifest, one.enrolment)) for one in walks]
    computed = summary.summarise(rows, manifest.from_us, manifest.to_us)
    witnesses: list[dict[str, Any]] = json.loads(computed)["witnesses"]
    stored = files.get(summary.NAME)
    if stored != computed:
        findings.refuse("is not what the batches give", file=summary.NAME)
        for one in walks:
            _name_lost_tail(one, stored, findings)
    return witnesses


def _name_lost_tail(one: Walk, stored: bytes | None, findings: Findings) -> None:
    try:
        listed = json.loads(stored or b"{}").get("witnesses", [])
        said = next((w["last_seq"] for w in listed if w["kid"] == one.enrolment.kid.hex()), None)
    except (ValueError, TypeError, KeyError, AttributeError):
        return  # the file is refused already; it only helps to name what is gone
    if isinstance(said, int) and said > one.last_seq:
        missing = one.last_seq + 1
        findings.refuse(f"batch {missing} is missing: the summary counts up to {said}", one.witness, missing)


def _stamp_rows(stamped: Sequence[Stamped], findings: Findings) -> list[dict[str, Any]]:
    tests = [one.number for one in stamped if one.stamp.is_test]
    if tests:
        findings.note(f"{len(tests)} timestamps are of a test authority: they prove nothing to anyone else")
    return [
        {"checkpoint": one.number, "gen_time_us": one.stamp.gen_time_us, "test_authority": one.stamp.is_test}
        for one in stamped
    ]
