"""Supernodes are measured whole: what a plain run without their units says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.circuits.graph.conftest import PROMPT, tiny
from tomogram.circuits.graph.checks import check
from tomogram.circuits.graph.export import document, read_graph, write_graph
from tomogram.circuits.graph.graph import NEURON, Supernode
from tomogram.circuits.graph.grouped import grouped
from tomogram.circuits.graph.scores import prune, scores
from tomogram.circuits.graph.targets import Difference
from tomogram.circuits.graph.trace import Limits, Traced, trace
from tomogram.models.sites import Site

GROUPS = 10


def measured() -> Traced:
    """Groups of three neurons each, across layers and positions."""
    found = trace(tiny("llama"), PROMPT, Difference(3, 5), limits=Limits(nodes=120))
    units = [node for node in range(120) if found.graph.nodes.kind[node] == NEURON]
    made = [
        Supernode(f"group {n}", tuple(units[3 * n : 3 * n + 3]))
        for n in range(len(units) // 3)
    ]  # fmt: skip
    return grouped(check(found, edges=20, paths=2), made, prune(found.graph), most=GROUPS)


def test_a_group_is_taken_away_at_once(tmp_path: Path) -> None:
    found = measured()
    graph, model = found.graph, found.model
    assert graph.proof is not None
    groups = graph.proof.groups
    assert len(groups) == GROUPS
    assert graph.proof.groups_live is not None
    assert graph.proof.groups_live.spearman.value > 0.8

    def difference(nodes: tuple[int, ...], step: float) -> float:
        def cut(layer: int):  # type: ignore[no-untyped-def]
            def change(value: torch.Tensor) -> torch.Tensor:
                for node in nodes:
                    if graph.nodes.layer[node] == layer:
                        position, unit = graph.nodes.position[node], graph.nodes.unit[node]
                        # Of what the neuron wrote on the prompt, whatever it is after the change.
                        value[0, int(position), int(unit)] -= step * float(graph.nodes.value[node])
                return value

            return change

        actions = {Site("neurons", layer): cut(layer) for layer in range(model.n_layers)}
        logits = model.run(torch.tensor([PROMPT]), interventions=actions).logits
        assert logits is not None
        return float(logits[0, -1, 3] - logits[0, -1, 5])

    for each in groups:
        effect = (difference((), 1.0) - difference(each.nodes, each.step)) / each.step
        assert each.measured == pytest.approx(effect, rel=1e-2, abs=1e-5)


def test_a_file_keeps_what_was_measured(tmp_path: Path) -> None:
    graph = measured().graph
    write_graph(
        tmp_path / "graph.json", document(graph, prune(graph, nodes=1, edges=1), scores(graph))
    )
    again, _ = read_graph(tmp_path / "graph.json")
    assert graph.proof is not None
    assert again.proof is not None
    assert again.proof.groups_live == graph.proof.groups_live
    assert [each.measured for each in again.proof.groups] == [
        each.measured for each in graph.proof.groups
    ]


def test_without_a_check_groups_are_only_named() -> None:
    found = trace(tiny("llama"), PROMPT, Difference(3, 5), limits=Limits(nodes=20))
    graph = grouped(found, [Supernode("one", (0, 1))], prune(found.graph)).graph
    assert graph.proof is None
    assert [each.label for each in graph.supernodes] == ["one"]
