"""`linewitness verify`: check a dossier; needs the file, the fleet key's fingerprint and the authority's root."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from linewitness.cli import Answer, command
from linewitness.errors import UsageProblem, cannot_access

if TYPE_CHECKING:
    from linewitness.evidence.verify import Verdict

WORDS = {0: "HOLDS", 3: "REFUSED", 4: "INCOMPLETE: nothing refused, but not everything could be checked"}


def render_verdict(verdict: Verdict) -> str:
    """Return a verdict as text: what it covers, every finding, the result last."""
    from linewitness.evidence.stamps import utc

    lines = []
    if verdict.fleet_key is not None and verdict.from_utc_us is not None and verdict.to_utc_us is not None:
        lines.append(f"period  {utc(verdict.from_utc_us)} to {utc(verdict.to_utc_us)}")
        lines.append(f"key     {verdict.fleet_key}")
        lines.append(f"checked {verdict.batches} batches, {len(verdict.timestamps)} timestamps, {verdict.files} files")
    for one in verdict.witnesses:
        span = f"{one['first_seq']}..{one['last_seq']}" if one["batches"] else "no batches"
        lines.append(f"witness {one['site']}/{one['witness']}  {span}  covers {one['covered_s']} s")
    lines += [finding.line() for finding in verdict.findings]
    return "\n".join([*lines, WORDS[verdict.exit_code]])


@command(fleet=False, render=render_verdict)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, readable=False))
@click.option("--fleet-key", metavar="FINGERPRINT", help="SHA-256 of the fleet's key.")
@click.option(
    "--tsa-root",
    metavar="PEM",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    help="Root of the timestamp authority.",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    help="A checkpoint that was handed in earlier; repeatable.",
)
def verify(file: Path, fleet_key: str | None, tsa_root: Path | None, checkpoints: tuple[Path, ...]) -> object:
    """Check a dossier: every signature, chain, timestamp, and that nothing is missing.

    \b
    Without --fleet-key and --tsa-root the best result is 4: consistent, origin or time not checked.
    Example: linewitness verify dossier.zip --fleet-key "1a2b 3c4d ..." --tsa-root root.pem
    """
    from linewitness.evidence.manifest import parse_fingerprint
    from linewitness.evidence.timestamp import BadTimestamp, read_roots
    from linewitness.evidence.verify import verify as check
    from linewitness_wire.errors import WireError

    try:
        fingerprint = None if fleet_key is None else parse_fingerprint(fleet_key)
    except WireError as e:
        raise UsageProblem(str(e), "--fleet-key", "the fingerprint from the contract or by telephone") from e
    root = None if tsa_root is None else _read(tsa_root)
    try:
        if root is not None:
            read_roots(root)
    except BadTimestamp as e:
        raise UsageProblem(str(e), str(tsa_root), "the authority's root certificate, as it publishes it") from e
    verdict = check(_read(file), fingerprint, root, [_read(path) for path in checkpoints])
    return Answer(verdict, verdict.exit_code)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise cannot_access(e, path) from e
