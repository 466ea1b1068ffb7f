"""Scores of edges: by any method, pair by pair, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from torch import Tensor

from tomogram.circuits.discovery import conductance, eap, exact, relevance
from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.circuits.discovery.intervals import intervals
from tomogram.circuits.discovery.pairs import Batch, Pair, batches
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError
from tomogram.store.progress import task

Method = Callable[[Model, EdgeGraph, Batch], Float[Tensor, "pair writer reader"]]

METHODS: dict[str, Method] = {
    "eap": eap.eap,
    "eap-ig-inputs": eap.eap_ig_inputs,
    "eap-ig-activations": eap.eap_ig_activations,
    "relevance": relevance.relevance,
    "conductance": conductance.conductance,
    "exact": exact.exact,
}
"""Every method that scores all edges at once."""


@dataclass(frozen=True, eq=False)
class EdgeScores:
    """What each edge does to the metric, on every pair, as a method says.

    Args:
        method: the method's name.
        graph: the edges.
        by_pair: the (predicted) change of m when the edge carries the counterfactual, in logits.
    """

    method: str
    graph: EdgeGraph
    by_pair: Float[np.ndarray, "pair writer reader"]

    def __post_init__(self) -> None:
        if self.by_pair.ndim != 3 or self.by_pair.shape[1:] != self.graph.possible.shape:
            raise ValueError("scores are [pair writer reader] of the graph")

    @cached_property
    def mean(self) -> Float[np.ndarray, "writer reader"]:
        """Mean over pairs, with its sign."""
        found: np.ndarray = self.by_pair.mean(0)
        return found

    @cached_property
    def strength(self) -> Float[np.ndarray, "writer reader"]:
        """Mean size over pairs: effects of opposite signs do not cancel."""
        found: np.ndarray = np.abs(self.by_pair).mean(0)
        return found

    @cached_property
    def nodes(self) -> Float[np.ndarray, "pair writer"]:
        """Node attribution: what all edges out of a writer do together, to first order."""
        found: np.ndarray = self.by_pair.sum(2)
        return found

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the 95 % interval of every edge's mean, over pairs."""
        flat = self.by_pair.reshape(len(self.by_pair), -1)
        low, high = intervals(flat)
        return low.reshape(self.mean.shape), high.reshape(self.mean.shape)

    def ranked(self) -> list[tuple[int, int]]:
        """All possible edges by falling strength."""
        writers, readers = self.graph.possible.nonzero()
        order = np.argsort(-self.strength[writers, readers], kind="stable")
        return list(zip(writers[order].tolist(), readers[order].tolist(), strict=True))


def score(
    model: Model,
    graph: EdgeGraph,
    pairs: Sequence[Pair],
    method: str,
    *,
    tokens: int = 2_048,
) -> EdgeScores:
    """Score all edges on all pairs.

    Args:
        method: a name in `METHODS`.
        tokens: positions of a batch of pairs.

    Raises:
        TomogramError: there is no such method, or no pair.
    """
    if method not in METHODS:
        raise TomogramError(f"There is no method '{method}'; known are {', '.join(METHODS)}.")
    if not pairs:
        raise TomogramError("A behaviour needs at least one pair.")
    found = np.zeros((len(pairs), *graph.possible.shape), np.float32)
    with task(f"scoring edges ({method})", total=len(pairs), unit="pairs") as progress:
        for batch in batches(pairs, tokens=tokens, device=model.device):
            values = METHODS[method](model, graph, batch)
            found[list(batch.rows)] = values.float().cpu().numpy()
            progress.advance(len(batch.rows))
    return EdgeScores(method, graph, found)
