"""The sparse arithmetic against dense arithmetic."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tomogram.dictionaries import kernels


def _problem(seed: int, tokens: int, d_in: int, d_dict: int, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(tokens, d_in, generator=generator, dtype=dtype)
    weight = torch.randn(d_dict, d_in, generator=generator, dtype=dtype)
    bias = torch.randn(d_dict, generator=generator, dtype=dtype)
    return x, weight, bias


@given(
    seed=st.integers(0, 2**31),
    tokens=st.integers(1, 9),
    width=st.sampled_from([1, 2, 7, 64, 96, 513, 1024]),
    share=st.floats(0, 1),
    coarse=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_largest_gives_the_values_of_topk_and_their_columns(seed, tokens, width, share, coarse):
    scores = torch.randn(tokens, width, generator=torch.Generator().manual_seed(seed))
    if coarse:
        scores = scores.round()  # many ties
    k = max(1, int(share * width))
    values, columns = kernels.largest(scores, k)
    expected = scores.topk(k, dim=1).values
    assert torch.equal(values.sort(1, descending=True).values, expected)
    assert torch.equal(scores.gather(1, columns), values)
    assert all(len(set(row.tolist())) == k for row in columns)


@pytest.mark.parametrize(("d_dict", "k"), [(2304, 32), (1000, 8), (64, 40), (512, 128)])
def test_search_finds_the_largest_float32_scores_though_it_looks_in_bfloat16(d_dict, k):
    x, weight, bias = _problem(1, 500, 96, d_dict, torch.float32)
    _, found = kernels.search(x, weight, bias, k)
    exact = torch.addmm(bias, x, weight.t())
    assert torch.equal(found, found.sort(1).values)
    missed = (exact.gather(1, found).amin(1) < exact.topk(k, dim=1).values[:, -1] - 1e-4).sum()
    assert missed == 0


def test_search_is_not_fooled_by_scores_that_bfloat16_cannot_tell_apart():
    # All scores lie within one step of bfloat16, so the rough search sees nothing but ties.
    x = torch.ones(kernels.FEW, 64)
    weight = torch.full((1024, 64), 1.0)
    bias = torch.linspace(0, 0.1, 1024)
    _, found = kernels.search(x, weight, bias, 4)
    assert found.tolist() == [[1020, 1021, 1022, 1023]] * kernels.FEW


def test_a_few_tokens_have_the_latents_that_they_have_among_many():
    x, weight, bias = _problem(5, 400, 48, 1333, torch.float32)
    values, found = kernels.search(x, weight, bias, 12)
    few_values, few = kernels.search(x[:7], weight, bias, 12)
    assert torch.equal(few, found[:7])
    assert torch.allclose(few_values, values[:7], atol=1e-4)


def test_search_agrees_with_its_float64_form_which_never_looks_in_bfloat16():
    x, weight, bias = _problem(2, 300, 64, 1024, torch.float32)
    _, exact = kernels.search(x.double(), weight.double(), bias.double(), 16)
    assert torch.equal(kernels.search(x, weight, bias, 16)[1], exact)


def test_score_at_and_mix_equal_their_dense_forms():
    x, weight, bias = _problem(3, 40, 12, 50)
    _, indices = kernels.search(x, weight, bias, 6)
    dense = x @ weight.t() + bias
    values = kernels.score_at(x, weight, bias, indices)
    assert torch.allclose(values, dense.gather(1, indices))
    full = torch.zeros_like(dense).scatter_(1, indices, values)
    assert torch.allclose(kernels.mix(values, indices, weight), full @ weight)


def test_score_at_without_mkl_gives_the_same(monkeypatch):
    x, weight, bias = _problem(4, 40, 12, 50)
    _, indices = kernels.search(x, weight, bias, 6)
    expected = kernels.score_at(x, weight, bias, indices)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    assert torch.allclose(kernels.score_at(x, weight, bias, indices), expected)


def test_gradients_are_those_of_the_dense_computation():
    x, weight, bias = _problem(5, 7, 5, 11)
    _, indices = kernels.search(x, weight, bias, 3)

    def sparse(x, weight, bias, decoder):
        values = kernels.scores(x, weight, bias, indices).relu()
        return kernels.mix(values, indices, decoder)

    inputs = [t.clone().requires_grad_() for t in (x, weight, bias, weight)]
    assert torch.autograd.gradcheck(sparse, inputs)


def test_gradients_need_not_be_contiguous():
    x, weight, bias = _problem(6, 6, 6, 9, torch.float32)
    weight.requires_grad_()
    _, indices = kernels.search(x, weight, bias, 2)
    values = kernels.scores(x, weight, bias, indices)
    kernels.mix(values, indices, weight).t().sum(0).sum().backward()
    assert torch.isfinite(weight.grad).all()


@given(seed=st.integers(0, 2**31), tokens=st.integers(1, 30), k=st.integers(1, 5))
@settings(deadline=None, max_examples=30)
def test_slots_sorted_by_latent_are_each_counted_once(seed, tokens, k):
    generator = torch.Generator().manual_seed(seed)
    indices = torch.stack([torch.randperm(8, generator=generator)[:k] for _ in range(tokens)])
    values = torch.randn(tokens, k, generator=generator, dtype=torch.float64)
    rows = torch.randn(tokens, 3, generator=generator, dtype=torch.float64)
    by_latent = kernels.ByLatent.of(indices, 8)
    full = torch.zeros(tokens, 8, dtype=torch.float64).scatter_(1, indices, values)
    assert torch.allclose(by_latent.mix_tokens(values, rows), full.t() @ rows)
    assert torch.allclose(by_latent.totals(values), full.sum(0))
