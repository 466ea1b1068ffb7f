"""CrossLayer: a cross-layer transcoder with TopK latents (Ameisen et al. 2025, "Circuit Tracing";
Gao et al. 2024)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tomogram.dictionaries import kernels
from tomogram.dictionaries.dictionary import Objective, fraction_missed
from tomogram.dictionaries.latents import Latents
from tomogram.dictionaries.layered import Layered
from tomogram.dictionaries.shape import Shape
from tomogram.store.errors import TomogramError


class CrossLayer(Layered):
    """A cross-layer transcoder of which, of each layer's latents, the k with the largest scores
    fire, so a token has n_layers · k slots.

    Loss of a batch x [tokens n_layers·width], y of the same shape: FVU(y, ŷ) over all layers at
    once, which in training all have unit variance. Dead latents get no help from the loss.
    """

    kind: ClassVar[str] = "cross_layer"

    def __init__(self, shape: Shape, d_dict: int, *, k: int) -> None:
        super().__init__(shape, d_dict)
        if not 1 <= k <= self.block:
            raise TomogramError(f"k must lie between 1 and the {self.block} latents of a layer.")
        self.k = k

    def config(self) -> dict[str, Any]:
        """k, the number of latents that fire in each layer on a token."""
        return {"k": self.k}

    def encode(self, x: Float[Tensor, "tokens d_in"]) -> Latents:
        """The k best latents of each layer, layer by layer."""
        values, indices = [], []
        for place, layer in enumerate(self.layers):
            rows = slice(place * self.block, (place + 1) * self.block)
            seen = x[:, layer * self.width : (layer + 1) * self.width].contiguous()
            weight, bias = self.W_enc[rows], self.b_enc[rows]
            known, found = kernels.search(seen, weight, bias, self.k)
            values.append(kernels.scores(seen, weight, bias, found, known=known).relu())
            indices.append(found + place * self.block)
        return Latents(torch.cat(values, 1), torch.cat(indices, 1), self.d_dict)

    def objective(
        self,
        x: Float[Tensor, "tokens d_in"],
        y: Float[Tensor, "tokens d_out"],
        dead: Bool[Tensor, " d_dict"],
    ) -> Objective:
        """See the class."""
        latents = self.encode(x)
        fvu = fraction_missed(y, self.missed(x, y, latents)[0], self.across)
        return Objective(fvu, fvu.detach(), latents)
