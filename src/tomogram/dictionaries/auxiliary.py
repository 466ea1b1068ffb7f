"""AuxK: dead latents learn what the living ones leave unexplained (Gao et al. 2024, A.2)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tomogram.dictionaries import kernels
from tomogram.dictionaries.dictionary import Dictionary

AUX_WEIGHT = 1 / 32
"""Weight of the auxiliary loss beside the FVU."""

STRIDE = 4
"""The auxiliary loss has many more active latents a token than the loss itself; one token in so
many is enough to estimate it."""


def unexplained_by_dead(
    dictionary: Dictionary,
    x: Float[Tensor, "tokens d_in"],
    error: Float[Tensor, "tokens d_out"],
    dead: Bool[Tensor, " d_dict"],
) -> Float[Tensor, ""]:
    """Σ‖e − ê‖² / Σ‖e‖², ê being what each token's d_out / 2 best-scoring dead latents write.

    The sums run over every fourth token. `error` must not carry gradients; the result's gradient
    reaches only dead latents. It is 0 where no latent is dead.
    """
    across = dictionary.across
    n_dead = int(across.over_latents(dead.sum()))
    if n_dead == 0:
        return error.new_zeros(())
    x, error = x[::STRIDE].contiguous(), error[::STRIDE]
    W_enc, b_enc = dictionary.W_enc, dictionary.b_enc
    k = min(n_dead, max(1, dictionary.d_out // 2))
    with torch.no_grad():
        # Where this shard has no dead latent, one that never wins stands in.
        ids = dead.nonzero()[:, 0] if dead.any() else dead.new_zeros(1, dtype=torch.int64)
        bias = b_enc[ids].where(dead[ids], -torch.inf)
        # Which of many dead latents are revived matters little: rounding may decide.
        _, best, wins = across.search(x, W_enc[ids], bias, k, kernels.search_roughly)
    indices = ids[best]
    by_latent = kernels.ByLatent.of(indices, dictionary.d_dict)
    # No ReLU here: a latent whose scores are all below 0 must feel the gradient, too.
    values = kernels.scores(x, W_enc, b_enc, indices, by_latent)
    if wins is not None:
        values = values * wins
    nothing = error.new_zeros(dictionary.d_out)
    missed, _ = kernels.missed(
        error, values, indices, dictionary.W_dec, nothing, by_latent, across.over_latents
    )
    sums = torch.stack([missed, kernels.squares(error)])
    unexplained, total = across.over_tokens(sums)
    return unexplained / total.clamp_min(torch.finfo(error.dtype).tiny)
