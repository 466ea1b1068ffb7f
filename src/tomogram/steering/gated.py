"""Gated: a push that acts only on tokens on which another feature fires.

A push costs where it acts in vain. Where a feature marks the texts for which it is meant, the push
can wait for that feature, as in Lee et al. 2024, "Programming Refusal with Conditional Activation
Steering" (there the condition is a similarity of the whole prompt; here it is read at each token).
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from tomogram.models.sites import LAYER_KINDS, Site
from tomogram.steering.edits import Edit
from tomogram.steering.positions import Where
from tomogram.steering.targets import Target, activations
from tomogram.store.errors import TomogramError


@dataclass(frozen=True, eq=False)
class Gated:
    """An edit that adds the same everywhere, but only where a gate's activation is above a bound.

    Raises:
        TomogramError: the edit adds not the same everywhere, or writes before the gate is read.
    """

    edit: Edit
    gate: Target
    above: float = 0.0

    def __post_init__(self) -> None:
        if self.edit.constant is None:
            raise TomogramError("Only an edit that adds the same everywhere can wait for a gate.")
        if reached(self.gate.read) > reached(self.edit.write):
            raise TomogramError(
                f"{self.gate.name} is read at {self.gate.read}, after {self.edit.write}, which it"
                " is to gate."
            )

    @property
    def read(self) -> Site:
        """Where the gate reads."""
        return self.gate.read

    @property
    def write(self) -> Site:
        """Where the edit writes."""
        return self.edit.write

    @property
    def where(self) -> Where:
        """Where the edit acts if the gate is open."""
        return self.edit.where

    def change(
        self, x: Float[Tensor, "batch pos d_in"], codes: dict[int, Tensor]
    ) -> Float[Tensor, "batch pos d_out"]:
        """What the edit adds where the gate is open, else nothing."""
        constant = self.edit.constant
        assert constant is not None
        is_open = activations(self.gate, x, codes) > self.above
        return is_open[..., None] * constant.to(x.device)


def reached(site: Site) -> tuple[int, int]:
    """A place in the order in which a forward pass reaches sites, of those that edits use."""
    return (-1, 0) if site.layer is None else (site.layer, LAYER_KINDS.index(site.kind))
