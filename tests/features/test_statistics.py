from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tomogram.features.statistics import BINS, Statistics, bin_edges, bin_of, scale_of
from tomogram.features.units import Firings

UNITS, TOKENS = 3, 5
positive = st.floats(2.0**-14, 2.0**14, width=32)


def firings_of(dense: np.ndarray) -> Firings:
    token, unit = np.nonzero(dense)
    return Firings(token, unit, dense[token, unit].astype(np.float32))


dense_batches = st.lists(
    arrays(np.float32, (TOKENS, UNITS), elements=st.just(0.0) | positive), min_size=2, max_size=6
)


def counted(batches: list[np.ndarray], scale: float = 4.0) -> Statistics:
    statistics = Statistics.empty(UNITS, scale)
    for dense in batches:
        statistics.add(firings_of(dense), len(dense))
    return statistics


def equal(a: Statistics, b: Statistics) -> bool:
    return (
        (a.tokens, a.scale) == (b.tokens, b.scale)
        and np.array_equal(a.histogram, b.histogram)
        and np.array_equal(a.sums, b.sums)
        and np.array_equal(a.largest, b.largest)
    )


@given(dense_batches, st.integers(0, 6))
def test_two_halves_merged_are_bit_for_bit_the_whole(batches: list[np.ndarray], cut: int) -> None:
    whole = counted(batches)
    left, right = counted(batches[:cut]), counted(batches[cut:])
    assert equal(left.merge(right), whole)
    assert equal(right.merge(left), whole)


@given(dense_batches)
def test_agrees_with_numpy_over_all_tokens_at_once(batches: list[np.ndarray]) -> None:
    statistics = counted(batches)
    text = np.concatenate(batches).astype(np.float64)
    assert statistics.tokens == len(text)
    for unit in range(UNITS):
        fired = text[text[:, unit] > 0, unit]
        assert statistics.count[unit] == len(fired)
        assert statistics.rate[unit] == len(fired) / len(text)
        assert statistics.largest[unit] == fired.max(initial=0)
        if len(fired):
            assert statistics.mean[unit] == pytest.approx(fired.mean(), rel=1e-5, abs=1e-5)
            # The variance is a difference of squares, so its error is relative to the square.
            error = 1e-5 + 1e-6 * np.mean(fired**2)
            assert abs(statistics.deviation[unit] ** 2 - fired.var()) <= error
        else:
            assert statistics.mean[unit] == statistics.deviation[unit] == 0


@given(arrays(np.float32, 20, elements=positive))
def test_bins_lie_between_their_edges(activation: np.ndarray) -> None:
    edges, bins = bin_edges(), bin_of(activation)
    assert np.all(edges[bins] <= activation)
    assert np.all(activation < edges[bins + 1])


def test_what_lies_beyond_the_bins_is_in_the_outer_ones() -> None:
    assert list(bin_of(np.float32([1e-30, 1e30, np.inf]))) == [0, BINS - 1, BINS - 1]


def test_scale_is_the_power_of_two_above_the_root_mean_square() -> None:
    assert scale_of(np.float32([3, 3])) == 4
    assert scale_of(np.float32([0.1])) == 0.125
    assert scale_of(np.zeros(0, np.float32)) == 1


def test_another_scale_does_not_merge() -> None:
    with pytest.raises(ValueError, match="scale"):
        counted([], 4.0).merge(counted([], 2.0))
    with pytest.raises(ValueError, match="power of two"):
        Statistics.empty(1, 3.0)
