"""The fused kernels against dense arithmetic: on a GPU, or in Triton's interpreter, which
`tests/conftest.py` asks for."""

from __future__ import annotations

import importlib

import pytest
import torch

from tomogram.dictionaries import kernels

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture
def fused():
    pytest.importorskip("triton", reason="Triton is not installed")
    return importlib.import_module("tomogram.dictionaries.fused")


@pytest.fixture
def everywhere(fused, monkeypatch):
    """The kernels are used for tensors on the CPU, too."""
    monkeypatch.setattr(kernels, "_fused", lambda x: fused)
    monkeypatch.setattr(kernels, "_is_low", lambda x: x.dtype == torch.float32)


def _problem(seed: int, tokens: int, d_in: int, d_dict: int):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(tokens, d_in, generator=generator)
    weight = torch.randn(d_dict, d_in, generator=generator)
    bias = torch.randn(d_dict, generator=generator)
    return x.to(DEVICE), weight.to(DEVICE), bias.to(DEVICE)


@pytest.mark.parametrize(
    ("tokens", "d_in", "d_dict", "k"), [(40, 96, 520, 4), (3, 20, 64, 16), (33, 64, 1000, 12)]
)
def test_candidates_are_the_latents_that_reach_the_bound(fused, tokens, d_in, d_dict, k):
    x, weight, bias = _problem(1, tokens, d_in, d_dict)
    scores, latents, bounds, counts = fused.candidates(x, weight, bias, k)
    exact = torch.addmm(bias, x, weight.t())
    assert (counts >= k).all()
    assert counts.float().mean() < 2 * k
    for row in range(tokens):
        reached = (exact[row] >= bounds[row]).nonzero()[:, 0]
        assert counts[row] == len(reached)
        written = min(len(reached), scores.shape[1])
        assert latents[row, :written].tolist() == reached[:written].tolist()
        assert torch.allclose(scores[row, :written], exact[row, reached[:written]], atol=1e-4)
        assert (scores[row, written:] == -torch.inf).all()


def test_what_is_no_number_counts_as_the_largest(fused):
    x, weight, bias = _problem(2, 5, 16, 256)
    x[3] = float("nan")
    _, latents, _, counts = fused.candidates(x, weight, bias, 4)
    assert counts[3] >= 4
    assert latents[3].tolist() == list(range(8))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("d_in", "k"), [(12, 3), (200, 20)])
def test_products_and_sums_equal_their_dense_forms(fused, dtype, d_in, k):
    x, weight, _ = (part.to(dtype) for part in _problem(3, 10, d_in, 50))
    indices = torch.stack([torch.randperm(50)[:k] for _ in range(10)]).to(DEVICE)
    dense = x.float() @ weight.float().t()
    found = fused.products_at(x, weight, indices)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    assert torch.allclose(found.float(), dense.gather(1, indices), rtol=tolerance, atol=tolerance)
    full = torch.zeros(10, 50, device=DEVICE).scatter_(1, indices, found.float())
    mixed = fused.mix(found, indices, weight).float()
    assert torch.allclose(mixed, full @ weight.float(), rtol=tolerance, atol=1e2 * tolerance)


def test_search_finds_the_largest_float32_scores(everywhere):
    x, weight, bias = _problem(4, 50, 48, 768)
    values, found = kernels.search(x, weight, bias, 8)
    exact = torch.addmm(bias, x, weight.t())
    assert torch.equal(found, exact.topk(8, dim=1).indices.sort(1).values)
    assert torch.allclose(values, exact.gather(1, found), atol=1e-4)


def test_search_is_not_fooled_by_scores_that_bfloat16_cannot_tell_apart(everywhere):
    x, weight = torch.ones(3, 64, device=DEVICE), torch.ones(256, 64, device=DEVICE)
    _, found = kernels.search(x, weight, torch.linspace(0, 0.1, 256, device=DEVICE), 4)
    assert found.tolist() == [[252, 253, 254, 255]] * 3


def test_loss_and_gradients_are_those_of_the_other_kernels(everywhere, monkeypatch):
    x, weight, bias = _problem(5, 40, 24, 96)
    decoder, rest = torch.randn(96, 24).to(DEVICE), torch.ones(24, device=DEVICE)

    def loss_and_gradients():
        inputs = [each.clone().requires_grad_() for each in (weight, bias, decoder, rest)]
        encoder, own_bias, rows, own_rest = inputs
        known, indices = kernels.search(x, encoder.detach(), own_bias.detach(), 5)
        by_latent = kernels.ByLatent.of(indices, 96)
        values = kernels.scores(x, encoder, own_bias, indices, by_latent, known).relu()
        loss, _ = kernels.missed(x, values, indices, rows, own_rest, by_latent)
        return loss.detach(), *torch.autograd.grad(loss, inputs)

    fused_results = loss_and_gradients()
    monkeypatch.setattr(kernels, "_fused", lambda x: None)
    for one, other in zip(fused_results, loss_and_gradients(), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-3)
