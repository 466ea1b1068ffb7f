"""Activations at many sites whose features are known, as a source of training batches.

There are twice as many features as dimensions. Three are active on every token, or, where said so,
three on average and each independently of the others. Every site has an offset and a scale of its
own.

Directions are drawn at random and then pushed apart, as in the field's own planted data (Chanin et
al. 2026, "SynthSAEBench", section 3; SAELens' `FeatureDictionary` does so unless told otherwise): a
model that learns its features keeps them apart, too (Elhage et al. 2022), whereas among 48 random
directions in 24 dimensions some pairs are nearly one. `Crowded` leaves them as drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tomogram.models.sites import Site

FEATURES, WIDTH, ACTIVE = 48, 24, 3
"""Features of a layer, dimensions of a site, and features active on a token."""

READ, WRITE, WITH_PATH = Site("mlp_in", 0), Site("mlp_out", 0), Site("mlp_out", 1)
EARLY, LATE, LATE_READ = Site("resid_post", 0), Site("resid_post", 1), Site("mlp_in", 1)
TWO_MODELS = Site("resid_post", 2)
OWN = FEATURES // 6
"""So many features are in the first model only, and as many in the second only."""


def drawn(seed: int) -> Float[Tensor, "features width"]:
    """Random unit directions."""
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(FEATURES, WIDTH, generator=generator), dim=1)


@cache
def apart(seed: int) -> Float[Tensor, "features width"]:
    """Random unit directions after some steps down the sum of the fourth powers of their cosines.

    The square, which is usual among thousands of dimensions, has many minima in so few, and leaves
    pairs as near as they were drawn. Do not write to it.
    """
    rows = drawn(seed)
    for _ in range(400):
        cosines = (rows @ rows.T).fill_diagonal_(0)
        # A descent step along the sphere.
        rows = F.normalize(rows - 0.05 * cosines.pow(3) @ rows, dim=1)
    return rows


@dataclass(frozen=True)
class World:
    """The features of one seed.

    Each property is what the features write at some sites, side by side where there are several:
    the rows that a dictionary of these sites should find.
    """

    seed: int
    batch_tokens: int = 256

    def directions(self, number: int) -> Float[Tensor, "features width"]:
        """Unit directions that keep apart, other ones for each number."""
        return apart(self.seed * 1009 + number)

    @property
    def path(self) -> Float[Tensor, "width width"]:
        """A linear path from an MLP's input to its output, beside the features."""
        generator = torch.Generator().manual_seed(self.seed * 1009 + 500)
        return torch.randn(WIDTH, WIDTH, generator=generator) / WIDTH**0.5

    @property
    def present(self) -> Float[Tensor, "2 features"]:
        """Which features each of the two models has."""
        both = torch.ones(2, FEATURES)
        both[1, :OWN] = both[0, -OWN:] = 0
        return both

    def batches(self, start: int = 0) -> Iterator[dict[Site, Tensor]]:
        """The batches from number `start` on."""
        number = start
        while True:
            yield self.batch(number)
            number += 1

    def values(self, number: int, stream: int = 0) -> Float[Tensor, "tokens features"]:
        """How active each feature is: 0, or between 1 and 2."""
        seed = (self.seed * 1_000_003 + number) * 2 + stream
        generator = torch.Generator().manual_seed(seed)
        shape = (self.batch_tokens, FEATURES)
        return self.active(shape, generator) * (1 + torch.rand(shape, generator=generator))

    def active(
        self, shape: tuple[int, int], generator: torch.Generator
    ) -> Float[Tensor, "tokens features"]:
        """1 where a feature is active: three a token."""
        chosen = torch.rand(shape, generator=generator).topk(ACTIVE, dim=1).indices
        return torch.zeros(shape).scatter_(1, chosen, 1.0)

    def batch(self, number: int) -> dict[Site, Tensor]:
        """One layer's features, read and written; `Layers` has those of two."""
        v = self.values(number)
        one, other = v @ self.directions(0), v @ self.directions(1)
        first, second = (v * has @ self.directions(i) for i, has in enumerate(self.present))
        return {
            EARLY: 10 * one + 7,
            LATE: 50 * other - 20,
            READ: 10 * one + 7,
            WRITE: 0.1 * other - 1,
            LATE_READ: 10 * one + 7,
            WITH_PATH: 0.1 * (other + one @ self.path) - 1,
            TWO_MODELS: torch.cat([first, second], dim=1) + 3,
        }


@dataclass(frozen=True)
class Varying(World):
    """Features that are active independently of each other: none on one token in twenty, six or
    more on one in twelve."""

    def active(
        self, shape: tuple[int, int], generator: torch.Generator
    ) -> Float[Tensor, "tokens features"]:
        return (torch.rand(shape, generator=generator) < ACTIVE / FEATURES).float()


@dataclass(frozen=True)
class Crowded(World):
    """Random directions as they are drawn: the nearest two have a cosine of about .7."""

    def directions(self, number: int) -> Float[Tensor, "features width"]:
        return drawn(self.seed * 1009 + number)


@dataclass(frozen=True)
class CrowdedVarying(Crowded, Varying):
    """Random directions, features active independently of each other."""


@dataclass(frozen=True)
class Layers(World):
    """Features of two layers: the first layer's write to both, the second's to the second."""

    def batch(self, number: int) -> dict[Site, Tensor]:
        v, u = self.values(number), self.values(number, 1)
        late = v @ self.directions(2) + u @ self.directions(4)
        return {
            READ: v @ self.directions(0) + 3,
            LATE_READ: 20 * (u @ self.directions(3)),
            WRITE: v @ self.directions(1) - 1,
            WITH_PATH: 5 * late,
        }
