"""True edges: which edges of a transformer of known parts carry what depends on the prompt.

An edge is true when its writer writes into a dimension that its reader reads, what is written there
depends on the tokens, and what the reader makes of it reaches the logits. Followed through the
matrices entry by entry, forwards for what depends on the tokens and backwards for what is used, so
it holds for every prompt and needs no run. Dimensions must not be mixed: the parts are those of
compiled and hand-made models, whose dimensions each mean one thing.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.circuits.known.parts import Layer, Parts

_ZERO = 1e-7
Dims = Bool[np.ndarray, " d"]


def true_edges(parts: Parts, graph: EdgeGraph, *, opening: int = 0) -> np.ndarray:
    """The mask of true edges.

    Args:
        opening: the token that opens every prompt, and so depends on nothing.
    """
    writes = _depending(parts, opening)
    truth = np.zeros_like(graph.possible)
    # Of every writer: the dimensions of what it writes that somebody uses.
    used = np.zeros((len(graph.writers), parts.width), bool)

    def join(reader: int, reads: Dims) -> None:
        for writer in graph.possible[:, reader].nonzero()[0]:
            shared = writes[writer] & reads
            if shared.any():
                truth[writer, reader] = True
                used[writer] |= shared

    join(len(graph.readers) - 1, _rows(parts.unembed))
    for number in reversed(range(graph.n_layers)):
        layer = parts.layers[number]
        mlp = graph.mlp_writer(number)
        hidden = np.abs(layer.out[:, used[mlp]]).max(1, initial=0) > _ZERO
        join(graph.mlp_reader(number), _rows(layer.into[:, hidden]))
        for head in range(graph.heads):
            wanted = used[graph.head_writers(number).start + head]
            if not wanted.any():
                continue
            mixed = np.abs(layer.output[head][:, wanted]).max(1, initial=0) > _ZERO
            start = graph.head_readers(number).start
            queries, keys = _scores(layer, head)
            places = (start + head + kind * graph.heads for kind in range(3))
            for place, reads in zip(
                places, (queries, keys, _rows(layer.value[head][:, mixed])), strict=True
            ):
                join(place, reads)
    return truth


def _depending(parts: Parts, opening: int) -> np.ndarray:
    """For each writer the dimensions in which what it writes depends on the tokens."""
    rest = np.delete(parts.embed, opening, axis=0)
    stream: Dims = np.ptp(rest, axis=0) > _ZERO
    found = [stream.copy()]
    for layer in parts.layers:
        heads = []
        for head in range(len(layer.query)):
            queries, keys = _scores(layer, head)
            moved = (stream & (queries | keys)).any()
            through = np.abs(layer.value[head][stream]).max(0, initial=0) > _ZERO
            if moved:
                # Where it looks depends on the tokens, so all it moves does.
                through = np.abs(layer.value[head]).max(0) + np.abs(layer.value_bias[head]) > _ZERO
            heads.append(np.abs(layer.output[head][through]).max(0, initial=0) > _ZERO)
        found += heads
        for each in heads:
            stream = stream | each
        hidden = np.abs(layer.into[stream]).max(0, initial=0) > _ZERO
        found.append(np.abs(layer.out[hidden]).max(0, initial=0) > _ZERO)
        stream = stream | found[-1]
    return np.stack(found)


def _scores(layer: Layer, head: int) -> tuple[Dims, Dims]:
    """Dimensions that a head's queries and keys read in a way that reaches its scores."""
    query, key = layer.query[head], layer.key[head]
    asked = np.abs(query).max(0) + np.abs(layer.query_bias[head]) > _ZERO
    offered = np.abs(key).max(0) + np.abs(layer.key_bias[head]) > _ZERO
    return _rows(query[:, offered]), _rows(key[:, asked])


def _rows(matrix: np.ndarray) -> Dims:
    found: np.ndarray = np.abs(matrix).max(1, initial=0) > _ZERO
    return found
