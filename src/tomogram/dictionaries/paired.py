"""Paired: a crosscoder over two models, which tells what one has and the other has not (Lindsey et
al. 2024, "Sparse Crosscoders for Cross-Layer Features and Model Diffing")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.shape import Shape
from tomogram.dictionaries.trainer import Batch, Source
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError


def paired_shape(site: Site, width: int) -> Shape:
    """One site of two models of equal width, the first model's activation before the second's."""
    return Shape((site,), (site,), 2 * width, 2 * width, models=2)


@dataclass(frozen=True)
class Paired:
    """Two sources over the same text in the same order, their activations side by side.

    Two `ShuffleBuffer`s of equal text, sizes and seed are in the same order.
    """

    first: Source
    second: Source
    sites: Sequence[Site]

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """The batches from number `start` on; each site holds both models' activations."""
        pairs = zip(self.first.batches(start), self.second.batches(start), strict=False)
        for one, other in pairs:
            yield {site: torch.cat([one[site], other[site]], dim=1) for site in self.sites}


def second_share(dictionary: Dictionary) -> Float[Tensor, " d_dict"]:
    """Of each latent, ‖its row in the second model‖ / (the same + that in the first).

    Near 0 a latent is the first model's own, near 1 the second's, and about 1/2 it is shared.
    Raises TomogramError for a dictionary that writes two halves of unequal width.
    """
    if dictionary.d_out % 2:
        raise TomogramError(f"{dictionary.name} does not write to two models of one width.")
    first, second = dictionary.W_dec.detach().chunk(2, dim=1)
    norms = first.norm(dim=1), second.norm(dim=1)
    return norms[1] / (norms[0] + norms[1]).clamp_min(torch.finfo(first.dtype).tiny)
