"""A witness without its collector for days, on its profile's own flash with two firmware slots; then the back-fill.

The whole firmware, in virtual time. Meanwhile the targets of the default plan are probed, as many and as large in a
batch, but each once a minute (virtual_office.slow_targets); something changes every three hours: the ISP's hop is away
for five minutes when the line is up, the gateway when it is down. When the line (or the broker) is back, the first
thing that the witness is told is the default plan, so that the back-fill meets its five-second windows.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from collector import Batch
from virtual_office import GATEWAY, ISP, VirtualOffice, default_targets, firmware, make_plan, slow_targets

from linewitness_wire import codes, record

CHANGE_EVERY_S, CHANGE_S = 3 * 3600, 300  # three rounds of a minute make a target fail
BEFORE_S = 130
SETTLED_S = 300
BACKFILL_LIMIT_S = 30 * 60
MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
FULL_DETAIL_US = 310_000_000  # batches up to this width keep their call-quality windows apart


@dataclass
class Absence:
    """What was told afterwards; `problems` should be empty."""

    hours: float
    backfill_s: float = 0
    batches: int = 0
    full_detail_h: float = 0  # from the beginning on, no batch wider than FULL_DETAIL_US
    octets: int = 0
    octets_by_minutes: dict[int, list[int]] = field(default_factory=dict)  # width -> [count, least, most], quiet ones
    windows: int = 0  # that ran during the back-fill
    erases_most: int = 0  # of one block, in the whole time
    problems: list[str] = field(default_factory=list)


def office_without(folder: Path, profile: str, vm: str) -> VirtualOffice:
    """An office whose board has a second firmware slot, as large as the first."""
    roomy = {"heap_kb": 1024, "spare": {"/boot.py": b""}} if vm == "unix" else {}
    slot = {"/slot": b"".join(firmware().values())}
    spare = {**roomy.pop("spare", {}), **slot}  # type: ignore[dict-item]
    return VirtualOffice(folder, make_plan(slow_targets()), profile, vm=vm, spare=spare, **roomy)  # type: ignore[arg-type]


def be_absent(office: VirtualOffice, hours: float, line_is_down: bool) -> Absence:
    """Take the line or the broker away for so many hours; bring it back, and see what is told."""
    found = Absence(hours)
    office.run_s(BEFORE_S)
    office.run_until(office.caught_up, 300)
    before = len(office.batches)
    if line_is_down:
        office.link("access", down=True)
    else:
        office.broker_stops()
    changes = _be_away(office, hours, line_is_down)
    if line_is_down:
        office.link("access", down=False)
    else:
        office.broker_starts()
    _catch_up(office, before, found)
    _judge(office, office.batches[before:], changes, found)
    return found


def _be_away(office: VirtualOffice, hours: float, line_is_down: bool) -> int:
    """Let the hours pass; return how often something changed."""
    node = office.network.topology.nodes[GATEWAY if line_is_down else ISP]
    end_us = office.now_us + round(hours * HOUR_US)
    changes = 0
    while end_us - office.now_us > CHANGE_EVERY_S * 1_000_000:
        office.run_s(CHANGE_EVERY_S - CHANGE_S)
        node.icmp = False
        office.run_s(CHANGE_S)
        node.icmp = True
        changes += 1
    office.run_s(max(0, end_us - office.now_us) / 1_000_000)
    return changes


def _catch_up(office: VirtualOffice, before: int, found: Absence) -> None:
    """Let the witness tell all of it, under the default plan; then a while more."""
    back_us = office.now_us
    boot_us = back_us - office.device.now_us()
    # A command that nobody hears is lost: the first batch to come shows that it is connected.
    office.run_until(lambda: len(office.batches) > before, BACKFILL_LIMIT_S, must=False)
    office.command(1, codes.COMMAND_PLAN, make_plan(default_targets(), issued=2))
    if not office.run_until(office.caught_up, 2 * BACKFILL_LIMIT_S, must=False):
        found.problems.append(f"not caught up in {2 * BACKFILL_LIMIT_S} s")
    end_us = office.now_us
    found.backfill_s = (end_us - back_us) / 1_000_000
    if found.backfill_s > BACKFILL_LIMIT_S:
        found.problems.append(f"the back-fill took {found.backfill_s:.0f} s")
    office.run_s(SETTLED_S)
    found.windows = sum(back_us <= begin_us + boot_us <= end_us for _, begin_us, _ in office.windows())


def _judge(office: VirtualOffice, told: list[Batch], changes: int, found: Absence) -> None:
    """In order, without a hole, each change told, no body dropped, no window disturbed."""
    problems = found.problems
    problems += office.store.refused + office.holes()
    problems += [f"window {window} met {what}" for window, what in office.disturbed_windows()]
    problems += [f"the loop was held up: {stall}" for stall in office.long_stalls()]
    problems += _spoilt_windows(told)
    if [batch.header.seq for batch in office.batches] != list(range(1, len(office.batches) + 1)):
        problems.append("out of order, or numbers are missing")
    problems += [f"the body of {batch.header.seq} was dropped" for batch in told if batch.trimmed]
    away = [batch for batch in told if batch.header.end_us - told[0].header.start_us <= found.hours * HOUR_US]
    found.batches = len(away)
    found.octets = sum(batch.octets for batch in away)
    wide = [batch for batch in away if batch.header.end_us - batch.header.start_us > FULL_DETAIL_US]
    last_us = wide[0].header.start_us if wide else away[-1].header.end_us
    found.full_detail_h = (last_us - told[0].header.start_us) / HOUR_US
    sizes = defaultdict(list)
    for batch in away:
        minutes = round((batch.header.end_us - batch.header.start_us) / MINUTE_US)
        mixed = any(record.SAMPLES in reading for reading in batch.body.readings)
        if not mixed and not batch.body.events:
            sizes[minutes].append(batch.octets)
        elif minutes > 1:
            problems.append(f"a change lies in batch {batch.header.seq} of {minutes} minutes")
    found.octets_by_minutes = {minutes: [len(all_), min(all_), max(all_)] for minutes, all_ in sorted(sizes.items())}
    clears = sum(event[3] == 0 for batch in told for event in batch.events(codes.EVENT_STATE))
    if clears < changes:
        problems.append(f"{changes} changes, {clears} told")
    found.erases_most = max(office.erases_by_block.values())


def _spoilt_windows(told: list[Batch]) -> list[str]:
    """Windows that were measured while the line was there and lost or delayed a packet."""
    return [
        f"a window of batch {batch.header.seq} has {reading[record.ANSWERED]} of {reading[record.SENT]}"
        for batch in told
        for reading in batch.body.readings
        if record.JITTER_US in reading
        and (reading[record.ANSWERED] < reading[record.SENT] or reading.get(record.LATE))
    ]  # fmt: skip
