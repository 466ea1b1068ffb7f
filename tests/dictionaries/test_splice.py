"""Splicing into a real forward pass, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tomogram.dictionaries import cost
from tomogram.dictionaries.shape import Shape, autoencoder, transcoder
from tomogram.dictionaries.splice import Splice, interventions, zeroed
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

RESID, MLP_IN, MLP_OUT = Site("resid_post", 1), Site("mlp_in", 1), Site("mlp_out", 1)


def identity(shape: Shape) -> TopK:
    """A dictionary that reconstructs its input exactly: one latent for each signed axis."""
    dictionary = TopK(shape, 2 * shape.d_in, k=2 * shape.d_in)
    axes = torch.cat([torch.eye(shape.d_in), -torch.eye(shape.d_in)])
    dictionary.W_enc.data, dictionary.W_dec.data = axes.clone(), axes.clone()
    return dictionary.requires_grad_(False)


def test_a_perfect_autoencoder_changes_nothing(model, text):
    tokens = torch.from_numpy(text.tokens[:4].astype(np.int64))
    splices = [Splice.of(identity(autoencoder(Site("resid_post", i), 16))) for i in range(3)]
    spliced = model.run(tokens, interventions=interventions(splices)).logits
    assert torch.allclose(spliced, model.run(tokens).logits, atol=1e-5)


def test_a_transcoder_writes_what_it_makes_of_what_it_reads(model, text):
    tokens = torch.from_numpy(text.tokens[:4].astype(np.int64))
    splice = Splice.of(identity(transcoder(1, 16)))
    run = model.run(tokens, capture=(MLP_IN, MLP_OUT), interventions=interventions([splice]))
    assert torch.allclose(run[MLP_OUT], run[MLP_IN], atol=1e-5)


def test_a_splice_reads_what_earlier_splices_left(model, text):
    tokens = torch.from_numpy(text.tokens[:4].astype(np.int64))
    halved = Splice(MLP_IN, MLP_IN, lambda x: x / 2)
    copied = Splice(MLP_IN, MLP_OUT, lambda x: x)
    run = model.run(
        tokens, capture=(MLP_IN, MLP_OUT), interventions=interventions([copied, halved])
    )
    clean = model.run(tokens, capture=(MLP_IN,))[MLP_IN]
    assert torch.allclose(run[MLP_OUT], clean / 2)


def test_two_splices_at_one_place_are_refused():
    splice = Splice(RESID, RESID, lambda x: x)
    with pytest.raises(TomogramError, match=r"both be spliced in at resid_post\.1"):
        interventions([splice, splice])


def test_losses_are_the_cross_entropy_within_documents(model, text):
    rows, _ = cost.effects(model, text, {}, batch_rows=5)
    tokens = torch.from_numpy(text.tokens.astype(np.int64))
    with torch.no_grad():
        logits = model.run(tokens).logits
    for row in range(text.rows):
        inside = torch.from_numpy(text.documents[row, 1:] == text.documents[row, :-1])
        expected = F.cross_entropy(logits[row, :-1][inside], tokens[row, 1:][inside])
        assert rows[row] == pytest.approx(expected.item(), rel=1e-5)


def test_an_intervention_at_the_last_block_counts(model, text):
    last = Site("resid_post", 2)
    _, found = cost.effects(model, text, {"zero": lambda: zeroed([last])})
    zero = found["zero"].losses
    # A stream of zeros gives equal logits for all tokens, whatever the text.
    assert zero == pytest.approx(np.full(text.rows, np.log(50)), rel=1e-5)


@pytest.mark.parametrize("kind", ["resid_pre", "attn_in", "mlp_out", "resid_post"])
@pytest.mark.parametrize("layer", range(3))
def test_a_change_goes_on_from_before_it_as_a_whole_pass_does(model, text, kind, layer):
    site = Site(kind, layer)
    _, found = cost.effects(model, text, {"half": lambda: {site: lambda x: x / 2}}, batch_rows=3)
    for row in range(text.rows):
        tokens = torch.from_numpy(text.tokens[row : row + 1].astype(np.int64))
        logits = model.run(tokens, interventions={site: lambda x: x / 2}).logits
        inside = torch.from_numpy(text.documents[row, 1:] == text.documents[row, :-1])
        expected = F.cross_entropy(logits[0, :-1][inside], tokens[0, 1:][inside])
        assert found["half"].losses[row] == pytest.approx(expected.item(), rel=1e-5)


def test_the_cost_of_nothing_is_nothing_and_zeros_recover_nothing(model, text):
    clean, found = cost.effects(model, text, {"zero": lambda: zeroed([RESID])})
    zero = found["zero"].losses
    nothing = cost.cost(clean, clean, zero)
    assert (nothing.rise.value, nothing.recovered.value) == (0, 1)
    everything = cost.cost(clean, zero, zero)
    assert everything.rise.value == pytest.approx((zero - clean).mean())
    assert everything.recovered.value == 0


def test_the_recovered_share_is_a_ratio_of_means_within_its_interval():
    generator = np.random.default_rng(0)
    clean = generator.normal(2, 0.3, 200)
    spliced, zero = clean + generator.normal(0.2, 0.1, 200), clean + generator.normal(8, 1, 200)
    result = cost.cost(clean, spliced, zero)
    expected = (zero.mean() - spliced.mean()) / (zero.mean() - clean.mean())
    assert result.recovered.value == pytest.approx(expected)
    assert result.recovered.low < expected < result.recovered.high
    assert result.recovered.high - result.recovered.low < 0.01
    assert result.rise.n == result.recovered.n == 200
