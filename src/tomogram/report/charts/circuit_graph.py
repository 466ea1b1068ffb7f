"""The strongest part of an attribution graph: tokens below, layers upwards, the answer on top."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from tomogram.circuits.graph.graph import ERROR, FEATURE, NEURON, TARGET, TOKEN, Graph
from tomogram.circuits.graph.scores import normalised, prune
from tomogram.report.charts import svg
from tomogram.report.charts.picture import Picture
from tomogram.report.words import decimal, percent, span
from tomogram.store.schema import CircuitRecord

UNITS, TOKENS, EDGES = 24, 7, 48
"""At most so many units and errors, tokens and lines are drawn, the most influential ones."""
_WIDTH, _LEFT, _STEP, _TOP, _GAP = 420.0, 52.0, 46.0, 26.0, 9.0
_CLASSES = {FEATURE: "feature", NEURON: "neuron", ERROR: "error", TOKEN: "token", TARGET: "target"}

Labels = Mapping[tuple[int, int], str]
"""What features are called, by layer and number."""


def circuit_graph(graph: Graph, record: CircuitRecord, labels: Labels) -> Picture:
    """Draw a graph and say how it stood its check."""
    influence = prune(graph, nodes=1.0, edges=1.0).influence
    shown = _shown(graph, influence)
    x, y, height = _places(graph, shown)
    marks = _lines(graph, shown, influence, x, y)
    for layer in range(graph.n_layers):
        level = height - 40 - (layer + 1) * _STEP
        marks.append(svg.words(_LEFT - 26, level + 3, f"layer {layer}", "tick", "middle"))
    for node in shown:
        name = _name(graph, node, labels)
        kind = int(graph.nodes.kind[node])
        size = 3 + 4 * float(np.sqrt(influence[node] / influence[shown].max()))
        marks.append(svg.circle(x[node], y[node], size, f"node {_CLASSES[kind]}", name))
        if kind == TOKEN:
            word = graph.spelled[int(graph.nodes.position[node])].strip()
            marks.append(svg.words(x[node], y[node] + 18, word, "tick", "middle"))
    for node in graph.targets:
        marks.append(svg.words(x[node], y[node] - 10, record.says.strip(), "strong", "middle"))
    units = [n for n in shown if graph.nodes.kind[n] in (FEATURE, NEURON)]
    told = sorted(units, key=lambda n: -influence[n])
    verdict = "stood its check" if record.passed else "failed its check"
    ends = f"“{_end(record.prompt)}” → “{record.says.strip()}”"
    return Picture(
        title=ends,
        caption=(
            f"Said with probability {decimal(record.probability)}. The graph {verdict}: rank"
            f" correlation of predicted and measured effects {span(record.direct)} with attention"
            f" live, {span(record.total)} with nothing held. {percent(record.kept)} of the active"
            f" units, alone, give {percent(record.faithfulness)} of the answer; replacement"
            f" {decimal(record.replacement)}, completeness {decimal(record.completeness)}."
        ),
        svg=svg.drawing(
            _WIDTH, height, *marks, class_="circuit-graph",
            label=f"Attribution graph of {ends}, {len(shown)} of its nodes.",
        ),
        columns=("unit", "what it is", "influence"),
        rows=tuple(
            (graph.name(n), labels.get(_key(graph, n), "no label"), f"{influence[n]:.3f}")
            for n in told
        ),
    )  # fmt: skip


def _shown(graph: Graph, influence: np.ndarray) -> list[int]:
    """The most influential units and errors, the most influential tokens, and the target."""

    def best(kinds: tuple[int, ...], most: int) -> list[int]:
        own = np.flatnonzero(graph.nodes.of(*kinds))
        found: list[int] = own[np.argsort(-influence[own], kind="stable")][:most].tolist()
        return found

    units = best((FEATURE, NEURON, ERROR), UNITS)
    return [*units, *best((TOKEN,), TOKENS), *graph.targets]


def _places(graph: Graph, shown: list[int]) -> tuple[dict[int, float], dict[int, float], float]:
    """Where each node stands, and how high the drawing is."""
    height = 40 + _TOP + (graph.n_layers + 1) * _STEP
    columns = sorted({int(graph.nodes.position[node]) for node in shown})
    width = (_WIDTH - _LEFT - 16) / len(columns)
    middle = {position: _LEFT + (i + 0.5) * width for i, position in enumerate(columns)}
    cells: dict[tuple[int, int], list[int]] = {}
    for node in shown:
        place = int(graph.nodes.position[node]), int(graph.nodes.layer[node])
        cells.setdefault(place, []).append(node)
    x, y = {}, {}
    for (position, layer), nodes in cells.items():
        gap = min(_GAP, width / len(nodes))
        for i, node in enumerate(nodes):
            x[node] = middle[position] + (i - (len(nodes) - 1) / 2) * gap
            y[node] = height - 40 - (layer + 1) * _STEP
    return x, y, height


def _lines(
    graph: Graph,
    shown: list[int],
    influence: np.ndarray,
    x: Mapping[int, float],
    y: Mapping[int, float],
) -> list[Markup]:
    """The lines that carry most to the answer, as wide as their share of what enters their end."""
    ends_of = np.where(graph.nodes.of(TARGET), 1.0, influence)
    shares = normalised(graph.edges).tocoo()
    among = set(shown)
    found = [
        (float(share * ends_of[target]), int(source), int(target), float(share))
        for target, source, share in zip(*shares.coords, shares.data, strict=True)
        if int(source) in among and int(target) in among
    ]
    marks = []
    for _, source, target, share in sorted(found, reverse=True)[:EDGES]:
        level = "strong" if share >= 0.15 else "middle" if share >= 0.05 else "weak"
        sign = "up" if graph.edges[target, source] > 0 else "down"
        ends = x[source], y[source], x[target], y[target]
        marks.append(svg.line(*ends, f"edge {level} {sign}"))
    return marks


def _key(graph: Graph, node: int) -> tuple[int, int]:
    return int(graph.nodes.layer[node]), int(graph.nodes.unit[node])


def _name(graph: Graph, node: int, labels: Labels) -> str:
    label = labels.get(_key(graph, node)) if graph.nodes.kind[node] == FEATURE else None
    return graph.name(node) if label is None else f"{graph.name(node)}: {label}"


def _end(prompt: str, most: int = 60) -> str:
    """The end of a prompt, at a word."""
    text = " ".join(prompt.split())
    return text if len(text) <= most else "… " + text[-most:].partition(" ")[2]
