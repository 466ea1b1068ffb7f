"""Silence: units of a graph silenced or scaled in the model itself, and what it says then."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tomogram.circuits.graph.graph import FEATURE, NEURON, Graph
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.layered import Layered
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.report.tokens import visible
from tomogram.store.errors import TomogramError
from tomogram.viewer import silence_across as across

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
    """Features times a factor, by the transcoders that the graph was drawn with."""
    for dictionary in dictionaries:
        if isinstance(dictionary, Layered) and across.fits(
            model, graph, tokens, dictionary, features
        ):
            return across.rewritten(graph, dictionary, features, factor)
    changes: dict[Site, Intervention] = {}
    for layer, dictionary in _transcoders(dictionaries, list(features)).items():
        _same(model, graph, tokens, dictionary, features[layer])
        changes |= _rewritten(graph, dictionary, features[layer], factor)
    return changes


def _scaled(graph: Graph, nodes: Sequence[int], factor: float) -> Intervention:
    """Neurons times a factor."""

    def change(value: Tensor) -> Tensor:
        for node in nodes:
            value[0, int(graph.nodes.position[node]), int(graph.nodes.unit[node])] *= factor
        return value

    return change


def _transcoders(
    dictionaries: Sequence[Dictionary], layers: Sequence[int]
) -> dict[int, Dictionary]:
    """The transcoder of each layer.

    Raises TomogramError where a layer has none.
    """
    found = {
        each.read.layer: each
        for each in dictionaries
        if not each.shape.is_autoencoder
        and len(each.shape.reads) == len(each.shape.writes) == 1
        and (each.read.kind, each.write.kind) == ("mlp_in", "mlp_out")
        and each.read.layer == each.write.layer
    }
    missing = sorted(set(layers) - set(found))
    if missing:
        raise TomogramError(
            f"The scan has no transcoder of layer {missing[0]} whose features could be changed."
        )
    return {layer: found[layer] for layer in layers}


def _same(
    model: Model, graph: Graph, tokens: Tensor, dictionary: Dictionary, nodes: Sequence[int]
) -> None:
    """Raises TomogramError where the features are not those that the graph was drawn with."""
    run = model.run(tokens, capture=[dictionary.read], logits=False)
    latents = dictionary.encode(run[dictionary.read][0]).dense()
    for node in nodes:
        unit, value = int(graph.nodes.unit[node]), float(graph.nodes.value[node])
        position = int(graph.nodes.position[node])
        now = float(latents[position, unit]) if unit < dictionary.d_dict else math.nan
        if not abs(now - value) <= across.SAME * abs(value):
            raise TomogramError("The graph was drawn with other transcoders than the scan's.")


def _rewritten(
    graph: Graph, dictionary: Dictionary, nodes: Sequence[int], factor: float
) -> dict[Site, Intervention]:
    """What features of one layer write, times a factor."""
    seen: dict[Site, Tensor] = {}

    def read(value: Tensor) -> Tensor:
        seen[dictionary.read] = dictionary.encode(value[0]).dense()
        return value

    def write(value: Tensor) -> Tensor:
        latents = seen[dictionary.read]
        for node in nodes:
            position, unit = int(graph.nodes.position[node]), int(graph.nodes.unit[node])
            added = (factor - 1) * latents[position, unit] * dictionary.W_dec[unit]
            value[0, position] += added.to(value.dtype)
        return value

    return {dictionary.read: read, dictionary.write: write}
