"""Stored: a dictionary as a file holds it, before its conventions are settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.cross_layer import CrossLayer
from tomogram.dictionaries.cross_layer_jumprelu import CrossLayerJumpReLU
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.layered import Layered
from tomogram.dictionaries.matryoshka import Matryoshka
from tomogram.dictionaries.normalisation import Normalisation
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.shape import Shape
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

_KINDS: dict[str, type[Dictionary]] = {
    kind.kind: kind
    for kind in (
        ReLU,
        TopK,
        BatchTopK,
        Matryoshka,
        JumpReLU,
        Gated,
        CrossLayer,
        CrossLayerJumpReLU,
    )
}


@dataclass(frozen=True)
class Stored:
    """Weights in our orientation, and what the file says of how they are meant.

    W_enc of a cross-layer transcoder is [d_dict width], as in `Layered`.
    kind, options: the kind's name and its constructor's numbers.
    own: the weights that only this kind has, by their names in it (`threshold`, `r_mag` ...).
    subtracts_b_dec: whether the file's convention subtracts b_dec from the input before encoding.
    input_norm: the mean norm its training scaled inputs to, where the file says that it did
        (SAELens' "expected_average_only_in"); the scale itself depends on the activations.
    models: whose activations it reads side by side, 1 or 2.
    before_gain: whether what it reads is the MLP's normed input before the norm's gain and bias.
    origin: the file, for messages.
    """

    reads: tuple[Site, ...]
    writes: tuple[Site, ...]
    kind: str
    W_enc: Float[Tensor, "d_dict d_in"]
    b_enc: Float[Tensor, " d_dict"]
    W_dec: Float[Tensor, "d_dict d_out"]
    b_dec: Float[Tensor, " d_out"]
    origin: Path
    W_skip: Float[Tensor, "d_out d_in"] | None = None
    own: Mapping[str, Tensor] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    subtracts_b_dec: bool = False
    input_norm: float | None = None
    before_gain: bool = False
    models: int = 1

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise TomogramError(
                f"{self.origin} holds a dictionary of kind '{self.kind}', which cannot be loaded."
            )
        d_dict, d_in, d_out = len(self.W_enc), self.d_in, self.d_out
        # A threshold for all latents together is one number.
        own = () if issubclass(_KINDS[self.kind], BatchTopK) else (d_dict,)
        expected = {
            "b_enc": (d_dict,),
            "W_dec": (d_dict, d_out),
            "b_dec": (d_out,),
            "W_skip": (d_out, d_in),
            **dict.fromkeys(self.own, own),
        }
        for name, shape in expected.items():
            tensor = self.own[name] if name in self.own else getattr(self, name)
            if tensor is not None and tuple(tensor.shape) != shape:
                raise TomogramError(
                    f"{self.origin} is damaged: {name} has the shape {tuple(tensor.shape)} "
                    f"where {shape} fits its other weights."
                )

    @property
    def d_in(self) -> int:
        """Width of what it reads, all sites together."""
        sites = len(self.reads) if issubclass(_KINDS[self.kind], Layered) else 1
        return sites * self.W_enc.shape[1]

    @property
    def d_out(self) -> int:
        """Width of what it writes, all sites together."""
        return self.W_dec.shape[1]

    def blank(self) -> Dictionary:
        """The dictionary before its weights are set."""
        skip = self.W_skip is not None
        shape = Shape(self.reads, self.writes, self.d_in, self.d_out, skip, self.models)
        return _KINDS[self.kind](shape, len(self.W_enc), **self.options)

    @torch.no_grad()
    def dictionary(
        self, *, subtracts_b_dec: bool, input_scale: float, norm: Normalisation | None = None
    ) -> Dictionary:
        """The dictionary of raw activations x that this file means under a convention.

        Encoding reads x · input_scale, minus b_dec if `subtracts_b_dec`; what is decoded is
        divided by `input_scale`. With a `norm`, what is read is norm(x) instead of x.
        """
        result = self.blank()
        result.W_enc.copy_(self.W_enc)
        result.b_enc.copy_(self.b_enc)
        for name, tensor in self.own.items():
            getattr(result, name).copy_(tensor)
        if subtracts_b_dec:
            result.shift_input(self.b_dec)
        result.W_enc.mul_(input_scale)
        result.W_dec.copy_(self.W_dec / input_scale)
        result.b_dec.copy_(self.b_dec / input_scale)
        if self.W_skip is not None and result.W_skip is not None:
            result.W_skip.copy_(self.W_skip)
        if norm is not None:
            _read_through(result, norm)
        return result.requires_grad_(False)


def _read_through(dictionary: Dictionary, norm: Normalisation) -> None:
    """Makes what it makes of x what it made of norm(x), in place."""
    # Where the gain is 0 nothing comes through, and nothing is to be read.
    scale = norm.scale.where(norm.scale != 0, torch.inf)
    dictionary.scale_input(scale)
    dictionary.shift_input(norm.centre)
    if dictionary.W_skip is not None:
        dictionary.W_skip.div_(scale)
        dictionary.b_dec.sub_(dictionary.W_skip @ norm.centre)
