"""Edges: heads and MLPs as nodes, and which of them may read what which of them wrote.

The graph is that of edge attribution patching (Syed et al. 2023; Hanna et al. 2024, "Have Faith in
Faithfulness"): a node writes once to the residual stream, and a head reads it three times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

INPUT, LOGITS = "input", "logits"
ARROW = "->"


@dataclass(frozen=True)
class EdgeGraph:
    """Writers, readers and the possible edges between them.

    Writers are `input` (the embeddings), `a1.h0` (a head) and `m1` (an MLP). Readers are `a1.h0<q>`
    (the queries of a head), `a1.h0<k>` and `a1.h0<v>` (keys and values, of which query heads that
    share them have one), `m1` and `logits`.

    Args:
        heads, kv_heads: number of query heads and of key-value heads of every layer.
        parallel: for each layer, whether its MLP reads the same stream as its attention.

    Raises:
        ValueError: there is no layer, or key-value heads do not divide the query heads.
    """

    heads: int
    kv_heads: int
    parallel: tuple[bool, ...]

    def __post_init__(self) -> None:
        if not self.parallel or self.heads < 1 or self.kv_heads < 1 or self.heads % self.kv_heads:
            raise ValueError("an edge graph has layers, and query heads in whole groups")

    @property
    def n_layers(self) -> int:
        return len(self.parallel)

    @cached_property
    def writers(self) -> tuple[str, ...]:
        """Names of the writers in the order of the forward pass."""
        found = [INPUT]
        for layer in range(self.n_layers):
            found += [f"a{layer}.h{head}" for head in range(self.heads)] + [f"m{layer}"]
        return tuple(found)

    @cached_property
    def readers(self) -> tuple[str, ...]:
        """Names of the readers in the order of the forward pass."""
        found: list[str] = []
        for layer in range(self.n_layers):
            found += [f"a{layer}.h{head}<q>" for head in range(self.heads)]
            for kind in "kv":
                found += [f"a{layer}.h{head}<{kind}>" for head in range(self.kv_heads)]
            found.append(f"m{layer}")
        return (*found, LOGITS)

    def written_before(self, layer: int, *, mlp: bool = False) -> int:
        """How many writers come before a layer's attention, or before its MLP."""
        heads = self.heads if mlp and not self.parallel[layer] else 0
        return 1 + layer * (self.heads + 1) + heads

    def head_writers(self, layer: int) -> slice:
        """Places of a layer's heads among the writers."""
        start = self.written_before(layer)
        return slice(start, start + self.heads)

    def mlp_writer(self, layer: int) -> int:
        """Place of a layer's MLP among the writers."""
        return self.written_before(layer) + self.heads

    @property
    def reads(self) -> int:
        """How many readers a layer's attention has."""
        return self.heads + 2 * self.kv_heads

    def head_readers(self, layer: int) -> slice:
        """Places of a layer's queries, keys and values among the readers, in that order."""
        start = layer * (self.reads + 1)
        return slice(start, start + self.reads)

    def mlp_reader(self, layer: int) -> int:
        """Place of a layer's MLP among the readers."""
        return self.head_readers(layer).stop

    @cached_property
    def possible(self) -> Bool[np.ndarray, "writer reader"]:
        """Which edges there can be: a reader sees all that was written before it."""
        found = np.zeros((len(self.writers), len(self.readers)), bool)
        for layer in range(self.n_layers):
            found[: self.written_before(layer), self.head_readers(layer)] = True
            found[: self.written_before(layer, mlp=True), self.mlp_reader(layer)] = True
        found[:, -1] = True
        return found

    @property
    def n_edges(self) -> int:
        """Number of possible edges."""
        return int(self.possible.sum())

    def name(self, writer: int, reader: int) -> str:
        """An edge as `a0.h1->m2`."""
        return f"{self.writers[writer]}{ARROW}{self.readers[reader]}"

    def place(self, name: str) -> tuple[int, int]:
        """Writer and reader of a named edge.

        Raises:
            TomogramError: the graph has no such edge.
        """
        writer, _, reader = name.partition(ARROW)
        if writer in self.writers and reader in self.readers:
            found = self.writers.index(writer), self.readers.index(reader)
            if self.possible[found]:
                return found
        raise TomogramError(f"The model has no edge '{name}'.")

    def mask(self, names: Sequence[str]) -> Bool[np.ndarray, "writer reader"]:
        """Named edges as a mask. Raises TomogramError for an edge the graph lacks."""
        found = np.zeros_like(self.possible)
        for name in names:
            found[self.place(name)] = True
        return found

    def writer_of(self, reader: int) -> int | None:
        """The writer that a reader is the input of; None for the logits."""
        layer, place = divmod(reader, self.reads + 1)
        if layer == self.n_layers:
            return None
        if place == self.reads:
            return self.mlp_writer(layer)
        group = self.heads // self.kv_heads
        # A shared key or value belongs to the first query head of its group.
        kv = (place - self.heads) % self.kv_heads * group
        return self.head_writers(layer).start + (place if place < self.heads else kv)

    def heads_reading(self, reader: int) -> tuple[int, ...]:
        """The writers whose output a reader can change: every head that shares a key or value."""
        writer = self.writer_of(reader)
        if writer is None:
            return ()
        _, place = divmod(reader, self.reads + 1)
        shared = self.heads <= place < self.reads
        return tuple(range(writer, writer + (self.heads // self.kv_heads if shared else 1)))


@torch.no_grad()
def edge_graph(model: Model) -> EdgeGraph:
    """The edge graph of a model; key-value heads are counted on one token."""
    site = Site("head_k", 0)
    keys = model.run(torch.zeros(1, 1, dtype=torch.long), capture=[site], logits=False)[site]
    parallel = tuple(block.parallel for block in model.wiring.blocks)
    return EdgeGraph(model.n_heads, keys.shape[2], parallel)
