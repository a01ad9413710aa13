"""A changed plan reaches every witness that needs it, and what each answered is told apart; on both broker engines."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import paho.mqtt.client as mqtt
import pytest
from fleet_folders import end, linewitness, make_fleet, running_broker
from paho.mqtt.enums import CallbackAPIVersion
from simulated_witness import SimulatedWitness

from linewitness import config
from linewitness.collect import counters, topics
from linewitness.lock import only_one
from linewitness.plan import current, describe
from linewitness.site import Surroundings, default_table
from linewitness_wire import codes, plan
from linewitness_wire.envelope import decode_command

ENGINES = ("amqtt", "mosquitto")
SITE = "leeds"


class Commanded:
    """A witness's side of a command over a real broker: sends a batch, hears commands, answers as `does` says."""

    def __init__(self, fleet, witness: SimulatedWitness, does: str) -> None:
        self.witness, self.does = witness, does
        self.heard: list[bytes] = []
        self.secret = fleet.witness_secrets(witness.site, witness.witness)
        self.ready = threading.Event()
        name = f"{witness.site}/{witness.witness}"
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, name)
        self.client.username_pw_set(name, self.secret.password)
        self.client.tls_set(ca_certs=str(fleet.ca_pem))
        self.client.on_connect = lambda client, *_: client.subscribe(self.topic(topics.COMMAND), 1)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self.obey
        self.client.connect("127.0.0.1", fleet.broker.port)
        self.client.loop_start()
        assert self.ready.wait(10)

    def topic(self, word: str) -> str:
        return topics.topic(self.witness.site, self.witness.witness, word)

    def obey(self, client, data, message) -> None:
        self.heard.append(message.payload)
        if not message.payload:
            return
        command = decode_command(self.secret.ack_secret, self.witness.site, self.witness.witness, message.payload)
        fault = codes.FAULT_CONFIG if self.does == "refuse" else 0
        self.witness.events = [[codes.EVENT_COMMAND, 0, command.counter, command.code, fault]]
        self.send()
        self.witness.events = []
        if self.does == "obey":
            self.witness.plan = plan.digest(command.argument)
            self.send()

    def send(self) -> None:
        self.client.publish(self.topic(topics.BATCH), self.witness.payload(), qos=1)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def make_site(fleet) -> None:
    table = default_table(
        SITE, "Northnet", "VoxCloud", None, "UTC", {"kind": "ethernet"}, Surroundings(anchors=("127.0.0.1",))
    )
    config.write(fleet.root / "sites" / f"{SITE}.toml", config.dumps(table))


