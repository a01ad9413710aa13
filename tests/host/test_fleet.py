"""A fleet folder is made once, opened strictly, and keeps its secrets to its owner."""

from __future__ import annotations

import datetime
import ssl
import stat

import pytest
from click.testing import CliRunner
from cryptography import x509

from linewitness import config
from linewitness.cli import main
from linewitness.errors import CannotDo, UsageProblem
from linewitness.fleet import FLEET_SCHEMA, Fleet, broker_users
from linewitness.founding import found_fleet
from linewitness.plan import compile_plan, current, describe
from linewitness.site import Surroundings, default_table
from linewitness_wire import plan as wire_plan


@pytest.fixture
def fleet(tmp_path):
    return found_fleet(tmp_path / "acme", "acme", ["192.0.2.10", "broker.acme.example"], 8883)[0]


def add_site(fleet, name="leeds", **more):
    arguments = ["site", "add", name, "--isp", "Northnet", "--provider", "VoxCloud", "--fleet", str(fleet.root)]
    for option, value in more.items():
        arguments += [f"--{option.replace('_', '-')}", value]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return fleet.root / "sites" / f"{name}.toml"


def test_secret_files_are_the_owner_s_alone(fleet):
    for name in ("keys/fleet.key", "keys/ca.key", "keys/broker.key", "secrets.toml"):
        assert stat.S_IMODE((fleet.root / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(fleet.keys.stat().st_mode) == 0o700


def test_founding_again_changes_nothing(fleet):
    before = {p: p.read_bytes() for p in fleet.root.rglob("*") if p.is_file() and "sqlite" not in p.name}
    again, made = found_fleet(fleet.root, "other", [], 1234)
    assert made == []
    assert {p: p.read_bytes() for p in before} == before
    assert again.fingerprint == fleet.fingerprint


def test_a_lost_fleet_key_is_never_replaced_silently(fleet):
    (fleet.keys / "fleet.key").unlink()
    with pytest.raises(CannotDo, match=r"fleet.pub is there, fleet.key is not .*restore fleet.key"):
        found_fleet(fleet.root, "acme", [], 8883)


def test_the_broker_s_certificate_holds_under_every_name_and_grows(fleet):
    def names():
        certificate = x509.load_pem_x509_certificate((fleet.keys / "broker.pem").read_bytes())
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return {str(name.value) for name in found}, certificate

    wanted = {"192.0.2.10", "broker.acme.example", "127.0.0.1", "localhost"}
    assert names()[0] == wanted
    authority = (fleet.keys / "ca.der").read_bytes()
    found_fleet(fleet.root, "acme", ["new.acme.example"], 8883)
    assert names()[0] == wanted | {"new.acme.example"}
    assert (fleet.keys / "ca.der").read_bytes() == authority
    ca = x509.load_der_x509_certificate(authority)
    names()[1].verify_directly_issued_by(ca)
    assert names()[1].not_valid_after_utc > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=365 * 10)
    ssl.create_default_context(cadata=authority)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[fleet]\nnmae='x'", r"unknown key 'nmae' \(.*fleet.toml: fleet\); try: name"),
        ("[fleet]\nname=1\n[broker]\nhost='h'\nport=1", r"wanted text, got 1 \(.*fleet.toml: fleet: name\)"),
        (
            "[fleet]\nname='x'\n[broker]\nhost='h'",
            r"key 'port' is missing \(.*fleet.toml: broker\); try: add port = ...",
        ),
        ("[fleet]\nname='x'\n[broker]\nhost='h'\nport=true", r"wanted a whole number, got True"),
        ("[fleet]\nname='x'\n[broker]\nhost='h'\nport=70000", r"wanted a port 1..65535, got 70000"),
        ("[fleet", r"not TOML: .* \(.*fleet.toml\); try: mend the line named"),
    ],
)
def test_a_wrong_config_is_one_line_that_names_file_key_and_way_out(fleet, text, line):
    (fleet.root / "fleet.toml").write_text(text)
    with pytest.raises(UsageProblem, match=line) as caught:
        Fleet.open(fleet.root)
    assert "\n" not in caught.value.line()
    assert caught.value.exit_code == 2


def test_no_fleet_here_says_how_to_make_one(tmp_path):
    with pytest.raises(CannotDo, match=r"no fleet.toml here .*; try: linewitness init FOLDER"):
        Fleet.open(tmp_path)


def test_an_unreadable_key_is_one_line(fleet):
    (fleet.keys / "fleet.key").write_text("no key")
    with pytest.raises(CannotDo, match=r"not a private key in PEM \(.*fleet.key\); try: restore"):
        _ = fleet.key
    (fleet.keys / "fleet.key").unlink()
    (fleet.keys / "fleet.key").mkdir()
    with pytest.raises(CannotDo, match=r"is a directory \(.*fleet.key\)"):
        _ = fleet.key


@pytest.mark.parametrize("name", ["broker.pem", "ca.key", "ca.pem"])
def test_a_broken_certificate_is_one_line_when_founding_again(fleet, name):
    (fleet.keys / name).write_text("junk")
    with pytest.raises(CannotDo, match=r"in PEM \(.*; try: restore"):
        found_fleet(fleet.root, "acme", ["192.0.2.99"], 8883)


