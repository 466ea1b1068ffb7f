"""circuit-tracer, one cross-layer transcoder: `W_enc_i` and `W_dec_i.safetensors` a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from tomogram.dictionaries.cross_layer import CrossLayer
from tomogram.dictionaries.cross_layer_jumprelu import CrossLayerJumpReLU
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats.circuit_tracer import CONFIG, activation
from tomogram.dictionaries.formats.hooks import (
    before_gain,
    from_transformer_lens,
    to_transformer_lens,
)
from tomogram.dictionaries.formats.stored import Stored
from tomogram.dictionaries.formats.tensors import (
    matrix,
    need,
    read_tensors,
    read_yaml,
    write_tensors,
)
from tomogram.dictionaries.layered import Layered
from tomogram.models.sites import Site
from tomogram.store.atomic import write_text
from tomogram.store.errors import TomogramError

FILES = (CONFIG, "W_enc_*.safetensors", "W_dec_*.safetensors")
_MODEL_KIND = "cross_layer_transcoder"


def matches(folder: Path) -> bool:
    """Whether a folder holds a cross-layer transcoder of this format."""
    return _encoder(folder, 0).is_file()


def read(folder: Path) -> list[Stored]:
    """The folder's one cross-layer transcoder; its `config.yaml` may be missing.

    Raises TomogramError where a file is damaged, or asks for what cannot be loaded.
    """
    config = read_yaml(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    model_kind = config.get("model_kind", _MODEL_KIND)
    if model_kind != _MODEL_KIND:
        raise TomogramError(f"{folder} holds a '{model_kind}' where a {_MODEL_KIND} is expected.")
    layers: list[dict[str, Tensor]] = []
    while (path := _encoder(folder, len(layers))).is_file():
        layers.append(_read_layer(path, len(layers)))
    n_layers = len(layers)
    block, width = layers[0]["W_enc"].shape
    W_dec = torch.zeros(n_layers * block, n_layers * width)
    for layer, tensors in enumerate(layers):
        shapes = {"W_enc": (block, width), "b_enc": (block,), "b_dec": (width,)}
        shapes |= {"threshold": (block,), "W_skip": (width, width)}
        _check(tensors, shapes, _encoder(folder, layer), layer)
        # Of this layer and all later ones.
        path = _decoder(folder, layer)
        written = {"W_dec": need(read_tensors(path), f"W_dec_{layer}", path)}
        _check(written, {"W_dec": (block, n_layers - layer, width)}, path, layer)
        rows = slice(layer * block, (layer + 1) * block)
        W_dec[rows, layer * width :] = written["W_dec"].flatten(1)
    kind, options, own = _kind(layers, config, folder)
    # The defaults are those of the library's own loader.
    hook_in = str(config.get("feature_input_hook", "hook_resid_mid"))
    hook_out = str(config.get("feature_output_hook", "hook_mlp_out"))
    skips = [tensors.get("W_skip", torch.zeros(width, width)) for tensors in layers]
    return [
        Stored(
            reads=tuple(from_transformer_lens(hook_in, i) for i in range(n_layers)),
            writes=tuple(from_transformer_lens(hook_out, i) for i in range(n_layers)),
            kind=kind,
            W_enc=torch.cat([tensors["W_enc"] for tensors in layers]),
            b_enc=torch.cat([tensors["b_enc"] for tensors in layers]),
            W_dec=W_dec,
            b_dec=torch.cat([tensors["b_dec"] for tensors in layers]),
            # Each layer's skip path goes from its own input to its own output.
            W_skip=torch.block_diag(*(skip.T for skip in skips))
            if any("W_skip" in tensors for tensors in layers)
            else None,
            own=own,
            options=options,
            before_gain=before_gain(hook_in),
            origin=folder,
        )
    ]


def save(dictionary: Dictionary, folder: Path, *, model: str) -> None:
    """Writes a cross-layer transcoder of all layers from 0 so that `load_clt` gives the same one.

    Skip paths are written as `W_skip_i`, to be applied as x @ W_skip_i; the library has a place for
    them in memory and its loader passes over them. Raises TomogramError for what the format cannot
    express: TopK latents, other layers, skip paths from one layer to another; and where the folder
    cannot be written.
    """
    if not isinstance(dictionary, CrossLayerJumpReLU):
        kind = "TopK latents" if isinstance(dictionary, CrossLayer) else f"kind {dictionary.kind}"
        raise TomogramError(
            f"{dictionary.name} is a dictionary of {kind}; circuit-tracer's cross-layer "
            "transcoders have ReLU or JumpReLU latents."
        )
    n_layers, block, width = dictionary.n_layers, dictionary.block, dictionary.width
    hook_in, hook_out = (_hook(s) for s in (dictionary.shape.reads, dictionary.shape.writes))
    if dictionary.d_out != dictionary.d_in:
        raise TomogramError(f"{dictionary.name} writes another width than it reads.")
    skips = _own_skips(dictionary)
    for i in range(n_layers):
        rows, own = slice(i * block, (i + 1) * block), slice(i * width, (i + 1) * width)
        weights = {
            f"W_enc_{i}": dictionary.W_enc[rows],
            f"b_enc_{i}": dictionary.b_enc[rows],
            f"b_dec_{i}": dictionary.b_dec[own],
            f"threshold_{i}": dictionary.threshold[rows].relu(),
        }
        if skips is not None:
            weights[f"W_skip_{i}"] = skips[i].T
        later = dictionary.W_dec[rows, i * width :].reshape(block, n_layers - i, width)
        write_tensors(_encoder(folder, i), weights)
        write_tensors(_decoder(folder, i), {f"W_dec_{i}": later})
    config = {
        "model_kind": _MODEL_KIND,
        "model_name": model,
        "feature_input_hook": hook_in,
        "feature_output_hook": hook_out,
        "scan": model,
    }
    write_text(folder / CONFIG, yaml.safe_dump(config, sort_keys=True))


def _encoder(folder: Path, layer: int) -> Path:
    return folder / f"W_enc_{layer}.safetensors"


def _decoder(folder: Path, layer: int) -> Path:
    return folder / f"W_dec_{layer}.safetensors"


def _read_layer(path: Path, layer: int) -> dict[str, Tensor]:
    """What one layer reads with, by names without the layer's number."""
    tensors = read_tensors(path)
    matrix(tensors, f"W_enc_{layer}", path)
    found = {name: need(tensors, f"{name}_{layer}", path) for name in ("W_enc", "b_enc", "b_dec")}
    for name in ("threshold", "W_skip"):
        if f"{name}_{layer}" in tensors:
            found[name] = tensors[f"{name}_{layer}"]
    return found


