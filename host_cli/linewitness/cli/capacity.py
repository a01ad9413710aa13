"""`linewitness capacity`: how many simultaneous calls a site's line carries."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from linewitness import capacity as measure
from linewitness.cli import Answer, command
from linewitness.errors import CannotDo, UsageProblem

if TYPE_CHECKING:
    from linewitness.fleet import Fleet
    from linewitness.site import Site


def _render(value: dict[str, Any]) -> str:
    how = "at least " if value["reached_most"] else ""
    text = (
        f"{value['site']}: {how}{value['calls']} simultaneous {value['codec']} calls with MOS {value['limit_mos']:g} or"
        f" better ({len(value['steps'])} steps, {value['from']} to {value['until']})"
    )
    return text + (" - interrupted, not complete" if value["interrupted"] else "")


@command(render=_render)
@click.option("--site", "site_name", required=True, help="The site at whose LAN this command runs.")
@click.option("--reflector", help="HOST or HOST:PORT [default: the site's target with method stamp and role control].")
@click.option("--mos", type=click.FloatRange(1, 4.5), help="Limit [default: the MOS commitment of the contract].")
@click.option("--most", type=click.IntRange(1, measure.CALLS_MOST), default=30, show_default=True, help="Stop there.")
@click.option("--first", type=click.IntRange(1), default=1, show_default=True, help="Begin with so many calls.")
@click.option("--seconds", type=click.FloatRange(2, 60), default=5.0, show_default=True, help="Length of a step.")
@click.option("--codec", type=click.Choice(list(measure.CODECS)), default="G.711 PLC", show_default=True)
@click.option("--buffer-ms", type=click.IntRange(20, 500), default=60, show_default=True, help="Jitter buffer.")
@click.option("--yes", is_flag=True, help="Don't ask.")
def capacity(
    fleet: Fleet,
    site_name: str,
    reflector: str | None,
    mos: float | None,
    most: int,
    first: int,
    seconds: float,
    codec: str,
    buffer_ms: int,
    yes: bool,
) -> object:
    """Measure how many simultaneous calls the line carries before their MOS falls below the limit.

    Run it on a computer in the branch, out of hours: it loads the line until calls suffer. Ctrl-C stops it at once.

    Example: linewitness capacity --site leeds --mos 3.6
    """
    site = fleet.site(site_name)
    address, key = _reflector(fleet, site, reflector)
    limit_mos = mos if mos is not None else _contract_mos(fleet, site)
    if first > most:
        raise UsageProblem(f"to begin with {first} calls and stop at {most}", "--first", f"--most {first} or more")
    _ask(most, yes)
    began_us, interrupted = time.time_ns() // 1000, False
    steps: list[measure.Step] = []
    try:
        measure.find(
            measure.probe_reflector(address, key, seconds), limit_mos, codec, buffer_ms, most, first,
            _tell(steps),
        )  # fmt: skip
    except KeyboardInterrupt:
        interrupted = True
    if not any(step.worst.answered for step in steps) and not interrupted:
        raise CannotDo(
            "the reflector never answered", f"{address[0]}:{address[1]}", "linewitness reflect --allow NETWORK there"
        )
    value = _result(site, steps, interrupted, began_us, most)
    value |= {"limit_mos": limit_mos, "codec": codec, "buffer_ms": buffer_ms, "seconds": seconds}
    value |= {"reflector": f"{address[0]}:{address[1]}", "authenticated": key is not None}
    with fleet.ledger() as book:
        value["witnesses"] = _watching(book, site_name, began_us)
        content = json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
        value["sha256"] = book.add_item("capacity", site_name, content, time.time_ns() // 1000)
    return Answer(value, 4) if interrupted else value


def _ask(most: int, yes: bool) -> None:
    kbits = most * measure.CALL_KBITS
    click.echo(
        f"up to {most} streams of {measure.CALL_KBITS:g} kbit/s each way, {kbits / 1000:g} Mbit/s in all", err=True
    )
    if not yes and not click.confirm("Calls and work on this line may suffer. Go on?", err=True):
        raise click.Abort


def _tell(steps: list[measure.Step]) -> Callable[[measure.Step], None]:
    """Return what keeps each step and says it on stderr."""

    def tell(step: measure.Step) -> None:
        steps.append(step)
        worst = step.worst
        bad = worst.sent - worst.answered + worst.late
        click.echo(
            f"{step.calls:4} calls: worst MOS {worst.mos:.2f}, {bad} of {worst.sent} packets lost or late"
            f"{', ended early' if step.ended_early else ''}",
            err=True,
        )

    return tell


def _result(site: Site, steps: list[measure.Step], interrupted: bool, began_us: int, most: int) -> dict[str, Any]:
    from linewitness.evidence.stamps import utc

    calls = measure.carried(steps)
    return {
        "site": site.name,
        "isp": site.isp,
        "calls": calls,
        "reached_most": bool(steps) and calls == most,
        "interrupted": interrupted,
        "from": utc(began_us),
        "until": utc(time.time_ns() // 1000),
        "steps": [asdict(step) for step in steps],
    }


def _watching(book: Any, site: str, began_us: int) -> list[str]:
    """Return the witnesses heard within three minutes before: their windows of that time say what they saw."""
    heads = book.heads()
    return sorted(h.witness for h in heads if h.site == site and h.received_us >= began_us - 180_000_000)


def _reflector(fleet: Fleet, site: Site, given: str | None) -> tuple[tuple[str, int], bytes | None]:
    """Return (address, key) of the session-reflector. Raises UsageProblem, CannotDo."""
    import socket

    from linewitness.endpoint import endpoint
    from linewitness.private import named_secrets, secret_name
    from linewitness.reflector import PORT

    found = [t for t in site.targets if t["method"] == "stamp" and t.get("role") == "control"]
    key = None
    if given is not None:
        host, number = endpoint(given, "--reflector", f"192.0.2.9:{PORT}", PORT)
    elif found:
        host, number = found[0]["host"], found[0].get("port", PORT)
        name = secret_name(found[0])
        key = None if name is None else bytes.fromhex(named_secrets(fleet, site)[name])
    else:
        raise UsageProblem("the site has no session-reflector of ours", f"sites/{site.name}.toml", "--reflector HOST")
    try:
        return socket.getaddrinfo(host, number, socket.AF_INET, socket.SOCK_DGRAM)[0][4], key  # type: ignore[return-value]
    except OSError as e:
        raise CannotDo(e.strerror or str(e), host, "the reflector's address") from e


def _contract_mos(fleet: Fleet, site: Site) -> float:
    """Return the MOS that the contract with the site's provider promises. Raises UsageProblem where there is no one."""
    from linewitness.settle.contract import load

    limits = set()
    for path in sorted(fleet.contracts.glob("*.toml")):
        contract = load(path.read_text(), str(path))
        if contract.provider == site.provider:
            limits |= {limit for c in contract.commitments for metric, limit in c.limits if metric == "mos"}
    if len(limits) != 1:
        what = "several MOS commitments" if limits else "no MOS commitment"
        raise UsageProblem(f"{what} in the contracts with {site.provider}", str(fleet.contracts), "--mos 3.6")
    return limits.pop() / 1000
