"""A witness's side of MQTT: publishes batches and keeps each until the collector acknowledges it, over and over."""

from __future__ import annotations

import contextlib
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from simulated_witness import SimulatedWitness

from linewitness.fleet import Fleet
from linewitness_wire.envelope import Ack, decode_ack, encode_batch


class Sender:
    """Sends the batches of one simulated witness; `acked` holds what was authentically acknowledged."""

    def __init__(
        self, fleet: Fleet, witness: SimulatedWitness, *, user: str | None = None, password: str | None = None
    ):
        self.witness = witness
        secrets = fleet.witness_secrets(witness.site, witness.witness)
        self.secret = secrets.ack_secret
        self.acked: dict[int, Ack] = {}
        self.waiting: dict[int, bytes] = {}
        self.sends = 0
        self.refused: str | None = None
        self.ready = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, f"{witness.site}-{witness.witness}", clean_session=True)
        self.client.username_pw_set(user or f"{witness.site}/{witness.witness}", password or secrets.password)
        self.client.tls_set(ca_certs=str(fleet.ca_pem))
        self.client.reconnect_delay_set(1, 1)
        self.client.max_inflight_messages_set(100)
        self.client.on_connect, self.client.on_message = self._connected, self._message
        self.client.connect_async("127.0.0.1", fleet.broker.port)
        self.client.loop_start()

    def _connected(self, client, userdata, flags, code, properties):
        if code.is_failure:
            self.refused = str(code)
        else:
            client.subscribe(f"linewitness/1/{self.witness.site}/{self.witness.witness}/ack", qos=0)
        self.ready.set()

    def _message(self, client, userdata, message):
        ack = decode_ack(self.secret, self.witness.site, self.witness.witness, message.payload)
        self.acked[ack.seq] = ack
        self.waiting.pop(ack.seq, None)

    def send_next(self) -> int:
        """Publish the next batch; return its number."""
        payload = encode_batch(*self.witness.batch())
        self.waiting[self.witness.seq] = payload
        self._publish(payload)
        return self.witness.seq

    def resend(self) -> None:
        """Publish again all that is not acknowledged, in order."""
        for _, payload in sorted(self.waiting.items()):
            self._publish(payload)

    def _publish(self, payload: bytes) -> None:
        if self.client.is_connected():
            self.sends += 1
            self.client.publish(self.witness.topic, payload, qos=1)

    def until_acked(self, *, timeout_s: float, every_s: float = 1.0) -> bool:
        """Resend until nothing waits; return whether that came to pass."""
        until_s = time.monotonic() + timeout_s
        while self.waiting and time.monotonic() < until_s:
            next_s = time.monotonic() + every_s
            while self.waiting and time.monotonic() < next_s:
                time.sleep(0.02)
            self.resend()
        return not self.waiting

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.client.disconnect()
        self.client.loop_stop()
