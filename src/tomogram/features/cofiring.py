"""Co-firing: which units fire on the same tokens, estimated from their sketches.

Two sketches together hold every firing of both units whose draw is above the larger of their two
bars. Within that part of the text the units are compared exactly, and the part is a uniform sample
of all positions, so shares in it estimate shares in the whole text (Beyer et al. 2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from tomogram.features.exemplars import draw
from tomogram.features.sketches import Sketch

FEWEST = 3
"""Shared firings below which nothing is said of a pair."""
_PRODUCTS_AT_ONCE = 2**21


@dataclass(frozen=True)
class Pairs:
    """Pairs of units that fire together, as columns of int32; each stands there once, a < b.

    There may be tens of millions: a pair's columns are most of what relations take in memory.
    """

    a: Int[np.ndarray, " pairs"]
    """Number of the first unit, counted over all families in their order."""
    b: Int[np.ndarray, " pairs"]
    both: Int[np.ndarray, " pairs"]
    """Firings that both sketches hold."""
    only_a: Int[np.ndarray, " pairs"]
    """Firings of `a` alone where both sketches are complete."""
    only_b: Int[np.ndarray, " pairs"]

    def __len__(self) -> int:
        return len(self.a)

    def __getitem__(self, chosen: np.ndarray) -> Pairs:
        """The pairs at some places, or where a mask holds."""
        columns = (self.a, self.b, self.both, self.only_a, self.only_b)
        return Pairs(*(column[chosen] for column in columns))

    @property
    def jaccard(self) -> Float[np.ndarray, " pairs"]:
        """Tokens on which both fire over tokens on which either does."""
        shared: np.ndarray = self.both / (self.both + self.only_a + self.only_b)
        return shared

    @property
    def strength(self) -> Float[np.ndarray, " pairs"]:
        """The Jaccard index with two more misses than were seen, or chance would win for the
        rare: what pairs are ranked by."""
        shrunk: np.ndarray = self.both / (self.both + self.only_a + self.only_b + 2)
        return shrunk


def cofiring(sketches: Sequence[Sketch], *, least: float = 0.05) -> Pairs:
    """All pairs of units, over all families, that share FEWEST kept firings.

    Args:
        least: pairs of a smaller Jaccard index are left out.
    """
    sizes = [sketch.size for sketch in sketches]
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    entries = [sketch.entries() for sketch in sketches]
    unit = np.concatenate([own + start for (own, _), start in zip(entries, first, strict=True)])
    position = np.concatenate([place for _, place in entries])
    n_units = sum(sizes)
    limit = np.concatenate([np.full(sketch.size, sketch.n) for sketch in sketches])
    return _pairs(unit, _ranked(position), n_units, limit, least)


def _ranked(position: Int[np.ndarray, " entries"]) -> Int[np.ndarray, " entries"]:
    """The place of each position among all of them by falling draw."""
    known, inverse = np.unique(position, return_inverse=True)
    order = np.lexsort((known, -draw(known)))
    place = np.empty(len(known), np.int64)
    place[order] = np.arange(len(known))
    return place[inverse.reshape(-1)]


def _pairs(
    unit: Int[np.ndarray, " entries"],
    place: Int[np.ndarray, " entries"],
    n_units: int,
    limit: Int[np.ndarray, " units"],
    least: float,
) -> Pairs:
    places = int(place.max(initial=-1)) + 1
    kept = np.bincount(unit, minlength=n_units)
    start = np.concatenate([[0], np.cumsum(kept)])
    # The last place up to which a sketch is complete: everywhere, unless it is full.
    last = np.full(n_units, places, np.int64)
    full = np.flatnonzero((kept == limit) & (kept > 0))
    last[full] = place[start[full] + kept[full] - 1]
    code = unit * (places + 1) + place  # rises along the entries
    ones = np.ones(len(unit), np.int32)
    members = sparse.csr_array((ones, (unit, place)), shape=(n_units, places))
    holders = sparse.csr_array(members.T)
    shared = np.diff(holders.indptr)
    work = np.bincount(unit, shared[place], minlength=n_units)
    found = []
    for low, high in _blocks(work):
        together = (members[low:high] @ holders).tocoo()
        a, b, both = together.row.astype(np.int64) + low, together.col, together.data
        often = (b > a) & (both >= FEWEST)
        a, b, both = a[often], b[often].astype(np.int64), both[often].astype(np.int64)
        until = np.minimum(last[a], last[b])
        n_a, n_b = (
            np.searchsorted(code, x * (places + 1) + until, side="right") - start[x] for x in (a, b)
        )
        pairs = Pairs(a, b, both, n_a - both, n_b - both)
        found.append(_narrow(pairs[pairs.jaccard >= least]))
    return _joined(found)


def _blocks(work: Float[np.ndarray, " units"]) -> list[tuple[int, int]]:
    """Runs of units whose products together take a bounded amount of memory."""
    number = (np.cumsum(work) // _PRODUCTS_AT_ONCE).astype(np.int64)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(number)) + 1, [len(work)]])
    return [(int(a), int(b)) for a, b in pairwise(edges) if b > a]


_COLUMNS = ("a", "b", "both", "only_a", "only_b")


def _narrow(pairs: Pairs) -> Pairs:
    return Pairs(*(getattr(pairs, name).astype(np.int32) for name in _COLUMNS))


def _joined(parts: list[Pairs]) -> Pairs:
    """All pairs of some parts; the parts are let go of column by column, or both would be held."""
    if not parts:
        return Pairs(*(np.zeros(0, np.int32) for _ in _COLUMNS))
    columns = [[getattr(part, name) for part in parts] for name in _COLUMNS]
    parts.clear()
    return Pairs(*(np.concatenate(columns.pop(0)) for _ in _COLUMNS))
