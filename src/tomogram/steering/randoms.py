"""Random directions: what any push of the same length would do."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.models.sites import Site
from tomogram.steering.edits import Edit
from tomogram.steering.positions import Where
from tomogram.steering.targets import Direction


def random_directions(site: Site, width: int, n: int, *, seed: int = 0) -> tuple[Direction, ...]:
    """`n` directions of length 1, uniform on the sphere, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(n, width, generator=generator)
    return tuple(Direction(site, row, f"random {i}") for i, row in enumerate(drawn))


@dataclass(frozen=True, eq=False)
class Elsewhere:
    """An edit with its every change turned to another direction, of equal norm token by token."""

    edit: Edit
    direction: Direction

    @property
    def read(self) -> Site:
        """Where the edit reads."""
        return self.edit.read

    @property
    def write(self) -> Site:
        """Where the edit writes."""
        return self.edit.write

    @property
    def where(self) -> Where:
        """Where the edit acts."""
        return self.edit.where

    def change(
        self, x: Float[Tensor, "batch pos d_in"], codes: dict[int, Tensor]
    ) -> Float[Tensor, "... d_out"]:
        """The norm of what the edit adds, along the direction."""
        norm = self.edit.change(x, codes).norm(dim=-1, keepdim=True)
        return norm * self.direction.vector.to(norm.device)
