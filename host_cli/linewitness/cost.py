"""What a plan costs: packets and octets on the wire, octets in the batches, messages, flash writes, money for calls.

Octets are those of IP packets with headers, the framing of Ethernet or Wi-Fi left out. What a reply holds is the other
side's choice, so sizes of replies are usual ones; everything fails nowhere (a failure is probed at the fast period).
Octets in the batch are counted by encoding a usual reading of each target, as a witness does while all is well. The
model is held against what a board really sends (make bench BENCH=wire_bytes); it has to be within a tenth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from linewitness_wire import bodies, codes, record
from linewitness_wire import plan as wire

IP, UDP, ICMP, TCP = 20, 8, 8, 20
TCP_SEGMENT = IP + TCP
TLS_RECORD = 29  # header, explicit nonce, tag (AES-GCM)
HOUR_MS = 3_600_000
SLOT_MS = 60_000  # handshakes have their place once a minute
SYNC_MS = 64_000
HEADER_OCTETS = 320  # a batch without its readings: signed header with its anchor, signature, framing
PAGE_OCTETS = 256
MESSAGES_A_BATCH = 4  # batch and its PUBACK, acknowledgement and its PUBACK
LAN_SEGMENTS = (codes.SEGMENT_ENDPOINT, codes.SEGMENT_LAN, codes.SEGMENT_ROUTER)


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a target: packets and octets, up from the witness and down to it."""

    packets_up: float
    packets_down: float
    octets_up: float
    octets_down: float

    def times(self, n: float) -> Round:
        return Round(self.packets_up * n, self.packets_down * n, self.octets_up * n, self.octets_down * n)


@dataclass(frozen=True, slots=True)
class Line:
    """What one target (or the witness's own traffic) costs an hour."""

    name: str
    method: str
    period_ms: int
    on_the_line: bool  # whether it crosses the access line
    hourly: Round
    batch_octets: int  # of its readings in one batch
    calls: float = 0.0  # an hour
    call_minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """A plan's cost an hour; kbit/s are averages, of all and of what crosses the access line."""

    lines: list[Line]
    batches: float
    batch_octets: int
    messages: float
    flash_pages: float
    money: float

    def kbits(self, direction: str, line_only: bool = False) -> float:
        """Return the average kbit/s "up" or "down"."""
        octets = sum(
            getattr(line.hourly, f"octets_{direction}") for line in self.lines if line.on_the_line or not line_only
        )
        return float(octets) * 8 / 3600 / 1000


def _same(packets: float, octets: float) -> Round:
    return Round(packets, packets, octets, octets)


def _icmp(target: wire.Target) -> Round:
    return _same(1, IP + ICMP + 16)


def _dns(target: wire.Target) -> Round:
    fresh = bool(target.options.get(wire.OPTION_FRESH))
    question = len(str(target.options.get(wire.OPTION_NAME, ""))) + 2 + (17 if fresh else 0) + 4
    return Round(1, 1, IP + UDP + 12 + question, IP + UDP + 12 + question + (60 if fresh else 16))


def _tcp(target: wire.Target) -> Round:
    return _same(3, 3 * TCP_SEGMENT)  # SYN, ACK, FIN and their counterparts


def _tls(target: wire.Target) -> Round:
    return Round(7, 7, 7 * TCP_SEGMENT + 700, 7 * TCP_SEGMENT + 3_000)


def _sip_octets(target: wire.Target) -> int:
    return 305 + 4 * len(str(target.options.get(wire.OPTION_NAME) or target.host)[:15])


def _sip(target: wire.Target) -> Round:
    octets = _sip_octets(target)
    return Round(1, 1, IP + UDP + octets, IP + UDP + octets - 30)


def _sip_tcp(target: wire.Target) -> Round:
    octets = _sip_octets(target)
    return Round(4, 4, 4 * TCP_SEGMENT + octets, 4 * TCP_SEGMENT + octets - 30)


