"""Faithfulness by hand-computed numbers, and the pieces around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tomogram.circuits.discovery.agreement import agreement
from tomogram.circuits.discovery.auroc import edge_auroc
from tomogram.circuits.discovery.discover import Settings, discover, halves
from tomogram.circuits.discovery.edges import EdgeGraph, edge_graph
from tomogram.circuits.discovery.faithfulness import Curve, Ends, circuit_metric, ends, top
from tomogram.circuits.discovery.intervals import intervals
from tomogram.circuits.discovery.pairs import Pair
from tomogram.circuits.discovery.prune import connected, prune
from tomogram.circuits.discovery.scores import score
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError
from tomogram.store.estimates import estimate


def test_f_cpr_and_cmd_by_hand() -> None:
    both = Ends(whole=np.array([3.0, 5.0]), empty=np.array([-1.0, -3.0]))
    # f = ((kept + 2) / 6): 0, 1/2, 3/2, 1 at shares 0, 0.5, 0.75, 1.
    kept = np.array([[-1.0, -3.0], [1.0, 1.0], [6.0, 8.0], [3.0, 5.0]])
    found = Curve((0.0, 0.5, 0.75, 1.0), both, kept)
    np.testing.assert_allclose(found.f, [0, 0.5, 1.5, 1])
    assert found.cpr.value == pytest.approx(0.5 * 0.25 + 0.25 * 1.0 + 0.25 * 1.25)
    assert found.cmd.value == pytest.approx(0.5 * 0.75 + 0.25 * 0.5 + 0.25 * 0.25)
    assert found.cmd.low <= found.cmd.value <= found.cmd.high
    assert both.faithfulness(kept[1]).value == pytest.approx(0.5)


def test_pairs_without_a_behaviour_are_refused() -> None:
    with pytest.raises(TomogramError, match="no behaviour"):
        Ends(whole=np.array([1.0, 2.0]), empty=np.array([2.0, 1.0]))


def test_auroc_by_hand() -> None:
    possible = np.array([[True, True], [True, False]])
    truth = np.array([[True, False], [False, False]])
    scores = np.array([[-2.0, 1.0], [2.0, 99.0]])
    assert edge_auroc(scores, truth, possible) == pytest.approx(0.75)  # a tie counts half
    with pytest.raises(TomogramError, match="cannot have"):
        edge_auroc(scores, ~possible, possible)
    with pytest.raises(TomogramError, match="not all"):
        edge_auroc(scores, possible, possible)


@pytest.mark.parametrize("n", [2, 7, 40])
def test_intervals_are_those_of_single_estimates(n: int) -> None:
    samples = np.random.default_rng(n).normal(size=(n, 3))
    low, high = intervals(samples)
    for column in range(3):
        one = estimate(samples[:, column])
        assert (low[column], high[column]) == pytest.approx((one.low, one.high))


def test_greedy_order_only_adds_what_leads_into_the_circuit() -> None:
    graph = EdgeGraph(heads=2, kv_heads=1, parallel=(False, False))
    strength = np.random.default_rng(0).random(graph.possible.shape)
    order = connected(graph, strength)
    assert sorted(order) == [tuple(each) for each in np.argwhere(graph.possible).tolist()]
    there: set[int] = set()
    for writer, reader in order:
        fed = graph.heads_reading(reader)
        assert not fed or there & set(fed)
        there.add(writer)


def test_a_pruned_circuit_reaches_what_was_wanted(llama: Model, pairs: Sequence[Pair]) -> None:
    graph = edge_graph(llama)
    scores = score(llama, graph, pairs, "exact")
    found = prune(llama, graph, pairs, scores.strength, wanted=0.8)
    kept = circuit_metric(llama, graph, pairs, [found.kept])[0]
    again = ends(llama, graph, pairs).faithfulness(kept).value
    assert again == pytest.approx(found.faithfulness, abs=1e-5)
    assert again >= 0.8
    assert found.n_edges < graph.n_edges
    small = prune(llama, graph, pairs, scores.strength, wanted=0.99, limit=2)
    assert small.n_edges == 2


def test_pairs_that_share_a_prompt_stay_together() -> None:
    pairs = [Pair((i // 2, 50), (60 + i, 50), 1, 2) for i in range(20)]
    searched, rest = halves(pairs, 0)
    assert {pair.clean for pair in searched}.isdisjoint(pair.clean for pair in rest)
    assert len(searched) + len(rest) == 20
    assert min(len(searched), len(rest)) >= 8
    assert halves(pairs[:4], 0) == (tuple(pairs[:4]), tuple(pairs[:4]))


def test_discovery_holds_together(llama: Model, pairs: Sequence[Pair]) -> None:
    found = discover(llama, pairs, Settings(method="eap", wanted=0.7, sampled=30))
    assert found.held_out == 0  # too few pairs to keep any back
    assert found.faithfulness.value >= 0.7
    low, high = found.bounds()
    mean = found.effects.mean(0)
    assert (low <= mean + 1e-6).all()
    assert (mean <= high + 1e-6).all()
    assert found.effects[:, found.kept].any(0).all()
    assert found.curve.f[-1] == pytest.approx(1, abs=1e-4)
    with pytest.raises(TomogramError, match="no method"):
        discover(llama, pairs, Settings(method="guess"))


def test_agreement_by_hand() -> None:
    predicted = np.array([1.0, 2.0, 3.0, -4.0])
    found = agreement(predicted, 2 * predicted)
    assert found is not None
    assert found.spearman.value == pytest.approx(1)
    assert (found.signs, found.slope) == (1.0, pytest.approx(2.0))
    assert agreement(predicted[:2], predicted[:2]) is None
    assert agreement(predicted, np.zeros(4)) is None


def test_top_takes_the_first_edges() -> None:
    graph = EdgeGraph(heads=1, kv_heads=1, parallel=(False,))
    assert top(graph, [(0, 0), (0, 1)], 1).sum() == 1
