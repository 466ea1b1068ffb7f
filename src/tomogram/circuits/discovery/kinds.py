"""Kinds of documents: a tree of documents by what the stream holds in them.

What a model does depends on what kind of text it is in, and predictions of one kind of document
belong together however different they are. Documents are described by their mean stream, whitened
so that a rare kind counts as much as a frequent difference, and joined bottom up (Ward 1963). Nodes
of the tree that stand out are those that stay the same over a long part of the way up, or that are
joined to others last.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import linkage

FEWEST = 10
"""Documents that a kind has at least."""
_COMPONENTS = 20


def kinds(
    described: Float[np.ndarray, "document d"], *, fewest: int = FEWEST
) -> list[Int[np.ndarray, " n"]]:
    """Groups of documents, those that stand out most first; all documents are the last.

    A group lasts by the share of its way up to its parent over which it stays as it is, times the
    logarithm of its size. After every two groups that last there comes one by the height at which
    it is joined to another, which finds the large ones.
    """
    n = len(described)
    everything = np.arange(n)
    if n < 2 * fewest:
        return [everything]
    tree = linkage(_whitened(described), "ward")
    members = [everything[i : i + 1] for i in range(n)]
    height, parent = np.zeros(2 * n - 1), np.zeros(2 * n - 1)
    for place, (one, other, distance, _) in enumerate(tree):
        members.append(np.concatenate([members[int(one)], members[int(other)]]))
        height[n + place] = distance
        parent[[int(one), int(other)]] = distance
    inner = [i for i in range(n, 2 * n - 2) if len(members[i]) >= fewest and parent[i] > 0]
    worth = {i: (1 - height[i] / parent[i]) * np.log(len(members[i])) for i in inner}
    lasting = sorted(inner, key=lambda i: -worth[i])
    order: dict[int, None] = {}
    for place, late in enumerate(sorted(inner, key=lambda i: -parent[i])):
        order |= dict.fromkeys([*lasting[2 * place : 2 * place + 2], late])
    return [np.sort(members[i]) for i in order] + [everything]


def _whitened(described: Float[np.ndarray, "document d"]) -> Float[np.ndarray, "document c"]:
    """The strongest principal components, each with the same variance."""
    centred = described - described.mean(0)
    scores, size, _ = np.linalg.svd(centred, full_matrices=False)
    kept = min(_COMPONENTS, int((size > size[:1] * 1e-6).sum()))
    found: np.ndarray = scores[:, :kept]
    return found
