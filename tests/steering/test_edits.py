"""Edits from outside: what a site holds after each, worked out by hand from the code before."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.models.families import WIDTH
from tests.steering.conftest import dictionary
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.edits import Edit, Swap, ablate, add, clamp, scale, swap
from tomogram.steering.positions import Between, OnTokens
from tomogram.steering.steered import steered
from tomogram.steering.targets import Direction, Feature
from tomogram.store.errors import TomogramError

SITE = Site("resid_post", 1)


def value(model: Model, tokens: Tensor, site: Site = SITE) -> Tensor:
    return model.run(tokens, capture=[site], logits=False)[site]


def test_adding_a_feature_adds_its_row(model: Model, tokens: Tensor) -> None:
    made = dictionary()
    before = value(model, tokens)
    with steered(model, add(Feature(made, 3), 2.5)):
        after = value(model, tokens)
    torch.testing.assert_close(after, before + 2.5 * made.W_dec[3])


@pytest.mark.parametrize("rule", ["clamp", "scale", "ablate", "swap"])
def test_the_dictionarys_error_is_kept(model: Model, tokens: Tensor, rule: str) -> None:
    made = dictionary()
    before = value(model, tokens)
    code = made.encode(before.flatten(0, 1)).dense()
    busy = code.mean(0).topk(2).indices.tolist()
    one, other = (Feature(made, latent) for latent in busy)
    edit, new = {
        "clamp": (clamp(one, 7.0), torch.full_like(code[:, busy[0]], 7.0)),
        "scale": (scale(one, 3.0), 3 * code[:, busy[0]]),
        "ablate": (ablate(one), 0 * code[:, busy[0]]),
        "swap": (swap(one, other), code[:, busy[1]]),
    }[rule]
    with steered(model, edit):
        after = value(model, tokens)
    turned = code.clone()
    turned[:, busy[0]] = new
    if rule == "swap":
        turned[:, busy[1]] = code[:, busy[0]]
    error = before.flatten(0, 1) - (code @ made.W_dec + made.b_dec)
    torch.testing.assert_close(after.flatten(0, 1), turned @ made.W_dec + made.b_dec + error)


def test_a_transcoders_feature_reads_the_input_and_writes_the_output(
    model: Model, tokens: Tensor
) -> None:
    made = dictionary("transcoder")
    read, write = Site("mlp_in", 1), Site("mlp_out", 1)
    run = model.run(tokens, capture=[read, write], logits=False)
    code = made.encode(run[read].flatten(0, 1)).dense()
    latent = int(code.mean(0).argmax())
    with steered(model, ablate(Feature(made, latent))):
        after = value(model, tokens, write)
    gone = code[:, latent, None] * made.W_dec[latent]
    torch.testing.assert_close(after.flatten(0, 1), run[write].flatten(0, 1) - gone)


@given(st.integers(0, 2**31 - 1))
def test_an_ablated_direction_is_gone_and_the_rest_stays(seed: int) -> None:
    x = torch.randn(2, 3, WIDTH, generator=torch.Generator().manual_seed(seed))
    direction = Direction(SITE, torch.randn(WIDTH, generator=torch.Generator().manual_seed(~seed)))
    after = x + ablate(direction).change(x, {})
    torch.testing.assert_close(after @ direction.vector, torch.zeros(2, 3), atol=1e-4, rtol=0)
    other = torch.randn(WIDTH)
    other -= (other @ direction.vector) * direction.vector
    torch.testing.assert_close(after @ other, x @ other, atol=1e-4, rtol=1e-4)


def test_several_edits_of_one_site_read_the_same_value_and_add_up(
    model: Model, tokens: Tensor
) -> None:
    torch.manual_seed(0)
    one, other = (Direction(SITE, torch.randn(WIDTH)) for _ in range(2))
    before = value(model, tokens)
    with steered(model, ablate(one), clamp(other, 4.0)):
        after = value(model, tokens)
    first = (before @ one.vector)[..., None] * one.vector
    second = (4.0 - before @ other.vector)[..., None] * other.vector
    torch.testing.assert_close(after, before - first + second)


def test_only_the_chosen_positions_change(model: Model, tokens: Tensor) -> None:
    direction = Direction(SITE, torch.ones(WIDTH))
    before = value(model, tokens)
    with steered(model, add(direction, 1.0, Between(2, 4))):
        changed = (value(model, tokens) != before).any(-1)
    assert changed.tolist() == [[False, False, True, True, False, False, False]] * 2
    with steered(model, add(direction, 1.0, OnTokens(frozenset({int(tokens[0, 5])})))):
        changed = (value(model, tokens) != before).any(-1)
    assert torch.equal(changed, tokens == tokens[0, 5])


def test_a_strength_of_nothing_changes_no_bit(model: Model, tokens: Tensor) -> None:
    before = model.run(tokens).logits
    with steered(model, add(Feature(dictionary(), 0), 0.0), scale(Feature(dictionary(), 1), 1.0)):
        assert torch.equal(model.run(tokens).logits, before)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Edit((), Swap()), "needs a target"),
        (lambda: Edit((Direction(SITE, torch.ones(4)),), Swap()), "two targets"),
        (lambda: add(Direction(SITE, torch.ones(4)), float("nan")), "turned by nan"),
        (lambda: Direction(SITE, torch.zeros(4)), "no vector with a length"),
        (lambda: Direction(SITE, torch.full((4,), float("inf"))), "no vector with a length"),
        (lambda: Feature(dictionary(), 40), "latents 0 to 39, not 40"),
        (lambda: Between(3, 3), "no position"),
        (lambda: add(Direction(Site("logits"), torch.ones(4)), 1.0), "logits is no place to steer"),
        (
            lambda: swap(Feature(dictionary(), 0), Feature(dictionary("transcoder"), 0)),
            "read one site",
        ),
    ],
)
def test_refusals(make, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TomogramError, match=sentence):
        make()
