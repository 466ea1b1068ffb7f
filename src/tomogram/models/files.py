"""The files of a model: found locally or fetched from the Hub, and checked before they are read."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from safetensors import SafetensorError, safe_open

from tomogram.store.errors import TomogramError

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_PICKLES = ("pytorch_model*.bin", "*.bin", "*.pt", "*.pth", "*.ckpt")

# Standard names only: Hub folders also hold the same weights in formats we do not read.
_FROM_HUB = [
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "chat_template*",
    _SINGLE,
    _INDEX,
    "model-*-of-*.safetensors",
]
_PICKLES_FROM_HUB = ["pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin"]

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model's weights are.

    Args:
        folder: the folder everything is in.
        weights: the files that hold the weights.
        gguf: name of the GGUF file in the folder, or None for a Hugging Face folder.
        pickled: whether the weights are pickles.
    """

    folder: Path
    weights: tuple[Path, ...]
    gguf: str | None = None
    pickled: bool = False

    def digest(self) -> str:
        """SHA-256 over the weights' files and config.json, whatever the folder is called."""
        config = [] if self.gguf else [self.folder / "config.json"]
        whole = hashlib.sha256()
        for path in [*config, *sorted(self.weights)]:
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        return whole.hexdigest()


def find(source: str | Path, *, allow_pickle: bool) -> ModelFiles:
    """Find a model's files and check that they are whole and safe to read.

    Args:
        source: a local folder, a GGUF file, or a name on the Hugging Face Hub. What exists here is
            taken before what is on the Hub.
        allow_pickle: accept pickled weights (they are then read with `weights_only`).

    Raises:
        TomogramError: nothing is there; the folder holds no model; a file is damaged or missing;
            the weights are pickles and those are not allowed.
    """
    path = Path(source).expanduser()
    try:
        if path.is_file():
            return _single_file(path)
        folder = path if path.is_dir() else _from_hub(str(source), allow_pickle=allow_pickle)
        return _folder(folder, allow_pickle=allow_pickle)
    except OSError as error:
        raise TomogramError(f"{source} cannot be read: {_first_line(error)}.") from error


def _single_file(path: Path) -> ModelFiles:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == b"GGUF":
        return ModelFiles(path.parent, (path,), gguf=path.name)
    if path.suffix == ".gguf":
        raise TomogramError(f"{path} is not a GGUF file: it does not begin with 'GGUF'.")
    raise TomogramError(f"{path} is a file; give the model's folder, a GGUF file or a Hub name.")


def _from_hub(name: str, *, allow_pickle: bool) -> Path:
    if not _HUB_NAME.fullmatch(name) or ".." in name or name.startswith((".", "-")):
        raise TomogramError(f"There is no folder or file {name}.")
    patterns = _FROM_HUB + (_PICKLES_FROM_HUB if allow_pickle else [])
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    # The Hub client raises errors of many unrelated types when it is offline or refused.
    except Exception as error:
        raise TomogramError(
            f"There is no folder {name} here, and it could not be had from the Hugging Face Hub:"
            f" {_first_line(error)}."
        ) from error


def _folder(folder: Path, *, allow_pickle: bool) -> ModelFiles:
    config = read_json(folder / "config.json")
    if config is None:
        ggufs = sorted(folder.glob("*.gguf"))
        hint = f"; give the GGUF file itself, {ggufs[0]}" if ggufs else ""
        raise TomogramError(f"{folder} holds no model: config.json is missing{hint}.")
    weights = _safetensors(folder)
    if weights:
        for path in weights:
            _check_safetensors(path)
        return ModelFiles(folder, weights)
    pickles = sorted({path for pattern in _PICKLES for path in folder.glob(pattern)})
    if not pickles:
        raise TomogramError(f"{folder} holds no weights: {_SINGLE} is missing.")
    if not allow_pickle:
        raise TomogramError(
            f"{folder} holds only pickled weights ({pickles[0].name}), which can run code when"
            " read; convert them to safetensors or allow pickles."
        )
    return ModelFiles(folder, tuple(pickles), pickled=True)


def _safetensors(folder: Path) -> tuple[Path, ...]:
    """List the weights' files: those the index names, or the single one."""
    # transformers prefers the single file to an index, so that is the one to check.
    if (folder / _SINGLE).is_file():
        return (folder / _SINGLE,)
    index = read_json(folder / _INDEX)
    if index is None:
        return ()
    places = index.get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(each, str) for each in places.values()):
        raise TomogramError(f"{folder / _INDEX} is damaged: it has no weight_map.")
    names = sorted(set(places.values()))
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise TomogramError(f"{folder / _INDEX} names a file outside the folder: {name}.")
        if not (folder / name).is_file():
            raise TomogramError(f"{folder} lacks {name}, which its index names.")
    return tuple(folder / name for name in names)


def _check_safetensors(path: Path) -> None:
    try:
        # Opening reads the header and compares its offsets with the file's size.
        with safe_open(path, framework="pt") as file:
            file.keys()
    except (SafetensorError, ValueError) as error:
        raise TomogramError(
            f"{path} is damaged or cut short ({_first_line(error)}); get the file again."
        ) from error


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None where there is no such file.

    Raises:
        TomogramError: the file is not a JSON object.
    """
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise TomogramError(f"{path} is damaged: it is not JSON.") from error
    if not isinstance(value, dict):
        raise TomogramError(f"{path} is damaged: it is not a JSON object.")
    return value


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
