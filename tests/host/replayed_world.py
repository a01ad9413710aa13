"""A world's rows told again as the batches that its witnesses would have signed: one world, both feeders.

Each row becomes the batch of its round: the same counts, delays and words as readings under a plan, encoded and decoded
by linewitness_wire. What a row does not say is not made up, but for three things that a reading can't leave out:
  - when within the round the lost ones of its samples were sent: towards the neighbouring round that lost more;
  - the spread of round trips where only their mean is known: none;
  - why a test call failed: 503 where signalling was answered in that round, else silence.
A row holds the share of load of the router's processor and IPv6, for which a reading has no key: they are left out.
All probes go to addresses, but for one SIP request a round by the provider's name: it goes where the name leads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linewitness.settle.attribution.rounds import Rounds
from linewitness.settle.timeline import Batch, SiteInfo
from linewitness_wire import bodies, codes, plan, record
from linewitness_wire.plan import Plan, Target
from linewitness_wire.record import Body, Clock, Header
from simulations.branch.feed import true_times
from simulations.branch.fields import COLUMN, Readings
from simulations.branch.world import Line, World

SECOND = 1_000_000
ECHOES, CONNECTS, QUERIES, OPTIONS, MEDIA, STREAM = 12, 2, 2, 6, 500, 250  # as simulations.branch.observe draws them
CALL_US, CALL_PACKETS = 16 * SECOND, 750
LINE_KBITS = (100_000, 20_000)  # down, up: what the sites' files say
ASTRAY = IPv4Address("198.18.0.1")
CODE_UNRESOLVED = -2
KEPT_US = 20_000  # the clock's bound
ALL_BUT_SILENT = 0.02  # share of packets that came back

# Columns that a reading has no key for, or that nothing reads; of an address that is gone events tell, not readings.
UNTOLD = {"router_cpu", "second_mos", "address"}
# Share of rounds alike: a gateway's delays vary by more than their mean in some rows; a row keeps no code where most
# requests were lost and some served.
LOOSE = {"gateway_jitter": 0.9, "edge_code": 0.9}

Reading = dict[int, Any]


def edge_name(provider: int, edge: int) -> str:
    return f"edge{edge}.provider{provider}.example"


def edge_address(provider: int, edge: int) -> IPv4Address:
    return IPv4Address("203.0.113.0") + 2 * provider + edge


def info_of(site: Line) -> SiteInfo:
    """Return what the host is told of a site: what sites.json says, as far as a site's file can hold it."""
    return SiteInfo(
        site["id"], str(site["isp"]), str(site["provider"]), str(site["carrier"]), site["probe_link"] == "eth",
        str(site["region"]), LINE_KBITS,
    )  # fmt: skip


