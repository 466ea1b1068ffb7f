"""Units counted: how many are dead, unlabelled, labelled, and labelled with a label that holds."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tomogram.report.charts import svg
from tomogram.report.charts.picture import Picture
from tomogram.report.words import percent, plural, whole
from tomogram.store.schema import UnitGroup

_WIDTH, _LEFT = 360.0, 122.0
STATES = (
    ("passing", "a label that holds on unseen text"),
    ("labelled", "a label that fails its test"),
    ("unlabelled", "no label"),
    ("dead", "silent on this text"),
)


def counts(group: UnitGroup) -> dict[str, int]:
    """Units of a group in each of the four states; they add up to all of them."""
    return {
        "passing": group.passing,
        "labelled": group.labelled - group.passing,
        "unlabelled": group.live - group.labelled,
        "dead": group.units - group.live,
    }


def unit_counts(groups: Sequence[UnitGroup], what: str) -> Picture:
    """One stacked bar a group, from labels that hold to units that never fire."""
    pitch = max(9.0, min(24.0, 460.0 / max(1, len(groups))))
    top = 52.0
    marks: list[Markup] = []
    for index, (state, words) in enumerate(STATES):
        x, y = (index % 2) * 205.0, 10.0 + (index // 2) * 17
        marks.append(svg.rect(x, y - 8, 10, 10, f"state {state}"))
        marks.append(svg.words(x + 15, y + 1, words, "key"))
    for row, group in enumerate(groups):
        y = top + row * pitch
        if pitch >= 11 or row % 5 == 0:
            marks.append(svg.words(0, y + pitch * 0.35 + 3.5, group.name, "tick"))
        x = _LEFT
        for state, words in STATES:
            count = counts(group)[state]
            width = count / group.units * (_WIDTH - _LEFT)
            if count:
                hover = f"{group.name}: {whole(count)} of {whole(group.units)}, {words}"
                marks.append(svg.rect(x, y, width, pitch * 0.72, f"state {state}", hover))
            x += width
    units = sum(group.units for group in groups)
    totals = {state: sum(counts(group)[state] for group in groups) for state, _ in STATES}
    summary = ", ".join(
        f"{percent(totals[state] / units)} {'are' if state == 'dead' else 'have'} {words}"
        for state, words in STATES
        if totals[state]
    )
    return Picture(
        title=f"{what}: what can be named and what stays dark",
        caption=f"{plural(units, 'unit')}: {summary}.",
        svg=svg.drawing(_WIDTH, top + len(groups) * pitch + 4, *marks, label=f"{what}: {summary}."),
        columns=("group", "units", *(words for _, words in STATES)),
        rows=tuple(
            (group.name, whole(group.units), *(whole(counts(group)[s]) for s, _ in STATES))
            for group in groups
        ),
    )
