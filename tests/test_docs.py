"""Every command that a document or a help text shows exists, with the options that it is shown with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from linewitness.cli import main

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("linewitness test authority",)  # of a certificate's subject
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words name, and what follows its name. Raises AssertionError for an unknown one."""
    command: click.Command = main
    context = click.Context(main, info_name="linewitness")
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        assert found is not None, f"no command {rest[0]!r} in {' '.join(words)}"
        command = found
        rest.pop(0)
    return command, rest


def check(line: str) -> None:
    """Raise AssertionError unless a shown command line names a command and options that there are."""
    line = line.split("  #")[0].split(" > ")[0].split(" | ")[0].split(" && ")[0].rstrip("& ")
    words = shlex.split(line)[1:]
    command, rest = resolve(words)
    known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
    known |= {"--help", "-h", "--version"}
    for word in rest:
        if word.startswith("--"):
            assert word.split("=")[0] in known, f"{word} is no option of {' '.join(words[:2])}"


def shown_in_documents() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        text = document.read_text()
        for block in re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL):
            for line in block.splitlines():
                line = line.removeprefix("$ ")
                if line.startswith("linewitness "):
                    for part in re.split(r" &  (?=linewitness )", line):
                        yield document.name, part
        for inline in re.findall(r"`(linewitness [^`]+)`", text):
            if inline not in NAMES:
                yield document.name, " ".join(inline.split())


def shown_in_help() -> Iterator[tuple[str, str]]:
    def walk(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=path)
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                yield from walk(found, f"{path} {name}")
        example = re.search(r"Example: (linewitness .*?)(\n\n|$)", command.help or "", re.DOTALL)
        if example:
            yield path, " ".join(example.group(1).split())

    yield from walk(main, "linewitness")


@pytest.mark.parametrize(("document", "line"), list(shown_in_documents()))
def test_a_command_shown_in_a_document_exists(document: str, line: str) -> None:
    check(line)


@pytest.mark.parametrize(("path", "line"), list(shown_in_help()), ids=lambda value: value[:60])
def test_the_example_in_a_help_text_exists(path: str, line: str) -> None:
    check(line)
    assert " ".join(line.split()[: len(path.split())]) == path


def test_there_are_examples_to_check() -> None:
    assert len(list(shown_in_documents())) > 10
    assert len(list(shown_in_help())) > 10


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
        assert "://" in target or (document.parent / target).exists(), target


def test_the_readme_names_make_targets_that_there_are() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text())) <= targets
