"""The broker lets nobody in without a password, and each witness do nothing but its own; the same on both engines."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

import paho.mqtt.client as mqtt
import pytest
from fleet_folders import end, linewitness, make_fleet, running_broker
from mqtt_sender import Sender
from paho.mqtt.enums import CallbackAPIVersion
from simulated_witness import SimulatedWitness

from linewitness.collect import broker as running
from linewitness.collect import topics
from linewitness.errors import CannotDo
from linewitness.fleet import COLLECTOR
from linewitness.lock import only_one
from simulations.free_ports import free_port

ENGINES = ("amqtt", "mosquitto")


class Client:
    """A bare MQTT client: who it is, what it subscribes to, what it gets."""

    def __init__(self, fleet, user, password, *hears):
        self.got, self.code, self.granted = [], None, []
        self.answered, self.subscribed = threading.Event(), threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, f"test-{user}-{time.monotonic_ns()}")
        if user is not None:
            self.client.username_pw_set(user, password)
        self.client.tls_set(ca_certs=str(fleet.ca_pem))
        self.client.on_connect = self.connected
        self.client.on_subscribe = self.on_subscribe
        self.client.on_message = lambda client, data, message: self.got.append((message.topic, message.payload))
        self.hears = hears
        self.client.connect("127.0.0.1", fleet.broker.port)
        self.client.loop_start()
        assert self.answered.wait(10)
        if hears and not self.code.is_failure:
            assert self.subscribed.wait(10)

    def connected(self, client, data, flags, code, properties):
        self.code = code
        if self.hears and not code.is_failure:
            client.subscribe([(topic, 1) for topic in self.hears])
        self.answered.set()

    def on_subscribe(self, client, data, mid, codes, properties):
        self.granted = [not code.is_failure for code in codes]
        self.subscribed.set()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture(params=ENGINES)
def fleet(request, tmp_path):
    made = make_fleet(tmp_path, SimulatedWitness("leeds", "w1"), SimulatedWitness("york", "w2"))
    with running_broker(made, request.param):
        yield made


def test_nobody_comes_in_without_the_right_password(fleet):
    secret = fleet.witness_secrets("leeds", "w1").password
    for user, password in (
        (None, None),
        ("leeds/w1", "wrong"),
        ("leeds/w1", ""),
        ("nobody", secret),
        (COLLECTOR, secret),
    ):
        client = Client(fleet, user, password)
        assert client.code.is_failure, (user, password)
        client.close()


def test_there_is_no_way_in_without_tls(fleet):
    with socket.create_connection(("127.0.0.1", fleet.broker.port), 5) as plain:
        plain.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")  # CONNECT (MQTT 3.1.1), anonymous
        plain.settimeout(5)
        try:
            answer = plain.recv(64)
        except ConnectionError:
            answer = b""
    assert not answer.startswith(b"\x20")  # no CONNACK


def test_the_broker_s_certificate_is_the_fleet_s_own(fleet):
    context = ssl.create_default_context(cafile=str(fleet.ca_pem))
    with (
        socket.create_connection(("127.0.0.1", fleet.broker.port), 5) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
    ):
        assert tls.version() in ("TLSv1.2", "TLSv1.3")


def test_a_witness_publishes_and_hears_its_own_topics_only(fleet):
    ours, theirs = fleet.witness_secrets("leeds", "w1").password, fleet.witness_secrets("york", "w2").password
    collector = Client(fleet, COLLECTOR, fleet.broker_password(), topics.ALL_BATCHES, "linewitness/1/+/+/state")
    other = Client(fleet, "york/w2", theirs, "linewitness/1/york/w2/ack")
    spy = Client(fleet, "leeds/w1", ours, "#", topics.ALL_BATCHES, "linewitness/1/york/w2/ack", "linewitness/1/+/+/ack")
    witness = Client(fleet, "leeds/w1", ours, "linewitness/1/leeds/w1/ack", "linewitness/1/leeds/w1/command")
    clients = (collector, other, spy, witness)
    try:
        for name in ("york/w2/batch", "leeds/w1/ack", "york/w2/ack", "leeds/w1/command", "x"):
            witness.client.publish(f"linewitness/1/{name}", b"not mine", qos=0)
        other.client.publish("linewitness/1/york/w2/batch", b"two", qos=1)
        witness.client.publish("linewitness/1/leeds/w1/batch", b"one", qos=1)
        collector.client.publish("linewitness/1/york/w2/ack", b"ack two", qos=1)
        collector.client.publish("linewitness/1/leeds/w1/ack", b"ack one", qos=1)
        until_s = time.monotonic() + 10
        while time.monotonic() < until_s and not (len(collector.got) >= 2 and witness.got and other.got):
            time.sleep(0.05)
        time.sleep(0.5)  # what should not come would be here by now
        batches = {("linewitness/1/leeds/w1/batch", b"one"), ("linewitness/1/york/w2/batch", b"two")}
        assert set(collector.got) == batches
        assert other.got == [("linewitness/1/york/w2/ack", b"ack two")]
        assert set(witness.got) == {("linewitness/1/leeds/w1/ack", b"ack one")}
        # mosquitto grants any filter and sends what the rules allow; what is another's must not come, by any filter
        assert {topic for topic, _ in spy.got} <= {"linewitness/1/leeds/w1/ack"}
    finally:
        for client in clients:
            client.close()


def test_a_witness_is_let_in_and_out_without_a_restart(fleet):
    secrets = fleet.make_witness_secrets("hull", "w3")

    def refused():
        client = Client(fleet, "hull/w3", secrets.password)
        client.close()
        return client.code.is_failure

    def becomes(wanted):
        until_s = time.monotonic() + 10
        while refused() != wanted and time.monotonic() < until_s:
            time.sleep(0.2)
        return refused() == wanted

    assert becomes(False)
    fleet.forget_witness("hull", "w3")
    assert becomes(True)


# --- bad input: one line, an exit code, nothing lost ----------------------------------------------------------------


def run(fleet, *arguments):
    command = [sys.executable, "-m", "linewitness", *arguments, "--fleet", str(fleet.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.splitlines()[-1:] == [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return done.returncode, done.stderr.splitlines()[-1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_port_in_use_is_one_line(tmp_path, engine):
    fleet = make_fleet(tmp_path)
    with socket.create_server(("127.0.0.1", fleet.broker.port)):
        code, line = run(fleet, "broker", "--engine", engine)
    where = f"(0.0.0.0:{fleet.broker.port})"
    assert (code, line) == (
        1,
        f"error: port in use {where}; try: end the other program, or another port in fleet.toml: broker",
    )


def test_an_unreachable_broker_is_one_line(tmp_path):
    fleet = make_fleet(tmp_path)
    code, line = run(fleet, "collect")
    assert code == 1
    assert line.startswith(
        f"error: broker unreachable: connection refused (127.0.0.1:{fleet.broker.port}); try: is `lin"
    )
    code, line = run(fleet, "collect", "--broker", "nonsense")
    assert (code, line) == (2, "error: wanted HOST:PORT, got 'nonsense' (--broker); try: 127.0.0.1:8883")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wrong_password_is_one_line(tmp_path, engine):
    fleet = make_fleet(tmp_path)
    with running_broker(fleet, engine):
        path = fleet.root / "secrets.toml"
        right = path.read_text()
        other = make_fleet(tmp_path / "other")
        (other.keys / "ca.pem").write_bytes(fleet.ca_pem.read_bytes())
        code, line = run(other, "collect", "--broker", f"127.0.0.1:{fleet.broker.port}")
        assert path.read_text() == right
    assert code == 1
    assert line.startswith("error: the broker refuses user 'collector': ")


def test_another_fleet_s_broker_is_one_line(tmp_path):
    fleet, other = make_fleet(tmp_path), make_fleet(tmp_path / "other")
    with running_broker(fleet, "amqtt"):
        code, line = run(other, "collect", "--broker", f"127.0.0.1:{fleet.broker.port}")
    assert code == 1
    assert line.startswith("error: the broker's certificate does not hold: unable to get local issuer")


def test_an_unreadable_certificate_is_one_line(tmp_path):
    fleet = make_fleet(tmp_path)
    (fleet.keys / "broker.key").unlink()
    code, line = run(fleet, "broker", "--engine", "amqtt")
    assert code == 1
    assert line.startswith("error: can't read the broker's certificate (")


@pytest.mark.parametrize("engine", ["mosquitto", "amqtt"])
def test_a_broken_certificate_is_one_line(tmp_path, engine):
    fleet = make_fleet(tmp_path)
    (fleet.keys / "broker.pem").write_text("junk")
    code, line = run(fleet, "broker", "--engine", engine)
    assert code == 1
    assert line.startswith("error: the broker's certificate and key are not PEM, or no pair (")


def test_a_missing_broker_is_one_line(monkeypatch):
    monkeypatch.setattr(running, "mosquitto_path", lambda: None)
    with pytest.raises(CannotDo, match=r"no mosquitto on this machine .*; try: apt install mosquitto"):
        running.find_engine("mosquitto")
    monkeypatch.setitem(sys.modules, "amqtt.broker", None)
    with pytest.raises(CannotDo, match=r"no MQTT broker here .*; try: pip install \"linewitness\[broker\]\""):
        running.find_engine()


def test_a_full_disk_ends_the_collector_and_loses_nothing(tmp_path):
    witness = SimulatedWitness()
    fleet = make_fleet(tmp_path, witness)
    limited = (
        "import sqlite3, sys; connect = sqlite3.connect\n"
        "def small(*a, **k):\n"
        "    db = connect(*a, **k); db.execute('PRAGMA max_page_count = 20'); return db\n"
        "sqlite3.connect = small\n"
        "from linewitness.cli import main; main()\n"
    )
    with running_broker(fleet, "amqtt"):
        command = [sys.executable, "-c", limited, "collect", "--json", "--fleet", str(fleet.root)]
        collector = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        sender = Sender(fleet, witness)
        try:
            assert sender.ready.wait(10)
            for _ in range(400):
                sender.send_next()
                time.sleep(0.005)
                if collector.poll() is not None:
                    break
            sender.until_acked(timeout_s=3)
            out, err = collector.communicate(timeout=20)
            assert collector.returncode == 1
            assert err.splitlines()[-1].startswith("error: disk full: nothing was stored (")
            assert json.loads(out.splitlines()[-1])["try"] == "free space; witnesses keep what was not acknowledged"
            acked = set(sender.acked)
            with fleet.ledger() as book:
                assert acked <= {batch.seq for batch in book.batches()}
            collector = linewitness("collect", fleet=fleet)
            assert sender.until_acked(timeout_s=20)
            with fleet.ledger() as book:
                assert [batch.seq for batch in book.batches()] == list(range(1, witness.seq + 1))
        finally:
            sender.close()
            if collector.poll() is None:
                end(collector)


def test_a_free_port_passes():
    running.check_port("127.0.0.1", free_port())


def test_a_second_collector_of_the_folder_says_who_the_first_is(tmp_path):
    fleet = make_fleet(tmp_path)
    with only_one(fleet.root, "collector"):
        second = linewitness("collect", "--for", "1", fleet=fleet)
        out, err = second.communicate(timeout=30)
        assert (second.returncode, err.count("\n")) == (1, 1)
        assert f"another collector of this fleet is running (process {os.getpid()})" in err
        assert out == ""
    with only_one(fleet.root, "collector"):  # free again, whatever is written in the file
        pass
