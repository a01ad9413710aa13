"""The model's values: strict JSON both ways, and what they derive."""

from __future__ import annotations

import json
from typing import Any

import pytest

from linewitness.model import (
    SIDE_OF,
    Account,
    Bounds,
    Citation,
    Coverage,
    Exclusion,
    Finding,
    Reason,
    Segment,
    SegmentSpan,
    Settlement,
    Side,
    State,
    Verdict,
)

CITED = (Citation("w1", 3, 9, "edge-sip", Segment.PROVIDER, 40, 0, 0, 0),)
VERDICT = Verdict(
    "leeds", Segment.PROVIDER, Side.PROVIDER, Bounds(100, 110), Bounds(200, 230), 98, (Reason("silent", CITED),), (),
    (Exclusion(Side.ISP, Reason("first hop clean", CITED)),), ("a caveat",), True,
)  # fmt: skip
SETTLEMENT = Settlement(
    "linewitness rules 1", 0, 1000, ("leeds",),
    (SegmentSpan("leeds", Segment.LAN, State.UP, Bounds(0, 0), Bounds(1000, 1000), CITED),), (VERDICT,), (), (), (),
    (
        Coverage("leeds", "w1", 1, 9, 9, 0, 1, 0, ((4, 5),), ("ab",)),
        Coverage("leeds", "w2", None, None, 0, 0, 0, 1, (), ()),
    ),
    (Finding("clock_step", "leeds/w1", None, "stepped"),),
)  # fmt: skip


def test_every_segment_has_a_side_and_no_side_answers_for_the_witness() -> None:
    assert set(SIDE_OF) == set(Segment)
    assert SIDE_OF[Segment.WITNESS] is Side.UNDETERMINED


def test_shortest_and_longest_come_from_the_bounds() -> None:
    assert (VERDICT.min_us, VERDICT.max_us) == (90, 130)
    with pytest.raises(ValueError, match="earliest 2 is after latest 1"):
        Bounds(2, 1)


def test_json_gives_the_same_value_and_the_same_bytes() -> None:
    text = SETTLEMENT.to_json()
    assert Settlement.from_json(text) == SETTLEMENT
    assert Settlement.from_json(text).to_json() == text
    assert json.loads(text)["coverage"][1]["first_seq"] is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.update(format=1), "wanted format 2"),
        (lambda d: d.pop("verdicts"), "wanted the fields"),
        (lambda d: d.update(extra=1), "wanted the fields"),
        (lambda d: d.update(start_us="0"), r"Settlement.start_us: wanted int"),
        (lambda d: d.update(start_us=True), r"Settlement.start_us: wanted int"),
        (lambda d: d.update(sites="leeds"), r"Settlement.sites: wanted a list"),
        (lambda d: d["verdicts"][0].update(side="nobody"), "nobody"),
        (lambda d: d["coverage"][0].update(gaps=[[1]]), r"gaps\[0\]: wanted 2 items"),
    ],
)
def test_anything_else_is_refused_by_name(change: Any, text: str) -> None:
    data = json.loads(SETTLEMENT.to_json())
    change(data)
    with pytest.raises(ValueError, match=text):
        Settlement.from_plain(data)


@pytest.mark.parametrize(
    ("claimed_s", "claimed_max_s", "met", "standing"),
    [(40, 42, False, "breach"), (20, 24, True, "met"), (25, 28, True, "possible")],
)
def test_an_account_says_where_it_stands(claimed_s: int, claimed_max_s: int, met: bool, standing: str) -> None:
    total_s = 30 * 86_400
    account = Account(
        "leeds", "acme", "availability", "2026-04", "UTC", 0, total_s * 1_000_000, total_s, total_s - claimed_s,
        claimed_s, claimed_max_s, claimed_s, (), (), 0, 999_990, 999_990, met, 0, total_s, (),
    )  # fmt: skip
    assert account.standing == standing


def test_a_month_in_which_nothing_was_measured_is_not_met() -> None:
    total_s = 30 * 86_400
    account = Account(
        "leeds", "acme", "availability", "2026-04", "UTC", 0, total_s * 1_000_000, total_s, 0,
        0, 0, 0, (), (), total_s, 1_000_000, 999_990, True, 0, total_s, (),
    )  # fmt: skip
    assert account.standing == "unmeasured"