@dataclass
class Replayed:
    """One site of a world. rows: its rows; columns that hold nothing have no target in its plan."""

    line: Line
    rows: Readings
    step_s: float
    site: str = field(init=False)
    plan: Plan = field(init=False)
    plan_hash: bytes = field(init=False)
    _made: list[Batch] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.site = self.line["id"]
        self._targets: list[Target] = []
        self._number: dict[str, int] = {}
        self._lay_out()
        octets = plan.encode_plan(Plan(self.site, "w1", 1_700_000_000 * SECOND, 60, self._targets, 3, 3, [], []))
        self.plan, self.plan_hash = plan.decode_plan(octets), plan.digest(octets)

    # --- the plan ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        own = str(edge_address(self.line["provider"], self.line["edge"]))
        other = str(edge_address(self.line["provider"], 1 - self.line["edge"]))
        second = str(edge_address(self.line["second"], 0))
        self._aim("gw", "router", codes.METHOD_ICMP, "gateway", "gw_loss")
        self._aim("gw_tcp", "router", codes.METHOD_TCP, "gateway", "gw_tcp")
        self._aim("dns_r", "router", codes.METHOD_DNS, "gateway", "dns_r_ok")
        self._aim("dns_a", "transit", codes.METHOD_DNS, "9.9.9.9", "dns_a_ok")
        self._aim("snmp", "router", codes.METHOD_SNMP, "gateway", "r_up_s")
        self._aim("h1", "access", codes.METHOD_ICMP, "192.0.2.1", "h1_loss")
        for n in (1, 2, 3):
            self._aim(f"a{n}", "transit", codes.METHOD_ICMP, f"198.51.100.{n}", f"a{n}_loss")
            self._aim(f"a{n}_tcp", "transit", codes.METHOD_TCP, f"198.51.100.{n}", f"a{n}_tcp", control=True)
        self._aim("p", "provider", codes.METHOD_ICMP, own, "p_loss")
        self._aim("p_tcp", "provider", codes.METHOD_TCP, own, "p_tcp")
        self._aim("p_sip", "provider", codes.METHOD_SIP_UDP, own, "p_sip")
        self._aim("name", "provider", codes.METHOD_SIP_TCP, edge_name(self.line["provider"], self.line["edge"]), "pdns")
        self._aim("m", "provider", codes.METHOD_STAMP, own, "m_loss_u")
        self._aim("e2", "provider", codes.METHOD_ICMP, other, "e2_loss", control=True)
        self._aim("e2_sip", "provider", codes.METHOD_SIP_UDP, other, "e2_sip", control=True)
        self._aim("q_sip", "provider", codes.METHOD_SIP_UDP, second, "q_sip", control=True)
        self._aim("q", "provider", codes.METHOD_STAMP, second, "q_loss", control=True)
        self._aim("x", "transit", codes.METHOD_STAMP, "198.51.100.9", "x_loss_u", control=True)
        self._aim("oc", "provider", codes.METHOD_CALL, own, "oc_ok", callee="echo")
        self._aim("c", "carrier", codes.METHOD_CALL, own, "c_ok", callee="+441632960002")

    def _aim(
        self, name: str, segment: str, method: int, host: str, column: str, *, control: bool = False, callee: str = ""
    ) -> None:
        if np.isnan(self.rows[:, COLUMN[column]]).all():
            return
        options: dict[int, Any] = {}
        if method == codes.METHOD_STAMP:
            options = {plan.OPTION_PACKETS: STREAM, plan.OPTION_INTERVAL_MS: 20, plan.OPTION_BUFFER_MS: 60}
        elif method == codes.METHOD_CALL:
            options = {plan.OPTION_EXTENSION: callee, plan.OPTION_SECONDS: 15, plan.OPTION_ALLOWED: 1}
        elif method == codes.METHOD_DNS:
            options = {plan.OPTION_NAME: "example.com"}
        period_ms = 1_200_000 if method == codes.METHOD_CALL else 60_000 if method == codes.METHOD_STAMP else 10_000
        self._number[name] = len(self._targets)
        self._targets.append(Target(
            name, codes.SEGMENT_NAMES.index(segment), method,
            codes.ROLE_CONTROL if control else codes.ROLE_SUBJECT, host, 0, period_ms, 1_000,
            20_000 if method == codes.METHOD_CALL else 1_000, options,
        ))  # fmt: skip

    # --- batches ----------------------------------------------------------------------------------------------------

    def batches(self) -> list[Batch]:
        """Return the batches of all rows, decoded from the octets that a witness would have signed."""
        if not self._made:
            self._made = list(self._make())
        return self._made

    def _make(self) -> Iterator[Batch]:
        previous = record.NO_PREVIOUS
        link = 1.0
        boot = -1.0
        for at in range(len(self.rows)):
            row = dict(zip(COLUMN, self.rows[at].tolist(), strict=True))
            events = []
            if boot not in (-1.0, row["boot"]):
                cause = codes.RESET_POWER if row["reset"] == 1 else codes.RESET_WATCHDOG
                events.append([codes.EVENT_BOOT, 0, cause, 0, 0, int(row["up_s"] * SECOND)])
            if row["link"] != link:
                down = row["link"] == 0
                events.append([codes.EVENT_LINK_DOWN, 0, 1] if down else [codes.EVENT_LINK_UP, 0, 0, 0])
            link, boot = row["link"], row["boot"]
            span_us = int(self.step_s * SECOND)
            octets = bodies.encode(Body(list(self._readings(at, row)), events), span_us)
            body = bodies.decode(octets, span_us)
            header_octets = record.encode_header(self._header(row, octets, body, previous))
            previous = hashlib.sha256(header_octets).digest()
            yield Batch(self.site, "w1", record.decode_header(header_octets), body, int(row["t_rx"] * SECOND))

    def _header(self, row: dict[str, float], octets: bytes, body: Body, previous: bytes) -> Header:
        start_us = int(row["up_s"] * SECOND)
        end_us = start_us + int(self.step_s * SECOND)
        clock = Clock(None, None, codes.CLOCK_NONE, None)
        if row["ntp_ok"] == 1:
            clock = Clock(int((row["t"] + self.step_s) * SECOND), KEPT_US, codes.CLOCK_SNTP, 30)
        counts = (len(body.readings), len(body.events), len(octets))
        return Header(
            int(row["seq"]) + 1, previous, int(row["boot"]), start_us, end_us, clock, self.plan_hash, bytes(32),
            hashlib.sha256(octets).digest(), counts, None,
        )  # fmt: skip

    def _readings(self, at: int, row: dict[str, float]) -> Iterator[Reading]:
        def told(name: str) -> bool:
            return name in self._number and row[name] == row[name]

        for name, loss in (("gw", "gw_loss"), ("h1", "h1_loss"), ("p", "p_loss"), ("e2", "e2_loss"),
                           *((f"a{n}", f"a{n}_loss") for n in (1, 2, 3))):  # fmt: skip
            if name in self._number and row[loss] == row[loss]:
                yield self._shots(name, ECHOES, at, loss, row[f"{name}_rtt"], row["gw_jit"] if name == "gw" else 0.0)
        for name, of in (("gw_tcp", CONNECTS), ("p_tcp", CONNECTS), *((f"a{n}_tcp", CONNECTS) for n in (1, 2, 3))):
            if told(name):
                yield self._shots(name, of, at, name, 20.0)
        for name in ("dns_r", "dns_a"):
            if name in self._number and row[f"{name}_ok"] == row[f"{name}_ok"]:
                yield self._shots(name, QUERIES, at, f"{name}_ok", row[f"{name}_ms"])
        if told("p_sip"):
            yield self._shots("p_sip", OPTIONS, at, "p_sip", row["p_sip_ms"], code=int(row["p_code"]))
        if "name" in self._number and row["pdns"] == row["pdns"]:
            yield self._by_name(row)
        for name in ("e2_sip", "q_sip"):
            if told(name):
                yield self._shots(name, OPTIONS, at, name, 20.0)
        if "snmp" in self._number and row["r_up_s"] == row["r_up_s"]:
            yield self._router(row)
        yield from self._streams(row)
        yield from self._calls(row)

    def _base(self, name: str, start_us: int, span_us: int) -> Reading:
        return {record.TARGET: self._number[name], record.START_US: start_us, record.SPAN_US: span_us}

    def _shots(
        self, name: str, sent: int, at: int, column: str, rtt_ms: float, jitter_ms: float = 0.0, code: int = 200
    ) -> Reading:
        """Return a reading of single probes. column: the share that was lost, or the share that was served."""
        inverse = not column.endswith("loss")
        share = self.rows[max(at - 1, 0) : at + 2, COLUMN[column]]
        lost = 1 - share if inverse else share
        here = float(lost[min(at, 1)])
        bad = round(here * sent)
        before, after = (float(np.nan_to_num(lost[i], nan=0.0)) for i in (0, -1))
        order = [(5 * i + at) % sent for i in range(sent)]  # 5 is coprime to all counts: each place once
        if before > here >= after:
            order = list(range(sent))
        elif after > here >= before:
            order = list(range(sent - 1, -1, -1))
        bad_at = set(order[:bad])
        wrong = code not in (0, 200)
        step_us = int(self.step_s * SECOND) // sent
        fates = [
            (codes.FATE_WRONG if wrong else codes.FATE_LOST) if i in bad_at else codes.FATE_ANSWERED
            for i in range(sent)
        ]  # fmt: skip
        answered = sent if wrong else sent - bad
        reading = {
            **self._base(name, 0, int(self.step_s * SECOND)), record.SENT: sent, record.ANSWERED: answered,
            record.SAMPLES: b"".join(
                record.pack_sample(fate, i * step_us + step_us // 2) for i, fate in enumerate(fates)
            ),
        }  # fmt: skip
        if answered:
            reading[record.RTT_US] = _rtt_us(rtt_ms, jitter_ms)
        if wrong and bad:
            reading[record.CODES] = [[code, bad]]
        return reading

    def _by_name(self, row: dict[str, float]) -> Reading:
        """Return what a request by the provider's name met: it is served where all those by address are."""
        span_us = int(self.step_s * SECOND)
        reading = {**self._base("name", 0, span_us), record.SENT: 1, record.ANSWERED: 0}
        fate = codes.FATE_LOST
        if row["pdns"] == 0:
            fate = codes.FATE_VOID
            reading |= {record.SELF_DELAYED: 1, record.CODES: [[CODE_UNRESOLVED, 1]]}
        else:
            address = ASTRAY if row["pdns"] == -1 else edge_address(self.line["provider"], self.line["edge"])
            reading[record.PEER] = address.packed + (5060).to_bytes(2, "big")
            if row["pdns"] == 1 and row["p_sip"] == 1:
                fate = codes.FATE_ANSWERED
                reading |= {record.ANSWERED: 1, record.RTT_US: _rtt_us(row["p_sip_ms"])}
        return {**reading, record.SAMPLES: record.pack_sample(fate, span_us // 2)}

    def _router(self, row: dict[str, float]) -> Reading:
        counted_us = int(self.step_s * SECOND)
        shares = (row["r_util_d"], row["r_util_u"])
        octets = [int(share * kbits * 125 * self.step_s) for share, kbits in zip(shares, LINE_KBITS, strict=True)]
        return {
            **self._base("snmp", 0, counted_us), record.SENT: 1, record.ANSWERED: 1,
            record.SAMPLES: record.pack_sample(codes.FATE_ANSWERED, counted_us // 2), record.RTT_US: [2_000] * 4,
            record.UPTIME_S: int(row["r_up_s"]), record.RESTARTS: 0, record.WAN_STATUS: 1 if row["r_wan"] == 1 else 2,
            record.COUNTED_US: counted_us, record.OCTETS: octets,
        }  # fmt: skip

    def _streams(self, row: dict[str, float]) -> Iterator[Reading]:
        for name, sent, start_s in (("m", MEDIA, 5), ("x", STREAM, 20), ("q", STREAM, 35)):
            two_way = name != "q"
            if (
                name not in self._number
                or row[f"{name}_loss_u" if two_way else "q_loss"] != (row[f"{name}_loss_u" if two_way else "q_loss"])
            ):
                continue
            reading = {**self._base(name, start_s * SECOND, sent * 20_000), record.SENT: sent}
            if two_way:
                forward = round(row[f"{name}_loss_u"] * sent)
                heard = round((sent - forward) * (1 - row[f"{name}_loss_d"]))
                if heard:
                    reading[record.LOST_BY_DIRECTION] = [forward, sent - forward - heard]
            else:
                heard = round((1 - row["q_loss"]) * sent)
            reading[record.ANSWERED] = heard
            if heard and row[f"{name}_rtt"] == row[f"{name}_rtt"]:
                reading[record.RTT_US] = _rtt_us(row[f"{name}_rtt"])
                reading[record.JITTER_US] = int(row[f"{name}_jit"] * 1000)
                if name != "x":
                    reading[record.MOS_MILLI] = int(np.clip(row[f"{name}_mos"] * 1000, 988, 4500))
            elif heard:  # one that came back where the row rounds it away
                reading[record.RTT_US] = [50_000] * 4
            yield reading

    def _calls(self, row: dict[str, float]) -> Iterator[Reading]:
        for name, start_s in (("oc", 2), ("c", 25)):
            if name not in self._number or row[f"{name}_ok"] != row[f"{name}_ok"]:
                continue
            base = self._base(name, start_s * SECOND, CALL_US)
            if row[f"{name}_ok"] == 1:
                mos = row["c_mos"] if name == "c" else row["m_mos"]
                heard = {record.SENT: CALL_PACKETS, record.ANSWERED: CALL_PACKETS, record.RTT_US: [40_000] * 4}
                mos_milli = int(np.clip(np.nan_to_num(mos, nan=4.2) * 1000, 988, 4500))
                yield {**base, **heard, record.MOS_MILLI: mos_milli, record.CALL: codes.CALL_DONE}
            elif row["p_sip"] > 0:
                yield {**base, record.CALL: codes.CALL_REFUSED, record.CODES: [[503, 1]]}
            else:
                yield {**base, record.SPAN_US: 20 * SECOND, record.CALL: codes.CALL_SILENT}


def _rtt_us(mean_ms: float, jitter_ms: float = 0.0) -> list[int]:
    mean_us = int(np.nan_to_num(mean_ms, nan=20.0) * 1000)
    spread_us = int(np.nan_to_num(jitter_ms, nan=0.0) * 1000)
    least_us = max(0, mean_us - spread_us)
    return [least_us, mean_us, mean_us + spread_us, mean_us + spread_us]


def replayed(world: World, rounds: int) -> list[Replayed]:
    """Return a world's sites, each with the rows of its first so many rounds."""
    return [
        Replayed(line, rows[true_times(rows, world.step_s) < world.t0 + (rounds - 0.5) * world.step_s], world.step_s)
        for line, rows in world.each()
    ]


def alike(name: str, rows: Rounds, readings: Rounds) -> NDArray[np.bool_]:
    """Return for each round of a column whether both feeders gave it the same value, or none.

    A window in which nothing came back does not say in which direction it was lost, nor how late it was.
    """
    wanted, got = rows.column(name)[rows.measured], readings.column(name)[rows.measured]
    same = np.isclose(wanted, got, rtol=0.01, atol=0.012, equal_nan=True)
    stream = name.split("_")[0]
    if stream in ("media", "reflector"):
        up, down = (rows.column(f"{stream}_loss_{way}")[rows.measured] for way in ("up", "down"))
        same |= (1 - up) * (1 - down) < ALL_BUT_SILENT
    return same


def with_facts_of(rows: Rounds, readings: Rounds) -> Rounds:
    """Return rows with what a ledger's host is told of the site: no traces, no technology, no phones."""
    return Rounds(readings.facts, rows.t0_s, rows.step_s, rows.measured, rows.columns)
