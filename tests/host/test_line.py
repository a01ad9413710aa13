"""What signed batches say of a site's public address."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from linewitness.line import LineFacts, facts
from linewitness_wire import bodies, codes, cose, record
from linewitness_wire import plan as wire

UTC_US = 1_800_000_000_000_000
TARGETS = [
    wire.Target("gateway-igd", codes.SEGMENT_ROUTER, codes.METHOD_IGD, 0, "gateway", 0, 1000, 1000, 1000, {}),
    wire.Target("public", codes.SEGMENT_ACCESS, codes.METHOD_STUN, 0, "192.0.2.9", 0, 1000, 1000, 1000, {}),
]
PLAN = wire.encode_plan(wire.Plan("leeds", "w1", 0, 60, TARGETS, 3, 2, [], ["192.0.2.1"]))


def batch(seq: int, *events: list[Any], utc_us: int | None = UTC_US) -> tuple[str, bytes, bytes]:
    body = bodies.encode(record.Body([], list(events)), 60_000_000)
    clock = record.Clock(None, None, 0, None) if utc_us is None else record.Clock(utc_us, 1000, codes.CLOCK_SNTP, 1)
    header = record.Header(
        seq, bytes(32), 1, 60_000_000, 120_000_000, clock, wire.digest(PLAN), bytes(32),
        hashlib.sha256(body).digest(), (0, len(events), len(body)), None,
    )  # fmt: skip
    return "w1", cose.join(bytes(8), record.encode_header(header), bytes(64)), body


def address(target: int, text: str, at_us: int = 10_000_000) -> list[Any]:
    return [codes.EVENT_PUBLIC_ADDRESS, at_us, target, bytes(map(int, text.split(".")))]


def of(*batches: tuple[str, bytes, bytes | None]) -> LineFacts:
    return facts(batches, {wire.digest(PLAN): PLAN}.get)


def test_changes_are_told_with_their_time_and_source() -> None:
    found = of(
        batch(1, address(1, "203.0.113.7"), utc_us=None),
        batch(2, address(1, "198.18.7.9"), [codes.EVENT_BACKUP, 11_000_000, 1]),
        ("w1", b"", None),
    )
    assert [(c.at_us, c.source, c.what) for c in found.changes] == [
        (None, "stun", "203.0.113.7"),
        (UTC_US - 50_000_000, "stun", "198.18.7.9"),
        (UTC_US - 49_000_000, "backup", "on backup access"),
    ]
    assert found.findings == ()


@pytest.mark.parametrize(
    ("router", "outside", "finding"),
    [
        ("203.0.113.7", "203.0.113.7", None),
        ("192.168.0.7", "203.0.113.7", "w1: double NAT: the router's own public address is the private 192.168.0.7"),
        (
            "100.64.3.7",
            "203.0.113.7",
            "w1: carrier-grade NAT: the router's own public address is 100.64.3.7 (RFC 6598)",
        ),
        (
            "203.0.113.7",
            "198.51.100.4",
            "w1: double NAT: the router says 203.0.113.7, a server outside saw 198.51.100.4",
        ),
    ],
)
def test_nat_behind_nat_is_found(router: str, outside: str, finding: str | None) -> None:
    found = of(batch(1, address(0, router), address(1, outside)))
    assert found.findings == ((finding,) if finding else ())
