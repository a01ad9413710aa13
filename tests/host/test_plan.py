"""What a plan says and what it keeps to itself: persons' devices, secrets, each witness's share of a provider."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from linewitness import config
from linewitness.device.install import config_json
from linewitness.errors import CannotDo, UsageProblem
from linewitness.evidence.publish import as_text, publish_plans
from linewitness.evidence.signed import Signer
from linewitness.fleet import Fleet
from linewitness.founding import found_fleet
from linewitness.plan import compile_plan, current, describe, outdated
from linewitness.private import private_hosts, salt_of
from linewitness.site import Surroundings, default_table
from linewitness_wire import codes
from linewitness_wire import plan as wire

PHONE = "192.168.44.17"
KEY = "00112233445566778899aabbccddeeff"


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    made, _ = found_fleet(tmp_path, "acme", ["127.0.0.1"], 8883)
    around = Surroundings("sip.vox.example", "192.0.2.9", "198.51.100.1", phones=(PHONE,))
    table = default_table("leeds", "Northnet", "VoxCloud", None, "UTC", {"kind": "ethernet"}, around)
    config.write(tmp_path / "sites" / "leeds.toml", config.dumps(table))
    return made


def change(fleet: Fleet, **changes: object) -> None:
    """Add keys to targets of the site, by the target's name ('-' as '_')."""
    path = fleet.root / "sites" / "leeds.toml"
    table = tomllib.loads(path.read_text())
    for target in table["target"]:
        target.update(changes.get(target["name"].replace("-", "_"), {}))  # type: ignore[call-overload]
    table["plan"].update(changes.get("plan", {}))
    config.write(path, config.dumps(table))


def test_no_address_of_a_person_s_device_is_in_a_plan_or_its_publication(fleet: Fleet) -> None:
    site = fleet.site("leeds")
    with fleet.ledger() as book:
        octets = current(book, fleet, site, "w1", 1)
        signer = Signer(fleet.public_key, fleet.sign)
        (published,) = publish_plans(book, signer, [("leeds", "w1", b"k" * 8)], lambda s, w: octets, describe, 2)
    text = as_text([published], "f", "acme")
    assert PHONE not in text + json.dumps(published.plan)
    assert PHONE.encode() not in octets + published.signed
    phone = next(t for t in wire.decode_plan(octets).targets if t.segment == codes.SEGMENT_ENDPOINT)
    assert phone.host == wire.private_host(salt_of(fleet, site), PHONE)
    assert phone.host in text


def test_the_witness_is_told_the_addresses_and_secrets_that_its_plan_only_names(fleet: Fleet) -> None:
    fleet.set_secret("stamp-leeds", KEY)
    change(fleet, reflector={"secret": "secret:stamp-leeds"})
    site = fleet.site("leeds")
    told = json.loads(config_json(fleet, site, "w1", "pico-w", fleet.make_witness_secrets("leeds", "w1")))
    plan = wire.decode_plan(compile_plan(site, "w1", 0, salt_of(fleet, site)))
    hosts = {t.host for t in plan.targets if t.host.startswith(wire.PRIVATE)}
    assert told["hosts"] == dict.fromkeys(hosts, PHONE) == private_hosts(fleet, site)
    assert told["secrets"] == {"stamp-leeds": KEY}
    window = next(t for t in plan.targets if t.name == "reflector")
    assert window.options[wire.OPTION_SECRET] == "stamp-leeds"
    assert KEY not in json.dumps(describe(wire.encode_plan(plan)))


def test_the_salt_is_the_site_s_own_and_stays(fleet: Fleet) -> None:
    site = fleet.site("leeds")
    assert salt_of(fleet, site) == salt_of(fleet, site) != b""
    assert fleet.secret("endpoints-leeds") == salt_of(fleet, site).hex()
    assert wire.private_host(b"one", PHONE) != wire.private_host(b"other", PHONE)


