"""Graphs: attribution graphs in files, as the circuit page is told of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tomogram.circuits.graph.export import read_graph, read_json
from tomogram.circuits.graph.foreign import read_any
from tomogram.circuits.graph.graph import KINDS, Graph
from tomogram.circuits.graph.proof import Agreement, Checked, Proof
from tomogram.circuits.graph.scores import Scores, prune, scores
from tomogram.store.errors import TomogramError
from tomogram.viewer.content import shown

FOLDER = "graphs"
"""Below a tomogram; graphs in it need not be named."""
_CHECKS = (
    ("frozen", "edges, attention and norms frozen"),
    ("direct_live", "edges, attention and norms live, other MLPs held"),
    ("total_live", "sources, in the original model, nothing held"),
    ("direct", "edges alone against removal, other MLPs held"),
    ("total", "paths alone against removal, nothing held"),
)


@dataclass(frozen=True)
class Graphs:
    """Files that hold graphs, by their names without `.json`.

    Raises:
        TomogramError: two files have one name.
    """

    files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        for name, count in Counter(file.stem for file in self.files).items():
            if count > 1:
                raise TomogramError(f"Two graphs are called '{name}'; rename one of the files.")

    @cached_property
    def _by_name(self) -> Mapping[str, Path]:
        return {file.stem: file for file in self.files}

    def listing(self) -> list[dict[str, Any]]:
        """The graphs there are; one that cannot be read says why."""
        found: list[dict[str, Any]] = []
        for name, file in self._by_name.items():
            try:
                graph = read_any(file)
            except TomogramError as error:
                found.append({"name": name, "title": str(error), "state": "damaged"})
                continue
            state = "unchecked"
            if graph.proof is not None:
                state = "passed" if graph.proof.passed else "failed"
            found.append(
                {
                    "name": name,
                    "title": graph.title,
                    "prompt": graph.prompt,
                    "says": list(graph.labels[:3]),
                    "state": state,
                    "nodes": len(graph.nodes),
                    "edges": graph.n_edges,
                }
            )
        listed: list[dict[str, Any]] = shown(found)
        return listed

    def one(self, name: str) -> dict[str, Any]:
        """All that the page shows of a graph.

        Raises:
            TomogramError: there is no such graph, or it cannot be read.
        """
        path = self._path(name)
        graph, measured = _read(path)
        own = "tomogram" in read_json(path)
        drawn: dict[str, Any] = shown({"name": name, "own": own, **_drawn(graph, measured)})
        return drawn

    def graph(self, name: str) -> Graph:
        """A graph with all that its file holds.

        Raises:
            TomogramError: there is no such graph, or it cannot be read.
        """
        return _read(self._path(name))[0]

    def file(self, name: str) -> Any:
        """The JSON of a graph's file; of files of ours, nodes are in the order of `one`.

        Raises:
            TomogramError: there is no such graph, or it cannot be read.
        """
        path = self._path(name)
        _read(path)
        return read_json(path)

    def _path(self, name: str) -> Path:
        if name not in self._by_name:
            raise TomogramError("There is no such graph.")
        return self._by_name[name]


def find(paths: Sequence[Path]) -> Graphs:
    """The graphs in some files, and in the JSON files of some folders.

    Raises:
        TomogramError: a path is not there, or two files have one name.
    """
    files: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise TomogramError(f"There is no graph at {path}.")
        found = sorted(path.glob("*.json")) if path.is_dir() else [path]
        files |= dict.fromkeys(each.resolve() for each in found)
    return Graphs(tuple(files))


def found_in(folder: Path) -> list[Path]:
    """Where a tomogram has graphs: those that the scan drew, and the folder for others."""
    drawn = sorted((folder / "circuits").glob("circuit-*.json"))
    own = folder / FOLDER
    return [*drawn, *([own] if own.is_dir() else [])]


def _read(path: Path) -> tuple[Graph, Scores]:
    """A graph and the scores it had when it was drawn; of a foreign one, those of what it holds."""
    content = read_json(path)
    if isinstance(content, dict) and "tomogram" in content:
        return read_graph(path)
    graph = read_any(path)
    return graph, scores(graph)


def _drawn(graph: Graph, measured: Scores) -> dict[str, Any]:
    nodes = graph.nodes
    pruned = prune(graph, nodes=1.0, edges=1.0)
    rows = graph.edges.tocoo()
    edges = []
    for target, source, weight in zip(*rows.coords, rows.data, strict=True):
        routes = graph.routes.get((int(source), int(target)), ())
        heads = [f"L{route.layer}H{route.head}" for route in routes]
        edges.append([int(source), int(target), _short(weight), list(dict.fromkeys(heads))])
    return {
        "title": graph.title,
        "model": graph.model,
        "digest": graph.digest,
        "prompt": graph.prompt,
        "tokens": list(graph.spelled),
        "layers": graph.n_layers,
        "units": graph.units,
        "scores": {
            name: _short(getattr(measured, name))
            for name in ("replacement", "completeness", "kept")
        },
        "nodes": [
            {
                "kind": KINDS[nodes.kind[node]],
                "layer": int(nodes.layer[node]),
                "unit": int(nodes.unit[node]),
                "position": int(nodes.position[node]),
                "value": _short(nodes.value[node]),
                "influence": _short(pruned.influence[node]),
                "cumulative": _short(pruned.cumulative[node]),
                "name": graph.name(node),
            }
            for node in range(len(nodes))
        ],
        "edges": edges,
        "targets": [
            {"label": label, "probability": _short(chance)}
            for label, chance in zip(graph.labels, graph.probabilities, strict=True)
        ],
        "supernodes": [{"label": s.label, "nodes": list(s.nodes)} for s in graph.supernodes],
        "looks": [
            {
                "head": f"L{look.layer}H{look.head}",
                "query": look.query,
                "key": look.key,
                "pattern": _short(look.pattern),
                "pairs": [
                    {"query": p.query_node, "key": p.key_node, "amount": _short(p.amount)}
                    for p in look.pairs[:3]
                ],
            }
            for look in graph.looks
        ],
        "proof": None if graph.proof is None else _proof(graph.proof),
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "passed": proof.passed,
        "fault": proof.fault,
        "agreements": [
            {"of": words, **_agreement(found)}
            for name, words in _CHECKS
            if (found := getattr(proof, name)) is not None
        ],
        "edges": [_checked(each) for each in proof.edges],
        "paths": [_checked(each) for each in proof.paths],
        "whole": None
        if proof.whole is None
        else {
            name: _short(getattr(proof.whole, name))
            for name in ("full", "empty", "kept", "value", "cpr", "cmd")
        },
    }


def _agreement(found: Agreement) -> dict[str, Any]:
    rank = found.spearman
    return {
        "spearman": {"value": rank.value, "low": rank.low, "high": rank.high},
        "signs": found.signs,
        # No slope where nothing was predicted; JSON has no word for that number.
        "slope": found.slope if math.isfinite(found.slope) else None,
    }


def _checked(each: Checked) -> dict[str, Any]:
    """Predicted by the edge alone, and measured by removal with the other MLPs held."""
    return {
        "path": list(each.path),
        "predicted": _short(each.predicted),
        "frozen": _short(each.frozen),
        "direct": _short(each.direct),
        "slope": _short(each.direct_slope),
        "live": _short(each.direct_live),
    }


def _short(value: float) -> float:
    """Five significant digits: more are noise, and cost bytes in an export."""
    return float(f"{float(value):.5g}")
