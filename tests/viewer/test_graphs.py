"""Graphs for the circuit page: what is listed, what is told, what is refused, what is changed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.circuits.graph.example import example
from tests.viewer.conftest import serving
from tests.viewer.test_server import ask
from tomogram.circuits.graph.export import document, write_graph
from tomogram.circuits.graph.graph import FEATURE, NEURON
from tomogram.circuits.graph.scores import prune, scores
from tomogram.circuits.graph.targets import Likely
from tomogram.circuits.graph.trace import Limits, trace
from tomogram.dictionaries.cross_layer import CrossLayer
from tomogram.dictionaries.shape import cross_layer_transcoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError
from tomogram.viewer.content import Content
from tomogram.viewer.export import export
from tomogram.viewer.graphs import Graphs, find
from tomogram.viewer.silence import silence


@pytest.fixture(scope="module")
def folder(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph by hand, one of the scanned model, and a file that is none."""
    found = tmp_path_factory.mktemp("graphs")
    for name, graph in (("by-hand", example()), ("traced", traced(model))):
        content = document(graph, prune(graph, nodes=1.0, edges=1.0), scores(graph))
        write_graph(found / f"{name}.json", content)
    (found / "broken.json").write_text('{"nodes": 3}')
    return found


def traced(model: Model):  # type: ignore[no-untyped-def]
    return trace(model, "the capital of Texas is", Likely(), limits=Limits(nodes=40)).graph


def test_every_file_is_listed_and_a_broken_one_says_so(folder: Path) -> None:
    found = {each["name"]: each for each in find([folder]).listing()}
    assert set(found) == {"broken", "by-hand", "traced"}
    assert found["broken"]["state"] == "damaged"
    assert found["broken"]["title"].endswith(".")
    assert (found["by-hand"]["state"], found["by-hand"]["nodes"]) == ("unchecked", 5)
    assert found["by-hand"]["says"] == ["two"]


def test_a_graph_is_told_as_it_is(folder: Path) -> None:
    found = find([folder / "by-hand.json"]).one("by-hand")
    graph = example()
    dense = np.zeros((5, 5))
    for source, target, weight, _ in found["edges"]:
        dense[target, source] = weight
    np.testing.assert_array_equal(dense, graph.edges.toarray())
    assert [node["name"] for node in found["nodes"]] == [graph.name(n) for n in range(5)]
    # All influence, from the most influential node down, is 1 in the end.
    assert max(node["cumulative"] for node in found["nodes"]) == pytest.approx(1)
    assert found["tokens"] == ["one"]


def test_names_must_differ_and_files_must_be_there(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "traced.json").write_text("{}")
    with pytest.raises(TomogramError, match="called 'traced'"):
        find([folder, tmp_path])
    with pytest.raises(TomogramError, match="no graph at"):
        find([tmp_path / "nothing"])
    with pytest.raises(TomogramError, match="no such graph"):
        find([folder]).one("../traced")


def test_graphs_come_over_the_wire(folder: Path, content: Content) -> None:
    with serving(content, find([folder])) as port:
        names = [each["name"] for each in json.loads(ask(port, "/api/graphs")[2])]
        assert names == ["broken", "by-hand", "traced"]
        status, _, data = ask(port, "/api/graph?name=by-hand")
        assert (status, len(json.loads(data)["nodes"])) == (200, 5)
        saved = json.loads(ask(port, "/api/graph-file?name=by-hand")[2])
        assert saved == json.loads((folder / "by-hand.json").read_bytes())
        for wrong in (
            "/api/graph-file?name=broken",
            "/api/graph?name=nothing",
            "/api/graph",
            "/api/graph?name=broken",
        ):
            status, _, data = ask(port, wrong)
            assert status == 404
            assert json.loads(data)["error"].endswith(".")
        # A graph of another model, and nodes that are no numbers.
        body = {"graph": "by-hand", "nodes": [0], "factor": 0}
        assert ask(port, "/api/silence", body)[0] == 422
        assert ask(port, "/api/silence", body | {"nodes": ["0"]})[0] == 400
        assert ask(port, "/api/silence", body | {"nodes": [True]})[0] == 400


