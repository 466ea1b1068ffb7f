"""circuit-tracer, a transcoder a layer: `config.yaml` and one `layer_i.safetensors` each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats.hooks import before_gain, from_transformer_lens
from tomogram.dictionaries.formats.stored import Stored
from tomogram.dictionaries.formats.tensors import (
    matrix,
    need,
    read_tensors,
    read_yaml,
    whole,
    write_tensors,
)
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site
from tomogram.store.atomic import write_text
from tomogram.store.errors import TomogramError

CONFIG = "config.yaml"
FILES = (CONFIG, "layer_*.safetensors")
_THRESHOLD = "activation_function.threshold"
_ACTIVATIONS: dict[str, tuple[type[Dictionary], ...]] = {
    "relu": (ReLU,),
    "topk": (TopK,),
    "jumprelu": (JumpReLU, BatchTopK),
}


def matches(folder: Path) -> bool:
    """Whether a folder holds a set of transcoders of this format."""
    return (folder / CONFIG).is_file() and (folder / "layer_0.safetensors").is_file()


def read(folder: Path) -> list[Stored]:
    """The folder's transcoders, from layer 0 up.

    Raises TomogramError where a file is damaged, or asks for what cannot be loaded.
    """
    config = read_yaml(folder / CONFIG)
    model_kind = config.get("model_kind", "transcoder_set")
    if model_kind != "transcoder_set":
        raise TomogramError(f"{folder} holds a '{model_kind}' where a transcoder_set is expected.")
    found: list[Stored] = []
    while (path := folder / f"layer_{len(found)}.safetensors").is_file():
        found.append(_read_layer(path, len(found), config))
    return found


def _read_layer(path: Path, layer: int, config: dict[str, Any]) -> Stored:
    tensors = read_tensors(path)
    latents: tuple[str, dict[str, Any]] = ("jumprelu", {})
    if _THRESHOLD not in tensors:
        latents = activation(config, path)
    kind, options = latents
    hook_in, hook_out = (
        str(config.get(f"feature_{side}_hook", default))
        for side, default in (("input", "mlp.hook_in"), ("output", "mlp.hook_out"))
    )
    threshold = tensors.get(_THRESHOLD)
    W_enc = matrix(tensors, "W_enc", path)
    return Stored(
        reads=(from_transformer_lens(hook_in, layer),),
        writes=(from_transformer_lens(hook_out, layer),),
        kind=kind,
        W_enc=W_enc,
        b_enc=need(tensors, "b_enc", path),
        W_dec=matrix(tensors, "W_dec", path),
        b_dec=need(tensors, "b_dec", path),
        W_skip=tensors.get("W_skip"),
        # One threshold for all latents is also allowed.
        own={}
        if threshold is None
        else {"threshold": threshold.expand(len(W_enc)) if threshold.numel() == 1 else threshold},
        options=options,
        before_gain=before_gain(hook_in),
        origin=path,
    )


def activation(config: dict[str, Any], path: Path) -> tuple[str, dict[str, Any]]:
    """The kind of latents without thresholds, and its k where it has one.

    Raises TomogramError for one that is not known.
    """
    name = config.get("activation", "relu")
    if name not in ("relu", "topk"):
        raise TomogramError(f"{path} uses the activation '{name}', which is not known.")
    return name, {"k": whole(config.get("k"), "k", path)} if name == "topk" else {}


def save(dictionaries: Sequence[Dictionary], folder: Path, *, model: str) -> None:
    """Writes transcoders of the layers 0, 1, 2 ... as one set, skip paths included.

    Raises TomogramError where they are not one transcoder a layer, of one kind and one k, and where
    the folder cannot be written.
    """
    wanted = [(Site("mlp_in", i), Site("mlp_out", i)) for i in range(len(dictionaries))]
    if [(d.read, d.write) for d in dictionaries] != wanted:
        raise TomogramError("circuit-tracer's format holds one transcoder for each layer from 0.")
    config: dict[str, Any] = {
        "model_kind": "transcoder_set",
        "model_name": model,
        "feature_input_hook": "mlp.hook_in",
        "feature_output_hook": "mlp.hook_out",
        "scan": model,
        "transcoders": [f"layer_{i}.safetensors" for i in range(len(dictionaries))],
    }
    kinds = {(_activation_of(d), d.k if isinstance(d, TopK) else None) for d in dictionaries}
    if len(kinds) != 1:
        raise TomogramError("circuit-tracer's format holds transcoders of one kind and one k.")
    config["activation"], k = kinds.pop()
    if k is not None:
        config["k"] = k
    for layer, dictionary in enumerate(dictionaries):
        weights = {name: getattr(dictionary, name) for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
        if dictionary.W_skip is not None:
            weights["W_skip"] = dictionary.W_skip
        if isinstance(dictionary, JumpReLU):
            weights[_THRESHOLD] = dictionary.threshold.relu()
        elif isinstance(dictionary, BatchTopK):
            # After training it is a JumpReLU of one threshold.
            weights[_THRESHOLD] = dictionary.threshold.relu().expand(dictionary.d_dict)
        write_tensors(folder / f"layer_{layer}.safetensors", weights)
    write_text(folder / CONFIG, yaml.safe_dump(config, sort_keys=True))


def _activation_of(dictionary: Dictionary) -> str:
    """The format's name for what makes latents sparse."""
    for name, kinds in _ACTIVATIONS.items():
        if isinstance(dictionary, kinds):
            return name
    raise TomogramError(
        f"{dictionary.name} is of kind '{dictionary.kind}', which circuit-tracer's format has not."
    )
