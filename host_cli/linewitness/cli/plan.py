"""`linewitness plan`: publish, show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linewitness import config
from linewitness.cli import command, jsonable
from linewitness.errors import CannotDo, cannot_access

if TYPE_CHECKING:
    from linewitness.evidence.publish import Publication
    from linewitness.fleet import Fleet
    from linewitness.ledger import Ledger


@click.group()
def plan() -> None:
    """What the witnesses measure, as agreed before the term."""


@command(plan, render=lambda value: value["text"])
@click.option("--site", "sites", multiple=True, help="Only this site; repeatable.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Also write the files to mail here.")
@click.option("--authority", help="Timestamp authority: URL, or openssl:DIR [default: of fleet.toml].")
@click.option("--no-timestamp", is_flag=True, help="Leave the timestamp to the next checkpoint.")
def publish(
    fleet: Fleet, sites: tuple[str, ...], out: Path | None, authority: str | None, no_timestamp: bool
) -> object:
    """Sign every witness's plan, timestamp it, and print it in words to mail to the provider.

    \b
    Example: linewitness plan publish --out to-mail
    """
    from linewitness.cli.checkpoint import describe_checkpoint, take
    from linewitness.evidence.publish import as_text

    with fleet.ledger() as book:
        publications = _publish(fleet, book, sites)
        stamped = None if no_timestamp else describe_checkpoint(take(fleet, book, authority))
    text = as_text(publications, fleet.fingerprint, fleet.name)
    value = {"publications": publications, "checkpoint": stamped, "fleet_key": fleet.fingerprint, "text": text}
    if out is not None:
        _write(out, publications, text, value)
    return value


def _publish(fleet: Fleet, book: Ledger, sites: tuple[str, ...]) -> list[Publication]:
    import time

    from linewitness import plan as plans
    from linewitness.evidence.publish import publish_plans
    from linewitness.evidence.signed import Signer

    now_us = time.time_ns() // 1000
    for name in sites:
        fleet.site(name)
    enrolled = [e for e in book.enrolments() if e.retired_us is None and (not sites or e.site in sites)]
    if not enrolled:
        raise CannotDo("no witness is enrolled", ", ".join(sites) or str(fleet.root), "linewitness witness enrol")
    return publish_plans(
        book,
        Signer(fleet.public_key, fleet.sign),
        [(e.site, e.witness, e.kid) for e in enrolled],
        lambda site, witness: plans.current(book, fleet, fleet.site(site), witness, now_us),
        plans.describe,
        now_us,
    )


def _write(folder: Path, publications: list[Publication], text: str, value: dict[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise cannot_access(e, folder) from e
    config.write(folder / "plans.txt", text + "\n")
    config.write(folder / "plans.json", json.dumps(value, default=jsonable, indent=1, sort_keys=True) + "\n")
    for one in publications:
        config.write_octets(folder / f"{one.stem}.plan.cose", one.signed)


@command(plan, render=lambda rows: "\n".join(f"{row['name']}  {row['sha256']}  {row['recorded']}" for row in rows))
def show(fleet: Fleet) -> object:
    """List every plan that a witness was given, by its SHA-256."""
    from linewitness import plan as plans
    from linewitness.evidence.stamps import utc

    with fleet.ledger() as book:
        return [
            {
                "name": item.name,
                "sha256": item.sha256.hex(),
                "recorded": utc(item.recorded_us),
                "plan": plans.describe(item.content),
            }
            for item in book.items("plan")
        ]
