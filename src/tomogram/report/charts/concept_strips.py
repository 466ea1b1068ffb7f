"""How well concepts are found: by a neuron, a feature, a probe, a random direction."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tomogram.report.charts import svg
from tomogram.report.charts.picture import Picture
from tomogram.report.charts.scale import Linear
from tomogram.report.words import decimal, plural, span
from tomogram.store.schema import ConceptMeans, ConceptRecord, Estimate

_WIDTH, _PITCH, _TOP = 360.0, 58.0, 6.0


def concept_strips(concepts: Sequence[ConceptRecord], means: ConceptMeans, what: str) -> Picture:
    """One strip a method: a tick for every concept, and the mean with its interval."""
    strips: list[tuple[str, str, list[float], Estimate]] = []
    if means.random:
        floor = [c.random for c in concepts if c.random is not None]
        strips.append(("random direction", "pca", floor, means.random))
    strips += [
        ("best neuron", "neuron", [c.neuron.f1 for c in concepts], means.neuron),
        ("best feature", "feature", [c.feature.f1 for c in concepts], means.feature),
        ("linear probe, the ceiling", "probe", [c.probe for c in concepts], means.probe),
    ]
    x = Linear(0.0, 1.0, 6.0, _WIDTH - 6)
    bottom = _TOP + len(strips) * _PITCH
    marks: list[Markup] = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        marks.append(svg.line(x(tick), _TOP, x(tick), bottom - 10, "rule"))
        marks.append(svg.words(x(tick), bottom + 6, f"{tick:g}", "tick", "middle"))
    for row, (words, class_, values, mean) in enumerate(strips):
        y = _TOP + row * _PITCH
        marks.append(svg.words(0, y + 11, words, "row-label"))
        marks.append(svg.words(_WIDTH, y + 11, decimal(mean.value), "row-value", "end"))
        marks += [svg.rect(x(value) - 0.9, y + 19, 1.8, 20, f"rug {class_}") for value in values]
        marks.append(svg.line(x(mean.low), y + 29, x(mean.high), y + 29, f"mean-span {class_}"))
        marks.append(svg.circle(x(mean.value), y + 29, 5, f"mean {class_}", f"mean {span(mean)}"))
    marks.append(svg.words(_WIDTH / 2, bottom + 22, "F1 on unseen text", "axis", "middle"))
    summary = "; ".join(f"{words} {decimal(mean.value)}" for words, _, _, mean in strips)
    return Picture(
        title=f"{what}: {plural(len(concepts), 'concept')}",
        caption=(
            f"Margin of the feature over the neuron: {span(means.margin)}, paired by concept. "
            "Every tick is a concept, the dot is the mean with its 95 % interval."
        ),
        svg=svg.drawing(_WIDTH, bottom + 28, *marks, label=f"Mean F1 for {what}: {summary}."),
        columns=("matched by", "mean F1 (95 % interval)"),
        rows=(
            *((words, span(mean, 3)) for words, _, _, mean in strips),
            ("margin, feature − neuron", span(means.margin, 3)),
        ),
    )
