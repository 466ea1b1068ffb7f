"""ACDC: remove edges one by one, from the end, where the output hardly changes.

Conmy et al. 2023 ("Towards Automated Circuit Discovery"): readers are visited in reverse
topological order, and each edge into them is removed for good unless that raises KL(model ‖
circuit) by more than a threshold τ. One threshold gives a circuit; a row of thresholds gives edges
a score, the largest τ at which an edge stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float

from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.circuits.discovery.metric import divergence
from tomogram.circuits.discovery.pairs import Pair, batches
from tomogram.circuits.discovery.streams import circuit_stream, writes
from tomogram.models.model import Model
from tomogram.store.progress import task

THRESHOLDS = (1e-5, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""Nats; a sweep as in the paper's section 4."""


@torch.no_grad()
def acdc(
    model: Model, graph: EdgeGraph, pairs: Sequence[Pair], threshold: float, *, tokens: int = 4_096
) -> Bool[np.ndarray, "writer reader"]:
    """The circuit that ACDC leaves at a threshold in nats."""
    prepared = [
        (batch, writes(model, graph, batch.counterfactual), writes(model, graph, batch.clean).last)
        for batch in batches(pairs, tokens=tokens, device=model.device)
    ]

    def distance(kept: torch.Tensor) -> float:
        total = 0.0
        for batch, other, reference in prepared:
            last = circuit_stream(model, graph, batch.clean, kept, other)
            total += float(divergence(model, batch, last, reference).sum())
        return total / len(pairs)

    kept = torch.from_numpy(graph.possible.copy()).to(model.device)
    now = distance(kept)
    with task(f"ACDC at {threshold:g}", total=graph.n_edges, unit="edges") as progress:
        for reader in reversed(range(len(graph.readers))):
            # A reader whose own part feeds nothing that is kept can be dropped with all its edges.
            needed = graph.heads_reading(reader)
            if needed and not kept[list(needed)].any():
                progress.advance(int(graph.possible[:, reader].sum()))
                kept[:, reader] = False
                continue
            for writer in reversed(graph.possible[:, reader].nonzero()[0].tolist()):
                kept[writer, reader] = False
                without = distance(kept)
                if without - now < threshold:
                    now = without
                else:
                    kept[writer, reader] = True
                progress.advance()
    found: np.ndarray = kept.cpu().numpy()
    return found


def acdc_scores(
    model: Model,
    graph: EdgeGraph,
    pairs: Sequence[Pair],
    thresholds: Sequence[float] = THRESHOLDS,
) -> Float[np.ndarray, "writer reader"]:
    """For each edge the largest threshold at which ACDC keeps it; 0 where it never does."""
    found = np.zeros(graph.possible.shape)
    for threshold in sorted(thresholds):
        found[acdc(model, graph, pairs, threshold)] = threshold
    return found
