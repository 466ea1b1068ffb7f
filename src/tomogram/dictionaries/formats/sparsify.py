"""sparsify: per module a folder with `cfg.json` and `sae.safetensors` (eai-sparsify 1.3)."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats.hooks import from_module, to_module
from tomogram.dictionaries.formats.stored import Stored
from tomogram.dictionaries.formats.tensors import (
    matrix,
    need,
    read_config,
    read_tensors,
    whole,
    write_tensors,
)
from tomogram.dictionaries.topk import TopK
from tomogram.store.atomic import write_json
from tomogram.store.errors import TomogramError

CONFIG, WEIGHTS = "cfg.json", "sae.safetensors"
FILES = (CONFIG, WEIGHTS)


def matches(folder: Path) -> bool:
    """Whether a folder holds one dictionary of this format."""
    return (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()


def read(folder: Path) -> list[Stored]:
    """The folder's one dictionary; its place in the model is the folder's name.

    Raises TomogramError where a file is damaged, or asks for what cannot be loaded.
    """
    config, path = read_config(folder / CONFIG), folder / WEIGHTS
    activation = config.get("activation", "topk")
    if activation != "topk":
        raise TomogramError(f"{folder} uses the activation '{activation}', which is not known.")
    transcodes = bool(config.get("transcode", False))
    tensors = read_tensors(path)
    read_site, write_site = from_module(folder.name, transcodes=transcodes)
    return [
        Stored(
            reads=(read_site,),
            writes=(write_site,),
            kind="topk",
            W_enc=matrix(tensors, "encoder.weight", path),
            b_enc=need(tensors, "encoder.bias", path),
            W_dec=matrix(tensors, "W_dec", path),
            b_dec=need(tensors, "b_dec", path),
            W_skip=tensors.get("W_skip"),
            options={"k": whole(config.get("k"), "k", folder / CONFIG)},
            subtracts_b_dec=not transcodes,
            origin=folder,
        )
    ]


def folder_name(dictionary: Dictionary) -> str:
    """The name the folder of a dictionary must have, `layers.3.mlp`."""
    return to_module(dictionary.read, dictionary.write)


def save(dictionary: Dictionary, folder: Path) -> None:
    """Writes a TopK dictionary so that `SparseCoder.load_from_disk` gives the same one.

    `folder` should be called `folder_name(dictionary)`. Raises TomogramError for a dictionary that
    sparsify cannot express, and where the folder cannot be written.
    """
    if not isinstance(dictionary, TopK) or dictionary.d_in != dictionary.d_out:
        raise TomogramError(f"{dictionary.name} is no TopK dictionary of one width; sparsify's is.")
    transcodes = not dictionary.shape.is_autoencoder
    # An autoencoder of sparsify's subtracts b_dec from its input.
    shift = 0.0 if transcodes else dictionary.W_enc @ dictionary.b_dec
    weights: dict[str, Tensor] = {
        "encoder.weight": dictionary.W_enc,
        "encoder.bias": dictionary.b_enc + shift,
        "W_dec": dictionary.W_dec,
        "b_dec": dictionary.b_dec,
    }
    if dictionary.W_skip is not None:
        weights["W_skip"] = dictionary.W_skip
    write_tensors(folder / WEIGHTS, weights)
    write_json(
        folder / CONFIG,
        {
            "activation": "topk",
            "expansion_factor": max(1, dictionary.d_dict // dictionary.d_in),
            "normalize_decoder": True,
            "num_latents": dictionary.d_dict,
            "k": dictionary.k,
            "multi_topk": False,
            "skip_connection": dictionary.W_skip is not None,
            "transcode": transcodes,
            "d_in": dictionary.d_in,
        },
    )
