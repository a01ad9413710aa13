"""The whole witness on the virtual board, against real peers: what it promises through what happens to it."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from collector import fates
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from office import SITE, TARGETS, WITNESS, Office, make_plan

from linewitness_wire import codes, envelope, plan, record
from simulations.board.harness import available_vms

CUTS = 3
UNDER_WAY = 6  # batches that may be sent and not yet acknowledged
INDEX = {t.name: i for i, t in enumerate(TARGETS)}


@pytest.fixture(scope="module", params=available_vms())
def office(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Office(tmp_path_factory.mktemp("office"), vm=request.param) as office:
        yield office


def failing(name: str, state: int = 1):
    return lambda batch: any(event[2:] == [INDEX[name], state] for event in batch.events(codes.EVENT_STATE))


def test_the_first_batches_tell_the_boot_the_plan_and_the_link(office: Office) -> None:
    first = office.wait_for(lambda batch: batch.header.seq == 1)
    boot = first.events(codes.EVENT_BOOT)[0]
    assert boot[2] == codes.RESET_POWER
    assert boot[4] & codes.CAN_RAW_ICMP
    assert first.events(codes.EVENT_PLAN)[0][2] == first.header.plan == plan.digest(make_plan(TARGETS))
    assert first.header.boot == 1
    linked = office.wait_for(lambda batch: batch.events(codes.EVENT_ADDRESS))
    assert linked.events(codes.EVENT_LINK_UP)[0][2:] == [-55, 6]
    addresses = [bytes((192, 168, 1, 50)), bytes((255, 255, 255, 0)), bytes((192, 168, 1, 1))]
    assert linked.events(codes.EVENT_ADDRESS)[0][2:] == addresses


def test_every_target_is_measured_and_each_sample_told(office: Office) -> None:
    probed = ("gateway", "isp", "edge", "edge-sip", "edge-tcp", "dns")
    # On a busy machine a stall may spoil all samples of one batch.
    batch = office.wait_for(
        lambda batch: all(any(r[record.ANSWERED] for r in batch.readings(name, TARGETS)) for name in probed)
    )
    for name in probed:
        (reading,) = batch.readings(name, TARGETS)
        assert reading[record.ANSWERED] + reading.get(record.SELF_DELAYED, 0) == reading[record.SENT]
        assert len(fates(reading)) == reading[record.SENT]
    # Two hops of 1 ms each way, and five; a busy machine adds to both, and never takes away.
    assert 4_000 <= batch.readings("gateway", TARGETS)[0][record.RTT_US][0] < 25_000
    assert 10_000 <= batch.readings("edge", TARGETS)[0][record.RTT_US][0] < 35_000
    assert batch.readings("link", TARGETS)[0][record.RSSI_DBM] == -55
    assert batch.readings("self", TARGETS)[0][record.HEAP_FREE] > 0


def test_its_utc_is_right_within_the_bound_that_it_states(office: Office) -> None:
    batch = office.wait_for(lambda batch: batch.header.clock.source == codes.CLOCK_SNTP)
    arrived_us = time.time_ns() // 1000
    assert batch.header.clock.bound_us < 50_000
    # It was made before it came here; how long before is seconds at most.
    assert -batch.header.clock.bound_us <= arrived_us - batch.header.clock.utc_us < 60_000_000


def test_batches_follow_one_another_without_a_gap_in_time(office: Office) -> None:
    office.wait_for(lambda batch: batch.header.seq >= 3)
    batches = [batch for batch in office.batches if batch.header.boot == 1]
    for before, after in itertools.pairwise(batches):
        assert after.header.start_us == before.header.end_us
    assert office.refused == []


def test_every_batch_is_signed_by_the_key_that_the_witness_made(office: Office) -> None:
    office.wait_for(lambda batch: batch.header.seq >= 3)
    seed = office.board.client.read_file("/journal/key")[:32]
    public_key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    for batch in office.batches:
        batch.check_signature(public_key, SITE, WITNESS)


def test_an_outage_of_the_provider_is_seen_within_its_rounds_and_cleared(office: Office) -> None:
    office.board.client.link("provider", down=True)
    down = office.wait_for(failing("edge"))
    office.board.client.link("provider", down=False)
    up = office.wait_for(failing("edge", 0))
    assert up.header.seq > down.header.seq
    seen = {
        fate
        for batch in office.batches
        if down.header.seq <= batch.header.seq <= up.header.seq
        for name in ("gateway", "isp")
        for reading in batch.readings(name, TARGETS)
        for fate in fates(reading)
    }
    assert codes.FATE_LOST not in seen  # the customer's side and the line stayed up


def test_without_a_link_nothing_is_lost_it_is_void(office: Office) -> None:
    office.wait_for(lambda batch: batch.header.seq >= 3)  # its first link is told of by then
    known = len(office.batches)
    office.board.client.nic_drop()
    time.sleep(6)
    office.board.client.nic_restore()
    back = office.wait_for(lambda batch: batch.events(codes.EVENT_LINK_UP) and batch.header.seq > known + 1)
    during = [batch for batch in office.batches[known:] if batch.header.seq <= back.header.seq]
    assert any(batch.events(codes.EVENT_LINK_DOWN) for batch in during)
    void = [fate for batch in during for reading in batch.readings("gateway", TARGETS)
            for fate in fates(reading)]  # fmt: skip
    assert codes.FATE_VOID in void
    assert void.count(codes.FATE_LOST) <= 1  # the one that was on its way
    assert min(reading[record.UP_US] for batch in during for reading in batch.readings("link", TARGETS)) < 2_500_000


def test_nothing_is_forgotten_before_the_collector_has_it(office: Office) -> None:
    office.store.acknowledge = False
    deaf_from = office.batches[-1].header.seq
    time.sleep(11)
    assert office.batches[-1].header.seq <= deaf_from + UNDER_WAY  # those under way are sent again and again
    office.store.acknowledge = True
    newest = office.wait_for(lambda batch: batch.header.seq >= deaf_from + 3)
    assert [batch.header.seq for batch in office.batches] == list(range(1, newest.header.seq + 1))


def test_a_broker_that_restarts_loses_nothing(office: Office) -> None:
    before = office.batches[-1].header.seq
    office.broker.stop()
    time.sleep(5)
    office.broker.start()
    newest = office.wait_for(lambda batch: batch.header.seq >= before + 3, 60)
    assert [batch.header.seq for batch in office.batches] == list(range(1, newest.header.seq + 1))
    assert office.refused == []


def test_the_anchor_of_an_acknowledgement_stands_in_later_headers(office: Office) -> None:
    office.store.anchor = b"\xaa" * 32
    batch = office.wait_for(lambda batch: batch.header.anchor is not None)
    assert batch.header.anchor == office.store.anchor


def test_a_new_plan_is_taken_between_two_batches_and_a_second_time_never(office: Office) -> None:
    shorter = make_plan(TARGETS[:4], issued=2)
    office.command(1, codes.COMMAND_PLAN, shorter)
    changed = office.wait_for(lambda batch: batch.header.plan == plan.digest(shorter))
    done = office.wait_for(lambda batch: batch.events(codes.EVENT_COMMAND))
    assert done.events(codes.EVENT_COMMAND)[0][2:] == [1, codes.COMMAND_PLAN, 0]
    assert done.header.plan != changed.header.plan or done.header.seq <= changed.header.seq
    assert max(reading[record.TARGET] for reading in changed.body.readings) <= 3
    assert office.board.client.read_file("/plan.cbor") == shorter
    office.command(1, codes.COMMAND_PLAN, make_plan(TARGETS, issued=3))
    office.wait_for(lambda batch: batch.header.seq >= changed.header.seq + 2)
    assert office.board.client.read_file("/plan.cbor") == shorter


def test_a_command_under_another_secret_is_not_obeyed(office: Office) -> None:
    frame = envelope.encode_command(bytes(32), SITE, WITNESS, envelope.Command(99, codes.COMMAND_REBOOT, None))
    office.collector.publish(f"linewitness/1/{SITE}/{WITNESS}/command", frame, qos=1)
    newest = office.batches[-1]
    later = office.wait_for(lambda batch: batch.header.seq >= newest.header.seq + 2)
    assert later.header.boot == newest.header.boot
    assert "not authentic" in office.printed


def test_a_power_cut_starts_a_new_boot_in_the_same_chain(office: Office) -> None:
    before = office.batches[-1]
    office.board.kill()
    office.board.start()
    after = office.wait_for(lambda batch: batch.header.boot > before.header.boot, 60)
    assert after.kid == before.kid
    assert after.header.boot == before.header.boot + 1
    assert after.events(codes.EVENT_BOOT)
    assert office.refused == []
    assert [batch.header.seq for batch in office.batches] == list(range(1, after.header.seq + 1))


def test_the_last_will_says_that_it_is_gone(office: Office) -> None:
    office.wait_for_state("online")
    office.states.clear()
    office.board.kill()
    office.wait_for_state("offline", 60)


@pytest.mark.parametrize("vm", available_vms())
def test_power_cuts_inside_flash_writes_never_fork_the_chain_or_lose_a_batch(vm: str, tmp_path: Path) -> None:
    source = random.Random(5)
    with Office(tmp_path, vm=vm) as office:
        office.wait_for(lambda batch: batch.header.seq >= 1)
        for cuts in range(1, CUTS + 1):
            client = office.board.client
            client.cut_after(source.randrange(60))
            deadline_s = time.monotonic() + 20
            while client.counters()["on"]:
                assert time.monotonic() < deadline_s, "the power was to fail"
                time.sleep(0.05)
            client.power_on()
            office.wait_for(lambda batch, boot=cuts + 1: batch.header.boot >= boot, 40)
        assert {batch.kid for batch in office.batches} == {office.batches[0].kid}
        assert office.refused == []
        assert [batch.header.seq for batch in office.batches] == list(range(1, len(office.batches) + 1))
