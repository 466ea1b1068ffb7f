"""Each ground-truth concept as a dot: its best neuron against its best feature."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tomogram.report.charts import svg
from tomogram.report.charts.picture import Picture
from tomogram.report.charts.scale import Linear
from tomogram.report.words import decimal, plural
from tomogram.store.schema import ConceptRecord

_SIZE, _LEFT, _BOTTOM = 360.0, 40.0, 334.0


def concept_scatter(concepts: Sequence[ConceptRecord]) -> Picture:
    """F1 of the best feature over F1 of the best neuron; above the diagonal the feature wins."""
    x = Linear(0.0, 1.0, _LEFT, _SIZE - 10)
    y = Linear(0.0, 1.0, _BOTTOM, 24.0)
    marks: list[Markup] = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        marks.append(svg.line(_LEFT, y(tick), _SIZE - 10, y(tick), "rule"))
        marks.append(svg.words(_LEFT - 6, y(tick) + 3.5, f"{tick:g}", "tick", "end"))
        marks.append(svg.words(x(tick), _BOTTOM + 15, f"{tick:g}", "tick", "middle"))
    marks.append(svg.line(x(0), y(0), x(1), y(1), "diagonal"))
    marks.append(svg.words(x(0.5) + 6, y(0.5) + 14, "equal", "key"))
    for concept in concepts:
        kind = "word" if concept.single_word else "several"
        hover = (
            f"{concept.name}: neuron {decimal(concept.neuron.f1)}, "
            f"feature {decimal(concept.feature.f1)}, probe {decimal(concept.probe)}"
        )
        marks.append(
            svg.circle(x(concept.neuron.f1), y(concept.feature.f1), 3.6, f"concept {kind}", hover)
        )
    marks.append(svg.words(x(0.5), _BOTTOM + 33, "F1 of the best neuron", "axis", "middle"))
    marks.append(svg.words(0, 8, "F1 of the best feature", "axis"))
    key = _BOTTOM + 52
    marks += [
        svg.circle(_LEFT + 4, key - 3.5, 3.6, "concept word"),
        svg.words(_LEFT + 13, key, "a single word", "key"),
        svg.circle(_LEFT + 114, key - 3.5, 3.6, "concept several"),
        svg.words(_LEFT + 123, key, "not a single word", "key"),
    ]
    ahead = sum(concept.feature.f1 > concept.neuron.f1 for concept in concepts)
    summary = f"for {ahead} of {plural(len(concepts), 'concept')} the feature is the better match"
    return Picture(
        title="Best neuron against best feature",
        caption=(
            "One dot a concept. The unit is chosen on one split of the text and its F1 measured on "
            f"another; {summary}."
        ),
        svg=svg.drawing(_SIZE, key + 6, *marks, label=f"Scatter of F1 scores: {summary}."),
        columns=("concept", "group", "tokens", "neuron", "F1", "feature", "F1", "probe F1"),
        rows=tuple(
            (
                concept.name, concept.group, str(concept.tokens),
                f"{concept.neuron.group} · {concept.neuron.index}", decimal(concept.neuron.f1),
                f"{concept.feature.group} · {concept.feature.index}", decimal(concept.feature.f1),
                decimal(concept.probe),
            )
            for concept in concepts
        ),
    )  # fmt: skip
