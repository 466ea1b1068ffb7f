"""Faithfulness: how much of a behaviour a circuit alone gives, by MIB's definitions.

Mueller et al. 2025 ("MIB: A Mechanistic Interpretability Benchmark", section 3): with m the metric,
C a circuit, N the whole model and ∅ the circuit without edges (the model on the counterfactual
prompts), f(C) = (m(C) − m(∅)) / (m(N) − m(∅)). Outside the circuit every edge carries what it
carries on the counterfactual prompt. CPR is the area under f over the share of edges kept, CMD that
under |1 − f|.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.circuits.discovery.metric import metric
from tomogram.circuits.discovery.pairs import Pair, batches
from tomogram.circuits.discovery.scores import EdgeScores
from tomogram.circuits.discovery.streams import circuit_stream, writes
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError
from tomogram.store.estimates import ratio, resample
from tomogram.store.progress import task
from tomogram.store.schema import Estimate

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Shares of edges at which circuits are measured (MIB)."""


@dataclass(frozen=True, eq=False)
class Ends:
    """m of every pair on the whole model and without any edge."""

    whole: Float[np.ndarray, " pair"]
    empty: Float[np.ndarray, " pair"]

    def __post_init__(self) -> None:
        if abs(float((self.whole - self.empty).mean())) < 1e-6:
            raise TomogramError(
                "The model does the same on both prompts of the pairs, so there is no behaviour."
            )

    def faithfulness(self, kept: Float[np.ndarray, " pair"]) -> Estimate:
        """f of a circuit from its m on every pair, with its interval over pairs."""
        return ratio(kept - self.empty, self.whole - self.empty)


@dataclass(frozen=True, eq=False)
class Curve:
    """m of circuits of growing size, and what follows from it."""

    shares: tuple[float, ...]
    ends: Ends
    kept: Float[np.ndarray, "share pair"]

    @property
    def f(self) -> Float[np.ndarray, " share"]:
        """Faithfulness at every share of edges."""
        return self._f(np.full((1, len(self.ends.whole)), 1 / len(self.ends.whole)))[0]

    def _f(self, weights: Float[np.ndarray, "draw pair"]) -> Float[np.ndarray, "draw share"]:
        empty = weights @ self.ends.empty
        whole = weights @ self.ends.whole - empty
        found: np.ndarray = (weights @ self.kept.T - empty[:, None]) / whole[:, None]
        return found

    @property
    def cpr(self) -> Estimate:
        """Area under f over the share of edges: how much a circuit gives."""
        return self._area(lambda f: f)

    @property
    def cmd(self) -> Estimate:
        """Area under |1 − f|: how far circuits are from giving exactly what the model gives."""
        return self._area(lambda f: np.abs(1 - f))

    def _area(self, of) -> Estimate:  # type: ignore[no-untyped-def]
        n = len(self.ends.whole)
        value = float(np.trapezoid(of(self.f), self.shares))
        if n == 1:
            return Estimate(value=value, low=value, high=value, n=1)
        draws = np.trapezoid(of(self._f(resample(n))), self.shares, axis=1)
        low, high = np.quantile(draws, [0.025, 0.975])
        return Estimate(value=value, low=min(float(low), value), high=max(float(high), value), n=n)


@torch.no_grad()
def ends(model: Model, graph: EdgeGraph, pairs: Sequence[Pair]) -> Ends:
    """m(N) and m(∅) of every pair.

    Raises:
        TomogramError: they are the same, so that there is nothing to explain.
    """
    found = np.zeros((2, len(pairs)))
    for batch in batches(pairs, device=model.device):
        for row, tokens in enumerate((batch.clean, batch.counterfactual)):
            last = writes(model, graph, tokens).last
            found[row, list(batch.rows)] = metric(model, batch, last).double().cpu().numpy()
    return Ends(found[0], found[1])


@torch.no_grad()
def circuit_metric(
    model: Model,
    graph: EdgeGraph,
    pairs: Sequence[Pair],
    circuits: Sequence[Bool[np.ndarray, "writer reader"]],
    *,
    tokens: int = 2_048,
) -> Float[np.ndarray, "circuit pair"]:
    """m of every circuit on every pair."""
    found = np.zeros((len(circuits), len(pairs)))
    masks = [torch.from_numpy(circuit).to(model.device) for circuit in circuits]
    with task("measuring circuits", total=len(circuits) * len(pairs), unit="runs") as progress:
        for batch in batches(pairs, tokens=tokens, device=model.device):
            other = writes(model, graph, batch.counterfactual)
            for place, mask in enumerate(masks):
                last = circuit_stream(model, graph, batch.clean, mask, other)
                values = metric(model, batch, last)
                found[place, list(batch.rows)] = values.double().cpu().numpy()
                progress.advance(len(batch.rows))
    return found


def curve(
    model: Model,
    graph: EdgeGraph,
    pairs: Sequence[Pair],
    scores: EdgeScores,
    *,
    shares: Sequence[float] = SHARES,
) -> Curve:
    """Faithfulness of the strongest edges, at every share of them."""
    order = scores.ranked()
    circuits = [top(graph, order, max(1, round(share * len(order)))) for share in shares]
    kept = circuit_metric(model, graph, pairs, circuits)
    return Curve(tuple(shares), ends(model, graph, pairs), kept)


def top(
    graph: EdgeGraph, order: Sequence[tuple[int, int]], n: int
) -> Bool[np.ndarray, "writer reader"]:
    """The first n edges of an order as a mask."""
    mask = np.zeros_like(graph.possible)
    for writer, reader in order[:n]:
        mask[writer, reader] = True
    return mask
