"""A file that does not fit is refused in one line: what, where, what to try."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from linewitness_wire import codes, plan
from witness.config import ConfigProblem, check_plan, load_config, load_plan
from witness.slices import replace_slices

GOOD: dict[str, Any] = {
    "site": "leeds", "witness": "desk", "board": "pico-w", "network": {"kind": "wifi", "ssid": "x", "password": "y"},
    "broker": {"host": "b", "port": 8883, "tls": True, "user": "u", "password": "p", "ca": "/ca.der"},
    "ack_secret": "00" * 32, "ntp": ["t"], "resolvers": ["192.0.2.1"],
}  # fmt: skip


def write(folder: Path, **changes: Any) -> str:
    fields = {**GOOD, **changes}
    path = folder / "config.json"
    path.write_text(json.dumps({key: value for key, value in fields.items() if value is not ...}))
    return str(path)


def test_a_whole_file_is_taken(tmp_path: Path) -> None:
    config = load_config(write(tmp_path))
    assert (config.site, config.witness, config.ack_secret) == ("leeds", "desk", bytes(32))
    assert config.secrets == config.hosts == {}


def test_secrets_and_private_hosts_are_taken(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, secrets={"key": "00ff"}, hosts={"private:00": "192.0.2.9"}))
    assert (config.secrets, config.hosts) == ({"key": "00ff"}, {"private:00": "192.0.2.9"})


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"site": ...}, "site is missing"),
        ({"sight": "x"}, "sight is no key of ours"),
        ({"site": 5}, "site is not a str"),
        ({"site": "a/b"}, "site: wanted letters"),
        ({"witness": ""}, "witness: wanted letters"),
        ({"network": {"kind": "token ring"}}, "network.kind: wanted wifi or ethernet"),
        ({"network": {"kind": "wifi"}}, "network.ssid is missing"),
        ({"broker": {**GOOD["broker"], "port": "8883"}}, "broker.port is not a int"),
        ({"broker": {**GOOD["broker"], "port": True}}, "broker.port is not a int"),
        ({"ack_secret": "00"}, "ack_secret: wanted 64 hex digits"),
        ({"ack_secret": "zz" * 32}, "ack_secret: wanted 64 hex digits"),
        ({"secrets": ["x"]}, "secrets is not a dict"),
        ({"hosts": {"private:00": 5}}, "hosts.private:00 is not a str"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(ConfigProblem) as problem:
        load_config(path)
    text = str(problem.value)
    assert what in text
    assert f"({path}); try: " in text
    assert "\n" not in text


@pytest.mark.parametrize("text", ["", "{", "[]", "5"])
def test_no_json_object_is_no_configuration(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigProblem, match=r"not (a )?JSON"):
        load_config(str(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match=r"no configuration .*config\.json"):
        load_config(str(tmp_path / "config.json"))
    with pytest.raises(ConfigProblem, match=r"no plan .*plan\.cbor"):
        load_plan(str(tmp_path / "plan.cbor"), "leeds", "desk")


def make_plan(site: str = "leeds") -> bytes:
    target = plan.Target("g", codes.SEGMENT_ROUTER, codes.METHOD_ICMP, 0, "gateway", 0, 1000, 500, 500, {})
    return plan.encode_plan(plan.Plan(site, "desk", 1, 60, [target], 3, 3, [], []))


def test_a_stored_plan_comes_back_with_its_digest(tmp_path: Path) -> None:
    path = str(tmp_path / "plan.cbor")
    for _ in replace_slices(path, make_plan()):
        assert not Path(path).exists()
    loaded, digest = load_plan(path, "leeds", "desk")
    assert loaded.targets[0].host == "gateway"
    assert digest == plan.digest(make_plan())
    assert [entry.name for entry in tmp_path.iterdir()] == ["plan.cbor"]


def test_another_s_plan_and_a_broken_one_are_refused() -> None:
    with pytest.raises(ConfigProblem, match="a plan for york/desk, this is leeds/desk"):
        check_plan(make_plan("york"), "leeds", "desk", "x")
    with pytest.raises(ConfigProblem, match="not a plan"):
        check_plan(make_plan()[:-1], "leeds", "desk", "x")
