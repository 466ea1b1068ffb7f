"""Circuits over features: a planted one is found, and every number is what a plain run gives."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest
import torch

from tests.circuits.graph.conftest import tiny, transcoders
from tomogram.circuits.discovery.discover import Settings
from tomogram.circuits.discovery.feature_circuit import (
    discover_features,
    feature_metric,
    node_effects,
)
from tomogram.circuits.discovery.feature_edges import feature_edges
from tomogram.circuits.discovery.feature_nodes import FeatureNodes
from tomogram.circuits.discovery.feature_scores import feature_scores
from tomogram.circuits.discovery.pairs import Pair, batches
from tomogram.circuits.discovery.spans import ASKED, BEFORE, BETWEEN, CHANGED, SPANS, spans
from tomogram.circuits.graph.graph import FEATURE, TOKEN
from tomogram.circuits.graph.targets import Difference
from tomogram.circuits.graph.trace import trace
from tomogram.circuits.known.parts import as_gpt2
from tomogram.circuits.known.planted import two_hop
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.shape import transcoder
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

STATE = [0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2, 3]
CAPITAL = [5, 7, 9, 11]


@cache
def planted() -> tuple[Model, tuple[Dictionary, ...], tuple[Pair, ...]]:
    """City → state → capital through two MLPs, whose neurons are the latents; its pairs differ in
    the city alone, which stands two before the end, at places of many numbers."""
    model = as_gpt2(two_hop(), name="planted two-hop")
    made = []
    for layer, block in enumerate(model.module.transformer.h):
        into, out = block.mlp.c_fc, block.mlp.c_proj
        dictionary = ReLU(transcoder(layer, model.d_model), into.weight.shape[1])
        dictionary.W_enc.data.copy_(into.weight.T)
        dictionary.b_enc.data.copy_(into.bias)
        dictionary.W_dec.data.copy_(out.weight)
        dictionary.b_dec.data.copy_(out.bias)
        made.append(dictionary.requires_grad_(False))
    rng = random.Random(0)
    pairs = []
    # So many that both halves hold every city.
    for _ in range(96):
        prompt = [rng.randrange(12) for _ in range(rng.randint(5, 12))]
        city = rng.choice([each for each in range(12) if STATE[each] != STATE[prompt[-3]]])
        other = [*prompt[:-3], city, *prompt[-2:]]
        answers = CAPITAL[STATE[prompt[-3]]], CAPITAL[STATE[city]]
        pairs.append(Pair(tuple(prompt), tuple(other), *answers))
    return model, tuple(made), tuple(pairs)


def test_spans_by_hand() -> None:
    pair = Pair((1, 2, 3, 4, 5, 6), (1, 9, 3, 8, 5, 6), 0, 1, position=4)
    (batch,) = batches([pair])
    found = [BEFORE, CHANGED, BETWEEN, CHANGED, ASKED, BEFORE]
    assert spans(batch)[0].tolist() == found


def test_a_planted_circuit_is_found_feature_by_feature() -> None:
    model, dictionaries, pairs = planted()
    found = discover_features(model, dictionaries, pairs, Settings(wanted=0.99, sampled=40))
    assert found.faithfulness.value == pytest.approx(1, abs=0.02)
    assert found.ends.whole.mean() > 0 > found.ends.empty.mean()
    assert found.held_out >= 40
    kept = {found.nodes.place(int(node)) for node in found.kept}
    # Cities and states, each where it acts; the middle MLP shuffles tokens for nobody.
    places = {(span, layer) for span, layer, _ in kept}
    assert places == {(CHANGED, 0), (ASKED, 2)}
    assert len(kept) <= 12 + 4
    strong = [found.nodes.place(int(node))[1] for node in found.measured]
    effects = np.abs(found.effects).mean(0)
    assert effects[[n for n, layer in enumerate(strong) if layer == 1]] == pytest.approx(0, abs=0.1)
    # A state adds to its capital's features along the head that moves it.
    names = [found.edges.source(found.nodes, n) for n in range(found.edges.mean.shape[1])]
    into = dict(zip(names, found.edges.mean[-1], strict=True))
    late = [value for name, value in into.items() if "asked" in name and name.startswith("feat")]
    assert max(late) > 1


@pytest.mark.parametrize("kind", ["topk", "jumprelu-skip"])
def test_ends_are_plain_runs(kind: str, pairs: tuple[Pair, ...]) -> None:
    """All nodes kept is the model; none kept is the model with the other prompt's MLP outputs."""
    model = tiny("llama")
    nodes = FeatureNodes.of(model, transcoders(model, kind))
    every = np.ones(len(nodes), bool)
    whole, empty = feature_metric(model, nodes, pairs, [every, ~every])
    for row, pair in enumerate(pairs):
        clean, other = (torch.tensor([each]) for each in (pair.clean, pair.counterfactual))
        logits = model.run(clean).logits
        assert logits is not None
        difference = logits[0, -1, pair.answer] - logits[0, -1, pair.other]
        assert whole[row] == pytest.approx(float(difference), abs=1e-4)
        if kind != "topk":
            continue  # a skip path stays live
        sites = [Site("mlp_out", layer) for layer in range(model.n_layers)]
        run = model.run(other, capture=sites, logits=False)
        put = {site: (lambda value, new=run[site]: new) for site in sites}
        logits = model.run(clean, interventions=put).logits
        assert logits is not None
        difference = logits[0, -1, pair.answer] - logits[0, -1, pair.other]
        assert empty[row] == pytest.approx(float(difference), abs=1e-3)


