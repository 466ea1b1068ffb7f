"""Heads: what edges ran through adds up, and scores are what interventions say they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.circuits.graph.conftest import PROMPT, tiny, transcoders
from tomogram.circuits.graph.attended import attended
from tomogram.circuits.graph.carry import of_nodes
from tomogram.circuits.graph.checks import share_through_heads
from tomogram.circuits.graph.heads import amounts, routes
from tomogram.circuits.graph.qk import look
from tomogram.circuits.graph.scores import prune
from tomogram.circuits.graph.targets import Difference, Token
from tomogram.circuits.graph.trace import Limits, Traced, trace
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

LIMITS = Limits(nodes=120)
FAMILIES = ["llama", "gpt2-layer-scaled", "gpt-neox-parallel", "gemma2", "qwen3", "opt", "gpt-neo"]


def traced(family: str) -> Traced:
    return trace(tiny(family), PROMPT, Difference(3, 5), limits=LIMITS)


@pytest.mark.parametrize("kind", ["topk", "jumprelu-skip", "cross-layer-skip"])
@pytest.mark.parametrize("family", ["llama", "gpt-neox-parallel"])
def test_carried_forwards_is_what_rows_say_backwards(family: str, kind: str) -> None:
    model = tiny(family)
    found = trace(model, PROMPT, Token(3), transcoders(model, kind))
    graph = found.graph
    nodes = list(range(0, graph.targets.start, 7))
    *_, last = of_nodes(found, nodes)
    reading = found.aim.reading
    forwards = last[reading.positions[0]] @ reading.vectors[0]
    backwards = graph.edges[[graph.targets.start]].toarray()[0][nodes]
    assert forwards.numpy() == pytest.approx(backwards, rel=1e-3, abs=1e-5)


def test_an_edge_between_neighbouring_layers_is_the_sum_over_its_heads() -> None:
    """Where an edge can run through one attention only, its heads account for all of it."""
    model = tiny("llama")
    found = trace(model, PROMPT, Token(3), limits=Limits(nodes=400))
    graph = found.graph
    rows = graph.edges.tocoo()
    pairs = [
        (int(s), int(t))
        for t, s in zip(*rows.coords, strict=True)
        if graph.nodes.layer[t] == graph.nodes.layer[s] + 1 <= 2 and graph.nodes.layer[s] >= 0
    ][:300]
    through = amounts(found, pairs).sum((1, 2))
    weights = np.array([float(graph.edges[[t], [s]].item()) for s, t in pairs])
    shares = np.array(share_through_heads(found, pairs))
    assert len(pairs) > 50
    assert through == pytest.approx(shares * weights, rel=1e-3, abs=1e-6)
    for pair, each in zip(pairs, routes(found, pairs), strict=True):
        for route in each:
            assert route.key <= route.query
            assert route.key >= graph.nodes.position[pair[0]]


def test_a_head_that_is_cut_takes_its_part_of_the_edge_along() -> None:
    """Cutting one head's output in the frozen map changes an edge by what ran through it."""
    found = traced("llama")
    blocks = found.linear.frozen.blocks
    target = found.graph.targets.start
    sources = [n for n in range(target) if found.graph.edges[[target], [n]].item() != 0][:40]
    through = amounts(found, [(n, target) for n in sources])
    whole, _ = found.linear.rows(found.aim.reading)
    last = len(blocks) - 1
    held = {layer: block.attention for layer, block in enumerate(blocks)}
    for head in range(found.model.n_heads):
        alone = {**held, last: held[last].only(head)}
        without = {layer: each for layer, each in held.items() if layer != last}
        part = found.linear.rows(found.aim.reading, alone)[0]
        part = part - found.linear.rows(found.aim.reading, without)[0]
        expected = part[torch.from_numpy(found.sources[sources]), 0].numpy()
        assert through[:, last, head] == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert whole.abs().max() > 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layer", [0, 2])
def test_scores_of_heads(family: str, layer: int) -> None:
    """Every node's predicted effect on a score is what taking it away shows, all else frozen."""
    found = traced(family)
    told = look(found, layer, 1, 7, 3)
    predicted = np.array([each.predicted for each in told.seen])
    frozen = np.array([each.frozen for each in told.seen])
    assert np.abs(predicted).max() > 0
    if family != "qwen3":  # its queries are normed, which the interventions leave live
        assert frozen == pytest.approx(predicted, rel=1e-3, abs=1e-5 * np.abs(predicted).max())
    # The score is what the head's own queries and keys give.
    site = Site("pattern", layer)
    run = found.model.run(found.linear.frozen.tokens[None], capture=[site], logits=False)
    pattern = run[site][0]
    assert told.pattern == pytest.approx(float(pattern[1, 7, 3]), abs=1e-6)
    # The score is what the softmax made the pattern of.
    log = pattern[1, 7, :8].double().log()
    others = pattern[1, 7, :8].double()
    others[3] = 0
    contrast = float(log[3] - (others / others.sum()) @ log)
    if family != "gemma2":  # which caps its scores
        assert told.value == pytest.approx(contrast, abs=0.01)
    for side in ("query", "key"):
        known = sum(getattr(each, side) for each in told.seen)
        assert known + getattr(told, f"rest_of_{side}") == pytest.approx(told.value, abs=1e-4)


def test_pairs_are_the_bilinear_form() -> None:
    """With all nodes told, pairs over the key's nodes add up to what a query's node adds, but for
    what constants give the key."""
    found = traced("llama")
    few = look(found, 1, 0, 6, 2, nodes=4)
    assert len(few.pairs) == 4
    amounts_ = [abs(pair.amount) for pair in few.pairs]
    assert amounts_ == sorted(amounts_, reverse=True)


def test_a_graph_says_what_its_heads_did() -> None:
    found = traced("llama")
    pruned = prune(found.graph)
    graph = attended(found, pruned, looks=3).graph
    assert len(graph.looks) == 3
    assert all(each.key < each.query for each in graph.looks)
    assert graph.routes
    apart = [pair for pair in graph.routes if len({int(graph.nodes.position[n]) for n in pair}) > 1]
    assert apart


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ((9, 0, 3, 1), "no head 0 in layer 9"),
        ((1, 0, 1, 3), "No head looks from position 1 at 3"),
        ((1, 0, 0, 0), "can look at itself alone"),
    ],
)
def test_refusals(place: tuple[int, int, int, int], sentence: str) -> None:
    with pytest.raises(TomogramError, match=sentence):
        look(traced("llama"), *place)
