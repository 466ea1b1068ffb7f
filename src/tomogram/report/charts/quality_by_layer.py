"""Dictionary quality by layer, beside principal components of the same rank."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from tomogram.report.charts import svg
from tomogram.report.charts.picture import Picture
from tomogram.report.charts.scale import Linear, Log, nice_top
from tomogram.report.words import decimal, span
from tomogram.store.schema import DictionaryRecord, Estimate, Spliced

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP = 360.0, 180.0, 40.0, 350.0, 12.0
_FLOOR = 0.001


def fvu_by_layer(dictionaries: Sequence[DictionaryRecord], what: str) -> Picture:
    """Fraction of variance unexplained of each dictionary and of its PCA baseline."""
    highest = max(
        max(d.quality.fvu, d.quality.pca.fvu if d.quality.pca else 0.0) for d in dictionaries
    )
    y = Linear(0.0, 1.0 if highest > 0.5 else nice_top(highest), _HEIGHT, _TOP)
    x = _positions(dictionaries)
    marks = _frame(dictionaries, x, [(tick, f"{tick:g}") for tick in y.ticks(4)], y)
    for d in dictionaries:
        if d.quality.pca:
            hover = f"PCA, layer {d.layer}: {decimal(d.quality.pca.fvu, 3)}"
            marks.append(svg.circle(x(d.layer) + 3, y(d.quality.pca.fvu), 3.4, "dot pca", hover))
        hover = f"{d.name}: {decimal(d.quality.fvu, 3)}"
        marks.append(svg.circle(x(d.layer) - 3, y(d.quality.fvu), 3.8, "dot feature", hover))
    marks += _key(has_pca=any(d.quality.pca for d in dictionaries))
    low, high = _range([d.quality.fvu for d in dictionaries])
    return Picture(
        title=f"Variance not explained: {what}",
        caption=(
            "FVU = Σ‖x − x̂‖² / Σ‖x − x̄‖² on held-out text; 0 is a perfect reconstruction. Beside "
            "it, principal components of the same rank."
        ),
        svg=svg.drawing(
            _WIDTH, _HEIGHT + 44, *marks, label=f"FVU of {what} by layer, from {low} to {high}."
        ),
        columns=("dictionary", "layer", "L0", "FVU", "FVU of PCA", "shrinkage", "dead", "dense"),
        rows=tuple(
            (
                d.name, str(d.layer), decimal(d.quality.l0, 1), decimal(d.quality.fvu, 3),
                decimal(d.quality.pca.fvu, 3) if d.quality.pca else "–",
                decimal(d.quality.shrinkage, 3), str(d.quality.dead), str(d.quality.dense),
            )
            for d in dictionaries
        ),
    )  # fmt: skip


def rise_by_layer(
    dictionaries: Sequence[DictionaryRecord], together: Spliced | None, what: str
) -> Picture:
    """Rise in loss with each dictionary spliced in alone, PCA's, and all of them at once.

    The axis is logarithmic; what is at or below a thousandth of a nat is drawn at its lower end.
    """
    rises = [d.quality.rise for d in dictionaries]
    pca = [d.quality.pca.rise for d in dictionaries if d.quality.pca]
    everything = [*rises, *pca, *([together.rise] if together else [])]
    highest = max(0.1, *(estimate.high for estimate in everything))
    lowest = min((e.value for e in everything if e.value > 0), default=_FLOOR)
    floor = max(_FLOOR, 10 ** math.floor(math.log10(max(lowest, _FLOOR))))
    y = Log(floor, highest * 1.15, _HEIGHT, _TOP)
    x = _positions(dictionaries)
    marks = _frame(dictionaries, x, [(tick, f"{tick:g}") for tick in y.ticks()], y)
    if together:
        level = y(together.rise.value)
        marks.append(svg.line(_LEFT, level, _RIGHT, level, "together"))
        key = _HEIGHT + 51
        marks.append(svg.line(_LEFT - 2, key - 3.5, _LEFT + 10, key - 3.5, "together"))
        words = f"all at once: {decimal(together.rise.value)} nats"
        marks.append(svg.words(_LEFT + 13, key, words, "key"))
    for d in dictionaries:
        if d.quality.pca:
            marks += _whisker(x(d.layer) + 3, y, d.quality.pca.rise, "pca", f"PCA, layer {d.layer}")
        marks += _whisker(x(d.layer) - 3, y, d.quality.rise, "feature", d.name)
    marks += _key(has_pca=bool(pca))
    low, high = _range([estimate.value for estimate in rises])
    return Picture(
        title=f"Rise in loss: {what}",
        caption=(
            "Nats per token added when the reconstruction takes the place of the real activations, "
            "one layer alone (dots, with 95 % intervals over rows of text) and all at once (line). "
            "The scale is logarithmic."
        ),
        svg=svg.drawing(
            _WIDTH, _HEIGHT + 58, *marks,
            label=(
                f"Rise in loss of {what} by layer, from {low} to {high} nats alone"
                + (f"; {decimal(together.rise.value)} nats all at once." if together else ".")
            ),
        ),
        columns=("dictionary", "layer", "rise alone", "loss recovered", "rise with PCA"),
        rows=(
            *(
                (
                    d.name, str(d.layer), span(d.quality.rise, 3), span(d.quality.recovered, 3),
                    span(d.quality.pca.rise, 3) if d.quality.pca else "–",
                )
                for d in dictionaries
            ),
            *(
                [("all at once", "–", span(together.rise, 3),
                  span(together.recovered, 3) if together.recovered else "–", "–")]
                if together
                else []
            ),
        ),
    )  # fmt: skip


def _positions(dictionaries: Sequence[DictionaryRecord]) -> Linear:
    layers = [d.layer for d in dictionaries]
    return Linear(min(layers) - 0.6, max(layers) + 0.6, _LEFT, _RIGHT)


def _frame(
    dictionaries: Sequence[DictionaryRecord],
    x: Linear,
    ticks: list[tuple[float, str]],
    y: Linear | Log,
) -> list[Markup]:
    marks = []
    for value, words in ticks:
        marks.append(svg.line(_LEFT, y(value), _RIGHT, y(value), "rule"))
        marks.append(svg.words(_LEFT - 6, y(value) + 3.5, words, "tick", "end"))
    layers = sorted({d.layer for d in dictionaries})
    every = max(1, math.ceil(len(layers) / 12))
    for layer in layers[::every]:
        marks.append(svg.words(x(layer), _HEIGHT + 15, str(layer), "tick", "middle"))
    return marks


def _whisker(x: float, y: Log, estimate: Estimate, class_: str, words: str) -> list[Markup]:
    hover = f"{words}: {span(estimate, 3)} nats"
    return [
        svg.line(x, y(estimate.low), x, y(estimate.high), f"whisker {class_}"),
        svg.circle(x, y(estimate.value), 3.6, f"dot {class_}", hover),
    ]


def _key(*, has_pca: bool) -> list[Markup]:
    y = _HEIGHT + 33
    marks = [svg.circle(_LEFT + 4, y - 3.5, 3.8, "dot feature"),
             svg.words(_LEFT + 13, y, "dictionary", "key")]  # fmt: skip
    if has_pca:
        marks += [svg.circle(_LEFT + 92, y - 3.5, 3.4, "dot pca"),
                  svg.words(_LEFT + 101, y, "PCA of the same rank", "key")]  # fmt: skip
    marks.append(svg.words(_RIGHT, y, "layer", "axis", "end"))
    return marks


def _range(values: list[float]) -> tuple[str, str]:
    return decimal(min(values), 3), decimal(max(values), 3)
