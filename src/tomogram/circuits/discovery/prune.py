"""Prune: the smallest circuit that is still faithful, found greedily.

Edges are added by falling score where they lead into what is there (the greedy search of Hanna et
al. 2024), the fewest that reach the wanted faithfulness are found by bisection, and then those
without which it is still reached are taken out again, weakest first.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.circuits.discovery.faithfulness import circuit_metric, ends, top
from tomogram.circuits.discovery.pairs import Pair
from tomogram.models.model import Model

WANTED = 0.85
ROUNDS = 6


@dataclass(frozen=True, eq=False)
class Circuit:
    """A circuit as a mask of edges, with its faithfulness on the pairs it was found with."""

    kept: Bool[np.ndarray, "writer reader"]
    faithfulness: float

    @property
    def n_edges(self) -> int:
        """Number of its edges."""
        return int(self.kept.sum())


def connected(
    graph: EdgeGraph, strength: Float[np.ndarray, "writer reader"]
) -> list[tuple[int, int]]:
    """All edges, each by falling strength among those that lead into what comes before it."""
    heap: list[tuple[float, int, int]] = []
    open_readers: set[int] = set()
    order: list[tuple[int, int]] = []
    reads_of: dict[int, list[int]] = {}
    for reader in range(len(graph.readers)):
        for writer in graph.heads_reading(reader):
            reads_of.setdefault(writer, []).append(reader)

    def open_reader(reader: int) -> None:
        if reader not in open_readers:
            open_readers.add(reader)
            for writer in graph.possible[:, reader].nonzero()[0].tolist():
                heapq.heappush(heap, (-float(strength[writer, reader]), writer, reader))

    open_reader(len(graph.readers) - 1)
    while heap:
        _, writer, reader = heapq.heappop(heap)
        order.append((writer, reader))
        for each in reads_of.get(writer, ()):
            open_reader(each)
    return order


def prune(
    model: Model,
    graph: EdgeGraph,
    pairs: Sequence[Pair],
    strength: Float[np.ndarray, "writer reader"],
    *,
    wanted: float = WANTED,
    limit: int | None = None,
    rounds: int = ROUNDS,
) -> Circuit:
    """The smallest circuit found whose faithfulness reaches `wanted`.

    Args:
        limit: the most edges; where so many do not reach it, that circuit is returned as it is.
        rounds: how often edges that can be left out are looked for, in ever shorter runs.
    """
    order = connected(graph, strength)
    whole = ends(model, graph, pairs)

    def f(masks: list[Bool[np.ndarray, "writer reader"]]) -> list[float]:
        values = circuit_metric(model, graph, pairs, masks)
        return [whole.faithfulness(row).value for row in values]

    low, high = 0, min(limit or len(order), len(order))
    best = f([top(graph, order, high)])[0]
    if best < wanted:
        return Circuit(top(graph, order, high), best)
    while high - low > 1:
        middle = (low + high) // 2
        value = f([top(graph, order, middle)])[0]
        if value >= wanted:
            high, best = middle, value
        else:
            low = middle
    return _without(graph, top(graph, order, high), order[:high], best, wanted, rounds, f)


def _without(graph, kept, order, best, wanted, rounds, f):  # type: ignore[no-untyped-def]
    """Take out runs of the weakest edges as long as what is left is faithful enough."""
    left = list(order)
    size = max(1, len(left) // 4)
    for _ in range(rounds):
        place = len(left)
        while place > 0:
            drop = left[max(0, place - size) : place]
            mask = kept.copy()
            for edge in drop:
                mask[edge] = False
            value = f([mask])[0]
            if value >= wanted:
                kept, best = mask, value
                left = [edge for edge in left if edge not in drop]
            place -= size
        if size == 1:
            break
        size = max(1, size // 3)
    return Circuit(kept, best)
