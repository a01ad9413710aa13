"""A provider's set of signalling servers: one dead member is no downtime, all of them dead at two ISPs is."""

from __future__ import annotations

from branch_story import EDGE, PROBES, SECOND, Branch, Fault, Probe
from test_settle import contains, post, told

from linewitness.model import Side, State
from linewitness.report import words
from linewitness.settle.account import EDGE_DEGRADED

SECOND_EDGE = "192.0.2.101"
SET = (*PROBES, Probe(SECOND_EDGE, "provider", "sip"))
START_US, END_US = 100 * SECOND + 123_456, 140 * SECOND + 654_321
FIRST, OTHER = Fault(EDGE, START_US, END_US), Fault(SECOND_EDGE, START_US, END_US)
POSTED = (post(110 * SECOND, 200 * SECOND),)


def both_sites(*faults: Fault, probes: tuple[Probe, ...] = SET) -> tuple[Branch, Branch]:
    return Branch("leeds", faults, probes), Branch("york", faults, probes)


def test_first_server_dead_and_second_alive_is_no_minute_of_downtime() -> None:
    settlement = told(*both_sites(FIRST), posts=POSTED, claim_unconfirmed=True)
    assert [(v.site, v.kind) for v in settlement.verdicts] == [("leeds", EDGE_DEGRADED), ("york", EDGE_DEGRADED)]
    assert settlement.breaches == ()
    for verdict in settlement.verdicts:
        assert (verdict.side, verdict.claimable) == (Side.UNDETERMINED, False)
        assert contains(verdict.start, START_US)
        assert contains(verdict.end, END_US)
        dead, alive = verdict.reasons[:2]
        assert EDGE in dead.text
        assert SECOND_EDGE in alive.text
        assert sum(c.answered for c in dead.readings) == 0
        assert sum(c.answered for c in alive.readings) >= 35
        assert all(e.reason.readings for e in verdict.excluded)
        assert words.claim(verdict) == ("Not claimable", "no downtime: another server of the same set served")
    for account in settlement.accounts:
        assert (account.claimed_s, account.downtime_s, account.not_claimable_s) == (0, 0, ())
        assert account.standing == "met"
    assert {s.state for s in settlement.spans} <= {State.UP, State.DEGRADED}


def test_a_server_that_answers_only_503_beside_one_that_serves_is_no_downtime_either() -> None:
    refused = Fault(EDGE, START_US, END_US, ("sip",), 503)
    settlement = told(*both_sites(refused), posts=POSTED, claim_unconfirmed=True)
    assert {v.kind for v in settlement.verdicts} == {EDGE_DEGRADED}
    assert all(a.claimed_s == 0 and not a.not_claimable_s for a in settlement.accounts)


def test_all_servers_dead_at_two_sites_behind_two_isps_is_downtime() -> None:
    settlement = told(*both_sites(FIRST, OTHER), posts=POSTED)
    assert [(v.side, v.kind) for v in settlement.verdicts] == [(Side.PROVIDER, "")] * 2
    assert all(36 <= a.claimed_s <= 41 for a in settlement.accounts if a.site in ("leeds", "york"))


def test_a_member_that_falls_with_the_whole_line_is_not_called_degraded() -> None:
    settlement = told(Branch("leeds", (Fault("access", START_US, END_US),), SET))
    assert [(v.side, v.kind) for v in settlement.verdicts] == [(Side.ISP, "")]


def test_signalling_alone_dead_at_two_isps_convicts_nobody() -> None:
    options = [Fault(host, START_US, END_US, ("sip",)) for host in (EDGE, SECOND_EDGE)]
    settlement = told(*both_sites(*options), posts=POSTED, claim_unconfirmed=True)
    assert [(v.side, v.kind, v.claimable) for v in settlement.verdicts] == [(Side.UNDETERMINED, "", False)] * 2
    assert all(a.claimed_s == 0 for a in settlement.accounts)
