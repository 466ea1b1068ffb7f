"""Quality and PCA against hand-computed cases and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from tomogram.dictionaries import pca, quality
from tomogram.dictionaries.quality import Reconstruction, Sparsity
from tomogram.dictionaries.shape import autoencoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site


def test_fvu_and_shrinkage_by_hand():
    y = torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]])
    result = Reconstruction.of(y, torch.tensor([[1.5, 0.0], [0.0, 4.0], [0.0, 1.0]]))
    mean = y.mean(0)
    assert result.fvu == pytest.approx((1.5**2 + 1) / (y - mean).square().sum().item())
    assert result.shrinkage == pytest.approx((0.5 + 1 + 1) / 3)


@given(seed=st.integers(0, 2**31), cut=st.integers(1, 19))
@settings(deadline=None, max_examples=25)
def test_parts_of_a_text_add_up_to_the_whole(seed, cut):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(20, 5, generator=generator) + 3
    dictionary = TopK(autoencoder(Site("embed"), 5), 12, k=3)
    dictionary.W_enc.data = torch.randn(12, 5, generator=generator)
    dictionary.W_dec.data = torch.randn(12, 5, generator=generator)
    whole = quality.measure(dictionary, x, x)
    first, second = (quality.measure(dictionary, part, part) for part in (x[:cut], x[cut:]))
    assert (first[0] + second[0]).fvu == pytest.approx(whole[0].fvu)
    assert (first[0] + second[0]).shrinkage == pytest.approx(whole[0].shrinkage)
    assert torch.equal((first[1] + second[1]).firings, whole[1].firings)


def test_sparsity_by_hand():
    sparsity = Sparsity(tokens=20, firings=torch.tensor([0, 1, 2, 3, 20]))
    assert (sparsity.l0, sparsity.dead, sparsity.dense) == (26 / 20, 1, 2)


def test_pca_is_that_of_scikit_learn_however_the_text_is_cut():
    x = np.random.default_rng(0).standard_normal((300, 8)) @ np.diag(np.arange(1, 9)) + 5
    parts = [pca.Moments.of(torch.from_numpy(part)) for part in np.array_split(x, 3)]
    projection = pca.fit(parts[0] + parts[1] + parts[2], 3)
    expected = PCA(3).fit(x)
    ours = projection(torch.from_numpy(x)).numpy()
    assert np.allclose(ours, expected.inverse_transform(expected.transform(x)))


def test_most_similar_decoder_row_by_hand():
    dictionary = TopK(autoencoder(Site("embed"), 2), 3, k=1)
    dictionary.W_dec.data = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    found = quality.decoder_similarity(dictionary, rows=2)
    assert found.tolist() == pytest.approx([0.5**0.5] * 3)
