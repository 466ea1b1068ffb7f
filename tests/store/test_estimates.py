from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tomogram.store.estimates import MANY, estimate, ratio, resample, share, within


def test_few_samples_get_the_t_interval_of_scipy() -> None:
    samples = np.array([1.0, 2.0, 4.0, 8.0])
    low, high = stats.t.interval(0.95, 3, samples.mean(), stats.sem(samples))
    found = estimate(samples)
    assert (found.value, found.n) == (3.75, 4)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_many_samples_agree_with_the_bootstrap_of_scipy() -> None:
    samples = np.random.default_rng(1).exponential(size=200)
    theirs = stats.bootstrap((samples,), np.mean, method="percentile", rng=2).confidence_interval
    found = estimate(samples)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


@pytest.mark.parametrize("n", [5, 40])
def test_intervals_cover_the_truth_about_as_often_as_they_say(n: int) -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        found = estimate(rng.normal(size=n))
        hits += found.low <= 0 <= found.high
    assert hits / 300 == pytest.approx(0.95, abs=0.04)


def test_one_sample_says_that_it_is_one() -> None:
    found = estimate(np.array([2.5]))
    assert (found.value, found.low, found.high, found.n) == (2.5, 2.5, 2.5, 1)


@pytest.mark.parametrize("samples", [[], [np.nan, 1.0], [[1.0, 2.0]]])
def test_refuses_what_has_no_mean(samples: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        estimate(np.array(samples))


def test_weights_of_a_draw_add_up_to_one() -> None:
    assert np.allclose(resample(7, draws=10).sum(1), 1)


def test_very_many_samples_need_no_bootstrap() -> None:
    samples = np.random.default_rng(0).exponential(size=MANY + 1)
    low, high = stats.t.interval(0.95, MANY, samples.mean(), stats.sem(samples))
    found = estimate(samples)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_a_ratio_of_means_is_not_the_mean_of_ratios() -> None:
    above, below = np.array([1.0, 9.0]), np.array([2.0, 3.0])
    found = ratio(above, below)
    # A draw holds the pairs (1, 2) and (9, 3) twice, once each, or the other twice.
    assert (found.value, found.low, found.high, found.n) == (2, 0.5, 3, 2)


def test_an_interval_ends_where_its_quantity_does() -> None:
    found = within(estimate(np.array([0.0, 0.0, 1.0])), 0, 1)
    assert (found.low, found.high, found.n) == (0, 1, 3)
    assert found.value == pytest.approx(1 / 3)
    one = estimate(np.array([1.0 + 1e-15] * 3))
    assert within(one, 0, 1).high == 1
    whole = estimate(np.arange(30.0))
    assert within(whole, low=0) == whole


@given(st.integers(1, 60), st.data())
def test_shares_have_exact_intervals(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    found = share(hits, n)
    exact = stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == (pytest.approx(exact.low), pytest.approx(exact.high))


def test_nothing_has_no_share() -> None:
    with pytest.raises(ValueError, match="no value"):
        share(0, 0)
