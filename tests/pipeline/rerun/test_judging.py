"""Three outcomes by hand: the tolerance is three times what rounding was seen to change."""

from __future__ import annotations

import pytest

from tomogram.custody.verify import Outcome
from tomogram.pipeline.rerun.judging import Repeated, judge

SAME, OTHER, UNKNOWN = Outcome.REPRODUCED, Outcome.DIFFERS, Outcome.UNCHECKED


@pytest.mark.parametrize(
    ("recorded", "again", "shaken", "outcome"),
    [
        (1.0, 1.0, [1.0, 1.0, 1.0], SAME),
        (1.0, 1.0 + 9e-7, [1.0 + 9e-7] * 3, SAME),  # within the floor of float32 sums
        (1.0, 1.0 + 3e-6, [1.0 + 3e-6] * 3, OTHER),
        (1.0, 1.002, [1.001, 1.002, 1.003], SAME),  # rounding moves it by .001, thrice that is .003
        (1.0, 1.004, [1.003, 1.004, 1.005], OTHER),
        (1.0, 1.05, [1.1, 1.05, 1.05], UNKNOWN),  # a tolerance of .15 says nothing about 1.0
        (1.0, 2.0, [2.1, 2.0, 1.9], OTHER),  # and yet this lies outside even that
        (0.0, 0.0, [0.0, 0.0, 0.0], SAME),
        (0.0, 0.1, [0.1, 0.1, 0.1], OTHER),
        (-1.0, 1.0, [1.0, 1.0, 1.0], OTHER),
    ],
)
def test_outcomes(recorded: float, again: float, shaken: list[float], outcome: Outcome) -> None:
    check = judge(Repeated("a figure", recorded, again, tuple(shaken)))
    assert check.outcome is outcome, check.reason
    assert "is recorded" in check.reason
