"""A branch office for whole-firmware tests: one virtual board, real peers behind emulated links, a broker, a collector.

    with Office(tmp_path, vm="wasm") as office:
        office.board.client.link("access", down=True)
        batch = office.wait_for(lambda batch: ...)

`store` is the collector (collector.py); signatures are for Batch.check_signature().
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from collector import Batch, Collector
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from linewitness_wire import codes, envelope, plan
from simulations.board.client import Board
from simulations.lab.daemons import Mosquitto
from simulations.lab.peers.process import PeersProcess

ROOT = Path(__file__).resolve().parent.parent.parent
SITE, WITNESS = "leeds", "desk"
SECRET = bytes(range(32))
HEARD = ("batch", "state")
PASSWORDS = {"collector": "c", f"{SITE}/{WITNESS}": "w"}
EDGE, ISP, TIME = "198.51.100.10", "203.0.113.1", "192.0.2.123"
ZONE = {"broker.lab": {"A": ["192.0.2.10"]}, "example.net": {"A": ["192.0.2.80"]}}
ALL_LINKS = ["lan", "router", "access", "transit", "provider"]


def target(name: str, segment: int, method: int, host: str, port: int = 0, **options: Any) -> plan.Target:
    """A subject probed every second, half a second when its segment fails."""
    return plan.Target(
        name, segment, method, codes.ROLE_SUBJECT, host, port, options.pop("period_ms", 1000),
        options.pop("fast_period_ms", 500), options.pop("timeout_ms", 500), options.pop("options", {}),
    )  # fmt: skip


TARGETS = [
    target("self", codes.SEGMENT_WITNESS, codes.METHOD_SELF, ""),
    target("link", codes.SEGMENT_LAN, codes.METHOD_LINK, ""),
    target("gateway", codes.SEGMENT_ROUTER, codes.METHOD_ICMP, "gateway"),
    target("isp", codes.SEGMENT_ACCESS, codes.METHOD_ICMP, ISP),
    target("edge", codes.SEGMENT_PROVIDER, codes.METHOD_ICMP, EDGE),
    target("edge-sip", codes.SEGMENT_PROVIDER, codes.METHOD_SIP_UDP, EDGE, 5060),
    target("edge-tcp", codes.SEGMENT_PROVIDER, codes.METHOD_TCP, EDGE, 5060),
    target("dns", codes.SEGMENT_ROUTER, codes.METHOD_DNS, "gateway", options={plan.OPTION_NAME: "example.net"}),
]


def make_plan(targets: list[plan.Target], batch_s: int = 3, issued: int = 1) -> bytes:
    return plan.encode_plan(plan.Plan(SITE, WITNESS, issued, batch_s, targets, 3, 3, ["192.168.1.1"], [TIME]))


class Office:
    """See the module. broker, board and peers can be stopped and started; `store.acknowledge` False: a deaf
    collector."""

    def __init__(
        self, folder: Path, vm: str = "wasm", profile: str = "esp32-devkitc", plan_octets: bytes = make_plan(TARGETS),
        config: Mapping[str, Any] | None = None, broker_config: Mapping[str, Any] | None = None,
        ca: bytes | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.broker = Mosquitto(PASSWORDS)
        self.peers = PeersProcess("sip", "sntp", "tcp", "dns")
        self.store = Collector(SECRET, SITE, WITNESS)
        self.states: list[str] = []
        self._some = threading.Condition()
        self._vm, self._profile = vm, profile
        self._plan = plan_octets
        self._ca = ca
        self._config = dict(config or {})
        self._broker_config = dict(broker_config or {})

    def __enter__(self) -> Self:
        self.broker.start()
        self.peers.start()
        self.peers.set("dns", zone=ZONE)
        self._collect()
        self.board = Board(self._description(), self.folder / "board")
        self.board.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.board.close()
        self.collector.disconnect()
        self.collector.loop_stop()
        self.peers.stop()
        self.broker.__exit__(kind, error, trace)

    # --- the board ---

    def _description(self) -> dict[str, Any]:
        files = self.folder / "files"
        files.mkdir(parents=True, exist_ok=True)
        broker = {
            "host": "broker.lab", "port": 8883, "tls": True, "user": f"{SITE}/{WITNESS}", "password": "w",
            "ca": "/ca.der", **self._broker_config,
        }  # fmt: skip
        config = {
            "site": SITE, "witness": WITNESS, "board": self._profile,
            "network": {"kind": "wifi", "ssid": "office", "password": "secret"}, "broker": broker,
            "ack_secret": SECRET.hex(), "ntp": [TIME], "resolvers": ["192.168.1.1"], **self._config,
        }  # fmt: skip
        (files / "config.json").write_text(json.dumps(config))
        (files / "plan.cbor").write_bytes(self._plan)
        authority = load_pem_x509_certificate(self.broker.ca.read_bytes()).public_bytes(Encoding.DER)
        (files / "ca.der").write_bytes(authority if self._ca is None else self._ca)
        firmware = ROOT / "firmware"
        install = {
            "/main.py": firmware / "main.py", "/boot.py": firmware / "boot.py", "/lib/witness": firmware / "witness",
            "/lib/linewitness_wire": firmware / "linewitness_wire", "/config.json": files / "config.json",
            "/plan.cbor": files / "plan.cbor", "/ca.der": files / "ca.der",
        }  # fmt: skip
        return {
            "name": WITNESS, "profile": self._profile, "vm": self._vm, "network": self._network(),
            "nic": {"ssid": "office", "password": "secret"},
            # Objects of the 64-bit machine are twice as large, and it compiles from source here.
            **({"heap_kb": 1024} if self._vm == "unix" else {}), "install": {k: str(v) for k, v in install.items()},
        }  # fmt: skip

    def _network(self) -> dict[str, Any]:
        at = {label: f"{host}:{port}" for label, (host, port) in self.peers.addresses.items()}
        broker = f"{self.broker.address[0]}:{self.broker.address[1]}"
        return {
            "mode": "emulated", "address": "192.168.1.50", "gateway": "192.168.1.1", "seed": 1,
            "links": {name: {"delay_ms": 1} for name in ALL_LINKS},
            "nodes": {
                "gateway": {"address": "192.168.1.1", "via": ["lan", "router"], "udp": {"53": at["dns"]}},
                "isp": {"address": ISP, "via": ALL_LINKS[:3]},
                "edge": {
                    "address": EDGE, "via": ALL_LINKS, "udp": {"5060": at["sip"]}, "tcp_peers": {"5060": at["tcp"]},
                },
                "time": {"address": TIME, "via": ALL_LINKS[:4], "udp": {"123": at["sntp"]}},
                "broker": {"address": "192.0.2.10", "via": ALL_LINKS[:4], "tcp_peers": {"8883": broker}},
            },
        }  # fmt: skip

    @property
    def printed(self) -> str:
        return self.board.printed()

    # --- the collector ---

    @property
    def batches(self) -> list[Batch]:
        """What the collector has stored, in order."""
        return self.store.batches

    @property
    def refused(self) -> list[str]:
        """What the collector could not take, and why."""
        return self.store.refused

    def _collect(self) -> None:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "collector")
        client.username_pw_set("collector", "c")
        client.tls_set(str(self.broker.ca), cert_reqs=ssl.CERT_REQUIRED)
        client.on_message = self._heard
        client.on_connect = lambda *_: client.subscribe([(f"linewitness/1/+/+/{word}", 1) for word in HEARD])
        client.reconnect_delay_set(1, 1)
        client.connect(*self.broker.address)
        client.loop_start()
        self.collector = client

    def _heard(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        with self._some:
            if message.topic.endswith("/state"):
                self.states.append(message.payload.decode())
            else:
                try:
                    ack = self.store.take(message.payload)
                except ValueError as error:
                    self.refused.append(f"{type(error).__name__}: {error}")
                else:
                    if ack is not None:
                        self._publish("ack", ack)
            self._some.notify_all()

    def _publish(self, word: str, payload: bytes) -> None:
        self.collector.publish(f"linewitness/1/{SITE}/{WITNESS}/{word}", payload, qos=1)

    def command(self, counter: int, code: int, argument: Any) -> None:
        command = envelope.Command(counter, code, argument)
        self._publish("command", envelope.encode_command(SECRET, SITE, WITNESS, command))

    def wait_for(self, wanted: Callable[[Batch], Any], timeout_s: float = 40) -> Batch:
        """The first batch of all, or the next one to come, that is as wanted."""
        return self._wait(lambda: next((batch for batch in self.batches if wanted(batch)), None), timeout_s)

    def wait_for_state(self, state: str, timeout_s: float = 40) -> None:
        self._wait(lambda: state in self.states or None, timeout_s)

    def _wait(self, find: Callable[[], Any], timeout_s: float) -> Any:
        end_s = time.monotonic() + timeout_s
        with self._some:
            while (found := find()) is None:
                left_s = end_s - time.monotonic()
                assert left_s > 0, f"not in {timeout_s} s; refused {self.refused}; console:\n{self.printed[-3000:]}"
                self._some.wait(left_s)
            return found
