"""A test call is one sample of its target, whatever its media was like."""

from __future__ import annotations

import pytest

from linewitness.settle.timeline import FATES, fate_of_call
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
