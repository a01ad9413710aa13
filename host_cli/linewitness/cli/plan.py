"""`linewitness plan`: publish, push, show, cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linewitness import config
from linewitness.cli import Answer, command, jsonable, table
from linewitness.errors import CannotDo, UsageProblem, cannot_access

if TYPE_CHECKING:
    from linewitness.evidence.publish import Publication
    from linewitness.fleet import Fleet
    from linewitness.ledger import Enrolment, Ledger
    from linewitness.pushing import Pushed
    from linewitness_wire.plan import Plan


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
    enrolled = _enrolled(fleet, book, sites)
    return publish_plans(
        book,
        Signer(fleet.public_key, fleet.sign),
        [(e.site, e.witness, e.kid) for e in enrolled],
        lambda site, witness: plans.current(book, fleet, fleet.site(site), witness, now_us),
        plans.describe,
        now_us,
    )


def _enrolled(fleet: Fleet, book: Ledger, sites: tuple[str, ...]) -> list[Enrolment]:
    """Return the witnesses of these sites, of all where none is named. Raises CannotDo, UsageProblem."""
    for name in sites:
        fleet.site(name)
    enrolled = [e for e in book.enrolments() if e.retired_us is None and (not sites or e.site in sites)]
    if not enrolled:
        raise CannotDo("no witness is enrolled", ", ".join(sites) or str(fleet.root), "linewitness witness enrol")
    return enrolled


def _write(folder: Path, publications: list[Publication], text: str, value: dict[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise cannot_access(e, folder) from e
    config.write(folder / "plans.txt", text + "\n")
    config.write(folder / "plans.json", json.dumps(value, default=jsonable, indent=1, sort_keys=True) + "\n")
    for one in publications:
        config.write_octets(folder / f"{one.stem}.plan.cose", one.signed)


_TAKES_S = 60.0  # for a connection, a command and a signature


def _pushed_line(one: Pushed) -> str:
    words = {"in force": "has this plan already", "changed": "has the new plan"}.get(one.status, one.status)
    batch = f", batch {one.seq}" if one.seq else ""
    why = f": {one.why}; try: {one.attempt}" if one.why else ""
    return f"{one.site}/{one.witness} {words} ({one.sha256.hex()[:16]}{batch}){why}"


@command(plan, render=lambda rows: "\n".join(map(_pushed_line, rows)))
@click.option("--site", "sites", multiple=True, help="The witnesses of this site; repeatable.")
@click.option("--witness", "names", multiple=True, metavar="SITE/NAME", help="This witness; repeatable.")
@click.option("--all", "everybody", is_flag=True, help="All witnesses of the fleet.")
@click.option("--broker", "address", metavar="HOST:PORT", help="Where the broker is; default: as fleet.toml says.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(1),
    metavar="SECONDS",
    help="How long to wait for answers; default: two batches and a minute.",
)
def push(
    fleet: Fleet,
    sites: tuple[str, ...],
    names: tuple[str, ...],
    everybody: bool,
    address: str | None,
    timeout_s: float | None,
) -> object:
    """Bring what a site's file says now to its witnesses: sign, publish and send their plans, and wait for batches.

    It is done when a signed batch names the new plan; a witness that has it already is left alone. A collector has to
    be running. Exit code 3 where a witness refuses, 1 where it has to be flashed, 4 where it did not answer (the
    command then waits for it at the broker).

    Example: linewitness plan push --site leeds
    """
    import time

    from linewitness.cli.collect import address_of
    from linewitness.lock import only_one
    from linewitness.pushing import push_plans

    if everybody == bool(sites or names):
        raise UsageProblem("wanted --all, or whose plans", "linewitness plan push", "--site NAME, --witness SITE/NAME")
    host, port = address_of(address)
    with only_one(fleet.root, "plan-push"), fleet.ledger() as book:
        chosen = _chosen(fleet, book, sites, names)
        if timeout_s is None:
            timeout_s = _TAKES_S + 2 * max(fleet.site(name).plan["batch_s"] for name in {e.site for e in chosen})
        click.echo(f"{len(chosen)} witnesses; waiting {timeout_s:.0f} s at most", err=True)
        rows = push_plans(
            *(fleet, book, chosen, timeout_s, time.time_ns() // 1000),
            host=host,
            port=port,
            told=lambda one: click.echo(_pushed_line(one), err=True),
        )
    return Answer(rows, _exit_code({row.status for row in rows}))


def _chosen(fleet: Fleet, book: Ledger, sites: tuple[str, ...], names: tuple[str, ...]) -> list[Enrolment]:
    """Return the witnesses of the sites and those named, of all where nothing is named."""
    for name in sites:
        fleet.site(name)
    enrolled = _enrolled(fleet, book, () if names else sites)
    known = {f"{e.site}/{e.witness}" for e in enrolled}
    for name in names:
        if name not in known:
            raise UsageProblem(f"no witness '{name}' is enrolled", "--witness", "linewitness witness list")
    return [e for e in enrolled if not (sites or names) or e.site in sites or f"{e.site}/{e.witness}" in names]


def _exit_code(statuses: set[str]) -> int:
    """Return 3 where one was refused, else 1 where a board has to be flashed, else 4 where one did not answer."""
    from linewitness.pushing import NEEDS_FLASH, REFUSED, UNANSWERED

    codes = {REFUSED: 3, NEEDS_FLASH: 1, UNANSWERED: 4}
    return next((code for status, code in codes.items() if status in statuses), 0)


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


def _render_cost(value: dict[str, Any]) -> str:
    headings = (
        "target",
        "method",
        "period s",
        "packets/h",
        "up octets/s",
        "down octets/s",
        "octets a batch",
        "calls/h",
    )
    rows = [
        (
            *(line["name"], line["method"], f"{line['period_ms'] / 1000:g}"),
            f"{line['packets_an_hour']:.0f}",
            *(f"{line[f'{way}_octets_a_second']:.1f}" for way in ("up", "down")),
            line["batch_octets"],
            f"{line['calls_an_hour']:g}" if line["calls_an_hour"] else None,
        )
        for line in value["targets"]
    ]
    return (
        f"{value['site']}/{value['witness']}\n{table(headings, rows)}\n"
        f"all {value['up_kbits']:.1f} kbit/s up, {value['down_kbits']:.1f} down; across the access line"
        f" {value['line_up_kbits']:.1f} up, {value['line_down_kbits']:.1f} down\n"
        f"an hour: {value['batches_an_hour']:.0f} batches of {value['batch_octets']} octets,"
        f" {value['messages_an_hour']:.0f} MQTT messages, {value['flash_pages_an_hour']:.0f} flash pages,"
        f" {value['money_an_hour']:g} for calls"
    )


@command(plan, render=lambda values: "\n\n".join(_render_cost(value) for value in values))
@click.argument("plan_file", metavar="[PLAN]", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--site", "site_name", help="The plans of this site's witnesses, as its file has them now.")
@click.option("--per-call", type=float, default=0.0, help="What a test call costs to set up.")
@click.option("--per-minute", type=float, default=0.0, help="What a minute of a test call costs.")
def cost(
    fleet_path: Path, plan_file: Path | None, site_name: str | None, per_call: float, per_minute: float
) -> list[dict[str, object]]:
    """Print what a plan costs while all is well: octets, messages, flash writes, money.

    PLAN is a plan's file (plan.cbor of a board, plans/*.cbor of a dossier).

    Example: linewitness plan cost --site leeds
    """
    from linewitness.cost import cost as reckon

    if (plan_file is None) == (site_name is None):
        raise UsageProblem("wanted one of PLAN and --site", "linewitness plan cost", "--site NAME")
    plans = [_read_plan(plan_file)] if plan_file is not None else _plans_of(fleet_path, str(site_name))
    values: list[dict[str, object]] = []
    for one in plans:
        found = reckon(one, per_call, per_minute)
        lines = [
            {
                "name": line.name,
                "method": line.method,
                "period_ms": line.period_ms,
                "on_the_line": line.on_the_line,
                "packets_an_hour": line.hourly.packets_up + line.hourly.packets_down,
                "up_octets_a_second": line.hourly.octets_up / 3600,
                "down_octets_a_second": line.hourly.octets_down / 3600,
                "batch_octets": line.batch_octets,
                "calls_an_hour": line.calls,
            }
            for line in found.lines
        ]
        values.append(
            {
                "site": one.site,
                "witness": one.witness,
                "targets": lines,
                "up_kbits": found.kbits("up"),
                "down_kbits": found.kbits("down"),
                "line_up_kbits": found.kbits("up", line_only=True),
                "line_down_kbits": found.kbits("down", line_only=True),
                "batches_an_hour": found.batches,
                "batch_octets": found.batch_octets,
                "messages_an_hour": found.messages,
                "flash_pages_an_hour": found.flash_pages,
                "money_an_hour": found.money,
            }
        )
    return values


def _read_plan(path: Path) -> Plan:
    from linewitness_wire import plan as wire
    from linewitness_wire.errors import WireError

    try:
        decoded: Plan = wire.decode_plan(path.read_bytes())
    except OSError as e:
        raise cannot_access(e, path) from e
    except WireError as e:
        raise UsageProblem(f"not a plan: {e}", str(path), "plan.cbor of a board") from e
    return decoded


def _plans_of(folder: Path, name: str) -> list[Plan]:
    from linewitness.fleet import Fleet
    from linewitness.plan import compile_plan
    from linewitness.private import salt_of
    from linewitness_wire import plan as wire

    fleet = Fleet.open(folder)
    site = fleet.site(name)
    witnesses = sorted(witness for place, witness in fleet.witnesses_with_secrets() if place == name) or ["witness"]
    return [wire.decode_plan(compile_plan(site, w, 0, salt_of(fleet, site), len(witnesses))) for w in witnesses]
