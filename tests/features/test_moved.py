from __future__ import annotations

import numpy as np
import pytest
import torch

from tomogram.features.moved import distance, halves, largest_places, moved_words

DOCUMENTS = np.repeat(np.arange(60), 10)
TOKENS = np.tile(np.arange(10), 60)


def test_distance_is_relative_to_the_first_model() -> None:
    before = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    after = torch.tensor([[3.0, 9.0], [0.0, 2.0]])
    assert distance(before, after).tolist() == [1.0, 0.0]


def test_the_word_that_moves_leads_and_is_measured_on_documents_it_was_not_chosen_on() -> None:
    distances = np.ones(600)
    # Word 4 moves, and more so in the half that things are chosen on.
    chosen = halves(DOCUMENTS)
    distances[(TOKENS == 4) & chosen] = 11.0
    distances[(TOKENS == 4) & ~chosen] = 6.0
    (found, *rest) = moved_words(distances, TOKENS, DOCUMENTS, limit=3, examples=2)
    assert found.token == 4
    assert found.times.value == pytest.approx(6.0 / distances.mean())
    assert found.times.n == len(np.unique(DOCUMENTS[~chosen]))
    assert [TOKENS[p] for p in found.positions] == [4, 4]
    assert all(each.times.value < 1 for each in rest)


def test_a_word_of_few_documents_is_not_told() -> None:
    distances, tokens = np.ones(600), TOKENS.copy()
    tokens[5] = 77
    distances[5] = 1e6
    found = moved_words(distances, tokens, DOCUMENTS, limit=10, examples=1)
    assert 77 not in [each.token for each in found]


def test_two_equal_models_moved_nowhere() -> None:
    assert moved_words(np.zeros(600), TOKENS, DOCUMENTS, limit=3, examples=1) == []


def test_of_a_document_the_largest_place_alone_is_shown() -> None:
    places, values = np.array([0, 1, 12, 25]), np.array([1.0, 9.0, 5.0, 7.0])
    assert largest_places(places, values, DOCUMENTS, 2) == (1, 25)
