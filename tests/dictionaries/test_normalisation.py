"""Normalisation and its folding."""

from __future__ import annotations

import pytest
import torch

from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.normalisation import fold, geometric_median, measure, side_by_side
from tomogram.dictionaries.shape import crosscoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError


@pytest.mark.parametrize(("kind", "options"), [(TopK, {"k": 5}), (JumpReLU, {})])
def test_a_folded_dictionary_does_to_raw_activations_what_it_did_to_normalised_ones(kind, options):
    torch.manual_seed(0)
    x, y = torch.randn(50, 8) * 3 + 5, torch.randn(50, 8) * 0.1 - 2
    dictionary = kind(transcoder(0, 8, skip=True), 30, **options)
    for parameter in dictionary.parameters():
        parameter.data = torch.randn(parameter.shape)
    dictionary.W_dec.data /= dictionary.W_dec.norm(dim=1, keepdim=True)
    source, target = measure(x), measure(y)
    with torch.no_grad():
        expected = dictionary(source(x)) * target.scale + target.centre
        fired = dictionary.encode(source(x)).dense() > 0
        fold(dictionary, source, target)
        assert torch.allclose(dictionary(x), expected, atol=1e-4)
        assert torch.equal(dictionary.encode(x).dense() > 0, fired)
    assert torch.allclose(dictionary.W_dec.norm(dim=1), torch.ones(30), atol=1e-5)


def test_measured_normalisation_centres_and_gives_unit_mean_square():
    x = torch.randn(2000, 6) * 7 + 4
    normalised = measure(x)(x)
    assert normalised.square().mean() == pytest.approx(1, abs=1e-4)
    assert normalised.mean(0).abs().max() < 0.1


def test_geometric_median_of_points_on_a_line_is_their_median():
    x = torch.tensor([[0.0], [1.0], [2.0], [3.0], [1000.0]])
    assert geometric_median(x, steps=2000, tolerance=1e-9).item() == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("value", [1.0, float("nan"), float("inf")])
def test_activations_that_do_not_vary_or_are_not_finite_are_refused(value):
    with pytest.raises(TomogramError, match="cannot be normalised"):
        measure(torch.full((10, 3), value))


def test_sites_side_by_side_keep_a_scale_each_through_folding():
    torch.manual_seed(0)
    small, large = torch.randn(50, 4) * 0.01, torch.randn(50, 4) * 100 + 7
    x = torch.cat([small, large], dim=1)
    norm = side_by_side([measure(small), measure(large)])
    assert norm(x)[:, :4].square().mean() == pytest.approx(1, abs=1e-4)
    assert norm(x)[:, 4:].square().mean() == pytest.approx(1, abs=1e-4)
    assert torch.allclose(norm.undo(norm(x)), x, atol=1e-4)
    dictionary = TopK(crosscoder([Site("resid_post", 0), Site("resid_post", 1)], 4), 30, k=5)
    for parameter in dictionary.parameters():
        parameter.data = torch.randn(parameter.shape)
    with torch.no_grad():
        expected = norm.undo(dictionary(norm(x)))
        fold(dictionary, norm, norm)
        assert torch.allclose(dictionary(x), expected, rtol=1e-3, atol=1e-3)
