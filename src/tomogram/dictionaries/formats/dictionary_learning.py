"""dictionary_learning: `config.json` and the pickle `ae.pt` (dictionary_learning 0.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats.hooks import from_module
from tomogram.dictionaries.formats.stored import Stored
from tomogram.dictionaries.formats.tensors import (
    matrix,
    need,
    read_config,
    read_pickle,
    whole,
    write_pickle,
)
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.matryoshka import Matryoshka
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import KINDS, MODEL_KINDS, Site
from tomogram.store.atomic import write_json
from tomogram.store.errors import TomogramError

CONFIG, WEIGHTS = "config.json", "ae.pt"
FILES = (CONFIG, WEIGHTS)


@dataclass(frozen=True)
class _Class:
    """One of the library's classes of dictionaries, and what it is here.

    Names of weights, `own` by our names. Linear layers keep [d_out d_in] matrices, bare parameters
    [d_in d_out] ones.
    """

    kind: str
    trainer: str
    b_enc: str = "encoder.bias"
    b_dec: str = "b_dec"
    linear: bool = True
    subtracts_b_dec: bool = True
    has_k: bool = False
    own: Mapping[str, str] | None = None


_CLASSES = {
    "AutoEncoder": _Class("relu", "StandardTrainer", b_dec="bias"),
    "AutoEncoderNew": _Class(
        "relu", "StandardTrainerAprilUpdate", b_dec="decoder.bias", subtracts_b_dec=False
    ),
    "GatedAutoEncoder": _Class(
        "gated",
        "GatedSAETrainer",
        b_enc="gate_bias",
        b_dec="decoder_bias",
        own={"r_mag": "r_mag", "b_mag": "mag_bias"},
    ),
    "JumpReluAutoEncoder": _Class(
        "jumprelu",
        "JumpReluTrainer",
        b_enc="b_enc",
        linear=False,
        subtracts_b_dec=False,
        own={"threshold": "threshold"},
    ),
    "AutoEncoderTopK": _Class("topk", "TopKTrainer", has_k=True),
    "BatchTopKSAE": _Class(
        "batch_topk", "BatchTopKTrainer", has_k=True, own={"threshold": "threshold"}
    ),
    "MatryoshkaBatchTopKSAE": _Class(
        "matryoshka",
        "MatryoshkaBatchTopKTrainer",
        b_enc="b_enc",
        linear=False,
        has_k=True,
        own={"threshold": "threshold"},
    ),
}
_GROUPS = "group_sizes"

_SUBMODULE = re.compile(r"([a-z_]+?)_layer_?(\d{1,6})")
_OLD_NAMES = {
    "resid": "resid_post",
    "resid_out": "resid_post",
    "mlp": "mlp_out",
    "attn": "attn_out",
}


def matches(folder: Path) -> bool:
    """Whether a folder holds one dictionary of this format."""
    return (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()


def read(folder: Path, *, allow_pickle: bool) -> list[Stored]:
    """The folder's one dictionary.

    Raises TomogramError where pickles are not allowed, a file is damaged, or it asks for what
    cannot be loaded.
    """
    config, path = read_config(folder / CONFIG), folder / WEIGHTS
    trainer = config.get("trainer")
    if not isinstance(trainer, dict):
        raise TomogramError(f"{folder / CONFIG} has no description of a trainer.")
    name = trainer.get("dict_class")
    if not isinstance(name, str) or name not in _CLASSES:
        raise TomogramError(f"{folder} holds a dictionary of class '{name}', which is not known.")
    found, tensors = _CLASSES[name], read_pickle(path, allow_pickle=allow_pickle)
    if found.linear:
        W_enc = matrix(tensors, "encoder.weight", path)
        W_dec = matrix(tensors, "decoder.weight", path).T
    else:
        W_enc, W_dec = matrix(tensors, "W_enc", path).T, matrix(tensors, "W_dec", path)
    options: dict[str, Any] = {}
    if found.has_k:
        options["k"] = _k(trainer, tensors, path)
    if found.kind == "matryoshka":
        sizes = need(tensors, _GROUPS, path).flatten().tolist()
        ends = torch.tensor([whole(size, _GROUPS, path) for size in sizes]).cumsum(0)
        options["prefixes"] = tuple(ends.tolist())
    site = _site(config, trainer, folder)
    return [
        Stored(
            reads=(site,),
            writes=(site,),
            kind=found.kind,
            W_enc=W_enc,
            b_enc=need(tensors, found.b_enc, path),
            W_dec=W_dec,
            b_dec=need(tensors, found.b_dec, path),
            own={ours: need(tensors, theirs, path) for ours, theirs in (found.own or {}).items()},
            options=options,
            subtracts_b_dec=found.subtracts_b_dec,
            origin=folder,
        )
    ]


def save(dictionary: Dictionary, folder: Path, *, model: str) -> None:
    """Writes an autoencoder so that the library's `load_dictionary` gives the same one.

    The weights are a pickle of plain tensors; `model` is noted beside them. Raises TomogramError
    for a dictionary that the library cannot express, and where the folder cannot be written.
    """
    if not dictionary.shape.is_autoencoder:
        raise TomogramError(
            f"{dictionary.name} is no autoencoder; dictionary_learning's files hold no other."
        )
    name, weights = _expressed(dictionary)
    site, found = dictionary.read, _CLASSES[name]
    trainer: dict[str, Any] = {
        "trainer_class": found.trainer,
        "dict_class": name,
        "activation_dim": dictionary.d_in,
        "dict_size": dictionary.d_dict,
        "layer": site.layer,
        "lm_name": model,
        "submodule_name": str(site) if site.layer is None else f"{site.kind}_layer_{site.layer}",
    }
    if isinstance(dictionary, TopK | BatchTopK):
        trainer["k"] = dictionary.k
    write_pickle(folder / WEIGHTS, weights)
    write_json(folder / CONFIG, {"trainer": trainer})


def _expressed(dictionary: Dictionary) -> tuple[str, dict[str, Tensor]]:
    """The library's class for a dictionary, and its weights as that class has them."""
    W_enc, b_enc = dictionary.W_enc.data, dictionary.b_enc.data
    W_dec, b_dec = dictionary.W_dec.data, dictionary.b_dec.data
    # Most of the classes subtract b_dec from the input.
    seen = W_enc @ b_dec
    if isinstance(dictionary, ReLU):
        W_enc, b_enc, W_dec = _unit_rows(W_enc, b_enc + seen, W_dec)
        return "AutoEncoder", _linear(W_enc, W_dec) | {"encoder.bias": b_enc, "bias": b_dec}
    if isinstance(dictionary, Gated):
        return "GatedAutoEncoder", _linear(W_enc, W_dec) | {
            "decoder_bias": b_dec,
            "gate_bias": b_enc + seen,
            "r_mag": dictionary.r_mag,
            "mag_bias": dictionary.b_mag + dictionary.r_mag.exp() * seen,
        }
    if isinstance(dictionary, JumpReLU):
        # It subtracts nothing, and has no floor at 0 under its thresholds.
        return "JumpReluAutoEncoder", {
            "W_enc": W_enc.T,
            "b_enc": b_enc,
            "W_dec": W_dec,
            "b_dec": b_dec,
            "threshold": dictionary.threshold.relu(),
        }
    if isinstance(dictionary, TopK | BatchTopK):
        threshold = torch.tensor(-1.0)
        if isinstance(dictionary, BatchTopK):
            threshold = dictionary.threshold
        shared = {
            "b_dec": b_dec,
            "k": torch.tensor(dictionary.k, dtype=torch.int32),
            "threshold": threshold,
        }
        if isinstance(dictionary, Matryoshka):
            sizes = torch.tensor(dictionary.prefixes).diff(prepend=torch.tensor([0]))
            own = {"W_enc": W_enc.T, "b_enc": b_enc + seen, "W_dec": W_dec, _GROUPS: sizes}
            return "MatryoshkaBatchTopKSAE", shared | own
        name = "BatchTopKSAE" if isinstance(dictionary, BatchTopK) else "AutoEncoderTopK"
        return name, shared | _linear(W_enc, W_dec) | {"encoder.bias": b_enc + seen}
    raise TomogramError(
        f"{dictionary.name} is of kind '{dictionary.kind}', which dictionary_learning has not."
    )


