"""Names that other tools give to sites."""

from __future__ import annotations

import re

from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

_NORMALISED = "ln2.hook_normalized"
# TransformerLens' names, as SAELens and circuit-tracer write them, without `blocks.LAYER.`.
_TRANSFORMER_LENS = {
    "hook_resid_pre": "resid_pre",
    "hook_resid_mid": "resid_mid",
    "hook_resid_post": "resid_post",
    "hook_attn_out": "attn_out",
    "hook_mlp_out": "mlp_out",
    "mlp.hook_in": "mlp_in",
    "mlp.hook_out": "mlp_out",
    "mlp.hook_post": "neurons",
    "attn.hook_z": "head_z",
    # The normed input of the MLP before the norm's gain and bias; see `before_gain`.
    _NORMALISED: "mlp_in",
}
_BLOCK = re.compile(r"blocks\.(\d{1,6})\.(.+)")
# Hugging Face module paths, as sparsify names its folders: a block, or a part of one.
_MODULE = re.compile(
    r"(?:.*\.)?(?:layers|h|blocks)\.(\d{1,6})(?:\.(mlp|attn|self_attn|attention))?"
)


def from_transformer_lens(name: str, layer: int | None = None) -> Site:
    """The site of a TransformerLens hook name, `blocks.3.hook_resid_post`.

    With `layer`, the name is one of a block's hooks, `hook_resid_post`. Raises TomogramError for a
    hook that has no site.
    """
    match = _BLOCK.fullmatch(name)
    if match:
        layer, name = int(match[1]), match[2]
    if name == "hook_embed":
        return Site("embed")
    if name not in _TRANSFORMER_LENS or layer is None:
        raise TomogramError(f"The hook '{name}' of the dictionary is no site this program knows.")
    return Site(_TRANSFORMER_LENS[name], layer)


def before_gain(name: str) -> bool:
    """Whether a hook sees the MLP's normed input before the norm's gain and bias."""
    return name == _NORMALISED or name.endswith(f".{_NORMALISED}")


def to_transformer_lens(site: Site) -> str:
    """TransformerLens' name of a site. Raises TomogramError for a site without one."""
    if site.kind == "embed":
        return "hook_embed"
    for name, kind in _TRANSFORMER_LENS.items():
        if kind == site.kind:
            return f"blocks.{site.layer}.{name}"
    raise TomogramError(f"TransformerLens has no name for the site {site}.")


def from_module(name: str, *, transcodes: bool) -> tuple[Site, Site]:
    """The sites read and written by a dictionary that hangs on a module of a Hugging Face model.

    An autoencoder reads and writes the module's output, a transcoder goes from its input to its
    output. Raises TomogramError for a module that is no block, MLP or attention.
    """
    match = _MODULE.fullmatch(name)
    if match is None:
        raise TomogramError(
            f"The module '{name}' of the dictionary is no place this program knows."
        )
    layer, part = int(match[1]), match[2]
    if part is None:
        read, write = "resid_pre", "resid_post"
    else:
        read, write = ("mlp_in", "mlp_out") if part == "mlp" else ("attn_in", "attn_out")
    return Site(read if transcodes else write, layer), Site(write, layer)


def to_module(read: Site, write: Site) -> str:
    """The module on which sparsify would hang such a dictionary, relative to the model's body.

    Raises TomogramError where no module's input and output are the two sites.
    """
    for part in ("", ".mlp", ".self_attn"):
        name = f"layers.{write.layer}{part}"
        if write.layer is not None and from_module(name, transcodes=read != write) == (read, write):
            return name
    raise TomogramError(f"No module of a model reads {read} and writes {write}.")
