"""Explain one decision: why a model says this next and not that, each cause measured.

The smallest changes of the prompt that change the answer are the counterfactuals. What carries the
difference is then found as for any behaviour, on some of the changes, and measured on the others:
the error of the explanation is what its circuit alone misses of the decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from tomogram.circuits.discovery.discover import Discovery, Settings, discover_on
from tomogram.circuits.discovery.edges import EdgeGraph, edge_graph
from tomogram.circuits.discovery.intervals import intervals
from tomogram.circuits.discovery.nodes import exact_nodes
from tomogram.circuits.discovery.pairs import Pair, token_ids
from tomogram.circuits.discovery.substitution import Change, changes
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Estimate

_PAIRS, _FEWEST = 16, 4
_EXACT_EDGES = 4_000
"""With more edges than this the search ranks them by a prediction."""


@dataclass(frozen=True, slots=True)
class Look:
    """Where a head looks from the last position: the position it weighs most, and how much."""

    position: int
    weight: float


@dataclass(frozen=True, slots=True)
class Cause:
    """A head or MLP, and what m loses when all it writes is that of the changed prompts.

    `looks` is None for an MLP and for the embeddings.
    """

    part: str
    effect: Estimate
    looks: Look | None


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why one answer and not the other.

    Args:
        tokens: the prompt.
        answer, other: what it says, and what it does not.
        probabilities: of both.
        change: the smallest change found that changes the answer; None where none was found.
        tried: how many changes were run.
        positions: for every position, m lost when its token is swapped, over the swaps that change
            the answer; only positions with such a swap.
        causes: parts of the circuit by falling size of their measured effect.
        circuit: the circuit and its proof; None where no change was found.
    """

    tokens: tuple[int, ...]
    answer: int
    other: int
    probabilities: tuple[float, float]
    difference: float
    change: Change | None
    tried: int
    positions: tuple[tuple[int, Estimate], ...]
    causes: tuple[Cause, ...]
    circuit: Discovery | None

    @property
    def error(self) -> Estimate | None:
        """Share of the decision that the circuit alone misses, |1 − f|."""
        if self.circuit is None:
            return None
        found = self.circuit.faithfulness
        ends = sorted((abs(1 - found.low), abs(1 - found.high)))
        low = 0.0 if found.low <= 1 <= found.high else ends[0]
        return Estimate(value=abs(1 - found.value), low=low, high=ends[1], n=found.n)


def explain(
    model: Model,
    prompt: str | Sequence[int],
    *,
    answer: int | None = None,
    other: int | None = None,
    seed: int = 0,
) -> Explanation:
    """Explain the next token after a prompt.

    Args:
        answer: the token to explain; the most probable when None.
        other: the token that it is explained against; the most probable other one when None.

    Raises:
        TomogramError: the prompt is empty or over the context, or both tokens are the same.
    """
    tokens = token_ids(model, prompt)
    model.check_tokens(torch.tensor([tokens], dtype=torch.long))
    with torch.no_grad():
        logits = model.run(torch.tensor([tokens])).logits
    assert logits is not None
    last = logits[0, -1].float()
    order = last.argsort(descending=True).tolist()
    answer = order[0] if answer is None else answer
    other = next(each for each in order if each != answer) if other is None else other
    if answer == other:
        raise TomogramError("An answer is explained against another token, not against itself.")
    chances = last.softmax(-1)
    swaps = changes(model, tokens, answer, other)
    flips = swaps.found if order[0] == answer else ()
    pairs = tuple(Pair(tokens, flip.tokens, answer, flip.says) for flip in flips)
    chosen = _spread(pairs, flips)
    circuit: Discovery | None = None
    causes: tuple[Cause, ...] = ()
    if chosen:
        graph = edge_graph(model)
        method = "exact" if graph.n_edges <= _EXACT_EDGES else "conductance"
        circuit = _discovered(model, chosen, Settings(method=method, sampled=0, seed=seed))
        causes = _causes(model, graph, tokens, chosen, circuit)
    return Explanation(
        tokens=tokens,
        answer=answer,
        other=other,
        probabilities=(float(chances[answer]), float(chances[other])),
        difference=float(last[answer] - last[other]),
        change=flips[0] if flips else None,
        tried=swaps.tried,
        positions=_positions(float(last[answer] - last[other]), flips),
        causes=causes,
        circuit=circuit,
    )


def _discovered(model: Model, pairs: Sequence[Pair], settings: Settings) -> Discovery:
    """Discover with every second pair, and measure on the others: all share their clean prompt."""
    if len(pairs) < _FEWEST:
        return discover_on(model, pairs, pairs, settings)
    return discover_on(model, pairs[::2], pairs[1::2], settings)


def _spread(pairs: Sequence[Pair], flips: Sequence[Change]) -> tuple[Pair, ...]:
    """At most a few pairs: of the smallest change's own positions first, so they tell of it."""
    if not flips:
        return ()
    own = flips[0].positions
    order = sorted(range(len(pairs)), key=lambda i: flips[i].positions != own)
    return tuple(pairs[i] for i in order[:_PAIRS])


def _positions(before: float, flips: Sequence[Change]) -> tuple[tuple[int, Estimate], ...]:
    """m lost by swapping each position alone, over the swaps that change the answer."""
    by_place: dict[int, list[float]] = {}
    for flip in flips:
        if len(flip.positions) == 1:
            by_place.setdefault(flip.positions[0], []).append(before - flip.difference)
    return tuple((place, _estimate(np.array(lost))) for place, lost in sorted(by_place.items()))


def _causes(
    model: Model, graph: EdgeGraph, tokens: tuple[int, ...], pairs: Sequence[Pair], found: Discovery
) -> tuple[Cause, ...]:
    effects = exact_nodes(model, graph, pairs)
    writers = np.flatnonzero(found.kept.any(1))
    looks = _looks(model, graph, tokens)
    causes = [
        Cause(graph.writers[w], _estimate(effects[:, w]), looks.get(graph.writers[w]))
        for w in writers
    ]
    return tuple(sorted(causes, key=lambda cause: -abs(cause.effect.value)))


@torch.no_grad()
def _looks(model: Model, graph: EdgeGraph, tokens: tuple[int, ...]) -> dict[str, Look]:
    sites = [Site("pattern", layer) for layer in range(graph.n_layers)]
    run = model.run(torch.tensor([tokens]), capture=sites, logits=False)
    found = {}
    for layer, site in enumerate(sites):
        weights, places = run[site][0, :, -1].max(-1)
        for head, (weight, place) in enumerate(zip(weights.tolist(), places.tolist(), strict=True)):
            found[f"a{layer}.h{head}"] = Look(place, weight)
    return found


def _estimate(values: Float[np.ndarray, " n"]) -> Estimate:
    low, high = intervals(np.asarray(values, np.float64)[:, None])
    return Estimate(
        value=float(values.mean()), low=float(low[0]), high=float(high[0]), n=len(values)
    )