def _linear(W_enc: Tensor, W_dec: Tensor) -> dict[str, Tensor]:
    return {"encoder.weight": W_enc, "decoder.weight": W_dec.T}


def _unit_rows(W_enc: Tensor, b_enc: Tensor, W_dec: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same ReLU dictionary with decoder rows of norm 1.

    The library divides them by their norms when it loads, and checks that with an absolute
    tolerance. A row of norm 0 becomes a latent that never fires.
    """
    norms = W_dec.norm(dim=1)
    silent = torch.zeros_like(W_dec)
    silent[:, 0] = 1.0
    rows = torch.where(norms[:, None] > 0, W_dec / norms[:, None], silent)
    return W_enc * norms[:, None], b_enc * norms, rows


def _k(trainer: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path) -> int:
    """k, which stands in both files and in older ones only in the configuration."""
    stated = trainer.get("k")
    if "k" not in tensors:
        return whole(stated, "k", path)
    k = whole(tensors["k"].flatten()[0].item() if tensors["k"].numel() == 1 else None, "k", path)
    if stated is not None and whole(stated, "k", path) != k:
        raise TomogramError(f"{path} says that k is {k}, its configuration that it is {stated}.")
    return k


def _site(config: Mapping[str, Any], trainer: Mapping[str, Any], folder: Path) -> Site:
    """Where it belongs: the submodule's free name, or else the block's output."""
    buffer = config.get("buffer")
    io = buffer.get("io", "out") if isinstance(buffer, dict) else "out"
    if io not in ("in", "out"):
        raise TomogramError(f"{folder} holds a transcoder (io '{io}'), which is not known.")
    name, layer = trainer.get("submodule_name"), trainer.get("layer")
    if not name:
        kind = "resid_post" if io == "out" else "resid_pre"
        return Site(kind, whole(layer, "layer", folder / CONFIG))
    if name in MODEL_KINDS:
        return Site(name)
    match = _SUBMODULE.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        return from_module(str(name), transcodes=False)[1]
    kind = _OLD_NAMES.get(match[1], match[1])
    if kind not in KINDS:
        raise TomogramError(f"{folder} belongs to '{name}', no place this program knows.")
    return Site(kind, int(match[2]))
