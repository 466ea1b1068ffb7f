"""Sites: one naming scheme for the places inside a decoder, whatever its family calls them."""

from __future__ import annotations

from dataclasses import dataclass

from tomogram.store.errors import TomogramError

MODEL_KINDS = ("embed", "pos_embed", "final_norm", "logits")
"""Kinds of which a model has one at most."""

LAYER_KINDS = (
    "resid_pre",
    "attn_in",
    "head_q",
    "head_k",
    "head_v",
    "pattern",
    "head_z",
    "head_out",
    "attn_out",
    "resid_mid",
    "mlp_in",
    "neurons",
    "mlp_out",
    "resid_post",
)
"""Kinds of which every layer has one at most, in the order the forward pass reaches them."""

KINDS = (*MODEL_KINDS[:2], *LAYER_KINDS, *MODEL_KINDS[2:])


@dataclass(frozen=True, slots=True)
class Site:
    """A named place in a decoder, such as the residual stream after block 3.

    Args:
        kind: one of `KINDS`; docs/design.md says what each means and its shape.
        layer: the block's number from 0, or None for the kinds a model has only one of.

    Raises:
        TomogramError: the kind is unknown, or has a layer where it needs none or the reverse.
    """

    kind: str
    layer: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise TomogramError(f"There is no site of kind '{self.kind}'; known are {_listed()}.")
        if (self.kind in LAYER_KINDS) != (self.layer is not None):
            needs = "needs a layer" if self.layer is None else "has no layer"
            raise TomogramError(f"The site '{self.kind}' {needs}.")
        if self.layer is not None and self.layer < 0:
            raise TomogramError(f"The layer of a site is 0 or more, not {self.layer}.")

    @classmethod
    def parse(cls, text: str) -> Site:
        """Read the text form, `kind.layer` or `kind`.

        Raises:
            TomogramError: the text is not the name of a site.
        """
        kind, dot, layer = text.partition(".")
        # isdecimal alone admits the digits of other scripts.
        if dot and not (layer.isascii() and layer.isdecimal()):
            raise TomogramError(f"'{text}' is not a site; sites look like 'resid_post.3'.")
        return cls(kind, int(layer) if dot else None)

    def __str__(self) -> str:
        return self.kind if self.layer is None else f"{self.kind}.{self.layer}"


def _listed() -> str:
    return ", ".join(KINDS)
