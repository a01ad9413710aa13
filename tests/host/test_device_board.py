"""A real MicroPython machine is flashed and enrolled over its serial line, and its first batch ends in the ledger."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from fleet_folders import end, linewitness, make_fleet, running_broker

from linewitness import config
from linewitness.device.firmware import compile_firmware, firmware_digest
from linewitness.evidence.enrolment import open_enrolment
from linewitness.plan import describe
from linewitness.pushing import push_plans
from linewitness.site import Surroundings, default_table
from linewitness_wire import chain, cose, plan, record
from simulations.board.client import Board
from simulations.board.vms import available_vms

# The tests of a machine are one board's life, told in order.
LIVES = [pytest.param(vm, marks=pytest.mark.xdist_group(f"a board's life on {vm}")) for vm in available_vms()]


def run(fleet, *arguments):
    command = [sys.executable, "-m", "linewitness", *arguments, "--json", "--fleet", str(fleet.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, json.loads(done.stdout)


def make_site(fleet):
    network = {"kind": "wifi", "ssid": "office", "password": "secret:wifi-leeds"}
    table = default_table("leeds", "Northnet", "VoxCloud", None, "UTC", network, Surroundings(anchors=("127.0.0.1",)))
    table["plan"] |= {"batch_s": 3, "time_servers": ["127.0.0.1"], "resolvers": ["127.0.0.1"]}
    fleet.set_secret("wifi-leeds", "open sesame")
    config.write(fleet.root / "sites" / "leeds.toml", config.dumps(table))


@pytest.fixture(scope="module", params=LIVES)
def flashed(request, tmp_path_factory):
    """(fleet, board, what flashing said) of a board that was empty before."""
    fleet = make_fleet(tmp_path_factory.mktemp("flash"))
    make_site(fleet)
    nic = {"ssid": "office", "password": "open sesame", "wired": False}
    description = {"profile": "pico-w", "network": {"mode": "real"}, "vm": request.param, "nic": nic}
    if request.param == "unix":
        description["heap_kb"] = 512  # a 64-bit machine: every object takes twice what it takes on the board
    with Board(description) as board:
        code, said = run(fleet, "witness", "flash", "leeds", "w1", "--port", board.repl, "--board", "pico-w")
        assert code == 0, said
        yield fleet, board, said


def test_flashing_again_writes_nothing(flashed):
    fleet, board, first = flashed
    assert first["written"] > 40
    code, said = run(fleet, "witness", "flash", "leeds", "w1", "--port", board.repl, "--board", "pico-w")
    assert (code, said["written"], said["octets"]) == (0, 0, 0)
    assert (said["firmware"], said["plan"]) == (first["firmware"], first["plan"])


def test_a_changed_site_changes_its_plan_only(flashed):
    fleet, board, first = flashed
    path = fleet.root / "sites" / "leeds.toml"
    path.write_text(path.read_text().replace("fail_rounds = 3", "fail_rounds = 4"))
    code, said = run(fleet, "witness", "flash", "leeds", "w1", "--port", board.repl, "--board", "pico-w")
    assert (code, said["firmware"]) == (0, first["firmware"])
    assert said["written"] == 2  # the plan, and main.py, which is away while anything else is written
    assert said["plan"] != first["plan"]


def test_a_board_that_is_not_known_is_asked_for_and_another_network_refused(flashed):
    fleet, board, _ = flashed
    code, said = run(fleet, "witness", "flash", "leeds", "w1", "--port", board.repl)
    assert (code, said["error"].startswith("can't tell the board from '")) == (2, True)
    code, said = run(fleet, "witness", "flash", "leeds", "w1", "--port", board.repl, "--board", "pico")
    assert (code, said["error"], said["try"]) == (2, "no board 'pico'", "one of esp32-devkitc, esp32-poe, pico-w")
    path = fleet.root / "sites" / "leeds.toml"
    text = path.read_text()
    try:
        path.write_text(text.replace('kind = "wifi"', 'kind = "ethernet"'))
        code, said = run(fleet, "witness", "flash", "leeds", "w1", "--port", board.repl, "--board", "pico-w")
        assert (code, said["error"]) == (2, "the site is on ethernet, a pico-w has wifi")
    finally:
        path.write_text(text)


def test_another_witness_s_board_is_refused(flashed):
    fleet, board, _ = flashed
    code, said = run(fleet, "witness", "enrol", "leeds", "w2", "--port", board.repl)
    assert (code, said["error"]) == (3, "this board is leeds/w1")


def test_the_first_batch_arrives_and_is_acknowledged(flashed):
    fleet, board, installed = flashed
    with running_broker(fleet, "amqtt"):
        collector = linewitness("collect", fleet=fleet)
        try:
            code, said = run(fleet, "witness", "enrol", "leeds", "w1", "--port", board.repl)
            assert (code, said["new"]) == (0, True), said
            code, again = run(fleet, "witness", "enrol", "leeds", "w1", "--port", board.repl)
            assert (code, again["new"], again["kid"]) == (0, False, said["kid"])
            with fleet.ledger() as book:
                (known,) = book.enrolments()
                until_s = time.monotonic() + 40
                while time.monotonic() < until_s and len(list(book.batches())) < 2:
                    time.sleep(0.2)
                batches = list(book.batches())
        finally:
            _, err = end(collector)
    assert len(batches) >= 2, err + board.printed()[-2000:]
    signed = open_enrolment(known.record, fleet.public_key)
    assert (signed.site, signed.witness, signed.public_key, signed.board) == ("leeds", "w1", known.public_key, 3)
    assert signed.firmware.hex() == installed["firmware"]  # as the board computed it, and as the host did
    head = chain.START
    for batch in batches:
        header = record.decode_header(cose.split(batch.cose).payload)
        head = chain.follow(head, header, batch.digest)
        assert header.firmware == signed.firmware
    with fleet.ledger() as book:
        plans = {plan.digest(item.content): describe(item.content) for item in book.items("plan")}
        assert book.findings() == []
    assert plans[header.plan]["site"] == "leeds"


def newest(fleet):
    """The newest batch in the ledger."""
    with fleet.ledger() as book:
        return record.decode_header(cose.split(list(book.batches())[-1].cose).payload)


def test_a_changed_plan_is_pushed_refused_when_older_and_waits_for_a_board_that_is_off(flashed):
    fleet, board, _ = flashed
    path = fleet.root / "sites" / "leeds.toml"
    with running_broker(fleet, "mosquitto"):
        collector = linewitness("collect", fleet=fleet)
        try:
            path.write_text(path.read_text().replace("clear_rounds = 2", "clear_rounds = 3"))
            code, rows = run(fleet, "plan", "push", "--site", "leeds")
            assert (code, [row["status"] for row in rows]) == (0, ["changed"]), (rows, board.printed()[-2000:])
            pushed = rows[0]["sha256"]
            assert newest(fleet).plan.hex() == pushed
            assert plan.digest(board.client.read_file("/plan.cbor")).hex() == pushed
            code, rows = run(fleet, "plan", "push", "--site", "leeds")
            assert (code, rows[0]["status"], rows[0]["counter"]) == (0, "in force", None)

            path.write_text(path.read_text().replace("clear_rounds = 3", "clear_rounds = 4"))
            with fleet.ledger() as book:
                (known,) = [e for e in book.enrolments() if e.retired_us is None]
                (old,) = push_plans(fleet, book, [known], 40, 1)  # as by a host whose clock is at its beginning
            assert (old.status, old.why.split(":")[0]) == ("refused", "it refuses the plan (config)")
            assert plan.digest(board.client.read_file("/plan.cbor")).hex() == pushed

            path.write_text(path.read_text().replace("clear_rounds = 4", "clear_rounds = 5"))
            board.client.power_off()
            code, rows = run(fleet, "plan", "push", "--witness", "leeds/w1", "--timeout", "2")
            assert (code, rows[0]["status"]) == (4, "unanswered")
            board.client.power_on()
            until_s = time.monotonic() + 60
            while newest(fleet).plan.hex() != rows[0]["sha256"] and time.monotonic() < until_s:
                time.sleep(0.2)
            assert newest(fleet).plan.hex() == rows[0]["sha256"], board.printed()[-2000:]
        finally:
            end(collector)


def test_a_restart_by_hand_is_no_crash(flashed):
    """A Pico calls every reset by its program the watchdog's; three of those in a row would be safe mode."""
    fleet, board, _ = flashed
    for _ in range(3):
        code, said = run(fleet, "witness", "enrol", "leeds", "w1", "--port", board.repl, "--replace")
        assert code == 0, said
    starts, end_s = board.printed().count("journal: key"), time.monotonic() + 30
    board.client.reset()
    while board.printed().count("journal: key") == starts and time.monotonic() < end_s:
        time.sleep(0.2)
    time.sleep(0.5)
    assert board.printed().count("journal: key") > starts
    assert "safe mode" not in board.printed()


