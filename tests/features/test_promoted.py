from __future__ import annotations

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.shape import autoencoder
from tomogram.dictionaries.topk import TopK
from tomogram.features.promoted import latent_directions, neuron_directions, promoted
from tomogram.models.load import wrap
from tomogram.models.model import Model
from tomogram.models.sites import Site


def test_a_tokens_own_direction_promotes_it(model: Model) -> None:
    own = model.unembedding.T - model.unembedding.T.mean(0)
    own = own / own.norm(dim=1, keepdim=True)
    found = promoted(model, own, n=3)
    # The largest product with its own direction belongs to each token, up to longer neighbours.
    assert (found.promoted[:, 0] == range(len(own))).mean() > 0.8
    assert found.promoted.shape == found.suppressed_by.shape == (len(own), 3)


def test_effects_are_those_on_the_logits_without_their_mean(
    model: Model, dictionaries: list[Dictionary]
) -> None:
    directions = latent_directions(model, dictionaries[0])
    assert directions is not None
    found = promoted(model, directions, n=5)
    effect = (directions @ model.unembedding).detach()
    effect = effect - effect.mean(1, keepdim=True)
    for unit in range(len(effect)):
        order = effect[unit].argsort(descending=True)
        assert found.promoted[unit].tolist() == order[:5].tolist()
        assert found.suppressed[unit].tolist() == order.flip(0)[:5].tolist()
        assert torch.allclose(
            torch.from_numpy(found.promoted_by[unit]), effect[unit][order[:5]], atol=1e-4
        )


def test_a_small_push_moves_the_logits_that_way(model: Model) -> None:
    """Against the model itself: the derivative of its logits, up to the norm's own scale."""
    directions = neuron_directions(model, 1)
    assert directions is not None
    found = promoted(model, directions, n=1)
    site = Site("neurons", 1)
    tokens = torch.tensor([[3, 1, 4]])
    clean = model.run(tokens, capture=[site])
    assert clean.logits is not None
    moved = 0
    for neuron in range(24):

        def push(value: torch.Tensor, neuron: int = neuron) -> torch.Tensor:
            value[..., neuron] += 1e-2
            return value

        pushed = model.run(tokens, interventions={site: push}).logits
        assert pushed is not None
        effect = (pushed - clean.logits)[0, -1]
        rank = int((effect > effect[found.promoted[neuron, 0]]).sum())
        moved += rank <= 3
    # The norm's change of scale is left out on purpose, so a few may differ.
    assert moved >= 18


def test_the_negative_side_promotes_what_the_positive_suppresses(model: Model) -> None:
    directions = neuron_directions(model, 0)
    assert directions is not None
    found = promoted(model, directions, n=4)
    assert (found.promoted[24:] == found.suppressed[:24]).all()


def test_a_constant_direction_does_nothing_where_the_norm_centres() -> None:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=30, n_positions=8, n_embd=16, n_layer=1, n_head=2)
    model = wrap(GPT2LMHeadModel(config), name="gpt2")
    found = promoted(model, torch.ones(1, 16), n=2)
    assert abs(found.promoted_by).max() < 1e-5


def test_what_does_not_write_into_the_stream_promotes_nothing(model: Model) -> None:
    dictionary = TopK(autoencoder(Site("neurons", 0), 24), 10, k=2)
    assert latent_directions(model, dictionary) is None
