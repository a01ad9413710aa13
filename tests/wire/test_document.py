"""docs/wire-format.md says what the code does: its tables and its worked example are compared with it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from linewitness_wire import codes, plan, record

sys.path.insert(0, str(Path(__file__).parent))

from worked_example import example

DOCUMENT = (Path(__file__).parents[2] / "docs" / "wire-format.md").read_text()


def section(number: int) -> str:
    match = re.search(rf"^## {number}\. .*?(?=^## |\Z)", DOCUMENT, re.DOTALL | re.MULTILINE)
    assert match is not None
    return match.group()


def rows(text: str) -> dict[int, list[str]]:
    """The rows of the tables whose first cell is a number."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {int(row[0]): row[1:] for row in cells if row[0].isdecimal()}


def test_the_worked_example_is_what_the_code_makes() -> None:
    assert example() in section(16)


def test_the_table_of_readings_is_that_of_the_code() -> None:
    table = rows(section(5))
    assert [table[i][0] for i in sorted(table)] == record.READING_NAMES.split()
    bits = {f"u{n}": (0, 2**n - 1) for n in (8, 16, 32, 48)}
    assert sorted(table) == list(range(len(record.FIELDS)))
    for key, field in enumerate(record.FIELDS):
        spelt = table[key][1]
        if len(field) == 2:
            assert bits.get(spelt, tuple(int(n) for n in re.findall(r"-?\d+", spelt))) == field, spelt
        elif len(field) == 3:
            assert (field[0], spelt) == (0, f"{field[2]} x u{field[1].bit_length()}")
        else:
            assert field == ((6,) if key in (record.PEER, record.MAPPED) else ())


def test_the_table_of_events_is_that_of_the_code() -> None:
    table = rows(section(6))
    assert {kind: row[0] for kind, row in table.items()} == codes.EVENT_NAMES
    assert [kind in codes.EVENT_NAMES for kind in range(len(record.EVENT_DETAILS))] == [
        details is not None for details in record.EVENT_DETAILS
    ]
    assert len(codes.RESET_NAMES) == codes.RESET_BROWNOUT + 1
    assert len(codes.CLOCK_NAMES) == codes.CLOCK_SNTP + 1


def test_limits_are_those_of_the_code() -> None:
    assert f"at most {record.HEADER_MAX_OCTETS} octets" in section(4)
    assert f"at most {record.BODY_MAX_OCTETS} octets" in section(5)
    assert len(rows(section(4))) == 12


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ("segment", codes.SEGMENT_NAMES),
        ("method", codes.METHOD_NAMES),
        ("role", codes.ROLE_NAMES),
        ("codec", codes.CODEC_NAMES),
    ],
)
def test_the_codes_of_a_plan_are_those_of_the_code(row: str, names: tuple[str, ...]) -> None:
    spelt = ", ".join(f"{i} {name}" for i, name in enumerate(names))
    assert f"| {row} | {spelt} |" in section(11)


def test_every_option_of_a_plan_is_named() -> None:
    options = {value for name, value in vars(plan).items() if name.startswith("OPTION_")}
    line = next(line for line in section(11).splitlines() if line.startswith("| option |"))
    assert all(f"{option} " in line for option in options)
