"""A map of all attention heads, shaded by one score."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tomogram.report.charts import svg
from tomogram.report.charts.picture import Picture
from tomogram.report.words import decimal, span
from tomogram.store.schema import Head

_WIDTH, _LEFT, _TOP = 360.0, 26.0, 8.0
LEVELS = 10

SCORES = {
    "induction": (
        "Induction heads",
        "Attention from a token's second occurrence to what followed its first: the head continues "
        "a pattern it has seen (Olsson et al. 2022).",
    ),
    "previous": ("Previous-token heads", "Attention to the token just before."),
    "duplicate": ("Duplicate-token heads", "Attention to an earlier occurrence of the same token."),
}


def level(share: float) -> int:
    """The shade 0..10 of a value between 0 and 1."""
    return round(min(1.0, max(0.0, share)) * LEVELS)


def head_map(heads: Sequence[Head], score: str) -> Picture:
    """Draw one score (``induction``, ``previous``, ``duplicate``): layers upwards, heads across."""
    n_layers = 1 + max(head.layer for head in heads)
    n_heads = 1 + max(head.head for head in heads)
    cell = min(54.0, (_WIDTH - _LEFT) / n_heads)
    height = min(cell, max(8.0, 420.0 / n_layers), 30.0)
    bottom = _TOP + n_layers * height
    marks: list[Markup] = []
    for head in heads:
        estimate = getattr(head, score)
        x, y = _LEFT + head.head * cell, _TOP + (n_layers - 1 - head.layer) * height
        shade = level(estimate.value)
        hover = f"layer {head.layer} head {head.head}: {span(estimate)}"
        marks.append(svg.rect(x, y, cell - 1.5, height - 1.5, f"heat s{shade}", hover))
        if cell >= 27 and height >= 15:
            marks.append(
                svg.words(
                    x + (cell - 1.5) / 2, y + height / 2 + 3, _two_places(estimate.value),
                    "cell-value strong" if shade > 5 else "cell-value", "middle",
                )
            )  # fmt: skip
    for layer in range(n_layers):
        if height >= 11 or layer % 5 == 0:
            y = _TOP + (n_layers - 1 - layer) * height + height / 2 + 3.5
            marks.append(svg.words(_LEFT - 8, y, str(layer), "tick", "end"))
    step = 1 if cell >= 14 else 4
    for index in range(0, n_heads, step):
        x = _LEFT + index * cell + (cell - 1.5) / 2
        marks.append(svg.words(x, bottom + 12, str(index), "tick", "middle"))
    marks.append(svg.words(_LEFT, bottom + 27, "head (across), layer (upwards)", "axis"))
    title, meaning = SCORES[score]
    best = sorted(heads, key=lambda head: -getattr(head, score).value)[:3]
    named = ", ".join(
        f"layer {head.layer} head {head.head} ({decimal(getattr(head, score).value)})"
        for head in best
    )
    return Picture(
        title=title,
        caption=f"{meaning} Strongest: {named}.",
        svg=svg.drawing(
            _WIDTH, bottom + 32, *marks, label=f"{title} by layer and head. Strongest: {named}."
        ),
        columns=("layer", "head", "score (95 % interval)"),
        rows=tuple(
            (str(head.layer), str(head.head), span(getattr(head, score)))
            for head in sorted(heads, key=lambda head: (head.layer, head.head))
        ),
    )


def _two_places(value: float) -> str:
    return decimal(value).removeprefix("0")
