"""Trace: draw the attribution graph of a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from torch import Tensor

from tomogram.circuits.graph.frozen import freeze
from tomogram.circuits.graph.graph import (
    ERROR,
    KINDS,
    POSITION,
    TARGET,
    TOKEN,
    Graph,
    Nodes,
)
from tomogram.circuits.graph.rows import Linear, Reading
from tomogram.circuits.graph.targets import Aim, Likely, Target, aim, spell_one
from tomogram.circuits.graph.units import explain
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError
from tomogram.text.packing import tokenize

_ROUNDS = 8
"""How often the ranking of units is made anew while rows are added."""
_EDGE_BYTES = 16
"""An edge is a column and a value; it is there twice while the matrix is made of the rows."""
_FEWEST, _PLACES = 24, 768
"""Rows carried at once: so many, or of a short prompt so many times its tokens. Rows are sorted by
position and what lies behind the last one of a batch is left out, so small batches leave out more;
they are as large as the matrix products need."""


@dataclass(frozen=True)
class Limits:
    """How large a graph may become.

    Args:
        nodes: units with a row of their own; the most influential are taken.
        memory: bytes for the edges and for the rows in work, half for each. Beside them are the
            model, what it computed on the prompt, and what its active units write. While units are
            ranked, edges from those that have no row yet are kept as well.
    """

    nodes: int = 4_096
    memory: int = 1 << 30

    def __post_init__(self) -> None:
        if self.nodes < 0 or self.memory < 1 << 20:
            raise TomogramError("A graph needs no fewer than 0 nodes and 1 MiB of memory.")


@dataclass(frozen=True, eq=False)
class Traced:
    """A graph with the linear model it was read from, for whoever asks further questions of it.

    sources: the number in `linear` of each node but the targets.
    """

    graph: Graph
    model: Model
    linear: Linear
    aim: Aim
    sources: Int[np.ndarray, " n"]


@torch.no_grad()
def trace(
    model: Model,
    prompt: str | Sequence[int],
    target: Target | None = None,
    dictionaries: Sequence[Dictionary] | None = None,
    *,
    limits: Limits | None = None,
    dtype: torch.dtype = torch.float32,
) -> Traced:
    """Draw the attribution graph of a prompt (Ameisen et al. 2025, "Circuit Tracing").

    Attention patterns and norm denominators are held as they are on the prompt. Nodes are the
    firing latents of transcoders, in layers without one the MLP's neurons by the frozen ratio of
    relevance propagation (`neurons`), the errors that are left, embeddings and targets.

    Args:
        prompt: a text, opened by the token that opens documents, or token ids as they are.
        target: what to explain; the likely next tokens when None.
        dictionaries: transcoders of some or all layers, or one across layers.
        limits: how large the graph may become.
        dtype: number format of the arithmetic.

    Raises:
        TomogramError: the prompt is no row of tokens within the context, the target is no token or
            is not there, a dictionary is no transcoder or belongs to another model, or the model
            has a part that is not linear with its denominators held.
    """
    limits = limits or Limits()
    tokens = prompt_tokens(model, prompt)
    frozen = freeze(model, tokens, dtype=dtype)
    linear = Linear(frozen, explain(model, frozen, tuple(dictionaries or ())))
    goal = aim(model, linear, target or Likely())
    rows = _Rows(linear, limits, len(goal.reading))
    rows.add_targets(goal)
    _add_units(linear, limits, rows, goal)
    text = prompt if isinstance(prompt, str) else "".join(spell_one(model, t) for t in prompt)
    spelled = tuple(spell_one(model, int(token)) for token in tokens)
    graph, sources = _assembled(model, linear, goal, rows, text, spelled)
    return Traced(graph, model, linear, goal, sources)


def prompt_tokens(model: Model, prompt: str | Sequence[int]) -> Int[Tensor, " pos"]:
    """The tokens of a prompt on the model's device.

    Raises:
        TomogramError: there are none, more than the context holds, or unknown ones.
    """
    if isinstance(prompt, str):
        found = np.concatenate(list(tokenize([prompt], model.tokenizer))).astype(np.int64)
        tokens = torch.from_numpy(found)
    else:
        tokens = torch.tensor(list(prompt), dtype=torch.long)
    if not len(tokens):
        raise TomogramError("The prompt has no token.")
    model.check_tokens(tokens[None])
    return tokens.to(model.device)


@dataclass(eq=False)
class _Rows:
    """Sparse rows as they are made. Targets come first; `owner` is -1 for them.

    Columns and values lie one behind the other in two blocks that are reserved at once and come to
    be as they are filled. Small pieces among the large ones of rows in work would break up the
    process's memory.
    """

    linear: Linear
    limits: Limits
    targets: int
    owner: list[int] = field(default_factory=list)
    columns: list[np.ndarray] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    bias: list[float] = field(default_factory=list)
    omitted: list[float] = field(default_factory=list)
    omitted_mass: list[float] = field(default_factory=list)
    blocks: list[np.ndarray] = field(init=False)
    used: int = 0

    def __post_init__(self) -> None:
        size = self._most_rows * min(self.widest, self.n)
        kinds = torch.int32, self.linear.frozen.like.dtype
        self.blocks = [torch.empty(size, dtype=kind).numpy() for kind in kinds]

    @property
    def _most_rows(self) -> int:
        return max(1, min(self.limits.nodes, self.linear.n_units)) + self.targets

    @property
    def batch(self) -> int:
        """How many rows are carried at once within half of the memory."""
        frozen = self.linear.frozen
        stream = frozen.like.numel() * 6
        heads = max(block.attention.outputs.shape[0] for block in frozen.blocks)
        d_head = frozen.blocks[0].attention.outputs.shape[1]
        stream += 3 * heads * d_head * frozen.n_pos
        size = frozen.like.element_size()
        most = max(_FEWEST, _PLACES // frozen.n_pos)
        return max(1, min(most, self.limits.memory // 2 // ((stream + self.n) * size)))

    @property
    def n(self) -> int:
        return self.linear.n_sources

    @property
    def widest(self) -> int:
        """How many edges of one row are kept within half of the memory."""
        return max(16, self.limits.memory // 2 // (_EDGE_BYTES * self._most_rows))

    def add_targets(self, goal: Aim) -> None:
        """The rows of the targets."""
        for start in range(0, len(goal.reading), self.batch):
            part = goal.reading.at(slice(start, start + self.batch))
            self._add([-1] * len(part), part)

    def add_units(self, sources: np.ndarray) -> None:
        """The rows of some units, those of one depth and similar positions together."""
        for number, group in enumerate(self.linear.explained.groups):
            first, last = self.linear.offsets[number], self.linear.offsets[number + 1]
            mine = sources[(sources >= first) & (sources < last)]
            if not len(mine):
                continue
            chosen = torch.from_numpy(mine - first).to(self.linear.frozen.like.device)
            chosen = chosen[torch.argsort(group.positions(chosen), stable=True)]
            for part in chosen.split(self.batch):
                self._add((part + first).tolist(), self.linear.reading(number, part))

    def _add(self, owners: list[int], reading: Reading) -> None:
        edges, bias = self.linear.rows(reading)
        self.owner += owners
        self.bias += bias.tolist()
        for columns, values, omitted, mass in _sparse(edges, self.widest):
            end = self.used + len(columns)
            for block, held, new in zip(
                self.blocks, (self.columns, self.values), (columns, values), strict=True
            ):
                block[self.used : end] = new
                held.append(block[self.used : end])
            self.used = end
            self.omitted.append(omitted)
            self.omitted_mass.append(mass)

    def influence(self, weights: Sequence[float]) -> Float[np.ndarray, " units"]:
        """Influence of every unit on the targets by the rows there are so far (`scores.influence`).

        One pass over the rows, without a matrix: a unit is entered from units of lower layers
        alone, which have lower numbers, so nothing reaches a unit whose turn has passed.
        """
        found = np.zeros(self.n)
        for row in sorted(range(len(self.owner)), key=self._turn):
            owner = self.owner[row]
            worth = weights[row] if owner < 0 else found[owner]
            if worth:
                share = np.abs(self.values[row]).astype(np.float64)
                share *= worth / max(share.sum(), 1e-10)
                found[self.columns[row]] += share
        return found[: self.linear.n_units]

    def _turn(self, row: int) -> int:
        owner = self.owner[row]
        return -self.n if owner < 0 else -owner

    def among(self, place: Int[np.ndarray, " sources"]) -> None:
        """Keep the edges from sources that have a place, and count the others as omitted.

        Args:
            place: of each source, what it is called from now on; -1 for what is left out.
        """
        for row, (columns, values) in enumerate(zip(self.columns, self.values, strict=True)):
            to = place[columns]
            kept = to >= 0
            out = values[~kept].astype(np.float64)
            self.omitted[row] += float(out.sum())
            self.omitted_mass[row] += float(np.abs(out).sum())
            left = int(kept.sum())
            columns[:left], values[:left] = to[kept], values[kept]
            self.columns[row], self.values[row] = columns[:left], values[:left]

    def matrix(self, places: Int[np.ndarray, " rows"], n: int) -> csr_array:
        """The rows at their places of n, as one matrix; they are given up."""
        order = np.argsort(places)
        lengths = np.zeros(n, np.int64)
        lengths[places] = [len(each) for each in self.columns]
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        columns = np.concatenate([self.columns[i] for i in order])
        values = np.concatenate([self.values[i] for i in order])
        for each in (self.columns, self.values, self.blocks):
            each.clear()
        return csr_array((values, columns, indptr), shape=(n, n))


def _sparse(
    edges: Float[Tensor, "sources n"], widest: int
) -> Iterator[tuple[np.ndarray, np.ndarray, float, float]]:
    """Columns and values of each row's largest edges, and the sum and mass of the others."""
    for row in edges.T:
        columns = row.nonzero()[:, 0]
        omitted = mass = 0.0
        if len(columns) > widest:
            size = row.abs()
            kept = size.topk(widest, sorted=False).indices
            values = row[kept]
            # The rest is added up by itself: a difference of large sums would be rounding.
            size[kept] = 0
            mass = float(size.sum(dtype=torch.float64))
            row = row.clone().index_fill_(0, kept, 0)
            omitted = float(row.sum(dtype=torch.float64))
            order = kept.argsort()
            columns, values = kept[order], values[order]
        else:
            values = row[columns]
        yield columns.to(torch.int32).cpu().numpy(), values.cpu().numpy(), omitted, mass


