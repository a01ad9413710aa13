"""A call-quality window's packets that the witness itself spoilt say nothing; the others still do."""

from __future__ import annotations

import pytest

from linewitness.model import Fate
from linewitness.settle.timeline import _one_fate
from linewitness_wire import record


@pytest.mark.parametrize(
    ("sent", "answered", "spoilt", "fate"),
    [
        (100, 100, 0, Fate.ANSWERED),
        (100, 93, 7, Fate.ANSWERED),
        (100, 0, 0, Fate.LOST),
        (100, 0, 7, Fate.LOST),
        (100, 92, 7, Fate.VOID),
        (100, 0, 100, Fate.VOID),
    ],
)
def test_the_fate_of_a_window_is_that_of_its_measurements(sent: int, answered: int, spoilt: int, fate: Fate) -> None:
    reading = {record.SENT: sent, record.ANSWERED: answered, record.SELF_DELAYED: spoilt}
    assert _one_fate(reading) == fate
