"""`linewitness dossier`: the evidence pack for a claim, verified as the other side will verify it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linewitness.cli import Answer, command
from linewitness.config import write_octets
from linewitness.errors import CannotDo, Refused, UsageProblem, cannot_access

if TYPE_CHECKING:
    from linewitness.fleet import Fleet


def _render(value: dict[str, Any]) -> str:
    from linewitness.cli.verify import render_verdict

    return (
        f"{render_verdict(value['verdict'])}\nwrote {value['file']} ({value['size_bytes']} octets)"
        f"\nfingerprint to give by another way: {value['fleet_key']}"
    )


@command(render=_render)
@click.option("--from", "from_", required=True, metavar="TIME", help="Start: 2026-10-01 or 2026-10-01T12:00:00+02:00.")
@click.option("--to", required=True, metavar="TIME", help="End, not included.")
@click.option("--site", "sites", multiple=True, help="Show the batches of this site only; repeatable.")
@click.option(
    "--contract", type=click.Path(path_type=Path, dir_okay=False, readable=False), help="Put in as contract.toml."
)
@click.option(
    "--settlement", type=click.Path(path_type=Path, dir_okay=False, readable=False), help="Put in as settlement.json."
)
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False, readable=False), help="Put in as report.html."
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False, readable=False), help="[default: dossiers/FROM--TO.zip]"
)
def dossier(
    fleet: Fleet,
    from_: str,
    to: str,
    sites: tuple[str, ...],
    contract: Path | None,
    settlement: Path | None,
    report: Path | None,
    out: Path | None,
) -> object:
    """Write the evidence of a period as one file, and check it as the other side will (exit code of verify).

    \b
    Example: linewitness dossier --from 2026-10-01 --to 2026-11-01 --site leeds
    """
    from linewitness.cli.checkpoint import root_of
    from linewitness.evidence.dossier import build_dossier
    from linewitness.evidence.signed import Signer
    from linewitness.evidence.verify import verify

    from_us, to_us = parse_time(from_, "--from"), parse_time(to, "--to")
    if from_us >= to_us:
        raise UsageProblem("the period ends before it begins", f"--from {from_} --to {to}", "a later --to")
    for name in sites:
        fleet.site(name)
    given = {"contract.toml": contract, "settlement.json": settlement, "report.html": report}
    extra = {name: _read(path) for name, path in given.items() if path is not None}
    _check_extra(given, extra)
    with fleet.ledger() as book:
        octets = build_dossier(book, Signer(fleet.public_key, fleet.sign), from_us, to_us, sites, extra)
    path = out or fleet.dossiers / f"{_stem(from_us)}--{_stem(to_us)}.zip"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise cannot_access(e, path.parent) from e
    write_octets(path, octets)
    verdict = verify(octets, fleet.fingerprint, root_of(fleet))
    value = {"file": path, "size_bytes": len(octets), "fleet_key": fleet.fingerprint, "verdict": verdict}
    return Answer(value, verdict.exit_code)


def parse_time(text: str, where: str) -> int:
    """Return microseconds since 1970 of an ISO 8601 date or time; without an offset it is UTC. Raises UsageProblem."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as e:
        raise UsageProblem(f"not a date or time: {text!r}", where, "2026-10-01 or 2026-10-01T12:00:00+02:00") from e
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    since_1970 = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return since_1970 // datetime.timedelta(microseconds=1)


def _stem(us: int) -> str:
    moment = datetime.datetime.fromtimestamp(us // 1_000_000, datetime.UTC)
    return moment.strftime("%Y%m%dT%H%M%SZ")


def _check_extra(given: dict[str, Path | None], extra: dict[str, bytes]) -> None:
    """Return nothing; raise where a file that goes in is not what its name in the dossier says."""
    from linewitness.model import Settlement
    from linewitness.settle.contract import check

    try:
        if "settlement.json" in extra:
            Settlement.from_json(extra["settlement.json"].decode("utf-8"))
    except ValueError as e:
        raise CannotDo(f"not a settlement: {e}", str(given["settlement.json"]), "linewitness settle --out FILE") from e
    try:
        if "contract.toml" in extra and check(extra["contract.toml"].decode("utf-8"))[0] is None:
            raise Refused("not a contract that holds", str(given["contract.toml"]), "linewitness contract check FILE")
    except UnicodeDecodeError as e:
        raise Refused("not UTF-8 text", str(given["contract.toml"]), "save it as UTF-8") from e


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise cannot_access(e, path) from e
