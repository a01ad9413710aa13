"""A branch office in virtual time: the whole firmware on one virtual board in this process, with in-process peers.

    with VirtualOffice(tmp_path, plan_octets, profile="pico-w") as office:
        office.run_s(3600)
        office.link(down=True)

Hours pass in seconds, the same each time for the same seed. The world around the board: a gateway with DNS, the ISP's
first hop, three anchors, the provider's edge (ICMP, TCP, SIP), a session-reflector, three time servers and a broker
with TLS (a certificate of the office's own authority on P-256), behind the links lan, access, transit and provider.
The collector is collector.py's. What must never meet a call-quality window (erases, programs, handshakes, signatures)
is on record with its time, see `Disturbance`; how long the flash held the loop up, see `long_stalls`.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from collector import Batch, Collector
from cryptography.hazmat.primitives.serialization import Encoding

from linewitness.device.firmware import compile_firmware
from linewitness_wire import codes, envelope, plan, record
from simulations.board.device import Device, Settings
from simulations.board.emulated import EmulatedNetwork
from simulations.board.flash import Flash
from simulations.board.pauses import Stall
from simulations.board.peers.broker import Broker
from simulations.board.peers.datagrams import NameServer, SessionReflector, SipServer, TimeServer
from simulations.board.peers.tls import TlsServer
from simulations.board.profile import Profile, load_profile
from simulations.lab.certificates import Authority
from witness.journal import RESERVE_OCTETS

SITE, WITNESS = "leeds", "desk"
SECRET = bytes(range(32))
PASSWORD = "w"
START_UTC_US = 1_800_000_000_000_000
GATEWAY, ISP, EDGE, REFLECTOR, BROKER = "192.168.1.1", "100.64.10.1", "198.51.100.10", "203.0.113.50", "203.0.113.5"
ANCHORS = ("1.1.1.1", "8.8.8.8", "9.9.9.9")
TIME = ("192.0.2.123", "192.0.2.124", "192.0.2.125")
BOARD_CODES = {"esp32-devkitc": "wifi", "esp32-poe": "ethernet", "pico-w": "wifi"}
PLACE = f"linewitness/1/{SITE}/{WITNESS}/"


def target(name: str, segment: int, method: int, host: str, port: int = 0, **options: Any) -> plan.Target:
    """A subject with the periods of the default plan."""
    return plan.Target(
        name, segment, method, options.pop("role", codes.ROLE_SUBJECT), host, port, options.pop("period_ms", 10_000),
        options.pop("fast_period_ms", 1_000), options.pop("timeout_ms", 1_000), options.pop("options", {}),
    )  # fmt: skip


def default_targets() -> list[plan.Target]:
    """The plan that `linewitness site add` makes, with the ISP's hop, the edge and our reflector named."""
    self_, link = codes.METHOD_SELF, codes.METHOD_LINK
    icmp, dns, tcp = codes.METHOD_ICMP, codes.METHOD_DNS, codes.METHOD_TCP
    transit, provider, control = codes.SEGMENT_TRANSIT, codes.SEGMENT_PROVIDER, codes.ROLE_CONTROL
    name = {plan.OPTION_NAME: "example.com"}
    targets = [
        target("self", codes.SEGMENT_WITNESS, self_, "", period_ms=60_000),
        target("link", codes.SEGMENT_LAN, link, "", period_ms=10_000),
        target("gateway", codes.SEGMENT_ROUTER, icmp, "gateway", period_ms=5_000),
        target("gateway-dns", codes.SEGMENT_ROUTER, dns, "gateway", 53, options=name),
        target("isp-hop", codes.SEGMENT_ACCESS, icmp, ISP, period_ms=5_000),
    ]
    for i, host in enumerate(ANCHORS, 1):
        targets.append(target(f"anchor-{i}", transit, icmp, host))
        targets.append(target(f"anchor-{i}-tcp", transit, tcp, host, 443, role=control))
        targets.append(target(f"anchor-{i}-dns", transit, dns, host, 53, options=name | {plan.OPTION_FRESH: 1}))
    window = {
        plan.OPTION_PACKETS: 250, plan.OPTION_INTERVAL_MS: 20, plan.OPTION_PAYLOAD: 172,
        plan.OPTION_CODEC: codes.CODEC_G711_PLC, plan.OPTION_BUFFER_MS: 60,
    }  # fmt: skip
    return [
        *targets,
        target("edge", provider, icmp, EDGE, period_ms=2_000),
        target("edge-tcp", provider, tcp, EDGE, 5060),
        target("edge-sip", provider, codes.METHOD_SIP_UDP, EDGE, 5060, timeout_ms=2_000,
               options={plan.OPTION_NAME: EDGE}),
        target("reflector", transit, codes.METHOD_STAMP, REFLECTOR, 862, role=control, period_ms=60_000,
               fast_period_ms=15_000, timeout_ms=2_000, options=window),
    ]  # fmt: skip


