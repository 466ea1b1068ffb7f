"""Export: a discovered circuit as JSON, over parts (also that of EAP-IG) and over features."""

from __future__ import annotations

import numpy as np

from tomogram.circuits.discovery.agreement import Agreement
from tomogram.circuits.discovery.discover import Discovery
from tomogram.circuits.discovery.feature_circuit import FeatureCircuit
from tomogram.circuits.discovery.intervals import intervals
from tomogram.circuits.discovery.spans import SPANS
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
        "agreement": _agreement(found.agreement),
        "edges": edges,
        "nodes": _parts(found),
    }


def _parts(found: Discovery) -> list[Json]:
    """Every part with what all its edges together are predicted to do, and what patching the whole
    part did, the strongest first."""
    predicted = found.scores.nodes
    low, high = intervals(predicted)
    measured, ends = found.nodes, None if found.nodes is None else intervals(found.nodes)
    strength = np.abs(predicted if measured is None else measured).mean(0)
    return [
        {
            "node": found.graph.writers[part],
            "predicted": _interval(predicted[:, part].mean(), low[part], high[part]),
            "measured": None
            if measured is None or ends is None
            else _interval(measured[:, part].mean(), ends[0][part], ends[1][part]),
        }
        for part in np.argsort(-strength, kind="stable").tolist()
    ]


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


def features(model: Model, found: FeatureCircuit, *, behaviour: str) -> dict[str, Json]:
    """A circuit over features, for `features.json`. Numbers are logits unless named shares; what is
    added to a feature is in units of its activation."""
    nodes, mean = found.nodes, found.scores.mean(0)
    low, high = intervals(found.scores[:, found.kept])
    effect, bounds = found.effects.mean(0), found.bounds()
    at = {int(node): place for place, node in enumerate(found.measured)}
    listed: list[Json] = []
    for place, node in enumerate(found.kept.tolist()):
        span, number, latent = nodes.place(node)
        layer, dictionary = nodes.transcoders[number]
        own = at.get(node)
        listed.append(
            {
                "node": nodes.name(node),
                "layer": layer,
                "latent": latent if latent < dictionary.d_dict else None,
                "span": SPANS[span],
                "predicted": _interval(mean[node], low[place], high[place]),
                "measured": None
                if own is None
                else _interval(effect[own], bounds[0][own], bounds[1][own]),
            }
        )
    drawn, (edge_low, edge_high) = found.edges.mean, found.edges.bounds()
    edges: list[Json] = [
        {
            "from": found.edges.source(nodes, int(source)),
            "to": found.edges.target(nodes, int(target)),
            "adds": _interval(
                drawn[target, source], edge_low[target, source], edge_high[target, source]
            ),
        }
        for target, source in zip(*drawn.nonzero(), strict=True)
    ]
    return {
        "version": VERSION,
        "behaviour": behaviour,
        "model": {"name": model.name, "digest": model.digest},
        "transcoders": [dictionary.name for _, dictionary in nodes.transcoders],
        "pairs": {"searched": len(found.scores), "held_out": found.held_out},
        "metric": {
            "whole": float(found.ends.whole.mean()),
            "empty": float(found.ends.empty.mean()),
        },
        "faithfulness": _estimate(found.faithfulness),
        "nodes_kept": len(found.kept),
        "nodes_active": found.active,
        "agreement": _agreement(found.agreement),
        "nodes": listed,
        "edges": edges,
    }


def _agreement(told: Agreement | None) -> Json:
    if told is None:
        return None
    return {"spearman": _estimate(told.spearman), "signs": told.signs, "slope": told.slope}


def _estimate(found: Estimate) -> dict[str, Json]:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}


def _interval(value: float, low: float, high: float) -> dict[str, Json]:
    return {"value": float(value), "low": float(low), "high": float(high)}