@pytest.mark.parametrize(
    ("changes", "error", "line"),
    [
        ({"phone_1": {"method": "sip_udp", "query": PHONE}}, UsageProblem, "the query would tell the device's address"),
        ({"gateway": {"method": "igd", "host": "192.168.1.1"}}, UsageProblem, "only the default gateway is asked"),
        ({"gateway": {"method": "snmp"}}, UsageProblem, "key 'secret' is missing"),
        ({"gateway": {"method": "stun", "usual": "203.0.113.7/24"}}, UsageProblem, "has host bits set"),
    ],
)
def test_what_would_tell_or_ask_too_much_is_refused(
    fleet: Fleet, changes: dict[str, object], error: type[Exception], line: str
) -> None:
    change(fleet, **changes)
    with pytest.raises(error, match=line):
        compile_plan(fleet.site("leeds"), "w1", 0, b"salt")


@pytest.mark.parametrize(("key", "line"), [("not hex", "not hexadecimal"), ("00ff", "the key has 2 octets, 16 are")])
def test_a_stamp_key_that_is_none_is_refused_before_it_is_flashed(fleet: Fleet, key: str, line: str) -> None:
    change(fleet, reflector={"secret": "k"})
    secrets = fleet.make_witness_secrets("leeds", "w1")
    with pytest.raises(CannotDo, match="no secret 'k'"):
        config_json(fleet, fleet.site("leeds"), "w1", "pico-w", secrets)
    fleet.set_secret("k", key)
    with pytest.raises(UsageProblem, match=line):
        config_json(fleet, fleet.site("leeds"), "w1", "pico-w", secrets)


def provider(octets: bytes) -> list[wire.Target]:
    return [t for t in wire.decode_plan(octets).targets if wire.OPTION_GAP_MS in t.options]


def requests_a_second(targets: list[wire.Target]) -> float:
    return sum(1000 / t.period_ms for t in targets)


@pytest.mark.parametrize("witnesses", [1, 2, 5])
def test_all_witnesses_of_a_site_together_ask_a_provider_at_most_once_a_second(fleet: Fleet, witnesses: int) -> None:
    change(fleet, edge={"period_ms": 1000}, edge_sip={"period_ms": 1000})
    targets = provider(compile_plan(fleet.site("leeds"), "w1", 0, b"salt", witnesses))
    assert {t.name for t in targets} >= {"edge", "edge-sip", "edge-tcp"}
    assert 0.95 < requests_a_second(targets) * witnesses <= 1.0
    assert {t.options[wire.OPTION_GAP_MS] for t in targets} == {1000 * witnesses}
    assert min(t.fast_period_ms for t in targets) >= 1000 * witnesses


def test_a_second_witness_halves_the_share_of_the_first(fleet: Fleet) -> None:
    fleet.make_witness_secrets("leeds", "w1")
    with fleet.ledger() as book:
        alone = current(book, fleet, fleet.site("leeds"), "w1", 1)
        fleet.make_witness_secrets("leeds", "w2")
        fleet.make_witness_secrets("york", "w1")
        shared = current(book, fleet, fleet.site("leeds"), "w1", 2)
        assert outdated(book, fleet, fleet.site("leeds")) == []  # w2 has no plan yet
        change(fleet, edge={"timeout_ms": 1500})
        assert outdated(book, fleet, fleet.site("leeds")) == ["w1"]
    gaps = [{t.options[wire.OPTION_GAP_MS] for t in provider(octets)} for octets in (alone, shared)]
    assert gaps == [{1000}, {2000}]


def test_on_metered_access_there_are_no_windows(fleet: Fleet) -> None:
    change(fleet, plan={"metered": True})
    methods = {t.method for t in wire.decode_plan(compile_plan(fleet.site("leeds"), "w1", 0, b"salt")).targets}
    assert codes.METHOD_STAMP not in methods
    assert codes.METHOD_ICMP in methods
