"""Units that do the same become one node; a person's edits stay."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from tests.circuits.graph.example import example
from tomogram.circuits.graph.export import document, read_graph, write_graph
from tomogram.circuits.graph.graph import FEATURE, TARGET, TOKEN, Graph, Nodes, Supernode
from tomogram.circuits.graph.scores import prune, scores
from tomogram.circuits.graph.supernodes import between, propose
from tomogram.store.errors import TomogramError


def two_pairs() -> Graph:
    """Units 0 and 1 do the same, 2 does the opposite, 3 the same as 0 at another position."""
    edges = np.zeros((7, 7))
    edges[0, 4], edges[1, 4], edges[2, 4], edges[3, 4] = 1, 2, 1, 1
    edges[3, 5] = 0.1
    edges[6, :4] = 3, 6, -3, 3
    return example(
        tokens=(7, 8),
        spelled=("one", "two"),
        nodes=Nodes(
            kind=np.array([FEATURE] * 4 + [TOKEN, TOKEN, TARGET]),
            layer=np.array([0, 0, 0, 0, -1, -1, 2]),
            unit=np.array([1, 2, 3, 4, 7, 8, 9]),
            position=np.array([0, 0, 0, 1, 0, 1, 1]),
            value=np.array([1.0, 2, 1, 1, 0, 0, 9]),
        ),
        edges=csr_array(edges),
        bias=np.zeros(7),
        omitted=np.zeros(7),
        omitted_mass=np.zeros(7),
    )


def test_units_that_do_the_same_at_one_position_are_one() -> None:
    graph = two_pairs()
    (found,) = propose(graph, prune(graph, nodes=1, edges=1))
    assert found.nodes == (0, 1)
    assert "one" in found.label
    assert "for “two”" in found.label


def test_nothing_is_the_same_as_its_opposite() -> None:
    graph = two_pairs()
    # Sources agree and effects are opposite: similarity 0 in the mean.
    found = propose(graph, prune(graph, nodes=1, edges=1), similar=0.01)
    assert all(2 not in each.nodes or len(each.nodes) == 1 for each in found)
    with pytest.raises(TomogramError, match="between 0 and 1"):
        propose(graph, prune(graph), similar=0)


def test_edges_of_groups_are_sums() -> None:
    graph = two_pairs()
    found = between(graph, graph.edges, [(0, 1), (4,), (6,)])
    assert found.tolist() == [[0, 3, 0], [0, 0, 0], [9, 0, 0]]


def test_edits_in_the_file_are_read_back(tmp_path: Path) -> None:
    graph = two_pairs()
    graph = replace(graph, supernodes=(Supernode("both", (0, 1)),))
    path = tmp_path / "graph.json"
    pruned = prune(graph, nodes=1, edges=1)
    write_graph(path, document(graph, pruned, scores(graph)))
    assert read_graph(path)[0].supernodes == graph.supernodes
    content = json.loads(path.read_text())
    content["qParams"]["supernodes"] = [["mine", "0_3_0", "0_4_1"]]
    path.write_text(json.dumps(content))
    assert read_graph(path)[0].supernodes == (Supernode("mine", (2, 3)),)
    content["qParams"]["supernodes"] = [["mine", "nobody"]]
    path.write_text(json.dumps(content))
    with pytest.raises(TomogramError, match="no attribution graph"):
        read_graph(path)
