"""`linewitness contract`: check, template."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click

from linewitness.cli import Answer, command
from linewitness.errors import Refused, UsageProblem, cannot_access

if TYPE_CHECKING:
    from linewitness.settle.contract_check import Problem

TEMPLATES = ("availability-four-nines", "availability-five-nines", "availability-from-ticket")


@click.group()
def contract() -> None:
    """The SLA as data."""


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as e:
        raise cannot_access(e, file) from e
    except UnicodeDecodeError as e:
        raise Refused("not UTF-8 text", str(file), "save it as UTF-8") from e


def _lines(value: dict[str, object]) -> str:
    problems: list[Problem] = value["problems"]  # type: ignore[assignment]
    lines = [f"{value['file']}:{p.line}: {'warning' if p.warning else 'refused'}: {p.key}: {p.text}" for p in problems]
    return "\n".join([*lines, f"{value['file']}: {value['result']}"])


@command(contract, fleet=False, render=_lines)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, readable=False))
def check(file: Path) -> object:
    """Check a contract's file: unknown keys, holes and overlaps in credit bands, each with its key and line.

    Example: linewitness contract check contracts/acme.toml
    """
    from linewitness.settle.contract import check as check_text

    found, problems = check_text(_read(file))
    result = "holds" if found is not None else "refused"
    value = {"file": str(file), "result": result, "problems": problems}
    return value if found is not None else Answer(value, 3)


@command(contract, fleet=False, render=str)
@click.argument("name", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False, readable=False), help="Write it there; never over a file."
)
def template(name: str | None, out: Path | None) -> object:
    """Print a template to be filled from the signed paper; without NAME, their names.

    Example: linewitness contract template availability-four-nines --out contracts/acme.toml
    """
    if name is None:
        return "\n".join(TEMPLATES)
    if name not in TEMPLATES:
        raise UsageProblem(f"no template '{name}'", "contract template", ", ".join(TEMPLATES))
    text = resources.files("linewitness.settle").joinpath("templates", f"{name}.toml").read_text(encoding="utf-8")
    if out is None:
        return text.rstrip("\n")
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as e:
        raise cannot_access(e, out, "another --out") from e
    return f"wrote {out}: fill it from the signed paper, then linewitness contract check {out}"
