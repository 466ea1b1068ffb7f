"""A model whose norms have gains, beside the fixtures of the folder above."""

from __future__ import annotations

import copy

import pytest
import torch

from tomogram.models.load import wrap
from tomogram.models.model import Model


@pytest.fixture(scope="session")
def gained(model: Model) -> Model:
    """The tiny model with random gains in the norms before its MLPs."""
    module = copy.deepcopy(model.module)
    generator = torch.Generator().manual_seed(0)
    for block in module.model.layers:
        gain = block.post_attention_layernorm.weight
        gain.data.copy_(0.2 + 3 * torch.rand(gain.shape, generator=generator))
    return wrap(module, name="gained")
