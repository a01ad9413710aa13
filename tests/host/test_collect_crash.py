"""Nothing acknowledged is ever missing, whoever is killed: the collector, the broker, again and again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from fleet_folders import end, linewitness, make_fleet, running_broker, wait_for_port
from mqtt_sender import Sender
from simulated_witness import SimulatedWitness

from linewitness_wire import chain, cose, record

BATCHES = 300
ENGINES = ("amqtt", "mosquitto")


def assert_whole(fleet, witnesses, senders):
    """Each acknowledged batch is there once, the chain holds from 1 on, and nothing was found amiss."""
    with fleet.ledger() as book:
        for witness, sender in zip(witnesses, senders, strict=True):
            head, seen = chain.START, {}
            for batch in book.batches(site=witness.site, witness=witness.witness):
                head = chain.follow(head, record.decode_header(cose.split(batch.cose).payload), batch.digest)
                seen[batch.seq] = batch.digest
            assert sorted(seen) == list(range(1, witness.seq + 1))
            assert {seq: ack.digest for seq, ack in sender.acked.items()} == seen
        assert book.findings() == []


@pytest.mark.parametrize("engine", ENGINES)
def test_killing_collector_and_broker_loses_nothing_acknowledged(tmp_path, engine):
    witnesses = [SimulatedWitness("leeds", f"w{i}") for i in range(2)]
    fleet = make_fleet(tmp_path, *witnesses)
    broker = linewitness("broker", "--engine", engine, fleet=fleet)
    wait_for_port(fleet.broker.port)
    collector = linewitness("collect", fleet=fleet)
    senders = [Sender(fleet, witness) for witness in witnesses]
    try:
        for i in range(BATCHES // len(senders)):
            for sender in senders:
                sender.send_next()
            time.sleep(0.01)
            if i in (30, 80):
                collector.kill()
                collector.communicate()
                collector = linewitness("collect", fleet=fleet)
            if i == 55:
                kill_with_children(broker)
                broker = linewitness("broker", "--engine", engine, fleet=fleet)
                wait_for_port(fleet.broker.port)
        assert all(sender.until_acked(timeout_s=40) for sender in senders), [len(s.waiting) for s in senders]
        _, err = end(collector)
        assert collector.returncode == 0, err
        assert_whole(fleet, witnesses, senders)
    finally:
        for sender in senders:
            sender.close()
        for process in (collector, broker):
            if process.poll() is None:
                end(process)


def kill_with_children(process):
    """kill -9 of the broker's process and of what it started (mosquitto), none of which can put anything in order."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in (*map(int, children), process.pid):
        os.kill(pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_ends_in_order_and_the_next_collector_goes_on(tmp_path, engine):
    witness = SimulatedWitness()
    fleet = make_fleet(tmp_path, witness)
    with running_broker(fleet, engine):
        sender = Sender(fleet, witness)
        collector = linewitness("collect", "--json", fleet=fleet)
        try:
            for _ in range(50):
                sender.send_next()
            time.sleep(1.5)
            _, err = end(collector)
            assert collector.returncode == 0, err
            collector = linewitness("collect", "--json", "--until-idle", "2", fleet=fleet)
            assert sender.until_acked(timeout_s=15)
            _, err = collector.communicate(timeout=20)
            assert collector.returncode == 0, err
            assert_whole(fleet, [witness], [sender])
        finally:
            sender.close()
            if collector.poll() is None:
                end(collector)
