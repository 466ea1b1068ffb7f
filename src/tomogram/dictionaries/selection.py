"""Selection: the largest entries of each row of a matrix, on a CPU.

An entry is looked for by value and not by place: the k-th largest of the maxima of some groups of
columns is a bound that at least k entries of the row reach, and few more. Finding such a bound,
and then all entries that reach it, are passes that vector instructions are good at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

_GROUPS = 8
"""So many groups of columns for each entry looked for: few groups then hold two of them."""


@dataclass(frozen=True)
class Entries:
    """Some entries of each row of a matrix: row after row, and in a row the columns rise.

    Those of row r stand from `starts[r]` on and before `starts[r + 1]`. `bounds` is a number for
    each row which exactly these entries of it reach.
    """

    columns: Int[np.ndarray, " entries"]
    starts: Int[np.ndarray, " rows_plus_1"]
    values: Float[Tensor, " entries"]
    bounds: Float[Tensor, " rows"]

    @property
    def counts(self) -> Int[np.ndarray, " rows"]:
        """How many entries each row has."""
        return np.diff(self.starts)


def reaching(scores: Float[Tensor, "rows width"], k: int, *, slack: int = 0) -> Entries:
    """At least k entries of each row, and all that are as large as any of them.

    slack: by how many steps of bfloat16 the bound is lowered, for scores in that format.
    """
    keys = _keys(scores)
    bounds = _bounds(keys, k)
    if scores.dtype == torch.bfloat16:
        if bounds.min() <= slack:
            keys = _ordered(keys)
            bounds = _bounds(keys, k)
        bounds = np.maximum(bounds, -32_768 + slack) - np.int16(slack)
    rows, width = scores.shape
    # Not below the bound rather than above: what is no number counts as the largest.
    reached = keys < bounds[:, None]
    flat = np.flatnonzero(np.logical_not(reached, out=reached))
    starts = np.searchsorted(flat, np.arange(rows + 1) * width)
    columns = flat - np.repeat(np.arange(rows) * width, np.diff(starts))
    values = scores.reshape(-1)[torch.from_numpy(flat)]
    return Entries(columns, starts, values, _values(bounds, scores.dtype))


def largest_of(
    entries: Entries, values: Float[Tensor, " entries"], k: int
) -> Int[Tensor, "rows k"]:
    """Which k entries of each row have the largest of these values; in a row their places rise.

    Of equal values the first ones win (-0 is less than 0), and what is no number counts as the
    largest.
    """
    counts = entries.counts
    rows = len(counts)
    if (counts == k).all():
        return torch.arange(rows * k).view(rows, k)
    width = int(counts.max())
    places = np.arange(width)
    full = places < counts[:, None]
    if values.dtype == torch.float64:
        padded = np.full((rows, width), -np.inf)
        padded[full] = np.nan_to_num(values.numpy(), nan=np.inf)
        order = np.argsort(-padded, axis=1, kind="stable")[:, :k]
        order.sort(axis=1)
        return torch.from_numpy(order + entries.starts[:-1, None])
    # No two keys are equal: below the value stands how far on the left an entry is.
    keys = np.full((rows, width), np.iinfo(np.int64).min)
    keys[full] = _ordered(values.float().view(torch.int32).numpy())
    keys[full] = (keys[full] << 32) + np.broadcast_to(width - places, (rows, width))[full]
    wins = keys >= np.partition(keys, width - k, axis=1)[:, width - k, None]
    chosen = np.flatnonzero(wins).reshape(rows, k) - (np.arange(rows) * width)[:, None]
    return torch.from_numpy(chosen + entries.starts[:-1, None])


def _wide(values: Tensor) -> Tensor:
    """The values in a number format that numpy has and sorts fast."""
    return values if values.dtype == torch.float64 else values.float()


def _keys(scores: Tensor) -> np.ndarray:
    """Numbers in the order of the scores; of bfloat16, those above 0 only."""
    if scores.dtype == torch.bfloat16:
        return scores.view(torch.int16).numpy()
    return _wide(scores).numpy()


def _ordered(bits: Int[np.ndarray, "*shape"]) -> Int[np.ndarray, "*shape"]:
    """Whole numbers in the order of the floating-point numbers with these bits, or the reverse."""
    largest = np.iinfo(bits.dtype).max
    return bits ^ ((bits >> (bits.itemsize * 8 - 1)) & largest)


def _values(bounds: np.ndarray, dtype: torch.dtype) -> Tensor:
    """The bounds as scores."""
    if dtype == torch.bfloat16:
        return torch.from_numpy(_ordered(bounds)).view(torch.bfloat16)
    return torch.from_numpy(bounds.copy()).to(dtype)


def _bounds(keys: np.ndarray, k: int) -> np.ndarray:
    """For each row a number that at least k entries reach, and few more."""
    maxima = keys
    while maxima.shape[1] // 2 >= _GROUPS * k:
        half, odd = divmod(maxima.shape[1], 2)
        folded = np.maximum(maxima[:, :half], maxima[:, half : 2 * half])
        # The last column of an odd number is a group by itself.
        maxima = np.concatenate([folded, maxima[:, -1:]], axis=1) if odd else folded
    place = maxima.shape[1] - k
    return np.partition(maxima, place, axis=1)[:, place]
