"""Statistics of a calibration, by hand and beside scikit-learn and scipy."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp
from sklearn.metrics import roc_auc_score

from tomogram.audits.calibration.statistics import (
    ENOUGH,
    LEAST,
    auroc,
    curve,
    false_alarms,
    minimum_detectable,
    over_bases,
    sensitivity_at,
    share,
)

SCORES = st.lists(st.integers(-5, 5), min_size=1, max_size=20)


@given(SCORES, SCORES)
def test_auroc_is_sklearns(infected: list[int], clean: list[int]) -> None:
    found = auroc(infected, clean)
    labels = [1] * len(infected) + [0] * len(clean)
    assert found.value == pytest.approx(roc_auc_score(labels, infected + clean))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_sensitivity_at_few_alarms() -> None:
    clean = [float(i) for i in range(100)]
    assert sensitivity_at([98.5, 99.5, 1.0], clean, 0.01).value == pytest.approx(2 / 3)
    assert sensitivity_at([98.5, 99.5, 1.0], clean, 0.0).value == pytest.approx(1 / 3)
    assert sensitivity_at([8.5, 9.5], [float(i) for i in range(10)], 0.01).value == 0.5


def test_bases_are_clusters() -> None:
    values = [0.9, 0.95, 0.8]
    found = over_bases(values)
    interval = ttest_1samp(values, 0).confidence_interval()
    assert found.low == pytest.approx(interval.low)
    assert (found.high, float(interval.high) > 1) == (1.0, True)  # a share never lies above 1
    values = [0.5, 0.52, 0.48]
    narrow, interval = over_bases(values), ttest_1samp(values, 0).confidence_interval()
    assert narrow.high == pytest.approx(interval.high)
    assert over_bases([0.0, 0.1]).low == 0.0
    one = over_bases([0.9])
    assert (one.low, one.high, one.n) == (0.9, 0.9, 1)


def test_minimum_detectable_strength() -> None:
    """Twenty of twenty at .9 and more have a lower bound of .83; ten of twenty below have not."""
    strengths = [0.97] * 20 + [0.85] * 20 + [0.4] * 20
    detected = [True] * 40 + [True] * 10 + [False] * 10
    bins = curve(strengths, detected, range(60))
    assert [round(b.sensitivity.value, 2) for b in bins] == [0.5, 1.0, 1.0]
    assert minimum_detectable(bins) == pytest.approx(0.85)
    assert (
        minimum_detectable(curve([0.97] * 5, [True] * 5, range(5))) is None
    )  # five are too few to say


def test_few_of_a_strength_are_taken_with_the_next_weaker() -> None:
    """Nine full ones and nine weaker are eighteen together, and tell of their mean strength."""
    bins = curve(
        [1.0] * 9 + [0.7] * 9 + [0.3] * 4 + [0.01] * 30, [True] * 18 + [False] * 34, range(52)
    )
    assert [(b.low, b.sensitivity.n) for b in bins] == [(0.05, 4), (0.65, 18)]
    assert minimum_detectable(bins) == pytest.approx(0.85)
    assert share(LEAST, LEAST).low >= ENOUGH > share(LEAST - 1, LEAST - 1).low


def test_doses_of_a_variant_are_one_sample() -> None:
    """Seventeen variants in two doses are seventeen, and one is missed that was missed in one."""
    (low, high) = curve(
        [1.0] * 17 + [0.3, 0.2] * 17,
        [True] * 50 + [False],
        [*range(17), *(i // 2 for i in range(34))],
    )
    assert (high.sensitivity.n, high.sensitivity.value) == (17, 1.0)
    assert (low.sensitivity.n, low.sensitivity.value) == (17, pytest.approx(16 / 17))


@given(st.lists(st.tuples(st.floats(0.05, 1.0), st.booleans()), max_size=120))
def test_every_model_of_a_curve_stands_in_one_bin(models: list[tuple[float, bool]]) -> None:
    bins = curve([s for s, _ in models], [d for _, d in models], range(len(models)))
    assert sum(b.sensitivity.n for b in bins) == len(models)
    assert all(b.sensitivity.n >= LEAST for b in bins[1:])
    assert all(one.high == other.low for one, other in itertools.pairwise(bins))
    assert all(b.low <= b.strength + 1e-12 < b.high + 1e-9 for b in bins)


def test_false_alarms_count_at_and_below() -> None:
    assert false_alarms([0.01, 0.02, 0.05, 1.0], 0.05).value == 0.75


def test_nothing_has_no_figures() -> None:
    for call in (lambda: auroc([], [1]), lambda: over_bases([])):
        with pytest.raises(ValueError, match=r"no|needs"):
            call()
