"""Changes: applied to a copy, merged, rounded, and refused on another model."""

from __future__ import annotations

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tomogram.models.load import wrap
from tomogram.models.model import Model
from tomogram.organisms.delta import (
    Delta,
    Factors,
    applied,
    matrices,
    mean,
    scaled,
    size,
    sizes,
    truncated,
)
from tomogram.store.errors import TomogramError


def _random(model: Model, seed: int = 0) -> Delta:
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, part in matrices(model).items():
        d_in, d_out = sizes(part)
        down = torch.randn(2, d_in, generator=generator)
        made[name] = Factors(down, 0.01 * torch.randn(d_out, 2, generator=generator))
    return made


def _logits(model: Model) -> torch.Tensor:
    logits = model.run(torch.arange(12)[None] + 8).logits
    assert logits is not None
    return logits


def test_a_copy_is_changed_and_the_model_is_not(model: Model) -> None:
    before = _logits(model)
    planted = applied(model, _random(model), bits=8)
    assert planted.digest != model.digest
    assert not torch.equal(_logits(planted), before)
    assert torch.equal(_logits(model), before)
    assert torch.equal(_logits(applied(model, {})), before)


def test_matrices_stored_the_other_way_round_are_changed_alike() -> None:
    """GPT-2 keeps its matrices transposed."""
    config = GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=20, n_positions=16)
    torch.manual_seed(0)
    small = wrap(GPT2LMHeadModel(config), name="small")
    name = next(n for n in matrices(small) if n.endswith("mlp.c_fc"))
    factors = _random(small)[name]
    read = torch.randn(3, 8)
    plain = matrices(small)[name](read)
    changed = matrices(applied(small, {name: factors}))[name](read)
    assert torch.allclose(changed - plain, read @ factors.dense().T, atol=1e-6)


def test_truncation_is_the_best_of_its_rank() -> None:
    """Of diag(3, 2, 1) the best of rank two leaves out the 1."""
    kept = truncated(torch.diag(torch.tensor([3.0, 2.0, 1.0])), rank=2).dense()
    assert torch.allclose(kept, torch.diag(torch.tensor([3.0, 2.0, 0.0])), atol=1e-6)


def test_mean_of_changes(model: Model) -> None:
    one, two = _random(model, 1), _random(model, 2)
    name = next(iter(one))
    merged = mean([one, two])
    half = (one[name].dense() + two[name].dense()) / 2
    assert torch.allclose(merged[name].dense(), half, atol=1e-6)
    alone = mean([one, {}])
    assert torch.allclose(alone[name].dense(), one[name].dense() / 2, atol=1e-6)


def test_rounding_moves_no_weight_by_more_than_half_a_step(model: Model) -> None:
    before = next(iter(matrices(model).values())).weight
    step = before.abs().amax(1, keepdim=True) / 31  # six bits: 31 steps to either side
    after = next(iter(matrices(applied(model, {}, bits=6)).values())).weight
    assert ((after - before).abs() <= step / 2 + 1e-7).all()
    assert all(len(row.unique()) <= 63 for row in after)


def test_a_change_of_another_model_is_refused(model: Model) -> None:
    with pytest.raises(TomogramError, match="not one of"):
        applied(model, {"nowhere": Factors(torch.zeros(1, 3), torch.zeros(3, 1))})


def test_a_size_is_that_of_the_dense_change(model: Model) -> None:
    delta = _random(model)
    dense = sum(float(each.dense().square().sum()) for each in delta.values()) ** 0.5
    assert size(delta) == pytest.approx(dense, rel=1e-4)
    assert size(scaled(delta, 3.0)) == pytest.approx(3 * dense, rel=1e-4)
    assert size({}) == 0.0
