"""The parameter stack: the model's blocks, as wide as their attention and MLP are large."""

from __future__ import annotations

from markupsafe import Markup

from tomogram.report.charts import svg
from tomogram.report.charts.picture import Picture
from tomogram.report.words import percent, short, whole
from tomogram.store.schema import Parameters

_WIDTH, _AXIS, _SIDE = 360.0, 186.0, 150.0
_TALLEST = 150.0
"""Height of the embedding's block at which everything is drawn smaller instead."""


def parameter_stack(parameters: Parameters, *, tied: bool) -> Picture:
    """Draw attention to the left and MLP to the right of the residual stream, from below upwards.

    Area is proportional to the number of parameters everywhere; the embedding and the unembedding
    lie across the stream.
    """
    n_layers = len(parameters.layers)
    pitch = max(5.0, min(26.0, 380.0 / n_layers))
    bar = pitch * 0.8
    widest = max(1, *(max(layer.attention, layer.mlp) for layer in parameters.layers))
    ends = max(parameters.embedding, parameters.unembedding)
    side = min(_SIDE, _TALLEST * 2 * _SIDE / bar / max(1.0, ends / widest))
    area = side * bar / widest
    top = 18.0 if parameters.unembedding else 2.0
    marks: list[Markup] = []
    if parameters.unembedding:
        height = parameters.unembedding * area / (2 * _SIDE)
        marks += _block(top, height, "unembedding", parameters.unembedding)
        top += height + 16
    foot = top + 20 + n_layers * pitch
    height = parameters.embedding * area / (2 * _SIDE)
    marks += [
        svg.words(_AXIS - 8, top + 10, "attention", "row-label", "end"),
        svg.words(_AXIS + 8, top + 10, "MLP", "row-label"),
        svg.line(_AXIS, top, _AXIS, foot + 4, "stream"),
    ]
    for layer, counts in enumerate(parameters.layers):
        y = top + 18 + (n_layers - 1 - layer) * pitch
        left, right = counts.attention / widest * side, counts.mlp / widest * side
        at = f"layer {layer}"
        marks += [
            svg.rect(_AXIS - 4 - left, y, left, bar, "bar-attention",
                     f"{at} attention: {whole(counts.attention)}"),
            svg.rect(_AXIS + 4, y, right, bar, "bar-mlp", f"{at} MLP: {whole(counts.mlp)}"),
        ]  # fmt: skip
        if pitch >= 11 or layer % 5 == 0:
            marks.append(svg.words(0, y + bar / 2 + 3.5, str(layer), "tick"))
    name = "embedding and unembedding, tied" if tied else "embedding"
    marks += _block(foot + 20, height, name, parameters.embedding)
    attention = sum(layer.attention for layer in parameters.layers)
    mlp = sum(layer.mlp for layer in parameters.layers)
    total = max(1, parameters.total)
    return Picture(
        title="Where the parameters are",
        caption=(
            f"{whole(parameters.total)} parameters: {percent(attention / total)} in attention, "
            f"{percent(mlp / total)} in MLPs, {percent(parameters.embedding / total)} in the "
            "embedding. Areas are to scale; the vertical line is the residual stream, read from "
            "below upwards."
        ),
        svg=svg.drawing(
            _WIDTH, foot + 24 + height, *marks,
            label=(
                f"Parameters by layer. Attention {short(attention)}, MLP {short(mlp)}, embedding "
                f"{short(parameters.embedding)}, total {short(parameters.total)}."
            ),
        ),
        columns=("component", "parameters"),
        rows=tuple(_rows(parameters)),
    )  # fmt: skip


def _block(y: float, height: float, name: str, count: int) -> list[Markup]:
    """A block across the stream with its name above it."""
    words = f"{name}: {short(count)}"
    return [
        svg.words(_AXIS - _SIDE, y - 5, words, "row-label"),
        svg.rect(_AXIS - _SIDE, y, 2 * _SIDE, height, "bar-embedding", f"{name}: {whole(count)}"),
    ]


def _rows(parameters: Parameters) -> list[tuple[str, str]]:
    rows = [("embedding", whole(parameters.embedding))]
    if parameters.positions:
        rows.append(("learned positions", whole(parameters.positions)))
    for layer, counts in enumerate(parameters.layers):
        rows.append((f"layer {layer} attention", whole(counts.attention)))
        rows.append((f"layer {layer} MLP", whole(counts.mlp)))
        if counts.norms:
            rows.append((f"layer {layer} norms", whole(counts.norms)))
    for name, count in (
        ("final norm", parameters.final_norm),
        ("unembedding", parameters.unembedding),
        ("other", parameters.other),
    ):
        if count:
            rows.append((name, whole(count)))
    return [*rows, ("total", whole(parameters.total))]
