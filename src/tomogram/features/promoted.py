"""Promoted and suppressed tokens: what a unit's own direction does to the next token directly.

The direction a unit writes into the residual stream is read by the unembedding, the final norm's
gain folded in (Geva et al. 2022; the logit lens of one vector). The mean over the vocabulary is
taken off, because adding the same number to every logit changes nothing; so is the direction's own
mean where the final norm centres. Effects through later layers are not in it, so it says more about
late layers than about early ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.model import Model
from tomogram.models.norm import centres, gain
from tomogram.models.wiring import matrix

_LOGIT_NUMBERS = 2**25
_INTO_STREAM = frozenset({"resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "embed"})


@dataclass(frozen=True)
class Promoted:
    """For each unit the tokens it promotes most and those it suppresses most, strongest first.

    Effects are in logits for a unit of activation, up to the scale of the final norm.
    """

    promoted: Int[np.ndarray, "units n"]
    promoted_by: Float[np.ndarray, "units n"]
    suppressed: Int[np.ndarray, "units n"]
    suppressed_by: Float[np.ndarray, "units n"]


def latent_directions(
    model: Model, dictionary: Dictionary
) -> Float[Tensor, "units d_model"] | None:
    """What each latent writes into the residual stream; None if it does not write there.

    Of several sites a crosscoder writes, the last one counts.
    """
    if dictionary.shape.writes[-1].kind not in _INTO_STREAM:
        return None
    return dictionary.W_dec.detach()[:, -model.d_model :]


def neuron_directions(model: Model, layer: int) -> Float[Tensor, "units d_model"] | None:
    """What each side of each neuron writes into the residual stream; None without neurons.

    The gain of a norm after the MLP is folded in.
    """
    block = model.wiring.blocks[layer]
    if block.neurons_to_stream is None:
        return None
    direction = matrix(block.neurons_to_stream)
    if block.mlp_post_norm is not None:
        direction = direction * gain(block.mlp_post_norm, model.d_model)
    return torch.cat([direction, -direction])


@torch.no_grad()
def promoted(model: Model, directions: Float[Tensor, "units d_model"], *, n: int = 10) -> Promoted:
    """The n tokens each direction promotes most and the n it suppresses most."""
    unembedding = model.unembedding.float()
    if centres(model.wiring.final_norm, model.d_model):
        unembedding = unembedding - unembedding.mean(0)
    unembedding = unembedding - unembedding.mean(1, keepdim=True)
    n = min(n, unembedding.shape[1])
    parts: list[tuple[Tensor, ...]] = []
    for some in directions.split(max(1, _LOGIT_NUMBERS // unembedding.shape[1])):
        effect = some.to(unembedding.device, torch.float32) @ unembedding
        up, down = effect.topk(n), effect.topk(n, largest=False)
        parts.append((up.indices, up.values, down.indices, down.values))
    columns = [torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True)]
    ids, by, less, less_by = columns
    return Promoted(ids.astype(np.int32), by, less.astype(np.int32), less_by)
