"""Activations of packed text, a few rows at a time, straight from the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.text.packing import PackedText


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Activations at some sites for whole rows of packed text.

    ``batch[site]`` is ``[tokens width]``, tokens in the order of ``text.tokens[batch.rows]`` read
    along the rows.  Do not write to it.

    Args:
        rows: numbers of the rows in the packed text.
        activations: by site.
    """

    rows: Int64[np.ndarray, " rows"]
    activations: Mapping[Site, Float[Tensor, "tokens width"]]

    def __getitem__(self, site: Site) -> Float[Tensor, "tokens width"]:
        return self.activations[site]


def stream(
    model: Model,
    text: PackedText,
    sites: Sequence[Site],
    *,
    batch_rows: int,
    rows: Sequence[int] | NDArray[np.integer[Any]] | None = None,
) -> Iterator[Batch]:
    """Run the model over packed text and yield the activations at some sites.

    The forward pass stops after the last site.  Gradients are off.  The last bits of an activation
    may depend on which rows share its batch, and on the number of threads.

    Args:
        sites: where; sites with heads come as one width, the heads' values one after another.
        batch_rows: rows in one forward pass; the last batch may have fewer.
        rows: which rows, in which order; all when None.

    Raises:
        TomogramError: the model lacks a site, or the text does not fit the model.
    """
    wanted = np.arange(text.rows) if rows is None else np.asarray(rows, dtype=np.int64)
    for start in range(0, len(wanted), batch_rows):
        part = wanted[start : start + batch_rows]
        tokens = torch.from_numpy(text.tokens[part].astype(np.int64))
        # Not inference mode: a dictionary's gradient needs its input saved.
        with torch.no_grad():
            run = model.run(tokens, capture=sites, logits=False)
        activations = {site: by_token(site, run[site]) for site in sites}
        yield Batch(part, activations)


def by_token(site: Site, value: Tensor) -> Float[Tensor, "tokens width"]:
    """What a site holds, one line a token.

    An attention pattern's line is its query's, over all heads and keys; other sites with heads have
    their heads' values one after another.
    """
    if site.kind == "pattern":
        value = value.movedim(1, 2)
    return value.flatten(0, 1).flatten(1)


def widths(model: Model, sites: Sequence[Site], context: int) -> dict[Site, int]:
    """How many numbers each site holds for one token.

    Args:
        context: tokens in a row, on which the width of an attention pattern depends.

    Raises:
        TomogramError: the model lacks a site.
    """
    patterns = any(site.kind == "pattern" for site in sites)
    probe = torch.zeros((1, context if patterns else 1), dtype=torch.int64)
    with torch.no_grad():
        run = model.run(probe, capture=sites, logits=False)
    return {site: by_token(site, run[site]).shape[1] for site in sites}
