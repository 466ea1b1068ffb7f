"""Scales map data onto the drawing and put ticks on round numbers."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomogram.report.charts.scale import Linear, Log, Root, nice_top

SIZES = st.floats(1e-4, 1e6)


@given(SIZES, st.floats(0, 1))
def test_linear_hits_both_ends_and_keeps_order(high: float, share: float) -> None:
    scale = Linear(0.0, high, 10.0, 20.0)
    assert scale(0.0) == 10.0
    assert scale(high) == pytest.approx(20.0)
    assert scale(share * high) == pytest.approx(10 + 10 * share)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_nothing_is_drawn_outside(value: float) -> None:
    assert 10.0 <= Linear(-1.0, 1.0, 10.0, 20.0)(value) <= 20.0
    assert 10.0 <= Log(0.01, 10.0, 10.0, 20.0)(value) <= 20.0


@given(st.floats(-1e3, 1e3), SIZES)
def test_ticks_are_few_round_and_inside(low: float, width: float) -> None:
    scale = Linear(low, low + width, 0.0, 1.0)
    ticks = scale.ticks(5)
    assert len(ticks) <= 6
    assert all(low - 1e-6 * width <= tick <= low + width + 1e-6 * width for tick in ticks)
    steps = {round(b - a, 9) for a, b in pairwise(ticks)}
    assert len(steps) <= 1 or math.isclose(min(steps), max(steps), rel_tol=1e-3)


def test_ticks_by_hand() -> None:
    assert Linear(0.0, 1.0, 0.0, 1.0).ticks(5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert Linear(0.0, 5.93, 0.0, 1.0).ticks(5) == [0.0, 2.0, 4.0]
    assert Log(0.01, 12.0, 0.0, 1.0).ticks() == [0.01, 0.1, 1.0, 10.0]


@given(st.floats(0.01, 1e4))
def test_root_ticks_are_apart_and_inside(high: float) -> None:
    scale = Root(high, 190.0, 12.0)
    ticks = scale.ticks(24.0)
    assert ticks[0] == 0.0
    assert max(ticks) <= high
    assert all(abs(scale(a) - scale(b)) >= 24.0 for a, b in pairwise(ticks))
    assert scale(high / 4) == pytest.approx((190 + 12) / 2)


@pytest.mark.parametrize(
    ("value", "top"), [(0.7, 1), (1, 1), (1.1, 2), (2.1, 5), (7, 10), (0.03, 0.05), (0, 1)]
)
def test_tops_are_nice(value: float, top: float) -> None:
    assert nice_top(value) == pytest.approx(top)
