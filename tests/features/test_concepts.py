from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from tomogram.features.concepts import (
    Latent,
    Matches,
    Signed,
    best_of,
    best_threshold,
    match,
    random_directions,
)

TOKENS, UNITS = 3000, 300


def f1(said: np.ndarray, true: np.ndarray) -> float:
    total = said.sum() + true.sum()
    return float(2 * (said & true).sum() / total) if total else 0.0


@given(
    arrays(np.float32, 12, elements=st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0])),
    arrays(bool, 12),
)
def test_the_best_threshold_is_the_best_of_all(activation: np.ndarray, true: np.ndarray) -> None:
    threshold, score = best_threshold(activation, np.flatnonzero(true))
    assert threshold >= 0
    tried = [f1(activation > t, true) for t in (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75)]
    assert score == pytest.approx(max(tried))
    if score:
        assert f1(activation > threshold, true) == pytest.approx(score)


def truth(seed: int) -> np.ndarray:
    """Five concepts, true of one token in three down to one in a hundred."""
    rng = np.random.default_rng(seed)
    return rng.random((TOKENS, 5)) < [0.3, 0.1, 0.05, 0.02, 0.01]


def latents(true: np.ndarray, seed: int) -> np.ndarray:
    """Units that fire at random, of which 7, 70, 140, 210 and 280 stand for the concepts.

    They fire strongly where the concept is true and faintly where it is not.
    """
    rng = np.random.default_rng(seed)
    dense = rng.random((TOKENS, UNITS)) * (rng.random((TOKENS, UNITS)) < 0.05)
    for concept, unit in enumerate((7, 70, 140, 210, 280)):
        faint = 0.4 * (rng.random(TOKENS) < 0.1)
        dense[:, unit] = np.where(true[:, concept], 1 + rng.random(TOKENS), faint)
    return dense.astype(np.float32)


def matched(one: object, other: object) -> Matches:
    first, second = sparse.csr_array(truth(0)), sparse.csr_array(truth(1))
    return match(one, first, other, second)  # type: ignore[arg-type]


def test_planted_latents_are_found_with_their_thresholds() -> None:
    first, second = latents(truth(0), 2), latents(truth(1), 3)
    found = matched(Latent(sparse.csc_array(first)), Latent(sparse.csc_array(second)))
    assert found.unit.tolist() == [7, 70, 140, 210, 280]
    assert found.measured.tolist() == [1] * 5
    assert np.all((found.threshold >= 0.4) & (found.threshold <= 1.05))


def test_neurons_are_searched_on_both_sides() -> None:
    rng = np.random.default_rng(4)
    first, second = (rng.standard_normal((TOKENS, 20)).astype(np.float32) for _ in range(2))
    for dense, true in ((first, truth(0)), (second, truth(1))):
        for concept, sign in enumerate((1, -1, 1, -1, -1)):
            dense[:, concept] += 8 * sign * true[:, concept]
    found = matched(Signed(first), Signed(second))
    assert found.unit.tolist() == [0, 21, 2, 23, 24]
    assert np.all(found.measured > 0.97)


def test_one_procedure_for_latents_and_for_the_positive_sides_of_neurons() -> None:
    first, second = latents(truth(0), 5), latents(truth(1), 6)
    sparse_form = matched(Latent(sparse.csc_array(first)), Latent(sparse.csc_array(second)))
    dense_form = matched(Signed(first), Signed(second))
    for name in ("unit", "threshold", "selected", "measured"):
        assert np.array_equal(getattr(sparse_form, name), getattr(dense_form, name))


def test_choice_and_measurement_are_apart() -> None:
    """Among many units one fits a rare concept by chance; the other text shows that."""
    rng = np.random.default_rng(7)
    first, second = (rng.standard_normal((TOKENS, 200)).astype(np.float32) for _ in range(2))
    found = matched(Signed(first), Signed(second))
    assert found.selected[4] > found.measured[4] + 0.02
    # Every token said to be positive gives 2p / (1 + p); nothing unrelated beats that by much.
    assert np.all(found.measured < 2 * 0.3 / 1.3 + 0.05)


def test_a_silent_family_matches_nothing() -> None:
    silent = Latent(sparse.csc_array((TOKENS, 4), dtype=np.float32))
    found = matched(silent, silent)
    assert found.selected.tolist() == found.measured.tolist() == [0] * 5


def test_the_best_family_is_chosen_by_the_selection_text_only() -> None:
    def made(selected: list[float], measured: list[float]) -> Matches:
        return Matches(np.arange(2), np.zeros(2), np.array(selected), np.array(measured))

    names, best = best_of({"a": made([0.5, 0.9], [0.1, 0.2]), "b": made([0.6, 0.1], [0.3, 0.9])})
    assert names == ["b", "a"]
    assert best.measured.tolist() == [0.3, 0.2]


def test_random_directions_have_norm_one() -> None:
    directions = random_directions(32, 100, seed=0)
    assert np.allclose(np.linalg.norm(directions, axis=0), 1)
    assert abs((directions.T @ directions)[np.triu_indices(100, 1)]).mean() < 0.2
