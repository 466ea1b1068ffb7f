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
    flat = np.flatnonzero(keys >= bounds[:, None])
    starts = np.searchsorted(flat, np.arange(rows + 1) * width)
    columns = flat - np.repeat(np.arange(rows) * width, np.diff(starts))
    values = scores.reshape(-1)[torch.from_numpy(flat)]
    return Entries(columns, starts, values, _values(bounds, scores.dtype))


def largest_of(entries: Entries, values: Float[Tensor, " entries"], k: int) -> Int[Tensor, "rows k"]:
    """Which k entries of each row have the largest of these values; in a row their places rise."""
    counts = entries.counts
    rows = len(counts)
    if (counts == k).all():
        return torch.arange(rows * k).view(rows, k)
    width = int(counts.max())
    padded = np.full((rows, width), -np.inf, dtype=_wide(values).numpy().dtype)
    padded[np.arange(width) < counts[:, None]] = _wide(values).numpy()
    wins = padded >= np.partition(padded, width - k, axis=1)[:, width - k, None]
    # Where values are equal, and where they are no numbers, more or fewer than k reach the k-th.
    for row in np.flatnonzero(np.count_nonzero(wins, axis=1) != k):
        own = np.nan_to_num(padded[row, : counts[row]], nan=np.inf)
        wins[row] = False
        wins[row, np.argsort(-own, kind="stable")[:k]] = True
    places = np.flatnonzero(wins).reshape(rows, k) - (np.arange(rows) * width)[:, None]
    return torch.from_numpy(places + entries.starts[:-1, None])


def _wide(values: Tensor) -> Tensor:
    """The values in a number format that numpy has and sorts fast."""
    return values if values.dtype == torch.float64 else values.float()


def _keys(scores: Tensor) -> np.ndarray:
    """Numbers in the order of the scores; of bfloat16, those above 0 only."""
    if scores.dtype == torch.bfloat16:
        return scores.view(torch.int16).numpy()
    return _wide(scores).numpy()


def _ordered(keys: Int[np.ndarray, "rows width"]) -> Int[np.ndarray, "rows width"]:
    """Whole numbers in the order of the bfloat16 numbers with these bits, or the reverse."""
    return keys ^ ((keys >> 15) & 0x7FFF)


def _values(bounds: np.ndarray, dtype: torch.dtype) -> Tensor:
    """The bounds as scores."""
    if dtype == torch.bfloat16:
        return torch.from_numpy(_ordered(bounds)).view(torch.bfloat16)
    return torch.from_numpy(bounds.copy()).to(dtype)


def _bounds(keys: np.ndarray, k: int) -> np.ndarray:
    """For each row a number that at least k entries reach, and few more."""
    maxima = keys
    while maxima.shape[1] % 2 == 0 and maxima.shape[1] // 2 >= _GROUPS * k:
        half = maxima.shape[1] // 2
        maxima = np.maximum(maxima[:, :half], maxima[:, half:])
    place = maxima.shape[1] - k
    return np.partition(maxima, place, axis=1)[:, place]
