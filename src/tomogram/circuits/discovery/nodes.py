"""Nodes: what the metric loses when all that a head or an MLP writes is the counterfactual's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.circuits.discovery.metric import metric
from tomogram.circuits.discovery.pairs import Batch, Pair, batches
from tomogram.circuits.discovery.streams import writes
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site


@torch.no_grad()
def exact_nodes(
    model: Model, graph: EdgeGraph, pairs: Sequence[Pair], *, tokens: int = 8_192
) -> Float[np.ndarray, "pair writer"]:
    """Activation patching of every writer (Vig et al. 2020): m(patched) − m(clean) by pair."""
    found = np.zeros((len(pairs), len(graph.writers)), np.float32)
    for batch in batches(pairs, tokens=tokens, device=model.device):
        found[list(batch.rows)] = _patched(model, graph, batch).float().cpu().numpy()
    return found


def _patched(model: Model, graph: EdgeGraph, batch: Batch) -> Float[Tensor, "pair writer"]:
    last = Site("resid_post", graph.n_layers - 1)
    clean, other = (writes(model, graph, each) for each in (batch.clean, batch.counterfactual))
    change = other.written - clean.written
    before = metric(model, batch, clean.last)

    def run(site: Site, change_at: Intervention) -> Tensor:
        found = model.run(
            batch.clean, capture=[last], interventions={site: change_at}, logits=False
        )
        return metric(model, batch, found[last]) - before

    columns = [run(Site("resid_pre", 0), _add(change[:, 0]))]
    for layer in range(graph.n_layers):
        for head in range(graph.heads):
            written = change[:, graph.head_writers(layer).start + head]
            columns.append(run(Site("attn_out", layer), _add(written)))
        columns.append(run(Site("mlp_out", layer), _add(change[:, graph.mlp_writer(layer)])))
    return torch.stack(columns, 1)


def _add(change: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda value: value + change
