"""Second act: the story is done to the packets, second by second, and its truth is written down."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from simulations.demo.branch import BranchOnStage
from simulations.demo.opening import Set
from simulations.demo.stage import Stage
from simulations.scenarios import two_branches as scenario


@dataclass(frozen=True, slots=True)
class Truth:
    """A fault as it really happened at one site: UTC microseconds between which its link changed."""

    fault: scenario.Fault
    site: str
    start_us: tuple[int, int]
    end_us: tuple[int, int]


def now_us() -> int:
    return time.time_ns() // 1000


def play(stage: Stage, set_: Set, branches: list[BranchOnStage]) -> list[Truth]:
    """Play the whole story in real time; return the truth."""
    starts: dict[tuple[int, str], tuple[int, int]] = {}
    ends: dict[tuple[int, str], tuple[int, int]] = {}
    began_us = now_us()
    incident: list[str] = []

    def change(number: int, fault: scenario.Fault, begin: bool) -> None:
        for branch in branches:
            if fault.site in (None, branch.branch.site):
                before_us = now_us()
                (branch.begin if begin else branch.end)(fault)
                (starts if begin else ends)[number, branch.branch.site] = (before_us, now_us())
        stage.say(("now " if begin else "over: ") + fault.title)

    def post() -> None:
        started = datetime.fromtimestamp(began_us / 1e6 + scenario.POST.claims_start_s, UTC)
        entry = set_.peers.change_status(
            "post_incident", name=scenario.POST.name, impact="major", started_at=started.isoformat()
        )
        incident.append(entry)
        stage.say(f"the provider's status page, at last: '{scenario.POST.name}'")

    def resolve() -> None:
        set_.peers.change_status("resolve", entry_id=incident[0])
        stage.say("the provider's status page: resolved")

    cues: list[tuple[float, Callable[[], None]]] = [
        (scenario.POST.at_s, post),
        (scenario.POST.resolved_at_s, resolve),
    ]
    for number, fault in enumerate(scenario.FAULTS):
        cues.append((fault.at_s, partial(change, number, fault, True)))
        cues.append((fault.at_s + fault.lasts_s, partial(change, number, fault, False)))
    _run(stage, sorted(cues, key=lambda cue: cue[0]))
    return [
        Truth(fault, branch.branch.site, starts[n, branch.branch.site], ends[n, branch.branch.site])
        for n, fault in enumerate(scenario.FAULTS)
        for branch in branches
        if (n, branch.branch.site) in starts
    ]


def _run(stage: Stage, cues: list[tuple[float, Callable[[], None]]]) -> None:
    """Carry out (second, action) in time, with a bar on a terminal."""
    stage.say(f"the story begins; it takes {scenario.LASTS_S:g} s")
    began_s = time.monotonic()
    console = Console(stderr=True)
    columns = (TextColumn("the story"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("story", total=scenario.LASTS_S)
        while (passed_s := time.monotonic() - began_s) < scenario.LASTS_S:
            while cues and cues[0][0] <= passed_s:
                cues.pop(0)[1]()
            progress.update(bar, completed=passed_s)
            time.sleep(0.05)
