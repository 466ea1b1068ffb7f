"""Data made by hand: what each latent stands for is in one model, or in both."""

from __future__ import annotations

import pytest
import torch

from tomogram.dictionaries.latent_scaling import latent_scaling
from tomogram.dictionaries.paired import paired_shape
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site

WIDTH, TOKENS = 4, 400


def crosscoder(rows: list[tuple[int | None, int | None]]) -> TopK:
    """Latent j reads direction j of the second model, or of the first where the second is None,
    and writes the given directions of the first and of the second model."""
    made = TopK(paired_shape(Site("resid_post", 0), WIDTH), len(rows), k=len(rows))
    made.requires_grad_(False)
    for j, (first, second) in enumerate(rows):
        if first is not None:
            made.W_dec[j, first] = 1.0
        if second is not None:
            made.W_dec[j, WIDTH + second] = 1.0
        made.W_enc[j] = made.W_dec[j] / made.W_dec[j].sum()
    return made


def activations(first: list[bool], second: list[bool]) -> torch.Tensor:
    """Each direction of either model, where it is there, is on at a quarter of the tokens."""
    generator = torch.Generator().manual_seed(0)
    on = (torch.rand(TOKENS, WIDTH, generator=generator) < 0.25).float()
    return torch.cat([on * torch.tensor(first), on * torch.tensor(second)], dim=1)


def test_what_one_model_lacks_is_its_own() -> None:
    # Direction 0 is in both, direction 1 in the second model alone.
    x = activations([True, False, False, False], [True, True, False, False])
    found = latent_scaling(crosscoder([(0, 0), (None, 1)]), [x])
    assert found.share.tolist() == [0.5, 1.0]
    assert found.in_error[1] == pytest.approx(0, abs=1e-6)
    assert found.in_reconstruction[1] == pytest.approx(0, abs=1e-6)
    assert found.exclusive.tolist() == [False, True]


def test_a_row_that_training_shrank_is_found_in_the_error() -> None:
    # Direction 1 is in both models, and the crosscoder's row for it in the first is gone.
    x = activations([True, True, False, False], [True, True, False, False])
    found = latent_scaling(crosscoder([(0, 0), (None, 1)]), [x])
    assert found.share[1] == 1.0
    assert found.in_error[1] == pytest.approx(1, abs=1e-5)
    assert not found.exclusive[1]


def test_what_the_other_model_has_in_another_latent_is_found_in_its_reconstruction() -> None:
    # Direction 1 is in both; each model has a latent of its own for it.
    x = activations([False, True, False, False], [False, True, False, False])
    found = latent_scaling(crosscoder([(1, None), (None, 1)]), [x])
    assert found.share.tolist() == [0.0, 1.0]
    torch.testing.assert_close(found.in_error, torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.in_reconstruction, torch.ones(2), atol=1e-5, rtol=0)
    assert not found.exclusive.any()


def test_a_latent_that_never_fires_is_nobodys() -> None:
    x = activations([True, False, False, False], [True, False, False, False])
    found = latent_scaling(crosscoder([(0, 0), (None, 3)]), [x])
    assert found.in_error[1].isnan()
    assert not found.exclusive[1]


def test_batches_add_up() -> None:
    x = activations([True, True, False, False], [True, True, True, False])
    made = crosscoder([(0, 0), (None, 1), (None, 2)])
    whole, parts = latent_scaling(made, [x]), latent_scaling(made, x.split(37))
    torch.testing.assert_close(whole.in_error, parts.in_error)
    torch.testing.assert_close(whole.in_reconstruction, parts.in_reconstruction)
