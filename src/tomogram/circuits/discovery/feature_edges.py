"""Feature edges: what the features of a circuit add to one another, over many prompts.

On each prompt the edges are those of its attribution graph (`circuits.graph`): exact under held
attention patterns and denominators. Over prompts they are added up span by span and averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.circuits.discovery.feature_nodes import FeatureNodes
from tomogram.circuits.discovery.intervals import intervals
from tomogram.circuits.discovery.pairs import Pair, batches
from tomogram.circuits.discovery.spans import BEFORE, CHANGED, SPANS, spans
from tomogram.circuits.graph.frozen import freeze
from tomogram.circuits.graph.rows import Linear, Reading
from tomogram.circuits.graph.targets import Difference, aim
from tomogram.circuits.graph.units import Features, explain
from tomogram.models.model import Model
from tomogram.store.progress import task


@dataclass(frozen=True, eq=False)
class FeatureEdges:
    """Edges of a circuit.

    Args:
        kept: its nodes. by_pair: what each source adds to each node's value (to its activation; to
            the metric in the last row): sources are the tokens of each span, then the nodes.
    """

    kept: Int[np.ndarray, " kept"]
    by_pair: Float[np.ndarray, "pair to from"]

    @property
    def mean(self) -> Float[np.ndarray, "to from"]:
        """Mean over prompts."""
        found: np.ndarray = self.by_pair.mean(0)
        return found

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the 95 % interval of every edge's mean, over prompts."""
        low, high = intervals(self.by_pair.reshape(len(self.by_pair), -1))
        return low.reshape(self.mean.shape), high.reshape(self.mean.shape)

    def source(self, nodes: FeatureNodes, number: int) -> str:
        """The name of a source."""
        if number < len(SPANS):
            return f"tokens {SPANS[number]}"
        return nodes.name(int(self.kept[number - len(SPANS)]))

    def target(self, nodes: FeatureNodes, number: int) -> str:
        """The name of what is added to."""
        return "the answer" if number == len(self.kept) else nodes.name(int(self.kept[number]))


@torch.no_grad()
def feature_edges(
    model: Model, nodes: FeatureNodes, pairs: Sequence[Pair], kept: Int[np.ndarray, " kept"]
) -> FeatureEdges:
    """Edges between some nodes, from tokens and into the metric, on the clean prompts of pairs.

    An error is a source alone: nothing is said of what makes it.
    """
    found = np.zeros((len(pairs), len(kept) + 1, len(SPANS) + len(kept)), np.float32)
    with task("drawing edges", total=len(pairs), unit="prompts") as progress:
        for row, pair in enumerate(pairs):
            found[row] = _drawn(model, nodes, pair, kept)
            progress.advance()
    return FeatureEdges(kept, found)


def _drawn(
    model: Model, nodes: FeatureNodes, pair: Pair, kept: Int[np.ndarray, " kept"]
) -> Float[np.ndarray, "to from"]:
    (batch,) = batches([pair], device=model.device)
    length = int(batch.position[0]) + 1
    span = spans(batch)[0, :length]
    frozen = freeze(model, batch.clean[0, :length])
    own = tuple(dictionary for _, dictionary in nodes.transcoders)
    linear = Linear(frozen, explain(model, frozen, own))
    of_source = _numbers(nodes, linear, span, kept)
    found = np.zeros((len(kept) + 1, len(SPANS) + len(kept)), np.float32)

    def add(reading: Reading, to: Int[np.ndarray, " n"]) -> None:
        edges, _ = linear.rows(reading)
        mine = of_source >= 0
        rows = edges[torch.from_numpy(mine).to(edges.device)].cpu().numpy()
        # Several positions of a span are one node.
        np.add.at(found, (to[None, :], of_source[mine][:, None]), rows)

    goal = aim(model, linear, Difference(pair.answer, pair.other))
    add(goal.reading, np.array([len(kept)]))
    for number in range(len(linear.explained.groups)):
        first, last = linear.offsets[number], linear.offsets[number + 1]
        wanted = np.flatnonzero(of_source[first:last] >= 0)
        if len(wanted):
            chosen = torch.from_numpy(wanted).to(frozen.like.device)
            add(linear.reading(number, chosen), of_source[first + wanted] - len(SPANS))
    return found


def _numbers(
    nodes: FeatureNodes, linear: Linear, span: Int[Tensor, " pos"], kept: Int[np.ndarray, " kept"]
) -> Int[np.ndarray, " sources"]:
    """Which source of the circuit each source of a prompt's graph is; -1 for none."""
    place = np.full(len(nodes), -1, np.int64)
    place[kept] = len(SPANS) + np.arange(len(kept))
    spans_ = span.cpu().numpy()
    found = np.full(linear.n_sources, -1, np.int64)

    def node(number: int, latents: np.ndarray, at: np.ndarray) -> np.ndarray:
        spanned = spans_[at]
        own = (spanned - CHANGED) * nodes.a_span + nodes.offsets[number] + latents
        return np.where(spanned == BEFORE, -1, place[np.maximum(own, 0)])

    layers = {layer: number for number, (layer, _) in enumerate(nodes.transcoders)}
    for number, group in enumerate(linear.explained.groups):
        if isinstance(group, Features):
            first, last = linear.offsets[number], linear.offsets[number + 1]
            units, at = group.unit.cpu().numpy(), group.at.cpu().numpy()
            found[first:last] = node(layers[group.layer], units, at)
    every = np.arange(len(spans_))
    for layer, number in layers.items():
        first = linear.n_units + layer * len(spans_)
        error = np.full(len(spans_), nodes.transcoders[number][1].d_dict)
        found[first : first + len(spans_)] = node(number, error, every)
    # Learned positions are given, like tokens.
    first = linear.n_units + len(linear.frozen.blocks) * len(spans_)
    found[first:] = np.tile(spans_, len(linear.frozen.embeds))
    return found
