"""Behaviours proposed from a model's own predictions, on a model whose behaviour is known."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from tomogram.circuits.discovery.behaviours import Predictions, predictions, propose
from tomogram.circuits.known import induction
from tomogram.circuits.known.small import read
from tomogram.models.model import Model
from tomogram.text.packing import PackedText

ROWS, DOCUMENT = 40, 16


@pytest.fixture(scope="module")
def model() -> Model:
    """The trained induction model."""
    return read("induction")


@pytest.fixture(scope="module")
def text() -> PackedText:
    """Three documents a row, each a sequence that comes back after eight tokens."""
    rng = random.Random(3)
    rows = [
        [token for _ in range(3) for token in 2 * rng.sample(range(induction.SIZE.vocabulary), 8)]
        for _ in range(ROWS)
    ]
    documents = np.arange(3 * ROWS).repeat(DOCUMENT).reshape(ROWS, 3 * DOCUMENT)
    return PackedText(np.array(rows, np.int32), documents.astype(np.int32))


@pytest.fixture(scope="module")
def found(model: Model, text: PackedText) -> Predictions:
    return predictions(model, text, longest=DOCUMENT)


def test_predictions_are_where_the_text_comes_back(found: Predictions, text: PackedText) -> None:
    assert len(found.token) > ROWS
    offset = found.position % DOCUMENT
    # Before it comes back nothing can be known.
    assert (offset >= 7).mean() > 0.9
    asked = offset < DOCUMENT - 1
    said = text.tokens[found.row[asked], found.position[asked] + 1]
    assert (said == found.token[asked]).mean() > 0.9


def test_prompts_are_the_documents_up_to_there(found: Predictions, text: PackedText) -> None:
    for row, place, prompt in zip(found.row, found.position, found.prompt, strict=True):
        assert text.documents[row, place - len(prompt) + 1] == text.documents[row, place]
        assert prompt == tuple(text.tokens[row, place - len(prompt) + 1 : place + 1])
        # The first document of a row may have lost its beginning, but for the first row's.
        assert row == 0 or place >= DOCUMENT


def test_pairs_are_what_the_model_says_of_the_prompts_alone(
    model: Model, found: Predictions
) -> None:
    proposed = propose(model, found, clusters=3, pairs=6)
    assert proposed
    sizes = [len(each.members) for each in proposed]
    assert sizes == sorted(sizes, reverse=True)
    members = np.concatenate([each.members for each in proposed])
    assert len(set(members.tolist())) == len(members) <= len(found.token)
    for behaviour in proposed:
        assert 3 <= len(behaviour.pairs) <= 6
        for pair in behaviour.pairs:
            logits = model.run(torch.tensor([pair.clean, pair.counterfactual])).logits
            assert logits is not None
            assert logits[:, -1].argmax(-1).tolist() == [pair.answer, pair.other]


def test_no_predictions_propose_nothing(model: Model, text: PackedText) -> None:
    assert propose(model, predictions(model, text, confident=1.1), clusters=3, pairs=6) == ()
