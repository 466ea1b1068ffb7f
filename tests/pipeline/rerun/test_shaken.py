"""A shaken model is the same to every eye but the last digit's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.pipeline.rerun.shaken import shaken


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return load(tiny_model)


def test_each_weight_moves_by_its_last_place_at_most(model: Model) -> None:
    before = {name: weight.clone() for name, weight in model.module.named_parameters()}
    other = shaken(model, 1)
    moved = 0
    for name, weight in other.module.named_parameters():
        change = (weight - before[name]).abs()
        # Rounding to the nearest number adds half a unit in the last place.
        assert bool((change <= 1.5 * torch.finfo(weight.dtype).eps * before[name].abs()).all())
        moved += int((change > 0).sum())
    assert moved > 1000
    for name, weight in model.module.named_parameters():
        assert torch.equal(weight, before[name])  # the model itself is left alone


def test_it_predicts_nearly_the_same_and_knows_whose_copy_it_is(model: Model) -> None:
    tokens = torch.arange(1, 33)[None]
    with torch.no_grad():
        own, others = model.run(tokens).logits, [shaken(model, n) for n in (1, 1, 2)]
        logits = [other.run(tokens).logits for other in others]
    assert own is not None
    assert others[0].digest == model.digest
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])
    assert 0 < float((own - logits[0]).abs().max()) < 1e-4
