"""`linewitness checkpoint`: a Merkle root over the ledger, timestamped by a third party."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linewitness.cli import command
from linewitness.config import write_octets
from linewitness.errors import UsageProblem

if TYPE_CHECKING:
    from linewitness.evidence.ledgered import Taken
    from linewitness.fleet import Fleet
    from linewitness.ledger import Ledger


def _render(value: dict[str, Any]) -> str:
    from linewitness.evidence.stamps import utc

    doubt = "\ntest authority: this timestamp proves nothing to anyone else" if value["test_authority"] else ""
    return (
        f"checkpoint {value['checkpoint']}: {value['heads']} chains, {value['items']} new items,"
        f" timestamped at {utc(value['gen_time_us'])}\nroot {value['root'].hex()}"
        f"\nstatement {value['statement_sha256']}{doubt}"
    )


@command(render=_render)
@click.option("--authority", help="Timestamp authority: URL, or openssl:DIR [default: of fleet.toml].")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Also write it to a file to hand out.")
@click.option("--yes", is_flag=True, help="Go on where the authority is another than before.")
def checkpoint(fleet: Fleet, authority: str | None, out: Path | None, yes: bool) -> object:
    """Take a checkpoint of the ledger and have it timestamped; the witnesses get its anchor.

    The ledger holds to its first authority: a dossier over two needs the roots of both to be verified. Another one is
    asked for on a terminal, and refused elsewhere without --yes.

    The file that --out writes lets its holder prove that a later dossier left something out (verify --checkpoint).

    Example: linewitness checkpoint --out october.checkpoint
    """
    with fleet.ledger() as book:
        made = take(fleet, book, authority, may_change=yes)
    if out is not None:
        write_octets(out, made.bundle())
    return describe_checkpoint(made)


def take(fleet: Fleet, book: Ledger, authority: str | None, *, may_change: bool = False) -> Taken:
    """Return a new checkpoint by the authority given, else by that of fleet.toml. Raises UsageProblem without one.

    Nothing is written where the authority is another than that of the newest checkpoint, unless may_change says so or
    whoever sits at the terminal.
    """
    from linewitness.evidence.authority import request_timestamp
    from linewitness.evidence.ledgered import take_checkpoint

    where = authority or authority_of(fleet)
    if where is None:
        hint = 'timestamps: url = "https://..." (plan publish: or --no-timestamp; to try it: --authority openssl:DIR)'
        raise UsageProblem("no timestamp authority is named", str(fleet.root / "fleet.toml"), hint)
    root = fleet.timestamp_root.read_bytes() if authority is None and fleet.timestamp_root is not None else None

    def timestamp(octets: bytes) -> bytes:
        response = request_timestamp(where, octets, root)
        if not may_change:
            _check_same(fleet, book, authority, response)
        return response

    return take_checkpoint(book, timestamp, time.time_ns() // 1000)


def _check_same(fleet: Fleet, book: Ledger, authority: str | None, response: bytes) -> None:
    """Return nothing; raise UsageProblem where the response is by another authority than the ledger holds to."""
    from linewitness.evidence.timestamp import authority_of as signed_by
    from linewitness.evidence.timestamp import read_stamp

    newest = book.newest("timestamp")
    now = signed_by(response)
    before = None if newest is None else signed_by(newest.content)
    if before is None and authority is not None and fleet.timestamp_url is not None and read_stamp(response).is_test:
        before = fleet.timestamp_url  # the first checkpoint, by a test authority, where a real one is named
    if before is None or before == now:
        return
    what = f"another timestamp authority: {now}, so far {before}; a dossier over both needs both roots in one PEM file"
    if sys.stdin.isatty() and click.confirm(f"{what}. Go on?", err=True):
        return
    raise UsageProblem(what, "checkpoint", "the authority of fleet.toml, or linewitness checkpoint --yes")


def authority_of(fleet: Fleet) -> str | None:
    """Return the authority of fleet.toml; an openssl: folder is relative to the fleet's."""
    url = fleet.timestamp_url
    if url is not None and url.startswith("openssl:"):
        return f"openssl:{fleet.root / url.removeprefix('openssl:')}"
    return url


def root_of(fleet: Fleet) -> bytes | None:
    """Return the authority's root in PEM where the fleet knows it."""
    from linewitness.evidence import authority

    where = authority_of(fleet)
    path = fleet.timestamp_root or (authority.root_of(where) if where else None)
    if path is None or not path.exists():
        return None
    return path.read_bytes()


def describe_checkpoint(made: Taken) -> dict[str, Any]:
    """Return what a command says of a checkpoint."""
    import hashlib

    statement = made.statement
    return {
        "checkpoint": made.number,
        "created_us": statement.created_us,
        "gen_time_us": made.stamp.gen_time_us,
        "heads": statement.heads,
        "items": statement.tree_size - statement.heads,
        "root": statement.root,
        "statement_sha256": hashlib.sha256(made.record.statement).hexdigest(),
        "anchor": made.anchor,
        "test_authority": made.stamp.is_test,
    }
