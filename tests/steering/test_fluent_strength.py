"""The strength that shows a behaviour most while what is written stays fluent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.models.families import WIDTH
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.behaviours import Mentions
from tomogram.steering.edits import add
from tomogram.steering.fluency import distinct, losses
from tomogram.steering.fluent_strength import Continued, Limits, continuations, most_fluent
from tomogram.steering.steered import steered
from tomogram.steering.targets import Direction
from tomogram.store.errors import TomogramError


class Tokens:
    """A tokenizer whose words are the numbers of tokens."""

    def decode(self, ids: list[int], **_: object) -> str:
        return " ".join(map(str, ids))


def texts(outcome: float, loss: float, kept: float) -> Continued:
    return Continued(np.array([outcome]), np.array([loss]), kept, ((1,),))


PLAIN = texts(0.0, 2.0, 0.8)


def made(strength: float) -> Continued:
    """The loss doubles at 10, distinct-3 halves at 20, the behaviour is whole at 5."""
    return texts(min(1.0, strength / 5), 2 + strength / 5, 0.8 * (1 - strength / 40))


@pytest.mark.parametrize("first", [0.05, 0.9, 3.0, 40.0])
def test_the_strongest_that_keeps_the_limits_is_found(first: float) -> None:
    # The loss allows 1.5, distinct-3 allows 4.
    found = most_fluent(made, PLAIN, Limits(), first=first, tries=16)
    assert 1.4 <= found.strength <= 1.5
    assert found.texts.within(Limits(), PLAIN)
    found = most_fluent(made, PLAIN, Limits(loss=9), first=first, tries=16)
    assert 3.8 <= found.strength <= 4.0


def test_no_strength_beyond_the_most_and_none_where_nothing_fits() -> None:
    tried: list[float] = []

    def write(strength: float) -> Continued:
        tried.append(strength)
        return made(strength)

    assert most_fluent(write, PLAIN, Limits(), first=9.0, most=0.5).strength == 0.5
    assert tried == [0.5]
    nothing = most_fluent(lambda _: texts(1, 9, 0.1), PLAIN, Limits(), first=1.0)
    assert (nothing.strength, nothing.texts) == (0.0, PLAIN)
    with pytest.raises(TomogramError, match="above 0"):
        most_fluent(made, PLAIN, Limits(), first=0.0)


def test_of_equal_outcomes_the_more_fluent_is_taken() -> None:
    found = most_fluent(lambda by: texts(0.5, 2 + by / 5, 0.8), PLAIN, Limits(), first=0.5, tries=4)
    assert found.strength == 0.5


def test_limits_are_checked_and_shared() -> None:
    half = Limits(1.2, 0.8).share(0.5)
    assert (half.loss, half.distinct) == pytest.approx((1.1, 0.9))
    for loss, kept in ((0.9, 0.9), (1.1, 1.2), (float("nan"), 0.5)):
        with pytest.raises(TomogramError, match="Limits of fluency"):
            Limits(loss, kept)


def test_continuations_are_judged_by_the_model_as_it_is(model: Model) -> None:
    model = replace(model, tokenizer=Tokens())
    prompts = ((3, 4, 5), (6, 7, 8))
    asked = Mentions(prompts, frozenset({"9"}), 12, temperature=1.0, seed=4)
    push = add(Direction(Site("resid_post", 1), torch.ones(WIDTH)), 9.0)
    found = continuations(model, asked, push)
    with steered(model, push):
        written = asked.written(model)
    assert found.written == tuple(map(tuple, written))
    np.testing.assert_allclose(found.losses, losses(model, prompts, written))
    assert found.distinct == distinct(written)
    assert found.lost(continuations(model, asked)) > 1
    assert found.outcomes.tolist() == [float(9 in row) for row in written]
