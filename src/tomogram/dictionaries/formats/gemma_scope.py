"""Gemma Scope: one `params.npz` a dictionary, JumpReLU, and its place told by its path alone
(Lieberum et al. 2024, "Gemma Scope")."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats.stored import Stored
from tomogram.dictionaries.formats.tensors import matrix, need, read_arrays, write_arrays
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.normalisation import Normalisation
from tomogram.dictionaries.relu import ReLU
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

WEIGHTS = "params.npz"
FILES = (WEIGHTS,)

# What the end of a repository's name says of where its dictionaries read and write.
_SITES = {
    "res": ("resid_post", "resid_post"),
    "mlp": ("mlp_out", "mlp_out"),
    "att": ("head_z", "head_z"),
    "transcoders": ("mlp_in", "mlp_out"),
}
_REPOSITORY = re.compile(rf"(?:.*-)?({'|'.join(_SITES)})(?:-canonical)?")
_LAYER = re.compile(r"layer_(\d{1,6})")
_EMBEDDING = "embedding"


def matches(folder: Path) -> bool:
    """Whether a folder holds one dictionary of this format."""
    return (folder / WEIGHTS).is_file()


def read(folder: Path) -> list[Stored]:
    """The folder's one dictionary.

    The nearest folders called `layer_L` (or `embedding`) and, as the repositories are, `...-res`,
    `...-mlp`, `...-att` or `...-transcoders` say where it belongs. A transcoder reads the MLP's
    input before the gain of the norm, and the embedding's dictionary the unscaled embedding.
    Raises TomogramError where they do not say so, where the file is damaged, and where it holds
    what is not known.
    """
    path = folder / WEIGHTS
    # Some files spell the weights w_enc and w_dec.
    tensors = {
        name.replace("w_", "W_", 1) if name.startswith("w_") else name: tensor
        for name, tensor in read_arrays(path).items()
    }
    scaling = tensors.get("scaling_factor")
    if scaling is not None and not (scaling - 1).abs().max() < 1e-6:
        raise TomogramError(f"{path} holds a scaling factor other than 1, which is not known.")
    read_site, write_site = _place(folder)
    W_enc, W_dec = matrix(tensors, "W_enc", path), matrix(tensors, "W_dec", path)
    b_dec = need(tensors, "b_dec", path)
    # Trained on the embedding as it is looked up; the model then scales it by √d.
    scale = len(W_enc) ** 0.5 if read_site.kind == "embed" else 1.0
    return [
        Stored(
            reads=(read_site,),
            writes=(write_site,),
            kind="jumprelu",
            W_enc=W_enc.T / scale,
            b_enc=need(tensors, "b_enc", path),
            W_dec=W_dec * scale,
            b_dec=b_dec * scale,
            own={"threshold": need(tensors, "threshold", path)},
            before_gain=read_site != write_site,
            origin=folder,
        )
    ]


def folder_name(dictionary: Dictionary, *, l0: float) -> str:
    """The folder a dictionary must lie in, `res/layer_3/width_16k/average_l0_71`.

    `l0` is the mean number of latents that fire on a token. Raises TomogramError for a dictionary
    of a place that Gemma Scope has no name for.
    """
    part, size = _part(dictionary), dictionary.d_dict
    layer = dictionary.read.layer
    place = _EMBEDDING if layer is None else f"layer_{layer}"
    thousands = {2**exponent: f"{2 ** (exponent - 10)}k" for exponent in range(10, 20)}
    width = "1m" if size == 2**20 else thousands.get(size, str(size))
    return f"{part}/{place}/width_{width}/average_l0_{round(l0)}"


def save(dictionary: Dictionary, folder: Path, *, norm: Normalisation | None = None) -> None:
    """Writes a dictionary as Gemma Scope's are; `folder` should end like `folder_name`.

    A transcoder of this format reads before the gain of the MLP's norm, so one needs that `norm`
    (`norms.before_gain`). Raises TomogramError for a dictionary that the format cannot express,
    and where the folder cannot be written.
    """
    _part(dictionary)
    scale = dictionary.d_in**0.5 if dictionary.read.kind == "embed" else 1.0
    W_enc, b_enc = dictionary.W_enc * scale, dictionary.b_enc.data
    if not dictionary.shape.is_autoencoder:
        if norm is None:
            raise TomogramError(
                f"{dictionary.name} reads after the gain of the MLP's norm, Gemma Scope's "
                "transcoders before it: saving it needs the norm."
            )
        W_enc, b_enc = W_enc * norm.scale, b_enc + W_enc @ norm.centre
    write_arrays(
        folder / WEIGHTS,
        {
            "W_enc": W_enc.T,
            "b_enc": b_enc,
            "W_dec": dictionary.W_dec / scale,
            "b_dec": dictionary.b_dec / scale,
            "threshold": _threshold(dictionary),
        },
    )


def _place(folder: Path) -> tuple[Site, Site]:
    """The sites that a folder's path speaks of, the nearest folder first."""
    parts = folder.absolute().parts[::-1]
    part = next((match[1] for p in parts if (match := _REPOSITORY.fullmatch(p))), None)
    if part is None:
        raise TomogramError(
            f"{folder} does not say what its dictionary reads; keep it in a folder whose name ends "
            "like its repository's, in -res, -mlp, -att or -transcoders."
        )
    layer = next((int(match[1]) for p in parts if (match := _LAYER.fullmatch(p))), None)
    if layer is not None:
        read, write = _SITES[part]
        return Site(read, layer), Site(write, layer)
    if part == "res" and _EMBEDDING in parts:
        return Site("embed"), Site("embed")
    raise TomogramError(f"{folder} does not say its layer; keep it in a folder called layer_L.")


def _part(dictionary: Dictionary) -> str:
    """The end of the name of a repository that such a dictionary could lie in."""
    shape = dictionary.shape
    if not shape.skip and len(shape.reads) == len(shape.writes) == 1:
        kinds = (dictionary.read.kind, dictionary.write.kind)
        if kinds == ("embed", "embed"):
            return "res"
        for part, sites in _SITES.items():
            if kinds == sites:
                return part
    raise TomogramError(f"{dictionary.name} has no place among Gemma Scope's.")


def _threshold(dictionary: Dictionary) -> Tensor:
    """The thresholds of a dictionary whose latents fire above one each."""
    if isinstance(dictionary, JumpReLU):
        return dictionary.threshold.relu()
    if isinstance(dictionary, BatchTopK):
        # After training it is a JumpReLU of one threshold.
        return dictionary.threshold.relu().expand(dictionary.d_dict)
    if isinstance(dictionary, ReLU):
        return dictionary.b_enc.new_zeros(dictionary.d_dict)
    raise TomogramError(f"{dictionary.name} is no JumpReLU dictionary; Gemma Scope's are.")
