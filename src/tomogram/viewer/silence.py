"""Silence: units of a graph silenced or scaled in the model itself, and what it says then."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tomogram.circuits.graph.graph import FEATURE, NEURON, Graph
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.report.tokens import visible
from tomogram.store.errors import TomogramError
from tomogram.viewer.turned import fire_as_drawn, layers_of_features, turned

_TOLD = 8


@torch.no_grad()
def silence(
    model: Model,
    graph: Graph,
    nodes: Sequence[int],
    factor: float,
    dictionaries: Callable[[], Sequence[Dictionary]] = tuple,
) -> dict[str, Any]:
    """The likeliest next tokens as the model is, and with units times a factor at their places.

    Attention, norms and all other units are live. A feature is changed by what it writes: its
    activation in the changed run, times the factor less one, along its decoder row.

    Args:
        nodes: numbers of neurons and features in the graph. factor: 0 silences them.
        dictionaries: the scan's, asked for where a node is a feature.

    Raises:
        TomogramError: the graph is of another model, a node is no unit of it, a feature is of no
            transcoder of the scan, or the factor is not finite.
    """
    if graph.digest != model.digest:
        raise TomogramError("The graph was drawn from another model than the scanned one.")
    if not math.isfinite(factor):
        raise TomogramError("A factor is a finite number.")
    places: dict[tuple[int, int], list[int]] = {}
    for node in nodes:
        kind = graph.nodes.kind[node] if 0 <= node < len(graph.nodes) else None
        if kind not in (FEATURE, NEURON):
            raise TomogramError("Only neurons and features of the graph can be changed here.")
        places.setdefault((int(kind), int(graph.nodes.layer[node])), []).append(node)
    tokens = torch.tensor([graph.tokens], device=model.device)
    changes: dict[Site, Intervention] = {}
    features = {layer: own for (kind, layer), own in places.items() if kind == FEATURE}
    for (kind, layer), own in places.items():
        if kind == NEURON:
            changes[Site("neurons", layer)] = _scaled(graph, own, factor)
    if features:
        changes |= _changed_features(model, graph, tokens, dictionaries(), features, factor)
    chances = []
    for interventions in ({}, changes):
        logits = model.run(tokens, interventions=interventions).logits
        assert logits is not None
        if not bool(torch.isfinite(logits[0, -1]).all()):
            raise TomogramError(f"{visible(model.name)} overflows with units times {factor:g}.")
        chances.append(logits[0, -1].float().softmax(-1))
    before, after = chances
    # The likeliest of either, in the order of whichever made them likely.
    order = torch.maximum(before, after).topk(min(_TOLD, len(before))).indices
    return {
        "tokens": order.tolist(),
        "before": [round(float(before[i]), 6) for i in order],
        "after": [round(float(after[i]), 6) for i in order],
    }


def _changed_features(
    model: Model,
    graph: Graph,
    tokens: Tensor,
    dictionaries: Sequence[Dictionary],
    features: Mapping[int, list[int]],
    factor: float,
) -> dict[Site, Intervention]:
    """Features times a factor, by the transcoders that the graph was drawn with.

    Raises TomogramError where the scan has none of a layer, or others.
    """
    missing: list[int] = []
    for candidates in layers_of_features(model, dictionaries):
        layers = {each.layer: each for each in candidates if each.layer is not None}
        missing = sorted(set(features) - set(layers))
        if not missing and fire_as_drawn(model, graph, tokens, layers, features):
            return turned(graph, layers, features, factor)
    if missing:
        raise TomogramError(
            f"The scan has no transcoder of layer {missing[0]} whose features could be changed."
        )
    raise TomogramError("The graph was drawn with other transcoders than the scan's.")


def _scaled(graph: Graph, nodes: Sequence[int], factor: float) -> Intervention:
    """Neurons times a factor."""

    def change(value: Tensor) -> Tensor:
        for node in nodes:
            value[0, int(graph.nodes.position[node]), int(graph.nodes.unit[node])] *= factor
        return value

    return change
