"""The command line's manners: exit codes, one line per error, --json everywhere, nothing loaded that is not run."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from linewitness import cli
from linewitness.errors import CannotDo, Incomplete, Refused, UsageProblem


def run(*arguments):
    return CliRunner().invoke(cli.main, list(arguments))


@pytest.mark.parametrize(("error", "code"), [(CannotDo, 1), (UsageProblem, 2), (Refused, 3), (Incomplete, 4)])
def test_each_kind_of_error_has_its_exit_code_and_one_line(monkeypatch, error, code):
    @cli.command(fleet=False)
    def mos():
        raise error("what\nhappened", "here", "this")

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: mos)
    result = run("mos")
    assert (result.exit_code, result.stderr) == (code, "error: what happened (here); try: this\n")
    result = run("mos", "--json")
    assert json.loads(result.stdout) == {"error": "what happened", "where": "here", "try": "this", "exit_code": code}


def test_a_command_s_value_is_printed_once_as_text_or_json(monkeypatch):
    @cli.command(fleet=False, render=lambda value: f"{value['rtt_us']} us")
    @click.option("--code", type=int, default=0)
    def mos(code):
        return cli.Answer({"rtt_us": 7, "kid": b"\x01\xff"}, code)

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: mos)
    assert run("mos").stdout == "7 us\n"
    result = run("mos", "--json", "--code", "4")
    assert (json.loads(result.stdout), result.exit_code) == ({"rtt_us": 7, "kid": "01ff"}, 4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("site", "add", "leeds"), "missing option '--isp' (linewitness site add); try: linewitness site add --help"),
        (("nonsense",), "no such command 'nonsense' (linewitness); try: linewitness --help"),
        (("init", "--port", "0"), "invalid value for '--port'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, words):
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr.lower()
    assert result.stderr.count("\n") == 1


def test_an_unreadable_folder_is_one_line_and_exit_code_1(tmp_path):
    (tmp_path / "file").write_text("")
    result = run("init", str(tmp_path / "file" / "fleet"))
    assert result.exit_code == 1
    assert result.stderr.startswith("error: not a directory (")
    result = run("site", "list", "--fleet", str(tmp_path))
    assert (result.exit_code, "try: linewitness init FOLDER" in result.stderr) == (1, True)


def test_help_lists_every_command_with_exit_codes_and_loads_none():
    program = "import sys; from linewitness.cli import main\ntry: main(['--help'])\nfinally: print(sorted(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for name in (*cli.COMMANDS, "Exit codes"):
        assert name in result.stdout
    loaded = result.stdout.rsplit("\n", 2)[-2]
    for heavy in ("cryptography", "paho", "amqtt", "rich", "sqlite3", "mpremote", "linewitness.cli.init"):
        assert f"'{heavy}'" not in loaded


def test_json_of_a_real_command(tmp_path):
    result = run("init", str(tmp_path / "acme"), "--json", "--name", "acme")
    value = json.loads(result.stdout)
    assert (value["name"], len(value["fingerprint"])) == ("acme", 64)
    result = run("site", "list", "--json", "--fleet", str(tmp_path / "acme"))
    assert json.loads(result.stdout) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_our_program(shell):
    result = run("completion", shell)
    assert result.exit_code == 0
    assert "_LINEWITNESS_COMPLETE" in result.stdout


def test_the_shell_completes_commands_without_loading_them():
    words = {"COMP_WORDS": "linewitness co", "COMP_CWORD": "1", "_LINEWITNESS_COMPLETE": "bash_complete"}
    result = subprocess.run(
        [sys.executable, "-m", "linewitness"], env=os.environ | words, capture_output=True, text=True, check=False
    )
    assert [line.split(",")[1] for line in result.stdout.split()] == ["collect", "contract", "completion"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("linewitness ticket re", ["reopen", "restore"]),
        ("linewitness outages f", ["findings"]),
        ("linewitness re", ["reflect", "remind", "report", "review"]),
        ("linewitness outages sync --format in", ["instatus", "incident.io"]),
        ("linewitness ticket claim ", ["filed", "granted", "refused"]),
        ("linewitness due --ic", ["--ics"]),
    ],
)
def test_the_shell_completes_the_groups_of_tickets_and_status_pages(words, wanted):
    given = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_LINEWITNESS_COMPLETE": "bash_complete"}
    result = subprocess.run(
        [sys.executable, "-m", "linewitness"], env=os.environ | given, capture_output=True, text=True, check=False
    )
    assert sorted(line.split(",")[1] for line in result.stdout.split()) == sorted(wanted)