def _add_units(linear: Linear, limits: Limits, rows: _Rows, goal: Aim) -> None:
    """Rows of all units, or of the most influential where there are more than may be."""
    total = min(limits.nodes, linear.n_units)
    if total == linear.n_units:
        rows.add_units(np.arange(total))
        return
    done = np.zeros(linear.n_units, bool)
    step = -(-total // _ROUNDS)
    while (left := total - int(done.sum())) > 0:
        found = rows.influence(goal.weights)
        found[done] = -1
        best = np.argsort(-found, kind="stable")[: min(step, left)]
        best = best[found[best] > 0]
        if not len(best):
            return
        rows.add_units(np.sort(best))
        done[best] = True


def _assembled(
    model: Model,
    linear: Linear,
    goal: Aim,
    rows: _Rows,
    prompt: str,
    spelled: tuple[str, ...],
) -> tuple[Graph, np.ndarray]:
    """The graph of the units that have a row; edges from the others are omitted."""
    owners = np.array(rows.owner)
    units = np.sort(owners[owners >= 0])
    targets = len(goal.weights)
    sources = np.concatenate([units, np.arange(linear.n_units, linear.n_sources)])
    n = len(sources) + targets
    place = np.full(linear.n_sources, -1, np.int32)
    place[sources] = np.arange(len(sources))
    # Rows of targets stand first in `rows` and last in the graph.
    row_place = np.where(owners < 0, len(sources) + np.arange(len(owners)), place[owners])
    rows.among(place)
    omitted, mass, bias = (np.zeros(n) for _ in range(3))
    omitted[row_place], mass[row_place] = rows.omitted, rows.omitted_mass
    bias[row_place] = rows.bias
    graph = Graph(
        model=model.name,
        digest=model.digest,
        prompt=prompt,
        tokens=tuple(linear.frozen.tokens.tolist()),
        spelled=spelled,
        n_layers=model.n_layers,
        nodes=_nodes(linear, goal, units),
        edges=rows.matrix(row_place, n),
        bias=bias,
        omitted=omitted,
        omitted_mass=mass,
        weights=goal.weights,
        labels=goal.labels,
        probabilities=goal.probabilities,
        units=linear.n_units,
    )
    return graph, sources


def _nodes(linear: Linear, goal: Aim, units: np.ndarray) -> Nodes:
    frozen = linear.frozen
    kind, layer, unit, position, value = ([] for _ in range(5))
    for number, group in enumerate(linear.explained.groups):
        first, last = linear.offsets[number], linear.offsets[number + 1]
        mine = units[(units >= first) & (units < last)] - first
        chosen = torch.from_numpy(mine).to(frozen.like.device)
        kind.append(np.full(len(mine), KINDS.index(group.kind)))
        layer.append(np.full(len(mine), group.layer))
        unit.append(group.numbers(chosen).cpu().numpy())
        position.append(group.positions(chosen).cpu().numpy())
        value.append(group.values(chosen).double().cpu().numpy())
    every, none = np.arange(frozen.n_pos), np.zeros(frozen.n_pos)
    for each in range(len(frozen.blocks)):
        kind.append(np.full(len(every), ERROR))
        layer.append(np.full(len(every), each))
        unit.append(np.zeros_like(every))
        position.append(every)
        value.append(none)
    for each, what in zip(range(len(frozen.embeds)), (TOKEN, POSITION), strict=False):
        kind.append(np.full(len(every), what))
        layer.append(np.full(len(every), -1))
        unit.append(frozen.tokens.cpu().numpy() if each == 0 else np.zeros_like(every))
        position.append(every)
        value.append(none)
    n = len(goal.weights)
    kind.append(np.full(n, TARGET))
    layer.append(np.full(n, len(frozen.blocks)))
    unit.append(np.array(goal.tokens))
    position.append(goal.reading.positions.cpu().numpy())
    value.append(goal.values.double().cpu().numpy())
    whole = [np.concatenate(part).astype(np.int64) for part in (kind, layer, unit, position)]
    return Nodes(whole[0], whole[1], whole[2], whole[3], np.concatenate(value).astype(np.float64))
