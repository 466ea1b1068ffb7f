"""The logit lens over depth: how early the model's prediction is already there."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tomogram.report.charts import svg
from tomogram.report.charts.picture import Picture
from tomogram.report.charts.scale import Linear, Root
from tomogram.report.words import decimal, span
from tomogram.store.schema import Estimate, LensPoint

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP = 360.0, 190.0, 34.0, 350.0, 12.0


def lens_agreement(points: Sequence[LensPoint]) -> Picture:
    """How often the top token is already the final one, and how much the true token is given."""
    return _lines(
        points,
        series={
            "top token is the final one": [point.agreement for point in points],
            "probability of the true token": [point.true_probability for point in points],
        },
        y=Linear(0.0, 1.0, _HEIGHT, _TOP),
        title="When the answer appears",
        caption=(
            "The residual stream after each layer, read by the model's own unembedding (logit "
            "lens, nostalgebraist 2020): the share of positions where the top token is already "
            "the final one, and the mean probability of the true next token."
        ),
    )


def lens_divergence(points: Sequence[LensPoint]) -> Picture:
    """How far the early prediction is from the final one, and how undecided it is, in nats."""
    series = {
        "KL to the final prediction": [point.kl for point in points],
        "entropy of the prediction": [point.entropy for point in points],
    }
    highest = max(estimate.high for line in series.values() for estimate in line)
    return _lines(
        points,
        series=series,
        y=Root(highest, _HEIGHT, _TOP),
        title="How far it still is",
        caption=(
            "The same early predictions: their KL divergence from the final one and their entropy, "
            "in nats, on a square-root scale. High entropy early means undecided; high KL with "
            "low entropy means decided on something else."
        ),
    )


def _lines(
    points: Sequence[LensPoint],
    series: dict[str, list[Estimate]],
    y: Linear | Root,
    title: str,
    caption: str,
) -> Picture:
    x = Linear(0, max(1, len(points) - 1), _LEFT, _RIGHT)
    marks: list[Markup] = []
    for tick in y.ticks():
        marks.append(svg.line(_LEFT, y(tick), _RIGHT, y(tick), "rule"))
        marks.append(svg.words(_LEFT - 6, y(tick) + 3.5, f"{tick:g}", "tick", "end"))
    every = max(1, round(len(points) / 7))
    for index, point in enumerate(points):
        if index % every == 0 or index == len(points) - 1:
            marks.append(svg.words(x(index), _HEIGHT + 15, _depth(point.site), "tick", "middle"))
    for name, (words, line) in zip(("one", "two"), series.items(), strict=True):
        band = [(x(i), y(e.high)) for i, e in enumerate(line)]
        band += [(x(i), y(e.low)) for i, e in reversed(list(enumerate(line)))]
        marks.append(svg.path(band, f"band {name}", closed=True))
        marks.append(svg.path([(x(i), y(e.value)) for i, e in enumerate(line)], f"line {name}"))
        marks += [
            svg.circle(x(i), y(e.value), 2.6, f"dot {name}", f"{point.site} {words}: {span(e)}")
            for i, (point, e) in enumerate(zip(points, line, strict=True))
        ]
    for row, (name, words) in enumerate(zip(("one", "two"), series, strict=True)):
        left = _LEFT + row * 165
        marks.append(svg.line(left, _HEIGHT + 32, left + 14, _HEIGHT + 32, f"line {name}"))
        marks.append(svg.words(left + 19, _HEIGHT + 35.5, words, "key"))
    described = "; ".join(
        f"{words} goes from {decimal(line[0].value)} to {decimal(line[-1].value)}"
        for words, line in series.items()
    )
    return Picture(
        title=title,
        caption=caption,
        svg=svg.drawing(
            _WIDTH, _HEIGHT + 42, *marks, label=f"{title}, over {len(points)} depths: {described}."
        ),
        columns=("depth", *series),
        rows=tuple(
            (point.site, *(span(line[i], 3) for line in series.values()))
            for i, point in enumerate(points)
        ),
    )


def _depth(site: str) -> str:
    """A short tick for a site: ``in`` before the first block, else the layer's number."""
    kind, _, layer = site.partition(".")
    return "in" if kind in {"embed", "resid_pre"} else layer or kind
