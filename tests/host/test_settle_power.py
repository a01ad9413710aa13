"""A power cut at a branch, or a witness that somebody unplugged: what else lost power with it decides."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from branch_story import MINUTE, PROBES, SECOND, T0, Branch, Probe
from test_settle import CONTRACT, INFOS, contains
from test_settle_command import fleet, run, store  # noqa: F401

from linewitness.fleet import Fleet
from linewitness.model import Segment, Settlement, Side
from linewitness.settle.engine import settle
from linewitness.settle.power import MonitorWord
from linewitness.settle.timeline import read_site
from linewitness_wire import codes

LOST_US, BACK_US = 120 * SECOND, 200 * SECOND
WITH_ROUTER = (*PROBES, Probe("gateway", "router", "snmp", period_us=10 * SECOND))


def branches(cause: int, router_started_us: int | None) -> tuple[Branch, Branch]:
    """A witness until its power went (its last batch covers 110 s), and from when it was back."""
    before = Branch("leeds", probes=WITH_ROUTER, duration_us=LOST_US)
    after = Branch(
        "leeds", probes=WITH_ROUTER, from_us=BACK_US, offset_us=T0 + BACK_US - 2 * SECOND, boot=2, first_seq=13,
        cause=cause, router_started_us=-3_600 * SECOND if router_started_us is None else router_started_us,
    )  # fmt: skip
    return before, after


def told(cause: int, router_started_us: int | None, words: tuple[MonitorWord, ...] = (), *others: Branch) -> Settlement:
    return settled([*branches(cause, router_started_us), *others], words)


def settled(here: list[Branch], words: tuple[MonitorWord, ...]) -> Settlement:
    period = (T0, T0 + 5 * MINUTE)
    batches = [b for branch in here for b in branch.batches()]
    record = read_site("leeds", batches, {b.plan_hash: b.plan for b in here}, *period)
    return settle([record], INFOS, (), [CONTRACT], period, monitors=words)


def word(at_us: int, mains: bool | None, started_us: int | None = None) -> MonitorWord:
    return MonitorWord("leeds", "ups", T0 + at_us, mains, None if started_us is None else T0 + started_us)


@pytest.mark.parametrize("cause", [codes.RESET_POWER, codes.RESET_BROWNOUT])
@pytest.mark.parametrize(
    ("router_us", "words"),
    [(205 * SECOND, ()), (None, ()), (205 * SECOND, (word(150 * SECOND, False),))],
)
def test_a_router_that_restarted_too_makes_it_a_power_cut_and_one_that_ran_on_does_not(cause, router_us, words) -> None:
    settlement = told(cause, router_us, words)
    if router_us is None:
        assert settlement.verdicts == ()
        assert [f.kind for f in settlement.findings] == ["witness_unplugged"]
        return
    (verdict,) = settlement.verdicts
    assert (verdict.side, verdict.segment, verdict.claimable) == (Side.CUSTOMER, Segment.POWER, False)
    assert contains(verdict.start, LOST_US + 5 * SECOND)  # the batch that was under way is lost
    assert contains(verdict.end, BACK_US - 3 * SECOND)
    account = next(a for a in settlement.accounts if a.site == "leeds")
    assert 75 <= dict(account.not_claimable_s)["customer"] <= 90


@pytest.mark.parametrize("cause", [codes.RESET_WATCHDOG, codes.RESET_SOFT, codes.RESET_UNKNOWN])
def test_a_crash_is_no_power_cut(cause: int) -> None:
    settlement = told(cause, 205 * SECOND)
    assert (settlement.verdicts, [f for f in settlement.findings if "power" in f.kind]) == ((), [])


def without_router(*words: MonitorWord) -> Settlement:
    here = [replace(b, probes=PROBES) for b in branches(codes.RESET_POWER, None)]
    return settled(here, words)


def test_a_monitor_decides_where_no_router_tells() -> None:
    assert [v.segment for v in without_router(word(150 * SECOND, False)).verdicts] == [Segment.POWER]
    assert [v.segment for v in without_router(word(400 * SECOND, True, 199 * SECOND)).verdicts] == [Segment.POWER]
    for words, kind in (
        ((), "power_unclear"),
        ((word(150 * SECOND, True),), "witness_unplugged"),
        ((word(150 * SECOND, True), word(400 * SECOND, True, 199 * SECOND)), "power_unclear"),
        ((word(400 * SECOND, True, -900 * SECOND),), "power_unclear"),
    ):
        settlement = without_router(*words)
        assert settlement.verdicts == ()
        assert [f.kind for f in settlement.findings if f.at_us] == [kind]


def test_a_second_witness_that_measured_on_says_that_the_first_was_unplugged() -> None:
    other = Branch("leeds", witness="w2", probes=PROBES)
    settlement = told(codes.RESET_POWER, 205 * SECOND, (), other)
    assert settlement.verdicts == ()
    assert [f.kind for f in settlement.findings if f.at_us] == ["power_unclear"]


def test_what_monitors_said_is_read_from_the_ledger(fleet: Fleet, tmp_path: Path) -> None:  # noqa: F811
    store(fleet, branches(codes.RESET_POWER, None)[0])
    said = {"site": "leeds", "monitor": "ups", "at_us": T0 + 150 * SECOND, "mains": False, "reachable": True}
    with fleet.ledger() as ledger:
        ledger.add_item("power", "leeds/ups", json.dumps(said).encode(), T0 + 151 * SECOND)
    result = run(fleet, "--json")
    assert result.exit_code == 0, result.output
    with fleet.ledger() as ledger:
        ledger.add_item("power", "leeds/ups", b"no JSON", T0)
    refused = run(fleet, "--json")
    assert refused.exit_code == 3
    assert "power monitor" in refused.stderr
