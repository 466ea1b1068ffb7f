"""Export: a discovered circuit as JSON, its own and that of EAP-IG."""

from __future__ import annotations

import numpy as np

from tomogram.circuits.discovery.discover import Discovery
from tomogram.models.model import Model
from tomogram.store.canonical import Json
from tomogram.store.schema import Estimate

VERSION = 1


def document(model: Model, found: Discovery, *, behaviour: str) -> dict[str, Json]:
    """All that a discovery found, for `discovery.json`. Numbers are logits unless named shares."""
    graph, mean = found.graph, found.scores.mean
    predicted = found.scores.bounds()
    effect, bounds = found.effects.mean(0), found.bounds()
    places = [(u, v) for u, v in found.scores.ranked() if found.kept[u, v]]
    edges: list[Json] = [
        {
            "edge": graph.name(u, v),
            "predicted": _interval(mean[u, v], predicted[0][u, v], predicted[1][u, v]),
            "measured": _interval(effect[u, v], bounds[0][u, v], bounds[1][u, v]),
        }
        for u, v in places
    ]
    told = found.agreement
    return {
        "version": VERSION,
        "behaviour": behaviour,
        "model": {"name": model.name, "digest": model.digest},
        "method": found.scores.method,
        "pairs": {"searched": len(found.scores.by_pair), "held_out": found.held_out},
        "metric": {
            "whole": float(found.ends.whole.mean()),
            "empty": float(found.ends.empty.mean()),
        },
        "faithfulness": _estimate(found.faithfulness),
        "edges_kept": int(found.kept.sum()),
        "edges_possible": graph.n_edges,
        "share": found.share,
        "cpr": _estimate(found.curve.cpr),
        "cmd": _estimate(found.curve.cmd),
        "curve": [
            {"share": share, "faithfulness": float(f)}
            for share, f in zip(found.curve.shares, found.curve.f, strict=True)
        ],
        "agreement": None
        if told is None
        else {
            "spearman": _estimate(told.spearman),
            "signs": told.signs,
            "slope": told.slope,
        },
        "edges": edges,
    }


def eap_ig(model: Model, found: Discovery) -> dict[str, Json]:
    """The circuit as the JSON that EAP-IG writes: `cfg`, `nodes` and `edges` by name."""
    graph, mean = found.graph, found.scores.mean
    kept = {graph.writers[u] for u in np.flatnonzero(found.kept.any(1))}
    edges: dict[str, Json] = {}
    for u, v in zip(*graph.possible.nonzero(), strict=True):
        edges[graph.name(int(u), int(v))] = {
            "score": float(mean[u, v]),
            "in_graph": bool(found.kept[u, v]),
        }
    nodes: dict[str, Json] = {name: {"in_graph": name in kept} for name in graph.writers}
    nodes["logits"] = {"in_graph": True}
    return {
        "cfg": {
            "n_layers": graph.n_layers,
            "n_heads": graph.heads,
            "parallel_attn_mlp": all(graph.parallel),
            "d_model": model.d_model,
        },
        "nodes": nodes,
        "edges": edges,
    }


def _estimate(found: Estimate) -> dict[str, Json]:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}


def _interval(value: float, low: float, high: float) -> dict[str, Json]:
    return {"value": float(value), "low": float(low), "high": float(high)}
