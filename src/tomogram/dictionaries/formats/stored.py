"""Stored: a dictionary as a file holds it, before its conventions are settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.shape import Shape
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

_KINDS: dict[str, type[Dictionary]] = {kind.kind: kind for kind in (ReLU, TopK, JumpReLU, Gated)}


@dataclass(frozen=True)
class Stored:
    """Weights in our orientation, and what the file says of how they are meant.

    kind, options: the kind's name and its constructor's numbers.
    own: the weights that only this kind has, by their names in it (`threshold`, `r_mag` ...).
    subtracts_b_dec: whether the file's convention subtracts b_dec from the input before encoding.
    input_norm: the mean norm its training scaled inputs to, where the file says that it did
        (SAELens' "expected_average_only_in"); the scale itself depends on the activations.
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

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise TomogramError(
                f"{self.origin} holds a dictionary of kind '{self.kind}', which cannot be loaded."
            )
        d_dict, d_in = self.W_enc.shape
        d_out = self.W_dec.shape[1]
        expected = {
            "b_enc": (d_dict,),
            "W_dec": (d_dict, d_out),
            "b_dec": (d_out,),
            "W_skip": (d_out, d_in),
            **dict.fromkeys(self.own, (d_dict,)),
        }
        for name, shape in expected.items():
            tensor = self.own[name] if name in self.own else getattr(self, name)
            if tensor is not None and tuple(tensor.shape) != shape:
                raise TomogramError(
                    f"{self.origin} is damaged: {name} has the shape {tuple(tensor.shape)} "
                    f"where {shape} fits its other weights."
                )

    @torch.no_grad()
    def dictionary(self, *, subtracts_b_dec: bool, input_scale: float) -> Dictionary:
        """The dictionary of raw activations x that this file means under a convention.

        Encoding reads x · input_scale, minus b_dec if `subtracts_b_dec`; what is decoded is
        divided by `input_scale`.
        """
        d_in, d_out = self.W_enc.shape[1], self.W_dec.shape[1]
        shape = Shape(self.reads, self.writes, d_in, d_out, self.W_skip is not None)
        result = _KINDS[self.kind](shape, len(self.W_enc), **self.options)
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
        return result.requires_grad_(False)
