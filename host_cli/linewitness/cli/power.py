"""`linewitness power`: read, watch, list."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from linewitness.cli import Answer, command, table
from linewitness.errors import CannotDo

if TYPE_CHECKING:
    from collections.abc import Callable

    from linewitness.fleet import Fleet

DEFAULT_PORT = 6053


@click.group()
def power() -> None:
    """Was there power? What an ESPHome plug, UPS or monitor at the branch says, kept as evidence."""


def _monitor(function: Callable[..., object]) -> Callable[..., object]:
    options = (
        click.argument("where", metavar="HOST[:PORT]"),
        click.option("--site", required=True, help="Where the monitor is."),
        click.option("--name", default="power", show_default=True, help="What the monitor is called in the ledger."),
        click.option("--key", help="Name of the secret with the device's Noise key (base64)."),
        click.option("--mains", help="Object id of the entity that tells whether there is power [default: found out]."),
        click.option(
            "--seconds", type=click.FloatRange(0.5, 60), default=5.0, show_default=True, help="Wait for states."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _render(value: dict[str, Any]) -> str:
    said = {True: "power", False: "no power", None: "nothing that tells"}[value["mains"]]
    if not value["reachable"]:
        said = "no answer: the monitor, its power or its network"
    lines = [f"{value['site']}/{value['monitor']} at {value['at']}: {said}"]
    if value.get("started"):
        lines.append(f"  the monitor itself runs since {value['started']}")
    lines += [f"  {e['name']}: {e['state']} {e['unit']}".rstrip() for e in value.get("entities", [])]
    return "\n".join(lines)


@command(power, render=_render)
@_monitor
def read(
    fleet: Fleet, where: str, site: str, name: str, key: str | None, mains: str | None, seconds: float
) -> dict[str, object]:
    """Read a monitor once and keep what it said in the ledger, as evidence about the segment power.

    Example: linewitness power read 192.168.1.40 --site leeds --key secret:ups-leeds
    """
    return _take(fleet, where, site, name, key, mains, seconds)


@command(power, render=lambda value: f"{value['kept']} readings kept")
@_monitor
@click.option("--every", type=click.FloatRange(1, 3600), default=60.0, show_default=True, help="Seconds between reads.")
@click.option("--for", "lasting", type=float, help="Stop after so many seconds.")
def watch(
    fleet: Fleet, where: str, site: str, name: str, key: str | None, mains: str | None, seconds: float, every: float,
    lasting: float | None,
) -> object:  # fmt: skip
    """Read a monitor over and over until Ctrl-C. A reading is kept each hour, and whenever something changed.

    Example: linewitness power watch 192.168.1.40 --site leeds --every 30
    """
    end_s = None if lasting is None else time.monotonic() + lasting
    kept, last, last_s = 0, None, 0.0
    try:
        while end_s is None or time.monotonic() < end_s:
            value = _ask(fleet, where, site, name, key, mains, seconds)
            state = (value["reachable"], value["mains"], _boot(value))
            if state != last or time.monotonic() - last_s >= 3600:
                kept, last, last_s = kept + 1, state, time.monotonic()
                click.echo(_render({**_keep(fleet, value), "entities": []}), err=True)
            time.sleep(every if end_s is None else max(0.0, min(every, end_s - time.monotonic())))
    except KeyboardInterrupt:
        return Answer({"kept": kept}, 0)
    return {"kept": kept}


def _boot(value: dict[str, Any]) -> int | None:
    """Return when the monitor started in units of two minutes, so that drift is no change; None: unknown."""
    started_us: int | None = value.get("started_us")
    return None if started_us is None else round(started_us / 120_000_000)


@command(power, "list", render=lambda rows: table(("at", "site", "monitor", "mains", "running since"), [
    (row["at"], row["site"], row["monitor"], {True: "yes", False: "no"}.get(row["mains"]), row.get("started"))
    for row in rows
]))  # fmt: skip
@click.option("--site", help="Only this site.")
def list_readings(fleet: Fleet, site: str | None) -> list[dict[str, object]]:
    """List what the monitors said."""
    with fleet.ledger() as book:
        rows = [json.loads(item.content) for item in book.items("power")]
    return [row for row in rows if site is None or row["site"] == site]


def _take(
    fleet: Fleet, where: str, site: str, name: str, key: str | None, mains: str | None, seconds: float
) -> dict[str, object]:
    value = _ask(fleet, where, site, name, key, mains, seconds)
    kept = _keep(fleet, value)
    if not value["reachable"]:
        raise CannotDo(
            str(value["why"]), where, "its power, its network, its address; the ledger has that it was silent"
        )
    return kept


def _ask(
    fleet: Fleet, where: str, site: str, name: str, key: str | None, mains: str | None, seconds: float
) -> dict[str, Any]:
    """Return one reading; a monitor that does not answer is a reading too, and says nothing of power."""
    from linewitness.device import esphome
    from linewitness.endpoint import endpoint
    from linewitness.evidence.stamps import utc
    from linewitness.site import check_name

    fleet.site(site)
    check_name("--name", name)
    host, port = endpoint(where, "power", f"plug.example:{DEFAULT_PORT}", DEFAULT_PORT)
    secret = None if key is None else fleet.secret(key.removeprefix("secret:"))
    now_us = time.time_ns() // 1000
    value: dict[str, Any] = {"site": site, "monitor": name, "segment": "power", "at": utc(now_us), "at_us": now_us}
    try:
        said = esphome.read(host, port, secret, seconds, mains)
    except CannotDo as e:
        return value | {"reachable": False, "mains": None, "why": e.what}
    value |= {"reachable": True, **asdict(said)}
    if said.uptime_s is not None:
        started_us = now_us - said.uptime_s * 1_000_000
        value |= {"started_us": started_us, "started": utc(started_us)}
    return value


def _keep(fleet: Fleet, value: dict[str, Any]) -> dict[str, Any]:
    content = json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
    with fleet.ledger() as book:
        sha256 = book.add_item("power", f"{value['site']}/{value['monitor']}", content, time.time_ns() // 1000)
    return value | {"sha256": sha256}
