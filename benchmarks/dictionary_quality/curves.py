"""FVU against L0 for every kind, as a table and a plot.

    python -m benchmarks.dictionary_quality.curves [--quick]

writes `docs/dictionaries/fvu.svg` and prints the table of `docs/dictionaries.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from benchmarks.dictionary_quality.harvested import ROOT, harvest
from benchmarks.dictionary_quality.runs import OURS, Outcome, Run, outcomes
from benchmarks.dictionary_quality.settings import order
from tomogram.report.charts import svg
from tomogram.report.charts.scale import Log
from tomogram.store.atomic import write_text

L0S = (8, 16, 32, 64)
PENALTIES: Mapping[str, tuple[float, ...]] = {
    "relu": (0.64, 0.32, 0.16, 0.08),
    "gated": (1.28, 0.64, 0.32, 0.16),
}
"""Kinds whose sparsity is not set but weighed: from sparse to dense."""
AIMED = ("topk", "batch_topk", "matryoshka", "jumprelu")
COLOURS = {
    "topk": "#0b746f",
    "batch_topk": "#b05a1c",
    "matryoshka": "#7a4fa3",
    "jumprelu": "#1f5fa8",
    "gated": "#8a8f1b",
    "relu": "#76828a",
}


@dataclass(frozen=True)
class Point:
    """What one training reached."""

    l0: float
    fvu: float


def curves(folder: Path, *, seed: int = 0) -> dict[str, list[Point]]:
    """The points of every kind, sparse ones first."""
    runs = {
        kind: [Run(OURS, replace(order(folder, kind, seed), l0=n)) for n in L0S] for kind in AIMED
    }
    for kind, penalties in PENALTIES.items():
        plain = order(folder, kind, seed)
        runs[kind] = [Run(OURS, replace(plain, penalty=weight)) for weight in penalties]
    found = iter(outcomes([run for some in runs.values() for run in some], folder))
    return {kind: [_point(next(found)) for _ in some] for kind, some in runs.items()}


def _point(outcome: Outcome) -> Point:
    return Point(outcome.l0, outcome.fvu)


def table(found: Mapping[str, Sequence[Point]]) -> str:
    """Markdown: a row a kind, `FVU (L0)` in each cell."""
    lines = [
        "| kind | " + " | ".join(["FVU (L0)"] * len(L0S)) + " |",
        "|---" * (len(L0S) + 1) + "|",
    ]
    for kind, points in found.items():
        cells = [f"{point.fvu:.3f} ({point.l0:.1f})" for point in points]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


_STYLE = """
svg { font: 11px system-ui, sans-serif; fill: #171b1e; }
.paper { fill: #fdfdfc; } .tick, .axis { fill: #555f66; } .rule { stroke: #d9dedd; }
""" + "".join(
    f".line-{kind} {{ fill: none; stroke: {colour}; stroke-width: 1.6; }}\n"
    f".dot-{kind} {{ fill: {colour}; }} .key-{kind} {{ fill: {colour}; }}\n"
    for kind, colour in COLOURS.items()
)
_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def picture(found: Mapping[str, Sequence[Point]], title: str) -> Markup:
    """FVU over L0, both logarithmic; lower left is better."""
    left, right, top, bottom = 46.0, 400.0, 26.0, 290.0
    points = [point for some in found.values() for point in some]
    x = Log(min(p.l0 for p in points) * 0.9, max(p.l0 for p in points) * 1.1, left, right)
    y = Log(min(p.fvu for p in points) * 0.9, max(p.fvu for p in points) * 1.1, bottom, top)
    marks: list[Markup] = []
    for tick in _TICKS:
        if y.low <= tick <= y.high:
            marks.append(svg.line(left, y(tick), right, y(tick), "rule"))
            marks.append(svg.words(left - 6, y(tick) + 4, f"{tick:g}", "tick", "end"))
    for tick in (4, 8, 16, 32, 64, 128):
        if x.low <= tick <= x.high:
            marks.append(svg.words(x(tick), bottom + 16, str(tick), "tick", "middle"))
    marks.append(
        svg.words((left + right) / 2, bottom + 34, "active latents (L0)", "axis", "middle")
    )
    marks.append(svg.words(4, 16, "FVU on held-out text", "axis"))
    for row, (kind, some) in enumerate(found.items()):
        place = [(x(p.l0), y(p.fvu)) for p in sorted(some, key=lambda p: p.l0)]
        marks.append(svg.path(place, f"line-{kind}"))
        for p, (across, up) in zip(sorted(some, key=lambda p: p.l0), place, strict=True):
            hover = f"{kind}: L0 {p.l0:.1f}, FVU {p.fvu:.3f}"
            marks.append(svg.circle(across, up, 3.0, f"dot-{kind}", hover))
        marks.append(svg.rect(right + 14, top + 18 * row, 10, 10, f"key-{kind}"))
        marks.append(svg.words(right + 30, top + 9 + 18 * row, kind, "tick"))
    return svg.element(
        "svg",
        svg.element("title", title),
        svg.element("style", Markup(_STYLE)),
        svg.rect(0, 0, 500, bottom + 44, "paper"),
        *marks,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 500 {bottom + 44:g}",
        width="500",
        role="img",
    )


def main(folder: Path) -> None:
    """Trains what is missing, writes the plot and prints the table."""
    harvest(folder)
    found = curves(folder)
    title = "Fraction of variance unexplained against active latents, by kind."
    write_text(ROOT / "docs" / "dictionaries" / "fvu.svg", str(picture(found, title)) + "\n")
    print(table(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "build" / "dictionary_quality")
