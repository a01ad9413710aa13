"""The uplink through a bad broker: one clear line on the console, nothing lost, and back when it is mended."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from office import Office

from linewitness_wire import codes
from simulations.board.harness import available_vms
from simulations.lab.certificates import Authority

VM = available_vms()[0]


@contextmanager
def mute_server() -> Iterator[tuple[str, int]]:
    """A server that takes every connection and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                taken.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in taken:
            each.close()


def lead_broker_to(office: Office, address: tuple[str, int]) -> None:
    office.board.client.peer("broker", "tcp", 8883, f"{address[0]}:{address[1]}")


def said(office: Office, what: str) -> None:
    """The console said this, in one line that also says where and what to try."""
    printed = office.board.wait_for_text(what, 30)
    at = printed.index(what)
    printed = office.board.wait_for_text("\n", 5, after=at)  # the line may have come in pieces
    line = next(line for line in printed.splitlines() if what in line)
    assert "broker broker.lab:8883" in line
    assert "; try: " in line


def test_a_wrong_password_is_said_once_and_is_in_the_journal_when_it_is_mended(tmp_path: Path) -> None:
    with Office(tmp_path, VM, broker_config={"password": "wrong"}) as office:
        said(office, "broker.user and broker.password")
        time.sleep(6)
        assert office.printed.count("broker.user and broker.password") == 1
        assert office.batches == []
        # Mended over the serial line, as a person would: a new configuration and a new start.
        config = json.loads(office.board.client.read_file("/config.json"))
        config["broker"]["password"] = "w"
        office.board.stop()
        (tmp_path / "files" / "config.json").write_text(json.dumps(config))
        office.board.start()
        first = office.wait_for(lambda batch: batch.events(codes.EVENT_FAULT))
        assert first.header.boot == 1
        assert first.events(codes.EVENT_FAULT)[0][2] == codes.FAULT_CONFIG
        office.wait_for(lambda batch: batch.header.boot == 2)
        assert [batch.header.seq for batch in office.batches] == list(range(1, len(office.batches) + 1))


def test_a_broker_of_another_authority_is_not_told_the_password(tmp_path: Path) -> None:
    with Office(tmp_path, VM, ca=Authority(tmp_path / "other").certificate.public_bytes(Encoding.DER)) as office:
        said(office, "certificate is of another authority")
        assert "u'leeds/desk'" not in office.broker.output


def test_a_broker_under_another_name_is_not_trusted(tmp_path: Path) -> None:
    with Office(tmp_path, VM, broker_config={"host": "192.0.2.10"}) as office:
        office.board.wait_for_text("for another name", 30)
        assert "u'leeds/desk'" not in office.broker.output


def test_a_ca_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    with Office(tmp_path, VM, ca=b"not a certificate") as office:
        said(office, "/ca.der")


def test_a_server_that_says_nothing_and_a_dead_connection_are_left(tmp_path: Path) -> None:
    with Office(tmp_path, VM) as office, mute_server() as mute:
        lead_broker_to(office, mute)
        said(office, "uplink: ")
        lead_broker_to(office, office.broker.address)
        office.wait_for(lambda batch: batch.header.seq >= 2, 60)
        # Half open: what is sent to the broker vanishes, and nobody says so.
        office.board.client.link("transit", down=True)
        office.board.wait_for_text("no answer to packet type 4", 40)
        office.board.client.link("transit", down=False)
        known = len(office.batches)
        office.wait_for(lambda batch: batch.header.seq > known + 2, 60)
        assert [batch.header.seq for batch in office.batches] == list(range(1, len(office.batches) + 1))
