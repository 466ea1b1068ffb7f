"""Directions from contrast pairs, where the right one is planted."""

from __future__ import annotations

import pytest
import torch

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.contrast import (
    WAYS,
    Contrast,
    Pairs,
    contrasts,
    mean_difference,
    principal,
)
from tomogram.store.errors import TomogramError

SITE = Site("resid_post", 0)


def planted(noise: float = 0.05) -> tuple[Contrast, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    truth = torch.nn.functional.normalize(torch.randn(12, generator=generator), dim=0)
    base = torch.randn(60, 12, generator=generator) * 0.3
    sides = [base + noise * torch.randn(60, 12, generator=generator) for _ in range(2)]
    return Contrast(SITE, sides[0] + 2 * truth, sides[1]), truth


@pytest.mark.parametrize("way", WAYS)
def test_every_way_finds_what_was_planted(way: str) -> None:
    contrast, truth = planted()
    found = WAYS[way](contrast)
    assert float(found.vector @ truth) > 0.95
    assert found.site == SITE


def test_the_mean_difference_by_hand() -> None:
    contrast = Contrast(
        SITE, torch.tensor([[1.0, 2.0], [3.0, 2.0]]), torch.tensor([[0.0, 2.0], [0.0, -2.0]])
    )
    torch.testing.assert_close(mean_difference(contrast).vector, torch.tensor([2.0, 2.0]) / 8**0.5)


def test_the_principal_axis_of_one_line_is_that_line_towards_the_positive_side() -> None:
    positive = torch.tensor([[-3.0, 0.0], [-1.0, 0.0]])
    axis = principal(Contrast(SITE, positive, torch.zeros(2, 2))).vector
    torch.testing.assert_close(axis, torch.tensor([-1.0, 0.0]))


def test_values_are_those_of_the_last_token_in_the_order_given(model: Model) -> None:
    pairs = Pairs(((1, 2, 3), (4,), (5, 6, 7)), ((8,), (9, 10), (11, 12, 13)))
    found = contrasts(model, pairs, [SITE])[SITE]
    for side, prompts in ((found.positive, pairs.positive), (found.negative, pairs.negative)):
        for row, prompt in zip(side, prompts, strict=True):
            alone = model.run(torch.tensor([prompt]), capture=[SITE], logits=False)[SITE]
            torch.testing.assert_close(row, alone[0, -1])


@pytest.mark.parametrize(
    ("positive", "negative", "sentence"),
    [
        (((1,),), ((2,),), "two pairs or more"),
        (((1,), (2,)), ((2,),), "2 prompts beside 1"),
        (((1,), ()), ((2,), (3,)), "at least one token"),
    ],
)
def test_refusals(positive, negative, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TomogramError, match=sentence):
        Pairs(positive, negative)


def test_a_site_of_heads_is_refused(model: Model) -> None:
    with pytest.raises(TomogramError, match="not one vector a token"):
        contrasts(model, Pairs(((1,), (2,)), ((3,), (4,))), [Site("head_z", 0)])
