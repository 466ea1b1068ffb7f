"""Attended: a graph with what its heads did, and why they looked where they did."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np

from tomogram.circuits.graph.heads import routes
from tomogram.circuits.graph.qk import look, looks_agree
from tomogram.circuits.graph.scores import Pruned
from tomogram.circuits.graph.trace import Traced

EDGES, LOOKS = 1_000, 6


def attended(traced: Traced, pruned: Pruned, *, edges: int = EDGES, looks: int = LOOKS) -> Traced:
    """The same graph with the heads of its most important kept edges, and why they looked.

    An edge is as important as its target's influence times its share of what enters the target;
    a place where a head looked is as important as the edges, or parts of edges, it carried.

    Args:
        edges: how many edges are told by heads. looks: how many places are explained.
    """
    graph = traced.graph
    kept = pruned.edges.tocoo()
    targets, sources = kept.coords
    mass = np.asarray(abs(graph.edges).sum(1)).ravel()
    worth = pruned.influence.copy()
    worth[graph.targets.start :] = graph.weights
    scale = (worth / np.maximum(mass, 1e-30))[targets]
    best = np.argsort(-scale * np.abs(kept.data), kind="stable")[:edges]
    pairs = [(int(sources[i]), int(targets[i])) for i in best]
    found = routes(traced, pairs)
    carried: dict[tuple[int, int, int, int], float] = defaultdict(float)
    for number, each in zip(best, found, strict=True):
        for route in each:
            if route.key < route.query:
                place = (route.layer, route.head, route.query, route.key)
                carried[place] += float(scale[number]) * abs(route.amount)
    places = sorted(carried, key=lambda place: -carried[place])[:looks]
    told = tuple(look(traced, *place) for place in places)
    proof = graph.proof
    if proof is not None:
        frozen, direct = looks_agree(told)
        proof = replace(proof, looks_frozen=frozen, looks_direct=direct)
    ran = {pair: each for pair, each in zip(pairs, found, strict=True) if each}
    return replace(traced, graph=replace(graph, proof=proof, routes=ran, looks=told))
