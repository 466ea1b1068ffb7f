from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from tomogram.features.search.examples import MISS, Background, evidence, ranked
from tomogram.features.statistics import BINS, bin_of


def seen(tokens: int, *rows: dict[float, int]) -> Background:
    made = np.zeros((len(rows), BINS), np.int64)
    for unit, row in enumerate(rows):
        for activation, count in row.items():
            made[unit, bin_of(np.array([activation], np.float32))[0]] += count
    return Background.of(made, tokens)


def test_one_sentence_by_hand() -> None:
    # 99 firings on 9,999 tokens, all of activation 1: a chance of .01 a token.
    found = evidence(
        sparse.csr_array([[1.0, 0.0]]), np.array([10]), seen(9_999, {1.0: 99}, {1.0: 99})
    )
    chance = 1 - 0.99**10
    assert found[0] == pytest.approx(np.log((1 - MISS) / chance))
    assert found[1] == pytest.approx(np.log(MISS / (1 - chance)))


def test_the_rarest_of_those_that_fire_in_every_sentence_wins() -> None:
    counts = seen(100_000, {1.0: 5_000}, {1.0: 100}, {1.0: 10}, {1.0: 3})
    fires = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 1]], float)
    scores = evidence(sparse.csr_array(fires), np.full(3, 12), counts)
    assert ranked(scores, 4)[0][0] == 1
    assert scores[0] > 0  # common, but in all three


def test_a_strong_activation_says_more_than_a_faint_one() -> None:
    counts = seen(100_000, {0.01: 1_000, 8.0: 10}, {0.01: 1_000, 8.0: 10})
    scores = evidence(sparse.csr_array([[0.01, 8.0]]), np.array([10]), counts)
    assert scores[1] > scores[0]


def test_a_unit_that_never_fired_is_no_better_than_one_that_fired_once() -> None:
    counts = seen(100_000, {}, {1.0: 1})
    scores = evidence(sparse.csr_array([[1.0, 1.0]]), np.array([10]), counts)
    assert np.isfinite(scores).all()
    assert scores[0] - scores[1] == pytest.approx(np.log(2), abs=0.01)


def test_sentences_of_all_lengths_add_up() -> None:
    counts = seen(50_000, {1.0: 30}, {2.0: 400}, {})
    fires = np.array([[1.0, 0, 0], [0, 2.0, 0], [1.0, 2.0, 0]])
    lengths = np.array([7, 12, 7])
    together = evidence(sparse.csr_array(fires), lengths, counts)
    apart = [
        evidence(sparse.csr_array(row[None]), length[None], counts)
        for row, length in zip(fires, lengths, strict=True)
    ]
    np.testing.assert_allclose(together, sum(apart))


def test_ranking_is_by_score_and_then_by_number() -> None:
    assert ranked(np.array([1.0, 3.0, -np.inf, 3.0]), 3) == [(1, 3.0), (3, 3.0), (0, 1.0)]
    assert len(ranked(np.array([1.0]), 5)) == 1
