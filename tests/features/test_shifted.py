from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from tomogram.features.shifted import shifted

DOCUMENTS = np.repeat(np.arange(100), 10)
APART = np.where(np.arange(1_000) % 100 == 7, 9.0, 1.0)
"""Tokens 7, 107, ... are where the two models are far apart: one in a hundred."""


def codes(**columns: np.ndarray) -> sparse.csr_array:
    return sparse.csr_array(np.stack([columns[name] for name in sorted(columns)], axis=1))


def test_a_feature_that_shifts_where_the_models_part_leads() -> None:
    rng = np.random.default_rng(0)
    usual = rng.random(1_000)
    there = np.where(APART > 1, 5.0, 0.0)
    before = codes(a=usual, b=np.full(1_000, 2.0), c=np.zeros(1_000))
    # a shifts a little everywhere, b not at all, c fires anew where the models are apart.
    after = codes(a=usual + 0.3, b=np.full(1_000, 2.0), c=there)
    found = shifted(before, after, APART, DOCUMENTS, limit=3, examples=2)
    first = found.features[0]
    assert first.unit == 2
    assert first.rates == (0.0, 0.01)
    assert first.activity == (0.0, pytest.approx(0.05))
    assert first.turnover.value == 1.0
    assert [APART[p] for p in first.positions] == [9.0, 9.0]
    assert first.values == ((0.0, 5.0), (0.0, 5.0))
    assert 1 not in [each.unit for each in found.features]


def test_turnover_is_that_of_bray_and_curtis_on_the_other_half() -> None:
    before, after = codes(a=np.full(1_000, 1.0)), codes(a=np.full(1_000, 3.0))
    (found,) = shifted(before, after, APART, DOCUMENTS, limit=3, examples=1).features
    assert found.turnover.value == pytest.approx(0.5)
    assert found.turnover.n < 100


def test_what_is_the_same_has_no_feature_to_tell() -> None:
    code = codes(a=np.random.default_rng(0).random(1_000))
    found = shifted(code, code, APART, DOCUMENTS, limit=3, examples=1)
    assert found.features == ()
    assert found.total is not None
    assert found.total.value == 0


def test_a_silent_dictionary_has_no_turnover() -> None:
    silent = sparse.csr_array((1_000, 4))
    assert shifted(silent, silent, APART, DOCUMENTS, limit=3, examples=1).total is None


def test_codes_of_different_shapes_are_refused() -> None:
    one, two = sparse.csr_array((1_000, 4)), sparse.csr_array((1_000, 5))
    with pytest.raises(ValueError, match="codes"):
        shifted(one, two, APART, DOCUMENTS, limit=3, examples=1)


def test_a_ranking_that_is_luck_does_not_repeat() -> None:
    rng = np.random.default_rng(1)
    before = sparse.csr_array(rng.random((1_000, 200)) * (rng.random((1_000, 200)) < 0.05))
    noise = sparse.csr_array(rng.random((1_000, 200)) * (rng.random((1_000, 200)) < 0.02))
    lucky = shifted(before, before + noise, APART, DOCUMENTS, limit=10, examples=1)
    planted = sparse.csr_array(np.outer(APART > 1, np.arange(200) < 10) * 5.0)
    real = shifted(before, before + planted, APART, DOCUMENTS, limit=10, examples=1)
    assert real.repeats == 1.0
    assert lucky.repeats < 0.5
