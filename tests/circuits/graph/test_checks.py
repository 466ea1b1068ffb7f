"""What is predicted is what interventions measure; a graph that is wrong says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from tests.circuits.graph.conftest import PROMPT, tiny, transcoders
from tomogram.circuits.graph.checks import check, sampled_edges, share_through_heads
from tomogram.circuits.graph.experiments import Experiment, Held, responses
from tomogram.circuits.graph.graph import TOKEN
from tomogram.circuits.graph.live import derivatives
from tomogram.circuits.graph.proof import agreement
from tomogram.circuits.graph.targets import Difference, Token
from tomogram.circuits.graph.trace import Limits, trace

LIMITS = Limits(nodes=120)


@pytest.mark.parametrize(
    "family", ["gpt2", "gpt-neox-parallel", "gemma2", "opt", "qwen3-moe-mixed"]
)
def test_edges_of_neurons_are_exact_with_everything_frozen(family: str) -> None:
    traced = check(trace(tiny(family), PROMPT, Difference(3, 5), limits=LIMITS), edges=30, paths=2)
    proof = traced.graph.proof
    assert proof is not None
    assert proof.frozen is not None
    assert proof.frozen.spearman.value >= 0.999
    assert proof.frozen.slope == pytest.approx(1, abs=1e-3)
    for path in proof.paths:
        assert path.frozen == pytest.approx(path.predicted, rel=1e-2, abs=1e-5)


@pytest.mark.parametrize("kind", ["topk", "jumprelu-skip", "cross-layer", "cross-layer-skip"])
def test_edges_of_features_are_exact_with_everything_frozen(kind: str) -> None:
    model = tiny("llama")
    traced = check(trace(model, PROMPT, Token(3), transcoders(model, kind)), edges=30, paths=2)
    proof = traced.graph.proof
    assert proof is not None
    assert proof.frozen is not None
    assert proof.frozen.spearman.value >= 0.999
    assert proof.frozen.slope == pytest.approx(1, abs=1e-3)


def test_the_live_model_is_really_changed() -> None:
    """Taking a token's embedding away is what running without it gives."""
    model = tiny("llama")
    traced = trace(model, PROMPT, Token(3), limits=LIMITS)
    node = int(np.flatnonzero(traced.graph.nodes.of(TOKEN))[2])
    target = traced.graph.targets.start
    (found,) = responses(traced, [Experiment(node, target, -1.0)], "nothing")

    def logit(embeds: torch.Tensor) -> float:
        out = model.module(inputs_embeds=embeds).logits[0, -1]
        return float(out[3] - out.mean())

    with torch.no_grad():
        embeds = model.module.get_input_embeddings()(torch.tensor([PROMPT]))
        without = embeds.clone()
        without[0, 2] = 0
        assert found == pytest.approx(logit(without) - logit(embeds), abs=1e-5)


def test_a_wrong_graph_says_so_in_its_title() -> None:
    traced = trace(tiny("llama"), PROMPT, Token(3), limits=LIMITS)
    graph = traced.graph
    edges = graph.edges.copy()
    generator = np.random.default_rng(0)
    edges.data = generator.permutation(edges.data)
    wrong = replace(traced, graph=replace(graph, edges=csr_array(edges)))
    title = check(wrong, edges=30, paths=1).graph.title
    assert "FAILS ITS CHECK" in title
    assert "frozen Spearman" in title


def test_edges_between_positions_run_through_heads() -> None:
    traced = trace(tiny("llama"), PROMPT, Token(3), limits=LIMITS)
    graph = traced.graph
    rows = graph.edges.tocoo()
    pairs = [(int(s), int(t)) for t, s in zip(*rows.coords, strict=True)][:200]
    shares = share_through_heads(traced, pairs)
    apart = [graph.nodes.position[s] != graph.nodes.position[t] for s, t in pairs]
    assert any(apart)
    assert all(share == 1 for share, far in zip(shares, apart, strict=True) if far)
    assert any(abs(share - 1) > 1e-3 for share, far in zip(shares, apart, strict=True) if not far)


def test_agreement() -> None:
    predicted = list(range(-10, 10))
    found = agreement(predicted, [2.0 * x for x in predicted])
    assert found is not None
    assert (found.spearman.value, found.signs, found.slope) == pytest.approx((1, 1, 2))
    opposite = agreement(predicted, [-x for x in predicted])
    assert opposite is not None
    assert opposite.spearman.value == pytest.approx(-1)
    still = agreement(predicted, [0.0] * 20)
    assert still is not None
    assert still.spearman.value == 0
    assert agreement([1.0], [1.0]) is None


@pytest.mark.parametrize("held", ["direct", "nothing"])
@pytest.mark.parametrize("family", ["llama", "gpt-neox-parallel"])
def test_derivatives_are_what_small_steps_show(family: str, held: Held) -> None:
    traced = trace(tiny(family), PROMPT, Difference(3, 5), limits=LIMITS)
    pairs = [(int(s), int(t)) for s, t in sampled_edges(traced, 20)]
    slopes = derivatives(traced, pairs, held)
    step = 0.02
    forth, back = (
        responses(traced, [Experiment(s, t, factor) for s, t in pairs], held)
        for factor in (step, -step)
    )
    measured = [(a - b) / (2 * step) for a, b in zip(forth, back, strict=True)]
    size = max(map(abs, measured))
    assert size > 0
    assert slopes == pytest.approx(measured, rel=0.05, abs=2e-3 * size)
