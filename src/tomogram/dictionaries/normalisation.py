"""Normalisation: training sees activations centred and of unit size; files hold raw ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.store.errors import TomogramError


@dataclass(frozen=True)
class Normalisation:
    """x ↦ (x − centre) / scale, with one scale for all dimensions of a site, so that directions
    stand; sites side by side have a scale each, so that none drowns the others."""

    centre: Float[Tensor, " d"]
    scale: Float[Tensor, " d"]

    def __call__(self, x: Float[Tensor, "tokens d"]) -> Float[Tensor, "tokens d"]:
        """The normalised activations."""
        return torch.addcmul(-self.centre / self.scale, x, 1 / self.scale)

    def undo(self, x: Float[Tensor, "tokens d"]) -> Float[Tensor, "tokens d"]:
        """The raw activations of normalised ones."""
        return x * self.scale + self.centre


def geometric_median(
    x: Float[Tensor, "tokens d"], *, steps: int = 100, tolerance: float = 1e-6
) -> Float[Tensor, " d"]:
    """The point of least summed distance to the rows of x (Weiszfeld 1937).

    Unlike the mean it is not pulled aside by a few tokens of huge norm, such as the first one of
    a text (Bricken et al. 2023 use it for the decoder's bias).
    """
    centre = x.mean(0)
    for _ in range(steps):
        weight = 1 / (x - centre).norm(dim=1).clamp_min(torch.finfo(x.dtype).eps)
        moved = (weight[:, None] * x).sum(0) / weight.sum()
        if (moved - centre).norm() <= tolerance * moved.norm():
            return moved
        centre = moved
    return centre


def measure(x: Float[Tensor, "tokens d"]) -> Normalisation:
    """The normalisation that gives these activations of one site a mean square of 1 a dimension.

    Raises TomogramError where the activations are not finite or do not vary.
    """
    centre = geometric_median(x)
    scale = (x - centre).square().mean().sqrt()
    if not (0 < scale < float("inf")):
        raise TomogramError(
            f"Activations cannot be normalised: their spread around the centre is {scale.item()}."
        )
    return Normalisation(centre, scale.expand_as(centre).clone())


def side_by_side(parts: Sequence[Normalisation]) -> Normalisation:
    """The normalisation of several sites' activations side by side."""
    return Normalisation(
        torch.cat([part.centre for part in parts]), torch.cat([part.scale for part in parts])
    )


@torch.no_grad()
def fold(dictionary: Dictionary, source: Normalisation, target: Normalisation) -> None:
    """Turns a dictionary of normalised activations into one of raw activations, in place.

    Its reconstructions stay what they were. Decoder rows get a mean norm of 1: a latent's value is
    then the length of what it writes, in units of the activation. (Over one site all rows have one
    norm in training, so that each has norm 1.)
    """
    dictionary.scale_input(source.scale)
    dictionary.shift_input(source.centre)
    dictionary.W_dec.mul_(target.scale)
    dictionary.b_dec.mul_(target.scale).add_(target.centre)
    if dictionary.W_skip is not None:
        dictionary.W_skip.mul_(target.scale[:, None] / source.scale)
        dictionary.b_dec.sub_(dictionary.W_skip @ source.centre)
    # One factor for all latents, because a kind may compare them with each other.
    common = dictionary.W_dec.norm(dim=1).mean().item()
    if common > 0:
        dictionary.stretch(common)
