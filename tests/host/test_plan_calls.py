"""Targets with TLS, sets of SIP servers and test calls, from a site's file to a witness."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from linewitness.device.authorities import authority_files
from linewitness.errors import CannotDo, UsageProblem
from linewitness.founding import found_fleet
from linewitness.plan import compile_plan, describe
from linewitness.site import Site
from linewitness_wire import codes, errors
from linewitness_wire import plan as wire

CALL = {
    "name": "on-net", "segment": "provider", "method": "call", "host": "sip.voxcloud.example", "extension": "9196",
    "seconds": 15, "codec": "G.711 PLC", "buffer_ms": 60, "secret": "secret:sip-test", "register": True, "echo": True,
    "allowed": True,
}  # fmt: skip


def site(*targets: dict[str, Any]) -> Site:
    plan = {
        "batch_s": 60, "fail_rounds": 3, "clear_rounds": 2, "resolvers": ["1.1.1.1"], "time_servers": ["a", "b", "c"],
    }  # fmt: skip
    return Site("leeds", "Northnet", "VoxCloud", None, "Europe/London", {"kind": "ethernet"}, plan, list(targets))


def test_a_call_is_compiled_and_told_in_words_and_its_secret_is_a_name_only():
    carriers = [CALL | {"name": name, "segment": "carrier", "extension": number, "echo": False}
                for name, number in (("carrier-a", "+441132960001"), ("carrier-b", "+441632960002"))]  # fmt: skip
    octets = compile_plan(site(CALL, *carriers), "w1", 0)
    targets = wire.decode_plan(octets).targets
    assert [t.period_ms for t in targets] == [1_800_000] * 3
    assert wire.calls_an_hour_milli(targets) == 6000
    words = describe(octets)["targets"][0]
    assert (words["method"], words["options"]["extension"], words["options"]["secret"]) == ("call", "9196", "sip-test")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"allowed": False}, "a call to 9196 that you did not agree to"),
        ({"seconds": 14}, "a test call lasts 15..30 s, not 14"),
        ({"timeout_ms": 31_001}, "31001 ms for the answer is too long"),
        ({"period_ms": 599_000}, "wanted at most 6 test calls an hour, got 6"),
    ],
)
def test_calls_that_nobody_agreed_to_or_too_many_are_refused(change, line):
    with pytest.raises(UsageProblem) as refused:
        compile_plan(site(CALL | change), "w1", 0)
    assert line in str(refused.value)


def test_a_witness_takes_no_plan_with_a_call_that_nobody_agreed_to():
    plan = wire.decode_plan(compile_plan(site(CALL), "w1", 0))
    options = {key: value for key, value in plan.targets[0].options.items() if key != wire.OPTION_ALLOWED}
    with pytest.raises(errors.OutOfRange, match="without the operator's yes"):
        wire.encode_plan(plan._replace(targets=[plan.targets[0]._replace(options=options)]))


def test_each_server_of_a_set_is_a_target():
    sets = [
        {"name": f"edge-{n}", "segment": "provider", "method": method, "host": "voxcloud.example", "member": n}
        for n, method in enumerate(("sip_udp", "sip_tcp", "sip_tls"), 1)
    ]
    targets = wire.decode_plan(compile_plan(site(*sets), "w1", 0)).targets
    assert [t.options[wire.OPTION_MEMBER] for t in targets] == [1, 2, 3]
    assert [t.port for t in targets] == [0, 0, 0]
    assert [t.timeout_ms for t in targets] == [2_000, 2_000, 4_000]
    assert targets[2].method == codes.METHOD_SIP_TLS


def test_the_authority_of_a_target_comes_onto_the_board(tmp_path: Path):
    fleet, _ = found_fleet(tmp_path / "fleet", "acme", ["127.0.0.1"], 8883)
    tls = {"name": "t", "segment": "provider", "method": "tls", "host": "h.example", "port": 443, "authority": "vox"}
    with pytest.raises(CannotDo, match="no certificate of the authority 'vox'"):
        authority_files(fleet, site(tls))
    folder = fleet.root / "authorities"
    folder.mkdir()
    (folder / "vox.pem").write_text("none")
    with pytest.raises(CannotDo, match="no certificate in PEM"):
        authority_files(fleet, site(tls))
    (folder / "vox.pem").write_bytes((fleet.keys / "ca.pem").read_bytes())
    files = authority_files(fleet, site(tls))
    assert list(files) == ["/authority-vox.der"]
    assert x509.load_der_x509_certificate(files["/authority-vox.der"]).subject is not None
    assert authority_files(fleet, dataclasses.replace(site(tls), targets=[])) == {}
