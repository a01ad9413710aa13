"""HOST:PORT is read the same wherever a person writes it, and refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from linewitness.cli import main
from linewitness.endpoint import endpoint
from linewitness.errors import UsageProblem


def test_a_host_and_its_port_are_taken() -> None:
    assert endpoint("edge.example:5070", "--edge", "") == ("edge.example", 5070)
    assert endpoint("192.0.2.9", "--edge", "", 5060) == ("192.0.2.9", 5060)


@pytest.mark.parametrize("text", ["", "host", "host:", ":5060", "host:x", "host:0", "host:65536", "host:٣", "::1"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match=r"wanted HOST:PORT, got"):
        endpoint(text, "--edge", "")


@pytest.mark.parametrize("text", ["", "host:", ":5060", "host:x", "host:65536"])
def test_a_port_that_may_be_left_out_is_not_left_out_by_mistake(text: str) -> None:
    with pytest.raises(UsageProblem, match=r"wanted HOST or HOST:PORT, got"):
        endpoint(text, "--edge", "", 5060)


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("reflect", "--allow", "192.0.2.0/24", "--bind", "127.0.0.1:99999"), "--bind"),
        (("collect", "--broker", "127.0.0.1:99999", "--fleet", "FLEET"), "--broker"),
        (("site", "add", "leeds", "--isp", "a", "--provider", "b", "--edge", "e:99999", "--fleet", "FLEET"), "--edge"),
        (("init", "FLEET", "--host", "192.0.2.10:8883"), "--host"),
    ],
)
def test_commands_refuse_it_in_one_line(words: tuple[str, ...], where: str, tmp_path: Path) -> None:
    fleet = str(tmp_path / "acme")
    CliRunner().invoke(main, ["init", fleet, "--host", "192.0.2.10"])
    result = CliRunner().invoke(main, [fleet if word == "FLEET" else word for word in words])
    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    assert line.startswith("error: wanted ")
    assert f"({where}); try: " in line
