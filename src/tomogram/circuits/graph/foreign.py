"""Foreign: graphs that circuit-tracer or Neuronpedia wrote, read as graphs of ours.

Their files hold nodes, edges and probabilities, no biases and no proof. Targets are the nodes that
they call logits, each counting by its probability.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from scipy.sparse import csr_array

from tomogram.circuits.graph.export import Document, Node, read_graph, read_json, supernodes
from tomogram.circuits.graph.graph import ERROR, FEATURE, TARGET, TOKEN, Graph, Nodes
from tomogram.store.errors import TomogramError

_KINDS = {
    "cross layer transcoder": FEATURE,
    "mlp reconstruction error": ERROR,
    "embedding": TOKEN,
    "logit": TARGET,
}
_ORDER = (FEATURE, ERROR, TOKEN, TARGET)


def read_any(path: Path) -> Graph:
    """A graph from a file of ours, or of circuit-tracer or Neuronpedia.

    Raises:
        TomogramError: the file cannot be read, fits no schema, or has nodes of other kinds or two
            of one name.
    """
    content = read_json(path)
    if isinstance(content, dict) and "tomogram" in content:
        return read_graph(path)[0]
    try:
        found = Document.model_validate(content)
    except ValidationError as error:
        raise TomogramError(f"{path} is no attribution graph.") from error
    try:
        return _graph(path, found, content)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise TomogramError(f"{path} is no attribution graph that adds up: {error}.") from error


def _graph(path: Path, found: Document, content: dict[str, Any]) -> Graph:
    for node in found.nodes:
        if node.feature_type not in _KINDS:
            raise TomogramError(
                f"{path} has nodes of type '{node.feature_type}', which cannot be read yet."
            )
    twice = [name for name, count in Counter(n.node_id for n in found.nodes).items() if count > 1]
    if twice:
        # circuit-tracer names errors like features of layer 0.
        raise TomogramError(f"{path} has two nodes called {twice[0]}, so its edges are ambiguous.")
    nodes = sorted(found.nodes, key=_place)
    kinds = np.array([_KINDS[node.feature_type] for node in nodes])
    targets = [node for node in nodes if _KINDS[node.feature_type] == TARGET]
    if not targets:
        raise TomogramError(f"{path} has no logit, so it is a graph of nothing.")
    n_layers = int(targets[0].layer) - 1
    layers = [
        -1 if kind == TOKEN else n_layers if kind == TARGET else int(node.layer)
        for kind, node in zip(kinds, nodes, strict=True)
    ]
    places = {node.node_id: place for place, node in enumerate(nodes)}
    n = len(nodes)
    rows = [places[link.target] for link in found.links]
    columns = [places[link.source] for link in found.links]
    weights = np.array([link.weight for link in found.links], float)
    edges = csr_array((weights, (rows, columns)), shape=(n, n))
    edges.eliminate_zeros()
    chances = [_chance(node) for node in targets]
    value = np.array([node.activation or 0.0 for node in nodes])
    # A logit's value is not in the file; what enters it stands in.
    value[kinds == TARGET] = np.asarray(edges.sum(1)).ravel()[kinds == TARGET]
    spelled = tuple(found.metadata.prompt_tokens)
    ids = [-1] * len(spelled)
    for node in nodes:
        if _KINDS[node.feature_type] == TOKEN:
            ids[node.ctx_idx] = _unit(node)
    return Graph(
        model=found.metadata.scan,
        digest="",
        prompt=found.metadata.prompt,
        tokens=tuple(ids),
        spelled=spelled,
        n_layers=n_layers,
        nodes=Nodes(
            kinds,
            np.array(layers),
            np.array([0 if _KINDS[n.feature_type] == ERROR else _unit(n) for n in nodes]),
            np.array([node.ctx_idx for node in nodes]),
            value,
        ),
        edges=edges,
        bias=np.zeros(n),
        omitted=np.zeros(n),
        omitted_mass=np.zeros(n),
        weights=tuple(chances),
        labels=tuple(node.clerp or node.node_id for node in targets),
        probabilities=tuple(chances),
        units=int((kinds == FEATURE).sum()),
        supernodes=supernodes(content, places),
    )


def _place(node: Node) -> tuple[int, int, int, int]:
    kind = _KINDS[node.feature_type]
    layer = int(node.layer) if kind in (FEATURE, ERROR) else 0
    # The order of targets is theirs.
    return _ORDER.index(kind), layer, 0 if kind == TARGET else node.ctx_idx, 0


def _unit(node: Node) -> int:
    """The number in the middle of a name: of a feature in its layer, or a token's id."""
    return int(node.node_id.split("_")[1])


def _chance(node: Node) -> float:
    found = (node.model_extra or {}).get("token_prob", 0.0)
    return float(found) or 1e-9
