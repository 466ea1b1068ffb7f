"""Heads: through which attention heads an edge ran, and from which token to which.

An edge between two positions is a sum over the heads that carried it. What runs through a head is
what the source adds to the head's mixed values, times the direction of them that the target reads:
both are linear with patterns and denominators held, so this needs no further run of the model. An
edge that runs through two heads in a row counts in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.circuits.graph.attention import Route
from tomogram.circuits.graph.carry import of_nodes
from tomogram.circuits.graph.checks import readings
from tomogram.circuits.graph.experiments import AT_ONCE
from tomogram.circuits.graph.trace import Traced

MOST = 3
_LEAST_SHARE = 0.05
_SOURCES = 64


@torch.no_grad()
def amounts(
    traced: Traced, pairs: Sequence[tuple[int, int]]
) -> Float[np.ndarray, "edges layers heads"]:
    """Of each edge (source, target), how much ran through each head."""
    blocks = traced.linear.frozen.blocks
    found = np.zeros((len(pairs), len(blocks), len(blocks[0].attention.outputs)))
    for edges, sources, targets, layer, g, pre in _meetings(traced, pairs):
        attention = blocks[layer].attention
        for head in range(found.shape[2]):
            mixed = attention.mixed(pre, head)[: len(g)]
            read = g @ attention.outputs[head].T
            through = torch.einsum("qnz,qmz->nm", read, mixed)
            found[edges, layer, head] = through[targets, sources].cpu().numpy()
    return found


@torch.no_grad()
def routes(
    traced: Traced, pairs: Sequence[tuple[int, int]], *, most: int = MOST
) -> list[tuple[Route, ...]]:
    """Of each edge (source, target), the heads that carried most of it, the largest first.

    A head that carried less than a twentieth of the edge is left out.
    """
    blocks = traced.linear.frozen.blocks
    through = amounts(traced, pairs)
    weights = np.abs([float(traced.graph.edges[[t], [s]].item()) for s, t in pairs])
    flat = np.abs(through).reshape(len(pairs), -1)
    wanted = np.zeros_like(flat, dtype=bool)
    if flat.size:
        best = np.argsort(-flat, axis=1)[:, :most]
        np.put_along_axis(wanted, best, True, axis=1)
        wanted &= flat > _LEAST_SHARE * np.maximum(weights, flat.max(1))[:, None]
    wanted = wanted.reshape(through.shape)
    found: list[list[Route]] = [[] for _ in pairs]
    for edges, sources, targets, layer, g, pre in _meetings(traced, pairs):
        attention = blocks[layer].attention
        shared = len(attention.pattern) // attention.values.shape[1]
        for edge, source, target in zip(edges, sources, targets, strict=True):
            for head in np.flatnonzero(wanted[edge, layer]):
                read = g[:, target] @ attention.outputs[head].T
                held = pre[: len(g), source] @ attention.values[:, head // shared]
                places = attention.pattern[head, : len(g), : len(g)] * (read @ held.T)
                query, key = divmod(int(places.abs().argmax()), len(g))
                amount = float(through[edge, layer, head])
                found[edge].append(Route(layer, int(head), query, key, amount))
    return [tuple(sorted(each, key=lambda route: -abs(route.amount))) for each in found]


_Meeting = tuple[
    Int[np.ndarray, " edges"], Int[np.ndarray, " edges"], Int[np.ndarray, " edges"],
    int, Float[Tensor, "pos n d_model"], Float[Tensor, "pos m d_model"],
]  # fmt: skip


def _meetings(traced: Traced, pairs: Sequence[tuple[int, int]]) -> Iterator[_Meeting]:
    """At each layer: edges, their columns among sources and targets, the directions that the
    targets read of what attention adds there, and what the sources add to the stream before it."""
    sources, targets = (np.array([pair[i] for pair in pairs], int) for i in (0, 1))
    every = np.unique(sources)
    places = (2 * len(traced.linear.frozen.blocks) + 1) * traced.linear.frozen.like.numel()
    size = max(1, min(_SOURCES, AT_ONCE // places))
    for start in range(0, len(every), size):
        some = every[start : start + size]
        streams = list(of_nodes(traced, some.tolist()))
        mine = np.isin(sources, some)
        for reading, nodes in readings(traced, np.unique(targets[mine])):
            edges = np.flatnonzero(mine & np.isin(targets, nodes))
            columns = np.searchsorted(some, sources[edges])
            order = np.argsort(nodes)
            rows = order[np.searchsorted(nodes, targets[edges], sorter=order)]
            at: dict[int, Tensor] = {}
            traced.linear.rows(reading, at_attention=at.__setitem__)
            for layer, g in at.items():
                yield edges, columns, rows, layer, g, streams[2 * layer]
