"""How often a provider is asked: the limits hold over all targets, also while it fails; what it asks for is obeyed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from fast_clock import FastClock

from linewitness_wire import codes, plan
from witness.manners import PATIENCE_US, Manners

SECOND = 1_000_000


def edge(name: str, method: int, gap_ms: int, host: str = "sip.example", role: int = 0) -> plan.Target:
    options = {plan.OPTION_GAP_MS: gap_ms} if gap_ms else {}
    return plan.Target(name, codes.SEGMENT_PROVIDER, method, role, host, 0, 1000, 1000, 500, options)


METHODS = (codes.METHOD_ICMP, codes.METHOD_SIP_UDP, codes.METHOD_TCP)
Answer = Callable[[int, int], tuple[int, int]]
"""(target, at_us) -> (fate, until when it wants to be left alone)."""


def asked(targets: list[plan.Target], answer: Answer, seconds: int) -> list[tuple[int, int]]:
    """Return (at_us, target) of each request while every target wants to be asked once a second."""
    clock = FastClock()
    requests: list[tuple[int, int]] = []
    manners = Manners(clock, plan.Plan("s", "w", 0, 60, targets, 3, 2, [], []))

    async def over() -> None:
        """No window runs."""

    async def probe(index: int) -> None:
        while True:
            await manners.turn(index, over)
            requests.append((clock.now, index))
            manners.note(index, *answer(index, clock.now))
            await clock.sleep_until(clock.now + SECOND)

    async def main() -> None:
        tasks = [asyncio.create_task(probe(i)) for i in range(len(targets))]
        await clock.run_to(seconds * SECOND)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    return requests


def closest_us(requests: list[tuple[int, int]]) -> int:
    times = sorted(at for at, _ in requests)
    return min(after - before for before, after in itertools.pairwise(times))


def good(_: int, at_us: int) -> tuple[int, int]:
    return codes.FATE_ANSWERED, 0


def dead(_: int, at_us: int) -> tuple[int, int]:
    return codes.FATE_LOST, 0


def three(gap_ms: int) -> list[plan.Target]:
    return [edge(f"t{i}", method, gap_ms) for i, method in enumerate(METHODS)]


def test_all_targets_together_send_one_request_a_second_and_each_has_its_turn() -> None:
    requests = asked(three(1000), good, 60)
    assert closest_us(requests) >= SECOND
    for i in range(3):
        assert 18 <= [index for _, index in requests].count(i) <= 22


def test_without_the_limit_the_same_targets_send_more() -> None:
    assert closest_us(asked(three(0), good, 60)) < SECOND


def test_two_witnesses_together_keep_to_one_a_second() -> None:
    # Each has its share; whatever their phases, two gaps of 2 s hold at most one request a second on average.
    one, other = (asked(three(2000), good, 60) for _ in range(2))
    assert len(one) + len(other) <= 62
    assert closest_us(one) >= 2 * SECOND


def test_after_a_minute_of_failure_it_is_one_in_ten_seconds_until_something_answers() -> None:
    def answer(_: int, at_us: int) -> tuple[int, int]:
        return (codes.FATE_LOST if 20 * SECOND <= at_us < 300 * SECOND else codes.FATE_ANSWERED), 0

    requests = asked(three(1000), answer, 400)
    patience = [r for r in requests if 20 * SECOND <= r[0] < 20 * SECOND + PATIENCE_US]
    failing = [r for r in requests if 82 * SECOND <= r[0] < 300 * SECOND]
    after = [r for r in requests if r[0] >= 312 * SECOND]
    assert len(patience) >= 55
    assert closest_us(failing) >= 10 * SECOND
    assert len(failing) >= 20
    assert len(after) >= 75


def test_one_dead_method_among_others_is_asked_once_in_ten_seconds() -> None:
    def answer(index: int, at_us: int) -> tuple[int, int]:
        return (codes.FATE_LOST if index == 1 else codes.FATE_ANSWERED), 0

    requests = [r for r in asked(three(1000), answer, 200) if r[0] > 70 * SECOND]
    assert closest_us([r for r in requests if r[1] == 1]) >= 10 * SECOND
    assert len([r for r in requests if r[1] != 1]) > 80


def test_void_rounds_are_no_failure_and_end_none() -> None:
    requests = asked(three(1000), lambda i, at: (codes.FATE_VOID, 0), 200)
    assert len(requests) >= 190

    def answer(_: int, at_us: int) -> tuple[int, int]:
        return (codes.FATE_VOID if at_us // SECOND % 7 == 0 else codes.FATE_LOST), 0

    requests = asked(three(1000), answer, 200)
    assert closest_us([r for r in requests if r[0] > 70 * SECOND]) >= 10 * SECOND


def test_a_server_that_asks_to_be_left_alone_is_by_every_method_but_echo() -> None:
    def answer(index: int, at_us: int) -> tuple[int, int]:
        asks = index == 1 and 10 * SECOND <= at_us < 13 * SECOND
        return (codes.FATE_WRONG if asks else codes.FATE_ANSWERED), 100 * SECOND if asks else 0

    requests = asked(three(1000), answer, 150)
    assert {index for at, index in requests if 15 * SECOND <= at < 100 * SECOND} == {0}
    assert {index for at, index in requests if at >= 100 * SECOND} == {0, 1, 2}


def test_a_second_provider_has_a_limit_of_its_own_and_other_segments_have_none() -> None:
    targets = [edge("a", METHODS[0], 1000), edge("b", METHODS[0], 1000, "other.example", 1)]
    requests = asked(targets, lambda i, at: dead(i, at) if i == 0 else good(i, at), 200)
    assert len([r for r in requests if r[1] == 1]) >= 195
    free = plan.Target("gw", codes.SEGMENT_ROUTER, METHODS[0], 0, "gateway", 0, 1000, 1000, 500, {})
    assert len(asked([free], dead, 100)) >= 99
