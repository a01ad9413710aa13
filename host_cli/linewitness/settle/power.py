"""A power cut, or somebody who unplugged the witness? What else would have lost power with it has to say so.

A witness that starts again because its power came back (or sagged) says nothing of the site's. A cut is the customer's
only where the router's own uptime says that it restarted in that time too, or a power monitor says that it was without
mains, or itself without power. Where the router ran on, the mains were there, or another witness of the site went on
measuring, it was the witness alone, and nobody's failure. With neither it is not told, and stays unmeasured.

The power went between the last instant that a durable batch covers and when the next one would have been written; it
was back when the board started.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from linewitness.model import Bounds, Exclusion, Finding, Reason, Segment, Side, Verdict
from linewitness.settle.timeline import Boot, SiteRecord
from linewitness_wire import codes

WRITTEN_US = 130_000_000  # a batch a minute: had it run for longer, there would be another
STARTS_US = 5_000_000  # from power to the board's own clock
ROUTER_STARTS_US = 300_000_000  # a router comes back later than its board, and says how long it runs in whole seconds
ASKED_US = 900_000_000  # the router's word is of use so long after
SLACK_US = 120_000_000  # how wrong a monitor's own uptime and a time of reading may be
CONFIDENCE = 97


@dataclass(frozen=True, slots=True)
class MonitorWord:
    """What a power monitor said at an instant: mains there (None: can't tell), since when it runs (None: not said)."""

    site: str
    monitor: str
    at_us: int
    mains: bool | None
    started_us: int | None


def power_cuts(record: SiteRecord, words: Sequence[MonitorWord]) -> tuple[list[Verdict], list[Finding]]:
    """Return the verdicts on a site's power cuts, and what is to be said of starts that are none or may be one."""
    verdicts, findings = [], []
    for boot in record.boots:
        if boot.cause not in (codes.RESET_POWER, codes.RESET_BROWNOUT):
            continue
        until_us = _measured_until(record, boot)
        if until_us is None or until_us >= boot.at.earliest_us:
            continue
        cut = [*_router(record, boot, until_us, restarted=True), *_monitors(record, boot, until_us, words, cut=True)]
        there = [
            *_others(record, boot, until_us), *_router(record, boot, until_us, restarted=False),
            *_monitors(record, boot, until_us, words, cut=False),
        ]  # fmt: skip
        who = f"{record.site}/{boot.witness}"
        if cut and not there:
            verdicts.append(_verdict(record.site, boot, until_us, cut))
        elif there and not cut:
            text = f"seq {boot.seq}: the witness alone was without power: {'; '.join(there)}"
            findings.append(Finding("witness_unplugged", who, boot.at.latest_us, text))
        else:
            why = "; ".join((*cut, *there)) or "no router's uptime and no monitor says which"
            text = f"seq {boot.seq}: a power cut, or the witness unplugged: {why}"
            findings.append(Finding("power_unclear", who, boot.at.latest_us, text))
    return verdicts, findings


def _measured_until(record: SiteRecord, boot: Boot) -> int | None:
    ends = [end for _, end in record.measured.get(boot.witness, ()) if end <= boot.at.latest_us]
    return max(ends, default=None)


def _others(record: SiteRecord, boot: Boot, until_us: int) -> list[str]:
    middle_us = (until_us + boot.at.earliest_us) // 2
    return [
        f"{witness} measured on" for witness, spans in sorted(record.measured.items())
        if witness != boot.witness and any(start <= middle_us < end for start, end in spans)
    ]  # fmt: skip


def _router(record: SiteRecord, boot: Boot, until_us: int, *, restarted: bool) -> list[str]:
    """Return what the router's first word after the start says of whether it restarted meanwhile."""
    after = [
        w for w in record.router.between(boot.at.latest_us + 1, boot.at.latest_us + ASKED_US + 1)
        if w.uptime_s is not None
    ]  # fmt: skip
    if not after or after[0].uptime_s is None:
        return []
    started_us = after[0].at_us - after[0].uptime_s * 1_000_000
    if started_us >= until_us - SLACK_US:
        began = started_us <= boot.at.latest_us + ROUTER_STARTS_US
        return [f"the router started then too (uptime {after[0].uptime_s} s)"] if restarted and began else []
    return [] if restarted else [f"the router ran on (uptime {after[0].uptime_s} s)"]


def _monitors(record: SiteRecord, boot: Boot, until_us: int, words: Sequence[MonitorWord], *, cut: bool) -> list[str]:
    found = set()
    for word in words:
        if word.site != record.site:
            continue
        within = until_us < word.at_us < boot.at.earliest_us
        if cut and within and word.mains is False:
            found.add(f"the monitor {word.monitor} said that there was no mains")
        elif (
            cut
            and word.started_us is not None
            and (until_us - SLACK_US <= word.started_us <= boot.at.latest_us + SLACK_US)
        ):
            found.add(f"the monitor {word.monitor} was without power itself")
        elif not cut and within and word.mains is True:
            found.add(f"the monitor {word.monitor} said that there was mains")
    return sorted(found)


def _verdict(site: str, boot: Boot, until_us: int, told: Sequence[str]) -> Verdict:
    back_us = max(until_us, boot.at.earliest_us - STARTS_US)
    start = Bounds(until_us, min(until_us + WRITTEN_US, back_us))
    cause = codes.RESET_NAMES[boot.cause]
    why = f"the witness lost power and started again (boot {boot.boot}, seq {boot.seq}, cause {cause})"
    beyond = Reason("what lies beyond was not measured in that time")
    return Verdict(
        site, Segment.POWER, Side.CUSTOMER, start, Bounds(back_us, boot.at.latest_us), CONFIDENCE,
        (Reason(why), *map(Reason, told)), (),
        tuple(Exclusion(s, beyond) for s in (Side.ISP, Side.TRANSIT, Side.PROVIDER, Side.CARRIER)), (), False,
    )  # fmt: skip
