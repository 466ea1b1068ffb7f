"""CrossLayer: latents that read one layer and write to it and all later ones (Ameisen et al. 2025,
"Circuit Tracing: Revealing Computational Graphs in Language Models")."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tomogram.dictionaries import kernels
from tomogram.dictionaries.dictionary import Dictionary, Objective, fraction_unexplained
from tomogram.dictionaries.latents import Latents
from tomogram.dictionaries.shape import Shape
from tomogram.store.errors import TomogramError


class CrossLayer(Dictionary):
    """A cross-layer transcoder with TopK latents.

    The latents are dealt to the read sites in equal blocks, in order. One of layer l reads that
    layer alone, so `W_enc` is [d_dict width], and writes to the layers from l on: its row of
    `W_dec` is 0 before. Of each layer's latents the k with the largest scores fire, so a token has
    n_layers · k slots.

    Loss of a batch x [tokens n_layers·width], y of the same shape: FVU(y, ŷ) over all layers at
    once, which in training all have unit variance. Dead latents get no help from the loss.
    """

    kind: ClassVar[str] = "cross_layer"

    def __init__(self, shape: Shape, d_dict: int, *, k: int) -> None:
        super().__init__(shape, d_dict)
        self.n_layers = len(shape.reads)
        if len(shape.writes) != self.n_layers or d_dict % self.n_layers:
            raise TomogramError(
                f"A cross-layer transcoder needs as many latents in each of {self.n_layers} layers."
            )
        self.block, self.width = d_dict // self.n_layers, shape.d_in // self.n_layers
        if not 1 <= k <= self.block:
            raise TomogramError(f"k must lie between 1 and the {self.block} latents of a layer.")
        self.k = k
        self.W_enc = nn.Parameter(torch.zeros(d_dict, self.width))
        layer_of_latent = torch.arange(d_dict) // self.block
        layer_of_output = torch.arange(shape.d_out) // (shape.d_out // self.n_layers)
        causal = layer_of_output[None, :] >= layer_of_latent[:, None]
        self.register_buffer("causal", causal, persistent=False)
        self.W_dec.register_hook(lambda gradient: gradient * self.causal)

    causal: Bool[Tensor, "d_dict d_out"]

    def config(self) -> dict[str, Any]:
        """k, the number of latents that fire in each layer on a token."""
        return {"k": self.k}

    def encode(self, x: Float[Tensor, "tokens d_in"]) -> Latents:
        """The k best latents of each layer, layer by layer."""
        values, indices = [], []
        for layer in range(self.n_layers):
            rows = slice(layer * self.block, (layer + 1) * self.block)
            seen = x[:, layer * self.width : (layer + 1) * self.width].contiguous()
            weight, bias = self.W_enc[rows], self.b_enc[rows]
            with torch.no_grad():
                found = kernels.search(seen, weight, bias, self.k)
            values.append(kernels.scores(seen, weight, bias, found).relu())
            indices.append(found + layer * self.block)
        return Latents(torch.cat(values, 1), torch.cat(indices, 1), self.d_dict)

    def scores(self, x: Float[Tensor, "tokens d_in"]) -> Float[Tensor, "tokens d_dict"]:
        """Every latent's score before anything is made sparse."""
        seen = x.view(len(x), self.n_layers, self.width)
        weight = self.W_enc.view(self.n_layers, self.block, self.width)
        return torch.einsum("tlw,lbw->tlb", seen, weight).flatten(1) + self.b_enc

    def objective(
        self,
        x: Float[Tensor, "tokens d_in"],
        y: Float[Tensor, "tokens d_out"],
        dead: Bool[Tensor, " d_dict"],
    ) -> Objective:
        """See the class."""
        latents = self.encode(x)
        fvu = fraction_unexplained(y, y - (self.decode(latents) + self.skip(x)))
        return Objective(fvu, fvu.detach(), latents)

    @torch.no_grad()
    def shift_input(self, centre: Float[Tensor, " d_in"]) -> None:
        """Each latent reads its own layer's part of the centre."""
        self.b_enc.sub_(self.scores(centre[None])[0] - self.b_enc)

    @torch.no_grad()
    def scale_input(self, scale: Float[Tensor, " d_in"]) -> None:
        """Each latent reads its own layer's part of the scale."""
        own = scale.view(self.n_layers, self.width).repeat_interleave(self.block, 0)
        self.W_enc.div_(own)

    @torch.no_grad()
    def start(
        self,
        encoder: Float[Tensor, "d_dict d_in"],
        decoder: Float[Tensor, "d_dict d_out"],
    ) -> None:
        """Takes of each latent's rows the parts it may read and write."""
        layers = torch.arange(self.d_dict, device=encoder.device) // self.block
        parts = encoder.view(self.d_dict, self.n_layers, self.width)
        own = parts[torch.arange(self.d_dict, device=encoder.device), layers]
        self.W_enc.copy_(own / own.norm(dim=1, keepdim=True).clamp_min(1e-12))
        self.W_dec.copy_(decoder * self.causal)
