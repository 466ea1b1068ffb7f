"""Tails: the likeliest fit beside scipy's, by hand where a closed form is known, and monotone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import genpareto

from tomogram.audits.calibration.tails import SHAPES, shape_of, step_of, tail


def test_a_scale_is_scipys_likeliest() -> None:
    excesses = genpareto.rvs(0.4, scale=2.0, size=60, random_state=0)
    clean = [*(5.0 - excesses), 5.0, *(5.0 + excesses)]
    found = tail(clean, 0.4)
    assert found.middle == 5.0
    _, _, scale = genpareto.fit(excesses, f0=0.4, floc=0.0)
    assert found.scale == pytest.approx(scale, rel=1e-3)
    for far in (1.0, 10.0, 300.0):
        survives = genpareto.sf(far, 0.4, scale=found.scale)
        assert found.p(5.0 + far) == pytest.approx(60 / 121 * survives)


def test_the_shape_is_found_from_audits_of_other_units() -> None:
    def drawn(shape: float) -> float:
        return shape_of(
            [
                unit * genpareto.rvs(shape, size=400, random_state=seed)
                for seed, unit in enumerate((0.01, 1.0, 50.0))
            ]
        )

    assert drawn(0.8) == pytest.approx(0.8, abs=0.15)
    assert drawn(0.0) == SHAPES[0]  # a lighter tail than the first is never believed


@settings(max_examples=60)
@given(
    st.lists(st.floats(-100, 100), min_size=2, max_size=40),
    st.lists(st.floats(-200, 1e6), min_size=2, max_size=6),
    st.sampled_from(SHAPES),
)
@example([0.0, 0.0, 1.0, -1.0, -1.0, -1.5e-193], [0.0, 0.0], 0.5)
@example([0.0, 2.2250738585e-313], [0.0, 0.0], 0.25)  # so small that a share of it is 0
def test_a_higher_score_never_has_a_greater_p(
    clean: list[float], scores: list[float], shape: float
) -> None:
    found = tail(clean, shape)
    p = [found.p(score) for score in sorted(scores)]
    assert all(0 <= each <= 1 for each in p)
    assert p == sorted(p, reverse=True)


def test_one_far_copy_stretches_a_scale_by_little() -> None:
    near = np.random.default_rng(0).normal(size=40).tolist()
    assert tail([*near, 1e6], 0.25).scale < 2 * tail([*near, 4.0], 0.25).scale


def test_copies_that_are_all_alike_have_a_tail() -> None:
    found = tail([1.0] * 9, 0.5)
    assert found.p(1.0) == 1.0
    assert found.p(1.1) < 1e-6


def test_the_order_below_the_median_is_kept_too() -> None:
    found = tail([0.0, 1.0, 2.0, 3.0], 0.25)
    assert found.p(1.5) == 0.5
    assert 0.5 < found.p(0.0) < found.p(-5.0) < 1.0


def test_of_one_copy_nothing_can_be_said() -> None:
    with pytest.raises(ValueError, match="two scores"):
        tail([1.0], 0.5)
    assert shape_of([]) in SHAPES
    assert shape_of([[1.0, 1.0]]) in SHAPES


def test_one_count_more_is_not_far_out_where_clean_copies_are_all_alike() -> None:
    assert step_of([0.0, 0.25, 0.375, 1.0]) == 0.125
    assert step_of([1.0, 1.0]) == 0.0
    alike = tail([0.0] * 48, 0.25, 0.125)
    assert alike.scale == 0.125
    assert 0 < alike.p(1.0) < alike.p(0.125) < 1 / 49
    far = [0.0, 10.0, 20.0, 35.0]
    assert tail(far, 0.25, 0.125) == tail(far, 0.25)
