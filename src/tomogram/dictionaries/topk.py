"""TopK: the k largest scores fire (Gao et al. 2024, "Scaling and evaluating SAEs")."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tomogram.dictionaries import kernels
from tomogram.dictionaries.auxiliary import AUX_WEIGHT, unexplained_by_dead
from tomogram.dictionaries.dictionary import Dictionary, Objective, fraction_missed
from tomogram.dictionaries.latents import Latents
from tomogram.dictionaries.shape import Shape
from tomogram.store.errors import TomogramError


class TopK(Dictionary):
    """Per token, the k latents with the largest scores fire, where their score is above 0.

    Loss of a batch x [tokens d_in], y [tokens d_out], with e = y − ŷ:

        FVU + 1/32 · Σ‖e − ê‖² / Σ‖e‖²

    where ê is what the `d_out / 2` best-scoring *dead* latents of each token make of the error e
    (AuxK, section A.2). The second term is absent while no latent is dead, and its gradient
    reaches only the dead latents.
    """

    kind: ClassVar[str] = "topk"

    def __init__(self, shape: Shape, d_dict: int, *, k: int) -> None:
        super().__init__(shape, d_dict)
        if not 1 <= k <= d_dict:
            raise TomogramError(f"k must lie between 1 and the {d_dict} latents, not at {k}.")
        self.k = k

    def config(self) -> dict[str, Any]:
        """k, the number of latents that fire on a token."""
        return {"k": self.k}

    def encode(self, x: Float[Tensor, "tokens d_in"]) -> Latents:
        """The k best latents of each token; `slots` is k and a token's indices rise."""
        return self._encode(x)[0]

    def objective(
        self,
        x: Float[Tensor, "tokens d_in"],
        y: Float[Tensor, "tokens d_out"],
        dead: Bool[Tensor, " d_dict"],
    ) -> Objective:
        """See the class. Both terms touch only the latents they use."""
        latents, by_latent = self._encode(x)
        missed, residual = self.missed(x, y, latents, by_latent)
        fvu = fraction_missed(y, missed, self.across)
        loss = fvu + AUX_WEIGHT * unexplained_by_dead(self, x, residual, dead)
        return Objective(loss, fvu.detach(), latents)

    def _encode(self, x: Tensor) -> tuple[Latents, kernels.ByLatent | None]:
        known, indices, wins = self.across.search(x, self.W_enc, self.b_enc, self.k)
        by_latent = kernels.ByLatent.of(indices, self.d_dict) if torch.is_grad_enabled() else None
        values = kernels.scores(x, self.W_enc, self.b_enc, indices, by_latent, known).relu()
        if wins is not None:
            values = values * wins
        return Latents(values, indices, self.d_dict), by_latent
