"""What the wire's log says of a call-quality window, and what a witness said of it, side by side.

Each packet is known in the log by the first octets of its payload: a STAMP packet by its sequence number on the way
out and by the reflector's own number on the way back, which counts the packets in the order in which they reached it;
an RTP packet, echoed as it is, by its sequence number both ways. So every packet has its own time within the wire, also
where packets overtook one another, were doubled or lost.
"""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass, field
from typing import Any

from linewitness import emodel
from simulations.lab.link import DUPLICATED, PASSED
from simulations.lab.wire_handle import Crossing

BUFFER_US = 60_000
BPL_G711 = 4.3
INTERVAL_MS = 20


@dataclass(slots=True)
class Told:
    """What a tool says: the round trip of each packet (None: lost), which are void, and a witness's reading."""

    rtts_us: list[int | None]
    void: set[int] = field(default_factory=set)
    reading: dict[str, Any] | None = None


@dataclass(slots=True)
class Logged:
    """What the wire did: time within it of each packet that came back, and the arrivals (number) in their order."""

    wire_us: dict[int, int]
    arrivals: list[int]

    @property
    def duplicates(self) -> int:
        return len(self.arrivals) - len(set(self.arrivals))

    def first_arrivals(self) -> list[int]:
        return list(dict.fromkeys(self.arrivals))

    @property
    def reordered(self) -> int:
        """RFC 4737 type P, of the first arrival of each."""
        highest = -1
        count = 0
        for number in self.first_arrivals():
            count += number < highest
            highest = max(highest, number)
        return count


def payload_of(crossing: Crossing) -> bytes:
    """The first 8 octets of a datagram's payload."""
    return bytes.fromhex(crossing.key.rpartition(" ")[2])


def _copies(crossing: Crossing) -> int:
    return {PASSED: 1, DUPLICATED: 2}.get(crossing.verdict, 0)


def _within_us(crossing: Crossing) -> int:
    assert crossing.written_us is not None
    return crossing.written_us - crossing.t_in_us


def _written_us(crossing: Crossing) -> int:
    assert crossing.written_us is not None
    return crossing.written_us


def logged(packets: int, up: list[Crossing], down: list[Crossing], *, rtp: bool) -> Logged:
    """The log of one window of so many packets; rtp: echoed RTP, else STAMP."""
    sent: dict[int, Crossing] = {}
    first = int.from_bytes(payload_of(up[0])[2:4], "big") if rtp else 0
    for crossing in up:
        octets = payload_of(crossing)
        number = (int.from_bytes(octets[2:4], "big") - first) & 0xFFFF if rtp else int.from_bytes(octets[:4], "big")
        sent[number] = crossing
    reached: list[int] = []
    for number, crossing in sorted(
        ((n, c) for n, c in sent.items() if _copies(c)), key=lambda each: _written_us(each[1])
    ):
        reached += [number] * _copies(crossing)
    wire_us: dict[int, int] = {}
    arrivals: list[int] = []
    for crossing in sorted((c for c in down if _copies(c)), key=_written_us):
        octets = payload_of(crossing)
        if rtp:
            number = (int.from_bytes(octets[2:4], "big") - first) & 0xFFFF
        else:
            number = reached[int.from_bytes(octets[:4], "big")]
        if number >= packets:
            continue  # what a call goes on to say while it waits for the last echo
        wire_us.setdefault(number, _within_us(sent[number]) + _within_us(crossing))
        arrivals += [number] * _copies(crossing)
    return Logged(wire_us, arrivals)


def jitter_us(transits_us: list[int]) -> float:
    """RFC 3550 6.4.1 of transit times in the order of arrival."""
    jitter = 0.0
    for before, after in itertools.pairwise(transits_us):
        jitter += (abs(after - before) - jitter) / 16
    return jitter


def mos_of(pattern: list[bool], least_us: int, reading_buffer_us: int = BUFFER_US) -> float:
    """MOS by the calculator for a loss pattern (True: bad) and the least round trip: G.711 without concealment."""
    bad = sum(pattern)
    runs = sum(1 for i, lost in enumerate(pattern) if lost and (i == 0 or not pattern[i - 1]))
    p = bad / len(pattern)
    burst_r = max(1.0, bad / runs * (1 - p)) if bad else 1.0
    delay_ms = least_us / 2000 + reading_buffer_us / 1000 + INTERVAL_MS
    return max(1.0, emodel.rate(Ta=delay_ms, Bpl=BPL_G711, Ppl=100 * p, BurstR=burst_r).MOS)


@dataclass(slots=True)
class Judged:
    """All windows of one witness in one scenario against the log."""

    sent: int = 0
    void: int = 0
    lost: int = 0
    lost_by_log: int = 0
    disagreements: int = 0
    duplicates: tuple[int, int] = (0, 0)  # said, by the log
    reordered: tuple[int, int] = (0, 0)
    rtts_us: list[int] = field(default_factory=list)
    wires_us: list[int] = field(default_factory=list)
    jitter: list[tuple[float, float, float]] = field(default_factory=list)  # said, as seen by packet, within the wire
    mos: list[tuple[float, float]] = field(default_factory=list)  # said, by the calculator

    def take(self, told: Told, log: Logged) -> None:
        """Judge one window."""
        assert told.reading is not None
        counted = [n for n in range(len(told.rtts_us)) if n not in told.void]
        self.sent += len(told.rtts_us)
        self.void += len(told.void)
        for n in counted:
            rtt_us, wire_us = told.rtts_us[n], log.wire_us.get(n)
            self.lost += rtt_us is None
            self.lost_by_log += wire_us is None
            self.disagreements += (rtt_us is None) != (wire_us is None)
            if rtt_us is not None and wire_us is not None:
                self.rtts_us.append(rtt_us)
                self.wires_us.append(wire_us)
        reading = told.reading
        self.duplicates = (self.duplicates[0] + reading["duplicate"], self.duplicates[1] + log.duplicates)
        self.reordered = (self.reordered[0] + reading["reordered"], self.reordered[1] + log.reordered)
        seen = [n for n in log.first_arrivals() if n in set(counted) and told.rtts_us[n] is not None]
        said_us = [rtt for n in seen if (rtt := told.rtts_us[n]) is not None]
        self.jitter.append((reading["jitter_us"], jitter_us(said_us), jitter_us([log.wire_us[n] for n in seen])))
        least_us = min(said_us)
        bad = [told.rtts_us[n] is None or (told.rtts_us[n] or 0) > least_us + BUFFER_US for n in counted]
        self.mos.append((reading["mos_milli"] / 1000, mos_of(bad, least_us)))

    @property
    def bias_us(self) -> int:
        """How much longer the median round trip is than the median time within the wire."""
        return round(statistics.median(self.rtts_us) - statistics.median(self.wires_us))

    @property
    def paired_us(self) -> int:
        """The median of round trip less time within the wire, packet by packet."""
        return round(statistics.median(rtt - wire for rtt, wire in zip(self.rtts_us, self.wires_us, strict=True)))

    @property
    def jitter_error_pct(self) -> float:
        """The greatest distance of a window's jitter from the one of the same packets as the board saw them."""
        return max(100 * abs(said - seen) / max(seen, 1) for said, seen, _ in self.jitter)

    @property
    def mos_error(self) -> float:
        return max(abs(said - reference) for said, reference in self.mos)


def percentile(values: list[int], percent: int) -> int:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]
