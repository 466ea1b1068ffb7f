"""JumpReLU: a learnt threshold a latent (Rajamanoharan et al. 2024, "Jumping Ahead")."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tomogram.dictionaries.dictionary import Dictionary, Objective, fraction_unexplained
from tomogram.dictionaries.latents import Latents
from tomogram.dictionaries.shape import Shape

_FIRST_THRESHOLD = 0.5


class JumpReLU(Dictionary):
    """A latent fires with its score where the score is above the latent's own threshold.

    Loss of a batch x [tokens d_in], y [tokens d_out], with scores s = x·W_encᵀ + b_enc, thresholds
    θ [d_dict] and values f = s · [s > θ]:

        FVU + sparsity · (L0 / target_l0 − 1)²     L0 = mean over tokens of Σ_j [s_j > θ_j]

    The steps have no gradient; in their place stands that of a ramp of width `bandwidth` around
    the threshold (their eq. 11 and 12). The quadratic term, which aims at a given L0, is that of
    their section 6.
    """

    kind: ClassVar[str] = "jumprelu"

    def __init__(
        self,
        shape: Shape,
        d_dict: int,
        *,
        target_l0: float = 32.0,
        sparsity: float = 20.0,
        bandwidth: float = 0.3,
    ) -> None:
        super().__init__(shape, d_dict)
        self.target_l0, self.sparsity, self.bandwidth = target_l0, sparsity, bandwidth
        self.threshold = nn.Parameter(torch.full((d_dict,), _FIRST_THRESHOLD))

    def config(self) -> dict[str, Any]:
        """The L0 it aims at, the weight of that aim, and the width of the ramp."""
        return {
            "target_l0": self.target_l0,
            "sparsity": self.sparsity,
            "bandwidth": self.bandwidth,
        }

    def encode(self, x: Float[Tensor, "tokens d_in"]) -> Latents:
        """All latents whose score is above their threshold and above 0."""
        scores = self.scores(x)
        return Latents.of((scores * (scores > self.threshold)).relu())

    @torch.no_grad()
    def start(
        self,
        encoder: Float[Tensor, "d_dict d_in"],
        decoder: Float[Tensor, "d_dict d_out"],
    ) -> None:
        """Thresholds begin above 0, so that not half of the latents fire."""
        super().start(encoder, decoder)
        self.threshold.fill_(_FIRST_THRESHOLD)

    @torch.no_grad()
    def stretch(self, factor: float) -> None:
        """Thresholds are in the unit of the values, so they grow with them."""
        super().stretch(factor)
        self.threshold.mul_(factor)

    def objective(
        self,
        x: Float[Tensor, "tokens d_in"],
        y: Float[Tensor, "tokens d_out"],
        dead: Bool[Tensor, " d_dict"],
    ) -> Objective:
        """See the class. Dead latents get no help from the loss."""
        scores = self.scores(x)
        # A threshold below 0 would let latents fire with negative values.
        open_ = _Step.apply(scores, self.threshold.relu(), self.bandwidth)
        values = scores * open_
        decoded = self.across.over_latents(values @ self.W_dec)
        residual = y - (decoded + self.b_dec + self.skip(x))
        fvu = fraction_unexplained(y, residual, self.across)
        opened = self.across.over_latents(self.across.over_tokens(open_.sum()))
        aim = (opened / self.across.tokens(len(x)) / self.target_l0 - 1).square()
        return Objective(
            fvu + self.sparsity * aim, fvu.detach(), Latents.of(values.detach().relu())
        )


class _Step(torch.autograd.Function):
    """[s > θ], with the gradient of a ramp from θ − width/2 to θ + width/2 for θ only."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, threshold: Tensor, width: float) -> Tensor:
        ctx.save_for_backward(scores, threshold)
        ctx.width = width
        return (scores > threshold).to(scores.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        scores, threshold = ctx.saved_tensors
        near = (scores - threshold).abs() < ctx.width / 2
        return None, -(grad * near).sum(0) / ctx.width, None