def test_a_witness_keeps_its_secrets_until_it_is_forgotten(fleet):
    made = fleet.make_witness_secrets("leeds", "w1")
    assert fleet.make_witness_secrets("leeds", "w1") == made
    assert len(made.ack_secret) == 32
    assert broker_users(fleet.root / "secrets.toml")["leeds/w1"] == made.password
    fleet.set_secret("sip-test", 'a"b\\c\nd')
    assert fleet.secret("sip-test") == 'a"b\\c\nd'
    fleet.forget_witness("leeds", "w1")
    assert fleet.witness_secrets("leeds", "w1") is None
    assert stat.S_IMODE((fleet.root / "secrets.toml").stat().st_mode) == 0o600


def test_toml_written_is_toml_read(tmp_path):
    made = default_table("leeds", 'I"SP', "p", "c", "UTC", {"kind": "ethernet"}, Surroundings("e:5061", "r", "h"))
    path = tmp_path / "leeds.toml"
    config.write(path, config.dumps(made))
    import tomllib

    assert tomllib.loads(path.read_text()) == made
    assert FLEET_SCHEMA["broker"]["port"] is int


def test_a_site_compiles_to_a_plan_that_the_witness_takes(fleet):
    add_site(fleet, edge="sip.vox.example:5062", reflector="192.0.2.9", isp_hop="198.51.100.1", phone="10.0.0.9")
    octets = compile_plan(fleet.site("leeds"), "w1", 1_790_000_000_000_000, b"salt")
    plan = wire_plan.decode_plan(octets)
    assert (plan.site, plan.witness, plan.issued_utc_us) == ("leeds", "w1", 1_790_000_000_000_000)
    words = {t["name"]: t for t in describe(octets)["targets"]}
    assert {t["segment"] for t in words.values()} == {
        *("witness", "lan", "router", "access", "transit", "provider", "endpoint")
    }
    assert words["edge-sip"]["port"] == 5062
    assert words["reflector"]["options"]["codec"] == "G.711 PLC"
    assert len([t for t in words.values() if t["segment"] == "transit" and t["method"] == "icmp"]) == 3


def test_a_plan_changes_only_when_the_site_does(fleet):
    path = add_site(fleet)
    with fleet.ledger() as book:
        first = current(book, fleet, fleet.site("leeds"), "w1", 1)
        assert current(book, fleet, fleet.site("leeds"), "w1", 2) == first
        path.write_text(path.read_text().replace("batch_s = 60", "batch_s = 10"))
        second = current(book, fleet, fleet.site("leeds"), "w1", 3)
        assert second != first
        assert [item.content for item in book.items("plan")] == [first, second]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('segment = "router"', 'segment = "rooter"', r"unknown name 'rooter' \(sites/leeds.toml: target 'gateway'"),
        ('method = "icmp"', 'method = "ping"', r"unknown name 'ping' .*; try: one of self, link, icmp"),
        ('query = "example.com"', "", r"key 'query' is missing \(sites/leeds.toml: target 'gateway-dns'\)"),
        ("period_ms = 5000", "period_ms = 5", r"target 2: field 6: wanted 200..3600000, got 5 \(sites/leeds.toml\)"),
        ('name = "anchor-2"', 'name = "anchor-1"', "two targets are called 'anchor-1'"),
        (
            'host = "8.8.8.8"',
            'host = "8.8..8"',
            r"wanted an address or a host's name, got '8.8..8' \(sites/leeds.toml: .*host\)",
        ),
        ("batch_s = 60", "batch_s = 0", "field 4: wanted 1..3600, got 0"),
    ],
)
def test_a_wrong_target_is_refused_by_name(fleet, old, new, line):
    path = add_site(fleet)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UsageProblem, match=line):
        compile_plan(fleet.site("leeds"), "w1", 0)


def test_a_host_that_can_t_be_one_is_refused_before_anything_is_written(fleet):
    arguments = ["site", "add", "bath", "--isp", "a", "--provider", "b", "--isp-hop", "no host"]
    result = CliRunner().invoke(main, [*arguments, "--fleet", str(fleet.root)])
    line = "error: wanted an address or a host's name, got 'no host' (isp-hop); try: 192.0.2.1 or sip.example.com\n"
    assert (result.exit_code, result.stderr) == (2, line)
    assert not (fleet.root / "sites" / "bath.toml").exists()


def test_a_site_s_name_can_t_leave_its_topic(fleet):
    for name in ("a/b", "a+", "#", "", "../x", "x" * 33):
        arguments = ["site", "add", name, "--isp", "i", "--provider", "p", "--fleet", str(fleet.root)]
        assert CliRunner().invoke(main, arguments).exit_code == 2, name


def test_a_plan_without_time_servers_is_refused_by_key(fleet):
    path = add_site(fleet)
    text = path.read_text()
    start = text.index("time_servers = ")
    path.write_text(text[:start] + "time_servers = []" + text[text.index("\n", start) :])
    with pytest.raises(UsageProblem, match=r"leeds\.toml: plan: time_servers"):
        compile_plan(fleet.site("leeds"), "w1", 0)
