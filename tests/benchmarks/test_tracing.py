"""How the benchmark of tracing compares two graphs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.tracing import largest_difference, random_model, random_transcoders
from tomogram.circuits.graph.targets import Likely
from tomogram.circuits.graph.trace import trace


def test_edges_are_compared_whatever_their_order() -> None:
    model = random_model(2, 64)
    tokens = torch.tensor([1, 5, 9, 12])
    graph = trace(model, tokens.tolist(), Likely(), random_transcoders(model, tokens, 200)).graph
    nodes = graph.nodes
    features = np.flatnonzero((nodes.kind == 0) & (nodes.position > 0))[::-1]
    assert len(features) > 20
    rest = np.flatnonzero(nodes.kind != 0)
    order = np.concatenate([features, rest])
    edges = graph.edges[order][:, order].toarray()
    edges[:, (nodes.kind[order] == 2) & (nodes.position[order] == 0)] = 0
    listed = np.stack([nodes.layer, nodes.position, nodes.unit], 1)[features]
    found = {"features": torch.from_numpy(listed.copy()), "edges": torch.from_numpy(edges)}
    assert largest_difference(graph, found) == (0.0, 1.0)
    edges[3] *= 1.01
    apart, within = largest_difference(graph, found)
    assert apart == pytest.approx(0.01 / 1.01, rel=1e-3)
    assert within < 1