def test_scores_predict_small_effects(pairs: tuple[Pair, ...]) -> None:
    """Where a prompt differs hardly at all, what a node does is its gradient times its change."""
    model = tiny("llama")
    own = transcoders(model, "topk")
    nodes = FeatureNodes.of(model, own)
    scores = feature_scores(model, nodes, pairs)
    order = np.argsort(-np.abs(scores).mean(0))[:30]
    effects = node_effects(model, nodes, pairs, order)
    predicted, measured = scores[:, order].ravel(), effects.ravel()
    assert np.corrcoef(predicted, measured)[0, 1] > 0.8
    silent = np.flatnonzero((scores == 0).all(0))[:5]
    assert node_effects(model, nodes, pairs, silent) == pytest.approx(0, abs=1e-5)


def test_edges_are_those_of_attribution_graphs(pairs: tuple[Pair, ...]) -> None:
    model = tiny("llama")
    own = transcoders(model, "topk")
    nodes = FeatureNodes.of(model, own)
    pair = pairs[0]
    scores = feature_scores(model, nodes, [pair])
    kept = np.flatnonzero(scores[0])
    found = feature_edges(model, nodes, [pair], kept)
    graph = trace(model, pair.clean, Difference(pair.answer, pair.other), own).graph
    row = graph.edges[[graph.targets.start]].toarray()[0]
    (batch,) = batches([pair])
    spanned = spans(batch)[0].numpy()[graph.nodes.position]
    for number, span in enumerate(SPANS):
        tokens = graph.nodes.of(TOKEN) & (spanned == number)
        assert found.mean[-1, number] == pytest.approx(row[tokens].sum(), rel=1e-3, abs=1e-5)
        if number == BEFORE:
            continue
        for latent in range(0, 30, 3):
            node = nodes.offsets[1] + latent + (number - CHANGED) * nodes.a_span
            at = np.flatnonzero(kept == node)
            if not len(at):
                continue
            same = graph.nodes.of(FEATURE) & (graph.nodes.layer == 1) & (spanned == number)
            same &= graph.nodes.unit == latent
            expected = row[same].sum()
            named = found.source(nodes, len(SPANS) + int(at[0]))
            assert named == f"feature 1/{latent} at {span}"
            assert found.mean[-1, len(SPANS) + at[0]] == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_refusals(pairs: tuple[Pair, ...]) -> None:
    model = tiny("llama")
    with pytest.raises(TomogramError, match="writes to several layers"):
        discover_features(model, transcoders(model, "cross-layer"), pairs)
    own = transcoders(model, "topk")
    with pytest.raises(TomogramError, match=r"Two dictionaries write mlp_out\.0"):
        discover_features(model, [own[0], own[0]], pairs)
    with pytest.raises(TomogramError, match="at least one transcoder"):
        discover_features(model, [], pairs)
    with pytest.raises(TomogramError, match="at least one pair"):
        discover_features(model, own, [])
    wide = ReLU(transcoder(0, model.d_model + 1), 4)
    with pytest.raises(TomogramError, match="belongs to another model"):
        discover_features(model, [wide], pairs)
