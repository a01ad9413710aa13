"""The uplink of a board in virtual time, TLS and all: what fails, what is signed of it, what the broker is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from virtual_office import VirtualOffice, make_plan, thin_targets

from linewitness_wire import codes
from simulations.board.harness import available_vms
from simulations.lab.certificates import Authority

pytestmark = pytest.mark.skipif("wasm" not in available_vms(), reason="virtual time is the wasm machine's: needs Node")

THIN = make_plan(thin_targets())
PROFILES = pytest.mark.parametrize("profile", ["pico-w", "esp32-devkitc"])


@PROFILES
def test_mute_half_open_and_restarted_brokers_cost_no_batch_and_the_will_is_told(profile: str, tmp_path: Path) -> None:
    with VirtualOffice(tmp_path, THIN, profile) as office:
        office.run_until(lambda: len(office.batches) >= 2, 200)
        assert office.tls.handshakes == 1
        # It accepts everything and says nothing: found out by the answer that is missing.
        office.broker.mute = True
        office.run_s(150)
        assert "no answer to CONNECT in 5 s" in office.text
        office.broker.mute = False
        office.run_until(office.caught_up, 300)
        # Half open: the broker notices by its keep-alive, and publishes the will.
        office.states.clear()
        office.link("transit", down=True)
        office.run_s(180)
        assert "offline" in [state for _, state in office.states]
        office.link("transit", down=False)
        office.run_until(office.caught_up, 300)
        assert office.states[-1][1] == "online"
        office.broker_stops()
        office.run_s(90)
        office.broker_starts()
        office.run_until(office.caught_up, 300)
    assert office.store.refused == []
    assert office.holes() == []
    assert [batch.header.seq for batch in office.batches] == list(range(1, len(office.batches) + 1))
    assert office.disturbed_windows() == []
    # Every handshake but the first was made in a housekeeping slot.
    slots = [at_us % 60_000_000 for at_us, _ in office.broker.connects[1:]]
    assert all(at_us >= 50_000_000 for at_us in slots), slots


@PROFILES
def test_a_wrong_password_is_said_and_signed(profile: str, tmp_path: Path) -> None:
    with VirtualOffice(tmp_path, THIN, profile, broker={"password": "wrong"}) as office:
        office.run_s(300)
        assert office.batches == []
        assert office.broker.refused >= 2
        assert office.text.count("broker.user and broker.password") == 1
        office.broker.passwords = dict.fromkeys(office.broker.passwords, "wrong")
        office.run_until(lambda: len(office.batches) >= 4, 300)
    faults = [event for batch in office.batches for event in batch.events(codes.EVENT_FAULT)]
    assert [event[2] for event in faults] == [codes.FAULT_CONFIG]
    # Broker trouble is not network trouble: no target was ever said to fail.
    assert not any(batch.events(codes.EVENT_STATE) for batch in office.batches)


@PROFILES
def test_a_broker_of_another_authority_hears_nothing_and_all_once_it_is_mended(profile: str, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").certificate.public_bytes(Encoding.DER)
    with VirtualOffice(tmp_path, THIN, profile, ca=other) as office:
        office.run_s(70)
        assert office.text.count("certificate is of another authority") >= 1
        assert (office.broker.connects, office.batches) == ([], [])
        office.device.power_off()
        with office.device.unpowered_flash() as flash:
            flash.write_file("/ca.der", office.authority.certificate.public_bytes(Encoding.DER))
        office.device.power_on()
        office.run_until(lambda: office.caught_up() and office.batches[-1].header.boot == 2, 300)
        # All that was measured before it could be sent is there, and tells of no failure.
        assert [batch.header.seq for batch in office.batches] == list(range(1, len(office.batches) + 1))
        assert office.batches[0].header.boot == 1
        assert not any(batch.events(codes.EVENT_STATE) for batch in office.batches)
        assert office.holes() == []
        assert office.store.refused == []