def test_a_retired_witness_counts_no_more(flashed):
    fleet, board, _ = flashed
    code, said = run(fleet, "witness", "enrol", "leeds", "w1", "--port", board.repl)
    assert code == 0, said
    code, said = run(fleet, "witness", "retire", "leeds", "w1")
    assert code == 0, said
    assert fleet.witness_secrets("leeds", "w1") is None
    code, rows = run(fleet, "witness", "list")
    assert (code, rows[0]["missing"], rows[0]["retired_us"] > 0) == (0, 0, True)
    code, said = run(fleet, "witness", "retire", "leeds", "w1")
    assert (code, said["error"]) == (1, "leeds/w1 is not enrolled")


def test_nobody_at_the_port_is_one_line(tmp_path):
    fleet = make_fleet(tmp_path)
    make_site(fleet)
    code, said = run(fleet, "witness", "flash", "leeds", "w1", "--port", "socket://127.0.0.1:1")
    assert (code, said["error"], said["where"]) == (1, "no board answers here", "socket://127.0.0.1:1")


@pytest.mark.parametrize("march", ["", "armv6m", "xtensawin"])
def test_the_firmware_compiles_for_every_board_and_twice_the_same(march):
    files = compile_firmware(march)
    assert compile_firmware(march) == files
    assert ("/lib/witness/crypto/sha512_viper.mpy" in files) == bool(march)
    assert {"/main.py", "/boot.py", "/lib/witness/app.mpy", "/lib/linewitness_wire/record.mpy"} <= set(files)
    assert sum(map(len, files.values())) < 200 * 1024  # the flash that the design gives the firmware
    assert len(firmware_digest({path: bytes(32) for path in files})) == 32