def test_an_export_holds_the_graphs(folder: Path, content: Content, tmp_path: Path) -> None:
    site = export(content, tmp_path / "site", find([folder])).parent / "data"
    listing = (site / "graphs.js").read_text("ascii")
    assert "by-hand" in listing
    assert (site / "graph-1.js").is_file()
    # Number 0 cannot be read, so there is nothing to show.
    assert not (site / "graph-0.js").exists()


def test_a_scan_without_graphs_lists_none() -> None:
    assert Graphs().listing() == []


def test_neurons_are_changed_in_the_model_itself(model: Model) -> None:
    graph = traced(model)
    neurons = np.flatnonzero(graph.nodes.of(NEURON))[:5].tolist()
    same = silence(model, graph, neurons, 1.0)
    assert same["before"] == same["after"]
    assert silence(model, graph, [], 0.0)["before"] == same["before"]
    found = silence(model, graph, neurons, 0.0)
    assert found["after"] != found["before"]
    # By hand: the same neurons of the Hugging Face module, silenced where they feed the projection.
    by_layer: dict[int, list[tuple[int, int]]] = {}
    for node in neurons:
        own = by_layer.setdefault(int(graph.nodes.layer[node]), [])
        own.append((int(graph.nodes.position[node]), int(graph.nodes.unit[node])))
    handles = []
    for layer, own in by_layer.items():

        def cut(module, arguments, own=own):  # type: ignore[no-untyped-def]
            value = arguments[0].clone()
            for position, unit in own:
                value[0, position, unit] = 0
            return (value,)

        down = model.module.model.layers[layer].mlp.down_proj
        handles.append(down.register_forward_pre_hook(cut))
    with torch.no_grad():
        logits = model.module(torch.tensor([graph.tokens])).logits[0, -1]
    for handle in handles:
        handle.remove()
    chances = logits.softmax(-1)
    np.testing.assert_allclose(found["after"], chances[found["tokens"]].numpy(), atol=2e-6)


def small_transcoder(model: Model) -> TopK:
    """A transcoder of the first layer with weights at random."""
    found = TopK(transcoder(0, model.d_model), 40, k=4)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in (found.W_enc, found.W_dec):
            weight.copy_(torch.randn(weight.shape, generator=generator) / 4)
    return found


def test_features_are_changed_by_what_they_write(model: Model) -> None:
    own = small_transcoder(model)
    graph = trace(model, "the capital of Texas is", Likely(), [own], limits=Limits(nodes=40)).graph
    features = np.flatnonzero(graph.nodes.of(FEATURE))[:3].tolist()
    assert features
    same = silence(model, graph, features, 1.0, lambda: [own])
    np.testing.assert_allclose(same["before"], same["after"], atol=1e-5)
    found = silence(model, graph, features, 0.0, lambda: [own])
    assert found["after"] != found["before"]

    # By hand: the MLP of the Hugging Face module without what these features write.
    def cut(module, arguments, output):  # type: ignore[no-untyped-def]
        output = output.clone()
        for node in features:
            place, unit = int(graph.nodes.position[node]), int(graph.nodes.unit[node])
            output[0, place] -= float(graph.nodes.value[node]) * own.W_dec[unit]
        return output

    handle = model.module.model.layers[0].mlp.register_forward_hook(cut)
    with torch.no_grad():
        logits = model.module(torch.tensor([graph.tokens])).logits[0, -1]
    handle.remove()
    chances = logits.softmax(-1)
    np.testing.assert_allclose(found["after"], chances[found["tokens"]].numpy(), atol=2e-5)


