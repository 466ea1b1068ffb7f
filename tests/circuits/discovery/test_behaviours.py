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
from tomogram.models.sites import Site
from tomogram.text.packing import PackedText

ROWS, DOCUMENT = 40, 24


@pytest.fixture(scope="module")
def model() -> Model:
    """The trained induction model."""
    return read("induction")


@pytest.fixture(scope="module")
def text() -> PackedText:
    """Two documents a row, each a sequence that comes back after eight tokens."""
    rng = random.Random(3)
    rows = []
    for _ in range(ROWS):
        tokens = rng.sample(range(induction.SIZE.vocabulary), 16)
        rows.append([*3 * tokens[:8], *3 * tokens[8:]])
    documents = np.arange(2 * ROWS).repeat(DOCUMENT).reshape(ROWS, 2 * DOCUMENT)
    return PackedText(np.array(rows, np.int32), documents.astype(np.int32))


@pytest.fixture(scope="module")
def found(model: Model, text: PackedText) -> Predictions:
    return predictions(model, text, longest=DOCUMENT)


def test_the_text_is_predicted_where_it_comes_back(found: Predictions, text: PackedText) -> None:
    offset = found.position % DOCUMENT
    back = (offset >= 8) & (offset < DOCUMENT - 1)
    said = text.tokens[found.row[back], found.position[back] + 1]
    assert (said == found.token[back]).mean() > 0.9
    # Fifteen places of every document that has its beginning.
    assert back.sum() > 0.9 * 15 * (ROWS + 1)


def test_streams_have_length_one_and_documents_are_their_means(
    model: Model, found: Predictions, text: PackedText
) -> None:
    np.testing.assert_allclose(np.linalg.norm(found.stream, axis=1), 1, rtol=1e-5)
    # By hand for the document of the last prediction: the stream before the last layer.
    row, owner = int(found.row[-1]), text.documents[found.row[-1], found.position[-1]]
    # Three quarters of two layers, rounded, is after the second.
    site = Site("resid_post", model.n_layers - 1)
    run = model.run(torch.from_numpy(text.tokens[row : row + 1]).long(), capture=[site])
    stream = run[site][0].numpy()
    stream = stream / np.linalg.norm(stream, axis=1, keepdims=True)
    np.testing.assert_allclose(
        found.documents[found.document[-1]], stream[text.documents[row] == owner].mean(0), atol=1e-5
    )
    np.testing.assert_allclose(found.stream[-1], stream[found.position[-1]], atol=1e-5)


def test_chances_are_the_models_own(model: Model, found: Predictions, text: PackedText) -> None:
    row, place = int(found.row[0]), int(found.position[0])
    logits = model.run(torch.from_numpy(text.tokens[row : row + 1]).long()).logits
    assert logits is not None
    chances = logits[0, place].softmax(-1)
    assert int(chances.argmax()) == found.token[0]
    assert float(chances.max()) == pytest.approx(float(found.chance[0]), rel=1e-4)


def test_prompts_are_the_documents_up_to_there(found: Predictions, text: PackedText) -> None:
    for row, place, prompt in zip(found.row, found.position, found.prompt, strict=True):
        assert text.documents[row, place - len(prompt) + 1] == text.documents[row, place]
        assert prompt == tuple(text.tokens[row, place - len(prompt) + 1 : place + 1])
        # The first document of a row may have lost its beginning, but for the first row's.
        assert row == 0 or place >= DOCUMENT


def test_pairs_are_what_the_model_says_of_the_prompts_alone(
    model: Model, text: PackedText, found: Predictions
) -> None:
    proposed = propose(model, text, found, clusters=3, pairs=6)
    assert proposed
    sizes = [len(each.members) for each in proposed]
    assert sizes == sorted(sizes, reverse=True)
    for each in proposed:
        assert len(set(each.members.tolist())) == len(each.members) <= len(found.token)
    for behaviour in proposed:
        assert 3 <= len(behaviour.pairs) <= 6
        for pair in behaviour.pairs:
            logits = model.run(torch.tensor([pair.clean, pair.counterfactual])).logits
            assert logits is not None
            assert logits[:, -1].argmax(-1).tolist() == [pair.answer, pair.other]


def test_no_predictions_propose_nothing(model: Model, text: PackedText) -> None:
    none = predictions(model, text, confident=1.1)
    assert propose(model, text, none, clusters=3, pairs=6) == ()


def test_pairs_differ_as_little_as_they_can(
    model: Model, text: PackedText, found: Predictions
) -> None:
    known = {prompt: int(token) for prompt, token in zip(found.prompt, found.token, strict=True)}
    behaviour = propose(model, text, found, clusters=1, pairs=6)[0]
    members = [found.prompt[i] for i in behaviour.members]

    def distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
        return sum(a != b for a, b in zip(one, other, strict=True))

    for pair in behaviour.pairs:
        others = [p for p in members if len(p) == len(pair.clean) and known[p] != pair.answer]
        assert distance(pair.clean, pair.counterfactual) == min(
            distance(pair.clean, p) for p in others if p != pair.clean
        )
