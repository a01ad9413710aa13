"""`linewitness completion SHELL`: the script that completes commands and options in bash, zsh or fish."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from linewitness.cli import command, main
from linewitness.errors import CannotDo


@command(fleet=False)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> str:
    """Print the completion script for SHELL.

    Example: eval "$(linewitness completion bash)"
    """
    found = get_completion_class(shell)
    if found is None:
        raise CannotDo("no completion for this shell", shell, "bash, zsh or fish")
    return found(main, {}, "linewitness", "_LINEWITNESS_COMPLETE").source()
