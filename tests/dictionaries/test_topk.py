"""TopK against its definition."""

from __future__ import annotations

import pytest
import torch

from tomogram.dictionaries.dictionary import fraction_unexplained
from tomogram.dictionaries.shape import Shape, autoencoder, crosscoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

SITE = Site("resid_post", 1)


def random_topk(shape: Shape, d_dict: int = 40, k: int = 4, seed: int = 0) -> TopK:
    dictionary = TopK(shape, d_dict, k=k).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in dictionary.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return dictionary


def _dense(dictionary: TopK, x: torch.Tensor) -> torch.Tensor:
    """The same function written with full matrices and torch's own top-k."""
    scores = x @ dictionary.W_enc.t() + dictionary.b_enc
    best = scores.topk(dictionary.k, dim=1)
    values = torch.zeros_like(scores).scatter(1, best.indices, best.values.relu())
    out = values @ dictionary.W_dec + dictionary.b_dec
    return out if dictionary.W_skip is None else out + x @ dictionary.W_skip.t()


@pytest.mark.parametrize(
    "shape", [autoencoder(SITE, 9), transcoder(1, 9, skip=True), crosscoder([SITE], 9)]
)
def test_reconstruction_equals_the_dense_definition(shape):
    dictionary = random_topk(shape)
    x = torch.randn(30, 9, dtype=torch.float64)
    assert torch.allclose(dictionary(x), _dense(dictionary, x))


def test_a_token_with_few_positive_scores_fires_fewer_than_k():
    dictionary = random_topk(autoencoder(SITE, 9))
    dictionary.b_enc.data.fill_(-1e3)
    dictionary.b_enc.data[7] = 1e3
    latents = dictionary.encode(torch.randn(5, 9, dtype=torch.float64))
    assert latents.firing.sum(1).tolist() == [1] * 5
    assert (latents.dense() > 0).nonzero()[:, 1].tolist() == [7] * 5
    assert latents.counts().tolist() == [5 if i == 7 else 0 for i in range(40)]


def test_objective_without_dead_latents_is_the_fvu_with_the_gradients_of_the_dense_definition():
    dictionary = random_topk(transcoder(1, 9, skip=True))
    x, y = torch.randn(2, 30, 9, dtype=torch.float64)
    objective = dictionary.objective(x, y, torch.zeros(40, dtype=torch.bool))
    objective.loss.backward()
    found = [p.grad.clone() for p in dictionary.parameters()]
    dictionary.zero_grad()
    expected = fraction_unexplained(y, y - _dense(dictionary, x))
    expected.backward()
    assert torch.allclose(objective.loss, expected)
    for gradient, parameter in zip(found, dictionary.parameters(), strict=True):
        assert torch.allclose(gradient, parameter.grad)


def test_the_auxiliary_loss_moves_dead_latents_and_no_others():
    dictionary = random_topk(autoencoder(SITE, 9))
    dead = torch.zeros(40, dtype=torch.bool)
    dead[30:] = True
    x = torch.randn(30, 9, dtype=torch.float64)
    with_dead = torch.autograd.grad(dictionary.objective(x, x, dead).loss, dictionary.W_enc)[0]
    without = torch.autograd.grad(
        dictionary.objective(x, x, torch.zeros_like(dead)).loss, dictionary.W_enc
    )[0]
    changed = (with_dead - without).abs().amax(1) > 1e-12
    assert changed[30:].any()
    assert not changed[:30].any()


def test_fvu_of_a_constant_guess_is_one_only_for_the_mean():
    y = torch.tensor([[0.0], [2.0]])
    assert fraction_unexplained(y, y - y.mean(0)) == 1
    # A bias of 3 must count: the residual is not centred.
    assert fraction_unexplained(y, torch.full_like(y, 3.0)) == 9


@pytest.mark.parametrize("k", [0, 41, -1])
def test_k_must_fit_the_latents(k):
    with pytest.raises(TomogramError, match="between 1 and the 40 latents"):
        TopK(autoencoder(SITE, 9), 40, k=k)


def test_a_crosscoder_has_no_single_site():
    dictionary = TopK(crosscoder([Site("resid_post", 0), Site("resid_post", 1)], 9), 40, k=2)
    assert (dictionary.d_in, dictionary.d_out) == (18, 18)
    with pytest.raises(TomogramError, match="reads 2 sites"):
        _ = dictionary.read