def slow_targets() -> list[plan.Target]:
    """The default plan's targets, as many and as large in a batch, each once a minute, failing or not: for days."""
    slow = {"period_ms": 60_000, "fast_period_ms": 60_000, "timeout_ms": 100}
    return [
        each._replace(**slow, options=each.options | ({plan.OPTION_PACKETS: 5} if each.options.get(1) else {}))
        for each in default_targets()
    ]


def thin_targets() -> list[plan.Target]:
    """Six targets a minute apart and a short window every ten minutes, for months."""
    window = {plan.OPTION_PACKETS: 50, plan.OPTION_INTERVAL_MS: 20, plan.OPTION_PAYLOAD: 172}
    minute = {"period_ms": 60_000, "fast_period_ms": 10_000}
    return [
        target("self", codes.SEGMENT_WITNESS, codes.METHOD_SELF, "", period_ms=600_000),
        target("link", codes.SEGMENT_LAN, codes.METHOD_LINK, "", period_ms=600_000),
        target("gateway", codes.SEGMENT_ROUTER, codes.METHOD_ICMP, "gateway", **minute),
        target("isp-hop", codes.SEGMENT_ACCESS, codes.METHOD_ICMP, ISP, **minute),
        target("anchor-1", codes.SEGMENT_TRANSIT, codes.METHOD_ICMP, ANCHORS[0], **minute),
        target("edge", codes.SEGMENT_PROVIDER, codes.METHOD_ICMP, EDGE, **minute),
        target("edge-sip", codes.SEGMENT_PROVIDER, codes.METHOD_SIP_UDP, EDGE, 5060, **minute),
        target("reflector", codes.SEGMENT_TRANSIT, codes.METHOD_STAMP, REFLECTOR, 862, period_ms=600_000,
               fast_period_ms=600_000, options=window),
    ]  # fmt: skip


def sparse_targets() -> list[plan.Target]:
    """Five targets, five minutes apart, for batches of ten minutes: months in an hour."""
    slow = {"period_ms": 300_000, "fast_period_ms": 10_000}
    window = {plan.OPTION_PACKETS: 50, plan.OPTION_INTERVAL_MS: 20, plan.OPTION_PAYLOAD: 172}
    return [
        target("self", codes.SEGMENT_WITNESS, codes.METHOD_SELF, "", period_ms=600_000),
        target("link", codes.SEGMENT_LAN, codes.METHOD_LINK, "", period_ms=600_000),
        target("gateway", codes.SEGMENT_ROUTER, codes.METHOD_ICMP, "gateway", **slow),
        target("edge-sip", codes.SEGMENT_PROVIDER, codes.METHOD_SIP_UDP, EDGE, 5060, **slow),
        target("reflector", codes.SEGMENT_TRANSIT, codes.METHOD_STAMP, REFLECTOR, 862, period_ms=1_800_000,
               fast_period_ms=1_800_000, options=window),
    ]  # fmt: skip


def make_plan(targets: list[plan.Target], batch_s: int = 60, issued: int = 1) -> bytes:
    """A plan of this office, encoded."""
    return plan.encode_plan(plan.Plan(SITE, WITNESS, issued, batch_s, targets, 3, 2, [GATEWAY, ANCHORS[0]], list(TIME)))


SLOT_US, MINUTE_US = 10_000_000, 60_000_000  # the housekeeping slot ends each minute of the witness's own
STALL_LIMIT_US = 50_000
BLINDING_OCTETS = 31  # what a signature, and nothing else, asks of the board's randomness (RFC 8032 needs none)


def in_slot(at_us: int) -> bool:
    """Whether a time since boot lies in a housekeeping slot."""
    return at_us % MINUTE_US >= MINUTE_US - SLOT_US


