"""A test call is one sample of its target, whatever its media was like."""

from __future__ import annotations

import pytest
from branch_story import EDGE, MINUTE, SECOND, T0, Branch, Fault, Probe

from linewitness.model import Fate, Segment
from linewitness.settle.timeline import FATES, SiteRecord, fate_of_call, read_site
from linewitness_wire import codes


@pytest.mark.parametrize(
    ("outcome", "fate"),
    [
        (codes.CALL_DONE, codes.FATE_ANSWERED),
        (codes.CALL_SILENT, codes.FATE_LOST),
        (codes.CALL_RINGING, codes.FATE_LOST),
        (codes.CALL_REFUSED, codes.FATE_WRONG),
        (codes.CALL_NO_MEDIA, codes.FATE_WRONG),
        (codes.CALL_NOT_SENT, codes.FATE_VOID),
    ],
)
def test_a_call_is_answered_lost_wrong_or_the_witness_s_own_fault(outcome: int, fate: int) -> None:
    assert fate_of_call(outcome) == FATES[fate]


CALLS = (
    Probe(EDGE, "provider", "stamp", period_us=MINUTE),
    Probe(EDGE, "provider", "call", period_us=20 * MINUTE, callee="9196"),
    Probe(EDGE, "carrier", "call", period_us=20 * MINUTE, callee="+44"),
)


def record_of(*faults: Fault) -> SiteRecord:
    branch = Branch("leeds", faults, CALLS, batch_us=MINUTE, duration_us=60 * MINUTE)
    return read_site("leeds", branch.batches(), {branch.plan_hash: branch.plan}, T0, T0 + 60 * MINUTE)


def test_a_call_whose_sound_came_back_is_a_call_quality_window_beside_the_others() -> None:
    windows = record_of().windows
    called = [w for w in windows if w.mos_milli == 4_200]
    assert len(windows) == 60 + 6
    assert {(w.segment, w.control, w.codec, w.buffer_ms) for w in called} == {
        (Segment.PROVIDER, False, "G.711 PLC", 60), (Segment.CARRIER, False, "G.711 PLC", 60),
    }  # fmt: skip
    failed = record_of(Fault("9196", 15 * MINUTE, 25 * MINUTE), Fault("+44", 15 * MINUTE, 25 * MINUTE, (), 486))
    assert len(failed.windows) == 60 + 4


def test_a_call_names_its_callee_and_may_have_failed_at_any_instant_of_it() -> None:
    found = record_of(Fault("9196", 20 * MINUTE + 10 * SECOND, 25 * MINUTE))
    (call,) = [s for s in found.series if s.callee == "9196"]
    (lost,) = call.points(Fate.LOST, T0, T0 + 60 * MINUTE)
    assert lost.earliest_us <= T0 + 20 * MINUTE + 140_000
    assert lost.latest_us >= T0 + 20 * MINUTE + 20 * SECOND
