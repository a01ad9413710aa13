"""Verified-and-stored batches a second, beside the bare cost of what can't be left out, in the same run.

    python tests/benchmarks/bench_collect.py [--batches 4000] [--repeats 3] [--no-broker]

Batches are a minute's of 12 targets, signed and chained by 20 simulated witnesses, as they come over MQTT. Rows:

    ed25519        bare verification by PyNaCl, the library that our strict check uses
    sqlite         bare inserts of the same octets: one row a batch, groups of 200, WAL, synchronous=FULL, 16 KiB pages
    both           what those two cost together on one core: the baseline
    intake         the collector's work: envelope, strict decoding, signature, chain, durable group commit
    end to end     the same behind the embedded brokers: TLS, password, acknowledgement to the witness and back

Best of the repeats each. Prints a table and, as its last line, one JSON object; ratio is intake / baseline.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from nacl.signing import VerifyKey

sys.path.insert(0, str(Path(__file__).parents[1] / "host"))

from fleet_folders import end, linewitness, make_fleet, running_broker
from mqtt_sender import Sender
from simulated_witness import SimulatedWitness

from linewitness import ledger
from linewitness.collect.collector import GROUP
from linewitness.collect.intake import Intake
from linewitness.ledger import NewBatch
from linewitness_wire import cose
from linewitness_wire.envelope import decode_batch, encode_batch

WITNESSES = 20
SENDERS = 4


def make_batches(count: int) -> tuple[list[SimulatedWitness], list[tuple[str, bytes]]]:
    """Return witnesses and (topic, payload) of count batches, a round of all witnesses after another."""
    witnesses = [SimulatedWitness(f"site-{i}", "w1") for i in range(WITNESSES)]
    order = [witnesses[i % WITNESSES] for i in range(count)]
    return witnesses, [(witness.topic, encode_batch(*witness.batch())) for witness in order]


def bare_verification(witnesses: list[SimulatedWitness], payloads: list[tuple[str, bytes]]) -> float:
    """Return seconds for checking every signature and nothing else."""
    keys = {witness.topic: (witness, VerifyKey(witness.public_key)) for witness in witnesses}
    jobs = []
    for topic, payload in payloads:
        witness, key = keys[topic]
        signed = cose.split(decode_batch(payload)[0])
        message = cose.to_be_signed(signed.protected, cose.aad(witness.site, witness.witness), signed.payload)
        jobs.append((key, message, signed.signature))
    started_s = time.perf_counter()
    for key, message, signature in jobs:
        key.verify(message, signature)
    return time.perf_counter() - started_s


def bare_inserts(payloads: list[tuple[str, bytes]], folder: Path) -> float:
    """Return seconds for storing every batch's octets durably and nothing else."""
    db = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    for pragma in ("page_size = 16384", "journal_mode = WAL", "synchronous = FULL"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("CREATE TABLE batch (id INTEGER PRIMARY KEY, octets BLOB NOT NULL)")
    started_s = time.perf_counter()
    for start in range(0, len(payloads), GROUP):
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO batch (octets) VALUES (?)", ((octets,) for _, octets in payloads[start : start + GROUP])
        )
        db.execute("COMMIT")
    took_s = time.perf_counter() - started_s
    db.close()
    return took_s


def intake(witnesses: list[SimulatedWitness], payloads: list[tuple[str, bytes]], folder: Path) -> float:
    """Return seconds for all of the collector's work on every batch; each has to be stored, none refused."""
    with ledger.open("sqlite:ledger.sqlite", folder, create=True) as book:
        for witness in witnesses:
            book.add_enrolment(witness.enrolment())
        judge = Intake(book.enrolments).judge
        started_s = time.perf_counter()
        for start in range(0, len(payloads), GROUP):
            received_us = time.time_ns() // 1000
            judged = [judge(topic, octets, received_us) for topic, octets in payloads[start : start + GROUP]]
            outcomes = book.store([one for one in judged if isinstance(one, NewBatch)])
            assert len(outcomes) == len(judged)
        took_s = time.perf_counter() - started_s
        stored = sum(head.batches for head in book.heads())
        assert (stored, book.findings()) == (len(payloads), []), "the benchmark lost batches"
    return took_s


def end_to_end(engine: str, count: int, folder: Path) -> float:
    """Return seconds from the first batch published to the last acknowledgement, all of them being there."""
    witnesses = [SimulatedWitness(f"site-{i}", "w1") for i in range(SENDERS)]
    fleet = make_fleet(folder, *witnesses)
    with running_broker(fleet, engine):
        collector = linewitness("collect", fleet=fleet)
        senders = [Sender(fleet, witness) for witness in witnesses]
        try:
            for sender in senders:  # until the collector listens
                sender.send_next()
                assert sender.until_acked(timeout_s=30), "the collector does not answer"
            for witness, sender in zip(witnesses, senders, strict=True):
                for _ in range(count // SENDERS):
                    payload = encode_batch(*witness.batch())
                    sender.waiting[witness.seq] = payload
            started_s = time.perf_counter()
            for sender in senders:
                sender.resend()
            assert all(sender.until_acked(timeout_s=120, every_s=10) for sender in senders), "not all acknowledged"
            return time.perf_counter() - started_s
        finally:
            for sender in senders:
                sender.close()
            end(collector)


def best(repeats: int, measure: Callable[[Path], float]) -> float:
    """Return the least of the seconds that measure takes, each time in a fresh folder."""
    seconds = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder:
            seconds.append(measure(Path(folder)))
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-broker", action="store_true")
    options = parser.parse_args()
    count = options.batches
    load = round(os.getloadavg()[0], 1)  # of others: the figures of a busy machine say little
    witnesses, payloads = make_batches(count)
    octets = sum(len(payload) for _, payload in payloads) // count
    machine = f"{platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores"
    print(f"{count} batches of {octets} octets, {WITNESSES} witnesses; {machine}, load {load}")
    verify_s = best(options.repeats, lambda _: bare_verification(witnesses, payloads))
    insert_s = best(options.repeats, lambda folder: bare_inserts(payloads, folder))
    intake_s = best(options.repeats, lambda folder: intake(witnesses, payloads, folder))
    rates = {
        "ed25519": count / verify_s,
        "sqlite": count / insert_s,
        "both": count / (verify_s + insert_s),
        "intake": count / intake_s,
    }
    if not options.no_broker:
        through = count // 2
        for engine in ("mosquitto", "amqtt"):
            took_s = best(1, lambda folder, engine=engine: end_to_end(engine, through, folder))
            rates[f"end to end, {engine}"] = through // SENDERS * SENDERS / took_s
    print(f"{'':24}{'batches/s':>12}{'us each':>10}")
    for name, rate in rates.items():
        print(f"{name:24}{rate:12.0f}{1e6 / rate:10.0f}")
    figures = {f"{name.replace(', ', '_').replace(' ', '_')}_per_s": round(rate) for name, rate in rates.items()}
    result = {
        "benchmark": "collect",
        "machine": machine,
        "load_average": load,
        "batch_octets": octets,
        "figures": figures,
        "baseline": round(rates["both"]),
        "ratio": round(rates["intake"] / rates["both"], 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
