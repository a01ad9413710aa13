"""`linewitness site`: add, list, show, survey, line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from linewitness.cli import command, table
from linewitness.errors import CannotDo, UsageProblem

if TYPE_CHECKING:
    from linewitness.fleet import Fleet


@click.group()
def site() -> None:
    """Branch offices: who answers for which segment, and what is measured there."""


def _network(wifi: str | None, password: str | None, name: str) -> dict[str, str]:
    if wifi is None:
        return {"kind": "ethernet"}
    return {"kind": "wifi", "ssid": wifi} | ({"password": f"secret:wifi-{name}"} if password else {})


def _around(function: Callable[..., object]) -> Callable[..., object]:
    options = (
        click.option("--edge", help="The provider's SIP edge, HOST or HOST:PORT."),
        click.option("--reflector", help="Our session-reflector, HOST or HOST:PORT."),
        click.option("--isp-hop", help="The ISP's first hop (address)."),
        click.option("--lan-host", "lan_hosts", multiple=True, help="A switch or access point; repeatable."),
        click.option("--phone", "phones", multiple=True, help="A phone's address; repeatable."),
        click.option("--media", help="The provider's own session-reflector, HOST or HOST:PORT."),
        click.option("--second-edge", help="A second provider's SIP edge, as control."),
        click.option("--second-media", help="A second provider's session-reflector."),
        click.option("--stun", help="A STUN server outside: tells the public address, HOST or HOST:PORT."),
        click.option("--usual", help="Public address or network of the usual line: another one is backup access."),
        click.option("--snmp-index", type=int, help="ifIndex of the router's WAN; the community is secret:snmp."),
        click.option("--anchor", "anchors", multiple=True, help="A host of the internet beyond; repeatable."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@command(site, render=lambda value: f"wrote {value['file']}: {value['targets']} targets; edit it as you like")
@click.argument("name")
@click.option("--isp", required=True, help="Who answers for the access line.")
@click.option("--provider", required=True, help="The phone provider.")
@click.option("--carrier", help="The provider's carrier to the telephone network.")
@click.option("--tz", "time_zone", default="UTC", show_default=True, help="IANA time zone of the site.")
@click.option("--wifi", help="SSID; without it the witness is on a wire.")
@click.option("--wifi-password", envvar="LINEWITNESS_WIFI_PASSWORD", help="Kept in secrets.toml.")
@_around
def add(
    fleet: Fleet,
    name: str,
    isp: str,
    provider: str,
    carrier: str | None,
    time_zone: str,
    wifi: str | None,
    wifi_password: str | None,
    anchors: tuple[str, ...],
    **around: object,
) -> dict[str, object]:
    """Add a site with a default plan.

    Example: linewitness site add leeds --isp Northnet --provider VoxCloud --tz Europe/London --edge sip.example
    """
    from linewitness import config
    from linewitness.plan import compile_plan
    from linewitness.site import ANCHORS, Site, Surroundings, default_table

    if wifi_password and wifi is None:
        raise UsageProblem("--wifi-password without --wifi", "linewitness site add", "--wifi SSID")
    surroundings = Surroundings(anchors=anchors or ANCHORS, **around)  # type: ignore[arg-type]
    network = _network(wifi, wifi_password, name)
    made = default_table(name, isp, provider, carrier, time_zone, network, surroundings)
    path = fleet.root / "sites" / f"{name}.toml"
    if path.exists():
        raise CannotDo(f"site '{name}' is there already", str(path), "edit the file")
    if wifi_password:
        fleet.set_secret(f"wifi-{name}", wifi_password)
    config.write(path, config.dumps(made))
    compile_plan(Site.read(path), "check", 0, b"check")
    return {"site": name, "file": str(path), "targets": len(made["target"])}


def _render_list(rows: list[dict[str, object]]) -> str:
    headings = ("site", "isp", "provider", "carrier", "time_zone", "targets")
    return table(headings, [[row[key] for key in headings] for row in rows])


@command(site, "list", render=_render_list)
def list_sites(fleet: Fleet) -> list[dict[str, object]]:
    """List the sites."""
    return [
        {
            "site": s.name,
            "isp": s.isp,
            "provider": s.provider,
            "carrier": s.carrier,
            "time_zone": s.time_zone,
            "targets": len(s.targets),
        }
        for s in fleet.sites()
    ]


def _render_site(value: dict[str, object]) -> str:
    targets = value.get("targets")
    lines = [f"{key}: {value[key]}" for key in ("name", "isp", "provider", "carrier", "time_zone")]
    headings = ("name", "segment", "method", "host", "port", "period_ms")
    rows = [[t.get(key) for key in headings] for t in targets] if isinstance(targets, list) else []
    return "\n".join([*lines, "", table(headings, rows)])


@command(site, render=_render_site)
@click.argument("name")
def show(fleet: Fleet, name: str) -> dict[str, object]:
    """Show a site and its targets."""
    return asdict(fleet.site(name))


def _render_survey(value: dict[str, object]) -> str:
    hops = value["hops"]
    assert isinstance(hops, (list, tuple))
    lines = [f"{i:3}  {hop or 'silent'}" for i, hop in enumerate(hops, 1)]
    lines.append(f"router {value['router'] or 'unknown'}, the ISP's first hop {value['isp_hop'] or 'unknown'}")
    findings = value["findings"]
    assert isinstance(findings, (list, tuple))
    lines += [str(text) for text in findings]
    if value["isp_hop"]:
        lines.append(f"for the site: --isp-hop {value['isp_hop']}")
    return "\n".join(lines)


@command(site, fleet=False, render=_render_survey)
@click.option("--towards", default="1.1.1.1", show_default=True, help="A host far away (dotted address).")
def survey(towards: str) -> dict[str, object]:
    """Find the ISP's first hop and NAT in the way, from a computer in the branch.

    Example: linewitness site survey --towards 9.9.9.9
    """
    import ipaddress

    from linewitness import survey as path

    try:
        ipaddress.IPv4Address(towards)
    except ValueError:
        raise UsageProblem(f"wanted a dotted IPv4 address, got '{towards}'", "--towards", "1.1.1.1") from None
    try:
        hops = path.trace(towards)
    except OSError as e:
        raise CannotDo(e.strerror or str(e), towards, "the network of this computer") from e
    if not hops:
        raise CannotDo("no hop answered", towards, "another --towards, or a computer on the branch's LAN")
    return asdict(path.judge(hops))


def _render_line(value: dict[str, object]) -> str:
    from linewitness.evidence.stamps import utc

    changes = value["changes"]
    assert isinstance(changes, (list, tuple))
    rows = [
        (utc(c["at_us"]) if c["at_us"] else "before its clock", c["witness"], c["source"], c["what"]) for c in changes
    ]
    findings = value["findings"]
    assert isinstance(findings, (list, tuple))
    return "\n".join([table(("at", "witness", "told by", "what"), rows), *map(str, findings)])


@command(site, render=_render_line)
@click.argument("name")
def line(fleet: Fleet, name: str) -> dict[str, object]:
    """Show what the witnesses were told of a site's public address: changes, backup access, double NAT.

    Example: linewitness site line leeds
    """
    from linewitness.line import facts

    fleet.site(name)
    with fleet.ledger() as book:
        plans = {item.sha256: item.content for item in book.items("plan")}
        batches = ((stored.witness, stored.cose, stored.body) for stored in book.batches(site=name))
        return asdict(facts(batches, plans.get))
