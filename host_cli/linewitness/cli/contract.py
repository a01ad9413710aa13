"""`linewitness contract`: new, check, template, schema."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linewitness.cli import Answer, command
from linewitness.errors import CannotDo, Refused, UsageProblem, cannot_access

if TYPE_CHECKING:
    from linewitness.settle.contract_check import Problem
    from linewitness.settle.contract_new import Question


@click.group()
def contract() -> None:
    """The SLA as data."""


def templates() -> list[str]:
    """Return the names of the templates."""
    folder = resources.files("linewitness.settle").joinpath("templates")
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def _template(name: str, where: str) -> str:
    if name not in templates():
        raise UsageProblem(f"no template '{name}'", where, "linewitness contract template")
    return resources.files("linewitness.settle").joinpath("templates", f"{name}.toml").read_text(encoding="utf-8")


def _write(out: Path, text: str) -> None:
    """Write a new file; never over one that is there."""
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as e:
        raise cannot_access(e, out, "another --out: a file that is there is never written over") from e


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as e:
        raise cannot_access(e, file) from e
    except UnicodeDecodeError as e:
        raise Refused("not UTF-8 text", str(file), "save it as UTF-8") from e


def _lines(value: dict[str, Any]) -> str:
    problems: list[Problem] = value["problems"]
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
        return "\n".join(templates())
    text = _template(name, "contract template")
    if out is None:
        return text.rstrip("\n")
    _write(out, text)
    return f"wrote {out}: fill it from the signed paper, then linewitness contract check {out}"


@command(contract, render=_lines)
@click.argument("name")
@click.option("--from-template", "shape", help="Ask nothing: take this template's values where --set has none.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Such as commitment[0].target_percent=99.95.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    help="Where to (default: contracts/NAME.toml of the fleet); never over a file.",
)
def new(fleet_path: Path, name: str, shape: str | None, sets: tuple[str, ...], out: Path | None) -> object:
    """Make a contract's file: asks for what the signed paper says, or takes a template and --set. What is refused is
    not written.

    Example: linewitness contract new acme --from-template availability-flat --set contract.provider=acme
    """
    from linewitness.settle.contract import check as check_text
    from linewitness.settle.contract_new import fill, literal
    from linewitness.site import check_name

    check_name("contract", name)
    target = out or fleet_path / "contracts" / f"{name}.toml"
    if target.exists():
        raise CannotDo("file exists", str(target), "another name: a file that is there is never written over")
    answers = {"contract.name": json.dumps(name)}
    for one in sets:
        key, equals, value = one.partition("=")
        if not equals:
            raise UsageProblem(f"wanted KEY=VALUE, got '{one}'", "--set", "--set contract.provider=acme")
        answers[key.strip()] = literal(key.strip(), value.strip())
    without = frozenset[str]()
    if shape is None:
        shape = _ask_shape()
        asked, without = _ask(_template(shape, "contract new"), answers)
        answers |= asked
    text = fill(_template(shape, "--from-template"), answers, without)
    found, problems = check_text(text)
    if found is None:
        first = next(p for p in problems if not p.warning)
        raise Refused(
            f"{first.key}: {first.text}", f"line {first.line} of what would be {target}", "correct the answer"
        )
    _write(target, text)
    result = f"written from the template {shape}: compare it with the signed paper, line by line"
    return {"file": str(target), "result": result, "template": shape, "problems": problems}


@command(contract, fleet=False, render=lambda value: json.dumps(value, indent=1) if isinstance(value, dict) else value)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False, readable=False), help="Write it there; never over a file."
)
def schema(out: Path | None) -> object:
    """Print the JSON Schema (draft 2020-12) of a contract's file, for editors that complete and check TOML.

    Example: linewitness contract schema --out contracts/contract.schema.json
    """
    from linewitness.settle.contract_schema import json_schema

    if out is None:
        return json_schema()
    _write(out, json.dumps(json_schema(), indent=1) + "\n")
    return f"wrote {out}"


# --- asking ---------------------------------------------------------------------------------------------------------


def _ask_shape() -> str:
    from linewitness.settle.contract_new import shape_of

    known = templates()
    click.echo("Which shape is nearest to the signed paper?", err=True)
    for i, name in enumerate(known, 1):
        click.echo(f"  {i:2} {name}: {shape_of(_template(name, ''))}", err=True)
    number = _prompt("number", type=click.IntRange(1, len(known)))
    return known[number - 1]


def _ask(text: str, given: dict[str, str]) -> tuple[dict[str, str], frozenset[str]]:
    """Return the answers by path, and which entries the paper does not have."""
    from linewitness.settle.contract_new import blocks

    answers: dict[str, str] = {}
    without = set()
    for block in blocks(text):
        first = ", ".join(q.default.strip('"') for q in block.questions[:2])
        click.echo(f"\n[{block.path}] {block.says}", err=True)
        if not block.required and not _prompt(f"does the paper have this ({first})?", default=True, type=bool):
            without.add(block.path)
            continue
        for question in block.questions:
            if question.path not in given:
                answers[question.path] = _answer(question)
    return answers, frozenset(without)


def _answer(question: Question) -> str:
    """Ask until the answer can stand there."""
    from linewitness.settle.contract_new import literal

    words = f" ({', '.join(question.rule.words)})" if question.rule.words else ""
    while True:
        said = _prompt(f"{question.path}: {question.rule.says}{words}", default=question.default)
        try:
            return literal(question.path, said)
        except UsageProblem as e:
            click.echo(e.line(), err=True)


def _prompt(text: str, **more: Any) -> Any:
    try:
        return click.prompt(text, err=True, **more)
    except click.Abort as e:
        hint = "answer at a terminal, or --from-template NAME --set KEY=VALUE"
        raise UsageProblem(f"no answer to: {text}", "contract new", hint) from e
