"""`linewitness witness`: flash, enrol, list, show, retire."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from linewitness.cli import Answer, command, table
from linewitness.cli.settle import Instant
from linewitness.errors import CannotDo

if TYPE_CHECKING:
    from linewitness.fleet import Fleet
    from linewitness.ledger import Enrolment, Ledger


@click.group()
def witness() -> None:
    """The boards in the branch offices."""


def _now_us() -> int:
    return time.time_ns() // 1000


@contextlib.contextmanager
def _bar() -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """Yield (started, progress), which show octets written: as a bar on a terminal, else as two lines, on stderr."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("writing", total=None)
            yield lambda octets: progress.update(task, total=octets), lambda octets: progress.advance(task, octets)
        return
    yield lambda octets: click.echo(f"writing {octets} octets", err=True), lambda octets: None


def _render_flash(value: dict[str, Any]) -> str:
    return (
        f"{value['site']}/{value['witness']}: {value['written']} files written ({value['octets']} octets), "
        f"{value['unchanged']} unchanged, {value['removed']} removed; firmware {value['firmware'].hex()[:16]} "
        f"({value['architecture']}) on {value['board']}; the board is starting"
        + "".join(f"\n{value['site']}/{name} has an older plan: push or flash it" for name in value["outdated"])
    )


_port = click.option("--port", required=True, help="Serial port: /dev/ttyUSB0, COM3, socket://127.0.0.1:8266 ...")


@command(witness, render=_render_flash)
@click.argument("site")
@click.argument("witness")
@_port
@click.option("--board", help="Kind of board; asked of the board if not given.")
def flash(fleet: Fleet, site: str, witness: str, port: str, board: str | None) -> dict[str, object]:
    """Put firmware, configuration and plan onto a board that runs MicroPython. Only what differs is written.

    Example: linewitness witness flash leeds w1 --port /dev/ttyUSB0
    """
    from linewitness.device.authorities import authority_files
    from linewitness.device.install import AUTHORITY, CONFIG, PLAN, config_json, install
    from linewitness.device.prompt import Prompt
    from linewitness.plan import current, outdated
    from linewitness.site import check_name

    check_name("witness", witness)
    where = fleet.site(site)
    secrets = fleet.make_witness_secrets(site, witness)
    with fleet.ledger() as book:
        plan = current(book, fleet, where, witness, _now_us())
        others = outdated(book, fleet, where)

    def files(name: str) -> dict[str, bytes]:
        authority = (fleet.keys / "ca.der").read_bytes()
        told = {CONFIG: config_json(fleet, where, witness, name, secrets), PLAN: plan, AUTHORITY: authority}
        return told | authority_files(fleet, where)

    with Prompt(port) as prompt, _bar() as (started, progress):
        installed = install(prompt, board, where.network["kind"], files, started, progress)
    return {"site": site, "witness": witness, **asdict(installed), "outdated": others}


def _render_enrol(value: dict[str, Any]) -> str:
    how = "enrolled" if value["new"] else "is enrolled already"
    return f"{value['site']}/{value['witness']} {how}: key {value['kid'].hex()}, {value['public_key'].hex()}"


@command(witness, render=_render_enrol)
@click.argument("site")
@click.argument("witness")
@_port
@click.option("--replace", is_flag=True, help="Retire the key that the witness had before.")
def enrol(fleet: Fleet, site: str, witness: str, port: str, replace: bool) -> dict[str, object]:
    """Take a board's public key, proven over the serial line, into the ledger: from now on its batches count.

    Example: linewitness witness enrol leeds w1 --port /dev/ttyUSB0
    """
    from linewitness.device.enrolment import ask_identity, enrolment_of, retirement_of
    from linewitness.device.prompt import Prompt
    from linewitness.evidence.signed import Signer

    fleet.site(site)
    signer = Signer(fleet.public_key, fleet.sign)
    with Prompt(port) as prompt:
        identity = ask_identity(prompt, site, witness)
        prompt.restart()
    with fleet.ledger() as book:
        known = _enrolled(book, site, witness)
        new = known is None or known.public_key != identity.public_key
        if known is not None and new:
            if not replace:
                raise CannotDo(f"{site}/{witness} has another key, {known.kid.hex()}", "ledger", "--replace retires it")
            book.retire(known.kid, retirement_of(known, _now_us(), signer), _now_us())
        made = enrolment_of(identity, site, witness, _now_us(), signer)
        if new:
            book.add_enrolment(made)
    return {"site": site, "witness": witness, "kid": made.kid, "public_key": made.public_key, "new": new}


def _enrolled(book: Ledger, site: str, witness: str) -> Enrolment | None:
    """Return the enrolment in force of a witness, or None."""
    for known in book.enrolments():
        if (known.site, known.witness) == (site, witness) and known.retired_us is None:
            return known
    return None


