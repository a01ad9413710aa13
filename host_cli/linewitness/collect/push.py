"""Sending commands with new plans to witnesses over MQTT, and hearing what became of them.

A command is retained by the broker, so that a witness that is away finds it when it comes back; once answered it is
taken off again. The answer is the witness's own, signed: the plan's hash in a batch newer than those we knew, or an
EVENT_COMMAND with our counter and a fault. Batches are only read here; a collector has to be running, for a witness
sends the next one when it has acknowledged the last.

The session at the broker is this program's own, so that the collector stays connected.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from linewitness.collect import counters, topics
from linewitness.collect.connection import connect, make_client, refusal
from linewitness.collect.intake import Intake
from linewitness.errors import CannotDo
from linewitness.fleet import Fleet
from linewitness.ledger import Enrolment, NewBatch
from linewitness_wire import bodies, codes
from linewitness_wire.envelope import Command, encode_command

PLAN_MAX_OCTETS = 7_900  # a witness takes MQTT packets of 8,192 octets; the topic and the command's frame are in them
_TICK_S = 0.2
_LEAVE_S = 2.0
_MANY = 20  # topics to subscribe to one by one; past this all batches are heard

CHANGED, REFUSED, UNANSWERED = "changed", "refused", "unanswered"


@dataclass(frozen=True, slots=True)
class Order:
    """A plan (octets, sha256) for a witness; after_seq: its newest batch that we know, by the key kid."""

    site: str
    witness: str
    kid: bytes
    plan: bytes
    sha256: bytes
    after_seq: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order: CHANGED with the number of the batch that says so; REFUSED with the fault's name;
    UNANSWERED, where obeyed tells whether the witness said at least that it took the command."""

    status: str
    counter: int
    seq: int | None = None
    fault: str | None = None
    obeyed: bool = False


def push(
    fleet: Fleet,
    enrolments: Callable[[], list[Enrolment]],
    orders: Sequence[Order],
    timeout_s: float,
    *,
    host: str | None = None,
    port: int | None = None,
    told: Callable[[Order, Outcome], None] = lambda order, outcome: None,
) -> list[Outcome]:
    """Send the orders, and return what became of each, in their order, after timeout_s at most.

    told hears of each outcome as it comes in. Raises CannotDo: broker unreachable, password refused, a plan too large.
    """
    if not orders:
        return []
    session = _Session(fleet, host or fleet.broker.host, port or fleet.broker.port, Intake(enrolments), orders)
    try:
        for order, outcome in session.run(timeout_s):
            told(order, outcome)
    finally:
        session.close()
    return [session.outcomes[order] for order in orders]


class _Session:
    def __init__(self, fleet: Fleet, host: str, port: int, intake: Intake, orders: Sequence[Order]) -> None:
        self._where = f"{host}:{port}"
        self._intake = intake
        self._waiting = {(order.site, order.witness): order for order in orders}
        self._obeyed: set[Order] = set()
        self._cleared: list[mqtt.MQTTMessageInfo] = []
        self._inbox: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._failure: CannotDo | None = None
        self._reached = threading.Event()
        self.outcomes: dict[Order, Outcome] = {}
        for order in orders:
            _check_size(order)
        self._counters = dict(zip(orders, counters.take(fleet, list(self._waiting)), strict=True))
        self._client = make_client(fleet, f"linewitness-push-{fleet.fingerprint[:8]}-{os.getpid()}", keeps=False)
        self._client.on_connect, self._client.on_message = self._on_connect, self._on_message
        self._client.on_subscribe = self._on_subscribe
        connect(self._client, fleet, host, port)

    def run(self, timeout_s: float) -> Iterator[tuple[Order, Outcome]]:
        """Yield each order with what became of it."""
        until_s = time.monotonic() + timeout_s
        while self._waiting and time.monotonic() < until_s:
            if self._failure is not None:
                raise self._failure
            try:
                topic, payload = self._inbox.get(timeout=_TICK_S)
            except queue.Empty:
                continue
            answered = self._judge(topic, payload)
            if answered is not None:
                yield answered
        if not self._reached.is_set():
            raise CannotDo("the broker took no command", self._where, "see that it runs as fleet.toml says")
        for order in self._waiting.values():
            outcome = Outcome(UNANSWERED, self._counters[order], obeyed=order in self._obeyed)
            self.outcomes[order] = outcome
            yield order, outcome

    def close(self) -> None:
        """Leave, once the broker holds no command any more that was answered."""
        for info in self._cleared:
            with contextlib.suppress(RuntimeError):  # not connected: the command stays, and its counter is used up
                info.wait_for_publish(_LEAVE_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _judge(self, topic: str, payload: bytes) -> tuple[Order, Outcome] | None:
        order = self._waiting.get(topics.place(topic) or ("", ""))
        if order is None:
            return None
        batch = self._intake.judge(topic, payload, time.time_ns() // 1000)
        if not isinstance(batch, NewBatch) or batch.kid != order.kid or batch.header.seq <= order.after_seq:
            return None
        outcome = self._outcome(order, batch)
        if outcome is None:
            return None
        self.outcomes[order] = outcome
        del self._waiting[order.site, order.witness]
        command = topics.topic(order.site, order.witness, topics.COMMAND)
        self._cleared.append(self._client.publish(command, b"", qos=1, retain=True))
        return order, outcome

    def _outcome(self, order: Order, batch: NewBatch) -> Outcome | None:
        counter = self._counters[order]
        if batch.header.plan == order.sha256:
            return Outcome(CHANGED, counter, batch.header.seq, obeyed=True)
        events = bodies.read(batch.header, batch.body).events if batch.body is not None else []
        for event in events:
            if event[0] == codes.EVENT_COMMAND and event[2] == counter:
                if event[4]:
                    return Outcome(REFUSED, counter, batch.header.seq, codes.FAULT_NAMES[event[4]], obeyed=True)
                self._obeyed.add(order)
        return None

    # --- paho's thread ----------------------------------------------------------------------------------------------

    def _on_connect(
        self, client: mqtt.Client, userdata: object, flags: mqtt.ConnectFlags, code: ReasonCode, properties: object
    ) -> None:
        if code.is_failure:
            self._failure = refusal(code, self._where)
            return
        wanted = [topics.topic(*place, topics.BATCH) for place in list(self._waiting)]
        client.subscribe([(topic, 1) for topic in (wanted if len(wanted) <= _MANY else [topics.ALL_BATCHES])])

    def _on_subscribe(
        self, client: mqtt.Client, userdata: object, mid: int, granted: list[ReasonCode], properties: object
    ) -> None:
        """Hear first, then speak: also after the broker was away, which may have forgotten what it held."""
        for order in list(self._waiting.values()):
            command = Command(self._counters[order], codes.COMMAND_PLAN, order.plan)
            frame = encode_command(order.secret, order.site, order.witness, command)
            client.publish(topics.topic(order.site, order.witness, topics.COMMAND), frame, qos=1, retain=True)
        self._reached.set()

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        self._inbox.put((message.topic, bytes(message.payload)))


def _check_size(order: Order) -> None:
    if len(order.plan) > PLAN_MAX_OCTETS:
        what = f"a plan of {len(order.plan)} octets is too large for a command"
        raise CannotDo(what, f"{order.site}/{order.witness}", "fewer targets, or `linewitness witness flash`")
