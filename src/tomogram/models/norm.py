"""What a norm does, measured on probes: families store gains in different ways."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Large beside the epsilon of any norm, and exact in bfloat16.
_PROBE_SIZE = 64.0


@torch.no_grad()
def gain(norm: nn.Module, width: int) -> Float[Tensor, " d_model"]:
    """Return what a norm multiplies its normalised input by.

    Some families store a gain as its difference from 1, some have none. So the norm is applied to
    a probe of alternating signs and mean 0, on which layer norms and root-mean-square norms agree.
    """
    signs = _like_parameters(norm, width)
    signs[1::2] *= -1
    probe = signs - signs.mean()
    spread = probe.square().mean().sqrt()
    return (norm(probe) - bias(norm, width)) * spread / probe


@torch.no_grad()
def bias(norm: nn.Module, width: int) -> Float[Tensor, " d_model"]:
    """Return what a norm adds at the end: its value at 0."""
    output: Tensor = norm(torch.zeros_like(_like_parameters(norm, width)))
    return output


@torch.no_grad()
def centres(norm: nn.Module, width: int) -> bool:
    """Say whether a norm subtracts the mean, so that a constant vector leaves only the bias."""
    constant = norm(_like_parameters(norm, width)) - bias(norm, width)
    return bool(constant.abs().max() < 0.01 * gain(norm, width).abs().max())


def _like_parameters(norm: nn.Module, width: int) -> Float[Tensor, " d_model"]:
    like = next(norm.parameters(), torch.empty(0))
    return like.new_full((width,), _PROBE_SIZE)
