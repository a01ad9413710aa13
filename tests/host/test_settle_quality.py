"""Promises about quality: only what the own control clears is held against the provider, and every window is placed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terms import credit, terms

from linewitness.model import Bounds, OutagePost, QualityWindow, Segment, Side, Tally, Verdict
from linewitness.settle.account import SiteEvidence
from linewitness.settle.calendar import month_interval
from linewitness.settle.contract import Contract
from linewitness.settle.heard import Windows
from linewitness.settle.quality import (
    BAD_CONTROL,
    COUNTED,
    NO_CONTROL,
    NOT_CERTIFIED,
    NOT_MANAGED,
    NOT_WIRED,
    tally_quality,
)

MONTH = "2026-04"
START, END = month_interval(MONTH, "UTC")
SECOND, MINUTE = 1_000_000, 60_000_000

MEAN = '[[commitment]]\nname = "q"\nmetric = "mos"\nstatistic = "mean"\nlimit_mos = 4.0\nwindow = "month"\n'
CALLS = """
[[commitment]]
name = "q"
metric = "call_quality"
statistic = "share"
limit_loss_percent = 1
limit_jitter_ms = 30
limit_latency_ms = 150
max_share_percent = 10
window = "month"
"""
STEPS = credit("per_step", "step_mos = 0.1\npercent = 10", "q")
FLAT = credit("flat", "percent = 10", "q")
MAINTENANCE = '[[exclusion]]\nkind = "maintenance"\nclause = "4.2"\nnotice_h = 0\n'


def window(
    minute: float, mos: int | None = 4200, *, control: bool = False, loss: int = 0, jitter_us: int = 2000,
    rtt_us: int = 40_000, late: int = 0, witness: str = "w1",
) -> QualityWindow:  # fmt: skip
    """Return a window of 5 s and 250 packets, of which some are lost and some late; None for what is not known."""
    at = START + int(minute * MINUTE)
    answered = 250 - loss
    return QualityWindow(
        "leeds", witness, 1, "reflector" if control else "edge", Segment.TRANSIT if control else Segment.PROVIDER,
        control, Bounds(at, at), Bounds(at + 5 * SECOND, at + 5 * SECOND), 250, answered, late, 0, 0, 0, None,
        (rtt_us, rtt_us, rtt_us, rtt_us) if answered else None, jitter_us if answered else None, None, None, None, None,
        None, mos if answered else None, "G.711 PLC", 60,
    )  # fmt: skip


def pairs(*values: int) -> list[QualityWindow]:
    """Return windows with these MOS, a minute apart, each with a clean one to the own reflector beside it."""
    return [w for i, mos in enumerate(values) for w in (window(i, mos), window(i + 0.5, control=True))]


def tally(contract: Contract, windows: list[QualityWindow], *verdicts: Verdict, wired: bool = False,
          posts: tuple[OutagePost, ...] = ()) -> Tally:  # fmt: skip
    evidence = SiteEvidence("leeds", verdicts, (), (), Windows.of(windows), wired)
    return tally_quality(contract, contract.commitments[0], "leeds", [evidence], MONTH, posts)


def failing(side: Side, minute: float, until: float) -> Verdict:
    at = [Bounds(START + int(m * MINUTE), START + int(m * MINUTE)) for m in (minute, until)]
    return Verdict("leeds", None, side, *at, 98, (), (), (), (), side is Side.PROVIDER)


def test_the_mean_of_the_month_is_compared_with_the_limit() -> None:
    good = tally(terms(MEAN, STEPS), pairs(4200, 4000, 3800))
    assert (good.achieved, good.standing, good.judged, good.failed) == (4000, "met", 3, 1)
    bad = tally(terms(MEAN, STEPS), pairs(4200, 3500, 3700))
    assert (bad.achieved, bad.standing, bad.credit_percent_milli) == (3800, "breach", 20_000)


def test_a_bad_window_whose_control_is_bad_or_missing_is_not_claimable() -> None:
    own_line = [window(0, 2000), window(0.5, 2100, control=True), *pairs(4200)[1:], window(1, 4200)]
    t = tally(terms(MEAN, STEPS), own_line)
    assert (t.standing, t.achieved, t.not_claimable) == ("possible", 4200, ((BAD_CONTROL, 1),))
    assert t.worst == 3100
    alone = tally(terms(MEAN, STEPS), [window(0, 2000), window(3, control=True)])
    assert (alone.standing, alone.judged, alone.not_claimable) == ("possible", 0, ((NO_CONTROL, 1),))
    other = tally(terms(MEAN, STEPS), [window(0, 2000), window(0.5, control=True, witness="w2")])
    assert other.not_claimable == ((NO_CONTROL, 1),)


def test_without_a_window_nothing_was_measured() -> None:
    t = tally(terms(MEAN, STEPS), [])
    assert (t.standing, t.achieved, t.credit_percent_milli) == ("unmeasured", None, 0)


@pytest.mark.parametrize(
    ("side", "name"), [(Side.CUSTOMER, "customer"), (Side.UNDETERMINED, "undetermined"), (Side.PROVIDER, COUNTED)]
)
def test_windows_within_a_failure_are_counted_elsewhere(side: Side, name: str) -> None:
    t = tally(terms(MEAN, STEPS), pairs(1500, 4200, 4200), failing(side, 0, 0.9))
    assert (t.standing, t.judged, t.not_claimable) == ("met", 2, ((name, 1),))
    assert t.worst == 4200


def test_windows_within_announced_maintenance_are_excluded_by_its_clause() -> None:
    post = OutagePost(
        "acme", "m", "Works", "maintenance", "completed", (), True, START - 1, None, None, None, START, START + MINUTE,
        None, END, "",
    )  # fmt: skip
    t = tally(terms(MEAN, STEPS, MAINTENANCE), pairs(1500, 4200), posts=(post,))
    assert (t.excluded, t.judged, t.standing) == ((("4.2", 1),), 1, "met")


def test_a_share_of_calls_beyond_any_limit() -> None:
    fine = [w for i in range(20) for w in (window(i), window(i + 0.5, control=True))]
    two = [*fine, window(20, loss=3), window(20.5, control=True), window(21, jitter_us=31_000)]
    kept = tally(terms(CALLS, FLAT), two)
    assert (kept.achieved, kept.failed, kept.judged, kept.standing) == (90_909, 2, 22, "met")
    three = [*two, window(22, rtt_us=151_000), window(22.5, control=True)]
    missed = tally(terms(CALLS, FLAT), three)
    assert (missed.failed, missed.judged, missed.standing, missed.credit_percent_milli) == (3, 23, "breach", 10_000)
    one_way = terms(CALLS.replace("limit_latency_ms", "one_way = true\nlimit_latency_ms"), FLAT)
    assert tally(one_way, three).failed == 2  # 75.5 ms each way


def test_late_packets_are_lost_and_a_window_without_an_answer_is_all_loss() -> None:
    loss = CALLS.replace("call_quality", "loss").replace("limit_jitter_ms = 30\nlimit_latency_ms = 150\n", "")
    contract = terms(loss, FLAT)
    controls = [window(m + 0.5, control=True) for m in range(3)]
    t = tally(contract, [window(0, late=3), window(1, loss=250), window(2), *controls])
    assert (t.failed, t.judged, t.achieved) == (2, 3, 666_666)
    silent = tally(terms(MEAN, STEPS), [window(0, loss=250), window(0.5, control=True)])
    assert silent.achieved == 1000


def test_packets_that_the_witness_spoilt_are_not_counted_and_a_spoilt_window_says_nothing() -> None:
    loss = CALLS.replace("call_quality", "loss").replace("limit_jitter_ms = 30\nlimit_latency_ms = 150\n", "")
    spoilt = replace(window(0, loss=10), self_delayed=10)
    nothing = replace(window(1, loss=250), self_delayed=250)
    t = tally(terms(loss, FLAT), [spoilt, nothing, window(2)])
    assert (t.judged, t.failed, t.not_claimable) == (2, 0, ())


def test_windows_over_the_edge_of_the_month_are_of_neither_month() -> None:
    over = [window(-1 / 60), window((END - START) / MINUTE - 1 / 60), window(1)]
    assert tally(terms(MEAN, STEPS), over).judged == 1


def test_a_mean_between_two_whole_numbers_is_shown_as_the_better_one() -> None:
    assert tally(terms(MEAN, STEPS), pairs(3900, 3901)).achieved == 3901


def test_intervals_pool_their_windows() -> None:
    pooled = MEAN.replace('"mean"', '"share"') + "max_share_percent = 25\ninterval_s = 300\n"
    # Minutes 0-4 mean 4.0, 5-9 mean 3.9: one of two intervals is beyond, though five single windows are.
    values = (4200, 3800, 4000, 4000, 4000, 3900, 3900, 3900, 3900, 3900)
    t = tally(terms(pooled, credit("per_failure", "percent = 3", "q")), pairs(*values))
    assert (t.judged, t.failed, t.standing, t.credit_percent_milli) == (2, 1, "breach", 3000)


def test_where_only_wired_endpoints_count_a_witness_on_wifi_claims_nothing() -> None:
    contract = terms(MEAN + "wired_only = true\n", STEPS)
    t = tally(contract, pairs(3000))
    assert (t.standing, t.not_claimable) == ("possible", ((NOT_WIRED, 1),))
    assert tally(contract, pairs(3000), wired=True).standing == "breach"


@pytest.mark.parametrize(("flag", "why"), [("certified_phone", NOT_CERTIFIED), ("managed_network_only", NOT_MANAGED)])
def test_where_only_phones_or_networks_of_the_providers_count_a_witness_shows_which_calls_to_ask_for(flag, why) -> None:
    contract = terms(MEAN + f"{flag} = true\n", STEPS)
    t = tally(contract, pairs(3000), wired=True)
    assert (t.standing, t.not_claimable) == ("possible", ((why, 1),))
    assert tally(terms(MEAN + f"{flag} = false\n", STEPS), pairs(3000), wired=True).standing == "breach"


WINDOWS = st.lists(
    st.builds(
        lambda m, mos, control, loss: window(m / 2, mos, control=control, loss=loss),
        st.integers(0, 60), st.integers(1000, 4400), st.booleans(), st.integers(0, 250),
    ),
    max_size=12,
)  # fmt: skip
CUTS = st.lists(
    st.builds(lambda a, n, side: failing(side, a, a + n), st.integers(0, 30), st.integers(1, 5),
              st.sampled_from([Side.CUSTOMER, Side.ISP, Side.PROVIDER])), max_size=3,
)  # fmt: skip


@given(WINDOWS, CUTS, st.randoms())
def test_every_window_is_in_one_place_and_the_order_of_late_ones_never_matters(windows, verdicts, rng) -> None:
    t = tally(terms(MEAN, STEPS), windows, *verdicts)
    ours = [w for w in windows if not w.control]
    assert t.judged + sum(n for _, n in t.excluded) + sum(n for _, n in t.not_claimable) == len(ours)
    same = [replace(w, seq=i) for i, w in enumerate(windows)]
    before = tally(terms(MEAN, STEPS), same, *verdicts)
    rng.shuffle(same)
    assert tally(terms(MEAN, STEPS), same, *verdicts) == before


@given(WINDOWS, st.integers(0, 30), st.integers(1, 9))
def test_a_failure_of_another_side_never_adds_a_window_that_is_claimed(windows, minute, minutes) -> None:
    before = tally(terms(MEAN, STEPS), windows)
    after = tally(terms(MEAN, STEPS), windows, failing(Side.ISP, minute, minute + minutes))
    assert after.failed <= before.failed