def _sip_tls(target: wire.Target) -> Round:
    shake, ask = _tls(target), _sip_tcp(target)
    return Round(
        shake.packets_up + 1, shake.packets_down + 1,
        shake.octets_up + ask.octets_up - 3 * TCP_SEGMENT, shake.octets_down + ask.octets_down - 3 * TCP_SEGMENT,
    )  # fmt: skip


def _stamp(target: wire.Target) -> Round:
    packets = int(target.options.get(wire.OPTION_PACKETS, 250))
    return _same(packets, packets * (IP + UDP + int(target.options.get(wire.OPTION_PAYLOAD, 172))))


def _call(target: wire.Target) -> Round:
    packets = 50 * int(target.options.get(wire.OPTION_SECONDS, wire.CALL_SECONDS_LEAST))
    return _same(packets + 8, packets * 200 + 4_000)


def _snmp(target: wire.Target) -> Round:
    return Round(1, 1, IP + UDP + 110, IP + UDP + 128)


def _igd(target: wire.Target) -> Round:
    actions = 3 + 1 / 6  # status and two counters each time, the external address each sixth
    return Round(5 * actions, 4 * actions, actions * (5 * TCP_SEGMENT + 560), actions * (4 * TCP_SEGMENT + 650))


def _ntp(target: wire.Target) -> Round:
    return _same(1, IP + UDP + 48)


def _stun(target: wire.Target) -> Round:
    return Round(1, 1, IP + UDP + 20, IP + UDP + 32)


ROUNDS: dict[int, Callable[[wire.Target], Round]] = {
    codes.METHOD_ICMP: _icmp,
    codes.METHOD_DNS: _dns,
    codes.METHOD_TCP: _tcp,
    codes.METHOD_TLS: _tls,
    codes.METHOD_STAMP: _stamp,
    codes.METHOD_SIP_UDP: _sip,
    codes.METHOD_SIP_TCP: _sip_tcp,
    codes.METHOD_SIP_TLS: _sip_tls,
    codes.METHOD_CALL: _call,
    codes.METHOD_SNMP: _snmp,
    codes.METHOD_IGD: _igd,
    codes.METHOD_NTP: _ntp,
    codes.METHOD_STUN: _stun,
}
HANDSHAKES = (codes.METHOD_TLS, codes.METHOD_SIP_TLS)
WINDOWS = (codes.METHOD_STAMP, codes.METHOD_CALL)


