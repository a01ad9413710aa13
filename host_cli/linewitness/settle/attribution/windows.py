"""A long time judged window by window: memory that does not grow with days, and verdicts in the order of windows.

Windows overlap by two margins. Each judges its core, [core_first, core_last); the margins about it warm up what a
window calls usual and let an episode be seen whole that the core's end would cut. What reaches a core's end is held
until the next window says how it went on, and joined where that finds the same side by the same rule. What fits in one
window is judged as `attribute` judges it, byte for byte.

How long windows are depends on how many sites are held side by side, so that memory does not grow with these either,
until the shortest window is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from linewitness.settle.attribution import near
from linewitness.settle.attribution.confidence import confidence
from linewitness.settle.attribution.found import Found, in_order
from linewitness.settle.attribution.rounds import Rounds
from linewitness.settle.attribution.seen import Seen

DAY_S = 86400.0
MARGIN_DAYS = 0.5
LONGEST_DAYS, SHORTEST_DAYS = 16, 3
HELD_ROUNDS = 8000 * 1440  # of all sites together
KEPT_OF_POWER = ("boot", "uptime_s", "reset", "router_uptime_s")


@dataclass(frozen=True, slots=True)
class Window:
    """Rounds [first, last) are looked at, [core_first, core_last) are judged. following: the next window's first, or
    None."""

    first: int
    last: int
    core_first: int
    core_last: int
    following: int | None


def windows(rounds: int, step_s: float, sites: int) -> list[Window]:
    """Return the windows of a time of so many rounds: all but a lone one equally long."""
    day = max(round(DAY_S / step_s), 1)
    most = HELD_ROUNDS // (max(sites, 1) * day)
    long = min(max(most, SHORTEST_DAYS), LONGEST_DAYS) * day
    if rounds <= long:
        return [Window(0, rounds, 0, rounds, None)]
    margin = round(MARGIN_DAYS * day)
    firsts = [*range(0, rounds - long, long - 2 * margin), rounds - long]
    cores = [0, *(first + margin for first in firsts[1:]), rounds]
    return [
        Window(first, first + long, *core, following)
        for first, core, following in zip(firsts, pairwise(cores), [*firsts[1:], None], strict=True)
    ]


def attribute_onward(
    parts: Sequence[Window],
    sites: Callable[[Window], Iterable[Rounds]],
    judge: Callable[[Iterable[Rounds]], list[Found]],
) -> Iterator[Found]:
    """Yield whose side every disturbance was, window after window. judge: `attribute` with all its choices made.

    sites: returns all sites' rounds of a window; it is asked for the windows in their order, once each.
    """
    stitch, dark = _Stitch(), _Dark()
    for window in parts:
        found = judge(dark.watch(window, sites(window)))
        for one in found:
            one.first, one.last = one.first + window.first, one.last + window.first
        yield from stitch.judged(window, dark.t0_s, dark.step_s, found, dark.over)
    yield from stitch.rest()


class _Stitch:
    """Cuts findings to cores and joins them over the cuts."""

    def __init__(self) -> None:
        self._held: list[Found] = []

    def judged(self, window: Window, t0_s: float, step_s: float, found: list[Found], over: list[Found]) -> list[Found]:
        """Return what is settled with this window. t0_s: of round 0. over: what began before the window, whole."""
        begin_s, end_s = (t0_s + at * step_s for at in (window.core_first, window.core_last))
        follows, is_followed = window.core_first > 0, window.following is not None
        pieces = []
        for one in found:
            if (follows and one.end_s <= begin_s) or (is_followed and one.start_s >= end_s):
                continue
            if follows and one.start_s <= begin_s:
                one.start_s, one.first = begin_s, max(one.first, window.core_first)
                # What is no longer than a round and in the window before ended at the cut is that window's finding.
                if not self._goes_on(one) and one.end_s - begin_s < step_s:
                    continue
            pieces.append(one)
        for one in over:
            if one.end_s > begin_s and not (is_followed and one.start_s >= end_s):
                self._goes_on(one)
                pieces.append(one)
        done = [one for one in self._held if one.end_s - one.start_s >= step_s]
        self._held = []
        for one in pieces:
            if is_followed and one.end_s >= end_s:
                one.end_s, one.last = end_s, min(one.last, window.core_last)
                self._held.append(one)
            else:
                done.append(one)
        return in_order(done)

    def _goes_on(self, one: Found) -> bool:
        """Let a finding at its core's begin start where that of the same side started which was held there; say if."""
        same = [held for held in self._held if (held.site, held.side) == (one.site, one.side)]
        same.sort(key=lambda held: held.rule != one.rule)
        for held in same[:1]:
            if held.end_s - held.start_s > one.end_s - one.start_s:
                one.rule, one.confidence, one.candidates = held.rule, held.confidence, held.candidates
            one.start_s, one.first = min(one.start_s, held.start_s), min(one.first, held.first)
            self._held.remove(held)
        return bool(same)

    def rest(self) -> list[Found]:
        """Return what is held still."""
        return in_order(self._held)


class _Dark:
    """Times without a row that are longer than a window can see: of each site, the last row before the next window."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, float, float]] = {}
        self.t0_s, self.step_s = 0.0, 1.0
        self.over: list[Found] = []

    def watch(self, window: Window, sites: Iterable[Rounds]) -> Iterator[Rounds]:
        """Yield the sites; then `over` holds the power cuts that began before the window and ended in it."""
        self.over = []
        for rounds in sites:
            self.t0_s, self.step_s = rounds.t0_s - window.first * rounds.step_s, rounds.step_s
            yield rounds
            measured = np.flatnonzero(rounds.measured)
            if not len(measured):
                continue
            site = rounds.facts.site
            boot, uptime = rounds.column("boot"), rounds.column("router_uptime_s")
            if measured[0] > 0 and site in self._last:
                self.over += self._cut(window, rounds, int(measured[0]))
            if window.following is not None:
                before = measured[measured < window.following - window.first]
                if len(before):
                    self._last[site] = (
                        window.first + int(before[-1]),
                        float(boot[before[-1]]),
                        float(uptime[before[-1]]),
                    )

    def _cut(self, window: Window, rounds: Rounds, back: int) -> list[Found]:
        """Return the power cut, if it was one, between the last row before the window and the first one in it."""
        last, boot, router_uptime_s = self._last[rounds.facts.site]
        count = window.first + back - last + 1
        measured = np.zeros(count, bool)
        measured[[0, -1]] = True
        values = {name: np.full(count, np.nan, np.float32) for name in KEPT_OF_POWER}
        values["boot"][0], values["router_uptime_s"][0] = boot, router_uptime_s
        for name in KEPT_OF_POWER:
            values[name][-1] = rounds.column(name)[back]
        t0_s = self.t0_s + last * self.step_s
        found = near.power_cuts(Seen(rounds.facts, t0_s, self.step_s, measured, values))
        for one in found:
            one.first, one.last, one.confidence = one.first + last, one.last + last, confidence(one, False)
        return found
