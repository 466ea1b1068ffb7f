"""Checks: measure a sample of a graph's edges, and its top paths, by interventions.

Edges are drawn evenly from the deciles of their predicted effect among the edges that pruning
keeps, without those that run along the residual stream alone: those cannot be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int

from tomogram.circuits.graph.experiments import AT_ONCE, Experiment, Held, responses
from tomogram.circuits.graph.faithful import faithfulness
from tomogram.circuits.graph.graph import FEATURE, Graph
from tomogram.circuits.graph.live import derivatives, steps
from tomogram.circuits.graph.paths import path_effect, top_paths, total_effects
from tomogram.circuits.graph.proof import Agreement, Checked, Proof, agreement
from tomogram.circuits.graph.rows import Reading
from tomogram.circuits.graph.scores import prune
from tomogram.circuits.graph.trace import Traced

EDGES, PATHS = 100, 10
_DECILES = 10
# An edge of which less than this share runs through heads is one of the residual stream alone.
_THROUGH_HEADS = 0.01
_LARGEST_FACTOR = 1e4
_ROWS = 32
_LIVE: tuple[Held, ...] = ("direct", "nothing")


def check(traced: Traced, *, edges: int = EDGES, paths: int = PATHS, seed: int = 0) -> Traced:
    """The same graph with its proof: predicted and measured effects.

    Each edge is measured by taking away what its source writes. *Frozen*: patterns, denominators
    and MLPs held, the change scaled to the size of what enters the target, which a linear map
    allows and rounding asks for; this is exactness. *Direct*: MLPs held, attention and norms live.
    *Total*: the original model, nothing held, against the sum over all paths of the graph. *Live*:
    the last two once more, against derivatives that let attention and norms answer, taking away no
    more than a quarter of the stream (`live.steps`). A path is measured edge by edge, each unit
    passing on the change that it showed.

    Args:
        edges: how many edges; fewer where there are not as many. paths: how many paths.
    """
    graph = traced.graph
    sample = sampled_edges(traced, edges, seed=seed)
    checked = _edges(traced, sample)
    pruned = prune(graph)
    found = [_path(traced, path) for path in top_paths(graph, count=paths, edges=pruned.edges)]
    proof = Proof(
        edges=tuple(checked),
        paths=tuple(found),
        frozen=agreement([c.predicted for c in checked], [c.frozen for c in checked]),
        direct=agreement([c.predicted for c in checked], [c.direct for c in checked]),
        total=agreement(
            [c.total_predicted or 0.0 for c in checked], [c.total or 0.0 for c in checked]
        ),
        along_paths=agreement([c.predicted for c in found], [c.direct for c in found]),
        direct_live=_live(checked, "direct"),
        total_live=_live(checked, "total"),
        unaccounted=_unaccounted(graph),
        whole=faithfulness(traced, pruned),
    )
    return replace(traced, graph=replace(graph, proof=proof))


def sampled_edges(traced: Traced, count: int, *, seed: int = 0) -> Int[np.ndarray, "m 2"]:
    """Pairs (source, target) of kept edges, evenly over the deciles of their absolute weight."""
    graph = traced.graph
    kept = prune(graph).edges.tocoo()
    targets, sources, weights = kept.coords[0], kept.coords[1], np.abs(kept.data)
    along = np.abs(_residual_only(traced, sources, targets) - kept.data)
    through = along >= _THROUGH_HEADS * weights
    targets, sources, weights = targets[through], sources[through], weights[through]
    order = np.argsort(weights, kind="stable")
    generator = np.random.default_rng(seed)
    chosen = []
    for number, decile in enumerate(np.array_split(order, _DECILES)):
        share = count // _DECILES + (number < count % _DECILES)
        chosen.append(generator.permutation(decile)[:share])
    taken = np.concatenate(chosen)
    return np.stack([sources[taken], targets[taken]], 1)


def _residual_only(
    traced: Traced, sources: Int[np.ndarray, " m"], targets: Int[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """The part of each edge that runs through no head."""
    graph, linear = traced.graph, traced.linear
    found = np.zeros(len(sources))
    same = graph.nodes.position[sources] == graph.nodes.position[targets]
    for reading, nodes in readings(traced, np.unique(targets[same])):
        edges, _ = linear.rows(reading, attention={})
        for column, target in enumerate(nodes):
            mine = np.flatnonzero(same & (targets == target))
            places = torch.from_numpy(traced.sources[sources[mine]]).to(edges.device)
            found[mine] = edges[places, column].cpu().numpy()
    return found


def readings(
    traced: Traced, nodes: Int[np.ndarray, " m"]
) -> Iterator[tuple[Reading, Int[np.ndarray, " some"]]]:
    """Readings of some nodes with a row, few of one depth at a time, and which nodes they are."""
    linear, first = traced.linear, traced.graph.targets.start
    size = max(1, min(_ROWS, AT_ONCE // linear.n_sources))
    for start in range(0, len(aims := nodes[nodes >= first]), size):
        some = aims[start : start + size]
        reading = traced.aim.reading
        chosen = torch.from_numpy(some - first).to(linear.frozen.like.device)
        yield reading.at(chosen), some
    units = nodes[nodes < first]
    sources = traced.sources[units]
    for number in range(len(linear.explained.groups)):
        begin, end = linear.offsets[number], linear.offsets[number + 1]
        mine = np.flatnonzero((sources >= begin) & (sources < end))
        for start in range(0, len(mine), size):
            some = mine[start : start + size]
            chosen = torch.from_numpy(sources[some] - begin).to(linear.frozen.like.device)
            yield linear.reading(number, chosen), units[some]


def _edges(traced: Traced, sample: Int[np.ndarray, "m 2"]) -> list[Checked]:
    if not len(sample):
        return []
    graph = traced.graph
    predicted = np.array([float(graph.edges[[t], [s]].item()) for s, t in sample])
    sources, where = np.unique(sample[:, 0], return_inverse=True)
    totals = total_effects(graph, sources)[sample[:, 1], where]
    mass = np.asarray(abs(graph.edges).sum(1)).ravel()[sample[:, 1]]
    scale = np.clip(mass / np.abs(predicted), 1, _LARGEST_FACTOR)
    frozen = _effects(traced, sample, "frozen", scale)
    ones = np.ones(len(sample))
    direct, total = (_effects(traced, sample, held, ones) for held in ("direct", "nothing"))
    pairs = [(int(s), int(t)) for s, t in sample]
    within = np.array(steps(traced, [[each] for each in sources.tolist()]))[where]
    live = [
        numbers
        for held in _LIVE
        for numbers in (derivatives(traced, pairs, held), _effects(traced, sample, held, within))
    ]
    return [
        Checked(pair, *map(float, numbers))
        for pair, *numbers in zip(
            pairs, predicted, frozen, direct, totals, total, *live, within, strict=True
        )
    ]


def _effects(
    traced: Traced, sample: Int[np.ndarray, "m 2"], held: Held, scale: Float[np.ndarray, " m"]
) -> list[float]:
    """What each source adds to its target, by taking `scale` times what it writes away."""
    asked = [Experiment(int(s), int(t), -float(f)) for (s, t), f in zip(sample, scale, strict=True)]
    found = responses(traced, asked, held)
    return [value / each.factor for value, each in zip(found, asked, strict=True)]


def _live(checked: Sequence[Checked], what: str) -> Agreement | None:
    return agreement(
        [getattr(each, f"{what}_slope") for each in checked],
        [getattr(each, f"{what}_live") for each in checked],
    )


def _path(traced: Traced, path: tuple[int, ...]) -> Checked:
    graph = traced.graph
    measured = []
    for held in ("frozen", "direct"):
        factor = -1.0
        change = 0.0
        for source, target in pairwise(path):
            change = responses(traced, [Experiment(source, target, factor)], held)[0]
            value = float(graph.nodes.value[target])
            if held == "direct" and graph.nodes.kind[target] == FEATURE:
                # A feature cannot fire less than not at all.
                change = max(change, -value)
            factor = change / value if value else 0.0
        measured.append(-change)
    return Checked(path, path_effect(graph, path), *measured)


def _unaccounted(graph: Graph) -> float:
    """The largest miss of a node, as a share of what enters it or the mean node."""
    rows = graph.has_row
    mass = np.asarray(abs(graph.edges).sum(1)).ravel() + graph.omitted_mass + np.abs(graph.bias)
    if not rows.any():
        return 0.0
    return float(
        (np.abs(graph.unaccounted())[rows] / np.maximum(mass[rows], mass[rows].mean())).max()
    )


def share_through_heads(traced: Traced, pairs: Sequence[tuple[int, int]]) -> list[float]:
    """Of each edge (source, target), the share that runs through heads."""
    sources, targets = (np.array([pair[i] for pair in pairs], int) for i in (0, 1))
    alone = _residual_only(traced, sources, targets)
    weights = np.array([float(traced.graph.edges[[t], [s]].item()) for s, t in pairs])
    return [float((w - a) / w) if w else 0.0 for w, a in zip(weights, alone, strict=True)]
