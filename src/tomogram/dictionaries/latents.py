"""Latents: the sparse code of some tokens, a fixed number of slots a token."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Latents:
    """Which latents of a dictionary fire on each token, and how strongly.

    A token that fires fewer latents than there are slots fills the rest with the value 0, so a
    slot counts only where its value is above 0. No latent stands twice in one token.
    """

    values: Float[Tensor, "tokens slots"]
    indices: Int[Tensor, "tokens slots"]
    d_dict: int

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape != self.indices.shape:
            raise ValueError(
                f"values {tuple(self.values.shape)} and indices {tuple(self.indices.shape)} "
                "must be two equal [tokens slots] shapes"
            )

    @classmethod
    def of(cls, dense: Float[Tensor, "tokens d_dict"]) -> Latents:
        """The sparse form of values that are 0 or above; as many slots as the fullest token needs.

        Differentiable in the values.
        """
        slots = max(1, int((dense > 0).sum(1).max()) if len(dense) else 1)
        values, indices = torch.topk(dense, slots, dim=1)
        return cls(values, indices, dense.shape[1])

    @property
    def firing(self) -> Bool[Tensor, "tokens slots"]:
        """Where a slot is in use."""
        return self.values > 0

    def dense(self) -> Float[Tensor, "tokens d_dict"]:
        """The same code with every latent in its column."""
        full = self.values.new_zeros(len(self.values), self.d_dict)
        return full.scatter_add_(1, self.indices, self.values)

    def counts(self) -> Int[Tensor, " d_dict"]:
        """On how many of these tokens each latent fires."""
        return torch.bincount(self.indices[self.firing], minlength=self.d_dict)
