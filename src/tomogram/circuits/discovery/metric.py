"""Metric: what a behaviour's circuit must reproduce, read off the last stream."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.circuits.discovery.pairs import Batch
from tomogram.circuits.discovery.streams import Norm, plain, unembed
from tomogram.models.model import Model


def metric(
    model: Model,
    batch: Batch,
    last: Float[Tensor, "pair pos d_model"],
    *,
    norm: Norm = plain,
) -> Float[Tensor, " pair"]:
    """m of each pair: the answer's logit less the other's, where the pair asks for it.

    Args:
        last: the stream that the final norm reads.
    """
    return batch.difference(unembed(model, batch.asked(last), norm))


def divergence(
    model: Model,
    batch: Batch,
    last: Float[Tensor, "pair pos d_model"],
    reference: Float[Tensor, "pair pos d_model"],
) -> Float[Tensor, " pair"]:
    """KL(reference ‖ run) in nats of the next token where each pair asks for it (ACDC's metric)."""
    told = [
        unembed(model, batch.asked(each), plain).float().log_softmax(-1)
        for each in (reference, last)
    ]
    return torch.sum(told[0].exp() * (told[0] - told[1]), -1)
