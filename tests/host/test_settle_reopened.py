"""A verdict that late readings change is re-opened where everybody sees it, with what changed it, and stays so."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from branch_story import MINUTE, SECOND, Branch
from hypothesis import given
from hypothesis import strategies as st
from test_contract import GOOD
from test_settle_command import OUT, fleet, run, store  # noqa: F401  the fixture is used by name

from linewitness.fleet import Fleet
from linewitness.founding import found_fleet
from linewitness.model import Settlement, Side
from linewitness.settle.reopened import Inputs, Record, Said, compared, told

INPUTS = Inputs(10, "00", 10, "c", "p", "t", "s", False)
HOUR = 60 * MINUTE


def said(start_s: int, end_s: int, side: Side = Side.PROVIDER, site: str = "leeds") -> Said:
    return Said(
        site, side, None, (start_s * SECOND, (start_s + 1) * SECOND), (end_s * SECOND, (end_s + 1) * SECOND), True
    )


def record(*verdicts: Said, start_s: int = 0, end_s: int = 3600, method: str = "rules 1", row: int = 10) -> Record:
    return Record(method, start_s * SECOND, end_s * SECOND, replace(INPUTS, last_row=row), verdicts, ())


def texts(now: Record, *before: Record, late: int = 0) -> list[str]:
    return [f.text for f in compared(now, before, lambda old: late).changes]


def test_what_is_the_same_is_no_change() -> None:
    assert texts(record(said(100, 200)), record(said(100, 200))) == []


def test_a_verdict_that_turns_says_what_it_was_what_it_is_and_why() -> None:
    (text,) = texts(record(said(100, 200, Side.ISP)), record(said(100, 200)), late=3)
    assert text == (
        "was provider 1970-01-01T00:01:40.000Z to 1970-01-01T00:03:21.000Z, claimable, is isp 1970-01-01T00:01:40.000Z"
        " to 1970-01-01T00:03:21.000Z, claimable, because of 3 late batches"
    )


@pytest.mark.parametrize(
    ("now", "before", "told_text"),
    [
        (record(), record(said(100, 200)), "is no failure"),
        (record(said(100, 200)), record(), "was no failure"),
        (record(said(100, 300)), record(said(100, 200)), "00:05:01"),
        (record(said(100, 200), method="rules 2"), record(said(100, 201)), "the method, rules 1 then and rules 2 now"),
    ],
)
def test_verdicts_that_appear_vanish_or_move_are_changes(now: Record, before: Record, told_text: str) -> None:
    assert any(told_text in text for text in texts(now, before))


def test_a_longer_period_is_no_change_of_what_was_cut_off_or_not_settled_yet() -> None:
    before = record(said(100, 200), said(3500, 3599), end_s=3600)
    assert texts(record(said(100, 200), said(3500, 5000), end_s=7200), before) == []
    assert texts(record(said(100, 200), said(3500, 3599), said(3590, 3700), end_s=7200), before) == []


def test_each_instant_is_compared_with_the_newest_record_of_it() -> None:
    first, second = record(said(100, 200)), record(said(100, 200, Side.ISP))
    assert texts(record(said(100, 200, Side.ISP)), first, second) == []
    assert len(texts(record(said(100, 200)), first, second)) == 1


def test_a_run_that_brings_no_news_is_kept_small_and_read_whole() -> None:
    first, later = record(said(100, 200), said(300, 400)), record(said(100, 200), said(300, 400), end_s=7200)
    known = {hashlib.sha256(first.encode()).hexdigest(): first}
    small = later.encode(known)
    assert len(small) < len(later.encode()) - 200
    assert Record.decode(small, known) == later
    with pytest.raises(ValueError, match="which is not there"):
        Record.decode(small)


def test_another_choice_of_the_operator_is_no_change() -> None:
    chosen = replace(record(said(100, 200)), inputs=replace(INPUTS, claim_unconfirmed=True))
    assert texts(record(), chosen) == []


def test_a_record_is_read_as_it_was_written_and_nothing_else_is() -> None:
    one = compared(record(said(1, 2)), [record()], lambda old: 1)
    assert one.changes
    assert Record.decode(one.encode()) == one
    with pytest.raises(ValueError, match="format"):
        Record.decode(b'{"format": 9}')


SAID = st.builds(
    lambda a, n, side: said(a, a + n, side), st.integers(0, 3000), st.integers(1, 200), st.sampled_from(list(Side))
)


@given(st.lists(SAID, max_size=4), st.randoms())
def test_the_order_of_verdicts_is_no_change(verdicts: list[Said], rng) -> None:
    shuffled = list(verdicts)
    rng.shuffle(shuffled)
    assert texts(record(*shuffled), record(*verdicts)) == []
    assert told([record()], (0, HOUR)) == []


def findings(fleet: Fleet, *arguments: str) -> list[str]:  # noqa: F811
    result = run(fleet, "--from", "2026-03-01T10:00:00Z", "--to", "2026-03-01T10:05:00Z", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return [f.text for f in Settlement.from_plain(json.loads(result.stdout)).findings if f.kind == "reopened"]


def records(fleet: Fleet) -> list[Record]:  # noqa: F811
    known: dict[str, Record] = {}
    with fleet.ledger() as ledger:
        for item in ledger.items("verdict"):
            known[item.sha256.hex()] = Record.decode(item.content, known)
    return list(known.values())


def test_late_batches_of_a_second_branch_reopen_a_verdict_for_good(fleet: Fleet) -> None:  # noqa: F811
    store(fleet, Branch("leeds", (OUT,)))
    assert findings(fleet) == []
    assert [v.side for v in records(fleet)[-1].verdicts] == [Side.UNDETERMINED]
    store(fleet, Branch("york", (OUT,)))
    again = findings(fleet)
    assert any("was undetermined" in t and "is provider" in t and "late batches" in t for t in again)
    assert any("was no failure, is provider" in t for t in again)  # york
    assert findings(fleet) == again
    assert len(records(fleet)) == 2


def test_what_was_read_is_digested_in_the_order_of_chains_not_of_arrival(fleet: Fleet, tmp_path: Path) -> None:  # noqa: F811
    other, _ = found_fleet(tmp_path / "other", "test", ["127.0.0.1"], 8883)
    shutil.copytree(fleet.root / "sites", other.root / "sites", dirs_exist_ok=True)
    shutil.copytree(fleet.contracts, other.contracts, dirs_exist_ok=True)
    for one, order in ((fleet, ("leeds", "york")), (other, ("york", "leeds"))):
        for site in order:
            store(one, Branch(site, (OUT,)))
        assert findings(one) == []
    assert records(fleet) == records(other)
    (fleet.contracts / "acme.toml").write_text(GOOD + "# a comment changes nothing\n")
    assert findings(fleet) == []
    assert len(records(fleet)) == 1


def test_a_changed_contract_is_named_as_the_cause(fleet: Fleet) -> None:  # noqa: F811
    store(fleet, Branch("leeds", (OUT,)))
    store(fleet, Branch("york", (OUT,)))
    findings(fleet, "--claim-unconfirmed")
    (fleet.contracts / "acme.toml").write_text(GOOD.replace("min_continuous_s = 0", "min_continuous_s = 600"))
    changed = findings(fleet, "--claim-unconfirmed")
    assert changed
    assert all("because of changed contracts" in text for text in changed)
    assert any("40 s claimed" in text or "s claimed" in text for text in changed)


def test_nothing_is_kept_without_a_record(fleet: Fleet) -> None:  # noqa: F811
    store(fleet, Branch("leeds", (OUT,)))
    assert findings(fleet, "--no-record") == []
    assert records(fleet) == []
