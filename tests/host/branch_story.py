"""Branches with known faults, told as the signed batches' own octets: what settling's tests are judged against.

A small model of a branch, in whole microseconds: each probe crosses the parts of its path on the way out and back, and
is lost where one of them is down at that instant. Readings are encoded and decoded by linewitness_wire, so that the
feeder sees what witnesses send. Nothing here knows how settling works.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from linewitness.settle.timeline import Batch
from linewitness_wire import bodies, codes, plan, record
from linewitness_wire.plan import Plan, Target
from linewitness_wire.record import Body, Clock, Header

SECOND = 1_000_000
MINUTE = 60 * SECOND
T0 = 1_772_359_200 * SECOND  # 2026-03-01T10:00:00Z

# Where on the way out (share of the round trip) each part is crossed; on the way back it is 1 minus that.
WHERE = {"link": 0.0, "lan": 0.01, "router": 0.05, "access": 0.2, "transit": 0.4}
RTT_US = {"lan": 2_000, "router": 3_000, "access": 9_000, "transit": 24_000, "provider": 31_000, "carrier": 90_000}
NOTICED_US = 250_000  # the witness sees its link go
BACK_US = 900_000  # and uses it again

SEGMENTS = {
    "lan": codes.SEGMENT_LAN,
    "router": codes.SEGMENT_ROUTER,
    "access": codes.SEGMENT_ACCESS,
    "transit": codes.SEGMENT_TRANSIT,
    "provider": codes.SEGMENT_PROVIDER,
    "carrier": codes.SEGMENT_CARRIER,
}
METHODS = {
    "icmp": codes.METHOD_ICMP,
    "dns": codes.METHOD_DNS,
    "tcp": codes.METHOD_TCP,
    "sip": codes.METHOD_SIP_UDP,
    "stamp": codes.METHOD_STAMP,
    "call": codes.METHOD_CALL,
    "snmp": codes.METHOD_SNMP,
}
CALL_US, SILENT_US = 16 * SECOND, 20 * SECOND  # what a call takes that is talked, and one that nobody answers


@dataclass(frozen=True)
class Fault:
    """[start_us, end_us) from T0 in which `part` is down for `methods` (all where empty).

    part: link, lan, router, access, the host of a target, or whom it calls; code: what probes are answered instead;
    lost_ppm: how many of them, at random by a hash.
    """

    part: str
    start_us: int
    end_us: int
    methods: tuple[str, ...] = ()
    code: int | None = None
    lost_ppm: int = 1_000_000


@dataclass(frozen=True)
class Probe:
    """One line of the plan: host, segment, method, control; for a test call whom it calls."""

    host: str
    segment: str
    method: str
    control: bool = False
    period_us: int = SECOND
    callee: str = ""


PROBES = (
    Probe("gateway", "router", "icmp"),
    Probe("gateway", "router", "dns"),
    Probe("203.0.113.1", "access", "icmp"),
    Probe("192.0.2.1", "transit", "icmp"),
    Probe("192.0.2.1", "transit", "dns"),
    Probe("198.51.100.1", "transit", "tcp"),
    Probe("203.0.113.77", "transit", "icmp"),
    Probe("198.51.100.9", "transit", "stamp", control=True, period_us=15 * SECOND),
    Probe("192.0.2.200", "provider", "sip", control=True),
    Probe("192.0.2.100", "provider", "sip"),
    Probe("192.0.2.100", "provider", "icmp"),
    Probe("192.0.2.100", "provider", "tcp"),
)
EDGE, REFLECTOR, GATEWAY = "192.0.2.100", "198.51.100.9", "gateway"


def _options(probe: Probe) -> dict:
    if probe.method == "stamp":
        return {plan.OPTION_INTERVAL_MS: 20}
    if probe.method == "snmp":
        return {plan.OPTION_INDEX: 1, plan.OPTION_SECRET: "snmp"}
    if probe.method == "call":
        return {plan.OPTION_EXTENSION: probe.callee, plan.OPTION_SECONDS: 15, plan.OPTION_ALLOWED: 1,
                plan.OPTION_CODEC: codes.CODEC_G711_PLC, plan.OPTION_BUFFER_MS: 60}  # fmt: skip
    return {}


@dataclass
class Branch:
    """A witness in a branch. offset_us: UTC of monotonic 0; clock_error_us: how wrong its UTC is; synced_us: when its
    clock was first set; delay_us: how long the host waits for each batch."""

    site: str
    faults: tuple[Fault, ...] = ()
    probes: tuple[Probe, ...] = PROBES
    witness: str = "w1"
    fail_rounds: int = 3
    batch_us: int = 10 * SECOND
    duration_us: int = 5 * MINUTE
    offset_us: int = T0 - 3 * MINUTE
    clock_error_us: int = 4_000
    bound_us: int = 20_000
    synced_us: int = 0
    boot: int = 1
    first_seq: int = 1
    steps: tuple[tuple[int, int], ...] = ()  # (from true time after T0, step_us) of its UTC
    broker_down: tuple[int, int] | None = None  # batches wait for its end
    from_us: int = 0  # where its story begins, after T0
    cause: int | None = None  # of a boot in its first second
    router_started_us: int = -3_600 * SECOND  # after T0: its uptime by SNMP
    loss_ppm: int = 0  # of the line, at random, by a hash of probe and time
    plan: Plan = field(init=False)
    plan_hash: bytes = field(init=False)

    def __post_init__(self) -> None:
        targets = [
            Target(
                f"{p.segment}-{p.host}-{p.method}{p.callee}", SEGMENTS[p.segment], METHODS[p.method],
                codes.ROLE_CONTROL if p.control else codes.ROLE_SUBJECT, p.host, 0, p.period_us // 1000, 1000,
                20_000 if p.method == "call" else 1000, _options(p),
            )
            for p in self.probes
        ]  # fmt: skip
        octets = plan.encode_plan(
            Plan(self.site, self.witness, T0, self.batch_us // SECOND, targets, self.fail_rounds, 3, [], [])
        )
        self.plan, self.plan_hash = plan.decode_plan(octets), plan.digest(octets)

    def batches(self) -> list[Batch]:
        """Return the batches of the whole story, decoded from the octets that a witness would have signed."""
        result = []
        previous = record.NO_PREVIOUS
        for i, start_us in enumerate(range(self.from_us, self.duration_us, self.batch_us)):
            end_us = start_us + self.batch_us
            body_octets = bodies.encode(self._body(start_us, end_us), self.batch_us)
            body = bodies.decode(body_octets, self.batch_us)
            header_octets = record.encode_header(self._header(i, start_us, end_us, body_octets, body, previous))
            previous = hashlib.sha256(header_octets).digest()
            received_us = T0 + end_us + 300_000
            if self.broker_down is not None and self.broker_down[0] <= end_us < self.broker_down[1]:
                received_us = T0 + self.broker_down[1] + i * 10_000
            result.append(Batch(self.site, self.witness, record.decode_header(header_octets), body, received_us))
        return result

    def _header(self, i: int, start_us: int, end_us: int, octets: bytes, body: Body, previous: bytes) -> Header:
        clock = Clock(None, None, codes.CLOCK_NONE, None)
        if end_us >= self.synced_us:
            step_us = sum(step for at_us, step in self.steps if end_us > at_us)
            clock = Clock(T0 + end_us + self.clock_error_us + step_us, self.bound_us, codes.CLOCK_SNTP, 30)
        counts = (len(body.readings), len(body.events), len(octets))
        return Header(
            self.first_seq + i, previous, self.boot, self._mono(start_us), self._mono(end_us), clock, self.plan_hash,
            bytes(32), hashlib.sha256(octets).digest(), counts, None,
        )  # fmt: skip

    def _mono(self, at_us: int) -> int:
        return T0 + at_us - self.offset_us

    def _body(self, start_us: int, end_us: int) -> Body:
        readings = []
        for i, probe in enumerate(self.probes):
            sent = self._times(i, probe, start_us, end_us)
            if probe.method == "stamp":
                readings += [self._window(i, probe, t, start_us) for t in sent]
            elif probe.method == "call":
                readings += [self._call(i, probe, t, start_us) for t in sent]
            elif sent:
                readings.append(self._reading(i, probe, sent, start_us, end_us))
        return Body(readings, self._events(start_us, end_us))

    def _times(self, i: int, probe: Probe, start_us: int, end_us: int) -> list[int]:
        """Return when the probe is sent in [start_us, end_us)."""
        first_us = 70_000 * (i + 1)
        rounds = max(0, -(-(start_us - first_us) // probe.period_us))
        return list(range(first_us + rounds * probe.period_us, end_us, probe.period_us))

    def _reading(self, i: int, probe: Probe, sent: list[int], start_us: int, end_us: int) -> dict:
        fates = [self.fate(probe, t) for t in sent]
        answered = sum(f in (codes.FATE_ANSWERED, codes.FATE_WRONG) for f in fates)
        reading = {
            record.TARGET: i, record.START_US: 0, record.SPAN_US: end_us - start_us, record.SENT: len(sent),
            record.ANSWERED: answered,
            record.SAMPLES: b"".join(record.pack_sample(f, t - start_us) for f, t in zip(fates, sent, strict=True)),
        }  # fmt: skip
        if answered:
            rtt_us = RTT_US[probe.segment]
            reading[record.RTT_US] = [rtt_us, rtt_us, rtt_us, rtt_us + 2_000]
        if probe.method == "snmp":
            reading[record.UPTIME_S] = (end_us - self.router_started_us) // SECOND
            reading[record.RESTARTS] = 0
        if void := fates.count(codes.FATE_VOID):
            reading[record.SELF_DELAYED] = void
        if wrong := fates.count(codes.FATE_WRONG):
            reading[record.CODES] = [[next(f.code for f in self.faults if f.code is not None), wrong]]
        return reading

    def _window(self, i: int, probe: Probe, at_us: int, start_us: int) -> dict:
        times = range(at_us, at_us + 2 * SECOND, 20_000)
        fates = [self.fate(probe, t) for t in times]
        answered = fates.count(codes.FATE_ANSWERED)
        reading = {
            record.TARGET: i, record.START_US: at_us - start_us, record.SPAN_US: 2 * SECOND, record.SENT: len(times),
            record.ANSWERED: answered,
        }  # fmt: skip
        if answered:
            reading[record.RTT_US] = [24_000, 24_000, 25_000, 26_000]
        if void := fates.count(codes.FATE_VOID):
            reading[record.SELF_DELAYED] = void
        return reading

    def _call(self, i: int, probe: Probe, at_us: int, start_us: int) -> dict:
        poor = self._hit_by_loss(probe, at_us)
        fate = codes.FATE_ANSWERED if poor else self.fate(probe, at_us)
        reading = {record.TARGET: i, record.START_US: at_us - start_us, record.SPAN_US: CALL_US}
        if fate == codes.FATE_ANSWERED:
            rtt_us, mos = RTT_US[probe.segment], 2_000 if poor else 4_200
            heard = {record.SENT: 750, record.ANSWERED: 750, record.RTT_US: [rtt_us] * 4, record.MOS_MILLI: mos}
            return {**reading, **heard, record.CALL: codes.CALL_DONE}
        if fate == codes.FATE_WRONG:
            code = next(f.code for f in self.faults if f.code is not None)
            return {**reading, record.CALL: codes.CALL_REFUSED, record.CODES: [[code, 1]]}
        outcome = codes.CALL_NOT_SENT if fate == codes.FATE_VOID else codes.CALL_SILENT
        return {**reading, record.SPAN_US: SILENT_US, record.CALL: outcome}

    def _hit_by_loss(self, probe: Probe, at_us: int) -> bool:
        """Return whether a call made then is one that breaks up, but comes about."""
        return any(
            f.lost_ppm < 1_000_000 and f.start_us <= at_us < f.end_us and (not f.methods or "call" in f.methods)
            and (f.part in WHERE or f.part in (probe.host, probe.callee))
            for f in self.faults
        )  # fmt: skip

    def fate(self, probe: Probe, at_us: int) -> int:
        """Return the fate of a probe sent at_us after T0."""
        rtt_us = RTT_US[probe.segment]
        path = ["link", "lan", "router", "access", "transit"][: 2 + list(SEGMENTS).index(probe.segment)]
        for fault in self.faults:
            if fault.methods and probe.method not in fault.methods:
                continue
            if fault.part == "link" and fault.start_us + NOTICED_US <= at_us + 1000 * 1000 and self._link_down(at_us):
                return codes.FATE_VOID
            of_target = fault.part in (probe.host, probe.callee)
            where = 0.5 if of_target else WHERE[fault.part] if fault.part in path else None
            if where is None:
                continue
            crossed = (at_us + int(where * rtt_us), at_us + int((1 - where) * rtt_us))
            talked = probe.method == "call" and at_us < fault.end_us and fault.start_us < at_us + CALL_US
            hit = talked or any(fault.start_us <= t < fault.end_us for t in crossed)
            if hit and self._dice(probe, at_us) < fault.lost_ppm:
                return codes.FATE_WRONG if fault.code is not None else codes.FATE_LOST
        if self.loss_ppm and self._dice(probe, at_us) < self.loss_ppm:
            return codes.FATE_LOST
        return codes.FATE_ANSWERED

    def _dice(self, probe: Probe, at_us: int) -> int:
        """Return 0..999,999, the same for the same probe."""
        dice = hashlib.sha256(f"{self.site} {probe} {at_us}".encode()).digest()
        return int.from_bytes(dice[:4], "big") % 1_000_000

    def _link_down(self, at_us: int) -> bool:
        return any(f.part == "link" and f.start_us + NOTICED_US <= at_us < f.end_us + BACK_US for f in self.faults)

    def _events(self, start_us: int, end_us: int) -> list[list[int]]:
        events = []
        if self.cause is not None:
            events.append([codes.EVENT_BOOT, self.from_us, self.cause, 0, 0, T0 + self.from_us - self.offset_us])
        for fault in self.faults:
            if fault.part == "link":
                events.append([codes.EVENT_LINK_DOWN, fault.start_us + NOTICED_US, 1])
                events.append([codes.EVENT_LINK_UP, fault.end_us + BACK_US, -60, 6])
        here = sorted((e for e in events if start_us <= e[1] < end_us), key=lambda e: e[1])
        return [[e[0], e[1] - start_us, *e[2:]] for e in here]
