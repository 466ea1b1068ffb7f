"""PCA: the baseline a dictionary must beat, at the same number of numbers a token.

"The same rank" here: a dictionary that describes a token by L0 active values is compared with the
projection on the k = L0 leading principal directions, which describes every token by k values.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Count, sum and sum of outer products of activations, in float64; they add up over text."""

    count: int
    total: Float[Tensor, " d"]
    outer: Float[Tensor, "d d"]

    @classmethod
    def of(cls, x: Float[Tensor, "tokens d"]) -> Moments:
        """The moments of some activations."""
        wide = x.double()
        return cls(len(x), wide.sum(0), wide.T @ wide)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.outer + other.outer)

    @property
    def mean(self) -> Float[Tensor, " d"]:
        """The mean activation."""
        return self.total / self.count

    @property
    def covariance(self) -> Float[Tensor, "d d"]:
        """The covariance, divided by the count."""
        return self.outer / self.count - torch.outer(self.mean, self.mean)


@dataclass(frozen=True)
class Projection:
    """x̂ = centre + P·Pᵀ·(x − centre), the best linear reconstruction of its rank."""

    centre: Float[Tensor, " d"]
    directions: Float[Tensor, "d rank"]

    def __call__(self, x: Float[Tensor, "tokens d"]) -> Float[Tensor, "tokens d"]:
        """The reconstruction of each token, in the number format of x."""
        centre, directions = self.centre.to(x), self.directions.to(x)
        return centre + (x - centre) @ directions @ directions.T


def fit(moments: Moments, rank: int) -> Projection:
    """The projection on the `rank` leading principal directions (all, if there are fewer)."""
    # eigh sorts eigenvalues upwards.
    directions = torch.linalg.eigh(moments.covariance).eigenvectors[:, -rank:]
    return Projection(moments.mean, directions)
