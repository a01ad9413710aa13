"""What the witness itself spoilt is void, and only that: an outage is seen on a busy witness too."""

from __future__ import annotations

import pytest

from linewitness_wire import codes
from witness import sample

SENT_US = 1_000_000
TIMEOUT_US = 500_000


class Clock:
    """A clock that stands at now_us and tells one stall."""

    def __init__(self, now_us: int, stall_us: int) -> None:
        self._now_us = now_us
        self._stall_us = stall_us

    def now_us(self) -> int:
        return self._now_us

    def stall_us_since(self, since_us: int) -> int:
        assert since_us == SENT_US
        return self._stall_us


class Link:
    def __init__(self, up: bool) -> None:
        self._up = up

    def is_up(self) -> bool:
        return self._up


@pytest.mark.parametrize(
    ("rtt_us", "stall_us", "fate"),
    [
        (20_000, 0, codes.FATE_ANSWERED),
        (20_000, sample.STALL_US, codes.FATE_ANSWERED),
        (20_000, sample.STALL_US + 1, codes.FATE_VOID),
        (TIMEOUT_US, 0, codes.FATE_ANSWERED),
        (TIMEOUT_US + 1, 0, codes.FATE_LOST),
        (TIMEOUT_US + 1, sample.STALL_US + 1, codes.FATE_VOID),
    ],
)
def test_a_reply_counts_within_the_threshold_and_without_a_stall(rtt_us, stall_us, fate):
    clock = Clock(SENT_US + rtt_us, stall_us)
    got = sample.answered(clock, SENT_US, SENT_US + rtt_us, TIMEOUT_US, codes.FATE_ANSWERED, None)
    assert got == (fate, SENT_US, rtt_us if fate == codes.FATE_ANSWERED else None, None)


def test_a_reply_that_says_that_the_service_fails_keeps_its_code_and_its_delay():
    got = sample.answered(Clock(SENT_US, 0), SENT_US, SENT_US + 7, TIMEOUT_US, codes.FATE_WRONG, 503)
    assert got == (codes.FATE_WRONG, SENT_US, 7, 503)


@pytest.mark.parametrize(
    ("stall_us", "up", "fate"),
    [
        (0, True, codes.FATE_LOST),
        (sample.LOSS_STALL_US, True, codes.FATE_LOST),
        (sample.LOSS_STALL_US + 1, True, codes.FATE_VOID),
        (0, False, codes.FATE_VOID),
    ],
)
def test_silence_is_loss_unless_the_witness_may_have_missed_the_reply(stall_us, up, fate):
    clock = Clock(SENT_US + TIMEOUT_US, stall_us)
    assert sample.unanswered(clock, Link(up), SENT_US, -113) == (fate, SENT_US, None, -113)


def test_a_name_that_never_resolved_is_no_measurement():
    assert sample.unresolved(5) == (codes.FATE_VOID, 5, None, sample.CODE_UNRESOLVED)
