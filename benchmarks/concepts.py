"""Concepts: how well neurons, features and a linear probe find what is known to be true.

Scans the reference model with the standard plan and reads the concept stage: for every concept of
the microworld the best unit over all layers is chosen on one text and its F1 measured on another.
Concepts that are not single words are shown by themselves.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.harness import Figure, figure, main
from tomogram.pipeline.scan import scan
from tomogram.store.schema import ConceptMeans


def measure(quick: bool) -> dict[str, Figure]:
    """Mean F1 of each kind of unit, and the margin of the features over the neurons."""
    with tempfile.TemporaryDirectory() as folder:
        found = scan(out=Path(folder) / "scan", plan="quick" if quick else "standard")
        concepts = found.manifest.concepts
    assert concepts is not None
    margin = figure(concepts.means.margin)
    return {
        "mean best-feature F1": figure(concepts.means.feature, 0.80),
        "margin over the best neuron, lower bound": Figure(
            concepts.means.margin.low, margin.low, margin.high, 0.0
        ),
        **_means("all", concepts.means),
        **(_means("single words", concepts.single_word) if concepts.single_word else {}),
        **(_means("not single words", concepts.several_words) if concepts.several_words else {}),
    }


def _means(name: str, means: ConceptMeans) -> dict[str, Figure]:
    figures = {
        f"{name}: best feature F1": figure(means.feature),
        f"{name}: best neuron F1": figure(means.neuron),
        f"{name}: margin": figure(means.margin),
        f"{name}: linear probe F1": figure(means.probe),
    }
    if means.random is not None:
        figures[f"{name}: random direction F1"] = figure(means.random)
    return figures


if __name__ == "__main__":
    main("concepts", measure)
