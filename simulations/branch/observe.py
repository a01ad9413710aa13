"""What a witness reads: a site's state measured round by round, with the noise of a healthy path on it.

Counts are drawn as the witness draws them: 12 echoes a target, 2 TCP connects, 2 DNS queries, 6 OPTIONS, 500 media
packets each way to the provider and 250 to the second provider and the reflector; so losses are multiples of their
fractions. Columns: fields.FIELDS. Rows are absent while the witness was off or its buffer overflowed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulations.branch.fields import COLUMN, FIELDS, Readings
from simulations.branch.phones import CHAIN, mos, product
from simulations.branch.state import Column, State
from simulations.branch.style import Style
from simulations.branch.topology import Site

WITNESS = ("witness_radio", "witness_ip")  # what lies before the LAN; the phones have no part in it
ECHOES, CONNECTS, QUERIES, OPTIONS, MEDIA, STREAM = 12, 2, 2, 6, 500, 250
CALL_EVERY_S = 600
BOOT_COUNT, UPTIME_S, ROUTER_UPTIME_S, FIRST_UPTIME_S = 100, 500_000, 2_400_000, 20

# Per technology: access round trip ms (low, high), jitter ms (median, sd of its logarithm), loss per direction.
ACCESS = {
    "fibre": ((2.0, 7.0), (0.1, 0.3), 0.0006),
    "cable": ((7.0, 14.0), (0.3, 0.4), 0.0008),
    "dsl": ((10.0, 24.0), (0.12, 0.35), 0.0007),
    "lte": ((26.0, 48.0), (3.7, 0.75), 0.0034),
}
# Short bursts of loss that nobody calls a fault, per round; wires hardly know them.
LINE_BURSTS = {"fibre": 0.0003, "cable": 0.001, "dsl": 0.0005, "lte": 0.003}
RADIO_JITTER_IN_STREAMS = 0.8  # single echoes find the radio asleep more often than a stream's packets do


class Observer:
    """Measures one site; every draw comes from the site's own generator, so sites are independent of their order."""

    def __init__(
        self, rng: np.random.Generator, style: Style, site: Site, state: State, t0: float, step_s: float
    ) -> None:
        self.rng, self.style, self.site, self.state = rng, style, site, state
        self.count = state.rounds
        self.begin = t0 + step_s * np.arange(self.count)
        self.step_s = step_s
        self.out = np.full((self.count, len(FIELDS)), np.nan)
        hour = (self.begin + site.tz_min * 60) / 3600 % 24
        weekend = ((self.begin + site.tz_min * 60) // 86400 + 3) % 7 > 4
        # Office hours, and the neighbourhood's evening: 0..1.
        self.busy = np.exp(-(((hour - 13.5) / 4.5) ** 2)) * np.where(weekend, 0.3, 1.0)
        self.evening = np.exp(-(((hour - 20.5) / 2.2) ** 2))
        self.local, self.line = self.healthy_local(), self.healthy_line()

    def put(self, name: str, values: Any) -> None:
        self.out[:, COLUMN[name]] = values

    def lognormal(self, median: float, sigma: float) -> Column:
        return median * np.exp(self.rng.normal(0, sigma, self.count))

    def healthy_local(self) -> dict[str, Column]:
        """Return delay, jitter and loss (one way) of the healthy LAN, Wi-Fi included."""
        if not self.site.wifi_witness:
            return {
                "delay": 1.4 + self.lognormal(0.2, 0.9),
                "jitter": np.full(self.count, 0.2),
                "loss": np.full(self.count, 1e-4),
            }
        quality = self.rng.uniform(0.6, 1.6) * self.style.noise
        load = 1 + 0.6 * self.busy
        bursts = self.rng.random(self.count) < 0.012 * self.style.bursts * quality * load
        loss = self.lognormal(0.0018 * quality, 0.75) * load + bursts * self.rng.uniform(0.02, 0.11, self.count)
        jitter = self.lognormal(1.35 * quality, 0.38) * load + bursts * self.rng.uniform(2, 12, self.count)
        return {"delay": 1.5 + self.lognormal(3.0, 0.85) + 0.5 * jitter, "jitter": jitter, "loss": loss}

    def healthy_line(self) -> dict[str, Column]:
        """Return delay, jitter and loss (one way) of the healthy access line; delay from router to first hop."""
        (low, high), (median, sigma), loss = ACCESS[self.site.tech]
        quality = self.rng.uniform(0.6, 1.5) * self.style.noise
        load = 1 + 0.25 * self.busy + 0.7 * self.evening * self.rng.uniform(0.2, 1.0)
        jitter = self.lognormal(median * quality, sigma) * load
        bursts = self.rng.random(self.count) < LINE_BURSTS[self.site.tech] * self.style.bursts * quality * load
        lossy = self.lognormal(loss * quality, 0.5) * load + bursts * self.rng.uniform(0.015, 0.09, self.count)
        held_back = (self.rng.random(self.count) < self.style.spikes) * self.rng.uniform(40, 300, self.count)
        jitter = jitter + 0.3 * held_back
        return {"delay": self.rng.uniform(low, high) + 0.3 * jitter, "jitter": jitter, "loss": lossy}

    def survival(self, *parts: str, direction: str) -> Column:
        """Return the share of packets that survive the witness's way to the end of these parts, one direction."""
        healthy = 1 - self.local["loss"]
        if "line" in parts:
            healthy = healthy * (1 - self.line["loss"])
        return healthy * product(self.state, (*WITNESS, "lan", *parts), f".{direction}")

    def both(self, *parts: str) -> Column:
        return self.survival(*parts, direction="u") * self.survival(*parts, direction="d")

    def delay(self, *parts: str) -> Column:
        total = self.local["delay"] + (self.line["delay"] if "line" in parts else 0.0)
        return total + sum(self.state.added(f"{part}.delay") for part in (*WITNESS, "lan", *parts))

    def jitter(self, *parts: str) -> Column:
        total = np.square(RADIO_JITTER_IN_STREAMS * self.local["jitter"]) + np.square(self.line["jitter"])
        total = total + sum(np.square(self.state.added(f"{part}.jitter")) for part in (*WITNESS, "lan", *parts))
        return np.asarray((1.0 + np.sqrt(total)) * np.exp(self.rng.normal(0, 0.09, self.count)))

    def share(self, tries: int, chance: Column) -> Column:
        """Return the share of tries that succeed."""
        return self.rng.binomial(tries, np.clip(chance, 0, 1)) / tries

    def seen(self, share: Column, value: Column) -> Column:
        """Return the value where anything answered, NaN elsewhere."""
        return np.where(share > 0, value, np.nan)

    def noisy(self, value: Column, spread_ms: float = 0.5) -> Column:
        return value + self.rng.exponential(spread_ms, self.count)

    def run(self) -> Readings:
        """Return the rows that reach the host."""
        self.gateway()
        self.names()
        self.router_word()
        self.hops()
        self.provider()
        self.controls()
        self.calls()
        return self.witness()

    def gateway(self) -> None:
        state, both = self.state, self.both()
        limited = 1 - 0.18 * self.site.router_limits_icmp * self.rng.uniform(0.7, 1.3, self.count)
        answered = self.share(ECHOES, both * limited * state.ok("icmp_gw") * (not self.site.silent_gateway))
        self.put("gw_loss", 1 - answered)
        self.put("gw_rtt", self.seen(answered, self.delay()))
        jitter = np.hypot(
            self.local["jitter"], np.hypot(state.added("witness_radio.jitter"), state.added("lan.jitter"))
        )
        self.put("gw_jit", self.seen(answered, jitter))
        self.put("gw_tcp", self.share(CONNECTS, (1 - (1 - both) * 0.7) * state.ok("gw_tcp")))
        if not self.site.gateway_tcp:
            self.put("gw_tcp", np.nan)

    def names(self) -> None:
        state, near, far = self.state, self.both(), self.both(*CHAIN[1:4])
        by_router = self.share(
            QUERIES, near * state.ok("dns_r") * (1 - (1 - far) ** 2) * np.sqrt(state.ok("new_flows"))
        )
        by_public = self.share(
            QUERIES, (1 - (1 - far) ** 2) * state.ok("dns_a") * state.ok("udp.u") * state.ok("new_flows")
        )
        self.put("dns_r_ok", by_router)
        self.put("dns_r_ms", self.seen(by_router, self.delay() + self.lognormal(14, 0.5)))
        self.put("dns_a_ok", by_public)
        self.put("dns_a_ms", self.seen(by_public, self.delay(*CHAIN[1:4]) + 5 + self.lognormal(8, 0.4)))
        resolved = np.where((by_router > 0) | (by_public > 0), 1.0, np.nan)
        told = state.value("pdns")
        self.put("pdns", np.where(np.isnan(told) | np.isnan(resolved), resolved, told))

    def router_word(self) -> None:
        """Put what the router says of itself, where it says anything and can be asked."""
        if not self.site.snmp:
            return
        state = self.state
        reached = self.rng.random(self.count) < (1 - (1 - self.both()) ** 2) * state.ok("snmp")
        load = 0.05 + 0.08 * self.busy
        util_u = np.clip(self.lognormal(1.0, 0.35) * load + state.added("util_u"), 0, 1)
        util_d = np.clip(self.lognormal(1.8, 0.3) * (load + 0.02) + state.added("util_d"), 0, 1)
        cpu = np.clip(self.rng.normal(0.13, 0.03, self.count) + 0.1 * util_d + state.added("cpu"), 0.01, 1)
        since = np.arange(self.count) * self.step_s + ROUTER_UPTIME_S
        # A router that came back counts from the first round after the last one that it missed.
        gone = ~np.isnan(state.value("reboot_router"))
        back = np.flatnonzero(np.diff(gone.astype(int)) == -1) + 1
        for index in back:
            since[index:] = np.arange(self.count - index) * self.step_s + 2 * self.step_s
        wan = np.where(np.isnan(state.value("wan")), 1.0, 0.0)
        for name, values in (
            ("r_up_s", since),
            ("r_wan", wan),
            ("r_util_u", util_u),
            ("r_util_d", util_d),
            ("r_cpu", cpu),
        ):
            self.put(name, np.where(reached, values, np.nan))

    def hops(self) -> None:
        state = self.state
        hop1 = self.both("router", "line") * state.ok("icmp_h1") * state.ok("icmp_any")
        answered = self.share(ECHOES, hop1 * (not self.site.silent_hop1))
        self.put("h1_loss", 1 - answered)
        self.put("h1_rtt", self.seen(answered, self.noisy(self.delay("router", "line"), 0.3)))
        for number in "123":
            target = f"a{number}"
            both = self.both("router", "line", "isp", target)
            answered = self.share(ECHOES, both * state.ok(f"icmp_{target}") * state.ok("icmp_any"))
            self.put(f"{target}_loss", 1 - answered)
            self.put(f"{target}_rtt", self.seen(answered, self.noisy(self.rtt(target, 5, 22))))
            self.put(f"{target}_tcp", self.connects(both))
        v6 = self.share(CONNECTS, self.both("router", "line", "isp", "a1") * state.ok("v6"))
        v6_p = self.share(CONNECTS, self.both("router", "line", "isp", "p") * state.ok("v6") * state.ok("v6_p"))
        self.put("v6_a", v6 if self.site.v6 else np.nan)
        self.put("v6_p", v6_p if self.site.v6 else np.nan)

    def rtt(self, target: str, low: float, high: float) -> Column:
        return self.delay("router", "line", "isp", target) + self.rng.uniform(low, high)

    def connects(self, both: Column, service: Column | float = 1.0) -> Column:
        """Return the share of TCP connects: a lost SYN is sent again once within the time-out."""
        state = self.state
        return self.share(CONNECTS, (1 - (1 - both) ** 2) * service * state.ok("tcp_any") * state.ok("new_flows"))

    def provider(self) -> None:
        state, way = self.state, ("router", "line", "isp", "p")
        both, rtt = self.both(*way), self.rtt("p", 14, 45)
        answered = self.share(ECHOES, both * state.ok("icmp_p") * state.ok("icmp_any") * (not self.site.silent_edge))
        self.put("p_loss", 1 - answered)
        self.put("p_rtt", self.seen(answered, self.noisy(rtt, 0.3)))
        self.put("p_tcp", self.connects(both, state.ok("tcp_p")) if self.site.edge_tcp else np.nan)
        sip = self.options("p", both)
        self.put("p_sip", sip)
        refused = state.value("code_p")
        self.put("p_code", np.where(sip > 0.5, 200.0, np.where(np.isnan(refused), 0.0, refused)))
        self.put("p_sip_ms", self.seen(sip, self.noisy(rtt + 3, 4.0)))
        self.media("m", MEDIA, (*way, "udp", "media_p"), rtt, one_loss=False)
        for name in ("e2", "q") if self.site.second_leg else ("e2",):
            both = self.both("router", "line", "isp", name)
            rtt = self.rtt(name, 10, 48)
            self.put(f"{name}_sip", self.options(name, both))
            if name == "e2":
                answered = self.share(ECHOES, both * state.ok("icmp_e2") * state.ok("icmp_any"))
                self.put("e2_loss", 1 - answered)
                self.put("e2_rtt", self.seen(answered, self.noisy(rtt)))
            else:
                self.media("q", STREAM, ("router", "line", "isp", "q", "udp", "media_q"), rtt, one_loss=True)

    def options(self, target: str, both: Column) -> Column:
        """Return the share of OPTIONS answered with 200; single shots, so a lost packet is a lost try."""
        shares = (f"sip_{target}", f"options_{target}", "sip_any", "new_flows")
        return self.share(OPTIONS, both * product(self.state, shares, ""))

    def media(self, name: str, packets: int, way: tuple[str, ...], rtt: Column, *, one_loss: bool) -> None:
        up, down = self.survival(*way, direction="u"), self.survival(*way, direction="d")
        jitter = self.jitter(*way)
        if one_loss:
            lost = 1 - self.share(packets, up * down)
            self.put(f"{name}_loss", lost)
        else:
            lost_u, lost_d = 1 - self.share(packets, up), 1 - self.share(packets, down)
            self.put(f"{name}_loss_u", lost_u)
            self.put(f"{name}_loss_d", lost_d)
            lost = np.maximum(lost_u, lost_d)
            both_ways = (lost_u < 1) & (lost_d < 1)
        heard = lost < 1 if one_loss else both_ways
        self.put(f"{name}_rtt", np.where(heard, self.noisy(rtt, 0.3), np.nan))
        self.put(f"{name}_jit", np.where(heard, jitter, np.nan))
        if name != "x":
            self.put(f"{name}_mos", np.where(heard, mos(lost, rtt, jitter), 1.0))

    def controls(self) -> None:
        if self.site.second_leg:
            asked = np.arange(self.count) % self.style.second_every == 0
            self.out[~asked, COLUMN["q_sip"] : COLUMN["q_mos"] + 1] = np.nan
        if self.site.reflector:
            self.media("x", STREAM, ("router", "line", "isp", "x", "udp"), self.rtt("x", 8, 26), one_loss=False)

    def calls(self) -> None:
        """Put a test call inside the provider's network and one over its carrier, every ten minutes."""
        if not self.site.testcall:
            return
        state = self.state
        period = max(1, round(CALL_EVERY_S / self.step_s))
        due = np.arange(self.count) % period == self.rng.integers(period)
        # Test calls go down the provider's SRV set as phones do (RFC 3263 4.3): a dead member costs them nothing.
        by_another = state.ok("first_member") < 0.5
        arrives = np.where(
            by_another, self.both("router", "line", "isp", "e2"), self.both("router", "line", "isp", "p")
        )
        signalling = 1 - (1 - arrives) ** 3
        shares = ("sip_p", "register_p", "call_any", "sip_any", "new_flows")
        set_up = np.clip(signalling * product(state, shares, ""), 0, 1) * 0.993
        # A call asks for the provider's name first: it fails where that leads nowhere, or to another's address.
        set_up = np.where(state.value("pdns") < 1, 0.0, set_up)
        heard = np.where(by_another | (self.out[:, COLUMN["m_mos"]] > 1.01), 1.0, 0.0)
        inside = self.rng.random(self.count) < set_up * state.ok("callee") * np.where(heard > 0, 1.0, 0.05)
        outside = self.rng.random(self.count) < set_up * state.ok("carrier") * state.ok("carrier_callee") * 0.997
        self.put("oc_ok", np.where(due, inside, np.nan))
        self.put("c_ok", np.where(due, outside, np.nan))
        lost = np.maximum(self.out[:, COLUMN["m_loss_u"]], self.out[:, COLUMN["m_loss_d"]])
        lost = np.where(by_another, 1 - np.minimum(arrives, 1), lost)
        lost = 1 - (1 - lost) * (1 - np.clip(state.added("carrier_loss"), 0, 1))
        jitter = np.nan_to_num(self.out[:, COLUMN["m_jit"]], nan=0.0)
        quality = mos(lost, np.nan_to_num(self.out[:, COLUMN["m_rtt"]], nan=400.0), jitter)
        quality = np.clip(quality + self.rng.normal(0, 0.06, self.count), 1, 4.5)
        self.put("c_mos", np.where(due & outside, quality, np.nan))
        self.put("c_pdd", np.where(due & outside, 1.6 + self.lognormal(0.35, 0.9) + state.added("pdd"), np.nan))

    def witness(self) -> Readings:
        """Put the witness's own columns and return the rows that it had power, time and room to make."""
        state, rng = self.state, self.rng
        radio = product(state, ("witness_radio", "lan"), ".u")
        link = (product(state, ("witness_radio",), ".u") > 0.45).astype(float)
        self.put("link", link)
        self.put("ip_ok", link * (product(state, ("witness_ip",), ".u") > 0.45))
        if self.site.wifi_witness:
            level = rng.uniform(-60, -47) - 25 * np.clip(1 - radio, 0, 0.5) * rng.random(self.count)
            self.put("rssi", np.round(np.where(link > 0, rng.normal(level, 3.0), np.nan)))
        back = np.diff(link, prepend=1.0) > 0
        self.put("reconn", (rng.random(self.count) < 0.0009) | back)
        off = ~np.isnan(state.value("witness_off"))
        reset = np.zeros(self.count)
        first = np.flatnonzero(np.diff(off.astype(int), prepend=0) == -1)
        reset[first] = state.value("witness_off")[first - 1]
        self.put("reset", reset)
        self.put("boot", BOOT_COUNT + np.cumsum(reset > 0))
        up = UPTIME_S + np.arange(self.count) * self.step_s
        for index in first:
            up[index:] = FIRST_UPTIME_S + np.arange(self.count - index) * self.step_s
        self.put("up_s", up)
        synced = np.isnan(state.value("unsynced")) & ~self.after_boot_without_time(off, first)
        self.put("ntp_ok", synced)
        clock = self.begin + np.nan_to_num(state.value("clock_s"), nan=0.0)
        self.put("t", np.where(synced, clock, up))
        self.put("t_rx", self.received(off))
        self.put("seq", np.cumsum(~off))
        return self.out[~off & np.isnan(state.value("dropped"))]

    def after_boot_without_time(self, off: NDArray[np.bool_], first: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the rounds after a boot in which no time server could be reached, or (unsynced) was slow to be."""
        dark = np.zeros(self.count, bool)
        offline = self.both("router", "line", "isp") < 0.3
        slow = ~np.isnan(self.state.value("unsynced"))
        for index in first:
            rounds = int(self.rng.integers(2, 30)) if slow[index - 1] else 0
            stop = index + rounds
            while stop < self.count and offline[stop]:
                stop += 1
            dark[index:stop] = True
        return dark & ~off

    def received(self, off: NDArray[np.bool_]) -> Column:
        """Return when the host got each row: a minute later, or when the way to it was open again."""
        shut = (self.both("router", "line", "isp") < 0.3) | ~np.isnan(self.state.value("held")) | off
        open_rounds = np.where(shut, self.count, np.arange(self.count))
        following = np.minimum.accumulate(open_rounds[::-1])[::-1]
        sent = self.begin[0] + self.step_s * (following + 1)
        return np.round(sent + 1.0 + self.rng.exponential(0.5, self.count), 1)