def test_features_across_layers_are_changed_wherever_they_write(model: Model) -> None:
    own = CrossLayer(
        cross_layer_transcoder(model.n_layers, model.d_model), 40 * model.n_layers, k=4
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in (own.W_enc, own.W_dec):
            weight.copy_(torch.randn(weight.shape, generator=generator) / 8)
        own.W_dec.mul_(own.causal)
    limits = Limits(nodes=40)
    graph = trace(model, "the capital of Texas is", Likely(), [own], limits=limits).graph
    first = graph.nodes.of(FEATURE) & (graph.nodes.layer == 0)
    features = np.flatnonzero(first)[:3].tolist()
    assert features
    same = silence(model, graph, features, 1.0, lambda: [own])
    np.testing.assert_allclose(same["before"], same["after"], atol=1e-5)
    # One of a later layer as well: what it fires after the change is what counts.
    later = int(np.flatnonzero(graph.nodes.of(FEATURE) & (graph.nodes.layer == 1))[0])
    found = silence(model, graph, [*features, later], 0.0, lambda: [own])
    assert found["after"] != found["before"]
    at = slice(model.d_model, 2 * model.d_model)
    read: dict[str, torch.Tensor] = {}

    # By hand: every MLP of the Hugging Face module without what these features write there.
    def listen(module, arguments):  # type: ignore[no-untyped-def]
        x = torch.zeros(len(graph.tokens), own.d_in)
        x[:, at] = arguments[0][0]
        read["later"] = own.encode(x).dense()

    def cut(layer):  # type: ignore[no-untyped-def]
        part = slice(layer * model.d_model, (layer + 1) * model.d_model)

        def change(module, arguments, output):  # type: ignore[no-untyped-def]
            output = output.clone()
            for node in features:
                place, unit = int(graph.nodes.position[node]), int(graph.nodes.unit[node])
                output[0, place] -= float(graph.nodes.value[node]) * own.W_dec[unit, part]
            if layer >= 1:
                place, unit = int(graph.nodes.position[later]), 40 + int(graph.nodes.unit[later])
                output[0, place] -= read["later"][place, unit] * own.W_dec[unit, part]
            return output

        return change

    layers = model.module.model.layers
    handles = [layers[1].mlp.register_forward_pre_hook(listen)]
    handles += [block.mlp.register_forward_hook(cut(n)) for n, block in enumerate(layers)]
    with torch.no_grad():
        logits = model.module(torch.tensor([graph.tokens])).logits[0, -1]
    for handle in handles:
        handle.remove()
    chances = logits.softmax(-1)
    np.testing.assert_allclose(found["after"], chances[found["tokens"]].numpy(), atol=2e-5)


def test_features_of_other_transcoders_are_refused(model: Model) -> None:
    own, other = small_transcoder(model), small_transcoder(model)
    with torch.no_grad():
        other.W_enc.mul_(2)
    graph = trace(model, "the capital of Texas is", Likely(), [own], limits=Limits(nodes=40)).graph
    feature = int(np.flatnonzero(graph.nodes.of(FEATURE))[0])
    with pytest.raises(TomogramError, match="other transcoders"):
        silence(model, graph, [feature], 0.0, lambda: [other])
    with pytest.raises(TomogramError, match="no transcoder of layer 0"):
        silence(model, graph, [feature], 0.0)


@pytest.mark.parametrize(
    ("nodes", "factor", "words"),
    [([10_000], 0.0, "Only neurons"), ([-1], 0.0, "Only neurons"), ([], float("nan"), "finite")],
)
def test_changes_that_make_no_sense_are_refused(
    model: Model, nodes: list[int], factor: float, words: str
) -> None:
    with pytest.raises(TomogramError, match=words):
        silence(model, traced(model), nodes, factor)


def test_a_token_cannot_be_silenced(model: Model) -> None:
    graph = traced(model)
    target = graph.targets.start
    with pytest.raises(TomogramError, match="Only neurons"):
        silence(model, graph, [target], 0.0)