def _check(
    tensors: dict[str, Tensor], shapes: dict[str, tuple[int, ...]], path: Path, layer: int
) -> None:
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != shapes[name]:
            raise TomogramError(
                f"{path} is damaged: {name}_{layer} has the shape {tuple(tensor.shape)} "
                f"where {shapes[name]} fits the other layers."
            )


def _kind(
    layers: list[dict[str, Tensor]], config: dict[str, Any], folder: Path
) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
    """The kind of the latents, its numbers, and the weights that only it has."""
    have = ["threshold" in tensors for tensors in layers]
    if all(have):
        threshold = torch.cat([tensors["threshold"] for tensors in layers])
        return "cross_layer_jumprelu", {}, {"threshold": threshold}
    if any(have):
        raise TomogramError(f"{folder} is damaged: some of its layers have thresholds, some none.")
    name, options = activation(config, folder / CONFIG)
    if name == "topk":
        return "cross_layer", options, {}
    return (
        "cross_layer_jumprelu",
        {},
        {"threshold": torch.cat([torch.zeros_like(tensors["b_enc"]) for tensors in layers])},
    )


def _hook(sites: tuple[Site, ...]) -> str:
    """The one hook, within a block, of a site of every layer from 0."""
    kind = sites[0].kind
    if [(site.kind, site.layer) for site in sites] != [(kind, i) for i in range(len(sites))]:
        raise TomogramError(
            "circuit-tracer's cross-layer transcoders read one site of every layer from 0, and "
            "write one."
        )
    return to_transformer_lens(sites[0]).removeprefix("blocks.0.")


def _own_skips(dictionary: Layered) -> list[Tensor] | None:
    """Each layer's own skip path, [d_out d_in]; None without any."""
    if dictionary.W_skip is None:
        return None
    width, n_layers = dictionary.width, dictionary.n_layers
    own = [slice(i * width, (i + 1) * width) for i in range(n_layers)]
    skips = [dictionary.W_skip[rows, rows] for rows in own]
    if not torch.equal(torch.block_diag(*skips), dictionary.W_skip):
        raise TomogramError(
            f"{dictionary.name} has skip paths from one layer to another, which circuit-tracer's "
            "format cannot hold."
        )
    return skips