def cost(plan: wire.Plan, per_call: float = 0.0, per_minute: float = 0.0) -> Cost:
    """Return what a plan costs an hour; prices of a test call in whatever currency."""
    lines = [_line(target, plan.batch_s) for target in plan.targets]
    lines.append(Line("time servers", "ntp", SYNC_MS, True, _ntp(plan.targets[0]).times(_sync_rounds(plan)), 0))
    batches = 3600 / plan.batch_s
    octets = HEADER_OCTETS + sum(line.batch_octets for line in lines)
    lines.append(Line("batches", "mqtt", plan.batch_s * 1000, True, _mqtt(plan, octets).times(batches), 0))
    money = sum(line.calls * per_call + line.call_minutes * per_minute for line in lines)
    pages = batches * (-(-octets // PAGE_OCTETS) + 1)
    return Cost(lines, batches, octets, batches * MESSAGES_A_BATCH, pages, money)


def _sync_rounds(plan: wire.Plan) -> float:
    return len(plan.servers) * HOUR_MS / SYNC_MS


def _mqtt(plan: wire.Plan, batch_octets: int) -> Round:
    topic = len(f"linewitness/1/{plan.site}/{plan.witness}/batch") + 9
    up = batch_octets + topic + TLS_RECORD + TCP_SEGMENT * (7 + batch_octets // 1400) + TLS_RECORD + 4 + TCP_SEGMENT
    down = TLS_RECORD + 4 + topic + 104 + TLS_RECORD + 11 * TCP_SEGMENT
    keep_alive = 2 + TLS_RECORD + 2 * TCP_SEGMENT
    return Round(4, 4, up + keep_alive, down + keep_alive)


def _line(target: wire.Target, batch_s: int) -> Line:
    method = codes.METHOD_NAMES[target.method]
    period_ms = max(target.period_ms, SLOT_MS) if target.method in HANDSHAKES else target.period_ms
    if target.method not in ROUNDS:
        return Line(target.name, method, period_ms, False, _same(0, 0), _encoded(_own(target, batch_s), batch_s))
    rounds = HOUR_MS / period_ms
    a_batch = batch_s * 1000 / period_ms
    if target.method in WINDOWS:
        octets = round(_encoded(_window(target), batch_s) * a_batch)
    else:
        octets = _encoded(_shots(target, max(1, round(a_batch)), batch_s), batch_s)
    called = rounds if target.method == codes.METHOD_CALL else 0.0
    minutes = called * int(target.options.get(wire.OPTION_SECONDS, 0)) / 60
    on_the_line = target.segment not in LAN_SEGMENTS
    return Line(
        target.name,
        method,
        period_ms,
        on_the_line,
        ROUNDS[target.method](target).times(rounds),
        octets,
        called,
        minutes,
    )


def _encoded(reading: dict[int, object], batch_s: int) -> int:
    """Return the octets of a reading that follows that of the target before it."""
    alone, empty = (bodies.encode(record.Body(list(some), []), batch_s * 1_000_000) for some in ((reading,), ()))
    return len(alone) - len(empty)


def _base(batch_s: int) -> dict[int, object]:
    return {record.TARGET: 0, record.START_US: 0, record.SPAN_US: batch_s * 1_000_000}


def _own(target: wire.Target, batch_s: int) -> dict[int, object]:
    own: dict[int, object] = {record.STALL_US: 2_000, record.HEAP_FREE: 60_000}
    if target.method == codes.METHOD_LINK:
        own = {record.UP_US: batch_s * 1_000_000, record.RECONNECTS: 0, record.RSSI_DBM: -58, record.CHANNEL: 6}
    return _base(batch_s) | own


def _shots(target: wire.Target, sent: int, batch_s: int) -> dict[int, object]:
    rtts = [20_000, 22_000, 25_000, 30_000]
    counts: dict[int, object] = {record.SENT: sent, record.ANSWERED: sent, record.RTT_US: rtts}
    if target.method in (codes.METHOD_SNMP, codes.METHOD_IGD):
        counts |= {record.UPTIME_S: 864_000, record.RESTARTS: 0, record.WAN_STATUS: 1, record.COUNTED_US: 60_000_000}
        counts |= {record.OCTETS: [9_000_000, 1_000_000], record.PEAK_KBITS: [4_000, 300]}
    if target.method == codes.METHOD_NTP:
        counts |= {record.OFFSET_US: 1_000, record.ROOT_DISTANCE_US: 20_000}
    return _base(batch_s) | counts


def _window(target: wire.Target) -> dict[int, object]:
    packets = int(target.options.get(wire.OPTION_PACKETS, 250))
    return {
        record.TARGET: 0, record.START_US: 30_000_000, record.SPAN_US: 5_020_000, record.SENT: packets,
        record.ANSWERED: packets, record.SELF_DELAYED: 0, record.STALL_US: 2_000, record.LATE: 0, record.DUPLICATE: 0,
        record.REORDERED: 0, record.MALFORMED: 0, record.RTT_US: [20_000, 22_000, 25_000, 30_000],
        record.PDV_US: [5_000, 10_000], record.JITTER_US: 800, record.LOST_BY_DIRECTION: [0, 0],
        record.BURST: [0, 0, 0, 5_000, 0], record.BURST_R_MILLI: 1_000, record.R_CENTI: 9_320, record.MOS_MILLI: 4_409,
    }  # fmt: skip
