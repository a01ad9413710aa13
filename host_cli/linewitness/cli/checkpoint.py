"""`linewitness checkpoint`: a Merkle root over the ledger, timestamped by a third party."""

from __future__ import annotations

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
def checkpoint(fleet: Fleet, authority: str | None, out: Path | None) -> object:
    """Take a checkpoint of the ledger and have it timestamped; the witnesses get its anchor.

    The file that --out writes lets its holder prove that a later dossier left something out (verify --checkpoint).

    Example: linewitness checkpoint --out october.checkpoint
    """
    with fleet.ledger() as book:
        made = take(fleet, book, authority)
    if out is not None:
        write_octets(out, made.bundle())
    return describe_checkpoint(made)


def take(fleet: Fleet, book: Ledger, authority: str | None) -> Taken:
    """Return a new checkpoint by the authority given, else by that of fleet.toml. Raises UsageProblem without one."""
    from linewitness.evidence.authority import request_timestamp
    from linewitness.evidence.ledgered import take_checkpoint

    where = authority or authority_of(fleet)
    if where is None:
        hint = 'timestamps: url = "https://..." (plan publish: or --no-timestamp; to try it: --authority openssl:DIR)'
        raise UsageProblem("no timestamp authority is named", str(fleet.root / "fleet.toml"), hint)
    root = fleet.timestamp_root.read_bytes() if authority is None and fleet.timestamp_root is not None else None
    return take_checkpoint(book, lambda octets: request_timestamp(where, octets, root), time.time_ns() // 1000)


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
