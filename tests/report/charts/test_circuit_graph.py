"""The drawing of a circuit: its nodes and lines, its words, and hostile text."""

from __future__ import annotations

import pytest

from tests.circuits.graph.example import example
from tests.report.example import build_evidence, build_manifest
from tomogram.report.charts.circuit_graph import circuit_graph
from tomogram.report.evidence import Evidence
from tomogram.report.page import render
from tomogram.store.schema import CircuitRecord, Circuits, Estimate


def record(**changes: object) -> CircuitRecord:
    """What is said of the graph by hand."""
    sure = Estimate(value=0.9, low=0.8, high=0.95, n=40)
    content: dict[str, object] = {
        "file": "circuits/circuit-0.json",
        "prompt": "one",
        "says": "two",
        "probability": 0.5,
        "passed": True,
        "replacement": 0.75,
        "completeness": 0.8,
        "frozen": sure,
        "direct": sure,
        "total": sure,
        "kept": 0.1,
        "faithfulness": 0.9,
    }
    return CircuitRecord.model_validate(content | changes)


def test_every_node_and_line_of_a_small_graph_is_drawn() -> None:
    drawn = circuit_graph(example(), record(), {(0, 11): "the word one"})
    assert drawn.svg.count("<circle") == 5
    assert drawn.svg.count("<line") == 5
    # Two of the five edges are negative.
    assert drawn.svg.count(" down") == 2
    assert "the word one" in drawn.svg
    assert drawn.title == "“one” → “two”"
    # The units, the one with more influence first; all of a's runs through b.
    assert [row[1] for row in drawn.rows] == ["no label", "the word one"]
    assert "stood its check" in drawn.caption


def test_a_graph_that_failed_says_so() -> None:
    assert "failed its check" in circuit_graph(example(), record(passed=False), {}).caption


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><b x="', "\u202eevil"])
def test_words_of_a_prompt_are_only_words(hostile: str) -> None:
    drawn = circuit_graph(example(spelled=(hostile,)), record(says=hostile, prompt=hostile), {})
    assert "<script" not in drawn.svg
    assert "<b " not in drawn.svg
    assert "\u202e" not in drawn.svg


def test_the_page_has_a_section_of_circuits_where_there_are_any() -> None:
    manifest = build_manifest()
    evidence = build_evidence(manifest)
    assert 'id="circuits"' not in render(manifest, evidence)
    found = Circuits(tried=6, passed=1, shown=(record(),))
    shown = manifest.model_copy(update={"circuits": found})
    with_graph = Evidence(
        evidence.cards, evidence.feature_scores, evidence.neuron_scores, (example(),)
    )
    page = render(shown, with_graph)
    assert 'id="circuits"' in page
    assert "circuit-graph" in page.split("<body>")[1]
    none = Circuits(tried=0, passed=0, shown=(), refused="The model is sure of nothing.")
    page = render(manifest.model_copy(update={"circuits": none}), evidence)
    assert "The model is sure of nothing." in page
