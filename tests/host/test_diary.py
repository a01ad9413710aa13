"""What a witness signed of itself is shown in words, with whether it measures at all."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from linewitness.cli import main
from linewitness.diary import TASKS, Diary, diary
from linewitness_wire import bodies, codes, cose, record

ROOT = Path(__file__).resolve().parents[2]
UTC_US = 1_800_000_000_000_000
BOOT = [codes.EVENT_BOOT, 1_000_000, codes.RESET_WATCHDOG, 2, codes.CAN_RAW_ICMP | codes.CAN_ETHERNET, 2_500_000]
PLAN = bytes(range(32))


def batch(seq: int, *events: list[Any], boot: int = 1, plan: bytes = PLAN, trimmed: bool = False) -> Any:
    body = bodies.encode(record.Body([], list(events)), 60_000_000)
    clock = record.Clock(UTC_US, 1000, codes.CLOCK_SNTP, 1)
    header = record.Header(
        seq, bytes(32), boot, 60_000_000, 120_000_000, clock, plan, b"f" * 32,
        hashlib.sha256(body).digest(), (0, len(events), len(body)), None,
    )  # fmt: skip
    return cose.join(bytes(8), record.encode_header(header), bytes(64)), None if trimmed else body


def told(*batches: Any) -> Diary:
    found = diary(batches)
    assert found is not None
    return found


def test_it_says_which_board_it_is_and_what_that_can_do() -> None:
    found = told(batch(1, BOOT), batch(2))
    assert (found.board, found.capabilities) == ("esp32-poe", ("raw_icmp", "ethernet"))
    assert (found.boot, found.seq, found.firmware, found.plan, found.has_plan) == (1, 2, b"f" * 32, PLAN, True)
    (entry,) = found.entries
    assert (entry.at_us, entry.kind, entry.text) == (
        UTC_US - 59_000_000,
        "boot",
        "started: watchdog; ready after 2.5 s",
    )


def test_a_board_that_told_no_boot_is_not_guessed() -> None:
    found = told(batch(1, BOOT, trimmed=True))
    assert (found.board, found.capabilities, found.entries) == (None, None, ())
    later = [*BOOT[:3], 99, 0, 1]
    assert (told(batch(1, later)).board, told(batch(1, later)).capabilities) == ("board 99", ())
    assert diary([(b"no batch", None)]) is None


def test_safe_mode_is_that_of_this_boot() -> None:
    safe = batch(1, BOOT, [codes.EVENT_SAFE_MODE, 1_000_000, 3])
    assert told(safe, batch(2)).safe_mode == 3
    assert told(safe, batch(2, BOOT, boot=2)).safe_mode == 0


def test_a_plan_that_it_can_t_read_is_none() -> None:
    assert not told(batch(1, plan=bytes(32))).has_plan


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ([codes.EVENT_TASK, 1, 5, codes.FAULT_STUCK, 2], "task uplink was started again: stuck; 2 times so far"),
        ([codes.EVENT_TASK, 1, 34, codes.FAULT_CRASH, 1], "task of target 3 was started again: crash; 1 times so far"),
        ([codes.EVENT_FAULT, 1, codes.FAULT_FLASH, 4], "flash: 4 times"),
        ([codes.EVENT_FAULT, 1, 200, 1], "200: 1 times"),
        ([codes.EVENT_CLOCK_STEP, 1, -1_500_000], "clock moved by -1500 ms"),
        ([codes.EVENT_CLOCK_REFUSED, 1, 2, 60_000_000], "time server 3 of its list was not believed: +60000 ms off"),
        ([codes.EVENT_TRIMMED, 1, 7, 20, 9], "no room: the bodies of 9 batches from 7 to 20 were dropped"),
        ([codes.EVENT_COMMAND, 1, 4, codes.COMMAND_PLAN, 0], "command 4, plan: done"),
        ([codes.EVENT_COMMAND, 1, 4, codes.COMMAND_PLAN, codes.FAULT_FLASH], "command 4, plan: refused: flash"),
        ([codes.EVENT_LINK_UP, 1, -55, 6], "link up, -55 dBm on channel 6"),
        ([codes.EVENT_LINK_UP, 1, 0, 0], "link up"),
        ([codes.EVENT_ADDRESS, 1, bytes((10, 0, 0, 5)), bytes(4), bytes((10, 0, 0, 1))],
         "address 10.0.0.5, gateway 10.0.0.1"),
        ([codes.EVENT_ROAMED, 1, 1, 11], "from channel 1 to 11"),
    ],
)  # fmt: skip
def test_each_event_is_told_in_words(event: list[Any], words: str) -> None:
    assert [entry.text for entry in told(batch(1, event)).entries] == [words]


def test_every_kind_that_the_format_has_is_told_or_left_out_on_purpose() -> None:
    octets = {4: bytes(4), 32: bytes(32)}
    for kind, details in enumerate(record.EVENT_DETAILS):
        if details is None:
            continue
        event = [kind, 1, *(octets[d] if isinstance(d, int) else max(d[0], 0) for d in details)]
        assert len(told(batch(1, event)).entries) == (
            kind not in (codes.EVENT_STATE, codes.EVENT_PUBLIC_ADDRESS, codes.EVENT_BACKUP)
        )


def test_the_tasks_have_the_names_of_the_firmware() -> None:
    names = {}
    for node in ast.parse((ROOT / "firmware" / "witness" / "app.py").read_text()).body:
        if isinstance(node, ast.Assign):
            targets = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else node.targets
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            for name, value in zip(targets, values, strict=False):
                if isinstance(name, ast.Name) and name.id.startswith("TASK_") and name.id != "TASK_TARGET":
                    assert isinstance(value, ast.Constant)
                    names[value.value] = name.id.removeprefix("TASK_").lower()
    assert names == TASKS


def test_who_is_not_enrolled_is_one_line(tmp_path: Path) -> None:
    CliRunner().invoke(main, ["init", str(tmp_path / "acme"), "--host", "192.0.2.10"])
    result = CliRunner().invoke(main, ["witness", "show", "leeds", "desk", "--fleet", str(tmp_path / "acme")])
    assert result.exit_code == 1
    assert result.output.splitlines() == ["error: leeds/desk is not enrolled (ledger); try: linewitness witness list"]
