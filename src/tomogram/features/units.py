"""Units: latents of a dictionary and the two sides of each MLP neuron, in one form.

A latent fires where its activation is above zero. A neuron is dense and signed, so it counts as
two units, its positive and its negative side, and a side *fires* where it lies above its own high
quantile: by default on one token in a hundred, about as often as a latent of a TopK dictionary.
Each side is then described by the same tables as a latent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.dictionaries.latents import Latents

NEURON_RATE = 0.01
"""Share of tokens on which each side of a neuron fires."""


@dataclass(frozen=True)
class Family:
    """The units read at one place: a dictionary's latents, or both sides of a layer's neurons.

    For neurons unit ``j`` is the positive side of neuron ``j`` and unit ``size / 2 + j`` its
    negative side.
    """

    name: str
    """Name of the dictionary (`resid_post.3`) or of the neurons' site (`neurons.3`)."""
    kind: Literal["latent", "neuron"]
    layer: int
    size: int

    def __post_init__(self) -> None:
        if self.size < 1 or (self.kind == "neuron" and self.size % 2):
            raise ValueError(f"{self.name}: {self.size} units make no family of {self.kind}s")

    def index(self, unit: int) -> int:
        """The latent's or the neuron's own number."""
        return unit if self.kind == "latent" else unit % (self.size // 2)

    def side(self, unit: int) -> Literal[1, -1]:
        """+1, or −1 for the negative side of a neuron."""
        return -1 if self.kind == "neuron" and unit >= self.size // 2 else 1


@dataclass(frozen=True)
class Firings:
    """Which units of one family fire where, as three columns of equal length."""

    token: Int[np.ndarray, " firings"]
    """Number of the token in its batch, int64."""
    unit: Int[np.ndarray, " firings"]
    """int64."""
    activation: Float[np.ndarray, " firings"]
    """float32, above zero."""

    def __post_init__(self) -> None:
        if not len(self.token) == len(self.unit) == len(self.activation):
            raise ValueError("the columns of firings must have one length")

    def __len__(self) -> int:
        return len(self.token)

    def __getitem__(self, chosen: np.ndarray) -> Firings:
        """The firings at some places, or where a mask holds."""
        return Firings(self.token[chosen], self.unit[chosen], self.activation[chosen])


def latent_firings(latents: Latents) -> Firings:
    """The firings of a dictionary's latents, token by token."""
    firing = latents.firing
    token, _ = firing.nonzero(as_tuple=True)
    return _columns(token, latents.indices[firing], latents.values[firing])


def neuron_firings(
    activations: Float[Tensor, "tokens d_mlp"], thresholds: Float[Tensor, " sides"]
) -> Firings:
    """Where each side of each neuron lies above its threshold; activations are of that side."""
    d_mlp = activations.shape[1]
    above, below = thresholds.split(d_mlp)
    high, low = activations > above, activations < -below
    token, neuron = (high | low).nonzero(as_tuple=True)
    value = activations[token, neuron]
    return _columns(token, neuron + d_mlp * (value < 0), value.abs())


def neuron_thresholds(
    activations: Float[Tensor, "tokens d_mlp"], rate: float = NEURON_RATE
) -> Float[Tensor, " sides"]:
    """For each side the activation it exceeds on a share `rate` of these tokens, never below 0.

    A neuron that is never positive has threshold 0 on its positive side and fires there as soon
    as it is.
    """
    if not 0 < rate < 0.5:
        raise ValueError(f"a side of a neuron fires on a share of tokens in (0, 0.5), not {rate}")
    kept = max(1, round(rate * len(activations)))
    kept = min(kept, len(activations) - 1)
    x = activations.float()
    above = x.topk(kept + 1, dim=0, sorted=True).values[-1]
    below = x.neg().topk(kept + 1, dim=0, sorted=True).values[-1]
    return torch.cat([above, below]).clamp_min(0)


def _columns(token: Tensor, unit: Tensor, activation: Tensor) -> Firings:
    return Firings(
        token.cpu().numpy(), unit.cpu().numpy(), activation.detach().float().cpu().numpy()
    )
