"""Before the gain: what a norm's gain and bias are undone by, and what that makes of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tomogram.dictionaries.formats import hooks, norms
from tomogram.dictionaries.formats.stored import Stored
from tomogram.dictionaries.normalisation import Normalisation
from tomogram.models.load import wrap
from tomogram.models.sites import Site


def test_a_layer_norm_is_undone_to_what_it_normalised():
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=20, n_embd=8, n_layer=2, n_head=2, n_positions=16)
    module = GPT2LMHeadModel(config)
    for block in module.transformer.h:
        block.ln_2.weight.data.copy_(torch.rand(8) + 0.5)
        block.ln_2.bias.data.copy_(torch.randn(8))
    model = wrap(module, name="gpt2")
    mid, read = Site("resid_mid", 1), Site("mlp_in", 1)
    run = model.run(torch.randint(0, 20, (3, 9)), capture=(mid, read))
    norm = norms.before_gain(model, (Site("mlp_in", 0), read))
    assert norm is not None
    assert norm.scale.shape == (16,)
    own = Normalisation(norm.centre[8:], norm.scale[8:])
    expected = torch.nn.functional.layer_norm(run[mid], (8,), eps=module.config.layer_norm_epsilon)
    assert torch.allclose(own(run[read]), expected, atol=1e-4)
    assert norms.before_gain(model, (read, Site("mlp_out", 1))) is None


@pytest.mark.parametrize("kind", ["relu", "gated", "cross_layer_jumprelu"])
@pytest.mark.parametrize("subtracts", [False, True])
def test_a_file_read_through_a_norm_makes_of_x_what_it_made_of_the_normed(kind, subtracts):
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    layers = 2 if kind == "cross_layer_jumprelu" else 1
    width = 6 // layers
    W_dec = random(8, 6)
    W_dec[4:, : 6 - width] = 0
    own = {"relu": (), "gated": ("r_mag", "b_mag"), "cross_layer_jumprelu": ("threshold",)}[kind]
    stored = Stored(
        reads=tuple(Site("mlp_in", i) for i in range(layers)),
        writes=tuple(Site("mlp_out", i) for i in range(layers)),
        kind=kind,
        W_enc=random(8, width),
        b_enc=random(8),
        W_dec=W_dec,
        b_dec=random(6),
        W_skip=random(6, 6),
        own={name: random(8) for name in own},
        origin=Path("file"),
    )
    norm = Normalisation(centre=random(6), scale=random(6))
    plain = stored.dictionary(subtracts_b_dec=subtracts, input_scale=1.0)
    through = stored.dictionary(subtracts_b_dec=subtracts, input_scale=1.0, norm=norm)
    x = 3 * random(20, 6)
    assert torch.allclose(through(x), plain(norm(x)), atol=1e-4)
    # A gain of 0 lets nothing through: that number of x is always the bias.
    closed = Normalisation(norm.centre, norm.scale.index_fill(0, torch.tensor([2]), 0.0))
    through = stored.dictionary(subtracts_b_dec=subtracts, input_scale=1.0, norm=closed)
    normed = norm(x).index_fill(1, torch.tensor([2]), 0.0)
    assert torch.allclose(through(x), plain(normed), atol=1e-4)


def test_one_hook_sees_the_input_before_the_gain():
    assert hooks.before_gain("blocks.3.ln2.hook_normalized")
    assert hooks.before_gain("ln2.hook_normalized")
    assert not hooks.before_gain("blocks.3.mlp.hook_in")
    assert hooks.from_transformer_lens("blocks.3.ln2.hook_normalized") == Site("mlp_in", 3)