def _render_list(rows: list[dict[str, Any]]) -> str:
    headings = ("site", "witness", "kid", "batches", "missing", "last heard", "clock", "state")
    lines = []
    for row in rows:
        age = "never" if row["last_heard_us"] is None else f"{(_now_us() - row['last_heard_us']) // 1_000_000} s ago"
        state = "retired" if row["retired_us"] is not None else "enrolled"
        clock = None if not row["batches"] else "NEVER SET" if row["utc_us"] is None else "set"
        lines.append((row["site"], row["witness"], row["kid"].hex(), row["batches"], row["missing"], age, clock, state))
    return table(headings, lines)


@command(witness, "list", render=_render_list)
def list_witnesses(fleet: Fleet) -> list[dict[str, object]]:
    """List the witnesses: when each was last heard, how many batches it sent, how many of them are not here.

    Coverage is batches / (batches + missing) of each key. A clock that was never set means that no time server
    answers: what the witness measures counts for nothing until one does.
    """
    with fleet.ledger() as book:
        heads = {head.kid: head for head in book.heads()}
        rows: list[dict[str, object]] = []
        for known in book.enrolments():
            head = heads.get(known.kid)
            rows.append(
                {
                    "site": known.site,
                    "witness": known.witness,
                    "kid": known.kid,
                    "enrolled_us": known.enrolled_us,
                    "retired_us": known.retired_us,
                    "batches": head.batches if head else 0,
                    "missing": head.missing if head else 0,
                    "coverage_ppm": head.batches * 1_000_000 // head.seq if head else None,
                    "last_seq": head.seq if head else None,
                    "last_heard_us": head.received_us if head else None,
                    "utc_us": head.utc_us if head else None,
                }
            )
    return rows


def _render_show(value: dict[str, Any]) -> str:
    from linewitness.evidence.stamps import utc

    can = "unknown" if value["capabilities"] is None else ", ".join(value["capabilities"]) or "nothing of note"
    lines = [
        f"{value['site']}/{value['witness']}: {value['board'] or 'no boot told'}, can {can}",
        f"boot {value['boot']}, batch {value['seq']}; firmware {value['firmware'].hex()[:16]}, "
        f"plan {value['plan'].hex()[:16]}",
    ]
    if value["safe_mode"]:
        lines.append(f"SAFE MODE after {value['safe_mode']} crashes: it measures nothing; try: linewitness plan push")
    elif not value["has_plan"]:
        lines.append("NO PLAN that it can read: it measures nothing; try: linewitness plan push")
    rows = [
        ("before its clock" if e["at_us"] is None else utc(e["at_us"]), e["boot"], e["kind"].replace("_", " "),
         e["text"]) for e in value["entries"]
    ]  # fmt: skip
    return "\n".join([*lines, "", table(("at", "boot", "", "what it signed of itself"), rows)])


@command(witness, render=_render_show)
@click.argument("site")
@click.argument("witness")
@click.option("--from", "from_us", type=Instant(), help="Leave out what was told before.")
def show(fleet: Fleet, site: str, witness: str, from_us: int | None) -> object:
    """Show what a witness signed of itself: its board and what that can do, boots and why, faults, safe mode.

    \b
    Exit code 4: it reports, but measures nothing (safe mode, or no plan that it can read).
    Example: linewitness witness show leeds w1 --from 2026-10-01
    """
    from linewitness.diary import diary

    with fleet.ledger() as book:
        known = _enrolled(book, site, witness)
        if known is None:
            raise CannotDo(f"{site}/{witness} is not enrolled", "ledger", "linewitness witness list")
        found = diary((one.cose, one.body) for one in book.batches(kid=known.kid, from_us=from_us))
    if found is None:
        raise CannotDo(f"{site}/{witness} has told nothing" + (" since" if from_us else ""), "ledger",
                       "linewitness witness list")  # fmt: skip
    value = {"site": site, "witness": witness, **asdict(found)}
    return Answer(value, 4) if found.safe_mode or not found.has_plan else value


@command(witness, render=lambda value: f"{value['site']}/{value['witness']} is retired: key {value['kid'].hex()}")
@click.argument("site")
@click.argument("witness")
def retire(fleet: Fleet, site: str, witness: str) -> dict[str, object]:
    """End a witness's enrolment: its key counts no more, and the broker lets it in no more. What it sent stays.

    Example: linewitness witness retire leeds w1
    """
    from linewitness.device.enrolment import retirement_of
    from linewitness.evidence.signed import Signer

    with fleet.ledger() as book:
        known = _enrolled(book, site, witness)
        if known is None:
            raise CannotDo(f"{site}/{witness} is not enrolled", "ledger", "linewitness witness list")
        now_us = _now_us()
        record = retirement_of(known, now_us, Signer(fleet.public_key, fleet.sign))
        book.retire(known.kid, record, now_us)
    fleet.forget_witness(site, witness)
    return {"site": site, "witness": witness, "kid": known.kid, "retired_us": now_us}
