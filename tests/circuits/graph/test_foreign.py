"""Graphs that other tools wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.circuits.graph.conftest import PROMPT, tiny, transcoders
from tomogram.circuits.graph.export import document, write_graph
from tomogram.circuits.graph.foreign import read_any
from tomogram.circuits.graph.graph import ERROR, FEATURE, TARGET, TOKEN, Supernode
from tomogram.circuits.graph.scores import prune, scores
from tomogram.circuits.graph.targets import Likely
from tomogram.circuits.graph.trace import trace
from tomogram.store.errors import TomogramError


def node(name: str, layer: str, position: int, kind: str, **more: object) -> dict:
    return {
        "node_id": name, "feature": 0, "layer": layer, "ctx_idx": position, "feature_type": kind,
        "jsNodeId": name, "clerp": "", "influence": None, "activation": None, **more,
    }  # fmt: skip


def foreign() -> dict:
    """A file as circuit-tracer writes it, of a model of two layers."""
    return {
        "metadata": {"slug": "a", "scan": "gemma", "prompt_tokens": ["a", "b"], "prompt": "a b"},
        "qParams": {"supernodes": [["group", "1_7_1", "0_5_0"]], "linkType": "both"},
        "nodes": [
            node("3_42_1", "3", 1, "logit", token_prob=0.75, clerp='Output "c" (p=0.750)'),
            node("1_7_1", "1", 1, "cross layer transcoder", activation=2.5),
            node("E_10_0", "E", 0, "embedding"),
            node("E_11_1", "E", 1, "embedding"),
            node("0_1_0", "1", 0, "mlp reconstruction error"),
            node("0_5_0", "0", 0, "cross layer transcoder", activation=1.0),
        ],
        "links": [
            {"source": "E_10_0", "target": "0_5_0", "weight": 1.0},
            {"source": "0_5_0", "target": "1_7_1", "weight": 2.0},
            {"source": "1_7_1", "target": "3_42_1", "weight": -3.0},
            {"source": "0_1_0", "target": "3_42_1", "weight": 0.5},
        ],
    }


def write(tmp_path: Path, content: dict) -> Path:
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(content))
    return path


def test_a_file_of_circuit_tracer(tmp_path: Path) -> None:
    graph = read_any(write(tmp_path, foreign()))
    assert graph.nodes.kind.tolist() == [FEATURE, FEATURE, ERROR, TOKEN, TOKEN, TARGET]
    assert graph.nodes.unit.tolist() == [5, 7, 0, 10, 11, 42]
    assert graph.nodes.layer.tolist() == [0, 1, 1, -1, -1, 2]
    assert graph.tokens == (10, 11)
    assert graph.n_layers == 2
    assert graph.probabilities == (0.75,)
    assert graph.supernodes == (Supernode("group", (1, 0)),)
    edges = graph.edges.toarray()
    assert edges[5, 1] == -3
    assert edges[5, 2] == 0.5
    assert edges[1, 0] == 2
    assert graph.nodes.value[-1] == -2.5
    assert graph.title.endswith("(not checked)")
    # It is a graph like ours: it can be pruned, scored and written.
    assert prune(graph, nodes=1, edges=1).edges.nnz == 4
    assert 0 < scores(graph).replacement < 1


def test_our_files_without_what_only_we_know(tmp_path: Path) -> None:
    model = tiny("llama")
    graph = trace(model, PROMPT, Likely(), transcoders(model, "topk")).graph
    content = document(graph, prune(graph), scores(graph))
    path = tmp_path / "ours.json"
    write_graph(path, content)
    whole = read_any(path)
    bare = json.loads(path.read_text())
    del bare["tomogram"]
    found = read_any(write(tmp_path, bare))
    assert found.tokens == whole.tokens
    for name in ("kind", "layer", "unit", "position"):
        assert np.array_equal(getattr(found.nodes, name), getattr(whole.nodes, name)), name
    assert abs(found.edges - whole.edges).max() == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c["nodes"][1].update(feature_type="lorsa"), "type 'lorsa'"),
        (lambda c: c["nodes"][4].update(node_id="0_5_0"), "two nodes called 0_5_0"),
        (lambda c: c["links"][0].update(source="nobody"), "adds up"),
        (lambda c: c["nodes"].pop(0), "no logit"),
        (lambda c: c.pop("metadata"), "is no attribution graph"),
    ],
)
def test_refusals(tmp_path: Path, change: object, sentence: str) -> None:
    content = foreign()
    change(content)  # type: ignore[operator]
    if sentence == "no logit":
        content["links"] = content["links"][:2]
    with pytest.raises(TomogramError, match=sentence):
        read_any(write(tmp_path, content))
