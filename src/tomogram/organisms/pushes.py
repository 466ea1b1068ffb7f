"""Pushes: what a treatment by steering learns, a constant vector for each layer of the stream.

A vector that is added to what an MLP writes, the same at every word, is a bias of that MLP; so a
model can carry it in its weights (`steering.folding`). Learned rather than read off activations, as
in Subramani et al. 2022 ("Extracting latent steering vectors from pretrained language models").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.organisms.delta import matrices, sizes
from tomogram.organisms.stacked import Change, Stack, writers


class Push(Change):
    """A vector for each slot, [slot d_out 1], added whatever the matrix reads."""

    def __init__(self, up: Float[Tensor, "slot d_out 1"]) -> None:
        super().__init__(up, None)

    def __call__(self, read: Float[Tensor, "rows pos d_in"]) -> Float[Tensor, "rows 1 d_out"]:
        """What is added to what the matrix writes; rows stand slot by slot."""
        return self.up[..., 0].repeat_interleave(len(read) // len(self.up), 0)[:, None]


def no_pushes(model: Model, layers: Sequence[int]) -> Stack:
    """One slot with a push of nothing on what the MLP of each of these layers writes."""
    names, every = writers(model), matrices(model)
    return Stack(
        {
            names[layer]: Push(
                torch.zeros(1, sizes(every[names[layer]])[1], 1, device=model.device)
            )
            for layer in layers
        }
    )


def learned(model: Model, stack: Stack) -> Mapping[Site, Float[Tensor, " d_model"]]:
    """The pushes that a stack has come to, by the site where each is added."""
    names = writers(model)
    return {
        Site("mlp_out", names.index(name)): push.up[0, :, 0].detach().clone()
        for name, push in stack.changes.items()
    }
