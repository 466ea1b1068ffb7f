"""circuit-tracer: `config.yaml` and one `layer_i.safetensors` a transcoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats.hooks import from_transformer_lens
from tomogram.dictionaries.formats.stored import Stored
from tomogram.dictionaries.formats.tensors import need, read_tensors, write_tensors
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site
from tomogram.store.atomic import write_text
from tomogram.store.errors import TomogramError

CONFIG = "config.yaml"
_THRESHOLD = "activation_function.threshold"


def matches(folder: Path) -> bool:
    """Whether a folder holds a set of transcoders of this format."""
    return (folder / CONFIG).is_file() and (folder / "layer_0.safetensors").is_file()


def read(folder: Path) -> list[Stored]:
    """The folder's transcoders, from layer 0 up.

    Raises TomogramError where a file is damaged, or asks for what cannot be loaded.
    """
    config = _read_yaml(folder / CONFIG)
    model_kind = config.get("model_kind", "transcoder_set")
    if model_kind != "transcoder_set":
        raise TomogramError(f"{folder} holds a '{model_kind}'; only transcoder_set can be loaded.")
    found: list[Stored] = []
    while (path := folder / f"layer_{len(found)}.safetensors").is_file():
        found.append(_read_layer(path, len(found), config))
    return found


def _read_layer(path: Path, layer: int, config: dict[str, Any]) -> Stored:
    tensors = read_tensors(path)
    options = {}
    if _THRESHOLD in tensors:
        kind = "jumprelu"
    else:
        kind = config.get("activation", "relu")
        if kind == "topk":
            options["k"] = int(config.get("k", 0))
    read_site, write_site = (
        from_transformer_lens(str(config.get(key, default)), layer)
        for key, default in (
            ("feature_input_hook", "mlp.hook_in"),
            ("feature_output_hook", "mlp.hook_out"),
        )
    )
    threshold = tensors.get(_THRESHOLD)
    b_enc = need(tensors, "b_enc", path)
    return Stored(
        reads=(read_site,),
        writes=(write_site,),
        kind=kind,
        W_enc=need(tensors, "W_enc", path),
        b_enc=b_enc,
        W_dec=need(tensors, "W_dec", path),
        b_dec=need(tensors, "b_dec", path),
        W_skip=tensors.get("W_skip"),
        own={} if threshold is None else {"threshold": threshold.expand_as(b_enc)},
        options=options,
        origin=path,
    )


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
    kinds = {(d.kind, d.k if isinstance(d, TopK) else None) for d in dictionaries}
    if len(kinds) != 1:
        raise TomogramError("circuit-tracer's format holds transcoders of one kind and one k.")
    kind, k = kinds.pop()
    config["activation"] = kind
    if k is not None:
        config["k"] = k
    for layer, dictionary in enumerate(dictionaries):
        weights = {name: getattr(dictionary, name) for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
        if dictionary.W_skip is not None:
            weights["W_skip"] = dictionary.W_skip
        if isinstance(dictionary, JumpReLU):
            weights[_THRESHOLD] = dictionary.threshold.relu()
        write_tensors(folder / f"layer_{layer}.safetensors", weights)
    write_text(folder / CONFIG, yaml.safe_dump(config, sort_keys=True))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise TomogramError(f"{path} cannot be read as YAML.") from error
    if not isinstance(config, dict):
        raise TomogramError(f"{path} holds no YAML mapping.")
    return config
