"""The small histogram on a feature's card: how strongly it fires, when it fires."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tomogram.report.charts import svg
from tomogram.report.words import short

_WIDTH, _HEIGHT = 150.0, 34.0


def firing_histogram(edges: Sequence[float], counts: Sequence[int]) -> Markup:
    """Bars over logarithmic bins of activation; empty bins at either end are left out.

    ``edges`` has one more entry than ``counts``. Heights are square roots of the counts, so that
    the rare strong firings stay visible. Empty for a unit that never fired.
    """
    filled = [index for index, count in enumerate(counts) if count]
    if not filled:
        return Markup("")
    first, last = filled[0], filled[-1]
    shown = list(counts[first : last + 1])
    tallest = max(shown) ** 0.5
    width = min(14.0, _WIDTH / len(shown))
    bars = []
    for index, count in enumerate(shown):
        if count:
            height = max(1.0, count**0.5 / tallest * (_HEIGHT - 2))
            low, high = edges[first + index], edges[first + index + 1]
            hover = f"{count} firings from {short(low)} to {short(high)}"
            bars.append(
                svg.rect(index * width, _HEIGHT - height, width - 1, height, "bar-feature", hover)
            )
    return svg.drawing(
        _WIDTH, _HEIGHT, *bars,
        label=(
            f"{sum(counts)} firings, activations from {short(edges[first])} "
            f"to {short(edges[last + 1])}"
        ), class_="spark",
    )  # fmt: skip
