"""A stream gives what the model gives, one line a token."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tomogram.activations.stream import by_token, stream, widths
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

SITES = (Site("resid_post", 1), Site("mlp_in", 0), Site("neurons", 2), Site("head_z", 1))


@pytest.mark.parametrize("batch_rows", [1, 4, 23, 100])
def test_batches_are_the_models_activations(
    model: Model, text: PackedText, batch_rows: int
) -> None:
    batches = list(stream(model, text, SITES, batch_rows=batch_rows))
    assert np.concatenate([batch.rows for batch in batches]).tolist() == list(range(text.rows))
    for batch in batches:
        assert len(batch.rows) <= batch_rows
        tokens = torch.from_numpy(text.tokens[batch.rows].astype(np.int64))
        run = model.run(tokens, capture=SITES)
        for site in SITES:
            assert torch.equal(batch[site], run[site].reshape(tokens.numel(), -1))


def test_chosen_rows_in_their_order(model: Model, text: PackedText) -> None:
    batches = list(stream(model, text, SITES, batch_rows=2, rows=[7, 3, 5]))
    assert [batch.rows.tolist() for batch in batches] == [[7, 3], [5]]


def test_no_rows(model: Model, text: PackedText) -> None:
    assert list(stream(model, text, SITES, batch_rows=2, rows=[])) == []


def test_values_can_enter_a_gradient(model: Model, text: PackedText) -> None:
    value = next(stream(model, text, SITES, batch_rows=2))[SITES[0]]
    assert not value.requires_grad
    weight = torch.ones(16, requires_grad=True)
    (value @ weight).sum().backward()
    assert torch.allclose(weight.grad, value.sum(0))


@pytest.mark.parametrize("site", [*SITES, Site("pattern", 0), Site("head_out", 2), Site("logits")])
def test_widths(model: Model, text: PackedText, site: Site) -> None:
    batch = next(stream(model, text, [site], batch_rows=3))
    assert widths(model, [site], text.context) == {site: batch[site].shape[1]}
    assert len(batch[site]) == 3 * text.context


def test_a_pattern_is_laid_out_by_query(model: Model) -> None:
    pattern = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    lines = by_token(Site("pattern", 0), pattern)
    assert lines.shape == (8, 12)
    assert lines[5].tolist() == pattern[1, :, 1].flatten().tolist()


def test_a_site_the_model_lacks(model: Model, text: PackedText) -> None:
    with pytest.raises(TomogramError, match=r"no site resid_post\.9"):
        next(stream(model, text, [Site("resid_post", 9)], batch_rows=1))
