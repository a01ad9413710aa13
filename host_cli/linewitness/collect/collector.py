"""From MQTT to the ledger: take in, verify, store in one commit, then acknowledge.

The order is what makes it lose nothing: the witness forgets a batch only for our acknowledgement, and that is sent
only after the commit. The broker's own acknowledgement (PUBACK) proves nothing and is given last. Whatever dies in
between is sent again and found to be a duplicate, which is acknowledged like the first. Nothing is remembered between
groups but in the ledger, so any number of restarts, and late back-fill in any order, are all the same.

paho's thread receives; this module's loop does all the rest in the caller's thread.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from linewitness.collect import topics
from linewitness.collect.connection import connect, make_client, refusal
from linewitness.collect.intake import Intake
from linewitness.errors import CannotDo
from linewitness.fleet import Fleet
from linewitness.ledger import Finding, Ledger, NewBatch
from linewitness_wire.envelope import Ack, encode_ack

GROUP = 200  # batches in a commit at most: past this an fsync is spread thin enough
GATHER_S = 0.02  # how long a commit waits for company
_TICK_S = 0.2


@dataclass(slots=True)
class Tally:
    """What was taken in: counts by outcome (stored, duplicate, fork) and by finding, and who is connected."""

    counts: Counter[str] = field(default_factory=Counter)
    witnesses: set[tuple[str, str]] = field(default_factory=set)
    last_heard_s: float = field(default_factory=time.monotonic)
    connected: bool = False
    reconnects: int = 0

    def as_dict(self) -> dict[str, object]:
        """Return the counts for people and for --json."""
        names = ("stored", "duplicate", "fork", "malformed", "unknown", "retired", "misplaced", "forged", "chain")
        return {
            **{name: self.counts[name] for name in names},
            "witnesses": len(self.witnesses),
            "reconnects": self.reconnects,
        }


class Collector:
    """One collector of a fleet. run() until told to stop, by stop() or by its arguments."""

    def __init__(self, fleet: Fleet, book: Ledger, host: str | None = None, port: int | None = None) -> None:
        self._fleet, self._book = fleet, book
        self._host, self._port = host or fleet.broker.host, port or fleet.broker.port
        self._intake = Intake(book.enrolments)
        self._secrets = fleet.witnesses_with_secrets()
        self._inbox: queue.SimpleQueue[tuple[mqtt.MQTTMessage, int]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._failure: CannotDo | None = None
        self.tally = Tally()

    @property
    def where(self) -> str:
        """The broker's address."""
        return f"{self._host}:{self._port}"

    def stop(self) -> None:
        """End run() after the group in hand. May be called from a signal handler or another thread."""
        self._stop.set()

    def run(
        self,
        *,
        for_s: float | None = None,
        until_idle_s: float | None = None,
        progress: Callable[[Tally], None] = lambda tally: None,
    ) -> Tally:
        """Collect until stop(), for for_s seconds, or until nothing came for until_idle_s.

        Raises CannotDo: broker unreachable at the start, password refused, disk full. What was not acknowledged stays
        with the witnesses.
        """
        client = self._connect()
        started_s = self.tally.last_heard_s = time.monotonic()
        try:
            while not self._stop.is_set() and self._failure is None:
                group = self._gather()
                if group:
                    self.tally.last_heard_s = time.monotonic()
                    self._take(client, group)
                progress(self.tally)
                now_s = time.monotonic()
                if for_s is not None and now_s - started_s >= for_s:
                    break
                if until_idle_s is not None and not group and now_s - self.tally.last_heard_s >= until_idle_s:
                    break
        finally:
            client.disconnect()
            client.loop_stop()
        if self._failure is not None:
            raise self._failure
        return self.tally

    # --- the group in hand ------------------------------------------------------------------------------------------

    def _gather(self) -> list[tuple[mqtt.MQTTMessage, int]]:
        group: list[tuple[mqtt.MQTTMessage, int]] = []
        wait_s = _TICK_S
        while len(group) < GROUP:
            try:
                group.append(self._inbox.get(timeout=wait_s))
            except queue.Empty:
                break
            wait_s = GATHER_S
        return group

    def _take(self, client: mqtt.Client, group: list[tuple[mqtt.MQTTMessage, int]]) -> None:
        judged = [self._intake.judge(message.topic, bytes(message.payload), at_us) for message, at_us in group]
        good = [one for one in judged if isinstance(one, NewBatch)]
        bad = [one for one in judged if isinstance(one, Finding)]
        outcomes = self._book.store(good)  # durable from here on
        if bad:
            self._book.add_findings(bad)
        anchor = self._book.anchor()
        for batch, outcome in zip(good, outcomes, strict=True):
            self._acknowledge(client, batch, anchor)
            self.tally.counts[outcome.status] += 1
            self.tally.counts["chain"] += outcome.finding is not None
            self.tally.witnesses.add((batch.site, batch.witness))
        for finding in bad:
            self.tally.counts[finding.kind] += 1
        for message, _ in group:
            client.ack(message.mid, message.qos)

    def _acknowledge(self, client: mqtt.Client, batch: NewBatch, anchor: bytes | None) -> None:
        place = (batch.site, batch.witness)
        if place not in self._secrets:
            self._secrets = self._fleet.witnesses_with_secrets()
        secrets = self._secrets.get(place)
        if secrets is None:  # enrolled elsewhere: stored all the same, but only who shares the secret may acknowledge
            self.tally.counts["no secret"] += 1
            return
        frame = encode_ack(secrets.ack_secret, *place, Ack(batch.header.seq, batch.digest, anchor))
        client.publish(topics.topic(*place, topics.ACK), frame, qos=0)  # a lost one is asked for by the batch again

    # --- the connection ---------------------------------------------------------------------------------------------

    def _connect(self) -> mqtt.Client:
        # A name of our own that stays: the broker keeps what comes while we are away.
        name = f"linewitness-collector-{self._fleet.fingerprint[:16]}"
        client = make_client(self._fleet, name, keeps=True)
        client.on_connect, client.on_disconnect, client.on_message = (
            self._on_connect,
            self._on_disconnect,
            self._on_message,
        )
        connect(client, self._fleet, self._host, self._port)
        return client

    def _on_connect(
        self, client: mqtt.Client, userdata: object, flags: mqtt.ConnectFlags, code: ReasonCode, properties: object
    ) -> None:
        if code.is_failure:
            self._failure = refusal(code, self.where)
            return
        self.tally.connected = True
        client.subscribe(topics.ALL_BATCHES, qos=1)

    def _on_disconnect(
        self, client: mqtt.Client, userdata: object, flags: object, code: ReasonCode, properties: object
    ) -> None:
        if self.tally.connected and code.is_failure:
            self.tally.reconnects += 1
        self.tally.connected = False

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        self._inbox.put((message, time.time_ns() // 1000))
