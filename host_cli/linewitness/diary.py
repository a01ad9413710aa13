"""What a witness signed of itself: which board it is and what that can do, its boots and why, safe mode, faults.

What it says of its targets is in its readings, what it says of the site's line in line.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from linewitness.told import Told, events
from linewitness_wire import codes
from linewitness_wire.record import Header

BOARDS = {1: "esp32-devkitc", 2: "esp32-poe", 3: "pico-w"}
"""Board codes of the boot event -> their file in hardware/boards."""

TASKS = {
    1: "clock", 2: "link", 3: "sync", 4: "batches", 5: "uplink", 6: "commands", 7: "control", 8: "media", 9: "icmp",
    10: "light", 31: "schedule",
}  # fmt: skip
FIRST_TARGET_TASK = 32  # and up: one a target of the plan

NOT_HERE = (codes.EVENT_STATE, codes.EVENT_PUBLIC_ADDRESS, codes.EVENT_BACKUP)


@dataclass(frozen=True, slots=True)
class Entry:
    """at_us is UTC, None before the witness knew the time; kind as in linewitness_wire.codes.EVENT_NAMES."""

    at_us: int | None
    boot: int
    seq: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Diary:
    """board and capabilities are those of the newest boot that was told, None where none was; the rest is of the
    newest batch. safe_mode: the crashes before this boot, 0 where it is in none. has_plan: False where its own plan
    can't be read, so that it measures nothing."""

    board: str | None
    capabilities: tuple[str, ...] | None
    boot: int
    seq: int
    firmware: bytes
    plan: bytes
    has_plan: bool
    safe_mode: int
    entries: tuple[Entry, ...]


def diary(batches: Iterable[tuple[bytes, bytes | None]]) -> Diary | None:
    """Return what one witness's batches (COSE_Sign1, body), in the order of their chain, say of it; None without any
    that is understood."""
    head: Header | None = None
    told: list[Told] = []
    for octets, body in batches:
        found = events(octets, body)
        if found is not None:
            head = found[0]
            told += [one for one in found[1] if one.kind not in NOT_HERE]
    if head is None:
        return None
    board = capabilities = None
    boots = [one for one in told if one.kind == codes.EVENT_BOOT]
    if boots:
        _, code, bits, _ = boots[-1].details
        board = BOARDS.get(code, f"board {code}")
        capabilities = tuple(name for bit, name in codes.CAPABILITY_NAMES.items() if bits & bit)
    crashes = [one.details[0] for one in told if one.kind == codes.EVENT_SAFE_MODE and one.header.boot == head.boot]
    return Diary(
        board, capabilities, head.boot, head.seq, head.firmware, head.plan, any(head.plan),
        crashes[-1] if crashes else 0, tuple(_entry(one) for one in told),
    )  # fmt: skip


def _entry(told: Told) -> Entry:
    return Entry(
        told.at_us, told.header.boot, told.header.seq, codes.EVENT_NAMES[told.kind], _words(told.kind, told.details)
    )


def _words(kind: int, d: list[Any]) -> str:
    """Return the details of an event in words (linewitness_wire.record.EVENT_DETAILS has their order)."""
    match kind:
        case codes.EVENT_BOOT:
            return f"started: {codes.RESET_NAMES[d[0]]}; ready after {d[3] / 1_000_000:.1f} s"
        case codes.EVENT_SAFE_MODE:
            return f"safe mode after {d[0]} crashes in a row: it measures nothing"
        case codes.EVENT_TASK:
            return f"task {_task(d[0])} was started again: {_name(codes.FAULT_NAMES, d[1])}; {d[2]} times so far"
        case codes.EVENT_FAULT:
            return f"{_name(codes.FAULT_NAMES, d[0])}: {d[1]} times"
        case codes.EVENT_CLOCK_SET:
            return f"clock set, right within {d[1] / 1000:g} ms"
        case codes.EVENT_CLOCK_STEP:
            return f"clock moved by {d[0] / 1000:+g} ms"
        case codes.EVENT_CLOCK_REFUSED:
            return f"time server {d[0] + 1} of its list was not believed: {d[1] / 1000:+g} ms off"
        case codes.EVENT_PLAN:
            return f"plan {d[0].hex()[:16]}"
        case codes.EVENT_TRIMMED:
            return f"no room: the bodies of {d[2]} batches from {d[0]} to {d[1]} were dropped"
        case codes.EVENT_COMMAND:
            said = "done" if d[2] == 0 else f"refused: {_name(codes.FAULT_NAMES, d[2])}"
            return f"command {d[0]}, {codes.COMMAND_NAMES.get(d[1], d[1])}: {said}"
        case codes.EVENT_LINK_UP:
            return "link up" + (f", {d[0]} dBm on channel {d[1]}" if d[1] else "")
        case codes.EVENT_LINK_DOWN:
            return f"link lost; the port says {d[0]}"
        case codes.EVENT_ADDRESS:
            address, _, gateway = (".".join(map(str, octets)) for octets in d)
            return f"address {address}, gateway {gateway}"
        case codes.EVENT_ROAMED:
            return f"from channel {d[0]} to {d[1]}"
    raise AssertionError(f"no words for an event of kind {kind}")


def _task(code: int) -> str:
    return f"of target {code - FIRST_TARGET_TASK + 1}" if code >= FIRST_TARGET_TASK else TASKS.get(code, str(code))


def _name(names: Sequence[str], code: int) -> str:
    return names[code] if code < len(names) else str(code)
