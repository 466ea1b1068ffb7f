"""SAELens: `cfg.json` and `sae_weights.safetensors` (SAELens 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats.hooks import (
    before_gain,
    from_transformer_lens,
    to_transformer_lens,
)
from tomogram.dictionaries.formats.stored import Stored
from tomogram.dictionaries.formats.tensors import (
    matrix,
    need,
    read_config,
    read_tensors,
    whole,
    write_tensors,
)
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.topk import TopK
from tomogram.store.atomic import write_json
from tomogram.store.errors import TomogramError

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
FILES = (CONFIG, WEIGHTS)

# SAELens' architectures and the kinds they are here; any of them may be a transcoder.
_ARCHITECTURES = {
    "standard": "relu",
    "topk": "topk",
    "jumprelu": "jumprelu",
    "gated": "gated",
    "transcoder": "relu",
    "skip_transcoder": "relu",
    "jumprelu_transcoder": "jumprelu",
    "jumprelu_skip_transcoder": "jumprelu",
}

_OWN = {"jumprelu": ("threshold",), "gated": ("r_mag", "b_mag")}


def matches(folder: Path) -> bool:
    """Whether a folder holds one dictionary of this format."""
    return (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()


def read(folder: Path) -> list[Stored]:
    """The folder's one dictionary.

    Raises TomogramError where a file is damaged, or asks for what cannot be loaded.
    """
    config, path = read_config(folder / CONFIG), folder / WEIGHTS
    tensors = read_tensors(path)
    architecture = config.get("architecture")
    if not isinstance(architecture, str) or architecture not in _ARCHITECTURES:
        raise TomogramError(f"{folder} holds an SAE of architecture '{architecture}'.")
    normalisation = config.get("normalize_activations") or "none"
    if normalisation not in ("none", "expected_average_only_in"):
        raise TomogramError(
            f"{folder} normalises its input by '{normalisation}', which cannot be folded away."
        )
    W_dec = matrix(tensors, "W_dec", path)
    kind, options = _ARCHITECTURES[architecture], {}
    W_enc = matrix(tensors, "W_enc", path).T
    b_enc = need(tensors, "b_gate" if kind == "gated" else "b_enc", path)
    if kind == "topk":
        options["k"] = whole(config.get("k"), "k", folder / CONFIG)
    if config.get("rescale_acts_by_decoder_norm"):
        # Scores are then compared and reported as if every decoder row had unit norm.
        norms = W_dec.norm(dim=1, keepdim=True)
        W_enc, b_enc, W_dec = W_enc * norms, b_enc * norms[:, 0], W_dec / norms
    hook_in, hook_out = _hooks(config, folder)
    read_site, write_site = from_transformer_lens(hook_in), from_transformer_lens(hook_out)
    return [
        Stored(
            reads=(read_site,),
            writes=(write_site,),
            kind=kind,
            W_enc=W_enc,
            b_enc=b_enc,
            W_dec=W_dec,
            b_dec=need(tensors, "b_dec", path),
            W_skip=tensors.get("W_skip"),
            own={name: need(tensors, name, path) for name in _OWN.get(kind, ())},
            options=options,
            subtracts_b_dec=bool(config.get("apply_b_dec_to_input", read_site == write_site)),
            input_norm=W_enc.shape[1] ** 0.5 if normalisation != "none" else None,
            before_gain=before_gain(hook_in),
            origin=folder,
        )
    ]


def _hooks(config: dict[str, Any], folder: Path) -> tuple[str, str]:
    """Where it reads and writes; the names stand at the top level in older files."""
    metadata = config.get("metadata")
    notes = config | metadata if isinstance(metadata, dict) else config
    name = notes.get("hook_name")
    written = notes.get("hook_name_out") or name
    if not isinstance(name, str) or not isinstance(written, str):
        raise TomogramError(f"{folder} does not say at which hook its dictionary belongs.")
    return name, written


def save(dictionary: Dictionary, folder: Path, *, model: str, context: int) -> None:
    """Writes an autoencoder so that `SAE.load_from_disk` gives the same one.

    `model` and `context` (tokens a row) are noted in the metadata. Raises TomogramError for a
    dictionary that SAELens cannot express, and where the folder cannot be written.
    """
    if not dictionary.shape.is_autoencoder:
        raise TomogramError(f"{dictionary.name} is no autoencoder; SAELens' format holds no such.")
    weights: dict[str, Tensor] = {
        "W_enc": dictionary.W_enc.T,
        "b_enc": dictionary.b_enc,
        "W_dec": dictionary.W_dec,
        "b_dec": dictionary.b_dec,
    }
    config: dict[str, Any] = {
        "architecture": "standard",
        "d_in": dictionary.d_in,
        "d_sae": dictionary.d_dict,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {
            "model_name": model,
            "hook_name": to_transformer_lens(dictionary.read),
            "context_size": context,
        },
    }
    if isinstance(dictionary, TopK):
        config |= {
            "architecture": "topk",
            "k": dictionary.k,
            "rescale_acts_by_decoder_norm": False,
        }
    elif isinstance(dictionary, JumpReLU):
        config["architecture"] = "jumprelu"
        # SAELens has no floor at 0 under its thresholds.
        weights["threshold"] = dictionary.threshold.relu()
    elif isinstance(dictionary, BatchTopK):
        # After training it is a JumpReLU of one threshold.
        config["architecture"] = "jumprelu"
        weights["threshold"] = dictionary.threshold.relu().expand(dictionary.d_dict)
    elif isinstance(dictionary, Gated):
        config["architecture"] = "gated"
        weights["b_gate"] = weights.pop("b_enc")
        weights |= {"r_mag": dictionary.r_mag, "b_mag": dictionary.b_mag}
    write_tensors(folder / WEIGHTS, weights)
    write_json(folder / CONFIG, config)
