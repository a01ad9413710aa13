"""All commitments of a contract over several sites: an account of all of them, what is due, who misses too often."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terms import AVAILABLE, credit, terms

from linewitness.model import Account, Bounds, Segment, SegmentSpan, Side, State, Verdict
from linewitness.settle.account import SiteEvidence
from linewitness.settle.calendar import month_interval
from linewitness.settle.contract import Contract
from linewitness.settle.reckon import Reckoning, reckon

START, END = month_interval("2026-04", "UTC")
AUGUST = month_interval("2026-08", "UTC")[1]
SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
TOGETHER = AVAILABLE + 'scope = "account"\n'


def out(site: str, start_us: int, end_us: int, side: Side = Side.PROVIDER) -> Verdict:
    at = [Bounds(START + us, START + us) for us in (start_us, end_us)]
    return Verdict(site, None, side, *at, 98, (), (), (), (), side is Side.PROVIDER)


def site(name: str, *verdicts: Verdict) -> SiteEvidence:
    up = SegmentSpan(name, Segment.PROVIDER, State.UP, Bounds(START, START), Bounds(AUGUST, AUGUST))
    return SiteEvidence(name, verdicts, (up,))


def reckoned(contract: Contract, *sites: SiteEvidence, until_us: int = END) -> Reckoning:
    return reckon([contract], sites, {s.site: "acme" for s in sites}, (), (), (START, until_us))


def affects(how: str, *more: str) -> Contract:
    contract = terms(TOGETHER, credit("bands", BANDS), *more)
    return replace(contract, downtime=replace(contract.downtime, affects=how))


BANDS = "[[credit.band]]\nfrom_percent = 0\nbelow_percent = 99.9\npercent = 10\n"


def total(a: Account) -> int:
    return a.up_s + a.claimed_s + sum(s for _, s in a.excluded_s) + sum(s for _, s in a.not_claimable_s) + a.unknown_s


LEEDS, YORK = site("leeds", out("leeds", 0, 2 * HOUR)), site("york", out("york", HOUR, 3 * HOUR))


@pytest.mark.parametrize(("how", "claimed_s"), [("any_site", 3 * 3600), ("all_sites", 3600), ("share", 2 * 3600)])
def test_an_account_of_all_sites_takes_their_downtime_as_the_contract_says(how: str, claimed_s: int) -> None:
    (a,) = reckoned(affects(how), LEEDS, YORK).accounts
    assert (a.site, a.claimed_s, a.downtime_s, a.claimed_max_s) == ("*", claimed_s, claimed_s, claimed_s)
    assert total(a) == a.total_s


def test_what_only_some_sites_had_is_not_claimable_where_all_must_be_down() -> None:
    (a,) = reckoned(affects("all_sites"), LEEDS, YORK, site("bath", out("bath", HOUR, 2 * HOUR, Side.ISP))).accounts
    assert a.claimed_s == 0
    assert dict(a.not_claimable_s) == {"not all sites": 3600}  # in the other hours a site was up


def test_user_minutes_weigh_each_site_by_its_users() -> None:
    charges = "".join(
        f'[[charge]]\nbase = "user"\nsite = "{name}"\nusers = {users}\namount = 20\n'
        for name, users in (("leeds", 30), ("york", 10))
    )
    (a,) = reckoned(affects("share", charges), site("leeds", out("leeds", 0, HOUR)), site("york")).accounts
    assert a.claimed_s == 2700
    assert total(a) == a.total_s


def test_only_the_contracts_own_sites_are_reckoned() -> None:
    contract = terms(AVAILABLE, credit("bands", BANDS))
    done = reckon([contract], [LEEDS, YORK], {"leeds": "acme", "york": "other"}, (), (), (START, END))
    assert [(a.site, a.claimed_s) for a in done.accounts] == [("leeds", 7200)]
    assert [(d.site, d.percent_milli, d.amount_minor) for d in done.dues] == [("leeds", 10_000, None)]
    assert reckon([contract], [YORK], {"york": "other"}, (), (), (START, END)).accounts == ()


def test_a_promise_that_is_missed_again_and_again_gives_its_right() -> None:
    contract = terms(AVAILABLE, '[chronic]\nmissed = 2\nwithin = 3\nright = "may terminate"\nclause = "9.1"\n')
    april = out("leeds", 0, 2 * HOUR)
    june = out("leeds", 70 * 24 * HOUR, (70 * 24 + 2) * HOUR)
    (finding,) = reckoned(contract, site("leeds", april, june), until_us=AUGUST).findings
    assert finding.kind == "chronic"
    assert finding.text == "acme: uptime missed in 2026-04, 2026-06: may terminate (clause 9.1)"
    assert reckoned(contract, site("leeds", april), until_us=AUGUST).findings == ()


MOMENTS = st.integers(0, END - START)
VERDICTS = st.lists(
    st.tuples(MOMENTS, MOMENTS, st.sampled_from([Side.PROVIDER, Side.ISP, Side.CARRIER, Side.UNDETERMINED])), max_size=3
)


@settings(max_examples=60, deadline=None)
@given(VERDICTS, VERDICTS, VERDICTS, st.sampled_from(["any_site", "all_sites", "share"]))
def test_the_sum_closes_for_all_sites_together_too(a, b, c, how: str) -> None:
    sites = [
        site(name, *(out(name, min(x, y), max(x, y), side) for x, y, side in found))
        for name, found in (("leeds", a), ("york", b), ("bath", c))
    ]
    done = [reckoned(affects(h), *sites).accounts[0] for h in ("all_sites", how, "any_site")]
    for one in done:
        assert total(one) == one.total_s == 30 * 86_400
        assert one.claimed_s <= one.claimed_max_s
    assert done[0].claimed_s <= done[1].claimed_s <= done[2].claimed_s
    assert reckoned(affects(how), *reversed(sites)).accounts[0] == done[1]
