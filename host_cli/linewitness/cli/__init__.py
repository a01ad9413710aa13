"""The command line's frame: lazily loaded sub-commands, --json and --fleet, one place that prints, exit codes.

A command parses, calls one function, returns a value; `command` prints it: as one JSON object with --json, else as its
own render says. Data goes to stdout, progress and errors to stderr. One file a group, named after it:

    @command(site, render=lambda rows: table(("site", "isp"), rows))
    @click.option("--isp", required=True)
    def add(fleet: Fleet, isp: str) -> object: ...

A command that has something to say and does not end with 0 returns `Answer(value, exit_code)`. Nothing is imported
for a command that is not run: `linewitness --help` reads its own table below.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from linewitness.errors import LinewitnessError, UsageProblem, cannot_access

COMMANDS = {
    "init": "Make a fleet folder: config, fleet key, ledger, broker certificate.",
    "site": "Branch offices: add, list, show, survey, line.",
    "witness": "Boards: flash, enrol, list, show, retire.",
    "plan": "What the witnesses measure: publish, push, show, cost.",
    "broker": "Run the embedded MQTT broker.",
    "collect": "Take in batches: verify, store, acknowledge.",
    "reflect": "Run the STAMP session-reflector.",
    "capacity": "How many simultaneous calls the line carries.",
    "power": "Was there power? An ESPHome monitor at the branch: read, watch, list.",
    "outages": "What the provider's status page says: sync, import, add.",
    "ticket": "What was reported and answered: open, answer, restore, draft.",
    "due": "What has to be done by when: claims, clocks, reviews.",
    "remind": "Tell people of failures and deadlines, by mail or webhook.",
    "contract": "The SLA as data: new, check, template, schema.",
    "settle": "Whose side was it? Breaches, verdicts, credits.",
    "review": "Are the promises right? A term against its contract.",
    "report": "Write the report as one HTML file.",
    "checkpoint": "Merkle root over the ledger with a third party's timestamp.",
    "dossier": "Make the evidence pack for a claim.",
    "verify": "Check a dossier.",
    "status": "What is running and when each witness was last heard.",
    "mos": "E-model calculator (ITU-T G.107).",
    "completion": "Print the completion script for a shell.",
}
"""Name -> what --help says. The code of NAME is linewitness.cli.NAME:NAME."""

ENTRY_POINTS = "linewitness.commands"  # where other distributions' commands (the virtual board) come in

EXIT_CODES = "Exit codes: 0 done and holds, 1 could not do it, 2 wrong usage, 3 checked and refused, 4 incomplete."


@dataclass(frozen=True, slots=True)
class Answer:
    """A command's value together with an exit code other than 0."""

    value: object
    exit_code: int


class LazyGroup(click.Group):
    """The top-level group: loads the sub-command that is asked for, and turns every error into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *sorted(entry.name for entry in _entry_points())]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in COMMANDS:
            command: click.Command = getattr(importlib.import_module(f"linewitness.cli.{name}"), name)
            return command
        for entry in _entry_points():
            if entry.name == name:
                loaded: click.Command = entry.load()
                return loaded
        return None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        known = [*COMMANDS.items(), *((entry.name, "") for entry in _entry_points())]
        return [CompletionItem(name, help=text) for name, text in known if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = list(COMMANDS.items())
        rows += [(entry.name, "Run a virtual board." if entry.name == "board" else "") for entry in _entry_points()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def main(  # type: ignore[override]  # always standalone: nobody gets a value back
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run and exit. Every way out is an exit code of errors.py; every error is one line on stderr."""
        given = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        try:
            code = super().main(args=given, prog_name="linewitness", **extra)
        except click.exceptions.NoArgsIsHelpError as e:
            e.show()
            sys.exit(2)
        except click.UsageError as e:
            path = e.ctx.command_path if e.ctx else "linewitness"
            _fail(UsageProblem(e.format_message().rstrip("."), path, f"{path} --help"), given)
        except click.Abort:
            _fail(LinewitnessError("interrupted"), given)
        except click.ClickException as e:
            _fail(LinewitnessError(e.format_message()), given)
        except LinewitnessError as e:
            _fail(e, given)
        except BrokenPipeError:  # the reader of our output left: not our error, and nobody to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except OSError as e:
            _fail(cannot_access(e), given)
        sys.exit(code if isinstance(code, int) else 0)


def _entry_points() -> list[importlib.metadata.EntryPoint]:
    return [e for e in importlib.metadata.entry_points(group=ENTRY_POINTS) if e.name not in COMMANDS]


def _fail(error: LinewitnessError, given: list[str]) -> NoReturn:
    if "--json" in given:
        click.echo(json.dumps(error.as_json()))
    click.echo(f"error: {error.line()}", err=True)
    sys.exit(error.exit_code)


@click.group(cls=LazyGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="linewitness", message="%(version)s")
def main() -> None:
    """Whose side was the outage on? Measured at the branch, signed there, settled against the contract."""


def command(
    group: click.Group | None = None,
    name: str | None = None,
    *,
    render: Callable[[Any], str] | None = None,
    fleet: bool = True,
) -> Callable[[Callable[..., object]], click.Command]:
    """Return a decorator: a click command (in group, or of its own) with --json, and --fleet unless fleet is False.

    The function gets the opened `linewitness.fleet.Fleet` as its keyword `fleet` (a plain Path where it is annotated
    as `fleet_path`: name the parameter so to get the folder unopened). It returns the value, which --json prints as it
    is (octets in hex, dataclasses as objects) and render turns into text. Put click's own decorators below this one.
    """

    def decorate(function: Callable[..., object]) -> click.Command:
        wants_path = "fleet_path" in function.__code__.co_varnames[: function.__code__.co_argcount]

        @functools.wraps(function)
        def run(as_json: bool, **arguments: Any) -> int:
            if fleet:
                folder = arguments.pop("fleet_folder")
                arguments["fleet_path" if wants_path else "fleet"] = folder if wants_path else _open(folder)
            value = function(**arguments)
            answer = value if isinstance(value, Answer) else Answer(value, 0)
            show(answer.value, as_json, render)
            return answer.exit_code

        as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
        wrapped: Callable[..., object] = as_json_option(run)
        if fleet:
            wrapped = click.option(
                "--fleet",
                "fleet_folder",
                type=click.Path(path_type=Path, file_okay=False),
                envvar="LINEWITNESS_FLEET",
                default=Path("."),
                show_default="$LINEWITNESS_FLEET or the current folder",
                help="The fleet folder.",
            )(wrapped)
        made = click.command(name=name or function.__name__.replace("_", "-"))(wrapped)
        made.epilog = EXIT_CODES
        if group is not None:
            group.add_command(made)
        return made

    return decorate


def _open(folder: Path) -> object:
    from linewitness.fleet import Fleet

    return Fleet.open(folder)


def show(value: object, as_json: bool, render: Callable[[Any], str] | None = None) -> None:
    """Print a command's value on stdout: JSON, or text by render (str(value) without one). None prints nothing."""
    if as_json:
        click.echo(json.dumps(value, default=jsonable, ensure_ascii=False))
        return
    text = render(value) if render is not None else "" if value is None else str(value)
    if text:
        click.echo(text)


def jsonable(value: object) -> object:
    """Return the JSON form of what json does not know: octets in hex, dataclasses as objects."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"no JSON form for a {type(value).__name__}")


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows as text in aligned columns under headings; None stands as '-'."""
    cells = [list(headings), *[["-" if cell is None else str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells)
