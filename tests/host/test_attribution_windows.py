"""A long time in windows: the same verdicts as in one piece, each once, and memory that days don't fill."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linewitness.settle.attribution.attribute import attribute
from linewitness.settle.attribution.fleet import gather
from linewitness.settle.attribution.found import POWER, PROVIDER, Found
from linewitness.settle.attribution.rounds import Rounds
from linewitness.settle.attribution.tracks import sticky
from linewitness.settle.attribution.windows import HELD_ROUNDS, Window, attribute_onward, windows
from tests.host.rounds_of_fleets import AT, ROUNDS, STEP_S, T0_S, edge_dead, fleet, gone, line_dead

DAY = 1440
# Two windows whose cores meet in the middle of AT, then three of which AT's neighbourhood fills the middle one.
TWO = [Window(0, 300, 0, 215, 130), Window(130, ROUNDS, 215, ROUNDS, None)]
THREE = [Window(0, 280, 0, 205, 125), Window(125, 330, 205, 225, 130), Window(130, ROUNDS, 225, ROUNDS, None)]
Said = tuple[str, float, float, str, str]


def said(found: list[Found]) -> list[Said]:
    return sorted((f.site, round(f.start_s, 3), round(f.end_s, 3), f.side, f.rule) for f in found)


def shown(sites: list[Rounds], window: Window) -> Iterator[Rounds]:
    """Yield what a window shows of sites."""
    at = slice(window.first, window.last)
    for one in sites:
        columns = {name: values[at] for name, values in one.columns.items()}
        t0_s = one.t0_s + window.first * one.step_s
        yield Rounds(one.facts, t0_s, one.step_s, one.measured[at], columns)


def onward(sites: list[Rounds], parts: list[Window]) -> list[Found]:
    return list(attribute_onward(parts, lambda window: shown(sites, window), attribute))


@given(st.integers(1, 400 * DAY), st.integers(1, 10_000))
def test_windows_judge_every_round_once_with_as_much_beside_it(rounds: int, sites: int) -> None:
    parts = windows(rounds, 60.0, sites)
    assert parts[0].core_first == parts[0].first == 0
    assert parts[-1].core_last == parts[-1].last == rounds
    assert parts[-1].following is None
    assert len({part.last - part.first for part in parts}) == 1
    for one, other in pairwise(parts):
        assert one.core_last == other.core_first
        assert one.following == other.first > one.first
        assert one.last - one.core_last >= DAY // 2
        assert other.core_first - other.first == DAY // 2
    if len(parts) > 1:
        assert (parts[0].last * sites <= HELD_ROUNDS) or parts[0].last == 3 * DAY


@pytest.mark.parametrize("parts", [TWO, THREE])
@pytest.mark.parametrize("fails", [edge_dead, line_dead])
def test_a_failure_across_windows_is_one_verdict(parts: list[Window], fails: Callable[[Rounds], None]) -> None:
    sites = fleet()
    for one in sites:
        fails(one)
    whole = attribute(sites)
    assert whole
    found = onward(sites, parts)
    assert said(found) == said(whole)
    assert sorted((f.site, f.first, f.last) for f in found) == sorted((f.site, f.first, f.last) for f in whole)


def test_a_failure_in_what_two_windows_share_is_told_once() -> None:
    sites = fleet()
    for one in sites:
        edge_dead(one, slice(150, 170))
        edge_dead(one, slice(260, 280))
    found = onward(sites, TWO)
    assert said(found) == said(attribute(sites))
    assert len({(f.site, f.first) for f in found}) == 2 * len(sites)
    assert {f.side for f in found} == {PROVIDER}


def test_a_power_cut_longer_than_a_window_is_told_once_and_whole() -> None:
    sites = fleet()
    gone(sites[0], slice(40, 360), reset=1)
    parts = [Window(0, 120, 0, 90, 60), Window(60, 180, 90, 150, 120), Window(120, 240, 150, 270, 240),
             Window(240, ROUNDS, 270, ROUNDS, None)]  # fmt: skip
    assert said(onward(sites, parts)) == said(attribute(sites))
    (cut,) = onward(sites, parts)
    assert (cut.side, cut.site, cut.first, cut.last) == (POWER, "s00", 40, 360)
    # Seen by one window to its end, and by the next from its begin on not at all.
    assert said(onward(sites, [Window(0, 380, 0, 330, 280), Window(280, ROUNDS, 330, ROUNDS, None)])) == said([cut])


def test_what_one_window_sees_a_moment_longer_leaves_no_splinter() -> None:
    whole = Found("s00", T0_S, T0_S + 100 * STEP_S, 0, 100, PROVIDER, "rule")
    sooner = replace(whole, end_s=T0_S + 215 * STEP_S - 3, last=215)
    later = replace(whole, end_s=T0_S + 215 * STEP_S + 20, last=216)
    answers = iter([[sooner], [later]])

    def judge(sites: object) -> list[Found]:
        list(sites)  # type: ignore[call-overload]
        # As of a window's own begin.
        return [replace(f, first=0, last=85) for f in next(answers)]

    found = list(attribute_onward(TWO, lambda window: shown(fleet(1), window), judge))
    assert [f.end_s for f in found] == [sooner.end_s]


@given(st.integers(0, 2**32), st.sampled_from([2.5, 3.5, 4.0, 5.5]), st.integers(0, 3), st.integers(0, 120))
def test_the_state_machine_finds_the_likeliest_states(seed: int, stay: float, rows: int, rounds: int) -> None:
    rng = np.random.default_rng(seed)
    steps = np.array([-4, -2.5, -1.5, -2 / 3, 0, 0, 0.5, 2.5, 3.5, 8])
    evidence = np.where(rng.random((rows, rounds)) < 0.7, -1.5, rng.choice(steps, (rows, rounds))).astype(np.float32)
    np.testing.assert_array_equal(sticky(evidence, stay), from_round_to_round(evidence, stay))


def from_round_to_round(evidence: np.ndarray, stay: float) -> np.ndarray:
    """Viterbi as it is written down: the leads of `failed` forward, all rounds of them, then the states backward."""
    lead, current = np.zeros_like(evidence), np.full(len(evidence), -stay, np.float32)
    for at in range(evidence.shape[1]):
        current = evidence[:, at] + np.clip(current, -stay, stay)
        lead[:, at] = current
    states = np.zeros(evidence.shape, bool)
    for at in reversed(range(evidence.shape[1])):
        last = at == evidence.shape[1] - 1
        states[:, at] = lead[:, at] > (0.0 if last else np.where(states[:, at + 1], -stay, stay))
    return states


def test_a_fleet_holds_little_of_each_round() -> None:
    held = gather(fleet())
    octets = sum(values.nbytes for seen in held.seen for values in seen.values.values() if values.strides != (0,))
    octets += sum(m.nbytes for m in (held.hard, held.soft, held.usable, held.sip, held.media, held.edge2, held.names))
    assert octets / (len(held.seen) * ROUNDS) < 125  # of some 50 columns of 8 that were read


def test_memory_does_not_grow_with_windows() -> None:
    def peak(count: int) -> int:
        parts = [
            Window(100 * n, 100 * n + 200, 100 * n + 50 * (n > 0), 100 * n + 150 + 50 * (n == count - 1),
                   100 * (n + 1) if n < count - 1 else None)
            for n in range(count)
        ]  # fmt: skip
        year = fleet(3)

        def sites(window: Window) -> Iterator[Rounds]:
            # The same two hundred rounds over and over, with an outage in every window.
            for one in shown(year, Window(100, 300, 100, 300, None)):
                yield replace(one, t0_s=T0_S + window.first * STEP_S)

        edge_dead(year[0], AT)
        tracemalloc.start()
        found = sum(1 for _ in attribute_onward(parts, sites, attribute))
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert found > count // 2
        return highest

    peak(2)  # what is loaded once
    assert peak(20) < 1.25 * peak(4)  # were windows kept, five times as much
