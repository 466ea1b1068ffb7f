"""Latent scaling: is what a crosscoder gives to one model alone truly absent from the other?

A latent may seem to be one model's own because training shrank its row in the other to nothing
(*complete shrinkage*: then the other model's error holds it) or because the other model has the
same thing in other latents (*latent decoupling*: then its reconstruction holds it). Minder et al.
2025, "Overcoming Sparsity Artifacts in Crosscoders to Interpret Chat-Tuning", ask of each latent
how much of its own direction either holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tomogram.dictionaries import kernels
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.paired import second_share

ABSENT_ERROR, ABSENT_RECONSTRUCTION = 0.2, 0.5
"""A latent is one model's own where the other holds less than these shares of it."""


@dataclass(frozen=True)
class LatentScaling:
    """How much of each latent the other model holds, as a share of what its own model does.

    A latent's *own* model is the one in which its row of the decoder is longer. Shares are about 0
    for a latent that the other model lacks and about 1 for one that is as much in both; NaN where
    a latent never fires.

    share: `second_share`. in_error: of what the crosscoder leaves unexplained of the other model.
    in_reconstruction: of what it writes there.
    """

    share: Float[Tensor, " d_dict"]
    in_error: Float[Tensor, " d_dict"]
    in_reconstruction: Float[Tensor, " d_dict"]

    @property
    def exclusive(self) -> Bool[Tensor, " d_dict"]:
        """Whether a latent passes both checks."""
        return (self.in_error < ABSENT_ERROR) & (self.in_reconstruction < ABSENT_RECONSTRUCTION)


@torch.no_grad()
def latent_scaling(
    dictionary: Dictionary, batches: Iterable[Float[Tensor, "tokens both"]]
) -> LatentScaling:
    """The checks of every latent on some activations of both models, side by side.

    For latent j with values f, the row d of its own model, and a target y [tokens width],
    β = argmin Σ‖β f d − y‖² = Σ f⟨d, y⟩ / (‖d‖² Σ f²). The shares are β of the other model over β
    of its own, y being the error (to which the own model adds f·d, what it explains by j) or the
    reconstruction without its bias.

    Raises TomogramError for a dictionary that does not write two models of one width.
    """
    share = second_share(dictionary)
    first, second = dictionary.W_dec.chunk(2, dim=1)
    own = torch.where((share >= 0.5)[:, None], second, first)
    sums = torch.zeros(2, 2, dictionary.d_dict, dtype=torch.float64)
    energy = torch.zeros(dictionary.d_dict, dtype=torch.float64)
    for x in batches:
        x = x.to(dictionary.W_enc.device, dictionary.W_enc.dtype)
        latents = dictionary.encode(x)
        written = kernels.mix(latents.values, latents.indices, dictionary.W_dec)
        error = x - written - dictionary.b_dec
        energy += _by_latent(latents.values.square(), latents.indices, dictionary.d_dict)
        for target, y in enumerate((error, written)):
            for model, half in enumerate(y.chunk(2, dim=1)):
                inner = torch.einsum("td,tsd->ts", half, own[latents.indices])
                sums[target, model] += _by_latent(
                    latents.values * inner, latents.indices, dictionary.d_dict
                )
    whole = energy * own.square().sum(1).double().cpu()
    betas = sums / whole
    # The own model's error lacks what this latent itself explains.
    side = (share >= 0.5).long().cpu()
    rows = torch.arange(dictionary.d_dict)
    own_error, other_error = betas[0, side, rows] + 1, betas[0, 1 - side, rows]
    own_written, other_written = betas[1, side, rows], betas[1, 1 - side, rows]
    return LatentScaling(
        share.cpu(), (other_error / own_error).float(), (other_written / own_written).float()
    )


def _by_latent(
    values: Float[Tensor, "tokens slots"], indices: Tensor, d_dict: int
) -> Float[Tensor, " d_dict"]:
    flat = torch.zeros(d_dict, dtype=torch.float64, device=values.device)
    return flat.index_add_(0, indices.reshape(-1), values.double().reshape(-1)).cpu()
