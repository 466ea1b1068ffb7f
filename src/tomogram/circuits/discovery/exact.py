"""Exact edge patching: the change of the metric when one edge alone carries the counterfactual.

For every edge u→v the model runs on the clean prompt, and v alone reads what u wrote on the
counterfactual one. This is the definition that the other methods approximate (path patching along
one edge; Goldowsky-Dill et al. 2023). A run starts at the layer of v: what lies before is the same.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.circuits.discovery.metric import metric
from tomogram.circuits.discovery.pairs import Batch
from tomogram.circuits.discovery.streams import Writes, plain, writes
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.projections import Heads, Project, projecting
from tomogram.models.sites import Site
from tomogram.models.start import Start

POSITIONS = 8_192
"""Positions in one run; edges are run side by side."""


@torch.no_grad()
def exact(
    model: Model,
    graph: EdgeGraph,
    batch: Batch,
    *,
    wanted: Bool[np.ndarray, "writer reader"] | None = None,
    positions: int = POSITIONS,
    advance: Callable[[int], None] = lambda n: None,
) -> Float[Tensor, "pair writer reader"]:
    """m(patched) − m(clean) of every pair and edge.

    Args:
        wanted: the edges to patch, all possible ones when None; others get 0.
        positions: the most positions in one run.
        advance: told how many more edges are done.
    """
    clean, other = (writes(model, graph, each) for each in (batch.clean, batch.counterfactual))
    change = other.written - clean.written
    before = metric(model, batch, clean.last)
    found = torch.zeros(len(batch.rows), *graph.possible.shape, dtype=before.dtype)
    found = found.to(before.device)
    wanted = graph.possible if wanted is None else wanted & graph.possible
    side_by_side = max(1, positions // batch.clean.numel())
    for layer in range(graph.n_layers):
        places = range(graph.head_readers(layer).start, graph.mlp_reader(layer) + 1)
        edges = [(u, v) for v in places for u in wanted[:, v].nonzero()[0].tolist()]
        if not edges:
            continue
        heads, own = _projected(model, graph, batch, clean, change, layer, side_by_side)
        for start in range(0, len(edges), side_by_side):
            chunk = edges[start : start + side_by_side]
            after = _patched(model, graph, batch, clean, change, layer, chunk, heads, own)
            for (u, v), row in zip(chunk, after, strict=True):
                found[:, u, v] = row - before
            advance(len(chunk))
    for writer in wanted[:, -1].nonzero()[0].tolist():
        found[:, writer, -1] = metric(model, batch, clean.last + change[:, writer]) - before
        advance(1)
    return found


def _projected(
    model: Model,
    graph: EdgeGraph,
    batch: Batch,
    clean: Writes,
    change: Tensor,
    layer: int,
    side_by_side: int,
) -> tuple[Heads, Heads]:
    """A layer's heads on the clean prompt, and with each writer changed [pair writer ...]."""
    n = graph.written_before(layer)
    norm = model.wiring.blocks[layer].attention_norm
    made: list[Heads] = []

    def reached(at: int, project: Project) -> None:
        if at != layer:
            return
        made.append(project(plain(norm, clean.attn_in[layer])))
        parts = []
        for writers in torch.arange(n).split(side_by_side):
            streams = clean.attn_in[layer][:, None] + change[:, writers]
            heads = project(plain(norm, streams).flatten(0, 1))
            size = (len(batch.rows), len(writers))
            parts.append([h.unflatten(0, size) for h in (heads.queries, heads.keys, heads.values)])
        made.append(Heads(*(torch.cat(each, 1) for each in zip(*parts, strict=True))))

    with projecting(model.wiring, reached):
        model.run(
            batch.clean,
            capture=[Site("head_v", layer)],
            logits=False,
            start=_start(clean, layer, 1),
        )
    return made[0], made[1]


def _patched(
    model: Model,
    graph: EdgeGraph,
    batch: Batch,
    clean: Writes,
    change: Tensor,
    layer: int,
    edges: list[tuple[int, int]],
    heads: Heads,
    own: Heads,
) -> Float[Tensor, "edge pair"]:
    """The metric with each of some edges into one layer patched."""
    times = len(edges)
    kinds = (
        ("head_q", heads.queries, own.queries),
        ("head_k", heads.keys, own.keys),
        ("head_v", heads.values, own.values),
    )
    values = {kind: old[:, None].repeat(1, times, 1, 1, 1) for kind, old, _ in kinds}
    mlp_rows: list[int] = []
    mlp_streams: list[Tensor] = []
    for row, (u, v) in enumerate(edges):
        place = v - graph.head_readers(layer).start
        if place == graph.reads:
            mlp_rows.append(row)
            mlp_streams.append(clean.mlp_in[layer] + change[:, u])
            continue
        for kind, old, new in kinds:
            count = old.shape[2]
            if place < count:
                values[kind][:, row, :, place] = new[:, u, :, place]
                break
            place -= count
    interventions: dict[Site, Intervention] = {
        Site(kind, layer): _instead(value.flatten(0, 1)) for kind, value in values.items()
    }
    if mlp_rows:
        normed = plain(model.wiring.blocks[layer].mlp_norm, torch.stack(mlp_streams, 1))

        def into(value: Tensor) -> Tensor:
            value = value.unflatten(0, (-1, times))
            value[:, mlp_rows] = normed
            return value.flatten(0, 1)

        interventions[Site("mlp_in", layer)] = into
    rows = batch.repeated(times)
    last = Site("resid_post", graph.n_layers - 1)
    run = model.run(
        rows.clean,
        capture=[last],
        interventions=interventions,
        logits=False,
        start=_start(clean, layer, times),
    )
    return metric(model, rows, run[last]).unflatten(0, (-1, times)).T


def _instead(value: Tensor) -> Intervention:
    return lambda old: value


def _start(clean: Writes, layer: int, times: int) -> Start | None:
    """The stream that a layer reads, for `times` as many rows; None for the first layer."""
    if layer == 0:
        return None
    return Start(layer - 1, clean.attn_in[layer].repeat_interleave(times, 0))
