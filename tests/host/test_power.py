"""Was there power? An ESPHome device is read over its native API, plain and encrypted, and what it said is kept."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from esphome_device import binary, device, sensor

from linewitness import config
from linewitness.cli import main
from linewitness.device.esphome import read
from linewitness.errors import CannotDo, Refused, UsageProblem
from linewitness.fleet import Fleet
from linewitness.founding import found_fleet
from linewitness.site import Surroundings, default_table

KEY = base64.b64encode(bytes(range(32))).decode()
UPS = [
    sensor(1, "Mains Voltage", "V", "voltage", 231.5),
    sensor(2, "Uptime", "s", "duration", 86_400.0),
    sensor(3, "Load", "W", "power", None),
]


@pytest.mark.parametrize("key", [None, KEY])
def test_a_device_is_read_plain_and_encrypted(key: str | None) -> None:
    with device(UPS, key) as port:
        said = read("127.0.0.1", port, key, 2.0)
    assert (said.name, said.model, said.version) == ("ups-leeds", "esp32dev", "2026.10.0")
    assert (said.mains, said.uptime_s, said.encrypted) == (True, 86_400, key is not None)
    assert {e.name: e.state for e in said.entities} == {"Mains Voltage": 231.5, "Uptime": 86_400.0, "Load": None}


@pytest.mark.parametrize(
    ("entities", "mains", "want"),
    [
        ([sensor(1, "Mains Voltage", "V", "voltage", 3.0)], None, False),
        ([binary(1, "On mains", "plug", False), sensor(2, "Battery voltage", "V", "voltage", 230.0)], None, False),
        ([binary(1, "Line", "", True)], None, None),
        ([binary(1, "Line", "", True)], "line", True),
        ([sensor(1, "Mains Voltage", "V", "voltage", None)], None, None),
        ([sensor(1, "Battery", "%", "battery", 90.0)], None, None),
    ],
)
def test_power_is_told_only_by_what_can_tell_it(entities: list[Any], mains: str | None, want: bool | None) -> None:
    with device(entities) as port:
        assert read("127.0.0.1", port, None, 2.0, mains).mains is want


def test_a_wrong_key_no_key_and_silence_are_told_apart() -> None:
    other = base64.b64encode(bytes(32)).decode()
    with device(UPS, KEY) as port:
        with pytest.raises(Refused, match="does not take this key"):
            read("127.0.0.1", port, other, 1.0)
        with pytest.raises(UsageProblem, match="wants encryption"):
            read("127.0.0.1", port, None, 1.0)
        with pytest.raises(Refused, match="does not take this key"):
            read("127.0.0.1", port, "not base64!", 1.0)
    with pytest.raises(CannotDo, match=r"^the device does not answer: connection refused "):
        read("127.0.0.1", port, None, 1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found_fleet(tmp_path, "acme", ["127.0.0.1"], 8883)
    table = default_table("leeds", "Northnet", "VoxCloud", None, "UTC", {"kind": "ethernet"}, Surroundings())
    config.write(tmp_path / "sites" / "leeds.toml", config.dumps(table))
    Fleet.open(tmp_path).set_secret("ups-leeds", KEY)
    return tmp_path


def run(folder: Path, *words: str) -> Any:
    return CliRunner().invoke(main, ["power", *words, "--fleet", str(folder), "--json"])


def test_what_a_monitor_said_is_kept_and_its_silence_too(folder: Path) -> None:
    with device(UPS, KEY) as port:
        told = run(folder, "read", f"127.0.0.1:{port}", "--site", "leeds", "--key", "secret:ups-leeds")
        unknown = run(folder, "read", f"127.0.0.1:{port}", "--site", "leeds", "--key", "ups-leeds", "--mains", "x")
    assert told.exit_code == 0, told.output
    value = json.loads(told.stdout)
    assert (value["mains"], value["segment"], value["reachable"]) == (True, "power", True)
    assert value["at_us"] - value["started_us"] == 86_400_000_000
    assert KEY not in told.output
    assert "no entity 'x' (127.0.0.1" in unknown.stderr
    assert "mains_voltage" in unknown.stderr
    silent = run(folder, "read", f"127.0.0.1:{port}", "--site", "leeds", "--seconds", "1")
    assert silent.exit_code == 1
    assert silent.stderr.startswith("error: the device does not answer")
    rows = json.loads(run(folder, "list", "--site", "leeds").stdout)
    assert [(row["reachable"], row["mains"]) for row in rows] == [(True, True), (False, None)]


def test_watching_keeps_a_reading_only_when_something_changed(folder: Path) -> None:
    with device(UPS) as port:
        told = run(folder, "watch", f"127.0.0.1:{port}", "--site", "leeds", "--every", "1", "--for", "2.5")
    assert json.loads(told.stdout) == {"kept": 1}
    with Fleet.open(folder).ledger() as book:
        assert len(list(book.items("power", name="leeds/power"))) == 1
