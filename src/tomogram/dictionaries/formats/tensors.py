"""Reading and writing the two files most formats consist of: a JSON and a safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tomogram.store.atomic import writing
from tomogram.store.errors import TomogramError


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object. Raises TomogramError where the file is none."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TomogramError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(config, dict):
        raise TomogramError(f"{path} holds no JSON object.")
    return config


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, in float32.

    Raises TomogramError where the file is none, is truncated, or holds numbers that are not finite.
    """
    try:
        tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise TomogramError(f"{path} cannot be read as safetensors: {error}.") from error
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise TomogramError(f"{path} holds numbers in {name} that are not finite.")
    return tensors


def need(tensors: Mapping[str, Tensor], name: str, path: Path) -> Tensor:
    """One of the tensors. Raises TomogramError where it is absent."""
    if name not in tensors:
        raise TomogramError(f"{path} has no tensor {name}, which its format needs.")
    return tensors[name]


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes a safetensors file, whole or not at all."""
    with writing(path) as temporary:
        ready = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
        save_file(ready, temporary)
