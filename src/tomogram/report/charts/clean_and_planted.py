"""What an audit says of clean copies and of planted ones: a strip for each kind, a tick a copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from tomogram.report.charts import svg
from tomogram.report.charts.picture import Picture
from tomogram.report.charts.scale import Linear
from tomogram.report.words import decimal, plural

_WIDTH, _PITCH, _TOP = 360.0, 40.0, 6.0
STRATA = {
    "sham": "matched shams",
    "benign": "benign fine-tunes",
    "quirk": "harmless quirks",
    "merge": "merges of clean copies",
    "quantised": "rounded copies",
    "lesson": "harmless lessons",
}
"""What the kinds of clean copies are called; others go by their own name."""


def clean_and_planted(
    audit: str,
    clean: Mapping[str, Sequence[float]],
    planted: Sequence[float],
    discarded: Sequence[float],
    alarm: float | None,
) -> Picture:
    """Scores of an audit on copies of one model; higher is worse.

    Args:
        clean: by kind of clean copy. planted: copies with a problem that the audit is about.
        discarded: others of them, which do more, or cost more, than their gate allows.
        alarm: the score above which the audit alone is a FINDING; None where none is.

    Raises ValueError where there is no score at all.
    """
    strips = [(STRATA.get(kind, kind), "pca", list(values)) for kind, values in clean.items()]
    strips.append(("planted, of the kind it looks for", "lost", list(planted)))
    if discarded:
        strips.append(("planted, but discarded by their gate", "neuron", list(discarded)))
    scores = [score for _, _, values in strips for score in values]
    low, high = min(scores), max(scores)
    margin = 0.03 * (high - low) or 1.0
    x = Linear(low - margin, high + margin, 4.0, _WIDTH - 4)
    bottom = _TOP + len(strips) * _PITCH
    marks: list[Markup] = []
    for row, (words, class_, values) in enumerate(strips):
        y = _TOP + row * _PITCH
        marks.append(svg.words(0, y + 11, words, "row-label"))
        marks.append(svg.words(_WIDTH, y + 11, str(len(values)), "row-value", "end"))
        marks.append(svg.rect(0, y + 16, _WIDTH, 18, "track"))
        if alarm is not None:
            marks.append(svg.line(x(alarm), y + 14, x(alarm), y + 36, "guide"))
        marks += [svg.rect(x(each) - 0.9, y + 16, 1.8, 18, f"rug {class_}") for each in values]
    marks += [
        svg.words(x(tick), bottom + 8, f"{tick:g}".replace("-", "−"), "tick", "middle")
        for tick in x.ticks(5)
    ]
    marks.append(svg.words(_WIDTH / 2, bottom + 24, "score; higher is worse", "axis", "middle"))
    beyond = sum(score > alarm for score in planted) if alarm is not None else 0
    n = plural(sum(len(values) for values in clean.values()), "clean copy", "clean copies")
    told = (
        f"The dashed line is the score above which this audit alone is a FINDING: {beyond} of "
        f"{plural(len(planted), 'planted copy', 'planted copies')} of its kind are beyond it."
        if alarm is not None
        else f"With {n} no score is a FINDING by this audit alone."
    )
    rows = [(words, str(len(values)), *_range(values)) for words, _, values in strips]
    return Picture(
        title=f"{audit}: clean and planted copies",
        caption=f"Each tick is a copy. {told}",
        svg=svg.drawing(_WIDTH, bottom + 30, *marks, label=f"Scores of {audit}. {told}"),
        columns=("copies", "number", "lowest score", "middle", "highest"),
        rows=tuple(rows),
    )


def _range(values: Sequence[float]) -> tuple[str, str, str]:
    if not values:
        return ("–", "–", "–")
    ordered = sorted(values)
    chosen = (ordered[0], ordered[len(ordered) // 2], ordered[-1])
    return (decimal(chosen[0]), decimal(chosen[1]), decimal(chosen[2]))
