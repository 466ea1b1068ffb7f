"""Export: a graph as the JSON that circuit-tracer's page and Neuronpedia show, and back.

Their schema (Neuronpedia's `graph-schema.json`, draft 07) asks for `metadata`, `qParams`, `nodes`
and `links` and allows more; what only this package knows stands under `tomogram`. Differences from
circuit-tracer's own files: ids of errors begin with `error`, because theirs fall together with ids
of features of layer 0; learned positions are embeddings of their own; a neuron bears the type of a
feature, the only one the pages draw.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from scipy.sparse import csr_array

from tomogram.circuits.graph.attention import Look, Pair, Route, Seen
from tomogram.circuits.graph.graph import (
    ERROR,
    FEATURE,
    NEURON,
    POSITION,
    TOKEN,
    Graph,
    Nodes,
    Supernode,
)
from tomogram.circuits.graph.proof import Agreement, Checked, Faithfulness, Group, Proof
from tomogram.circuits.graph.scores import Pruned, Scores
from tomogram.store.atomic import write_json
from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Estimate

VERSION = 2
_UNIT_TYPE = "cross layer transcoder"


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class Metadata(_Open):
    """What a graph is of."""

    slug: str
    scan: str
    prompt_tokens: list[str]
    prompt: str


class Node(_Open):
    """One node."""

    node_id: str
    feature: int | None
    layer: str | int
    ctx_idx: int
    feature_type: str
    jsNodeId: str
    clerp: str
    influence: float | None = None
    activation: float | None = None


class Link(_Open):
    """One edge."""

    source: str
    target: str
    weight: float


class Document(_Open):
    """The whole file, as the schema has it."""

    metadata: Metadata
    qParams: dict[str, Any]
    nodes: list[Node]
    links: list[Link]


def subgraph(graph: Graph, pruned: Pruned) -> Graph:
    """The kept part of a graph, what is left out added to what is omitted.

    Nodes without a kept edge fall away, but for tokens, positions and targets. Looks of heads keep
    what they say of nodes that stay. The proof keeps the edges and paths that lie within the part;
    its figures stay those of the whole sample.
    """
    kept = np.flatnonzero(pruned.nodes)
    place = np.full(len(graph.nodes), -1)
    place[kept] = np.arange(len(kept))
    edges = csr_array(pruned.edges[kept][:, kept])
    left = csr_array(graph.edges - pruned.edges)[kept]
    nodes = graph.nodes
    proof = graph.proof
    return replace(
        graph,
        nodes=Nodes(
            nodes.kind[kept],
            nodes.layer[kept],
            nodes.unit[kept],
            nodes.position[kept],
            nodes.value[kept],
        ),
        edges=edges,
        bias=graph.bias[kept],
        omitted=graph.omitted[kept] + np.asarray(left.sum(1)).ravel(),
        omitted_mass=graph.omitted_mass[kept] + np.asarray(abs(left).sum(1)).ravel(),
        proof=None
        if proof is None
        else replace(
            proof,
            edges=_moved(proof.edges, place),
            paths=_moved(proof.paths, place),
            groups=tuple(
                replace(each, nodes=moved)
                for each in proof.groups
                if min(moved := tuple(int(place[n]) for n in each.nodes)) >= 0
            ),
        ),
        routes={
            (int(place[s]), int(place[t])): routes
            for (s, t), routes in graph.routes.items()
            if place[s] >= 0 and place[t] >= 0
        },
        looks=tuple(_look_moved(each, place) for each in graph.looks),
        supernodes=tuple(
            Supernode(each.label, moved)
            for each in graph.supernodes
            if (moved := tuple(int(place[n]) for n in each.nodes if place[n] >= 0))
        ),
    )


def _look_moved(look: Look, place: np.ndarray) -> Look:
    """A look at the nodes that stay; what the others add becomes part of the rest."""
    seen = [replace(each, node=int(place[each.node])) for each in look.seen]
    gone = [each for each in seen if each.node < 0]
    pairs = [
        Pair(int(place[each.query_node]), int(place[each.key_node]), each.amount)
        for each in look.pairs
    ]
    return replace(
        look,
        seen=tuple(each for each in seen if each.node >= 0),
        pairs=tuple(each for each in pairs if min(each.query_node, each.key_node) >= 0),
        rest_of_query=look.rest_of_query + sum(each.query for each in gone),
        rest_of_key=look.rest_of_key + sum(each.key for each in gone),
    )


def _moved(checked: tuple[Checked, ...], place: np.ndarray) -> tuple[Checked, ...]:
    moved = [replace(each, path=tuple(int(place[n]) for n in each.path)) for each in checked]
    return tuple(each for each in moved if min(each.path) >= 0)


def document(
    graph: Graph, pruned: Pruned, scores: Scores, *, settings: Mapping[str, Json] | None = None
) -> dict[str, Json]:
    """The JSON of a pruned graph.

    Args:
        scores: of the graph before pruning.
        settings: what the graph was made with, for `generation_settings`.
    """
    kept = np.flatnonzero(pruned.nodes)
    part = subgraph(graph, pruned)
    ids = [_id(part, node) for node in range(len(part.nodes))]
    rows = part.edges.tocoo()
    links: list[Json] = [
        {"source": ids[source], "target": ids[target], "weight": float(weight)}
        | _heads(part.routes.get((int(source), int(target)), ()))
        for target, source, weight in zip(*rows.coords, rows.data, strict=True)
    ]
    return {
        "metadata": {
            "slug": _slug(graph.prompt),
            "scan": graph.model,
            "transcoder_list": [],
            "prompt_tokens": list(graph.spelled),
            "prompt": graph.prompt,
            "node_threshold": 1.0,
            "schema_version": 1,
            "info": {"description": graph.title, "generator": {"name": "tomogram"}},
            "generation_settings": dict(settings or {}),
        },
        "qParams": {
            "pinnedIds": [],
            "supernodes": [
                [each.label, *(ids[node] for node in each.nodes)] for each in part.supernodes
            ],
            "linkType": "both",
            "clickedId": "",
            "sg_pos": "",
        },
        "nodes": [
            _node(part, node, ids[node], float(pruned.cumulative[kept[node]]))
            for node in range(len(part.nodes))
        ],
        "links": links,
        "tomogram": _ours(part, scores),
    }


def write_graph(path: Path, content: Mapping[str, Json]) -> None:
    """Write what `document` made.

    Raises:
        TomogramError: the file cannot be written.
    """
    write_json(path, content)


def read_graph(path: Path) -> tuple[Graph, Scores]:
    """A graph that `write_graph` wrote, and the scores it had before it was pruned.

    Raises:
        TomogramError: the file cannot be read or is no graph of this package.
    """
    content = read_json(path)
    try:
        Document.model_validate(content)
        ours = content["tomogram"]
        if ours["version"] != VERSION:
            raise TomogramError(f"{path} is a graph of version {ours['version']}, not {VERSION}.")
        return _graph(content, ours), Scores(**ours["scores"])
    except (ValidationError, KeyError, TypeError, ValueError, IndexError) as error:
        raise TomogramError(f"{path} is no attribution graph of tomogram.") from error


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        TomogramError: it cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise TomogramError(f"{path} could not be read: {error.strerror}.") from error
    except ValueError as error:
        raise TomogramError(f"{path} is not JSON.") from error


def _id(graph: Graph, node: int) -> str:
    nodes = graph.nodes
    kind, layer, unit = nodes.kind[node], int(nodes.layer[node]), int(nodes.unit[node])
    position = int(nodes.position[node])
    if kind in (FEATURE, NEURON):
        return f"{layer}_{unit}_{position}"
    if kind == ERROR:
        return f"error_{layer}_{position}"
    if kind == TOKEN:
        return f"E_{unit}_{position}"
    if kind == POSITION:
        return f"E_position_{position}"
    named = unit if unit >= 0 else f"t{node - graph.targets.start}"
    return f"{graph.n_layers + 1}_{named}_{position}"


def _node(graph: Graph, node: int, name: str, influence: float) -> dict[str, Json]:
    nodes = graph.nodes
    kind, layer, unit = nodes.kind[node], int(nodes.layer[node]), int(nodes.unit[node])
    position = int(nodes.position[node])
    found: dict[str, Json] = {
        "node_id": name,
        "jsNodeId": f"{name.rpartition('_')[0]}-{position}",
        "ctx_idx": position,
        "reverse_ctx_idx": 0,
        "run_idx": 0,
        "clerp": "",
        "influence": influence,
        "activation": None,
        "is_target_logit": False,
        "token_prob": 0.0,
    }
    if kind in (FEATURE, NEURON):
        pair = layer + unit
        found |= {
            "feature": pair * (pair + 1) // 2 + unit,
            "layer": str(layer),
            "feature_type": _UNIT_TYPE,
            "activation": float(nodes.value[node]),
            "clerp": f"neuron {layer}/{unit}" if kind == NEURON else "",
        }
    elif kind == ERROR:
        found |= {"feature": -1, "layer": str(layer), "feature_type": "mlp reconstruction error"}
    elif kind in (TOKEN, POSITION):
        found |= {
            "feature": position,
            "layer": "E",
            "feature_type": "embedding",
            "clerp": graph.name(node),
        }
    else:
        number = node - graph.targets.start
        probability = graph.probabilities[number]
        found |= {
            "feature": unit,
            "layer": str(graph.n_layers + 1),
            "feature_type": "logit",
            "is_target_logit": number == 0,
            "token_prob": probability,
            "clerp": f'Output "{graph.labels[number]}" (p={probability:.3f})',
        }
    return found


def _heads(routes: tuple[Route, ...]) -> dict[str, Json]:
    """What a link says of heads: nothing where nothing is known."""
    return {"heads": [asdict(each) for each in routes]} if routes else {}


def _ours(graph: Graph, scores: Scores) -> dict[str, Json]:
    nodes = graph.nodes
    return {
        "version": VERSION,
        "title": graph.title,
        "digest": graph.digest,
        "tokens": list(graph.tokens),
        "n_layers": graph.n_layers,
        "units": graph.units,
        "weights": list(graph.weights),
        "labels": list(graph.labels),
        "probabilities": list(graph.probabilities),
        "scores": asdict(scores),
        "nodes": {
            name: getattr(nodes, name).tolist()
            for name in ("kind", "layer", "unit", "position", "value")
        },
        "bias": graph.bias.tolist(),
        "omitted": graph.omitted.tolist(),
        "omitted_mass": graph.omitted_mass.tolist(),
        "proof": None if graph.proof is None else _proof_json(graph.proof),
        "looks": [_look_json(each) for each in graph.looks],
    }


def _look_json(look: Look) -> dict[str, Json]:
    return asdict(look) | {
        "seen": [asdict(each) for each in look.seen],
        "pairs": [asdict(each) for each in look.pairs],
    }


def _proof_json(proof: Proof) -> dict[str, Json]:
    def one(found: Agreement | None) -> Json:
        if found is None:
            return None
        return {
            "spearman": found.spearman.model_dump(mode="json"),
            "signs": found.signs,
            "slope": found.slope,
        }

    return {
        "edges": [asdict(each) | {"path": list(each.path)} for each in proof.edges],
        "paths": [asdict(each) | {"path": list(each.path)} for each in proof.paths],
        "groups": [asdict(each) | {"nodes": list(each.nodes)} for each in proof.groups],
        **{name: one(getattr(proof, name)) for name in _AGREEMENTS},
        "unaccounted": proof.unaccounted,
        "whole": None
        if proof.whole is None
        else asdict(proof.whole)
        | {"shares": list(proof.whole.shares), "curve": list(proof.whole.curve)},
        "passed": proof.passed,
        "fault": proof.fault,
    }


_AGREEMENTS = (
    "frozen",
    "direct",
    "total",
    "along_paths",
    "direct_live",
    "total_live",
    "looks_frozen",
    "looks_direct",
    "groups_live",
)


def _graph(content: dict[str, Any], ours: dict[str, Any]) -> Graph:
    columns = ours["nodes"]
    kind, layer, unit, position = (
        np.array(columns[name], np.int64) for name in ("kind", "layer", "unit", "position")
    )
    nodes = Nodes(kind, layer, unit, position, np.array(columns["value"], float))
    places = {each["node_id"]: i for i, each in enumerate(content["nodes"])}
    n = len(nodes)
    if len(places) != n:
        raise ValueError("ids of nodes are not unique")
    links = content["links"]
    rows = [places[each["target"]] for each in links]
    sources = [places[each["source"]] for each in links]
    weights = np.array([each["weight"] for each in links], float)
    return Graph(
        model=content["metadata"]["scan"],
        digest=ours["digest"],
        prompt=content["metadata"]["prompt"],
        tokens=tuple(ours["tokens"]),
        spelled=tuple(content["metadata"]["prompt_tokens"]),
        n_layers=ours["n_layers"],
        nodes=nodes,
        edges=csr_array((weights, (rows, sources)), shape=(n, n)),
        bias=np.array(ours["bias"], float),
        omitted=np.array(ours["omitted"], float),
        omitted_mass=np.array(ours["omitted_mass"], float),
        weights=tuple(ours["weights"]),
        labels=tuple(ours["labels"]),
        probabilities=tuple(ours["probabilities"]),
        units=ours["units"],
        proof=None if ours["proof"] is None else _proof(ours["proof"]),
        routes={
            (source, target): tuple(Route(**route) for route in each["heads"])
            for source, target, each in zip(sources, rows, links, strict=True)
            if "heads" in each
        },
        looks=tuple(_look(each) for each in ours["looks"]),
        supernodes=supernodes(content, places),
    )


def supernodes(content: dict[str, Any], places: Mapping[str, int]) -> tuple[Supernode, ...]:
    """The supernodes a file names, however they were edited.

    Raises:
        KeyError: one names a node that is not there.
    """
    return tuple(
        Supernode(str(label), tuple(places[name] for name in names))
        for label, *names in content["qParams"].get("supernodes", [])
    )


def _look(found: dict[str, Any]) -> Look:
    return Look(
        **found
        | {
            "seen": tuple(Seen(**each) for each in found["seen"]),
            "pairs": tuple(Pair(**each) for each in found["pairs"]),
        }
    )


def _proof(found: dict[str, Any]) -> Proof:
    def one(value: dict[str, Any] | None) -> Agreement | None:
        if value is None:
            return None
        return Agreement(Estimate(**value["spearman"]), value["signs"], value["slope"])

    def checked(values: list[dict[str, Any]]) -> tuple[Checked, ...]:
        return tuple(Checked(**each | {"path": tuple(each["path"])}) for each in values)

    return Proof(
        edges=checked(found["edges"]),
        paths=checked(found["paths"]),
        # Files of before supernodes were measured have none.
        groups=tuple(
            Group(**each | {"nodes": tuple(each["nodes"])}) for each in found.get("groups", [])
        ),
        **{name: one(found.get(name)) for name in _AGREEMENTS},
        unaccounted=found["unaccounted"],
        whole=None
        if found["whole"] is None
        else Faithfulness(
            **found["whole"] | {name: tuple(found["whole"][name]) for name in ("shares", "curve")}
        ),
    )


def _slug(prompt: str) -> str:
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in prompt.lower()).split()
    return "-".join(words)[:60].strip("-") or "graph"
