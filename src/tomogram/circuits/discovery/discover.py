"""Discover: from the pairs of a behaviour to a circuit whose faithfulness was measured.

The circuit is found on one part of the pairs and measured on the rest.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from tomogram.circuits.discovery.agreement import Agreement, agreement, measured, sampled
from tomogram.circuits.discovery.edges import EdgeGraph, edge_graph
from tomogram.circuits.discovery.faithfulness import Curve, Ends, circuit_metric, curve, ends
from tomogram.circuits.discovery.intervals import intervals
from tomogram.circuits.discovery.nodes import exact_nodes
from tomogram.circuits.discovery.pairs import Pair
from tomogram.circuits.discovery.prune import ROUNDS, WANTED, prune
from tomogram.circuits.discovery.scores import EdgeScores, score
from tomogram.models.model import Model
from tomogram.store.schema import Estimate

FEWEST = 8
"""With fewer pairs than this none are kept back, and the result says so."""
SAMPLED = 100


@dataclass(frozen=True, slots=True)
class Settings:
    """How a circuit is searched.

    Args:
        method: how edges are scored (`scores.METHODS`).
        wanted: the faithfulness to reach on the searched pairs.
        limit: the largest share of edges a circuit may have.
        sampled: how many edges are patched exactly to check the scores.
        seed: decides which pairs are kept back and which edges are sampled.
        rounds: how often a circuit is gone through for edges that can be left out, in ever shorter
            runs; each round costs three times the one before.

    Raises:
        ValueError: wanted or limit is no share, or sampled or rounds is negative.
    """

    method: str = "conductance"
    wanted: float = WANTED
    limit: float = 1.0
    sampled: int = SAMPLED
    seed: int = 0
    rounds: int = ROUNDS

    def __post_init__(self) -> None:
        if (
            not 0 < self.wanted <= 1
            or not 0 < self.limit <= 1
            or min(self.sampled, self.rounds) < 0
        ):
            raise ValueError("wanted and limit are shares, sampled and rounds no less than 0")


@dataclass(frozen=True, eq=False)
class Discovery:
    """A behaviour's circuit with its proof.

    Args:
        scores: of all edges, on the searched pairs.
        kept: the circuit.
        faithfulness: of the circuit, on the pairs kept back (all pairs where there are few).
        ends: m(N) and m(∅) on those.
        held_out: how many pairs were kept back; 0 where there are few.
        curve: faithfulness by share of edges, on those.
        effects: measured effect on m of each edge of the circuit and of the sampled ones, pair by
            pair; 0 elsewhere.
        agreement: predicted against measured effect over a sample of edges; None without one.
        nodes: measured effect on m of patching each writer whole, pair by pair; None without a
            sample of edges.
    """

    scores: EdgeScores
    kept: Bool[np.ndarray, "writer reader"]
    faithfulness: Estimate
    ends: Ends
    held_out: int
    curve: Curve
    effects: Float[np.ndarray, "pair writer reader"]
    agreement: Agreement | None
    nodes: Float[np.ndarray, "pair writer"] | None = None

    @property
    def graph(self) -> EdgeGraph:
        """All edges the model has."""
        return self.scores.graph

    @property
    def share(self) -> float:
        """Share of the model's edges that the circuit has."""
        return float(self.kept.sum()) / self.graph.n_edges

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the interval of every edge's measured effect."""
        low, high = intervals(self.effects.reshape(len(self.effects), -1))
        return low.reshape(self.kept.shape), high.reshape(self.kept.shape)


def halves(pairs: Sequence[Pair], seed: int) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Pairs to search with and pairs to measure on; all pairs twice where there are few.

    Pairs that share a prompt stay on one side.
    """
    if len(pairs) < FEWEST:
        return tuple(pairs), tuple(pairs)
    groups: dict[tuple[int, ...], list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.clean, []).append(pair)
    order = list(groups.values())
    random.Random(f"halves:{seed}").shuffle(order)
    searched: list[Pair] = []
    while order and len(searched) < len(pairs) // 2:
        searched += order.pop()
    rest = tuple(pair for group in order for pair in group)
    return (tuple(searched), rest) if rest else (tuple(pairs), tuple(pairs))


def discover(
    model: Model,
    pairs: Sequence[Pair],
    settings: Settings | None = None,
    *,
    scores: EdgeScores | None = None,
) -> Discovery:
    """Find the circuit of a behaviour and measure it.

    Args:
        scores: of an earlier attempt on the same pairs; computed when None.

    Raises:
        TomogramError: there is no pair, no such method, or no behaviour in the pairs.
    """
    settings = settings or Settings()
    searched, rest = halves(pairs, settings.seed)
    return discover_on(model, searched, rest, settings, scores=scores)


def discover_on(
    model: Model,
    searched: Sequence[Pair],
    rest: Sequence[Pair],
    settings: Settings,
    *,
    scores: EdgeScores | None = None,
) -> Discovery:
    """Find a circuit on some pairs and measure it on others, or the same ones; see `discover`."""
    graph = edge_graph(model)
    if scores is None:
        ends(model, graph, searched)  # refuses pairs without a behaviour before any work
        scores = score(model, graph, searched, settings.method)
    found = prune(
        model,
        graph,
        searched,
        scores.strength,
        wanted=settings.wanted,
        limit=max(1, int(settings.limit * graph.n_edges)),
        rounds=settings.rounds,
    )
    both = ends(model, graph, rest)
    kept = circuit_metric(model, graph, rest, [found.kept])[0]
    drawn = sampled(scores, settings.sampled, settings.seed)
    effects = measured(model, graph, rest, found.kept | drawn)
    return Discovery(
        scores=scores,
        kept=found.kept,
        faithfulness=both.faithfulness(kept),
        ends=both,
        held_out=0 if tuple(rest) == tuple(searched) else len(rest),
        curve=curve(model, graph, rest, scores),
        effects=effects,
        agreement=agreement(scores.mean[drawn], effects.mean(0)[drawn]),
        nodes=exact_nodes(model, graph, rest) if settings.sampled else None,
    )