def change_site(fleet, old: str, new: str) -> None:
    path = fleet.root / "sites" / f"{SITE}.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def run(fleet, *arguments):
    command = [sys.executable, "-m", "linewitness", "plan", "push", *arguments, "--json", "--fleet", str(fleet.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, json.loads(done.stdout), done.stderr


def fleet_of(folder, *names):
    """A fleet with one site, whose witnesses have sent a batch under the plan that the site's file says."""
    witnesses = [SimulatedWitness(SITE, name, readings=1) for name in names]
    fleet = make_fleet(folder, *witnesses)
    make_site(fleet)
    with fleet.ledger() as book:
        for witness in witnesses:
            witness.plan = plan.digest(current(book, fleet, fleet.site(SITE), witness.witness, 1))
            book.store([witness.new_batch()])
    return fleet, witnesses


@pytest.mark.parametrize("engine", ENGINES)
def test_each_witness_s_own_answer_is_told(tmp_path, engine):
    fleet, witnesses = fleet_of(tmp_path, "w1", "w2", "w3")
    with running_broker(fleet, engine):
        collector = linewitness("collect", fleet=fleet)
        boards = [Commanded(fleet, w, does) for w, does in zip(witnesses, ("obey", "refuse", "be silent"), strict=True)]
        try:
            code, rows, _ = run(fleet, "--all")
            assert (code, [row["status"] for row in rows]) == (0, ["in force"] * 3)
            assert [board.heard for board in boards] == [[], [], []]
            change_site(fleet, "fail_rounds = 3", "fail_rounds = 4")
            code, rows, err = run(fleet, "--site", SITE, "--timeout", "6")
            assert (code, [row["status"] for row in rows]) == (3, ["changed", "refused", "unanswered"]), err
            assert rows[1]["why"].startswith("it refuses the plan (config): it has a newer plan")
            assert rows[2]["why"] == "it took the command, and no batch under the new plan has come yet"
            assert "leeds/w1 has the new plan" in err
            code, rows, _ = run(fleet, "--witness", "leeds/w1")
            assert (code, rows[0]["status"]) == (0, "in force")
            # What was answered is taken off the broker again; what was not waits there.
            assert [len(board.heard) for board in boards] == [2, 2, 1]
            assert [board.heard[-1] == b"" for board in boards] == [True, True, False]
        finally:
            for board in boards:
                board.close()
            end(collector)
    with fleet.ledger() as book:
        assert len(list(book.items("publication"))) == 3
        assert describe(book.newest("plan", "leeds/w1").content)["fail_rounds"] == 4


@pytest.mark.parametrize("engine", ENGINES)
def test_a_command_waits_for_a_witness_that_is_away_and_a_later_one_replaces_it(tmp_path, engine):
    fleet, (witness,) = fleet_of(tmp_path, "w1")
    with running_broker(fleet, engine):
        for rounds, n in (("3", "4"), ("4", "5")):
            change_site(fleet, f"fail_rounds = {rounds}", f"fail_rounds = {n}")
            code, rows, _ = run(fleet, "--all", "--timeout", "1")
            assert (code, rows[0]["status"]) == (4, "unanswered")
            assert "waits at the broker" in rows[0]["why"]
        board = Commanded(fleet, witness, "obey")
        try:
            until_s = time.monotonic() + 10
            while not board.heard and time.monotonic() < until_s:
                time.sleep(0.05)
            command = decode_command(board.secret.ack_secret, SITE, "w1", board.heard[0])
        finally:
            board.close()
    assert command.counter == rows[0]["counter"]
    assert describe(command.argument)["fail_rounds"] == 5


def test_what_the_board_was_not_told_is_not_pushed(tmp_path):
    fleet, _ = fleet_of(tmp_path, "w1")
    fleet.set_secret("community", "public")
    change_site(fleet, '[[target]]\nname = "gateway"', SNMP + '[[target]]\nname = "gateway"')
    code, rows, _ = run(fleet, "--all")  # no broker is needed to see it
    assert (code, rows[0]["status"], rows[0]["counter"]) == (1, "needs flash", None)
    assert rows[0]["why"] == "the plan names what the board was not told: secret:community"
    assert rows[0]["attempt"] == "linewitness witness flash leeds w1 --port PORT"


SNMP = """[[target]]
name = "router"
segment = "router"
method = "snmp"
host = "gateway"
index = 1
secret = "secret:community"

"""


def test_a_witness_whose_plan_is_spoilt_is_sent_it_again(tmp_path):
    fleet, (witness,) = fleet_of(tmp_path, "w1")
    fleet.set_secret("community", "public")
    change_site(fleet, '[[target]]\nname = "gateway"', SNMP + '[[target]]\nname = "gateway"')
    with fleet.ledger() as book:  # as flashed with the secret; then the plan's file is damaged
        for digest in (plan.digest(current(book, fleet, fleet.site(SITE), "w1", 2)), bytes(32)):
            witness.plan = digest
            book.store([witness.new_batch()])
    with running_broker(fleet, "mosquitto"):
        board = Commanded(fleet, witness, "obey")
        try:
            code, rows, _ = run(fleet, "--all", "--timeout", "10")
        finally:
            board.close()
    assert (code, rows[0]["status"]) == (0, "changed")


def test_wrong_usage_and_no_broker_are_one_line_each(tmp_path):
    fleet, _ = fleet_of(tmp_path, "w1")
    code, said, _ = run(fleet)
    assert (code, said["error"]) == (2, "wanted --all, or whose plans")
    code, said, _ = run(fleet, "--witness", "leeds/w2")
    assert (code, said["error"]) == (2, "no witness 'leeds/w2' is enrolled")
    change_site(fleet, "fail_rounds = 3", "fail_rounds = 4")
    code, said, _ = run(fleet, "--all")
    assert (code, said["error"]) == (1, "broker unreachable: connection refused")
    with only_one(fleet.root, "plan-push"):
        code, said, _ = run(fleet, "--all")
    assert (code, said["error"].startswith("another plan-push of this fleet is running")) == (1, True)


def test_counters_rise_are_stored_before_they_are_used_and_outlive_the_loss_of_their_file(tmp_path):
    fleet = make_fleet(tmp_path)
    now = int(time.time())
    first = counters.take(fleet, [(SITE, "w1"), (SITE, "w2")])
    assert all(now <= counter <= now + 5 for counter in first)
    stored = config.read(fleet.root / "counters.toml", counters.SCHEMA)["command"]
    assert stored == {"leeds/w1": first[0], "leeds/w2": first[1]}
    assert counters.take(fleet, [(SITE, "w1")])[0] > first[0]
    ahead = first[0] + 1000
    (fleet.root / "counters.toml").write_text(f'[command]\n"leeds/w1" = {ahead}\n')
    assert counters.take(fleet, [(SITE, "w1")]) == [ahead + 1]
    (fleet.root / "counters.toml").unlink()
    time.sleep(1.1)
    assert counters.take(fleet, [(SITE, "w2")])[0] > first[1]
