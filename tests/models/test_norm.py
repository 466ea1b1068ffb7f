"""Measured gains and biases of norms."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers.models.gemma2.modeling_gemma2 import Gemma2RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from tomogram.models.norm import bias, centres, gain


@pytest.mark.parametrize("width", [8, 9])
@pytest.mark.parametrize(
    ("kind", "offset", "centring"),
    [(LlamaRMSNorm, 0, False), (Gemma2RMSNorm, 1, False), (nn.LayerNorm, 0, True)],
)
def test_gains_are_those_that_were_set(kind, offset: float, centring: bool, width: int) -> None:
    norm = kind(width)
    nn.init.normal_(norm.weight)
    torch.testing.assert_close(gain(norm, width), (norm.weight + offset).detach())
    assert centres(norm, width) is centring
    expected = torch.zeros(width)
    if centring:
        nn.init.normal_(norm.bias)
        expected = norm.bias.detach()
    torch.testing.assert_close(bias(norm, width), expected)
    torch.testing.assert_close(gain(norm, width), (norm.weight + offset).detach())


def test_a_norm_without_weights_has_gain_one() -> None:
    norm = nn.LayerNorm(6, elementwise_affine=False)
    torch.testing.assert_close(gain(norm, 6), torch.ones(6))
