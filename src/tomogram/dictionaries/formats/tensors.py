"""Reading and writing the files that formats consist of, and none of their surprises.

A file from elsewhere is data: nothing in it is executed, and one that is damaged, lies about its
size or holds what is no plain number is answered with one sentence.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tomogram.store.atomic import writing
from tomogram.store.errors import TomogramError

# Weights do not shrink in an archive; one that expands further than this is made to fill memory.
_MOST_EXPANSION = 64


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object. Raises TomogramError where the file is none."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TomogramError(f"{path} cannot be read as JSON: {_reason(error)}.") from error
    if not isinstance(config, dict):
        raise TomogramError(f"{path} holds no JSON object.")
    return config


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping. Raises TomogramError where the file is none."""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise TomogramError(f"{path} cannot be read as YAML.") from error
    if not isinstance(config, dict):
        raise TomogramError(f"{path} holds no YAML mapping.")
    return config


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, in float32.

    Raises TomogramError where the file is none, is truncated, or holds numbers that are not finite.
    """
    try:
        tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise TomogramError(f"{path} cannot be read as safetensors: {_reason(error)}.") from error
    return _finite(tensors, path)


def read_arrays(path: Path) -> dict[str, Tensor]:
    """All arrays of a NumPy archive (`.npz`), in float32; arrays of objects are never unpickled.

    Raises TomogramError where the file is none, is truncated, expands beyond all measure, or holds
    what is no finite number.
    """
    _refuse_expansion(path)
    tensors = {}
    # A damaged archive surfaces as an error of any type from the readers below NumPy.
    try:
        with np.load(path, allow_pickle=False) as arrays, np.errstate(over="ignore"):
            for name in arrays.files:
                array = arrays[name]
                if array.dtype.kind not in "fiu":
                    raise ValueError(f"{name} holds no numbers")
                tensors[name] = torch.from_numpy(array.astype(np.float32))
    except Exception as error:
        raise TomogramError(f"{path} cannot be read as an npz file: {_reason(error)}.") from error
    return _finite(tensors, path)


def read_pickle(path: Path, *, allow_pickle: bool) -> dict[str, Tensor]:
    """All tensors of a pickled state dict, in float32, read with `weights_only`.

    Raises TomogramError where pickles are not allowed, and where the file is damaged, holds more
    than tensors, expands beyond all measure, or holds numbers that are not finite.
    """
    if not allow_pickle:
        raise TomogramError(
            f"{path} is a pickle, which can run code when read; allow pickles, which are then read "
            "as plain tensors only, or bring the dictionary in another format."
        )
    _refuse_expansion(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    # torch.load raises errors of many unrelated types, and some advise to turn its guard off.
    except Exception as error:
        raise TomogramError(
            f"{path} is damaged or holds more than tensors, so it is not read."
        ) from error
    if not isinstance(loaded, dict) or not all(isinstance(name, str) for name in loaded):
        raise TomogramError(f"{path} holds no tensors by name.")
    for name, tensor in loaded.items():
        if not _plain(tensor):
            raise TomogramError(f"{path} is damaged: {name} is no plain tensor.")
    return _finite({name: tensor.detach().float() for name, tensor in loaded.items()}, path)


def need(tensors: Mapping[str, Tensor], name: str, path: Path) -> Tensor:
    """One of the tensors. Raises TomogramError where it is absent."""
    if name not in tensors:
        raise TomogramError(f"{path} has no tensor {name}, which its format needs.")
    return tensors[name]


def matrix(tensors: Mapping[str, Tensor], name: str, path: Path) -> Float[Tensor, "rows columns"]:
    """One of the tensors, a matrix. Raises TomogramError where it is absent or is none."""
    tensor = need(tensors, name, path)
    if tensor.ndim != 2:
        raise TomogramError(f"{path} is damaged: {name} has {tensor.ndim} dimensions, not 2.")
    return tensor


def whole(value: object, name: str, path: Path) -> int:
    """A whole number that a file states. Raises TomogramError where it is none."""
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value // 1:
        raise TomogramError(f"{path} says that {name} is {value!r}, which is no whole number.")
    return int(value)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes a safetensors file, whole or not at all."""
    with writing(path) as temporary:
        save_file(_ready(tensors), temporary)


def write_arrays(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes a NumPy archive, whole or not at all."""
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in _ready(tensors).items()}
    # NumPy would add `.npz` to a name.
    with writing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def write_pickle(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes a pickled state dict, whole or not at all."""
    with writing(path) as temporary:
        torch.save(_ready(tensors), temporary)


def _ready(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}


def _finite(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise TomogramError(f"{path} holds numbers in {name} that are not finite.")
    return tensors


def _plain(value: object) -> bool:
    """Whether a value is a dense tensor of real numbers that are all in its file.

    A view may repeat one stored number a billion times; converting it would fill the memory.
    """
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_complex()
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )


def _refuse_expansion(path: Path) -> None:
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            expanded = sum(entry.file_size for entry in archive.infolist())
        stored = path.stat().st_size
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise TomogramError(f"{path} cannot be read: {_reason(error)}.") from error
    if expanded > _MOST_EXPANSION * stored:
        raise TomogramError(f"{path} would expand to {expanded / stored:.0f} times its size.")


def _reason(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
