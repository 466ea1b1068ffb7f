"""Runs with separate streams, in every family: they give what the model gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from tomogram.circuits.discovery.edges import edge_graph
from tomogram.circuits.discovery.metric import divergence, metric
from tomogram.circuits.discovery.pairs import Pair, batches
from tomogram.circuits.discovery.scores import METHODS, score
from tomogram.circuits.discovery.streams import circuit_stream, writes
from tomogram.models.model import Model
from tomogram.models.sites import Site


@torch.no_grad()
def test_whole_circuit_is_the_model_and_empty_is_the_counterfactual(
    model: Model, pairs: Sequence[Pair]
) -> None:
    graph = edge_graph(model)
    (batch,) = batches(pairs)
    other = writes(model, graph, batch.counterfactual)
    possible = torch.from_numpy(graph.possible)
    for kept, tokens in ((possible, batch.clean), (possible & False, batch.counterfactual)):
        last = circuit_stream(model, graph, batch.clean, kept, other)
        logits = model.run(tokens).logits
        assert logits is not None
        ours = model.unembed(last)[:, -1]
        torch.testing.assert_close(ours, logits[:, -1], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_writes_and_biases_add_up_to_the_stream(llama: Model, pairs: Sequence[Pair]) -> None:
    graph = edge_graph(llama)
    (batch,) = batches(pairs)
    found = writes(llama, graph, batch.clean)
    # The biases of attention's output belong to no head.
    biases = torch.stack([block.heads_to_stream.bias for block in llama.wiring.blocks]).sum(0)
    torch.testing.assert_close(found.written.sum(1) + biases, found.last, rtol=1e-4, atol=1e-5)


def test_exact_patching_is_the_circuit_without_one_edge(
    model: Model, pairs: Sequence[Pair]
) -> None:
    graph = edge_graph(model)
    (batch,) = batches(pairs)
    exact = score(model, graph, pairs, "exact").by_pair
    with torch.no_grad():
        other = writes(model, graph, batch.counterfactual)
        before = metric(model, batch, writes(model, graph, batch.clean).last)
        edges = np.argwhere(graph.possible)
        for u, v in edges[np.random.default_rng(0).choice(len(edges), 6, replace=False)]:
            kept = graph.possible.copy()
            kept[u, v] = False
            last = circuit_stream(model, graph, batch.clean, torch.from_numpy(kept), other)
            change = (metric(model, batch, last) - before).numpy()
            np.testing.assert_allclose(exact[:, u, v], change, rtol=1e-3, atol=1e-5)


def test_scores_of_edges_into_the_logits_add_up(llama: Model, pairs: Sequence[Pair]) -> None:
    """Conductance alone adds up at the end of its way; a gradient does for a linear model."""
    graph = edge_graph(llama)
    (batch,) = batches(pairs)
    found = METHODS["conductance"](llama, graph, batch)
    runs = [writes(llama, graph, tokens).last for tokens in (batch.clean, batch.counterfactual)]
    with torch.no_grad():
        clean, other = (metric(llama, batch, run) for run in runs)
    torch.testing.assert_close(found[:, :, -1].sum(1), other - clean, rtol=0.02, atol=0.01)


def test_eap_is_the_gradient_of_the_ordinary_model(llama: Model, pairs: Sequence[Pair]) -> None:
    """All readers of one writer together: z' − z times the gradient by the stream it is in."""
    graph = edge_graph(llama)
    (batch,) = batches(pairs)
    found = METHODS["eap"](llama, graph, batch)
    change = (
        writes(llama, graph, batch.counterfactual).written
        - writes(llama, graph, batch.clean).written
    )
    for layer in range(llama.n_layers):
        site = Site("mlp_out", layer)
        with torch.enable_grad():
            run = llama.run(
                batch.clean,
                capture=[site],
                interventions={site: lambda value: value.detach().requires_grad_()},
            )
            assert run.logits is not None
            total = batch.difference(run.logits[:, -1]).sum()
            (gradient,) = torch.autograd.grad(total, run[site])
        writer = graph.mlp_writer(layer)
        expected = (change[:, writer] * gradient).sum((1, 2))
        torch.testing.assert_close(found[:, writer].sum(1), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_scores_edges_that_cannot_be(
    llama: Model, pairs: Sequence[Pair], method: str
) -> None:
    graph = edge_graph(llama)
    found = score(llama, graph, pairs, method)
    assert np.isfinite(found.by_pair).all()
    assert not found.by_pair[:, ~graph.possible].any()
    assert found.by_pair[:, graph.possible].any()


@torch.no_grad()
def test_divergence_of_a_run_from_itself_is_zero(llama: Model, pairs: Sequence[Pair]) -> None:
    graph = edge_graph(llama)
    (batch,) = batches(pairs)
    last, other = (writes(llama, graph, each).last for each in (batch.clean, batch.counterfactual))
    assert float(divergence(llama, batch, last, last).abs().max()) < 1e-6
    assert float(divergence(llama, batch, other, last).min()) > 0
