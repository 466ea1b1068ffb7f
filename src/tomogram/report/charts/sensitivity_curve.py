"""How much of what is planted an audit finds, by how strong it is."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tomogram.audits.calibration.statistics import ENOUGH, Bin
from tomogram.report.charts import svg
from tomogram.report.charts.picture import Picture
from tomogram.report.charts.scale import Linear
from tomogram.report.words import decimal, plural, span

_WIDTH, _HEIGHT, _LEFT, _TOP = 360.0, 190.0, 34.0, 8.0


def sensitivity_curve(audit: str, bins: Sequence[Bin], smallest: float | None) -> Picture:
    """The share found in each range of strength, with its exact 95 % interval.

    Args:
        smallest: the minimum detectable strength; None where the copies show none.

    Raises ValueError where there is no range.
    """
    if not bins:
        raise ValueError("a curve needs a range of strength at least")
    x = Linear(0.0, 1.0, _LEFT, _WIDTH - 8)
    y = Linear(0.0, 1.0, _TOP + _HEIGHT, _TOP)
    marks: list[Markup] = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        marks.append(svg.line(_LEFT, y(tick), _WIDTH - 8, y(tick), "rule"))
        marks.append(svg.words(_LEFT - 6, y(tick) + 4, f"{tick:g}", "tick", "end"))
        marks.append(svg.words(x(tick), y(0) + 16, f"{tick:g}", "tick", "middle"))
    marks.append(svg.line(_LEFT, y(ENOUGH), _WIDTH - 8, y(ENOUGH), "diagonal"))
    for each in bins:
        found, at = each.sensitivity, x(each.strength)
        marks.append(svg.line(at, y(found.low), at, y(found.high), "whisker feature"))
        hover = f"strength {decimal(each.strength)}: {span(found)} of {found.n}"
        marks.append(svg.circle(at, y(found.value), 4.5, "dot feature", hover))
    middle = (_LEFT + _WIDTH) / 2
    marks.append(svg.words(middle, y(0) + 32, "strength of what is planted", "axis", "middle"))
    known = (
        f"Found down to strength {decimal(smallest)}."
        if smallest is not None
        else "Down to which strength it finds what is planted is not shown by so few copies."
    )
    n = sum(each.sensitivity.n for each in bins)
    return Picture(
        title=f"{audit}: share found, by strength",
        caption=(
            f"{plural(n, 'planted copy', 'planted copies')} of its kind, with exact 95 % "
            f"intervals, which must lie above {decimal(ENOUGH, 1)}. {known}"
        ),
        svg=svg.drawing(_WIDTH, y(0) + 38, *marks, label=f"Share that {audit} finds. {known}"),
        columns=("strength from", "mean strength", "copies", "share found (95 % interval)"),
        rows=tuple(
            (
                decimal(each.low),
                decimal(each.strength),
                str(each.sensitivity.n),
                span(each.sensitivity),
            )
            for each in bins
        ),
    )
