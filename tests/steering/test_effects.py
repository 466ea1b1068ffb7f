"""What edits did: behaviour, cost, fluency, random directions."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.models.families import VOCAB, WIDTH
from tests.steering.conftest import dictionary
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.behaviours import Says, mentions
from tomogram.steering.edits import add, clamp
from tomogram.steering.effects import effect
from tomogram.steering.fluency import distinct, losses
from tomogram.steering.randoms import Elsewhere, random_directions
from tomogram.steering.steered import steered
from tomogram.steering.targets import Direction, Feature
from tomogram.store.canonical import canonical_json
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

SITE = Site("resid_post", 1)
PROMPTS = ((3, 4, 5), (6, 7), (8, 9, 10), (11, 12))


def test_a_push_to_one_token_is_seen_as_it_is(model: Model, text: PackedText) -> None:
    # So strong that nothing else is left of the stream, whatever the prompt.
    push = Direction(Site("resid_post", 2), torch.arange(1.0, WIDTH + 1))
    with steered(model, add(push, 1e4)):
        logits = model.run(torch.tensor([PROMPTS[0]])).logits
    assert logits is not None
    said = int(logits[0, -1].argmax())
    asked = Says(PROMPTS, (frozenset({said}),) * 4, place=2)
    found = effect(
        model, [add(push, 1e4)], asked, text, continue_from=PROMPTS, new_tokens=8, randoms=2
    )
    assert found.before.value < found.after.value == 1.0
    assert found.cost.divergence.value > 0.1
    # Eight times the same token: one run of three among six, in four texts.
    assert found.fluency_after is not None
    assert found.fluency_before is not None
    assert found.fluency_after.distinct == pytest.approx(1 / 24)
    assert found.fluency_after.loss.value > found.fluency_before.loss.value
    assert len(found.randoms) == 2
    assert json.loads(canonical_json(found.as_json()))["after"]["value"] == 1.0


def test_random_directions_are_as_long_token_by_token(model: Model) -> None:
    edit = clamp(Feature(dictionary(), 3), 2.0)
    (drawn,) = random_directions(SITE, WIDTH, 1, seed=4)
    x = torch.randn(2, 5, WIDTH)
    ours, theirs = edit.change(x, {}), Elsewhere(edit, drawn).change(x, {})
    torch.testing.assert_close(ours.norm(dim=-1), theirs.norm(dim=-1))
    torch.testing.assert_close(theirs, theirs.norm(dim=-1, keepdim=True) * drawn.vector)
    again = random_directions(SITE, WIDTH, 1, seed=4)[0].vector
    assert torch.equal(drawn.vector, again)


def test_losses_are_those_of_each_text_alone(model: Model) -> None:
    written = [[20, 21, 22, 23], [24], [], [25, 26]]
    found = losses(model, PROMPTS, written)
    expected = []
    for prompt, new in zip(PROMPTS, written, strict=True):
        if not new:
            continue
        said = model.run(torch.tensor([[*prompt, *new]])).logits[0].log_softmax(-1)
        places = range(len(prompt) - 1, len(prompt) + len(new) - 1)
        expected.append(-np.mean([float(said[p, t]) for p, t in zip(places, new, strict=True)]))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    with pytest.raises(TomogramError, match="No continuation"):
        losses(model, PROMPTS, [[], [], [], []])


@given(st.lists(st.lists(st.integers(0, 3), max_size=9), max_size=5))
def test_distinct_is_a_share_that_a_copy_halves(texts: list[list[int]]) -> None:
    found = distinct(texts)
    assert 0 < found <= 1
    runs = sum(max(len(text) - 2, 0) for text in texts)
    assert distinct(texts * 2) == pytest.approx(found / 2 if runs else 1.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Dog barked.", True),
        ("a dog's bone", True),
        ("a hotdog stand", False),
        ("dogs", False),
        ("", False),
        ("“dog!”", True),
    ],
)
def test_a_word_is_mentioned_whole(text: str, expected: bool) -> None:
    assert mentions(text, {"dog"}) is expected


def test_says_is_greedy_and_judges_the_place(model: Model) -> None:
    ids = [3, 4, 5]
    for _ in range(3):
        ids.append(int(model.run(torch.tensor([ids])).logits[0, -1].argmax()))
    for place in (1, 2, 3):
        right = Says(((3, 4, 5),), (frozenset({ids[2 + place]}),), place)
        assert right.outcomes(model).tolist() == [1.0]
        wrong = Says(((3, 4, 5),), (frozenset({(ids[2 + place] + 1) % VOCAB}),), place)
        assert wrong.outcomes(model).tolist() == [0.0]
    with steered(model, add(random_directions(SITE, WIDTH, 1)[0], 0.0)):
        assert right.outcomes(model).tolist() == [1.0]


def test_refusals() -> None:
    with pytest.raises(TomogramError, match="accepted token"):
        Says(((1,),), (frozenset(),))
    with pytest.raises(TomogramError, match="place 1"):
        Says(((1,),), (frozenset({1}),), 0)
    assert math.isfinite(distinct([]))
