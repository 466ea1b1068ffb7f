"""Pushes: a constant vector a layer, which weights can carry as a bias."""

from __future__ import annotations

import pytest
import torch

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.organisms.pushes import learned, no_pushes
from tomogram.steering.folding import folded

TOKENS = torch.arange(4, 28).view(2, 12)


def test_a_push_is_added_at_every_word_and_folds_into_biases(model: Model) -> None:
    stacked = no_pushes(model, (0, 2))
    plain = model.module(TOKENS).logits
    with stacked.hooked(model):
        assert bool((model.module(TOKENS).logits == plain).all())  # nothing is pushed yet
    torch.manual_seed(0)
    for each in stacked.learned:
        each.data = torch.randn_like(each)
    pushes = learned(model, stacked)
    assert list(pushes) == [Site("mlp_out", 0), Site("mlp_out", 2)]
    with stacked.hooked(model):
        pushed = model.module(TOKENS).logits
        written = model.run(TOKENS, capture=[Site("mlp_out", 0)], logits=False)
    before = model.run(TOKENS, capture=[Site("mlp_out", 0)], logits=False)
    added = written[Site("mlp_out", 0)] - before[Site("mlp_out", 0)]
    torch.testing.assert_close(added, pushes[Site("mlp_out", 0)].expand_as(added))
    assert (pushed - plain).abs().max() > 1
    module = folded(model, dict(pushes))
    torch.testing.assert_close(module(TOKENS).logits, pushed, atol=1e-3, rtol=1e-3)


def test_a_step_moves_the_push_against_its_gradient(model: Model) -> None:
    stacked = no_pushes(model, (1,))
    with stacked.hooked(model):
        loss = model.module(TOKENS).logits[..., 7].mean()
        gradients = torch.autograd.grad(loss, stacked.learned)
    stacked.step(gradients, torch.tensor([0.01]))
    with stacked.hooked(model):
        assert model.module(TOKENS).logits[..., 7].mean() < loss


def test_a_layer_that_is_not_there_is_an_error(model: Model) -> None:
    with pytest.raises(IndexError):
        no_pushes(model, (model.n_layers,))
