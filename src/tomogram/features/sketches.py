"""Sketches: a bounded number of firings of every unit, from which co-firing can be told.

Counting every pair of units over a text takes more memory than the text. Each unit keeps the
positions of a fixed number of its firings instead, those with the largest `draw`. Because all
units use the same draw, two of them that fire together also keep the same positions: the
coordinated bottom-k sample of Cohen and Kaplan (2007), known as a KMV sketch. A unit that fired
less often than that keeps all its firings, so what is said of rare units is exact.

The best of a union is the best of the bests of its parts, so sketches merge exactly.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from tomogram.features.exemplars import draw
from tomogram.features.groups import rank
from tomogram.features.units import Firings

KEPT = 48
"""Firings kept of each unit."""


class Sketch:
    """Keeps the `n` firings of every unit with the largest draw while batches stream by.

    Of equal draws, the earlier position.
    """

    def __init__(self, size: int, n: int = KEPT) -> None:
        if n < 1:
            raise ValueError("at least one firing must be kept")
        self.size, self.n = size, n
        self._unit = np.zeros(0, np.int64)
        self._position = np.zeros(0, np.int64)
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        # The draw a newcomer must reach: that of the unit's worst firing, once it has n.
        self._bar = np.full(size, -np.inf)

    def add(self, firings: Firings, position: Int[np.ndarray, " tokens"]) -> None:
        """Takes in one batch; `position` says where each of its tokens stands in the text."""
        hopeful = draw(position)[firings.token] >= self._bar[firings.unit]
        if not hopeful.any():
            return
        self._waiting.append((firings.unit[hopeful], position[firings.token[hopeful]]))
        # Sorting only when as much waits as is kept makes each newcomer cost a constant.
        if sum(len(unit) for unit, _ in self._waiting) >= len(self._unit):
            self._settle()

    def entries(self) -> tuple[Int[np.ndarray, " entries"], Int[np.ndarray, " entries"]]:
        """Units and positions of the kept firings, unit by unit, the largest draw first."""
        self._settle()
        return self._unit, self._position

    def merge(self, other: Sketch) -> Sketch:
        """What one sketch of both texts would have kept."""
        if (self.size, self.n) != (other.size, other.n):
            raise ValueError("only sketches of one family and one size merge")
        merged = Sketch(self.size, self.n)
        merged._waiting = [self.entries(), other.entries()]
        merged._settle()
        return merged

    def _settle(self) -> None:
        if not self._waiting:
            return
        parts = [(self._unit, self._position), *self._waiting]
        unit = np.concatenate([part[0] for part in parts])
        position = np.concatenate([part[1] for part in parts])
        key = draw(position)
        order = np.lexsort((position, -key, unit))
        place = rank(unit[order])
        self._bar[unit[order[place == self.n - 1]]] = key[order[place == self.n - 1]]
        kept = order[place < self.n]
        self._unit, self._position, self._waiting = unit[kept], position[kept], []
