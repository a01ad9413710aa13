"""`linewitness report`: the settlement as one HTML file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linewitness.cli import command
from linewitness.cli.settle import Instant
from linewitness.errors import CannotDo, UsageProblem, cannot_access

if TYPE_CHECKING:
    from linewitness.model import Settlement


def _render(value: dict[str, Any]) -> str:
    kilo = -(-value["size_bytes"] // 1000)
    what = f"{value['verdicts']} verdicts, {value['sites']} sites, {value['windows']} call-quality windows"
    return f"wrote {value['file']} ({kilo} kB): {what}\nsha256 {value['sha256']}"


@command(render=_render)
@click.option(
    "--settlement", type=click.Path(path_type=Path, dir_okay=False, readable=False), help="What `settle --out` wrote."
)
@click.option("--from", "from_us", type=Instant(), help="Start, where no settlement is given.")
@click.option("--to", "to_us", type=Instant(), help="End, not included, where no settlement is given.")
@click.option("--site", "sites", multiple=True, help="Show this site only; repeatable.")
@click.option("--dossier", help="Name of the dossier that the reader gets, for the line that says how to check it.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    help="The HTML file to write.",
)
def report(
    fleet_path: Path,
    settlement: Path | None,
    from_us: int | None,
    to_us: int | None,
    sites: tuple[str, ...],
    dossier: str | None,
    out: Path,
) -> object:
    """Write the report: one HTML file that needs nothing else, for the other side as well as for us.

    \b
    Without a fleet folder it has what the settlement has, and no call quality.
    Example: linewitness report --settlement march.json --out march.html
    """
    from linewitness.config import write_octets
    from linewitness.report import Context, render
    from linewitness.report.gather import context, software, windows

    if settlement is not None and (from_us is not None or to_us is not None):
        raise UsageProblem("--from and --to choose what is settled", str(settlement), "without --settlement")
    known, quality = Context(software(), dossier=dossier), []
    if settlement is None or (fleet_path / "fleet.toml").exists():
        from linewitness.fleet import Fleet
        from linewitness.settling import settle_fleet

        fleet = Fleet.open(fleet_path)
        settled = settle_fleet(fleet, from_us, to_us, sites) if settlement is None else _read(settlement, sites)
        known, quality = context(fleet, settled, dossier), windows(fleet, settled)
    else:
        settled = _read(settlement, sites)
    octets = render(settled, quality, known).encode()
    write_octets(out, octets)
    return {
        "file": out,
        "size_bytes": len(octets),
        "sha256": hashlib.sha256(octets).hexdigest(),
        "sites": len(settled.sites),
        "verdicts": len(settled.verdicts),
        "windows": len(quality),
    }


def _read(path: Path, sites: tuple[str, ...]) -> Settlement:
    """Return the settlement in a file, or the part of it that is about some sites."""
    from linewitness.model import Settlement
    from linewitness.settling import only

    try:
        settlement = Settlement.from_json(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise cannot_access(e, path) from e
    except ValueError as e:
        raise CannotDo(f"not a settlement: {e}", str(path), "linewitness settle --out FILE") from e
    for site in sites:
        if site not in settlement.sites:
            raise UsageProblem(f"no site '{site}' in this settlement", str(path), ", ".join(settlement.sites))
    return only(settlement, set(sites)) if sites else settlement