class Disturbance(NamedTuple):
    """What stops a board for a while: an erase or a program of the flash, a TLS handshake or a signature (here without
    its length); times since that boot."""

    boot: int
    begin_us: int
    end_us: int
    kind: str


@cache
def firmware() -> dict[str, bytes]:
    """The firmware, compiled for this machine."""
    return compile_firmware("")


def filesystem_kb(journal_kb: int) -> int:
    """A file system in which the journal has so much room beside the firmware and its reserve."""
    blocks = sum(-(-len(octets) // 4096) + 1 for octets in firmware().values())
    return 4 * blocks + RESERVE_OCTETS // 1024 + journal_kb


class VirtualOffice:
    """See the module. `links` overrides the links' parameters; `filesystem_kb` the board's."""

    def __init__(
        self, folder: Path, plan_octets: bytes, profile: str = "pico-w", *, tls: bool = True, seed: int = 1,
        filesystem_kb: int | None = None, config: dict[str, Any] | None = None, broker: dict[str, Any] | None = None,
        spare: dict[str, bytes] | None = None, ca: bytes | None = None, vm: str = "wasm",
        heap_kb: int | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.printed = bytearray()
        self.profile = _profile(profile, filesystem_kb)
        self.store = Collector(SECRET, SITE, WITNESS)
        self.states: list[tuple[int, str]] = []  # (time, what the state topic said)
        self.disturbances: list[Disturbance] = []
        self._kind = BOARD_CODES[profile]
        self._batch_us = plan.decode_plan(plan_octets).batch_s * 1_000_000
        settings = Settings(
            self.profile, vm=vm, network=self._network(), virtual_clock=True, seed=seed, heap_kb=heap_kb,
            nic={"ssid": "office", "password": "secret"},
        )  # fmt: skip
        self.device = Device(settings, self.printed.extend)
        self._make_peers(tls)
        authority = self.authority.certificate.public_bytes(Encoding.DER)
        with self.device.unpowered_flash() as flash:
            self._install(flash, plan_octets, tls, config or {}, broker or {}, ca or authority, spare or {})
        self._watch()

    def __enter__(self) -> Self:
        self.device.power_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.device.close()

    # --- what is around ---

    def _network(self) -> dict[str, Any]:
        near = ["lan", "access"]
        far = [*near, "transit"]
        anchors = {
            f"anchor-{i}": {
                "address": host, "via": far, "udp": {"53": "python:dns"}, "tcp_peers": {"443": "python:tcp"},
            }
            for i, host in enumerate(ANCHORS, 1)
        }  # fmt: skip
        times = {
            f"time-{i}": {"address": host, "via": far, "udp": {"123": f"python:time-{i}"}}
            for i, host in enumerate(TIME)
        }
        return {
            "address": "192.168.1.50", "gateway": GATEWAY, "dns": GATEWAY, "seed": 1,
            "links": {
                "lan": {"delay_ms": 0.5}, "access": {"delay_ms": 8, "jitter_ms": 1}, "transit": {"delay_ms": 2},
                "provider": {"delay_ms": 1},
            },
            "nodes": {
                "gateway": {"address": GATEWAY, "via": ["lan"], "udp": {"53": "python:dns"}},
                "isp": {"address": ISP, "via": near},
                "edge": {
                    "address": EDGE, "via": [*far, "provider"], "udp": {"5060": "python:sip"},
                    "tcp_peers": {"5060": "python:tcp"},
                },
                "reflector": {"address": REFLECTOR, "via": far, "udp": {"862": "python:stamp"}},
                "broker": {"address": BROKER, "via": far, "tcp_peers": {"8883": "python:broker"}},
                **anchors, **times,
            },
        }  # fmt: skip

    def _make_peers(self, tls: bool) -> None:
        scheduler, network = self.device.scheduler, self.device.network
        assert isinstance(network, EmulatedNetwork)
        self.network = network
        self.times = [TimeServer(self.utc_us) for _ in TIME]
        self.sip = SipServer()
        self.reflector = SessionReflector(self.utc_us)
        self.broker = Broker(scheduler, {f"{SITE}/{WITNESS}": PASSWORD}, self._published)
        self.authority = Authority(self.folder / "ca")
        put = network.peers.put
        put("dns", NameServer({"broker.lab": {"A": [BROKER]}, "*.example.com": {"A": ["192.0.2.80"]},
                               "example.com": {"A": ["192.0.2.80"]}}))  # fmt: skip
        put("sip", self.sip)
        put("stamp", self.reflector)
        put("tcp", _Accepts())
        for i, server in enumerate(self.times):
            put(f"time-{i}", server)
        if tls:
            self.tls = TlsServer(self.broker, *self.authority.issue_server("broker", ("broker.lab",)))
            put("broker", self.tls)
        else:
            put("broker", self.broker)

    def _install(
        self, flash: Flash, plan_octets: bytes, tls: bool, config: dict[str, Any], broker: dict[str, Any], ca: bytes,
        spare: dict[str, bytes],
    ) -> None:  # fmt: skip
        network = {"kind": self._kind}
        if self._kind == "wifi":
            network |= {"ssid": "office", "password": "secret"}
        table = {
            "site": SITE, "witness": WITNESS, "board": self.profile.name, "network": network,
            "broker": {
                "host": "broker.lab", "port": 8883, "tls": tls, "user": f"{SITE}/{WITNESS}", "password": PASSWORD,
                "ca": "/ca.der", **broker,
            },
            "ack_secret": SECRET.hex(), "ntp": list(TIME), "resolvers": [GATEWAY], **config,
        }  # fmt: skip
        files = {"/config.json": json.dumps(table).encode(), "/plan.cbor": plan_octets, "/ca.der": ca}
        for path, octets in {**firmware(), **files, **spare}.items():
            flash.write_file(path, octets)

    def _watch(self) -> None:
        """Put erases, programs and handshakes on record."""
        device = self.device
        flash, erase_us = device.block_device, self.profile.erase_ms * 1000
        program_us = self.profile.program_us
        self.erases_by_block: dict[int, int] = {}
        erase, program = flash.erase, flash.prog

        def erased(cfg: Any, block: int) -> int:
            self.erases_by_block[block] = self.erases_by_block.get(block, 0) + 1
            self._disturb("erase", erase_us)
            return erase(cfg, block)

        def programmed(cfg: Any, block: int, off: int, data: bytes) -> int:
            self._disturb("program", program_us)
            return program(cfg, block, off, data)

        flash.erase, flash.prog = erased, programmed  # type: ignore[method-assign]
        self._watch_handshakes()
        self._watch_signatures()

    def _watch_handshakes(self) -> None:
        calls = self.device.calls
        wrap, done = calls.tls_wrap, calls.tls_done
        began_us: dict[int, int] = {}

        def wrapped(fd: int, *arguments: Any) -> None:
            began_us[fd] = self.device.now_us()
            wrap(fd, *arguments)

        def asked(fd: int) -> bool:
            over = done(fd)
            if over and fd in began_us:
                begin_us = began_us.pop(fd)
                self.disturbances.append(Disturbance(self.device.boots, begin_us, self.device.now_us(), "handshake"))
            return over

        calls.tls_wrap, calls.tls_done = wrapped, asked  # type: ignore[method-assign]

    def _watch_signatures(self) -> None:
        randomness = self.device.randomness
        draw = randomness.randbytes

        def drawn(n: int) -> bytes:
            if n == BLINDING_OCTETS:
                self._disturb("signature", 0)
            return draw(n)

        randomness.randbytes = drawn  # type: ignore[method-assign]

    def _disturb(self, kind: str, length_us: int) -> None:
        if self.device.machine is not None:
            now_us = self.device.now_us()
            self.disturbances.append(Disturbance(self.device.boots, now_us, now_us + length_us, kind))

    # --- time ---

    @property
    def now_us(self) -> int:
        return self.device.scheduler.now_us()

    def utc_us(self, now_us: int) -> int:
        """The truth."""
        return START_UTC_US + now_us

    def run_s(self, seconds: float) -> None:
        """Let so much time pass."""
        self.run_until(lambda: False, seconds, must=False)

    def run_until(self, done: Callable[[], Any], limit_s: float, *, must: bool = True) -> Any:
        """Let time pass until done() is true; returns what it gave. AssertionError where that takes longer."""
        device = self.device
        end_us = self.now_us + round(limit_s * 1_000_000)
        real_s = time.monotonic()
        while self.now_us < end_us:
            if found := done():
                return found
            device.turn(end_us)
            assert time.monotonic() < real_s + 7200, "the board hangs"
        assert not must, f"not in {limit_s} s; refused {self.store.refused}; console:\n{self.text[-3000:]}"
        return None

    # --- what happens ---

    @property
    def text(self) -> str:
        return self.printed.decode("utf-8", "replace")

    @property
    def batches(self) -> list[Batch]:
        return self.store.batches

    def link(self, name: str = "access", **changes: Any) -> None:
        """Change a link, e.g. link("access", down=True)."""
        self.network.topology.set_link(name, changes)

    def broker_stops(self) -> None:
        """The broker's process ends: its connections are reset, its port refuses."""
        self._broker_node().tcp_peers.clear()
        self.broker.restart()

    def broker_starts(self) -> None:
        self._broker_node().tcp_peers[8883] = "python:broker"

    def _broker_node(self) -> Any:
        return self.network.topology.nodes[BROKER]

    def command(self, counter: int, code: int, argument: Any) -> None:
        frame = envelope.encode_command(SECRET, SITE, WITNESS, envelope.Command(counter, code, argument))
        self.broker.send(PLACE + "command", frame)

    def _published(self, topic: str, payload: bytes) -> None:
        if topic == PLACE + "state":
            self.states.append((self.now_us, payload.decode()))
        elif topic == PLACE + "batch":
            try:
                ack = self.store.take(payload, self.now_us)
            except ValueError as error:
                self.store.refused.append(f"{type(error).__name__}: {error}")
                return
            if ack is not None:
                self.broker.send(PLACE + "ack", ack)

    # --- what must be true ---

    def holes(self) -> list[str]:
        """Where a batch does not begin when and where the one before it ended, within a boot."""
        return [
            f"batch {after.header.seq} begins {after.header.start_us - before.header.end_us} us after the one before"
            for before, after in pairwise(self.batches)
            if after.header.boot == before.header.boot
            and (after.header.start_us != before.header.end_us or after.header.seq != before.header.seq + 1)
        ]

    def caught_up(self) -> bool:
        """Whether the newest batch that is due has come."""
        late_us = self._batch_us + 15_000_000
        return bool(self.batches) and self.device.now_us() - self.batches[-1].header.end_us < late_us

    def windows(self) -> list[tuple[int, int, int]]:
        """(boot, begin, end) of every call-quality window that was signed; times since that boot."""
        return [
            (batch.header.boot, begin_us, begin_us + reading[record.SPAN_US])
            for batch in self.batches
            for reading in batch.body.readings
            if record.STALL_US in reading and record.SENT in reading
            for begin_us in [batch.header.start_us + reading[record.START_US]]
        ]

    def disturbed_windows(self) -> list[tuple[Any, Disturbance]]:
        """Windows that an erase, a program, a handshake or a signature met. Joined ones, minutes long, are signed as
        one: none of them ran in the slots between."""
        found = []
        ordered = sorted(self.disturbances)
        longest_us = max((each.end_us - each.begin_us for each in ordered), default=0)
        for boot, begin_us, end_us in self.windows():
            at = bisect_left(ordered, (boot, begin_us - longest_us))
            while at < len(ordered) and ordered[at][:2] < (boot, end_us):
                joined = end_us - begin_us > MINUTE_US
                if ordered[at].end_us >= begin_us and not (joined and in_slot(ordered[at].begin_us)):
                    found.append(((boot, begin_us, end_us), ordered[at]))
                at += 1
        return found

    def long_stalls(self) -> list[Stall]:
        """When the flash held the loop up for more than STALL_LIMIT_US outside the housekeeping slots."""
        return [
            stall
            for stall in self.device.pauses.stalls
            if stall.end_us - stall.begin_us > STALL_LIMIT_US and not in_slot(stall.begin_us)
        ]


class _Accepts:
    """A TCP server that takes connections and says nothing."""

    def accept(self, connection: object) -> _Accepts:
        return self

    def received(self, data: bytes, now_us: int) -> bytes:
        return b""


def _profile(name: str, filesystem_kb: int | None) -> Profile:
    from dataclasses import replace

    profile = load_profile(name)
    return profile if filesystem_kb is None else replace(profile, filesystem_kb=filesystem_kb)
