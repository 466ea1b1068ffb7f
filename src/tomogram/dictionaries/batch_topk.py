"""BatchTopK: k latents a token on average (Bussmann et al. 2024, "BatchTopK SAEs")."""

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

# The threshold follows the batches with this much of its old value kept at each step.
_MEMORY = 0.99


class BatchTopK(Dictionary):
    """In training, the tokens · k largest positive scores of the whole batch fire.

    A batch's smallest firing score, averaged over the training, is the threshold above which a
    latent fires afterwards, so that a token's code does not depend on its neighbours.
    Loss of a batch x [tokens d_in], y [tokens d_out]: that of TopK, FVU + AuxK.
    """

    kind: ClassVar[str] = "batch_topk"
    threshold: Float[Tensor, ""]

    def __init__(self, shape: Shape, d_dict: int, *, k: int) -> None:
        super().__init__(shape, d_dict)
        if not 1 <= k <= d_dict:
            raise TomogramError(f"k must lie between 1 and the {d_dict} latents, not at {k}.")
        self.k = k
        # Negative until the first batch: no threshold is known yet.
        self.register_buffer("threshold", torch.tensor(-1.0))

    def config(self) -> dict[str, Any]:
        """k, the mean number of latents that fire on a token of a training batch."""
        return {"k": self.k}

    def encode(self, x: Float[Tensor, "tokens d_in"]) -> Latents:
        """All latents whose score is positive and above the threshold."""
        scores = self.scores(x)
        return Latents.of((scores * (scores > self.threshold)).relu())

    def objective(
        self,
        x: Float[Tensor, "tokens d_in"],
        y: Float[Tensor, "tokens d_out"],
        dead: Bool[Tensor, " d_dict"],
    ) -> Objective:
        """See the class. Updates the threshold."""
        latents, by_latent = self._encode_batch(x)
        missed, residual = self.missed(x, y, latents, by_latent)
        fvu = fraction_missed(y, missed, self.across)
        loss = fvu + AUX_WEIGHT * unexplained_by_dead(self, x, residual, dead)
        return Objective(loss, fvu.detach(), latents)

    @torch.no_grad()
    def start(
        self,
        encoder: Float[Tensor, "d_dict d_in"],
        decoder: Float[Tensor, "d_dict d_out"],
    ) -> None:
        """Forgets the threshold, too."""
        super().start(encoder, decoder)
        self.threshold.fill_(-1.0)

    @torch.no_grad()
    def stretch(self, factor: float) -> None:
        """The threshold is in the unit of the values, so it grows with them."""
        super().stretch(factor)
        self.threshold.mul_(factor)

    def _encode_batch(self, x: Tensor) -> tuple[Latents, kernels.ByLatent]:
        with torch.no_grad():
            known, indices, fires = self._winners(x)
            self._remember(known, fires)
        by_latent = kernels.ByLatent.of(indices, self.d_dict)
        scores = kernels.scores(x, self.W_enc, self.b_enc, indices, by_latent, known)
        return Latents(scores.relu() * fires, indices, self.d_dict), by_latent

    def _winners(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores and indices [tokens slots], and which are among the batch's tokens · k best."""
        slots = min(2 * self.k, self.d_dict)
        while True:
            scores, indices = kernels.search(x, self.W_enc, self.b_enc, slots)
            least = self.across.nth_largest(scores, self.across.tokens(len(x)) * self.k)
            fires = scores >= least.clamp_min(0)
            # A token all of whose slots fire may have had more to fire.
            if slots == self.d_dict or not self.across.any(bool(fires.all(1).any())):
                return scores, indices, fires
            slots = min(2 * slots, self.d_dict)

    def _remember(self, scores: Tensor, fires: Tensor) -> None:
        least = self.across.least(torch.where(fires & (scores > 0), scores, torch.inf).min())
        if torch.isfinite(least):
            first = self.threshold < 0
            kept = _MEMORY * self.threshold + (1 - _MEMORY) * least
            self.threshold.copy_(torch.where(first, least, kept))
