"""The clock's bound over whole days: it always holds the error, whoever lies; the thousand days are a benchmark."""

from __future__ import annotations

import pytest
from clock_days import DAY_US, Day

from witness import sync

DAYS = 20


def test_the_bound_holds_the_error_at_every_moment_of_twenty_days() -> None:
    outcomes = [Day(seed).run() for seed in range(DAYS)]
    assert [us for outcome in outcomes for us in outcome.broken_us] == []
    assert all(len(outcome.errors_us) > outcome.asked // 2 for outcome in outcomes)
    bounds_us = sorted(us for outcome in outcomes for us in outcome.bounds_us)
    assert bounds_us[len(bounds_us) // 2] < 100_000
    assert sum(outcome.refused for outcome in outcomes) > 0
    # A bound that is never tight would prove nothing: the naive clock breaks its own in the same world.
    assert sum(outcome.naive_broken for outcome in outcomes) > 0


def test_a_clock_that_trusts_its_crystal_too_much_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("witness.clock.DRIFT_PPM", 0)
    monkeypatch.setattr(sync, "POLL_MS", 4_096_000)
    monkeypatch.setattr("clock_days.POLL_MS", 4_096_000)
    outcomes = [Day(seed).run(DAY_US // 2) for seed in range(20)]
    assert any(outcome.broken_us for outcome in outcomes)
