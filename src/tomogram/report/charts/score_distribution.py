"""How well labels hold on unseen text: features above the line, neurons below it."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tomogram.report.charts import svg
from tomogram.report.charts.picture import Picture
from tomogram.report.charts.scale import Linear
from tomogram.report.words import decimal, percent, whole

_WIDTH, _LEFT, _RIGHT, _MIDDLE, _REACH = 360.0, 6.0, 354.0, 118.0, 92.0
BINS = 25


def score_distribution(features: Sequence[float], neurons: Sequence[float]) -> Picture:
    """Mirrored histograms of label scores in 0..1, each as a share of its own units."""
    sides = {"features": binned(features), "neurons": binned(neurons)}
    tallest = max(0.01, *(share for side in sides.values() for share in side))
    x = Linear(0.0, 1.0, _LEFT, _RIGHT)
    marks: list[Markup] = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        marks.append(svg.line(x(tick), _MIDDLE - _REACH, x(tick), _MIDDLE + _REACH, "rule"))
        marks.append(svg.words(x(tick), _MIDDLE + _REACH + 15, f"{tick:g}", "tick", "middle"))
    width = (_RIGHT - _LEFT) / BINS
    for name, class_, up in (("features", "feature", True), ("neurons", "neuron", False)):
        for index, share in enumerate(sides[name]):
            height = share / tallest * _REACH
            if height:
                y = _MIDDLE - height if up else _MIDDLE
                at = f"{index / BINS:g} to {(index + 1) / BINS:g}"
                marks.append(
                    svg.rect(
                        _LEFT + index * width + 0.5, y, width - 1, height, f"bar-{class_}",
                        f"{percent(share)} of {name} score {at}",
                    )
                )  # fmt: skip
    marks.append(svg.line(_LEFT, _MIDDLE, _RIGHT, _MIDDLE, "zero"))
    below = _MIDDLE + _REACH
    marks += [
        svg.rect(_LEFT, 2, 10, 10, "bar-feature"),
        svg.words(_LEFT + 15, 11, f"{whole(len(features))} labelled features", "key"),
        svg.rect(190, 2, 10, 10, "bar-neuron"),
        svg.words(205, 11, f"{whole(len(neurons))} labelled neurons", "key"),
    ]
    marks.append(svg.words(_WIDTH / 2, below + 31, "label's score", "axis", "middle"))
    mean_f, mean_n = (decimal(sum(v) / len(v)) if v else "–" for v in (features, neurons))
    summary = f"mean score of features {mean_f}, of neurons {mean_n}"
    return Picture(
        title="Do labels hold?",
        caption=(
            "A label is a rule drawn from where a unit fires; its score says how well the rule "
            f"predicts the firing on unseen text. Here: {summary}."
        ),
        svg=svg.drawing(_WIDTH, below + 38, *marks, label=f"Distribution of scores: {summary}."),
        columns=("score", "share of features", "share of neurons"),
        rows=tuple(
            (f"{i / BINS:.2f}–{(i + 1) / BINS:.2f}", percent(f), percent(n))
            for i, (f, n) in enumerate(zip(sides["features"], sides["neurons"], strict=True))
        ),
    )


def binned(values: Sequence[float]) -> list[float]:
    """Shares of the values in equal bins over 0..1; a value of 1 lies in the last bin."""
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, max(0, int(value * BINS)))] += 1
    return [count / max(1, len(values)) for count in counts]
