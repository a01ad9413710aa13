"""What always holds of the contract's arithmetic: sums, bounds, order of late data, and a slow reader of the rules."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from linewitness.model import (
    Account,
    SegmentSpan,
    Side,
    State,
    Verdict,
)
from linewitness.settle.account import SiteEvidence, account, classify
from linewitness.settle.contract import Contract, load
from linewitness.settle.intervals import intersect, length, subtract, union
from tests.host.months_account import (
    CLAIM,
    END,
    HOUR,
    MONTH,
    SECOND,
    START,
    TEXT,
    contract,
    maintenance,
    span,
    ticket,
    total,
    verdict,
)

MOMENTS = st.integers(-HOUR, END - START + HOUR)
VERDICTS = st.builds(
    lambda a, b, side, slack, claimable: verdict(min(a, b), max(a, b), side, slack, claimable),
    MOMENTS, MOMENTS, st.sampled_from(list(Side)), st.integers(0, 5 * SECOND), st.booleans(),
)  # fmt: skip
TERMS = st.sampled_from([
    contract(), contract("ticket"), contract("detection"), contract(minimum=600, rounding="minute_up"),
    load(TEXT.replace("STARTS", "failure").replace("MINIMUM", "0").replace("ROUNDING", "none") + CLAIM, "t"),
])  # fmt: skip
HOLES = st.lists(st.tuples(MOMENTS, MOMENTS), max_size=4)
TICKETS = st.lists(st.integers(START - HOUR, END).map(ticket), max_size=3)
POSTS = st.lists(st.builds(lambda a, b: maintenance(min(a, b), max(a, b)), MOMENTS, MOMENTS), max_size=2)


def spans_without(holes: list[tuple[int, int]]) -> list[SegmentSpan]:
    gaps = union((START + min(h), START + max(h)) for h in holes)
    return [span(State.UNMEASURED, *g) for g in gaps] + [span(State.UP, *g) for g in subtract([(START, END)], gaps)]


def of(terms: Contract, verdicts: list[Verdict], spans: list[SegmentSpan], tickets=(), posts=()) -> Account:
    return account(terms, terms.commitments[0], SiteEvidence("leeds", verdicts, spans, tickets), MONTH, posts)


@settings(max_examples=150, deadline=None)
@given(st.lists(VERDICTS, max_size=6), HOLES, TERMS, TICKETS, POSTS, st.randoms())
def test_the_sum_is_always_the_month_and_the_order_never_matters(verdicts, holes, terms, tickets, posts, rng) -> None:
    spans = spans_without(holes)
    a = of(terms, verdicts, spans, tickets, posts)
    assert total(a) == a.total_s == 44_580 * 60
    assert min(a.up_s, a.claimed_s, a.unknown_s, *(s for _, s in (*a.excluded_s, *a.not_claimable_s)), 0) == 0
    for mixed in (spans, verdicts, tickets, posts):
        rng.shuffle(mixed)
    assert of(terms, verdicts, spans, tickets, posts) == a


@settings(max_examples=150, deadline=None)
@given(st.lists(VERDICTS, max_size=6), HOLES, TERMS, TICKETS, POSTS)
def test_the_claim_is_never_above_the_most_nor_the_union_above_the_sum(verdicts, holes, terms, tickets, posts) -> None:
    a = of(terms, verdicts, spans_without(holes), tickets, posts)
    claimable = [v for v in verdicts if v.claimable]
    cores = union((v.start.latest_us, v.end.earliest_us) for v in claimable)
    assert a.claimed_s <= a.claimed_max_s
    assert a.claimed_s * SECOND <= length(intersect(cores, [(START, END)])) <= sum(v.min_us for v in claimable)
    assert sum(end - start for start, end in a.claims) // SECOND == a.claimed_s
    assert a.credit_percent_milli == 0 or not a.met


@settings(max_examples=100, deadline=None)
@given(st.lists(VERDICTS, max_size=5), VERDICTS, HOLES, TERMS, TICKETS)
def test_more_of_the_providers_never_claims_less_and_more_of_anothers_never_more(
    verdicts, extra, holes, terms, tickets
) -> None:
    spans = spans_without(holes)
    before, after = of(terms, verdicts, spans, tickets), of(terms, [*verdicts, extra], spans, tickets)
    if extra.claimable:
        assert after.claimed_s >= before.claimed_s
        assert after.claimed_max_s >= before.claimed_max_s
    else:
        assert after.claimed_s <= before.claimed_s
        assert after.claimed_max_s <= before.claimed_max_s
    fewer = of(terms, verdicts, [s for s in spans if s.state is State.UP], tickets)
    assert fewer.claimed_s == before.claimed_s  # a hole that is told and one that is not are the same


def slowly(terms: Contract, verdicts, spans, tickets, posts, at_us: int) -> str:
    """Return the class of one instant straight from docs/contract.md, by asking each rule in turn."""

    def held(v: Verdict, widest: bool) -> bool:
        start, end = (v.start.earliest_us, v.end.latest_us) if widest else (v.start.latest_us, v.end.earliest_us)
        return start <= at_us < end

    known = any(s.start.earliest_us <= at_us < s.end.latest_us for s in spans if s.state is State.UP)
    hidden = any(s.start.earliest_us <= at_us < s.end.latest_us for s in spans if s.state is State.UNMEASURED)
    theirs = [v for v in verdicts if v.side is Side.PROVIDER and held(v, False)]
    for side in (Side.CUSTOMER, Side.ISP, Side.TRANSIT):
        if any(v.side is side and held(v, True) for v in verdicts):
            return f"not claimable {side}"
    if hidden or not known:
        return "unknown"
    if theirs and any(p.scheduled_for_us <= at_us < p.scheduled_until_us for p in posts):
        return "excluded 4.2"
    if any(v.claimable for v in theirs):
        return "claimed" if terms.downtime.starts_at == "failure" or started(verdicts, tickets, at_us) else (
            "not claimable before the ticket")  # fmt: skip
    if theirs:
        return "not claimable provider, not confirmed from outside"
    for side in (Side.UNDETERMINED, Side.CARRIER):
        if any(v.side is side and held(v, True) for v in verdicts):
            return f"not claimable {side}"
    return "unknown" if any(held(v, True) for v in verdicts) else "up"


def started(verdicts, tickets, at_us: int) -> bool:
    """Return whether a ticket was opened by an instant within the downtime that holds it (these are never closed)."""
    cores = [(v.start.latest_us, v.end.earliest_us) for v in verdicts if v.claimable]
    return any(t.opened_us <= at_us for t in tickets) and any(a <= at_us < b for a, b in cores)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(VERDICTS, max_size=5), HOLES, st.sampled_from([contract(), contract("ticket")]), TICKETS, POSTS,
    st.lists(st.integers(START, END - 1), min_size=3, max_size=8),
)  # fmt: skip
def test_each_instant_has_the_class_that_a_slow_reader_of_the_rules_gives_it(
    verdicts, holes, terms, tickets, posts, instants
) -> None:
    spans = spans_without(holes)
    evidence = SiteEvidence("leeds", verdicts, spans, tickets)
    parts = classify(terms, terms.commitments[0], evidence, (START, END), posts).parts
    edges = [
        b + d for v in verdicts for at in (v.start, v.end) for b in (at.earliest_us, at.latest_us) for d in (-1, 0)
    ]
    edges += [b + d for p in posts for b in (p.scheduled_for_us or 0, p.scheduled_until_us or 0) for d in (-1, 0)]
    for at_us in [*instants, *(e for e in edges if START <= e < END)]:
        found = [name for name, intervals in parts.items() if any(a <= at_us < b for a, b in intervals)]
        assert found == [slowly(terms, verdicts, spans, tickets, posts, at_us)]


INTERVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6)


@given(INTERVALS, INTERVALS)
def test_interval_arithmetic_is_that_of_sets(a, b) -> None:
    def points(intervals: list[tuple[int, int]]) -> set[int]:
        return {i for start, end in intervals for i in range(start, end)}

    assert points(union(a)) == points(a)
    assert points(intersect(a, b)) == points(a) & points(b)
    assert points(subtract(a, b)) == points(a) - points(b)
    assert length(a) == len(points(a))
