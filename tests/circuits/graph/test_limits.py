"""Limits: how much memory a graph and its check take, and that less of it changes no number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.tracing import GIB, alone
from tests.circuits.graph.conftest import PROMPT, tiny, transcoders
from tests.models.families import CONTEXT, VOCAB
from tomogram.circuits.graph import checks, experiments, heads
from tomogram.circuits.graph.attended import attended
from tomogram.circuits.graph.checks import check
from tomogram.circuits.graph.graph import NEURON
from tomogram.circuits.graph.rows import Reading
from tomogram.circuits.graph.scores import influence, normalised, prune
from tomogram.circuits.graph.targets import Token
from tomogram.circuits.graph.trace import Limits, trace
from tomogram.reference import shipped

LONG = torch.randint(VOCAB, (CONTEXT,), generator=torch.Generator().manual_seed(2)).tolist()


class Largest(TorchDispatchMode):
    """Remembers how many numbers the largest tensor had that was made."""

    numbers = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, torch.Tensor):
                self.numbers = max(self.numbers, each.untyped_storage().nbytes() // 4)
        return made


@pytest.mark.parametrize("family", ["llama", "gpt-neox-parallel"])
@pytest.mark.parametrize("kind", ["none", "cross-layer-skip"])
@pytest.mark.parametrize("depth", [1, 4])
def test_a_sum_of_values_is_one_row(family: str, kind: str, depth: int) -> None:
    model = tiny(family)
    own = None if kind == "none" else transcoders(model, kind)
    linear = trace(model, LONG, Token(3), own, limits=Limits(nodes=0)).linear
    generator = torch.Generator().manual_seed(0)
    n = len(LONG)
    vectors = torch.randn(n, model.d_model, generator=generator)
    # Two values may stand at one position.
    reading = Reading(depth, torch.arange(n) // 2, vectors, torch.zeros(n))
    each, _ = linear.rows(reading)
    with Largest() as largest:
        together = linear.summed(reading)
    expected = each.sum(1)
    assert together == pytest.approx(expected, rel=1e-3, abs=1e-5 * float(expected.abs().max()))
    # Patterns are there already, and no row of each value.
    assert largest.numbers < each.numel() / 3


def test_units_are_ranked_by_the_influence_of_the_paper() -> None:
    """The ones taken are those that `scores.influence` ranks first, a round of rows at a time."""
    model, wanted, rounds = tiny("llama"), 64, 8
    whole = trace(model, PROMPT, Token(3)).graph
    few = trace(model, PROMPT, Token(3), limits=Limits(nodes=wanted)).graph
    units = np.flatnonzero(whole.nodes.of(NEURON))
    start = np.zeros(len(whole.nodes))
    start[whole.targets.start :] = whole.weights
    known = np.zeros(len(whole.nodes), bool)
    known[whole.targets.start :] = True
    edges = whole.edges.toarray()
    for _ in range(rounds):
        rows = csr_array(np.where(known[:, None], edges, 0))
        found = influence(normalised(rows), start)[units]
        found[known[units]] = -1
        known[units[np.argsort(-found, kind="stable")[: wanted // rounds]]] = True
    nodes, taken = whole.nodes, units[known[units]]
    expected = set(zip(nodes.layer[taken], nodes.unit[taken], nodes.position[taken], strict=True))
    nodes, taken = few.nodes, np.flatnonzero(few.nodes.of(NEURON))
    assert expected == set(
        zip(nodes.layer[taken], nodes.unit[taken], nodes.position[taken], strict=True)
    )


@pytest.mark.parametrize("kind", ["none", "topk"])
def test_a_check_in_little_memory_measures_the_same(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    found = trace(
        model, PROMPT, Token(3), None if kind == "none" else transcoders(model, kind),
        limits=Limits(nodes=80),
    )  # fmt: skip
    pruned = prune(found.graph)

    def measured() -> tuple[list[float], int]:
        with Largest() as largest:
            graph = attended(check(found, edges=20, paths=4), pruned, looks=2).graph
        proof = graph.proof
        assert proof is not None
        assert proof.whole is not None
        numbers = [value for each in proof.edges for value in (each.frozen, each.direct_live or 0)]
        numbers += [each.frozen for told in graph.looks for each in told.seen]
        numbers += [route.amount for each in graph.routes.values() for route in each]
        return [*numbers, *proof.whole.curve], largest.numbers

    plenty, most = measured()
    for module in (checks, experiments, heads):
        monkeypatch.setattr(module, "AT_ONCE", 1)
    little, least = measured()
    scale = max(map(abs, plenty))
    assert little == pytest.approx(plenty, rel=1e-3, abs=1e-5 * scale)
    assert least < most / 2


def test_edges_are_kept_within_the_memory() -> None:
    """Rows in work and the edges kept of them stay within the bytes that are given."""
    model = tiny("llama")
    limits = Limits(nodes=400, memory=1 << 20)
    with Largest() as largest:
        graph = trace(model, LONG, Token(3), limits=limits).graph
    assert 4 * largest.numbers <= limits.memory
    assert 8 * graph.n_edges <= limits.memory // 2


@pytest.mark.slow
def test_a_thousand_tokens_stay_within_four_gigabytes() -> None:
    """A graph of the reference model with its check, in a process of its own."""
    found = alone(shipped.path(), 1_000, 200, "checked")
    assert found["drawn"] <= found["checked"] < 4 * GIB
    assert found["edges"] > 10_000
