"""`linewitness init FOLDER`."""

from __future__ import annotations

from pathlib import Path

import click

from linewitness.cli import command


def _render(value: dict[str, object]) -> str:
    made = value["made"]
    lines = [f"fleet '{value['name']}' in {value['folder']}"]
    lines.append("made: " + (", ".join(made) if isinstance(made, list) and made else "nothing, all is there"))
    lines.append(f"fleet key fingerprint (give it to whoever verifies): {value['fingerprint']}")
    lines.append(f"witnesses will look for the broker at {value['broker']}")
    return "\n".join(lines)


@command(fleet=False, render=_render)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("--name", help="The fleet's name; the folder's name if not given.")
@click.option(
    "--host", "hosts", multiple=True, help="Name or address of the broker as the branches see it; repeatable."
)
@click.option("--port", type=click.IntRange(1, 65535), default=8883, show_default=True, help="The broker's port.")
@click.option("--contact", default="", help="Whom the provider may ask about our probes (mail address).")
def init(folder: Path, name: str | None, hosts: tuple[str, ...], port: int, contact: str) -> dict[str, object]:
    """Make a fleet folder, or what is missing of one. Nothing that is there is overwritten.

    Example: linewitness init acme --host 192.0.2.10 --contact it@acme.example
    """
    from linewitness.founding import found_fleet
    from linewitness.site import check_host

    for host in hosts:
        check_host(host, "--host")
    fleet, made = found_fleet(folder, name or folder.resolve().name, hosts, port, contact)
    return {
        "name": fleet.name,
        "folder": str(fleet.root),
        "made": made,
        "fingerprint": fleet.fingerprint,
        "broker": f"{fleet.broker.host}:{fleet.broker.port}",
    }
