"""Behaviours proposed from a model's own predictions, on a model whose behaviour is known."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from tomogram.circuits.discovery.behaviours import Predictions, predictions, propose, settled
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


def test_descriptions_have_length_one_and_the_parts_add_up_to_the_logit(
    model: Model, found: Predictions, text: PackedText
) -> None:
    np.testing.assert_allclose(np.linalg.norm(found.stream, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found.added, axis=1), 1, rtol=1e-5)
    # By hand for one of them: what all parts add is the stream along the token's direction.
    row, place, token = int(found.row[-1]), int(found.position[-1]), int(found.token[-1])
    last = Site("resid_post", model.n_layers - 1)
    run = model.run(torch.from_numpy(text.tokens[row : row + 1]).long(), capture=[last])
    along = model.unembedding[:, token] - model.unembedding.mean(1)
    embedded = model.run(
        torch.from_numpy(text.tokens[row : row + 1]).long(), capture=[Site("resid_pre", 0)]
    )[Site("resid_pre", 0)]
    whole = float(run[last][0, place] @ along)
    first = float(embedded[0, place] @ along)
    # Biases of attention belong to no head and are left out of the sum.
    biases = sum(float(block.attn.c_proj.bias @ along) for block in model.module.transformer.h)
    scale = first / found.added[-1, 0]
    assert float(found.added[-1].sum()) * scale == pytest.approx(whole - biases, rel=1e-3)


def test_what_two_tokens_settle_is_not_open() -> None:
    prompts = [(9, 1, 2)] * 8 + [(9, 3, 4)] * 8 + [(7, 5, 6)]
    tokens = np.array([3] * 8 + [1, 2] * 4 + [8])
    empty = np.zeros((17, 1), np.float32)
    found = Predictions(np.arange(17), np.arange(17), tokens, empty, empty, tuple(prompts))
    share = settled(found)
    np.testing.assert_allclose(share[:8], 1)
    np.testing.assert_allclose(share[8:16], 3 / 7)
    assert share[16] == 0


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
