"""What a plan costs: the document's table is the code's, and sums are what their parts say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from linewitness.cli import main
from linewitness.cost import cost
from linewitness.default_plan import text
from linewitness_wire import codes, record
from linewitness_wire import plan as wire

DOCUMENT = Path(__file__).parents[2] / "docs" / "default-plan.md"


def target(method: int, segment: int = codes.SEGMENT_PROVIDER, period_ms: int = 10_000, **options: int) -> wire.Target:
    known = {getattr(wire, f"OPTION_{name.upper()}"): value for name, value in options.items()}
    return wire.Target("t", segment, method, 0, "192.0.2.1", 0, period_ms, 1000, 1000, known)


def plan(*targets: wire.Target, batch_s: int = 60) -> wire.Plan:
    return wire.Plan("leeds", "w1", 0, batch_s, list(targets), 3, 2, [], ["192.0.2.1"])


def test_the_table_in_the_document_is_what_the_code_reckons() -> None:
    assert text() in DOCUMENT.read_text(), (
        "python -m linewitness.default_plan prints what docs/default-plan.md must have"
    )


def test_the_default_plan_is_about_20_kbits_each_way_and_touches_the_provider_every_2_s() -> None:
    sentence = text().splitlines()[-4]
    up, down = (float(word) for word in sentence.split() if word[0].isdigit())
    assert 15 < up < 22
    assert 15 < down < 22
    assert "| edge | provider | icmp | 2 s |" in text()


def test_a_g711_window_costs_what_its_packets_do() -> None:
    window = target(codes.METHOD_STAMP, period_ms=60_000, packets=250, payload=172)
    line = cost(plan(window)).lines[0]
    assert line.hourly.octets_up == line.hourly.octets_down == 60 * 250 * (20 + 8 + 172)


def test_shorter_batches_cost_more_messages_and_flash() -> None:
    echo = target(codes.METHOD_ICMP)
    minute, short = cost(plan(echo)), cost(plan(echo, batch_s=10))
    assert (minute.messages, short.messages) == (240, 1440)
    assert short.flash_pages > minute.flash_pages
    assert short.kbits("up") > minute.kbits("up")


def test_what_stays_in_the_lan_does_not_load_the_line() -> None:
    near, far = target(codes.METHOD_ICMP, codes.SEGMENT_ROUTER), target(codes.METHOD_ICMP)
    found = cost(plan(near, far))
    assert found.kbits("up") - found.kbits("up", line_only=True) == pytest.approx(44 * 360 * 8 / 3600 / 1000)


def test_billed_calls_cost_money() -> None:
    call = target(codes.METHOD_CALL, period_ms=1_200_000, seconds=20, codec=0, buffer_ms=60, allowed=1)
    found = cost(plan(call), per_call=0.02, per_minute=0.03)
    assert found.lines[0].calls == 3
    assert found.money == pytest.approx(3 * (0.02 + 0.03 / 3))


def test_the_reckoned_readings_are_ones_that_a_witness_may_sign() -> None:
    from linewitness import cost as module

    for method in (codes.METHOD_ICMP, codes.METHOD_SNMP, codes.METHOD_NTP):
        record.check_reading(module._shots(target(method), 6, 60))
    record.check_reading(module._window(target(codes.METHOD_STAMP)))
    record.check_reading(module._own(target(codes.METHOD_LINK), 60))


def test_the_command_prints_a_plan_s_cost_from_a_file_and_from_a_site(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    run = CliRunner().invoke
    assert run(main, ["init", str(folder)]).exit_code == 0
    words = ["site", "add", "leeds", "--isp", "a", "--provider", "b", "--edge", "sip.example", "--phone", "192.168.1.9"]
    assert run(main, [*words, "--fleet", str(folder)]).exit_code == 0
    told = run(main, ["plan", "cost", "--site", "leeds", "--fleet", str(folder), "--json"])
    assert told.exit_code == 0, told.output
    (value,) = json.loads(told.stdout)
    assert value["up_kbits"] > value["line_up_kbits"] > 0
    assert value["batch_octets"] > sum(line["batch_octets"] for line in value["targets"])
    path = tmp_path / "plan.cbor"
    path.write_bytes(wire.encode_plan(plan(target(codes.METHOD_ICMP))))
    shown = run(main, ["plan", "cost", str(path)])
    assert "kbit/s up" in shown.output
    neither = run(main, ["plan", "cost"])
    assert neither.exit_code == 2
    path.write_bytes(b"\x00")
    assert run(main, ["plan", "cost", str(path)]).stderr.startswith("error: not a plan: ")
