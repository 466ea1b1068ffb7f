"""`tomogram discover` and `tomogram explain` from outside, on the shipped model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import tomogram
from tomogram.circuits.discovery.discover import Settings
from tomogram.cli.discover import features_summary
from tomogram.cli.main import app
from tomogram.dictionaries.shape import transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.load import load
from tomogram.reference import shipped
from tomogram.store.errors import TomogramError

CAPITALS = {"Texas": "Austin", "Ohio": "Columbus", "Florida": "Tallahassee", "Oregon": "Salem"}


def run(command: str, *arguments: str) -> str:
    done = CliRunner().invoke(app, [command, str(shipped.path()), *arguments])
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    states = list(CAPITALS)
    file = tmp_path / "capitals.jsonl"
    lines = [
        {
            "clean": f"the capital of {a} is",
            "counterfactual": f"the capital of {b} is",
            "answer": CAPITALS[a],
            "other": CAPITALS[b],
        }
        for a, b in zip(states, [*states[1:], states[0]], strict=True)
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    return file


def test_a_behaviour_gets_a_measured_circuit(tmp_path: Path, pairs: Path) -> None:
    out = tmp_path / "found"
    arguments = ("--pairs", str(pairs), "--method", "eap", "--sampled", "20", "--out", str(out))
    said = run("discover", *arguments)
    found = json.loads((out / "circuit" / "discovery.json").read_text())
    assert said.startswith(f"capitals: {found['edges_kept']} of 927 edges")
    assert "too few to keep any" in said
    assert found["faithfulness"]["value"] >= 0.85
    assert found["metric"]["whole"] > 0 > found["metric"]["empty"]
    assert len(found["edges"]) == found["edges_kept"]
    for edge in found["edges"]:
        assert edge["measured"]["low"] <= edge["measured"]["value"] <= edge["measured"]["high"]
    parts = {part["node"]: part for part in found["nodes"]}
    assert len(parts) == len(found["nodes"]) == 1 + 4 * 7
    # Patching the embeddings whole makes the other prompt of it.
    difference = found["metric"]["empty"] - found["metric"]["whole"]
    assert parts["input"]["measured"]["value"] == pytest.approx(difference, rel=1e-3)
    circuit = json.loads((out / "circuit" / "circuit.json").read_text())
    assert sum(edge["in_graph"] for edge in circuit["edges"].values()) == found["edges_kept"]
    stamp = (out / "circuit" / "stage.json").stat().st_mtime_ns
    assert json.loads(run("discover", *arguments, "--json")) == found
    assert (out / "circuit" / "stage.json").stat().st_mtime_ns == stamp  # not done again


def test_a_behaviour_gets_a_circuit_over_features(tmp_path: Path, pairs: Path) -> None:
    model = load(shipped.path())
    own = []
    for layer in range(model.n_layers):
        dictionary = TopK(transcoder(layer, model.d_model), 64, k=8)
        generator = torch.Generator().manual_seed(layer)
        for weight in (dictionary.W_enc, dictionary.W_dec):
            weight.data.copy_(0.1 * torch.randn(weight.shape, generator=generator))
        own.append(dictionary.requires_grad_(False))
    out, settings = tmp_path / "found", Settings(sampled=20)
    found = tomogram.discover_features(model, pairs, own, settings=settings, out=out)
    assert found["behaviour"] == "capitals"
    assert found["nodes_kept"] == len(found["nodes"]) <= found["nodes_active"]
    assert found["metric"]["whole"] > found["metric"]["empty"]
    for node in found["nodes"]:
        assert node["span"] in ("changed", "between", "asked")
        assert node["predicted"]["low"] <= node["predicted"]["value"] <= node["predicted"]["high"]
    assert {edge["to"] for edge in found["edges"]} >= {"the answer"}
    told = features_summary(found)
    assert "features and errors that differ" in told
    stamp = (out / "features" / "stage.json").stat().st_mtime_ns
    again = tomogram.discover_features(model, pairs, own, settings=settings, out=out)
    assert again == found == json.loads((out / "features" / "features.json").read_text())
    assert (out / "features" / "stage.json").stat().st_mtime_ns == stamp  # not done again


def test_features_need_pairs_and_transcoders(tmp_path: Path, pairs: Path) -> None:
    with pytest.raises(TomogramError, match="--pairs says which"):
        run("discover", "--dictionaries", "anywhere")
    with pytest.raises(TomogramError, match="There is no folder"):
        run("discover", "--pairs", str(pairs), "--dictionaries", "nowhere/at/all/of/it")


def test_pairs_of_unequal_length_are_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps({"clean": "Texas is", "counterfactual": "Ohio"}))
    with pytest.raises(TomogramError, match=r"line 1: .* as many tokens; they have 3 and 2"):
        run("discover", "--pairs", str(file))


def test_without_pairs_a_folder_is_needed() -> None:
    with pytest.raises(TomogramError, match="--out says where"):
        run("discover")


def test_an_explanation_names_a_change_that_works() -> None:
    prompt = "the capital of Texas is"
    found = json.loads(run("explain", prompt, "--json"))
    assert found["answer"]["token"].strip() == "Austin"
    change = found["change"]
    assert len(change["positions"]) == 1
    changed = " ".join(each.strip() for each in change["tokens"][1:])
    again = json.loads(run("explain", changed, "--json"))
    assert again["answer"]["token"] == change["says"]
    assert found["error"]["value"] < 0.3
    assert "The smallest change found" in found["text"]


def test_an_answer_is_not_explained_against_itself() -> None:
    with pytest.raises(TomogramError, match="not against itself"):
        run("explain", "Macon lies in", "--target", "Georgia", "--against", "Georgia")
    with pytest.raises(TomogramError, match="is not one token"):
        run("explain", "Macon lies in", "--against", "Georgia and more")
