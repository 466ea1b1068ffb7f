"""Supernodes: units of one token that do the same, proposed as one node for a person to edit.

Two units do the same as far as the same sources drive them and they drive the same nodes: the mean
of the cosines of their incoming and of their outgoing edges. Units at one position are grouped by
average linkage.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_array
from scipy.spatial.distance import squareform

from tomogram.circuits.graph.graph import FEATURE, NEURON, Graph, Supernode
from tomogram.circuits.graph.scores import Pruned
from tomogram.store.errors import TomogramError

SIMILAR = 0.5
_MOST = 400
"""Units of one position that are compared; the most influential of them."""


def propose(graph: Graph, pruned: Pruned, *, similar: float = SIMILAR) -> tuple[Supernode, ...]:
    """Groups of kept units, those of earlier positions first.

    Args:
        similar: least mean similarity of two groups that become one, from 0 to 1.

    Raises:
        TomogramError: the similarity is not between 0 and 1.
    """
    if not 0 < similar <= 1:
        raise TomogramError("Supernodes need a similarity between 0 and 1.")
    units = np.flatnonzero(pruned.nodes & graph.nodes.of(FEATURE, NEURON))
    found = []
    for position in np.unique(graph.nodes.position[units]):
        here = units[graph.nodes.position[units] == position]
        here = np.sort(here[np.argsort(-pruned.influence[here], kind="stable")][:_MOST])
        if len(here) < 2:
            continue
        distance = 1 - (_alike(pruned.edges[here]) + _alike(pruned.edges[:, here].T)) / 2
        np.fill_diagonal(distance, 0)
        tree = linkage(squareform(distance.clip(0), checks=False), "average")
        numbers = fcluster(tree, 1 - similar, "distance")
        for number in np.unique(numbers):
            nodes = here[numbers == number]
            if len(nodes) > 1:
                found.append(Supernode(_label(graph, nodes), tuple(map(int, nodes))))
    return tuple(found)


def between(
    graph: Graph, edges: csr_array, groups: Sequence[Sequence[int]]
) -> Float[np.ndarray, "groups groups"]:
    """What each group of nodes adds to each other one directly: the sum of the edges, [to from]."""
    n = len(graph.nodes)
    rows = np.concatenate([np.full(len(each), i) for i, each in enumerate(groups)])
    columns = np.concatenate([np.array(each, int) for each in groups])
    member = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(groups), n))
    found: np.ndarray = (member @ edges @ member.T).toarray()
    return found


def _alike(profiles: csr_array) -> Float[np.ndarray, "n n"]:
    dense = profiles.toarray().astype(np.float64)
    size = np.linalg.norm(dense, axis=1, keepdims=True)
    # A unit without edges is like no other.
    unit = np.divide(dense, size, out=np.zeros_like(dense), where=size > 0)
    found: np.ndarray = unit @ unit.T
    return found


def _label(graph: Graph, nodes: Int[np.ndarray, " n"]) -> str:
    position, layers = int(graph.nodes.position[nodes[0]]), graph.nodes.layer[nodes]
    first, last = int(layers.min()), int(layers.max())
    where = f"{first}" if first == last else f"{first}–{last}"
    word = graph.spelled[position].strip()
    effect = graph.edges[[graph.targets.start]].toarray()[0][nodes]
    sign = "for" if effect.sum() > 0 else "against"
    clear = abs(effect.sum()) > 0.5 * np.abs(effect).sum() > 0
    aim = f" {sign} “{graph.labels[0].strip()}”" if clear else ""
    return f"“{word}” {position}, layer {where}{aim}"
