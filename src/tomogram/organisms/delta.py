"""A low-rank change of a model's matrices: kept small, and applied to a copy of the model."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from tomogram.models.model import Model
from tomogram.models.wiring import wire
from tomogram.store.digest import digest_array, digest_json
from tomogram.store.errors import TomogramError


@dataclass(frozen=True, eq=False)
class Factors:
    """One matrix's change, `up @ down`.

    down: [rank d_in]. up: [d_out rank].
    """

    down: Float[Tensor, "rank d_in"]
    up: Float[Tensor, "d_out rank"]

    def dense(self) -> Float[Tensor, "d_out d_in"]:
        """The change itself."""
        return self.up.float() @ self.down.float()


Delta = Mapping[str, Factors]
"""Changes by the module's name. An empty one is no change."""


def matrices(model: Model) -> dict[str, nn.Module]:
    """Every matrix inside the blocks, by its module's name, in the order of the forward pass."""
    inside = {
        id(part)
        for block in model.wiring.blocks
        for part in block.module.modules()
        if isinstance(part, nn.Linear | Conv1D)
    }
    return {name: part for name, part in model.module.named_modules() if id(part) in inside}


def sizes(module: nn.Module) -> tuple[int, int]:
    """Width of what a matrix reads and of what it writes."""
    rows, columns = cast(Tensor, module.weight).shape
    return (rows, columns) if isinstance(module, Conv1D) else (columns, rows)


def truncated(change: Float[Tensor, "d_out d_in"], rank: int) -> Factors:
    """The best approximation of a change by factors of a rank (Eckart and Young 1936)."""
    left, values, right = torch.linalg.svd(change.float(), full_matrices=False)
    root = values[:rank].sqrt()
    return Factors(root[:, None] * right[:rank], left[:, :rank] * root)


def mean(deltas: list[Delta]) -> Delta:
    """The mean of changes of the same model, as a merge of fine-tunes makes it.

    Matrices that one of them leaves alone count as unchanged there.
    """
    share = 1 / len(deltas)
    names = dict.fromkeys(name for delta in deltas for name in delta)
    return {
        name: Factors(
            torch.cat([delta[name].down for delta in deltas if name in delta]),
            torch.cat([delta[name].up * share for delta in deltas if name in delta], dim=1),
        )
        for name in names
    }


def size(delta: Delta) -> float:
    """Frobenius norm of the whole change, over all matrices."""
    total = 0.0
    for each in delta.values():
        # |up down|² = trace((upᵀ up)(down downᵀ)), which needs no dense matrix
        up, down = each.up.double(), each.down.double()
        total += float(((up.T @ up) * (down @ down.T)).sum())
    return max(total, 0.0) ** 0.5


def scaled(delta: Delta, factor: float) -> Delta:
    """The change, `factor` times as large."""
    return {name: Factors(each.down, factor * each.up) for name, each in delta.items()}


def half(delta: Delta) -> Delta:
    """The change as it is kept: what is measured is what is kept."""
    return {
        name: Factors(each.down.half().float(), each.up.half().float())
        for name, each in delta.items()
    }


def digest(delta: Delta) -> str:
    """SHA-256 over all factors."""
    return digest_json(
        {name: [digest_array(each.down), digest_array(each.up)] for name, each in delta.items()}
    )


def applied(model: Model, delta: Delta, bits: int | None = None) -> Model:
    """A copy of the model with the change in its weights; the model itself stays as it is.

    Args:
        bits: round every matrix of the blocks to so many bits, a scale a row, after the change.

    Raises:
        TomogramError: the change is one of another model.
    """
    own = matrices(model)
    for name, each in delta.items():
        if name not in own or sizes(own[name]) != (each.down.shape[1], each.up.shape[0]):
            raise TomogramError(f"The change of '{name}' is not one of {model.name}.")
    module = copy.deepcopy(model.module)
    mark = digest_json({"base": model.digest, "delta": digest(delta), "bits": bits})
    made = replace(model, module=module, wiring=wire(module), digest=mark)
    for name, part in matrices(made).items():
        if name in delta or bits is not None:
            part.weight.data = _changed(part, delta.get(name), bits)
    return made


def _changed(part: nn.Module, factors: Factors | None, bits: int | None) -> Tensor:
    weight = cast(Tensor, part.weight).data
    if factors is not None:
        change = factors.dense().to(weight)
        weight = weight + (change.T if isinstance(part, Conv1D) else change)
    return weight if bits is None else _rounded(weight, bits)


def _rounded(weight: Tensor, bits: int) -> Tensor:
    """To the nearest of the 2^bits − 1 steps between minus and plus a row's largest value."""
    steps = 2 ** (bits - 1) - 1
    scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / steps
    return (weight / scale).round() * scale
