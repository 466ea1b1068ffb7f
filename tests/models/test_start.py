"""A forward pass that goes on from a stream has the bits of a whole one, for every family."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.models.start import Start
from tomogram.store.errors import TomogramError


def stream(model: Model, tokens: Tensor, layer: int) -> Start:
    site = Site("resid_post", layer)
    return Start(layer, model.run(tokens, capture=(site,), logits=False)[site])


def test_going_on_gives_the_same_bits_at_every_later_site(model: Model, tokens: Tensor) -> None:
    for layer in range(model.n_layers):
        start = stream(model, tokens, layer)
        sites = [site for site in model.sites if start.reaches(site)]
        whole, on = (model.run(tokens, capture=sites, start=each) for each in (None, start))
        assert Site("logits") in sites
        assert Site("resid_post", layer) in sites
        for site in sites:
            assert torch.equal(on[site], whole[site]), site
        assert torch.equal(on.logits, whole.logits)
        assert all("forward" not in block.module.__dict__ for block in model.wiring.blocks)


def test_an_intervention_at_the_start_and_after_it_counts(model: Model, tokens: Tensor) -> None:
    start = stream(model, tokens, 0)
    for site in (Site("resid_post", 0), Site("mlp_out", 1), Site("head_q", 1)):
        change = {site: lambda value: value * 0.5}
        whole = model.run(tokens, interventions=change).logits
        assert torch.equal(model.run(tokens, interventions=change, start=start).logits, whole)


def test_the_model_is_whole_again_after_an_error(llama: Model, tokens: Tensor) -> None:
    def fails(value: Tensor) -> Tensor:
        raise RuntimeError("inside")

    start, plain = stream(llama, tokens, 0), llama.run(tokens).logits
    with pytest.raises(RuntimeError, match="inside"):
        llama.run(tokens, interventions={Site("mlp_in", 1): fails}, start=start)
    assert torch.equal(llama.run(tokens).logits, plain)


def test_a_site_before_the_start_is_refused(llama: Model, tokens: Tensor) -> None:
    start = stream(llama, tokens, 0)
    for site in (Site("mlp_out", 0), Site("embed")):
        with pytest.raises(TomogramError, match=f"starts after block 0 does not reach {site}"):
            llama.run(tokens, capture=(site,), start=start)


def test_a_stream_of_other_tokens_is_refused(llama: Model, tokens: Tensor) -> None:
    with pytest.raises(TomogramError, match="must have shape"):
        llama.run(tokens[:, :-1], start=stream(llama, tokens, 0))
